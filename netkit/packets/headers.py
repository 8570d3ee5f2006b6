"""The headers of a packet: what each is made of, carries and says. Offsets and lengths are in bytes, from the packet's first one. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from struct import Struct, unpack_from

ETHERNET, COOKED = 1, 276  # link types of pcap files, https://www.tcpdump.org/linktypes.html
VXLAN_PORT = 4789  # RFC 7348
VLAN, FRAGMENT, ICMPV6 = 0x8100, 44, 58
EXTENSIONS = {0, 43, FRAGMENT, 60}  # hop-by-hop options, routing, fragment, destination options: next header, length in 8 bytes
PARTS = {4: IPv4Address, 6: lambda mac: mac.hex(":"), 16: IPv6Address}  # by their length in bytes
FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR")
DIRECTIONS = ("to us", "broadcast", "multicast", "to another", "from us")
ECHOES = {(4, 0): "echo reply", (4, 8): "echo request", (6, 128): "echo request", (6, 129): "echo reply"}
MESSAGES = ECHOES | {(6, 133): "router solicitation", (6, 134): "router advertisement"}
MESSAGES |= {(6, 135): "neighbour solicitation", (6, 136): "neighbour advertisement"}
# by version and type, and by version, type and code
ERRORS = {(4, 3): "unreachable", (4, 11): "time exceeded", (6, 1): "unreachable", (6, 2): "packet too big", (6, 3): "time exceeded"}
ERRORS |= {(4, 3, 0): "network unreachable", (4, 3, 1): "host unreachable", (4, 3, 3): "port unreachable"}
ERRORS |= {(4, 3, 4): "fragmentation needed", **dict.fromkeys(((4, 3, 9), (4, 3, 10), (4, 3, 13), (6, 1, 1)), "prohibited")}
ERRORS |= {(6, 1, 0): "network unreachable", (6, 1, 3): "host unreachable", (6, 1, 4): "port unreachable"}

value = dataclass(frozen=True, slots=True, kw_only=True)


@value
class Header:
    """A header's place in the packet.

    Of each kind, ``name`` is what it is called, ``layout`` what it has at least, ``wire`` what its parts are, in that order,
    ``carries`` what is behind it: in words, and the kind of header where that is known.
    """

    offset: int
    length: int
    name, layout, wire, carries = "", Struct(""), (), ("", None)

    @classmethod
    def read(cls, data: bytes, at: int = 0) -> Header | None:
        """The header there; None if there is none, or not all of it."""
        if len(data) < at + cls.layout.size:
            return None
        found = zip(cls.wire, cls.layout.unpack_from(data, at), strict=True)
        parts = {name: part if isinstance(part, int) else PARTS[len(part)](part) for name, part in found}
        header = cls.complete(parts | {"offset": at, "length": cls.layout.size}, data)
        return header if header and at + header.length <= len(data) else None

    @classmethod
    def complete(cls, parts: dict, data: bytes) -> Header | None:
        """From what is always there to the whole header."""
        return cls(**parts)

    def calc_end(self, end: int) -> int:
        """Where what it carries ends, in a packet that ends at ``end``: the rest pads the frame."""
        return end

    def tell(self) -> tuple[str, ...]:
        """What it says of itself, the most important first."""
        return ()


@value
class Ethernet(Header):
    """IEEE 802.3; ``type`` is the EtherType, ``vlan`` the tag of IEEE 802.1Q if there is one."""

    source: str
    destination: str
    type: int
    vlan: int | None = None
    name, layout, wire = "Ethernet", Struct("!6s6sH"), ("destination", "source", "type")

    @classmethod
    def complete(cls, parts, data):
        if parts["type"] == VLAN and len(data) >= parts["offset"] + 18:
            tag, parts["type"] = unpack_from("!HH", data, parts["offset"] + 14)
            parts |= {"vlan": tag & 0xFFF, "length": 18}
        return cls(**parts)

    @property
    def carries(self):
        return NETWORK.get(self.type, (f"{self.type:#06x}", None))

    def tell(self):
        return (f"from {self.source}", f"to {self.destination}", *([] if self.vlan is None else [f"VLAN {self.vlan}"]))


@value
class Cooked(Header):
    """What a capture on all interfaces has instead (LINKTYPE_LINUX_SLL2): an ifindex, and one of DIRECTIONS (packet(7))."""

    interface: int
    direction: str
    source: str
    type: int
    name, layout, wire = "Cooked", Struct("!HxxIxxBB6sxx"), ("type", "interface", "direction", "size", "source")
    carries = Ethernet.carries

    @classmethod
    def complete(cls, parts, data):
        number, size = parts["direction"], parts.pop("size")
        direction = DIRECTIONS[number] if number < len(DIRECTIONS) else f"type {number}"
        return cls(**parts | {"direction": direction, "source": parts["source"][: max(0, size * 3 - 1)]})

    def tell(self):
        return (f"interface {self.interface}", self.direction)


@value
class Arp(Header):
    """RFC 826, for IPv4; ``operation`` is 1 for a question, 2 for an answer."""

    operation: int
    source_mac: str
    source: IPv4Address
    target_mac: str
    target: IPv4Address
    name, layout, wire = "ARP", Struct("!6sH6s4s6s4s"), ("kinds", "operation", "source_mac", "source", "target_mac", "target")

    @classmethod
    def complete(cls, parts, data):
        return cls(**parts) if parts.pop("kinds") == "00:01:08:00:06:04" else None

    def calc_end(self, end):
        return self.offset + self.length

    def tell(self):
        if self.operation == 1:
            return (f"who has {self.target}?", f"tell {self.source}")
        return (f"{self.source} is at {self.source_mac}", f"to {self.target}")


@value
class Ip(Header):
    """What both versions have: ``total`` is the datagram's length, ``fragment`` where this piece begins, ``ttl`` also the hop limit."""

    source: IPv4Address | IPv6Address
    destination: IPv4Address | IPv6Address
    protocol: int
    ttl: int
    total: int
    fragment: int = 0
    more_fragments: bool = False
    dont_fragment: bool = False
    lifetime = "TTL"

    @property
    def carries(self):
        words, kind = TRANSPORT.get(self.protocol, (f"protocol {self.protocol}", None))
        return words, None if self.fragment else kind

    def calc_end(self, end):
        # a short frame is padded; a large one whose length is left to the network card says 0
        return self.offset + self.total if self.length <= self.total <= end - self.offset else end

    def tell(self):
        piece = f"fragment from byte {self.fragment}" + ", more follow" * self.more_fragments
        rest = ["do not fragment"] * self.dont_fragment + [piece] * bool(self.fragment or self.more_fragments)
        return (f"from {self.source}", f"to {self.destination}", f"{self.lifetime} {self.ttl}", *rest)


@value
class Ipv4(Ip):
    """RFC 791."""

    identification: int
    name, layout = "IPv4", Struct("!BxHHHBBxx4s4s")
    wire = ("first", "total", "identification", "bits", "ttl", "protocol", "source", "destination")

    @classmethod
    def complete(cls, parts, data):
        first, bits = parts.pop("first"), parts.pop("bits")
        parts |= {"length": (first & 15) * 4, "fragment": (bits & 0x1FFF) * 8}
        parts |= {"dont_fragment": bool(bits & 0x4000), "more_fragments": bool(bits & 0x2000)}
        return cls(**parts) if first >> 4 == 4 and parts["length"] >= 20 else None


@value
class Ipv6(Ip):
    """RFC 8200, extension headers included in its length."""

    name, lifetime = "IPv6", "hop limit"
    layout, wire = Struct("!IHBB16s16s"), ("first", "total", "protocol", "ttl", "source", "destination")

    @classmethod
    def complete(cls, parts, data):
        parts["total"] += 40
        while parts["protocol"] in EXTENSIONS and len(data) >= parts["offset"] + parts["length"] + 8:
            is_piece = parts["protocol"] == FRAGMENT
            parts["protocol"], more, bits = unpack_from("!BBH", data, parts["offset"] + parts["length"])
            parts["length"] += 8 if is_piece else 8 * (more + 1)
            if is_piece:
                parts |= {"fragment": bits & 0xFFF8, "more_fragments": bool(bits & 1)}
        return cls(**parts) if parts.pop("first") >> 28 == 6 else None


@value
class Udp(Header):
    """RFC 768."""

    source_port: int
    destination_port: int
    name, layout, wire = "UDP", Struct("!HHxxxx"), ("source_port", "destination_port")

    @property
    def carries(self):
        return "", Vxlan if self.destination_port == VXLAN_PORT else None

    def tell(self):
        return (f"from port {self.source_port}", f"to port {self.destination_port}" + ", VXLAN" * (self.destination_port == VXLAN_PORT))


@value
class Tcp(Header):
    """RFC 9293; ``flags`` are those that are set, such as ("SYN", "ACK")."""

    source_port: int
    destination_port: int
    sequence: int
    acknowledgement: int
    flags: tuple[str, ...]
    window: int
    name, layout = "TCP", Struct("!HHIIBBHxxxx")
    wire = ("source_port", "destination_port", "sequence", "acknowledgement", "words", "flags", "window")

    @classmethod
    def complete(cls, parts, data):
        parts["length"] = (parts.pop("words") >> 4) * 4
        parts["flags"] = tuple(name for number, name in enumerate(FLAGS) if parts["flags"] >> number & 1)
        return cls(**parts) if parts["length"] >= 20 else None

    def tell(self):
        return (f"from port {self.source_port}", f"to port {self.destination_port}", " ".join(self.flags) or "no flags")


@value
class Icmp(Header):
    """RFC 792. Identifier and sequence are those of an echo."""

    type: int
    code: int
    identifier: int | None = None
    sequence: int | None = None
    name, version, layout, wire = "ICMP", 4, Struct("!BBxxHH"), ("type", "code", "identifier", "sequence")

    @classmethod
    def complete(cls, parts, data):
        other = {} if (cls.version, parts["type"]) in ECHOES else {"identifier": None, "sequence": None}
        return cls(**parts | other)

    @property
    def error(self) -> str:
        """What an error is about: "port unreachable", "time exceeded"; "" for any other message."""
        kind = (self.version, self.type)
        return ERRORS.get((*kind, self.code)) or ERRORS.get(kind, "")

    def tell(self):
        told = self.error or MESSAGES.get((self.version, self.type), f"type {self.type}")
        told += f", code {self.code}" * (told in ("unreachable", f"type {self.type}"))
        return (told,) if self.identifier is None else (told, f"id {self.identifier}", f"sequence {self.sequence}")


@value
class Icmpv6(Icmp):
    """RFC 4443."""

    name, version = "ICMPv6", 6


@value
class Vxlan(Header):
    """RFC 7348: what follows is a whole frame of the network ``vni``."""

    vni: int
    name, layout, wire, carries = "VXLAN", Struct("!BxxxI"), ("flags", "vni"), ("a frame", Ethernet)

    @classmethod
    def complete(cls, parts, data):
        return cls(**parts | {"vni": parts["vni"] >> 8}) if parts.pop("flags") & 0x08 else None

    def tell(self):
        return (f"VNI {self.vni}",)


@value
class Data(Header):
    """What is left; ``missing`` bytes of it were on the wire, but were not captured."""

    missing: int = 0
    name = "data"

    def tell(self):
        return (f"{self.missing} more were not captured",) if self.missing else ()


NETWORK = {0x0806: ("ARP", Arp), 0x0800: ("IPv4", Ipv4), 0x86DD: ("IPv6", Ipv6)}
TRANSPORT = {1: ("ICMP", Icmp), 6: ("TCP", Tcp), 17: ("UDP", Udp), 50: ("ESP", None), ICMPV6: ("ICMPv6", Icmpv6)}
