"""What this lab has made on this machine, and what was there before: the labels are the engine's, the rest a file.

A swarm membership and a loaded image bear no label, so they are written down: the file outlives a guard that is
killed, and the next lab on this machine does what that one could not.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Callable, Iterator

from netkit.operator.machines.inside import api

FILE = "ledger.json"
GATEWAY = "docker_gwbridge"  # made by an engine that joins a swarm, and left behind by one that leaves
SYSTEM_NETWORKS = (GATEWAY, "ingress")


class Ledger:
    """The account of one lab on one machine; ``lab`` is its id, ``directory`` where the account is kept."""

    def __init__(self, lab: str, directory: str) -> None:
        self.lab, self.directory = lab, directory
        self._lock = threading.Lock()
        # swarm: the node's id in the swarm it joined; tried: it may be joining still; images: tag → id;
        # members: the addresses of the lab's machines; before: see closing.read_before
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

    @contextlib.contextmanager
    def joining(self) -> Iterator[Callable[[bytes], None]]:
        """Around a request to make or join a swarm: is told the engine's answer, and notes what came of it."""
        self.note(tried=True)

        def told(answer: bytes) -> None:
            status = answer[9:12]
            if status == b"200":
                self.note(swarm=read_swarm()["node"], tried=False)
            elif b"imeout" not in answer:  # moby goes on trying in the background after "Timeout was reached"
                self.note(tried=False)

        yield told

    def owns_swarm(self) -> bool:
        """Whether this machine is in the swarm it is in because of this lab."""
        now = read_swarm()
        if not now["active"]:
            return True  # nothing to be protected: the engine itself says that there is no swarm
        return now["node"] == self.facts["swarm"] or (self.facts["tried"] and not self.facts["swarm"])

    def is_foreign(self, kind: str, name: str) -> bool:
        """Whether an object exists that is not this lab's."""
        if kind == "images":
            return self._image_id(name) in self.facts["before"].get("images", {}).values()
        try:
            found = api.ask("GET", f"/{kind}/{name}" + ("/json" if kind == "containers" else ""))
        except api.Refusal:
            return False  # not there: the engine itself shall say so
        if kind == "networks" and found["Name"] in SYSTEM_NETWORKS:
            return found["Id"] in self.facts["before"].get("networks", ()) or not self.owns_swarm()
        return labels_of(kind, found).get(api.LABEL) != self.lab

    def _image_id(self, name: str) -> str:
        with contextlib.suppress(api.Refusal):
            return api.ask("GET", f"/images/{name}/json")["Id"]
        return ""


def labels_of(kind: str, body: dict) -> dict:
    """The labels of an inspected object."""
    if kind == "containers":
        return body["Config"].get("Labels") or {}
    if kind == "services":
        return api.service_labels(body["Spec"])
    if kind in ("secrets", "configs"):
        return body["Spec"].get("Labels") or {}
    return body.get("Labels") or {}


def read_swarm() -> dict:
    """This machine's part in a swarm: its node's id there, whether it is active, and a manager."""
    swarm = api.ask("GET", "/info")["Swarm"]
    state = swarm.get("LocalNodeState") or "inactive"
    return {"node": swarm.get("NodeID") or "", "active": state != "inactive", "manager": bool(swarm.get("ControlAvailable"))}
