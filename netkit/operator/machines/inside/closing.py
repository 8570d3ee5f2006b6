"""Take away from a machine what one lab has made there, and nothing else; tell what had to stay.

What bears the lab's label goes. A swarm goes if this lab made the machine part of it and nobody else uses it
by now. What bears no label and appeared meanwhile stays, and is named where a lab could have made it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
import urllib.parse
from collections.abc import Callable

from netkit.operator.machines.inside import api
from netkit.operator.machines.inside.ledger import GATEWAY, Ledger, read_swarm

VARIABLE = "NETKIT_LAB_ID"  # in the environment of every command that a lab runs here
PATIENCE = 10.0  # seconds for what is in use just now to be let go
LEAVES = 5  # times an engine is asked to leave its swarm
MADE_BY_ENGINE = ("veth", "br-", "docker", "vxlan")  # interfaces that come and go with containers and networks


def close(ledger: Ledger) -> list[str]:
    """Remove all that the ledger's lab made here.

    Returns a sentence for each thing that stays although the lab may have made it. May be repeated.
    """
    end_processes(ledger.lab)
    try:
        kept = _leave_or_clear(ledger)
        kept += _remove_labelled(ledger.lab)
        kept += _remove_gateway(ledger)
        kept += _remove_images(ledger)
    except api.Refusal as error:
        kept = [f"{error}, so nothing could be removed from it"]
    return kept + _name_strangers(ledger.facts["before"])


def end_processes(lab: str) -> None:
    """End what still runs of the commands that this lab started here."""
    for number, pause in ((signal.SIGHUP, 0.3), (signal.SIGKILL, 0.0)):
        found = find_processes(lab)
        for pid in found:
            with contextlib.suppress(OSError):
                os.kill(pid, number)
        deadline = time.monotonic() + pause
        while found and time.monotonic() < deadline and find_processes(lab):
            time.sleep(0.02)


def find_processes(lab: str) -> list[int]:
    """The processes here that were started with the lab's id in their environment, without this one."""
    wanted, found = f"{VARIABLE}={lab}".encode(), []
    for name in os.listdir("/proc"):
        if name.isdecimal() and int(name) != os.getpid():
            with contextlib.suppress(OSError), open(f"/proc/{name}/environ", "rb") as file:
                if wanted in file.read().split(b"\0"):
                    found.append(int(name))
    return found


def _leave_or_clear(ledger: Ledger) -> list[str]:
    """Leave the swarm if it is this lab's alone; else remove this lab's services from it."""
    swarm = read_swarm()
    if not swarm["active"]:
        return []
    strangers = _find_strangers(ledger) if swarm["manager"] else _find_foreign_tasks(ledger.lab)
    if swarm["node"] == ledger.facts["swarm"] or (ledger.facts["tried"] and not ledger.facts["swarm"]):
        if not strangers:
            _remove_containers(ledger.lab)  # an engine that leaves waits for those in its networks
            _leave_swarm()
            ledger.note(swarm="", tried=False)
            return []
        kept = [f"it stays in the swarm this lab made, for somebody else uses that by now: {', '.join(strangers)}"]
    else:
        kept = []
    if swarm["manager"]:
        for service in api.ask("GET", "/services"):
            if api.service_labels(service["Spec"]).get(api.LABEL) == ledger.lab:
                _try("DELETE", f"/services/{service['ID']}")
    return kept


def _leave_swarm() -> None:
    """Leave, and ask again where a slow engine gave up on its own networks ("context deadline exceeded"); raises Refusal."""
    for left in reversed(range(LEAVES)):
        try:
            api.ask("POST", "/swarm/leave?force=1")
            return
        except api.Refusal:
            if not read_swarm()["active"]:
                return
            if not left:
                raise
            time.sleep(1)


def _find_strangers(ledger: Ledger) -> list[str]:
    """What a manager sees in the swarm that is not this lab's: services, networks, secrets, machines."""
    found = [
        f"service {each['Spec']['Name']}"
        for each in api.ask("GET", "/services")
        if api.service_labels(each["Spec"]).get(api.LABEL) != ledger.lab
    ]
    for each in api.ask("GET", "/networks"):
        if each["Scope"] == "swarm" and not each.get("Ingress") and (each.get("Labels") or {}).get(api.LABEL) != ledger.lab:
            found.append(f"network {each['Name']}")
    for kind in ("secrets", "configs"):
        found += [
            f"{kind[:-1]} {each['Spec']['Name']}"
            for each in api.ask("GET", f"/{kind}")
            if (each["Spec"].get("Labels") or {}).get(api.LABEL) != ledger.lab
        ]
    for each in api.ask("GET", "/nodes"):
        address = (each.get("Status") or {}).get("Addr", "")
        if address not in (*ledger.facts["members"], "0.0.0.0", "127.0.0.1"):
            found.append(f"machine {(each.get('Description') or {}).get('Hostname') or address}")
    return found


def _find_foreign_tasks(lab: str) -> list[str]:
    """The tasks on a worker that belong to nobody of this lab."""
    query = "filters=" + urllib.parse.quote(json.dumps({"label": [api.SERVICE]}))
    rows = api.ask("GET", f"/containers/json?{query}")
    return [f"service {row['Labels'][api.SERVICE]}" for row in rows if row["Labels"].get(api.LABEL) != lab]


def find_labs() -> set[str]:
    """The labs whose label something on this machine bears."""
    label = api.with_label()
    rows = [*api.ask("GET", f"/containers/json?all=1&{label}"), *api.ask("GET", f"/networks?{label}")]
    rows += api.ask("GET", f"/volumes?{label}")["Volumes"] or ()
    return {row["Labels"][api.LABEL] for row in rows}


def _remove_containers(lab: str) -> None:
    for row in api.ask("GET", f"/containers/json?all=1&{api.with_label(lab)}"):
        _try("DELETE", f"/containers/{row['Id']}?force=1&v=1")


def _remove_labelled(lab: str) -> list[str]:
    """Containers, then what they were joined to."""
    label = api.with_label(lab)
    listed: dict[str, Callable[[], list[tuple[str, str, str]]]] = {
        "container": lambda: [
            (row["Names"][0].lstrip("/") if row.get("Names") else row["Id"][:12], f"/containers/{row['Id']}?force=1&v=1", row["Id"])
            for row in api.ask("GET", f"/containers/json?all=1&{label}")
        ],
        "network": lambda: [(row["Name"], f"/networks/{row['Id']}", row["Id"]) for row in api.ask("GET", f"/networks?{label}")],
        "volume": lambda: [
            (row["Name"], f"/volumes/{row['Name']}", row["Name"]) for row in api.ask("GET", f"/volumes?{label}")["Volumes"] or ()
        ],
        "secret": lambda: _list_kept("secrets", label),
        "config": lambda: _list_kept("configs", label),
    }
    kept = []
    for kind, look in listed.items():
        kept += _remove_until_gone(kind, look)
    return kept


def _list_kept(kind: str, label: str) -> list[tuple[str, str, str]]:
    """Secrets or configs: only a manager has them."""
    with contextlib.suppress(api.Refusal):
        return [(row["Spec"]["Name"], f"/{kind}/{row['ID']}", row["ID"]) for row in api.ask("GET", f"/{kind}?{label}")]
    return []


def _remove_until_gone(kind: str, look: Callable[[], list[tuple[str, str, str]]]) -> list[str]:
    deadline = time.monotonic() + PATIENCE
    said: dict[str, str] = {}
    while True:
        found = look()
        for name, path, _ in found:
            said[name] = _try("DELETE", path)
        if not found or not look():
            return []
        if time.monotonic() > deadline:
            return [f"its {kind} {name} stays: {said[name]}" for name, _, _ in look()]
        time.sleep(0.1)


def _remove_gateway(ledger: Ledger) -> list[str]:
    """docker_gwbridge stays behind when an engine leaves its swarm: removed if it was not there before."""
    if read_swarm()["active"] or not ledger.facts["before"]:
        return []
    networks = [row for row in api.ask("GET", "/networks") if row["Name"] == GATEWAY]
    if networks and networks[0]["Id"] not in ledger.facts["before"]["networks"]:
        said = _try("DELETE", f"/networks/{networks[0]['Id']}")
        return [f"its network {GATEWAY} stays: {said}"] if said else []
    return []


def _remove_images(ledger: Ledger) -> list[str]:
    """The images this lab has loaded, if their names still mean them."""
    kept = []
    for tag, wanted in ledger.facts["images"].items():
        with contextlib.suppress(api.Refusal):
            if api.ask("GET", f"/images/{tag}/json")["Id"] == wanted:
                said = _try("DELETE", f"/images/{tag}")
                kept += [f"the image {tag} stays: {said}"] if said else []
    return kept


def _try(method: str, path: str) -> str:
    """Ask for something that may have been done already; returns what the engine said against it."""
    try:
        api.ask(method, path)
    except api.Refusal as error:
        return "" if error.status == 404 else str(error)
    return ""


def read_before() -> dict:
    """What there is before a lab makes anything: by the names and ids the engine and the kernel give."""
    images = {tag: row["Id"] for row in api.ask("GET", "/images/json") for tag in row.get("RepoTags") or (row["Id"],)}
    return {
        "images": images,
        "networks": [row["Id"] for row in api.ask("GET", "/networks")],
        "volumes": [row["Name"] for row in api.ask("GET", "/volumes")["Volumes"] or ()],
        "interfaces": read_interfaces(),
    }


def read_interfaces() -> list[str]:
    """The interfaces of this machine that neither containers nor engines bring."""
    return sorted(name for name in os.listdir("/sys/class/net") if not name.startswith(MADE_BY_ENGINE))


def _name_strangers(before: dict) -> list[str]:
    """What appeared since and bears no label: an interface, or a volume made by `docker run -v NAME:…`."""
    kept = [
        f"the interface {name} stays: nobody can tell who made it"
        for name in read_interfaces()
        if before and name not in before["interfaces"]
    ]
    with contextlib.suppress(api.Refusal):
        now = [row["Name"] for row in api.ask("GET", "/volumes")["Volumes"] or ()] if "volumes" in before else []
        kept += [f"the volume {name} stays: nobody can tell who made it" for name in now if name not in before["volumes"]]
    return kept
