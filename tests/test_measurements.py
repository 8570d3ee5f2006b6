"""What iperf3 and ping have written is read as it is, medians of repetitions are compared, and rubbish is refused by name."""

from __future__ import annotations

import json

import pytest

from netkit.errors import NetkitError
from netkit.laboratory.lab import open_lab
from netkit.measurements import read_measurements

pytestmark = pytest.mark.once

PINGS = {
    "iputils": "64 bytes from 10.0.0.1: icmp_seq=1 ttl=64 time=0.200 ms\n64 bytes from 10.0.0.1: icmp_seq=2 ttl=64 time=0.100 ms\n"
    "64 bytes from 10.0.0.1: icmp_seq=3 ttl=64 time=9 ms\n\nrtt min/avg/max/mdev = 0.100/3.1/9.000/0.1 ms\n",
    "busybox": "3 packets transmitted\nround-trip min/avg/max = 0.100/0.200/0.300 ms\n",
    "quiet": "3 packets transmitted\nrtt min/avg/max/mdev = 0.100/0.200/0.300/0.001 ms\n",
}


def _write(place, name: str, *bits: float) -> None:
    for number, value in enumerate(bits, 1):
        (place / f"{name}.{number}.json").write_text(json.dumps({"end": {"sum_received": {"bits_per_second": value}}}))


def test_medians_of_repetitions_are_compared(tmp_path):
    """The middle one counts, the extremes are told, other files are left alone."""
    _write(tmp_path, "host", 4e9, 1e9, 2e9)
    _write(tmp_path, "hosts", 9e9)
    _write(tmp_path, "bridge", 1.5e9)
    (tmp_path / "host.log.1.json").write_text("not mine")
    for name in ("host", "bridge"):
        (tmp_path / f"{name}.1.ping").write_text(PINGS["iputils"])
    found = read_measurements(tmp_path, ["bridge", "host"])
    assert found.throughput("host") == 2e9 and found.latency("host") == pytest.approx(0.0002)
    assert found.text() == "bridge  1.50 Gbit/s, 200 µs\nhost    2.00 Gbit/s (1.00 to 4.00 in 3 runs), 200 µs"
    shown, _ = found._repr_mimebundle_()
    assert set(shown) == {"text/plain", "image/png"}


@pytest.mark.parametrize("kind", PINGS)
def test_each_kind_of_ping_is_read(tmp_path, kind):
    """With every time told the median counts, else the average."""
    (tmp_path / "some name.1.ping").write_text(PINGS[kind])
    found = read_measurements(tmp_path, ["some name"])
    assert found.latency("some name") == pytest.approx(0.0002)
    with pytest.raises(NetkitError, match="no throughput of 'some name' was measured"):
        found.throughput("some name")
    assert found.draw().axes[0].get_title(loc="left").startswith("round trip")


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("host.1.json", '{"error": "unable to connect to server"}', "iperf3 says: unable to connect"),
        ("host.1.json", "{", "no complete output"),
        ("host.1.json", "[1]", "no complete output"),
        ("host.1.json", '{"end": {}}', "no complete output"),
        ("host.1.ping", "1 packets transmitted, 0 received", "no output of a `ping` that was answered"),
        ("host.1.ping", b"\xff\xfe", "cannot be read"),
        ("other", "", "no file host.N.json"),
    ],
)
def test_what_is_no_measurement_is_refused_by_name(tmp_path, file, content, said):
    """The file is named, and what to do."""
    (tmp_path / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(NetkitError, match=said):
        read_measurements(tmp_path, ["host"])


def test_what_was_not_asked_for_is_refused(tmp_path):
    """A name that was not read is told together with those that were."""
    _write(tmp_path, "host", 1e9)
    with pytest.raises(NetkitError, match="'hots' was not measured; host were"):
        read_measurements(tmp_path, ["host"]).throughput("hots")


def test_real_outputs_are_read(tmp_path):
    """iperf3 and ping between two hosts of a lab."""
    with open_lab(1) as lab:
        lab["outside"].run("iperf3 -s -D -1; for i in $(seq 100); do ss -Hltn 'sport = 5201' | grep -q . && break; sleep 0.02; done")
        said = lab["node1"].run("timeout 20 iperf3 -J -n 20M -c 192.168.59.254; echo =====; ping -c 3 -i 0.01 192.168.59.254").stdout
    report, pinged = said.split("=====\n")
    (tmp_path / "lan.1.json").write_text(report)
    (tmp_path / "lan.1.ping").write_text(pinged)
    found = read_measurements(tmp_path, ["lan"])
    assert found.throughput("lan") == json.loads(report)["end"]["sum_received"]["bits_per_second"]
    assert 0 < found.latency("lan") < 1
