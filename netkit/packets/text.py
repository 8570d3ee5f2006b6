"""Headers in words, for text and figure alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netkit.packets.headers import VXLAN_PORT, Arp, Cooked, Data, Ethernet, Header, Icmp, Ipv4, Ipv6, Tcp, Udp, Vxlan

if TYPE_CHECKING:
    from netkit.packets.packet import Packet

NAMES = {Ethernet: "Ethernet", Cooked: "Cooked", Arp: "ARP", Ipv4: "IPv4", Ipv6: "IPv6", Udp: "UDP", Tcp: "TCP", Vxlan: "VXLAN"}
TYPES = {0x0806: "ARP", 0x0800: "IPv4", 0x86DD: "IPv6"}
PROTOCOLS = {1: "ICMP", 6: "TCP", 17: "UDP", 50: "ESP", 58: "ICMPv6"}
MESSAGES = {
    (4, 0): "echo reply",
    (4, 8): "echo request",
    (4, 11): "time exceeded",
    (6, 1): "destination unreachable",
    (6, 2): "packet too big",
    (6, 128): "echo request",
    (6, 129): "echo reply",
    (6, 133): "router solicitation",
    (6, 134): "router advertisement",
    (6, 135): "neighbour solicitation",
    (6, 136): "neighbour advertisement",
}
UNREACHABLE = {0: "network unreachable", 1: "host unreachable", 3: "port unreachable", 4: "fragmentation needed", 13: "prohibited"}


def to_text(packet: Packet) -> str:
    """A table: first byte, header, length, what it says; the headers within a tunnel are set in."""
    total = packet.total or len(packet.data)
    rows, depth = [], 0
    for header in packet.headers:
        rows.append((str(header.offset), "  " * depth + tell_name(header), tell_length(header), ", ".join(tell_facts(header))))
        depth += isinstance(header, Vxlan)
    widths = [max(len(row[column]) for row in rows) for column in range(3)] if rows else []
    lines = [f"{row[0]:>{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]}".rstrip() for row in rows]
    return "\n".join([f"{total} bytes", *lines])


def tell_name(header: Header) -> str:
    """What the header is called."""
    if isinstance(header, Icmp):
        return "ICMP" if header.version == 4 else "ICMPv6"
    return NAMES.get(type(header), "data")


def tell_length(header: Header) -> str:
    """How many bytes it has."""
    return f"{header.length} bytes"


def tell_facts(header: Header) -> tuple[str, ...]:
    """What it says, the most important first."""
    teller = TELLERS.get(type(header))
    return teller(header) if teller else ()


def _tell_ethernet(header: Ethernet) -> tuple[str, ...]:
    tag = (f"VLAN {header.vlan}",) if header.vlan is not None else ()
    return (f"from {header.source}", f"to {header.destination}", *tag, f"carries {TYPES.get(header.type, f'{header.type:#06x}')}")


def _tell_cooked(header: Cooked) -> tuple[str, ...]:
    return (f"interface {header.interface}", header.direction, f"carries {TYPES.get(header.type, f'{header.type:#06x}')}")


def _tell_arp(header: Arp) -> tuple[str, ...]:
    if header.operation == 1:
        return (f"who has {header.target}?", f"tell {header.source}")
    return (f"{header.source} is at {header.source_mac}", f"to {header.target}")


def _tell_ipv4(header: Ipv4) -> tuple[str, ...]:
    whole = not header.more_fragments and not header.fragment
    piece = () if whole else (f"fragment from byte {header.fragment}" + (", more follow" if header.more_fragments else ""),)
    return (
        f"from {header.source}",
        f"to {header.destination}",
        f"TTL {header.ttl}",
        *(("do not fragment",) if header.dont_fragment else ()),
        *piece,
        f"carries {PROTOCOLS.get(header.protocol, f'protocol {header.protocol}')}",
    )


def _tell_ipv6(header: Ipv6) -> tuple[str, ...]:
    piece = (f"fragment from byte {header.fragment}",) if header.fragment else ()
    carried = PROTOCOLS.get(header.protocol, f"protocol {header.protocol}")
    return (f"from {header.source}", f"to {header.destination}", f"hop limit {header.hop_limit}", *piece, f"carries {carried}")


def _tell_udp(header: Udp) -> tuple[str, ...]:
    return (f"from port {header.source_port}", f"to port {header.destination_port}" + (", VXLAN" * (header.destination_port == VXLAN_PORT)))


def _tell_tcp(header: Tcp) -> tuple[str, ...]:
    return (f"from port {header.source_port}", f"to port {header.destination_port}", " ".join(header.flags) or "no flags")


def _tell_icmp(header: Icmp) -> tuple[str, ...]:
    told = MESSAGES.get((header.version, header.type), f"type {header.type}, code {header.code}")
    if (header.version, header.type) == (4, 3):
        told = UNREACHABLE.get(header.code, f"unreachable, code {header.code}")
    return (told,) if header.identifier is None else (told, f"id {header.identifier}", f"sequence {header.sequence}")


def _tell_vxlan(header: Vxlan) -> tuple[str, ...]:
    return (f"VNI {header.vni}", "carries a frame")


def _tell_data(header: Data) -> tuple[str, ...]:
    return (f"{header.missing} more were not captured",) if header.missing else ()


TELLERS = {
    Ethernet: _tell_ethernet,
    Cooked: _tell_cooked,
    Arp: _tell_arp,
    Ipv4: _tell_ipv4,
    Ipv6: _tell_ipv6,
    Udp: _tell_udp,
    Tcp: _tell_tcp,
    Icmp: _tell_icmp,
    Vxlan: _tell_vxlan,
    Data: _tell_data,
}
