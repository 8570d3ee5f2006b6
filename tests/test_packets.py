"""Captured packets are decoded as tcpdump decodes them, and nothing that is on the wire makes the decoder fail."""

from __future__ import annotations

import base64
import re
import struct
from ipaddress import IPv6Address, ip_address

import pytest

from netkit.errors import NetkitError
from netkit.figure.paint import measure
from netkit.laboratory.lab import open_lab
from netkit.packets.headers import Arp, Cooked, Data, Ethernet, Icmp, Icmpv6, Ipv4, Ipv6, Tcp, Udp, Vxlan
from netkit.packets.packet import Packet, calc_layout, decode, read_packet, read_packets
from tests.swarms import form_swarm

pytestmark = pytest.mark.once

MACS = bytes(range(6)) + bytes(range(16, 22))


def _ipv4(payload: bytes, protocol: int, bits: int = 0x4000, ttl: int = 64) -> bytes:
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 7, bits, ttl, protocol, 0, bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]))
    return head + payload


def _frame(payload: bytes, kind: int = 0x0800) -> bytes:
    return MACS + struct.pack("!H", kind) + payload


ECHO = struct.pack("!BBHHH", 8, 0, 0, 5, 1) + b"x" * 8
TCP = struct.pack("!HHIIBBHHH", 40000, 80, 9, 0, 5 << 4, 0b10010, 1000, 0, 0)
VXLAN = struct.pack("!HHHH", 40000, 4789, 0, 0) + struct.pack("!II", 0x08 << 24, 4097 << 8)
SAMPLES = {
    "ping": (_frame(_ipv4(ECHO, 1)), [Ethernet, Ipv4, Icmp, Data]),
    "tcp": (_frame(_ipv4(TCP, 6)), [Ethernet, Ipv4, Tcp]),
    "padded": (_frame(_ipv4(TCP, 6)) + bytes(6), [Ethernet, Ipv4, Tcp]),
    "vxlan": (_frame(_ipv4(VXLAN + _frame(_ipv4(ECHO, 1)), 17)), [Ethernet, Ipv4, Udp, Vxlan, Ethernet, Ipv4, Icmp, Data]),
    "vlan": (MACS + struct.pack("!HHH", 0x8100, 0x2005, 0x0800) + _ipv4(ECHO, 1), [Ethernet, Ipv4, Icmp, Data]),
    "fragment": (_frame(_ipv4(ECHO, 1, bits=0x0003)), [Ethernet, Ipv4, Data]),
    "arp": (_frame(b"\0\1\x08\0\6\4\0\1" + bytes(20), 0x0806), [Ethernet, Arp]),
    "unknown": (_frame(b"abc", 0x1234), [Ethernet, Data]),
    "ipv6": (
        _frame(struct.pack("!IHBB", 6 << 28, 16, 0, 9) + IPv6Address("fd00::1").packed * 2 + b"\x3a\0" + bytes(6) + b"\x80\0" + bytes(6), 0x86DD),
        [Ethernet, Ipv6, Icmpv6],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SAMPLES)
def test_headers_follow_each_other(name):
    """Every byte belongs to one header, padding excepted, and the kinds are those that were put there."""
    data, kinds = SAMPLES[name]
    headers = decode(data)
    assert [type(header) for header in headers] == kinds
    ends = [0, *(header.offset + header.length for header in headers)]
    assert [header.offset for header in headers] == ends[:-1] and ends[-1] <= len(data)


def test_fields_are_read():
    """Addresses, ports, flags, tags and numbers are where the RFCs have them."""
    ethernet, outer, udp, vxlan, _, inner, icmp, data = decode(SAMPLES["vxlan"][0])
    assert (ethernet.destination, ethernet.source) == ("00:01:02:03:04:05", "10:11:12:13:14:15")
    assert (outer.source, outer.destination, outer.ttl) == (ip_address("10.0.0.1"), ip_address("10.0.0.2"), 64)
    assert (udp.destination_port, vxlan.vni, inner.dont_fragment) == (4789, 4097, True)
    assert (icmp.type, icmp.identifier, icmp.sequence, data.length) == (8, 5, 1, 8)
    tcp = decode(SAMPLES["tcp"][0])[2]
    assert (tcp.source_port, tcp.destination_port, tcp.flags, tcp.sequence) == (40000, 80, ("SYN", "ACK"), 9)
    assert decode(SAMPLES["vlan"][0])[0].vlan == 5
    assert decode(SAMPLES["fragment"][0])[1].fragment == 24
    assert decode(SAMPLES["ipv6"][0])[1].length == 48


def test_nothing_makes_the_decoder_fail(seeded):
    """Packets cut anywhere, and with bytes turned, still decode into headers within the packet, a text and a figure."""
    for data, _ in SAMPLES.values():
        damaged = [data[:length] for length in range(len(data))]
        for _ in range(60):
            turned = bytearray(data)
            for _ in range(seeded.randint(1, 4)):
                turned[seeded.randrange(len(turned))] = seeded.randrange(256)
            damaged.append(bytes(turned))
        for each in damaged:
            packet = Packet(each, link=seeded.choice([1, 276]), total=len(data))
            assert all(0 <= header.offset <= header.offset + header.length <= len(each) for header in packet.headers)
            assert packet.text().startswith(f"{len(data)} bytes")
    for data, _ in SAMPLES.values():
        assert calc_layout(decode(data), measure).texts


def test_a_figure_has_every_header_and_room_for_its_words():
    """Each header is a card with its name and length; no text is wider than its card."""
    picture = calc_layout(decode(SAMPLES["vxlan"][0]), measure)
    names = [text.text for text in picture.texts if text.bold]
    assert names == ["Ethernet", "IPv4", "UDP", "VXLAN", "data", "Ethernet", "IPv4", "ICMP", "data"]
    for text in picture.texts:
        card = next(box for box in picture.boxes if box.x <= text.x < box.x + box.width and box.y <= text.y < box.y + box.height)
        assert text.x + measure(text.text, text.size, bold=text.bold) <= card.x + card.width
        assert card.x + card.width <= picture.width and card.y + card.height <= picture.height


def test_a_packet_of_the_overlay_is_what_tcpdump_says(tmp_path):
    """VXLAN captured on the LAN, and on all interfaces: addresses, VNI, sequence and sizes agree with tcpdump's own words."""
    with open_lab(2) as lab:
        one, two = lab
        form_swarm(one, two)
        one.run("docker network create -d overlay --attachable net; docker run -d --name a1 --network net busybox sleep 100")
        two.run("docker run -d --name b1 --network net busybox sleep 100")
        ping = "for i in $(seq 100); do docker exec a1 ping -c1 -W1 b1 && break; sleep 0.05; done"
        for interface in ("eth0", "any"):
            said = one.run(
                f"tcpdump -i {interface} -U -w /tmp/{interface}.pcap -c 2 udp port 4789 2>/tmp/log & "
                f"for i in $(seq 250); do grep -qs listening /tmp/log && break; sleep 0.02; done; {ping} >/dev/null; wait; "
                f"rm /tmp/log; tcpdump -nner /tmp/{interface}.pcap 2>/dev/null; base64 -w0 /tmp/{interface}.pcap"
            ).stdout
            words, _, encoded = said.rpartition("\n")
            (tmp_path / interface).write_bytes(base64.b64decode(encoded))
            packets = list(read_packets(tmp_path / interface))
            assert len(packets) == 2
            for packet in packets:
                _compare_with_tcpdump(packet, words)


def _compare_with_tcpdump(packet: Packet, words: str) -> None:
    kinds = {type(header): header for header in packet.headers}
    outer = next(header for header in packet.headers if isinstance(header, Ipv4))
    inner, icmp = kinds[Ipv4], kinds[Icmp]
    port = kinds[Udp].source_port
    assert f"{outer.source}.{port} > {outer.destination}.4789: VXLAN, flags [I] (0x08), vni {kinds[Vxlan].vni}" in words
    verb = "request" if icmp.type == 8 else "reply"
    assert f"{inner.source} > {inner.destination}: ICMP echo {verb}, id {icmp.identifier}, seq {icmp.sequence}, length 64" in words
    assert f"{kinds[Ethernet].source} > {kinds[Ethernet].destination}, ethertype IPv4" in words
    assert Cooked in kinds or f"length {len(packet.data)}:" in words
    assert re.search(r"(?m)^42  VXLAN", packet.text()) or Cooked in kinds


@pytest.mark.parametrize(
    "content", [b"", b"nonsense", b"\x0a\x0d\x0d\x0a" + bytes(60), struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 99, 105)]
)
def test_a_file_that_is_no_capture_is_refused(tmp_path, content):
    """The file is named; nothing is a traceback of struct's."""
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(NetkitError, match=str(path)):
        read_packet(path)


def test_a_capture_still_being_written_ends_with_its_last_whole_packet(tmp_path):
    """Both byte orders and both units of time are read; a packet that is not there is refused."""
    frame = SAMPLES["ping"][0]
    for order, magic, unit in (("<", 0xA1B2C3D4, 1000), (">", 0xA1B23C4D, 1)):
        head = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, 1)
        record = struct.pack(order + "IIII", 3, 5, len(frame), len(frame) + 10) + frame
        (tmp_path / "file").write_bytes(head + record + record[:30])
        packet = read_packet(tmp_path / "file")
        assert (packet.data, packet.total, packet.time) == (frame, len(frame) + 10, 3 * 10**9 + 5 * unit)
        assert packet.headers[-1].missing == 10
        with pytest.raises(NetkitError, match="has 1 packets: there is no number 2"):
            read_packet(tmp_path / "file", 2)
    with pytest.raises(NetkitError, match="cannot be read"):
        read_packet(tmp_path / "nowhere")
