"""The pure part of traces, on captures that were frozen on engines 20.10, 26.1 and 28.5."""

from __future__ import annotations

import base64
import gzip
import json
import shutil
import struct
import subprocess
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from netkit.errors import NetkitError
from netkit.figure.layout import calc_layout
from netkit.figure.paint import measure
from netkit.laboratory.remote import Result
from netkit.network.capture import Topology
from netkit.tracing.assemble import build_trace
from netkit.tracing.steps import calc_steps
from netkit.tracing.view import Trace, calc_picture, to_pcapng

pytestmark = pytest.mark.once

CAPTURES = Path(__file__).parent / "captures"
ENGINES = ("", "26.1", "28.5")


def read(name: str) -> dict:
    """A frozen capture, unpacked."""
    data = json.loads(gzip.decompress((CAPTURES / f"{name}.json.gz").read_bytes()))
    for answer in data["answers"].values():
        for place in answer["places"]:
            place["frames"] = [(*frame[:3], base64.b64decode(frame[3])) for frame in place["frames"]]
    return data


def build(data: dict) -> Trace:
    """The trace of a capture."""
    output = Result(data["node"], data["command"], data["status"], data["stdout"], data["stderr"])
    topology = Topology.from_json(data["topology"])
    return build_trace(output, data["answers"], topology, data["begin"], data["end"])


def load(name: str, drops: int = 0) -> Trace:
    """A frozen capture, put together anew; ``drops`` are packets said to have been lost."""
    data = read(name)
    next(iter(data["answers"].values()))["places"][0]["drops"] += drops
    return build(data)


frozen = cache(load)

DROPPED = """\
node1: docker exec web ping -c1 -W1 172.18.0.2

echo request, 172.17.0.2 → 172.18.0.2
   1  container web  eth0              out  172.17.0.2 → 172.18.0.2  TTL 64
   2  node1          veth of web eth0  in   172.17.0.2 → 172.18.0.2  TTL 64
      ✗ dropped by the packet filter of node1 on its way from docker0 to bridge of shop

The echo request was dropped by the packet filter of node1 on its way from docker0 to bridge of shop."""


@pytest.mark.parametrize("engine", ENGINES)
def test_what_engines_do_differently_is_told_alike(engine):
    """Engines drop by other rules in other chains: the text is the same, the rules are their own."""
    trace = frozen(f"dropped{engine}")
    assert trace.text() == DROPPED
    named = trace.rules()[-1]
    expected = ("raw", "PREROUTING") if engine == "28.5" else ("filter", "DOCKER-ISOLATION-STAGE-2")
    assert (named.table, named.chain, named.verdict) == (*expected, "drop")
    assert named.text.startswith(f"-A {named.chain} ") and named.text.endswith("-j DROP") and named.number > 0
    assert named.title in trace.text(rules=True)


@pytest.mark.parametrize("name", ["published", "outbound"])
def test_nat_is_told_alike_on_every_engine(name):
    """The same network, the same text."""
    assert len({frozen(f"{name}{engine}").text() for engine in ENGINES}) == 1


def test_nat_is_recognised_both_ways():
    """The packet before and after NAT is one packet, the answer too, and each change has its author."""
    request, answer = frozen("outbound").flows[0].packets
    assert [str(hop.addresses.source) for hop in request.hops] == ["172.18.0.2"] * 3 + ["192.168.59.1"] * 2
    assert [str(hop.addresses.destination) for hop in answer.hops] == ["192.168.59.1"] * 2 + ["172.18.0.2"] * 3
    text = frozen("outbound").text()
    assert "NAT in node1: source 172.18.0.2 → 192.168.59.1 (masquerade)" in text
    assert "NAT in node1: destination 192.168.59.1 → 172.18.0.2 (NAT undone)" in text


def test_a_frame_within_a_frame_is_the_same_packet():
    """An overlay's packet is one from container to container; between the nodes it goes wrapped."""
    request = next(packet for packet in frozen("overlay").packets if packet.what == "echo request")
    assert [(hop.node, hop.interface) for hop in request.hops if hop.tunnel] == [("node1", "eth0"), ("node2", "eth0")]
    assert [hop.namespace.split()[0] for hop in request.hops] == [
        "container",
        "overlay",
        "overlay",
        "host",
        "host",
        "overlay",
        "overlay",
        "container",
    ]
    assert [hop.stamp for hop in request.hops] == sorted(hop.stamp for hop in request.hops)


def test_losses_and_ends_are_told():
    """A capture that lost packets, or was cut off, says so in text and verdict."""
    assert "The capture is incomplete: 3 packets were lost." in load("outbound", drops=3).text()
    assert "it ended before the command did" in replace(frozen("outbound"), truncated=True).text()


def test_times_are_told_only_when_asked_for():
    """The table holds no time, unless asked for."""
    assert "µs" not in frozen("outbound").text()
    assert frozen("outbound").text(times=True).count("µs") == 10


@pytest.mark.parametrize("name", ["dropped", "dropped28.5", "outbound", "overlay", "published"])
def test_steps_lie_on_the_picture(name):
    """Every hop is a step within the picture, each begins where the one before it ended, numbers count up."""
    trace = frozen(name)
    picture = calc_layout(trace.topology, measure=measure)
    steps = calc_steps(trace, picture)
    assert [step.number for step in steps] == list(range(1, len(steps) + 1))
    assert all(0 <= x <= picture.width and 0 <= y <= picture.height for step in steps for x, y in (*step.points, (step.x, step.y)))
    for before, step in pairwise(steps):
        assert not step.points or (step.points[0], step.points[-1]) == ((before.x, before.y), (step.x, step.y))
    assert {"dropped"} & {step.kind for step in steps} == ({"dropped"} if "dropped" in name else set())
    assert sum(step.kind == "change" for step in steps) >= (2 if name in ("outbound", "published") else 0)


def test_a_figure_of_one_node_shows_what_is_on_it():
    """Steps that are not on the picture are left out, and the rest is drawn all the same."""
    trace = frozen("overlay")
    picture = calc_picture(trace, measure=measure, node="node2")
    assert not any("node1" in shape.about for shape in picture.shapes if getattr(shape, "role", "").startswith("step"))


def test_the_drop_is_marked():
    """A cross, the word, and the sentence."""
    picture = calc_picture(frozen("dropped"), measure=measure)
    assert [shape.role for shape in picture.shapes].count("cross") == 1
    assert any(text.text == "dropped" for text in picture.texts)


def read_blocks(data: bytes) -> list[tuple[int, bytes]]:
    """The blocks of a pcapng file, by its specification; fails where lengths do not agree."""
    blocks, at = [], 0
    while at < len(data):
        kind, size = struct.unpack_from("<II", data, at)
        assert size % 4 == 0 and struct.unpack_from("<I", data, at + size - 4)[0] == size
        blocks.append((kind, data[at + 8 : at + size - 4]))
        at += size
    return blocks


def read_options(data: bytes) -> dict[int, list[bytes]]:
    found: dict[int, list[bytes]] = {}
    at = 0
    while at < len(data):
        kind, size = struct.unpack_from("<HH", data, at)
        if kind == 0:
            break
        found.setdefault(kind, []).append(data[at + 4 : at + 4 + size])
        at += 4 + (size + 3) // 4 * 4
    return found


def test_pcapng_holds_every_hop():
    """One interface for each place, named node/namespace/interface; each hop's bytes, time and comment; in the order of time."""
    trace = frozen("overlay")
    hops = sorted((hop for packet in trace.packets for hop in packet.hops), key=lambda hop: hop.stamp)
    blocks = read_blocks(to_pcapng(trace))
    assert blocks[0][0] == 0x0A0D0D0A
    names = [read_options(body[8:])[2][0].decode() for kind, body in blocks if kind == 1]
    packets = [body for kind, body in blocks if kind == 6]
    assert sorted(names) == sorted({hop.place for hop in hops}) and len(packets) == len(hops)
    for body, hop in zip(packets, hops, strict=True):
        interface, high, low, captured, length = struct.unpack_from("<IIIII", body)
        assert (names[interface], high << 32 | low, body[20 : 20 + captured], length) == (hop.place, hop.stamp, hop.frame, hop.length)
        options = read_options(body[20 + (captured + 3) // 4 * 4 :])
        assert options[1][0].startswith(b"hop ")


def test_tcpdump_reads_the_pcapng(tmp_path):
    """tcpdump opens the file and tells as many packets as there are hops; a place that cannot be written to is told."""
    if not shutil.which("tcpdump"):
        pytest.skip("no tcpdump on this machine")
    trace = frozen("outbound")
    trace.pcapng(tmp_path / "out.pcapng")
    lines = subprocess.run(["tcpdump", "-nr", tmp_path / "out.pcapng"], capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(lines) == sum(len(packet.hops) for packet in trace.packets)
    with pytest.raises(NetkitError, match="cannot be written"):
        trace.pcapng("/nowhere/at/all")


def test_a_notebook_gets_figure_and_text():
    """The cell's text is the table, for nbval and for screen readers; the figure is a PNG."""
    data, metadata = frozen("dropped")._repr_mimebundle_()
    assert data["text/plain"] == DROPPED == repr(frozen("dropped"))
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG") and metadata["image/png"]["alt"] == DROPPED


def skew(name: str, node: str, by: int, asked: tuple[int, int]) -> Trace:
    """A frozen capture as it were if the clock of a host had been ``by`` ns ahead, and that host had been asked for the time."""
    data = read(name)
    answer = data["answers"][node]
    for place in answer["places"]:
        place["frames"] = [(interface, kind, stamp + by, frame) for interface, kind, stamp, frame in place["frames"]]
        place["reports"] = [report | {"stamp": report["stamp"] + by} for report in place["reports"]]
    answer["clock"] = asked
    return build(data)


@pytest.mark.parametrize("by", [-3_000_000_000, -900_000, -20_000, 0, 20_000, 900_000, 3_000_000_000], ids=lambda by: f"{by} ns")
def test_clocks_that_differ_change_nothing(by):
    """Between hosts whose clocks differ, by microseconds or seconds, a packet's hops are told in the order of its way."""
    asked = (by - 800_000, by + 700_000)  # the answer was on its way that long
    skewed, true = skew("overlay", "node2", by, asked), frozen("overlay")
    assert skewed.text() == true.text()
    for packet, other in zip(skewed.packets, true.packets, strict=True):
        assert [hop.place for hop in packet.hops] == [hop.place for hop in other.hops]
        assert all(abs(hop.time - twin.time) < 200 for hop, twin in zip(packet.hops, other.hops, strict=True))
        assert all(one.time <= two.time for one, two in pairwise(packet.hops))


def test_a_clock_that_was_set_meanwhile_does_not_matter():
    """If a host's time was set between its packets and the question, the packets are believed."""
    assert skew("overlay", "node2", 5_000_000_000, (0, 1_000_000)).text() == frozen("overlay").text()


def test_one_clock_is_left_alone():
    """On one machine the answer's bounds hold 0, and every stamp stays as the kernel gave it."""
    assert [hop.stamp for packet in skew("overlay", "node2", 0, (-90_000, 80_000)).packets for hop in packet.hops] == [
        hop.stamp for packet in frozen("overlay").packets for hop in packet.hops
    ]
