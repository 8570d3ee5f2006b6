"""The headers of a packet, as values. Offsets and lengths are in bytes, from the packet's first one."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

VXLAN_PORT = 4789  # RFC 7348


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A header's place in the packet."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ethernet(Header):
    """IEEE 802.3; ``type`` is the EtherType, ``vlan`` the tag of IEEE 802.1Q if there is one."""

    source: str
    destination: str
    type: int
    vlan: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cooked(Header):
    """What a capture on all interfaces has instead (LINKTYPE_LINUX_SLL2): ``interface`` is the ifindex.

    ``direction`` is to us, broadcast, multicast, to another, or from us (packet(7)).
    """

    interface: int
    direction: str
    source: str
    type: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Arp(Header):
    """RFC 826, for IPv4; ``operation`` is 1 for a question, 2 for an answer."""

    operation: int
    source_mac: str
    source: IPv4Address
    target_mac: str
    target: IPv4Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Ipv4(Header):
    """RFC 791; ``fragment`` is where in the whole datagram this piece begins."""

    source: IPv4Address
    destination: IPv4Address
    ttl: int
    protocol: int
    identification: int
    total: int
    dont_fragment: bool = False
    more_fragments: bool = False
    fragment: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ipv6(Header):
    """RFC 8200, extension headers included in its length."""

    source: IPv6Address
    destination: IPv6Address
    hop_limit: int
    protocol: int
    total: int
    fragment: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Udp(Header):
    """RFC 768."""

    source_port: int
    destination_port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tcp(Header):
    """RFC 9293; ``flags`` are those that are set, such as ("SYN", "ACK")."""

    source_port: int
    destination_port: int
    sequence: int
    acknowledgement: int
    flags: tuple[str, ...]
    window: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Icmp(Header):
    """RFC 792, or RFC 4443 with ``version`` 6. Identifier and sequence are those of an echo."""

    version: int
    type: int
    code: int
    identifier: int | None = None
    sequence: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Vxlan(Header):
    """RFC 7348: what follows is a whole frame of the network ``vni``."""

    vni: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Data(Header):
    """What is left; ``missing`` bytes of it were on the wire, but were not captured."""

    missing: int = 0
