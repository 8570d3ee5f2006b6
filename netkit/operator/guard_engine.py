"""A few questions to a machine's Docker engine (Docker Engine API), and the account of what a lab has made there.

Labels are the engine's own account. A swarm membership and a loaded image bear none, so they are written down: the file
outlives a guard that is killed, and the next lab on this machine does what that one could not.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import threading
import urllib.parse

SOCKET = "/var/run/docker.sock"
PATIENCE = 30.0  # seconds for an engine to say the next word
LABEL = "netkit.lab"
FILE = "ledger.json"
GATEWAY = "docker_gwbridge"  # made by an engine that joins a swarm, and left behind by one that leaves
BODY = {"containers": "/json", "images": "/json"}  # what is to be added to a path to read, where anything is
SYSTEM_NETWORKS = (GATEWAY, "ingress")


# why an engine cannot be asked, and what helps
REASONS = (
    (FileNotFoundError, "there is no Docker engine ({engine} does not exist): install and start one"),
    (ConnectionRefusedError, "its Docker engine is not running (nobody answers at {engine}): start it"),
    (PermissionError, "this user may not use Docker ({engine} is closed to them): add them to the group docker, or set sudo = true"),
    (socket.timeout, "its Docker engine has been silent for {patience:.0f} s"),  # another than TimeoutError before Python 3.10
)


class Refusal(Exception):
    """The engine said no, or nothing, or its machine cannot be had; the text says why, and goes after the machine's name.

    ``status`` is HTTP's, 0 without an answer.
    """

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


def connect(path: str = SOCKET, patience: float | None = None) -> socket.socket:
    """A connection to the engine behind a unix socket; raises OSError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    sock.settimeout(patience)
    sock.connect(path)
    return sock


def ask(method: str, path: str, engine: str = SOCKET, patience: float = PATIENCE) -> object:
    """One request, one answer: JSON as what it stands for, all else as text; raises Refusal."""
    connection = http.client.HTTPConnection("docker")
    try:
        connection.sock = connect(engine, patience)
        connection.request(method, path)
        answer = connection.getresponse()
        told = answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        why = next((why for kind, why in REASONS if isinstance(error, kind)), "its Docker engine does not answer ({error})")
        raise Refusal(why.format(engine=engine, error=error, patience=PATIENCE)) from None
    finally:
        connection.close()
    with contextlib.suppress(ValueError):
        told = json.loads(told)
    if answer.status >= 400:
        raise Refusal(told.get("message", "") if isinstance(told, dict) else str(told), answer.status)
    return told


def list_all(kind: str, label: str = "", stopped: bool = False) -> list[dict]:
    """What there is of a kind, as the engine's URLs call it ("containers", "volumes"); raises Refusal.

    ``label``, a name or name=value, leaves only what bears it; containers are those that run, or the ``stopped``, too.
    """
    queries = {"filters": json.dumps({"label": [label]} if label else {}), "all": int(stopped)}
    found = ask("GET", f"/{kind}{BODY.get(kind, '')}?{urllib.parse.urlencode(queries)}")
    return found["Volumes"] or [] if kind == "volumes" else found


def name_of(row: dict) -> str:
    """What people call something that is listed."""
    if row.get("Names"):
        return row["Names"][0].lstrip("/")
    return row.get("Name") or row.get("Spec", {}).get("Name") or row["Id"][:12]


def labels_of(body: dict) -> dict:
    """The labels of something listed or inspected: of a service, its containers', so that its own look as they were typed."""
    body = body.get("Config") or body.get("Spec") or body
    if "TaskTemplate" in body:
        body = body["TaskTemplate"].get("ContainerSpec") or {}
    return body.get("Labels") or {}


def read_swarm() -> dict:
    """This machine's part in a swarm: its node's id there, whether it is active, and a manager."""
    swarm = ask("GET", "/info")["Swarm"]
    state = swarm.get("LocalNodeState") or "inactive"
    return {"node": swarm.get("NodeID") or "", "active": state != "inactive", "manager": bool(swarm.get("ControlAvailable"))}


class Ledger:
    """The account of one lab on one machine; ``lab`` is its id, ``directory`` where the account is kept."""

    def __init__(self, lab: str, directory: str) -> None:
        self.lab, self.directory = lab, directory
        self._lock = threading.Lock()
        # swarm: the node's id in the swarm it joined; tried: it may be joining still; images: tag → id;
        # members: the addresses of the lab's machines; before: see guard_closing.read_before
        self.facts: dict = {"swarm": "", "tried": False, "images": {}, "members": [], "before": {}}

    @classmethod
    def read(cls, directory: str) -> Ledger | None:
        """The account somebody left in a directory, if it can be read."""
        try:
            with open(f"{directory}/{FILE}", encoding="utf-8") as file:
                facts = json.load(file)
        except (OSError, ValueError):
            return None
        found = cls(facts.pop("lab"), directory)
        found.facts |= facts
        return found

    def note(self, **facts: object) -> None:
        """Write something down; it is on disk when this returns."""
        with self._lock:
            self.facts |= facts
            with open(f"{self.directory}/{FILE}.new", "w", encoding="utf-8") as file:
                json.dump({"lab": self.lab, **self.facts}, file)
            os.replace(f"{self.directory}/{FILE}.new", f"{self.directory}/{FILE}")

    def note_joined(self, answer: bytes) -> None:
        """Write down what an engine answered when it was asked to make or join a swarm, which was noted as tried."""
        if answer[9:12] == b"200":
            self.note(swarm=read_swarm()["node"], tried=False)
        elif b"imeout" not in answer:  # moby goes on trying in the background after "Timeout was reached"
            self.note(tried=False)

    def owns(self, swarm: dict) -> bool:
        """Whether this machine is in a swarm (see :func:`read_swarm`) because of this lab, or in none."""
        return not swarm["active"] or swarm["node"] == self.facts["swarm"] or (self.facts["tried"] and not self.facts["swarm"])

    def is_foreign(self, kind: str, name: str) -> bool:
        """Whether an object exists that is not this lab's."""
        try:
            found = ask("GET", f"/{kind}/{name}{BODY.get(kind, '')}")
        except Refusal:
            return False  # not there: the engine itself shall say so
        before = self.facts["before"]
        if kind == "images":
            return found["Id"] in before.get("images", {}).values()
        if kind == "networks" and found["Name"] in SYSTEM_NETWORKS:
            return found["Id"] in before.get("networks", ()) or not self.owns(read_swarm())
        return labels_of(found).get(LABEL) != self.lab
