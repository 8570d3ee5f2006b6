"""A lab of real machines: the same :class:`~netkit.laboratory.lab.Lab`, reached by ssh.

An inventory names them, ssh reaches them, and a guard on each keeps count of what is made there. The sockets that lead to them, and
the facts others need, are in a private directory, the lab's place. It lives as long as the process that opened the lab: a keeper, a
shell that waits for the end of a pipe, removes it even if that process is killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import json
import os
import platform
import secrets
import shutil
import socket
import subprocess
import sys
import tarfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

from netkit.errors import LabError
from netkit.laboratory import images
from netkit.laboratory.lab import Lab, Node
from netkit.operator.guard import base_directory
from netkit.operator.guard_engine import Refusal, ask
from netkit.operator.inventory import Inventory, Machine, read_inventory
from netkit.operator.link import Link
from netkit.operator.ssh import Route

PREFIX = "netkit-machines-"
FACTS = "lab.json"
LOCK = "lock"
KEEPER = 'read -r _; rm -rf -- "$1"'


class MachineNode(Node):
    """A real machine of a lab."""

    _shell_settings = (*Node._shell_settings, "LANG")  # as ssh sends it

    @property
    def transport(self) -> Route:
        """The way commands get here."""
        return Route(**self.lab.facts["machines"][self.name]["route"])

    @property
    def docker_host(self) -> str:
        """The URL of this machine's engine, through the lab's own door to it."""
        return f"unix://{self.lab.facts['machines'][self.name]['docker']}"

    @property
    def pid(self) -> int:
        """A real machine's first process is not to be seen from another: raises LabError."""
        raise LabError(f"{self.name} is a real machine: its processes have no number here")


class MachinesLab(Lab):
    """A lab of real machines that some process has open, by its private directory; raises LabError."""

    _make_host = MachineNode

    def __init__(self, directory: str) -> None:
        self._read(directory)

    def __repr__(self) -> str:
        hosts = ", ".join(f"{name} at {facts['where']}" for name, facts in self.facts["machines"].items())
        return f"<lab {self.id} of real machines: {hosts}; engine {self.facts['engine']}>"

    def ensure(self, *names: str) -> None:
        """Raises LabError for a machine that is not connected any more: real ones are up, or people see to it."""
        for name in names:
            self[name].transport.check()

    def states(self) -> dict[str, str]:
        """The state of each machine: ready, failed (its engine does not answer) or down (not connected)."""
        with ThreadPoolExecutor(max_workers=len(self._hosts)) as pool:
            return dict(zip(self._hosts, pool.map(self._find_state, self._hosts), strict=True))

    def _find_state(self, name: str) -> str:
        engine = self.facts["machines"][name]["docker"]
        try:
            self.ensure(name)
            if engine:
                ask("GET", "/_ping", engine, patience=5)
        except LabError:
            return "down"
        except Refusal:
            return "failed"
        return "ready"

    def kill(self, name: str) -> None:
        """Refused: raises LabError."""
        raise LabError(
            f"{self[name].name} is a real machine, and pulling its plug is for people: switch it off by hand, or stop its engine there "
            "(`systemctl stop docker.socket docker`), and on again afterwards"
        )

    def __getitem__(self, name: str) -> Node:
        if name == "outside" and name not in self._hosts:
            raise LabError(
                "there is no outside among these machines: give the inventory a table [outside], a host without Docker on their network"
            )
        return super().__getitem__(name)


class OpenMachines(MachinesLab, contextlib.AbstractContextManager):
    """A lab of real machines that this process opened: it closes with the ``with`` block, and with the process."""

    def __init__(self, place: Place, links: list[Link]) -> None:
        super().__init__(place.path)
        self._place, self._links = place, links

    def __exit__(self, *_: object) -> None:
        self.close_and_tell()

    def close(self) -> list[str]:
        """Remove from all machines what this lab has made there, and let go of them. May be repeated.

        Returns a sentence for each thing that stays although the lab may have made it.
        """
        kept = _close_all(self._links)
        self._place.close()
        return kept

    def close_and_tell(self) -> None:
        """Close, and say on standard error what stays."""
        for sentence in self.close():
            print(f"netkit: {sentence}", file=sys.stderr)

    def disown(self) -> None:
        """In a forked child: let go of the lab, which belongs to the parent alone."""
        for link in self._links:
            link.disown()
        self._place.disown()


class Place:
    """A new private directory; :meth:`close` removes it."""

    def __init__(self, lab: str) -> None:
        self.path = f"{base_directory()}/{PREFIX}{lab}"
        os.mkdir(self.path, 0o700)
        command = ["sh", "-c", KEEPER, "netkit-keeper", self.path]
        try:
            self._keeper = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True, cwd="/")
        except BaseException:
            shutil.rmtree(self.path)
            raise
        # held by the opener alone: whoever can have it knows that the lab is over
        self._lock = open(f"{self.path}/{LOCK}", "wb")
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def close(self) -> None:
        """Remove the directory. May be repeated."""
        self.disown()
        self._keeper.wait()

    def disown(self) -> None:
        """In a forked child: let go of it, which belongs to the parent alone."""
        self._keeper.stdin.close()
        self._lock.close()


def find_places() -> list[str]:
    """The private directories of the labs of real machines that this user has open now."""
    base, found = base_directory(), []
    for name in sorted(os.listdir(base)):
        if name.startswith(PREFIX):
            with contextlib.suppress(OSError), open(f"{base}/{name}/{LOCK}", "rb") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    found.append(f"{base}/{name}")
    return [path for path in found if os.path.exists(f"{path}/{FACTS}")]


def open_machines(path: str, label: str = "") -> OpenMachines:
    """Open the lab that an inventory file describes, and wait until all its machines answer.

    Raises LabError with one sentence, and leaves nothing on any of them then. The lab ends with the ``with``
    block or with this process, whichever comes first.
    """
    inventory = read_inventory(path)
    lab = secrets.token_hex(4)
    place = Place(lab)
    links = [Link(machine, lab, place.path) for machine in inventory.machines]
    try:
        _do_all(links, lambda link: link.open(_build_wishes(inventory, link.machine, lab)))
        _bring_images(links, f"{place.path}/images.tar")
        with open(f"{place.path}/{FACTS}", "w", encoding="utf-8") as file:
            json.dump(_build_facts(inventory, links, lab, label), file)
        return OpenMachines(place, links)
    except BaseException:
        _close_all(links)
        place.close()
        raise


def _do_all(links: list[Link], action: Callable[[Link], object]) -> None:
    """Do something with all machines at once; raises the first one's error after all have ended."""
    with ThreadPoolExecutor(max_workers=len(links)) as pool:
        list(pool.map(action, links))


def _close_all(links: list[Link]) -> list[str]:
    """All at once, and without threads, of which a Python that ends just now has no more."""
    for link in links:
        link.begin_close()
    return [sentence for link in links for sentence in link.close()]


def _build_wishes(inventory: Inventory, machine: Machine, lab: str) -> dict:
    """What a guard has to know."""
    return {
        "lab": lab,
        "name": machine.name,
        "opener": f"{os.environ.get('USER') or os.geteuid()} on {socket.gethostname()}, process {os.getpid()}",
        "address": str(machine.address),
        "members": [str(each.address) for each in inventory.machines if each.engine],
        "engine": machine.engine,
        "shared": machine.shared,
    }


def _build_facts(inventory: Inventory, links: list[Link], lab: str, label: str) -> dict:
    """What others in the lab have to know."""
    first = links[0]
    return {
        "id": lab,
        "mode": "real",
        "nodes": list(inventory.nodes),
        "addresses": {machine.name: str(machine.address) for machine in inventory.machines},
        "lan": str(inventory.lan or ipaddress.ip_interface(f"{first.machine.address}/{first.facts['prefix']}").network),
        "engine": ", ".join(dict.fromkeys(link.facts["version"] for link in links if link.machine.engine)),
        "label": label,
        "opener": os.getpid(),
        "hostnames": {link.facts["hostname"]: link.machine.name for link in links},
        "machines": {
            link.machine.name: {"where": link.machine.where, "docker": link.docker, "route": asdict(link.route())} for link in links
        },
    }


def _bring_images(links: list[Link], archive: str) -> None:
    """Load the workshop's images where they are missing and would run; ``archive`` is a path to write them to. Raises LabError."""
    able = [link for link in links if link.machine.engine and link.facts["architecture"] == platform.machine()]
    for image in images.describe_images() if able else ():
        needy = [link for link in able if not set(image.tags) <= set(link.facts["images"])]
        if needy:
            try:
                images.write_archive((image,), archive)
            except OSError as error:
                raise LabError(f"the workshop's images could not be prepared in {os.path.dirname(archive)}: {error.strerror}") from None
            with tarfile.open(archive) as tar:
                [row] = json.load(tar.extractfile("manifest.json"))
            ids = dict.fromkeys(row["RepoTags"], "sha256:" + os.path.basename(row["Config"]).removesuffix(".json"))
            _do_all(needy, lambda link, ids=ids: link.load_images(archive, ids))
            os.unlink(archive)
