"""A lab of real machines: the same :class:`~netkit.laboratory.lab.Lab`, reached by ssh."""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import json
import os
import secrets
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from netkit.errors import LabError
from netkit.laboratory import images as workshop_images
from netkit.laboratory.lab import Lab, Node
from netkit.operator.machines import images
from netkit.operator.machines.inside.api import Connection
from netkit.operator.machines.inventory import Inventory, Machine, read_inventory
from netkit.operator.machines.link import Link
from netkit.operator.machines.place import FACTS, Place
from netkit.operator.machines.ssh import Route


class MachineNode(Node):
    """A real machine of a lab."""

    _shell_settings = (*Node._shell_settings, "LANG")  # as ssh sends it

    @property
    def transport(self) -> Route:
        """The way commands get here."""
        facts = self.lab.facts["machines"][self.name]
        return Route(self.name, tuple(facts["ssh"]), facts["control"], tuple(facts["settings"].items()), facts["sudo"])

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
        try:
            self.ensure(name)
        except LabError:
            return "down"
        engine = self.facts["machines"][name]["docker"]
        return "ready" if not engine or _answers(engine) else "failed"

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


def _answers(path: str) -> bool:
    """Whether an engine answers behind a socket."""
    connection = Connection(path)
    connection.timeout = 5
    try:
        connection.request("GET", "/_ping")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


class OpenMachines(MachinesLab):
    """A lab of real machines that this process opened: it closes with the ``with`` block, and with the process."""

    def __init__(self, place: Place, links: list[Link]) -> None:
        super().__init__(place.path)
        self._place, self._links = place, links

    def __enter__(self) -> OpenMachines:
        return self

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
        _bring_images(links, place.path)
        with open(f"{place.path}/{FACTS}", "w", encoding="utf-8") as file:
            json.dump(_build_facts(inventory, links, lab, label), file)
        return OpenMachines(place, links)
    except BaseException:
        _close_all(links)
        place.close()
        raise


def _do_all(links: list[Link], action: Callable[[Link], object]) -> list:
    """Do something with all machines at once; raises the first one's error after all have ended."""
    with ThreadPoolExecutor(max_workers=len(links)) as pool:
        return [future.result() for future in [pool.submit(action, link) for link in links]]


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
    lan = inventory.lan or ipaddress.ip_interface(f"{first.machine.address}/{first.facts['prefix']}").network
    machines = {}
    for link in links:
        route = link.route()
        machines[link.machine.name] = {
            "where": link.machine.where,
            "ssh": route.ssh,
            "control": route.control,
            "settings": dict(route.settings),
            "sudo": route.sudo,
            "docker": link.docker,
        }
    return {
        "id": lab,
        "mode": "real",
        "nodes": list(inventory.nodes),
        "addresses": {machine.name: str(machine.address) for machine in inventory.machines},
        "lan": str(lan),
        "engine": ", ".join(dict.fromkeys(link.facts["version"] for link in links if link.machine.engine)),
        "label": label,
        "opener": os.getpid(),
        "hostnames": {link.facts["hostname"]: link.machine.name for link in links},
        "machines": machines,
    }


def _bring_images(links: list[Link], directory: str) -> None:
    """Load the workshop's images where they are missing."""
    needy = [link for link in links if link.machine.engine and images.is_same_kind(link.facts["architecture"])]
    missing = {link: images.find_missing(link.facts["images"]) for link in needy}
    archives: dict[tuple[str, ...], str] = {}
    for wanted in missing.values():
        tags = tuple(tag for image in wanted for tag in image.tags)
        if tags and tags not in archives:
            archives[tags] = f"{directory}/images-{len(archives)}.tar"
            try:
                workshop_images.write_archive(wanted, archives[tags])
            except OSError as error:
                raise LabError(f"the workshop's images could not be prepared in {directory}: {error.strerror}") from None

    def bring(link: Link) -> None:
        archive = archives.get(tuple(tag for image in missing[link] for tag in image.tags))
        if archive:
            link.note_images(images.read_ids(archive))
            images.load(link.machine.name, link.docker, archive)

    if archives:
        _do_all(list(missing), bring)
        for archive in archives.values():
            with contextlib.suppress(OSError):
                os.unlink(archive)
