"""All network stacks of a machine at one moment, fitted together although they change meanwhile.

The kernel offers no snapshot over several tables, let alone namespaces. So each is read, then what
belongs together is compared: a veth end whose other end does not name it in return was read while the
pair came, went or moved. Both sides are then read again; what still does not fit has vanished.
"""

from __future__ import annotations

import contextlib
import os
import time

from netkit.hosts.namespaces import Found, find_namespaces, read_command
from netkit.hosts.netlink import Tables
from netkit.hosts.rules import Listing
from netkit.laboratory.inside.syscalls import NEWNET, setns

ATTEMPTS = 8
# seconds in which a namespace that is held by nothing but the exit of its last user is gone; one that
# outlasts them is elsewhere
PAUSES = (0.002, 0.005, 0.01, 0.02, 0.04, 0)
RESOLVER = b"0B00007F:"  # 127.0.0.11 as /proc/net/udp writes it on little-endian machines
RESOLVER_BIG = b"7F00000B:"

Place = tuple[int, int]  # a namespace's inode, an interface's number


class Stack:
    """One namespace, open: its socket and its descriptor keep it reachable until all is read."""

    def __init__(self, found: Found, fd: int, tables: Tables) -> None:
        self.found, self.fd, self.tables = found, fd, tables
        self.links: dict[int, dict] = {}
        self.facts: dict = {}
        self.listing: Listing | None = None

    def read_links(self) -> None:
        self.links = {link["index"]: link for link in self.tables.read_links()}


class Stacks:
    """The namespaces of this machine: :meth:`read` them, then :meth:`fit` them together."""

    def __init__(self) -> None:
        self._open: dict[int, Stack] = {}
        self._own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._peers: dict[Place, Place] = {}

    def close(self) -> None:
        """Let go of all namespaces: one that is held cannot end."""
        for stack in self._open.values():
            stack.tables.close()
            os.close(stack.fd)
        self._open.clear()
        os.close(self._own)

    def __contains__(self, inode: int) -> bool:
        return inode in self._open

    def read(self) -> None:
        """Read every namespace there is, and not read yet."""
        for inode, found in find_namespaces().items():
            if inode in self._open:
                self._open[inode].found = found
            else:
                with contextlib.suppress(OSError):  # it has vanished since it was found
                    self._read_one(found)
        setns(self._own, NEWNET)

    def _read_one(self, found: Found) -> None:
        fd = os.open(found.opener, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if os.fstat(fd).st_ino != found.inode:
                raise ProcessLookupError("another process has this number by now")
            setns(fd, NEWNET)
            stack = Stack(found, fd, Tables())
            stack.read_links()
            stack.facts = _read_facts(stack)
            if _may_have_rules(found):
                stack.listing = Listing()
        except OSError:
            os.close(fd)
            raise
        self._open[found.inode] = stack

    def fit(self) -> None:
        """Find each veth end's other end, reading again what does not fit; drop what never does."""
        for _ in range(ATTEMPTS):
            self._peers = self._find_peers()
            known = len(self._open)
            if self._find_doubtful_ends():
                self.read()  # a namespace may have been made since
            doubtful = {inode for pair in self._find_misfits() for inode, _ in pair}
            if not doubtful and len(self._open) == known:
                break
            for inode in doubtful:
                self._open[inode].read_links()
                self._open[inode].facts |= _read_facts(self._open[inode])
        self._peers = self._find_peers()  # with what the last look has found
        for pause in PAUSES:
            for stack, link in self._find_loose_ends():
                if link["nsid"] is None or not stack.tables.is_alive(link["nsid"]):
                    del stack.links[link["index"]]  # going down together with the namespace of its other end
            if not self._find_doubtful_ends():
                break
            time.sleep(pause)
            self.read()
            self._peers = self._find_peers()
        while misfits := self._find_misfits():  # each one dropped may leave another without its other end
            for (inode, index), _ in misfits:
                del self._open[inode].links[index]

    def _find_loose_ends(self) -> list[tuple[Stack, dict]]:
        """Veth ends whose other end is in no namespace that was read."""
        return [
            (stack, link)
            for inode, stack in self._open.items()
            for index, link in stack.links.items()
            if link["kind"] == "veth" and (inode, index) not in self._peers
        ]

    def _find_doubtful_ends(self) -> list[tuple[Stack, dict]]:
        """Loose ends that may be on their way in or out: a cable that carries an address is in use."""
        return [(stack, link) for stack, link in self._find_loose_ends() if not _has_address(stack, link)]

    def _find_peers(self) -> dict[Place, Place]:
        """Other ends, asked for where most veths are first: each answer tells both directions."""
        peers: dict[Place, Place] = {}
        fds = [stack.fd for stack in self._open.values()]
        for inode, stack in sorted(self._open.items(), key=lambda item: -len(item[1].links)):
            ends = [link for link in stack.links.values() if link["kind"] == "veth" and (inode, link["index"]) not in peers]
            if not ends:
                continue
            ids = {}
            if any(link["nsid"] is not None for link in ends):
                ids = dict(zip(stack.tables.read_namespace_ids(fds), self._open, strict=True))
                ids.pop(-1, None)
            for link in ends:
                other = inode if link["nsid"] is None else ids.get(link["nsid"])
                if other is not None:
                    peers[inode, link["index"]] = (other, link["link"])
                    peers[other, link["link"]] = (inode, link["index"])
        return peers

    def _find_misfits(self) -> list[tuple[Place, Place]]:
        """Pairs of which an end is missing, or does not name the other in return."""
        return [(end, other) for end, other in self._peers.items() if end[1] in self._open[end[0]].links and not self._is_pair(end, other)]

    def _is_pair(self, end: Place, other: Place) -> bool:
        link = self._open[other[0]].links.get(other[1])
        return link is not None and link["kind"] == "veth" and link["link"] == end[1] and self._peers.get(other) == end

    def to_json(self) -> list[dict]:
        """Everything that was read, namespace by namespace, the own one first."""
        return [self._tell(inode, stack) for inode, stack in self._open.items()]

    def _tell(self, inode: int, stack: Stack) -> dict:
        links = [link | {"peer": self._peers.get((inode, index))} for index, link in stack.links.items()]
        for link in links:
            if link["kind"] in ("macvlan", "ipvlan", "vlan", "vxlan"):
                link["parent"] = self._find_parent(inode, stack, link)
        return {
            "inode": inode,
            "paths": stack.found.paths,
            "command": read_command(stack.found.pids[0]) if stack.found.pids else "",
            "links": links,
            "rules": stack.listing.read() if stack.listing else [],
            **stack.facts,
        }

    def _find_parent(self, inode: int, stack: Stack, link: dict) -> Place | None:
        index = link.get("lower") or link["link"]
        if not index or (link["kind"] == "vxlan" and "lower" in link and not link["lower"]):
            return None
        if link["nsid"] is None:
            return (inode, index)
        ids = stack.tables.read_namespace_ids([other.fd for other in self._open.values()])
        other = next((each for each, number in zip(self._open, ids, strict=True) if number == link["nsid"]), None)
        return (other, index) if other is not None and index in self._open[other].links else None


def _read_facts(stack: Stack) -> dict:
    """The tables beside the links; the thread may be anywhere, but for the files, which are read once."""
    tables = stack.tables
    facts = {
        "addresses": tables.read_addresses(),
        "routes": tables.read_routes(),
        "neighbours": tables.read_neighbours(),
        "forwarding": [],
    }
    if any(link["kind"] in ("bridge", "vxlan") for link in stack.links.values()):
        facts["forwarding"] = tables.read_forwarding()
    if not stack.facts:
        facts["resolver"] = _has_resolver()
        facts["forwards"] = _read("/proc/sys/net/ipv4/ip_forward").strip() == b"1"
    return facts


def _has_address(stack: Stack, link: dict) -> bool:
    """One that was given to it: link-local ones come by themselves."""
    return any(index == link["index"] and not text.startswith("fe80:") for index, text in stack.facts["addresses"])


def _may_have_rules(found: Found) -> bool:
    """Whether to list rules: a container's own are the engine's for its DNS server, and listing costs 5 ms each."""
    names = [os.path.basename(path) for path in found.paths if "/docker/netns/" in path]
    return not names or any(name in ("default", "ingress_sbox") or name.startswith("lb_") for name in names)


def _has_resolver() -> bool:
    """Whether somebody serves 127.0.0.11 in the namespace of the thread: the engine's embedded DNS server."""
    if b"UDP: inuse 0" in _read("/proc/thread-self/net/sockstat"):
        return False  # the list of sockets is found by a walk over a table of the whole machine: 0.1 ms
    text = _read("/proc/thread-self/net/udp")
    return RESOLVER in text or RESOLVER_BIG in text


def _read(path: str) -> bytes:
    """A short file of the kernel's, or nothing."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        parts = []
        while part := os.read(fd, 1 << 16):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(fd)
