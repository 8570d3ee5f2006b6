"""From captured frames to sights, one packet seen once at one interface; and from the packet filter's reports to sections. Pure."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from ipaddress import ip_address

from netkit.packets.headers import ECHOES, ICMPV6, Arp, Ethernet, Header, Icmp, Ip, Ipv4, Ipv6, Tcp, Udp, Vxlan
from netkit.packets.packet import decode
from netkit.tracing.values import DNS, Addresses, Hop, Question, Rule, Tunnel, value

OUTGOING, OTHERS = 4, 3  # packet types of packet(7)
PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", ICMPV6: "icmpv6"}
BEGINNING = 256  # bytes of a payload that tell it from others
RESOLVER = ip_address("127.0.0.11")
QUERIES = {1: "A", 28: "AAAA", 12: "PTR", 15: "MX", 16: "TXT", 33: "SRV"}
FAILURES = {3: "answer: no such name for", 2: "answer: failure for", 5: "answer: refused for"}
TOO_BIG = ("fragmentation needed", "packet too big")  # the errors that say which MTU there is
OWN = "netkit-trace"  # the table that marks packets for the packet filter's reports


@value
class Glimpse:
    """What is known of a packet at one moment, ``stamp``, somewhere; ``weak`` is what NAT leaves alone of what the packet filter reports.

    ``flow`` is the protocol of the flow it belongs to. That of an ICMP error is that of the packet it is about, which had here the
    addresses ``about``.
    """

    stamp: int
    protocol: str
    flow: str
    what: str
    addresses: Addresses
    weak: tuple
    error: str = ""
    mtu: int | None = None
    about: Addresses | None = None


@value
class Sight(Glimpse):
    """A packet at an interface; ``kind`` is its packet type, ``key`` all that NAT and tunnels leave alone."""

    hop: Hop
    kind: int
    key: tuple
    destination_mac: str = ""


@value
class Asking:
    """An ARP packet at an interface; ``question`` is who asks for what, if it is one."""

    question: Question
    direction: str
    stamp: int
    arp: Arp


@value
class Section(Glimpse):
    """What one packet met at one hook, in one base chain and those it jumps to."""

    node: str
    namespace: str
    inward: str
    outward: str
    rules: tuple[Rule, ...]

    @property
    def dropped(self) -> Rule | None:
        """The rule that ended the packet."""
        return self.rules[-1] if self.rules and self.rules[-1].verdict == "drop" else None


def calc_sight(node: str, namespace: str, record: tuple, ahead: int = 0) -> Sight | Asking | None:
    """What a frame was: ``record`` is interface, packet type, stamp and bytes; None for what is neither IP nor ARP.

    ``ahead`` is by how many ns the clock of the stamp is ahead.
    """
    interface, kind, stamp, frame = record
    headers = decode(frame)
    inside = next((number for number, each in enumerate(headers, 1) if isinstance(each, Vxlan)), 0)
    outer, network = _find(headers, Ip), _find(headers[inside:], Ip)
    place = {"node": node, "namespace": namespace, "interface": interface}
    when = {"direction": "out" if kind == OUTGOING else "in", "stamp": stamp - ahead}
    if network is None:
        arp = _find(headers, Arp)
        return arp and Asking(question=Question(**place, target=arp.target), arp=arp, **when)
    ethernet, transport = _find(headers[inside:], Ethernet), _find(headers[inside:], Tcp, Udp, Icmp)
    body = frame[network.offset + network.length : network.calc_end(len(frame))]
    payload = body[transport.length :] if transport else body
    told = _glimpse(network, body, when["stamp"]) | _describe(network, transport, body)
    rest = len(payload), hashlib.blake2s(payload[:BEGINNING], digest_size=8).digest()
    if isinstance(transport, Icmp) and transport.identifier is None and (header := _read_ip(payload)):
        quoted = _glimpse(header, payload[header.length :], 0)
        told |= {"flow": quoted["flow"], "about": quoted["addresses"]} if transport.error else {}
        rest = (quoted["weak"],)
    tunnel = Tunnel(source=outer.source, destination=outer.destination, vni=headers[inside - 1].vni) if inside else None
    known = {"addresses": told["addresses"], "ttl": network.ttl, "tunnel": tunnel, "length": len(frame), "frame": frame}
    mac = ethernet.destination if ethernet else ""
    return Sight(hop=Hop(**place, **when, **known), kind=kind, key=(*told["weak"], *rest), destination_mac=mac, **told)


def _find(headers: Iterable[Header], *kinds: type[Header]) -> Header | None:
    return next((each for each in headers if isinstance(each, kinds)), None)


def _read_ip(data: bytes) -> Ip | None:
    """The header that begins a packet."""
    return Ipv4.read(data) or Ipv6.read(data)


def _glimpse(header: Ip, body: bytes, stamp: int) -> dict:
    """What a header and the first bytes behind it tell; ``weak`` is made of no more than those, as the packet filter reports no more."""
    protocol, more, same = PROTOCOLS.get(header.protocol, str(header.protocol)), {}, ()
    if header.fragment:
        same = (header.fragment,)
    elif protocol in ("tcp", "udp") and len(body) >= 4:
        more = {"source_port": int.from_bytes(body[:2], "big"), "destination_port": int.from_bytes(body[2:4], "big")}
        same = (body[4:12], body[13:14]) if protocol == "tcp" else (body[4:6],)
    elif protocol in ("icmp", "icmpv6") and len(body) >= 8:
        is_echo = (4 if protocol == "icmp" else 6, body[0]) in ECHOES
        more = {"identifier": int.from_bytes(body[4:6], "big")} if is_echo else {}
        same = (body[:2], body[6:8] if is_echo else b"")
    addresses = Addresses(source=header.source, destination=header.destination, **more)
    weak = (header.source.version, header.protocol, getattr(header, "identification", 0), *same)
    return {"stamp": stamp, "protocol": protocol, "flow": protocol, "weak": weak, "addresses": addresses}


def _describe(network: Ip, transport: Header | None, body: bytes) -> dict:
    """The packet in words, and what kind of error it is."""
    if isinstance(transport, Tcp):
        return {"what": f"TCP {' '.join(transport.flags) or 'data'}"}
    if isinstance(transport, Udp):
        # by its port, or by the address of the engine's own server, whose port is random
        is_dns = DNS in (transport.source_port, transport.destination_port) or RESOLVER in (network.source, network.destination)
        return {"what": _tell_dns(body[8:]) if is_dns else "UDP datagram"}
    if not isinstance(transport, Icmp):
        return {"what": "fragment" if network.fragment else f"protocol {network.protocol}"}
    if not transport.error:
        return {"what": ECHOES.get((transport.version, transport.type), f"ICMP type {transport.type}")}
    mtu = int.from_bytes(body[6:8] if transport.version == 4 else body[4:8], "big")
    return {"what": f"ICMP {transport.error}", "error": transport.error, "mtu": mtu if transport.error in TOO_BIG else None}


def _tell_dns(data: bytes) -> str:
    """ "DNS query app A" or "DNS answer app A" (RFC 1035)."""
    if len(data) < 17:
        return "DNS message"
    word = FAILURES.get(data[3] & 15, "answer") if data[2] & 0x80 else "query"
    labels, at = [], 12
    while at < len(data) and 0 < data[at] < 64:
        labels.append(data[at + 1 : at + 1 + data[at]].decode("ascii", "replace"))
        at += 1 + data[at]
    kind = int.from_bytes(data[at + 1 : at + 3], "big")
    return f"DNS {word} {'.'.join(labels)} {QUERIES.get(kind, f'type {kind}')}"


def calc_sections(node: str, namespace: str, place: dict, ahead: int = 0) -> Iterator[Section]:
    """The sections of one namespace's reports, in order; ``ahead`` as for :func:`calc_sight`."""
    lines = calc_lines(place["handles"], place["listing"])
    links = {int(index): name for index, name in place["links"].items()}
    current: dict[int, list[dict]] = {}
    sections = []
    for report in place["reports"]:
        if "network" in report:  # the packet's headers begin a base chain; reports without, of the same packet, go on in it
            sections.append([])
            current[report["id"]] = sections[-1]
        current.get(report["id"], []).append(report)
    for reports in sections:
        first = reports[0]
        network, body = _read_ip(bytes.fromhex(first["network"])), bytes.fromhex(first["transport"])
        if network is None:
            continue
        met = {"node": node, "namespace": namespace, "inward": links.get(first["in"], ""), "outward": links.get(first["out"], "")}
        _, kind = network.carries
        # only its first bytes are reported, which may end within the options of TCP
        what = _describe(network, kind and kind.read(body.ljust(60, b"\0")), body)["what"]
        # a chain's end is told as a rule without a handle
        counted = [each for each in reports if each["table"] != OWN and (each["handle"] or each["kind"] == "policy")]
        rules = tuple(_calc_rule(each, lines, met) for each in counted)
        yield Section(**met, **_glimpse(network, body, first["stamp"] - ahead), what=what, rules=rules)


def calc_lines(handles: Iterable, listing: Iterable[dict]) -> dict[tuple, tuple[int, str]]:
    """The number and text of each rule, by family, table, chain and handle."""
    told: dict[tuple, list[str]] = defaultdict(list)
    for each in listing:
        table = ""
        for line in each["lines"] if each["backend"] == "nf_tables" else ():
            if line.startswith("*"):
                table = line[1:]
            elif line.startswith("-A "):
                told["ip" if each["family"] == 4 else "ip6", table, line.split(" ", 2)[1]].append(line)
    chains: dict[tuple, list[int]] = defaultdict(list)
    for *chain, handle in handles:
        chains[tuple(chain)].append(handle)
    return {
        (*chain, handle): (number, told[chain][number - 1] if len(told[chain]) == len(numbers) else "")
        for chain, numbers in chains.items()
        for number, handle in enumerate(numbers, 1)
    }


def _calc_rule(report: dict, lines: dict, met: dict) -> Rule:
    where = {name: report[name] for name in ("family", "table", "chain")}
    number, text = (0, f"-P {report['chain']} {report['verdict'].upper()}") if report["kind"] == "policy" else (-1, "")
    if report["handle"]:
        number, text = lines.get((*where.values(), report["handle"]), (-1, ""))
    return Rule(**met, **where, number=number, text=text, verdict=f"{report['verdict']} {report['to']}".strip())
