"""Take away from a machine what one lab has made there, and nothing else; tell what had to stay.

What bears the lab's label goes. A swarm goes if this lab made the machine part of it and nobody else uses it
by now. What bears no label and appeared meanwhile stays, and is named where a lab could have made it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time

from netkit.operator.guard_engine import GATEWAY, LABEL, Ledger, Refusal, ask, labels_of, list_all, name_of, read_swarm

VARIABLE = "NETKIT_LAB_ID"  # in the environment of every command that a lab runs here
PATIENCE = 10.0  # seconds for what is in use just now to be let go
LEAVES = 5  # times an engine is asked to leave its swarm
SERVICE = "com.docker.swarm.service.name"
KINDS = ("containers", "networks", "volumes", "secrets", "configs")  # containers first: then what they were joined to
MADE_BY_ENGINE = ("veth", "br-", "docker", "vxlan")  # interfaces that come and go with containers and networks


def close(ledger: Ledger, engine: bool = True) -> list[str]:
    """Remove all that the ledger's lab made here; without an engine, that is its processes alone.

    Returns a sentence for each thing that stays although the lab may have made it. May be repeated.
    """
    end_processes(ledger.lab)
    if not engine:
        return []
    try:
        kept = _leave_or_clear(ledger)
        for kind in KINDS:
            kept += _remove_labelled(kind, ledger.lab)
        kept += _remove_gateway(ledger)
        kept += _remove_images(ledger)
    except Refusal as error:
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
    swarm, kept = read_swarm(), []
    if not swarm["active"]:
        return []
    if ledger.owns(swarm):
        strangers = _find_strangers(ledger, swarm["manager"])
        if not strangers:
            for _, path in _list_labelled("containers", ledger.lab):  # an engine that leaves waits for those in its networks
                _try_delete(path)
            _leave_swarm()
            ledger.note(swarm="", tried=False)
            return []
        kept = [f"it stays in the swarm this lab made, for somebody else uses that by now: {', '.join(strangers)}"]
    if swarm["manager"]:
        for service in list_all("services"):
            if labels_of(service).get(LABEL) == ledger.lab:
                _try_delete(f"/services/{service['ID']}")
    return kept


def _leave_swarm() -> None:
    """Leave, and ask again where a slow engine gave up on its own networks ("context deadline exceeded"); raises Refusal."""
    for left in reversed(range(LEAVES)):
        try:
            ask("POST", "/swarm/leave?force=1")
            return
        except Refusal:
            if not read_swarm()["active"]:
                return
            if not left:
                raise
            time.sleep(1)


def _find_strangers(ledger: Ledger, manager: bool) -> list[str]:
    """What is in the swarm and not this lab's: a manager sees services, networks, secrets and machines, a worker tasks on it."""
    if not manager:
        tasks = [row["Labels"] for row in list_all("containers", SERVICE)]
        return [f"service {labels[SERVICE]}" for labels in tasks if labels.get(LABEL) != ledger.lab]
    found = [
        f"{kind[:-1]} {name_of(row)}"
        for kind in ("services", "networks", "secrets", "configs")
        for row in list_all(kind)
        if labels_of(row).get(LABEL) != ledger.lab and (kind != "networks" or (row["Scope"] == "swarm" and not row.get("Ingress")))
    ]
    for row in list_all("nodes"):
        address = (row.get("Status") or {}).get("Addr", "")
        if address not in (*ledger.facts["members"], "0.0.0.0", "127.0.0.1"):
            found.append(f"machine {(row.get('Description') or {}).get('Hostname') or address}")
    return found


def find_labs() -> set[str]:
    """The labs whose label something on this machine bears."""
    kinds = ("containers", "networks", "volumes")
    return {labels_of(row)[LABEL] for kind in kinds for row in list_all(kind, LABEL, stopped=True)}


def _list_labelled(kind: str, lab: str) -> list[tuple[str, str]]:
    """What bears the lab's label, as pairs of its name and the path that removes it."""
    try:
        rows = list_all(kind, f"{LABEL}={lab}", stopped=True)
    except Refusal:
        if kind not in ("secrets", "configs"):  # only a manager has them
            raise
        return []
    force = "?force=1&v=1" if kind == "containers" else ""
    return [(name_of(row), f"/{kind}/{row.get('Id') or row.get('ID') or row['Name']}{force}") for row in rows]


def _remove_labelled(kind: str, lab: str) -> list[str]:
    """Remove what bears the lab's label until it is gone; returns a sentence for each that stays."""
    deadline, said = time.monotonic() + PATIENCE, {}
    while (found := _list_labelled(kind, lab)) and time.monotonic() < deadline:
        if said:
            time.sleep(0.1)
        said |= {name: _try_delete(path) for name, path in found}
    return [f"its {kind[:-1]} {name} stays: {said.get(name, '')}" for name, _ in found]


def _remove_gateway(ledger: Ledger) -> list[str]:
    """docker_gwbridge stays behind when an engine leaves its swarm: removed if it was not there before."""
    if read_swarm()["active"] or not ledger.facts["before"]:
        return []
    found = [row["Id"] for row in list_all("networks") if row["Name"] == GATEWAY and row["Id"] not in ledger.facts["before"]["networks"]]
    return [f"its network {GATEWAY} stays: {said}" for network in found if (said := _try_delete(f"/networks/{network}"))]


def _remove_images(ledger: Ledger) -> list[str]:
    """The images this lab has loaded, if their names still mean them."""
    kept = []
    for tag, wanted in ledger.facts["images"].items():
        with contextlib.suppress(Refusal):
            if ask("GET", f"/images/{tag}/json")["Id"] == wanted and (said := _try_delete(f"/images/{tag}")):
                kept.append(f"the image {tag} stays: {said}")
    return kept


def _try_delete(path: str) -> str:
    """Delete what may be gone already; returns what the engine said against it."""
    try:
        ask("DELETE", path)
    except Refusal as error:
        return "" if error.status == 404 else str(error)
    return ""


def read_before() -> dict:
    """What there is before a lab makes anything: by the names and ids the engine and the kernel give."""
    return {
        "images": {tag: row["Id"] for row in list_all("images") for tag in row.get("RepoTags") or (row["Id"],)},
        "networks": [row["Id"] for row in list_all("networks")],
        "volumes": [row["Name"] for row in list_all("volumes")],
        "interfaces": read_interfaces(),
    }


def read_interfaces() -> list[str]:
    """The interfaces of this machine that neither containers nor engines bring."""
    return sorted(name for name in os.listdir("/sys/class/net") if not name.startswith(MADE_BY_ENGINE))


def _name_strangers(before: dict) -> list[str]:
    """What appeared since and bears no label: an interface, or a volume made by `docker run -v NAME:…`."""
    if not before:
        return []
    new = [f"interface {name}" for name in read_interfaces() if name not in before["interfaces"]]
    with contextlib.suppress(Refusal):
        new += [f"volume {row['Name']}" for row in list_all("volumes") if row["Name"] not in before["volumes"]]
    return [f"the {each} stays: nobody can tell who made it" for each in new]
