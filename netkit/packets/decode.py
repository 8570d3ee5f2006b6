"""From bytes to headers. Pure; what is cut short or unknown ends as :class:`Data`, never as an error."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address

from netkit.packets.headers import VXLAN_PORT, Arp, Cooked, Data, Ethernet, Header, Icmp, Ipv4, Ipv6, Tcp, Udp, Vxlan

ETHERNET, COOKED = 1, 276  # link types of pcap files, https://www.tcpdump.org/linktypes.html
VLAN, ARP, IPV4, IPV6 = 0x8100, 0x0806, 0x0800, 0x86DD
ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
EXTENSIONS = {0, 43, 60}  # hop-by-hop options, routing, destination options: next header, length in 8 bytes
FRAGMENT = 44
ECHOES = {(4, 0), (4, 8), (6, 128), (6, 129)}
FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR")
DIRECTIONS = ("to us", "broadcast", "multicast", "to another", "from us")


def decode(data: bytes, link: int = ETHERNET, vxlan_port: int = VXLAN_PORT, total: int | None = None) -> tuple[Header, ...]:
    """The headers of a packet, outermost first, :class:`Data` last if anything is left.

    ``link`` is the link type of its first header, ``total`` the bytes it had on the wire.
    """
    headers: list[Header] = []
    reader = _read_cooked if link == COOKED else _read_ethernet if link == ETHERNET else None
    offset, end = 0, len(data)
    while reader:
        found = reader(data[:end], offset, vxlan_port)
        if found is None:
            break
        header, reader, end = found
        headers.append(header)
        offset = header.offset + header.length
    missing = max(0, (total or len(data)) - len(data))
    if offset < end or missing:
        headers.append(Data(offset=offset, length=max(0, end - offset), missing=missing))
    return tuple(headers)


def _read_ethernet(data: bytes, at: int, port: int):
    if len(data) < at + 14:
        return None
    length, vlan = 14, None
    (kind,) = struct.unpack_from("!H", data, at + 12)
    if kind == VLAN and len(data) >= at + 18:
        vlan, kind = struct.unpack_from("!HH", data, at + 14)
        length, vlan = 18, vlan & 0xFFF
    header = Ethernet(
        offset=at, length=length, destination=_mac(data[at : at + 6]), source=_mac(data[at + 6 : at + 12]), type=kind, vlan=vlan
    )
    return header, NETWORK.get(kind), len(data)


def _read_cooked(data: bytes, at: int, port: int):
    if len(data) < at + 20:
        return None
    kind, _, index, _, direction, size = struct.unpack_from("!HHIHBB", data, at)
    told = DIRECTIONS[direction] if direction < len(DIRECTIONS) else f"type {direction}"
    header = Cooked(offset=at, length=20, interface=index, direction=told, source=_mac(data[at + 12 : at + 12 + min(size, 6)]), type=kind)
    return header, NETWORK.get(kind), len(data)


def _read_arp(data: bytes, at: int, port: int):
    if len(data) < at + 28 or data[at : at + 6] != b"\0\1\x08\0\6\4":
        return None
    (operation,) = struct.unpack_from("!H", data, at + 6)
    header = Arp(
        offset=at,
        length=28,
        operation=operation,
        source_mac=_mac(data[at + 8 : at + 14]),
        source=IPv4Address(data[at + 14 : at + 18]),
        target_mac=_mac(data[at + 18 : at + 24]),
        target=IPv4Address(data[at + 24 : at + 28]),
    )
    return header, None, at + 28  # what follows pads the frame


def _read_ipv4(data: bytes, at: int, port: int):
    if len(data) < at + 20 or data[at] >> 4 != 4:
        return None
    length = (data[at] & 15) * 4
    total, identification, bits, ttl, protocol = struct.unpack_from("!HHHBB", data, at + 2)
    if length < 20 or len(data) < at + length:
        return None
    header = Ipv4(
        offset=at,
        length=length,
        source=IPv4Address(data[at + 12 : at + 16]),
        destination=IPv4Address(data[at + 16 : at + 20]),
        ttl=ttl,
        protocol=protocol,
        identification=identification,
        total=total,
        dont_fragment=bool(bits & 0x4000),
        more_fragments=bool(bits & 0x2000),
        fragment=(bits & 0x1FFF) * 8,
    )
    # a short frame is padded; a large one whose length is left to the network card says 0
    end = at + total if length <= total <= len(data) - at else len(data)
    return header, None if header.fragment else TRANSPORT.get(protocol), end


def _read_ipv6(data: bytes, at: int, port: int):
    if len(data) < at + 40 or data[at] >> 4 != 6:
        return None
    size, protocol, hop_limit = struct.unpack_from("!HBB", data, at + 4)
    length, fragment = 40, 0
    while (protocol in EXTENSIONS or protocol == FRAGMENT) and len(data) >= at + length + 8:
        if protocol == FRAGMENT:
            fragment = struct.unpack_from("!H", data, at + length + 2)[0] & 0xFFF8
        step = 8 if protocol == FRAGMENT else 8 * (data[at + length + 1] + 1)
        protocol, length = data[at + length], length + step
    if len(data) < at + length:
        return None
    header = Ipv6(
        offset=at,
        length=length,
        source=IPv6Address(data[at + 8 : at + 24]),
        destination=IPv6Address(data[at + 24 : at + 40]),
        hop_limit=hop_limit,
        protocol=protocol,
        total=40 + size,
        fragment=fragment,
    )
    end = at + 40 + size if length <= 40 + size <= len(data) - at else len(data)
    return header, None if fragment else TRANSPORT.get(protocol), end


def _read_udp(data: bytes, at: int, port: int):
    if len(data) < at + 8:
        return None
    source, destination = struct.unpack_from("!HH", data, at)
    header = Udp(offset=at, length=8, source_port=source, destination_port=destination)
    return header, _read_vxlan if destination == port else None, len(data)


def _read_tcp(data: bytes, at: int, port: int):
    if len(data) < at + 20:
        return None
    source, destination, sequence, acknowledgement, offset, bits, window = struct.unpack_from("!HHIIBBH", data, at)
    length = (offset >> 4) * 4
    if length < 20 or len(data) < at + length:
        return None
    flags = tuple(name for number, name in enumerate(FLAGS) if bits >> number & 1)
    header = Tcp(
        offset=at,
        length=length,
        source_port=source,
        destination_port=destination,
        sequence=sequence,
        acknowledgement=acknowledgement,
        flags=flags,
        window=window,
    )
    return header, None, len(data)


def _read_icmp(data: bytes, at: int, port: int):
    return _calc_icmp(data, at, 4)


def _read_icmp6(data: bytes, at: int, port: int):
    return _calc_icmp(data, at, 6)


def _calc_icmp(data: bytes, at: int, version: int):
    if len(data) < at + 8:
        return None
    kind, code, _, identifier, sequence = struct.unpack_from("!BBHHH", data, at)
    echo = {"identifier": identifier, "sequence": sequence} if (version, kind) in ECHOES else {}
    return Icmp(offset=at, length=8, version=version, type=kind, code=code, **echo), None, len(data)


def _read_vxlan(data: bytes, at: int, port: int):
    if len(data) < at + 8 or not data[at] & 0x08:  # the flag that says: this has a VNI
        return None
    (word,) = struct.unpack_from("!I", data, at + 4)
    return Vxlan(offset=at, length=8, vni=word >> 8), _read_ethernet, len(data)


def _mac(raw: bytes) -> str:
    return raw.hex(":")


NETWORK = {ARP: _read_arp, IPV4: _read_ipv4, IPV6: _read_ipv6}
TRANSPORT = {ICMP: _read_icmp, TCP: _read_tcp, UDP: _read_udp, ICMPV6: _read_icmp6}
