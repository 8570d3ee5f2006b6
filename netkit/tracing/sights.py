"""From captured frames to sights: one packet seen once, at one interface. Pure."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from ipaddress import ip_address

from netkit.packets.headers import Arp, Ethernet, Header, Icmp, Ipv4, Ipv6, Tcp, Udp, Vxlan
from netkit.packets.packet import decode
from netkit.tracing.model import Addresses, Tunnel

OUTGOING, OTHERS = 4, 3  # packet types of packet(7)
PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6"}
BEGINNING = 256  # bytes of a payload that tell it from others
DNS, RESOLVER = 53, ip_address("127.0.0.11")
QUERIES = {1: "A", 28: "AAAA", 12: "PTR", 15: "MX", 16: "TXT", 33: "SRV"}
FLAG_BITS = {"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32, "ECE": 64, "CWR": 128}
ERRORS4 = {0: "net", 1: "host", 3: "port", 4: "too-big", 9: "prohibited", 10: "prohibited", 13: "prohibited"}
ERRORS6 = {0: "net", 1: "prohibited", 3: "host", 4: "port"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """A packet at an interface: where, which way, when (ns since 1970), and what it was.

    ``key`` is what NAT and tunnels leave alone, whole; ``weak`` the part of it that the packet filter reports, too. ``about`` are the
    addresses of the packet that an ICMP error is about, as that had them here.
    """

    node: str
    namespace: str
    interface: str
    direction: str
    kind: int
    stamp: int
    order: int
    frame: bytes
    protocol: str
    what: str
    addresses: Addresses
    ttl: int
    key: tuple
    weak: tuple
    destination_mac: str = ""
    tunnel: Tunnel | None = None
    about: Addresses | None = None
    error: str = ""
    mtu: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """An ARP packet at an interface."""

    node: str
    namespace: str
    interface: str
    direction: str
    stamp: int
    operation: int
    source: object
    target: object


def calc_sight(node: str, namespace: str, order: int, record: tuple) -> Sight | Asking | None:
    """What a frame was: ``record`` is interface, packet type, stamp and bytes; None for what is neither IP nor ARP."""
    interface, kind, stamp, frame = record
    headers = decode(frame)
    direction = "out" if kind == OUTGOING else "in"
    tunnel, inner = _find_inner(headers)
    network = next((each for each in inner if isinstance(each, Ipv4 | Ipv6)), None)
    place = {"node": node, "namespace": namespace, "interface": interface, "direction": direction, "stamp": stamp}
    if network is None:
        arp = next((each for each in headers if isinstance(each, Arp)), None)
        return arp and Asking(**place, operation=arp.operation, source=arp.source, target=arp.target)
    ethernet = next((each for each in inner if isinstance(each, Ethernet)), None)
    transport = next((each for each in inner if isinstance(each, Tcp | Udp | Icmp)), None)
    start = network.offset + network.length
    body = frame[start : network.offset + network.total if network.total else None]
    return Sight(
        **place,
        kind=kind,
        order=order,
        frame=frame,
        protocol=PROTOCOLS.get(network.protocol, str(network.protocol)),
        addresses=calc_addresses(network, transport),
        ttl=network.ttl if isinstance(network, Ipv4) else network.hop_limit,
        key=(*calc_weak(frame[network.offset : start], body), *_calc_rest(network, transport, body)),
        weak=calc_weak(frame[network.offset : start], body),
        destination_mac=ethernet.destination if ethernet else "",
        tunnel=tunnel,
        **_describe(network, transport, body),
    )


def _find_inner(headers: tuple[Header, ...]) -> tuple[Tunnel | None, tuple[Header, ...]]:
    """The tunnel around a frame, and the headers in it."""
    at = next((number for number, each in enumerate(headers) if isinstance(each, Vxlan)), None)
    if at is None:
        return None, headers
    outer = next(each for each in headers if isinstance(each, Ipv4 | Ipv6))
    return Tunnel(source=outer.source, destination=outer.destination, vni=headers[at].vni), headers[at + 1 :]


def calc_addresses(network: Ipv4 | Ipv6, transport: Header | None) -> Addresses:
    """Whence and whither."""
    more = {}
    if isinstance(transport, Tcp | Udp):
        more = {"source_port": transport.source_port, "destination_port": transport.destination_port}
    elif isinstance(transport, Icmp):
        more = {"identifier": transport.identifier}
    return Addresses(source=network.source, destination=network.destination, **more)


def calc_weak(network: bytes, transport: bytes) -> tuple:
    """What NAT leaves alone in the first bytes of a packet; the packet filter reports no more than those."""
    version = network[0] >> 4 if network else 0
    protocol, number = (
        (network[9], int.from_bytes(network[4:6], "big")) if version == 4 and len(network) >= 20 else (_calc_next(network), 0)
    )
    if version == 4 and int.from_bytes(network[6:8], "big") & 0x1FFF:
        return (version, protocol, number, network[6:8])
    if protocol == 6 and len(transport) >= 14:
        return (version, protocol, number, transport[4:12], transport[13])
    if protocol == 17 and len(transport) >= 8:
        return (version, protocol, number, transport[4:6])
    if protocol in (1, 58) and len(transport) >= 8:
        echo = transport[0] in ((0, 8) if protocol == 1 else (128, 129))
        return (version, protocol, number, transport[:2], transport[6:8] if echo else b"")
    return (version, protocol, number)


def _calc_next(network: bytes) -> int:
    """The protocol behind an IPv6 header; extension headers are rare here, and their last one names it."""
    if len(network) <= 40:
        return network[6] if len(network) == 40 else 0
    protocol, at = network[6], 40
    while protocol in (0, 43, 44, 60) and len(network) >= at + 8:
        protocol, at = network[at], at + (8 if protocol == 44 else 8 * (network[at + 1] + 1))
    return protocol


def _calc_rest(network: Ipv4 | Ipv6, transport: Header | None, body: bytes) -> tuple:
    if isinstance(transport, Tcp | Udp):
        payload = body[transport.length :]
        return (len(payload), _digest(payload))
    if isinstance(transport, Icmp):
        if transport.identifier is not None:
            return (_digest(body[8:]),)
        quoted = body[8:]
        inner = quoted[:1] and quoted[0] >> 4
        begin = (quoted[0] & 15) * 4 if inner == 4 else 40
        return (calc_weak(quoted[:begin], quoted[begin : begin + 20]),)
    return (len(body), _digest(body))


def _digest(data: bytes) -> bytes:
    return hashlib.blake2s(data[:BEGINNING], digest_size=8).digest()


def _describe(network: Ipv4 | Ipv6, transport: Header | None, body: bytes) -> dict:
    """The packet in words; of an ICMP error also what it is about."""
    if isinstance(transport, Tcp):
        return {"what": f"TCP {' '.join(transport.flags) or 'data'}"}
    if isinstance(transport, Udp):
        return {"what": _tell_dns(body[8:]) if _is_dns(network, transport) else "UDP datagram"}
    if isinstance(transport, Icmp):
        return _describe_icmp(transport, body)
    return {"what": "fragment" if network.fragment else f"protocol {network.protocol}"}


def _is_dns(network: Ipv4 | Ipv6, transport: Udp) -> bool:
    """By its port, or by the address of the engine's own server, whose port is drawn by lot."""
    return DNS in (transport.source_port, transport.destination_port) or RESOLVER in (network.source, network.destination)


def _describe_icmp(header: Icmp, body: bytes) -> dict:
    if header.identifier is not None:
        return {"what": "echo request" if header.type in (8, 128) else "echo reply"}
    error, mtu = "", None
    if header.version == 4 and header.type == 3:
        error = ERRORS4.get(header.code, "unreachable")
        mtu = int.from_bytes(body[6:8], "big") if error == "too-big" else None
    elif header.version == 6 and header.type in (1, 2):
        error = "too-big" if header.type == 2 else ERRORS6.get(header.code, "unreachable")
        mtu = int.from_bytes(body[4:8], "big") if error == "too-big" else None
    elif (header.version, header.type) in ((4, 11), (6, 3)):
        error = "ttl"
    if not error:
        return {"what": f"ICMP type {header.type}"}
    words = {"port": "port unreachable", "net": "network unreachable", "host": "host unreachable", "ttl": "time exceeded"}
    words |= {"too-big": "too big", "prohibited": "prohibited", "unreachable": "unreachable"}
    return {"what": f"ICMP {words[error]}", "error": error, "mtu": mtu, "about": calc_quoted(body[8:])}


def calc_quoted(data: bytes) -> Addresses | None:
    """The addresses of a packet whose first bytes these are."""
    version = data[0] >> 4 if data else 0
    size = (data[0] & 15) * 4 if version == 4 else 40
    if version not in (4, 6) or len(data) < size:
        return None
    source, destination = (data[12:16], data[16:20]) if version == 4 else (data[8:24], data[24:40])
    protocol = data[9] if version == 4 else _calc_next(data[:size])
    more, rest = {}, data[size:]
    if protocol in (6, 17) and len(rest) >= 4:
        ports = struct.unpack_from("!HH", rest)
        more = {"source_port": ports[0], "destination_port": ports[1]}
    elif protocol in (1, 58) and len(rest) >= 6 and rest[0] in ((0, 8) if protocol == 1 else (128, 129)):
        more = {"identifier": int.from_bytes(rest[4:6], "big")}
    return Addresses(source=ip_address(source), destination=ip_address(destination), **more)


def _tell_dns(data: bytes) -> str:
    """ "DNS query app A" or "DNS answer app A" (RFC 1035)."""
    if len(data) < 17:
        return "DNS"
    word = "answer" if data[2] & 0x80 else "query"
    if word == "answer" and data[3] & 15:
        word = {3: "answer: no such name for", 2: "answer: failure for", 5: "answer: refused for"}.get(data[3] & 15, word)
    labels = []
    at = 12
    while at < len(data) and 0 < data[at] < 64:
        labels.append(data[at + 1 : at + 1 + data[at]].decode("ascii", "replace"))
        at += 1 + data[at]
    kind = int.from_bytes(data[at + 1 : at + 3], "big")
    return f"DNS {word} {'.'.join(labels)} {QUERIES.get(kind, f'type {kind}')}"
