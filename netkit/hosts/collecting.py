"""All network namespaces of a machine as JSON on standard output: run on that machine, as its root.

The kernel offers no snapshot over several tables, let alone namespaces. So each is read, then what
belongs together is compared: a veth end whose other end does not name it in return was read while the
pair came, went or moved. Both sides are then read again; what still does not fit has vanished.

Starting Python takes longer than reading a small machine, so one process serves many captures.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys
import time
from collections.abc import Iterator

from netkit.hosts.namespaces import Found, enter, find_namespaces, prepare_process, read_file
from netkit.hosts.netfilter import Listing
from netkit.hosts.netlink import Tables
from netkit.laboratory.inside.syscalls import NEWNET, setns

ATTEMPTS = 8
# seconds, 2 in all, in which a namespace that is held by nothing but the exit of its last user is gone (0.4 seen on a busy
# machine); one that outlasts them is elsewhere, and its cables are not waited for again
PAUSES = tuple(0.002 * 2**number for number in range(10))
_elsewhere: set[str] = set()  # MAC addresses of cables out of what can be read, as this process has learned
RESOLVERS = ("0B00007F:", "7F00000B:")  # 127.0.0.11 as /proc/net/udp writes it on little-endian and on big-endian machines

Place = tuple[int, int]  # a namespace's inode, an interface's number


def main() -> None:
    """Print one line of JSON for each line read, until there is no more."""
    gc.disable()
    gc.freeze()
    if os.geteuid() != 0:
        sys.exit("reading network namespaces needs root there: log in as root, or set sudo = true in the inventory")
    prepare_process("netkit-collect")
    for _ in sys.stdin:
        with contextlib.closing(Collection()) as collection:
            collection.read()
            collection.fit()
            print(json.dumps(collection.to_json(), separators=(",", ":")))
        sys.stdout.flush()  # nothing is held any more
        del collection
        gc.collect()  # pyroute2's messages hold each other; nobody waits now


class Namespace:
    """One namespace, open: its file and its socket keep it reachable until all is read."""

    def __init__(self, found: Found) -> None:
        self.found, self.file, self.tables = found, enter(found), Tables()
        self.read_tables()
        self.settings = {"resolver": _has_resolver(), "forwards": read_file("/proc/sys/net/ipv4/ip_forward").strip() == "1"}
        self.listing = Listing() if _may_have_rules(found) else None

    def read_tables(self) -> None:
        """Read the interfaces, and the tables beside them; the thread may be anywhere."""
        self.links = {link["index"]: link for link in self.tables.read_links()}
        has_forwarding = any(link["kind"] in ("bridge", "vxlan") for link in self.links.values())
        self.facts = {
            "addresses": self.tables.read_addresses(),
            "routes": self.tables.read_routes(),
            "neighbours": self.tables.read_neighbours(),
            "forwarding": self.tables.read_forwarding() if has_forwarding else [],
        }


class Collection:
    """The namespaces of this machine: :meth:`read` them, then :meth:`fit` them together."""

    def __init__(self) -> None:
        self._open: dict[int, Namespace] = {}
        self._own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        """Let go of all namespaces: one that is held cannot end."""
        for namespace in self._open.values():
            namespace.tables.close()
            namespace.file.close()
        os.close(self._own)

    def read(self) -> None:
        """Read every namespace there is, and not read yet."""
        for inode, found in find_namespaces().items():
            if inode in self._open:
                self._open[inode].found = found
            else:
                with contextlib.suppress(OSError):  # it has vanished since it was found
                    self._open[inode] = Namespace(found)
        setns(self._own, NEWNET)

    def fit(self) -> None:
        """Find each veth end's other end, reading again what does not fit; drop what never does."""
        for _ in range(ATTEMPTS):
            self._match_ends()
            known = len(self._open)
            if self._find_doubtful_ends():
                self.read()  # a namespace may have been made since
            doubtful = {inode for pair in self._find_misfits() for inode, _ in pair}
            if not doubtful and len(self._open) == known:
                break
            for inode in doubtful:
                self._open[inode].read_tables()
        self._match_ends()  # with what the last look has found
        for pause in PAUSES:
            self._drop_dead_ends()
            if not self._find_doubtful_ends():
                break
            time.sleep(pause)
            self.read()
            self._match_ends()
        self._drop_dead_ends()
        _elsewhere.update(link["mac"] for _, link in self._find_doubtful_ends())
        while misfits := self._find_misfits():  # each one dropped may leave another without its other end
            for (inode, index), _ in misfits:
                del self._open[inode].links[index]

    def _drop_dead_ends(self) -> None:
        """Let go of ends that are going down together with the namespace of their other end."""
        for namespace, link in self._find_loose_ends():
            if link["nsid"] in (None, -1) or not namespace.tables.is_alive(link["nsid"]):
                del namespace.links[link["index"]]

    def _list_veths(self) -> Iterator[tuple[Place, Namespace, dict]]:
        """Every veth end there is, with its place."""
        for inode, namespace in self._open.items():
            for index, link in namespace.links.items():
                if link["kind"] == "veth":
                    yield (inode, index), namespace, link

    def _find_loose_ends(self) -> list[tuple[Namespace, dict]]:
        """Those whose other end is in no namespace that was read."""
        return [(namespace, link) for place, namespace, link in self._list_veths() if place not in self._peers]

    def _find_doubtful_ends(self) -> list[tuple[Namespace, dict]]:
        """Loose ends that may be on their way in or out: a cable with an address is in use, unless that came by itself (link-local)."""
        return [
            (namespace, link)
            for namespace, link in self._find_loose_ends()
            if link["mac"] not in _elsewhere
            and not any(index == link["index"] and not text.startswith("fe80:") for index, text in namespace.facts["addresses"])
        ]

    def _read_numbers(self, namespace: Namespace) -> dict[int, int]:
        """Inodes by the numbers under which a namespace knows the others."""
        numbers = namespace.tables.read_namespace_ids([other.file.fileno() for other in self._open.values()])
        return {numbers[place]: inode for place, inode in enumerate(self._open) if numbers[place] >= 0}

    def _match_ends(self) -> None:
        """Find the other ends, asked for where most veths are first: each answer tells both directions."""
        self._peers: dict[Place, Place] = {}
        for inode, namespace in sorted(self._open.items(), key=lambda item: -len(item[1].links)):
            ends = [link for link in namespace.links.values() if link["kind"] == "veth" and (inode, link["index"]) not in self._peers]
            numbers = self._read_numbers(namespace) if any(link["nsid"] is not None for link in ends) else {}
            for link in ends:
                other = inode if link["nsid"] is None else numbers.get(link["nsid"])
                if other is not None:
                    self._peers[inode, link["index"]] = (other, link["link"])
                    self._peers[other, link["link"]] = (inode, link["index"])

    def _find_misfits(self) -> list[tuple[Place, Place]]:
        """Pairs of which an end is missing, or does not name the other in return."""
        veths = {place: (link["link"], self._peers.get(place)) for place, _, link in self._list_veths()}
        return [(end, other) for end, other in self._peers.items() if end in veths and veths.get(other) != (end[1], end)]

    def to_json(self) -> list[dict]:
        """Everything that was read, namespace by namespace, the own one first."""
        return [
            {
                "inode": inode,
                "paths": namespace.found.paths,
                "pids": namespace.found.pids,
                "command": read_file(f"/proc/{namespace.found.pids[0]}/comm").rstrip("\n") if namespace.found.pids else "",
                "links": [
                    link | {"peer": self._peers.get((inode, index)), "parent": self._find_parent(inode, namespace, link)}
                    for index, link in namespace.links.items()
                ],
                "rules": namespace.listing.read() if namespace.listing else [],
                **namespace.settings,
                **namespace.facts,
            }
            for inode, namespace in self._open.items()
        ]

    def _find_parent(self, inode: int, namespace: Namespace, link: dict) -> Place | None:
        """What a device sits on, or a VTEP sends through."""
        index = link.get("lower", link["link"])
        if not index or link["kind"] not in ("macvlan", "ipvlan", "vlan", "vxlan"):
            return None
        other = inode if link["nsid"] is None else self._read_numbers(namespace).get(link["nsid"])
        return (other, index) if other == inode or (other and index in self._open[other].links) else None


def _may_have_rules(found: Found) -> bool:
    """Whether to list rules: a container's own are the engine's for its DNS server, and listing costs 5 ms each."""
    names = [os.path.basename(path) for path in found.paths if "/docker/netns/" in path]
    return not names or any(name in ("default", "ingress_sbox") or name.startswith("lb_") for name in names)


def _has_resolver() -> bool:
    """Whether somebody serves 127.0.0.11 in the namespace of the thread: the engine's embedded DNS server."""
    if "UDP: inuse 0" in read_file("/proc/thread-self/net/sockstat"):
        return False  # the list of sockets is found by a walk over a table of the whole machine: 0.1 ms
    sockets = read_file("/proc/thread-self/net/udp")
    return any(resolver in sockets for resolver in RESOLVERS)
