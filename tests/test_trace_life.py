"""What a trace leaves behind: nothing, however it ends; what it says when it cannot see everything; where it refuses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from netkit.errors import LabError
from netkit.figure.paint import measure
from netkit.laboratory.lab import open_lab
from netkit.laboratory.remote import Result
from netkit.network.capture import Topology
from netkit.tracing.assemble import build_trace
from netkit.tracing.run import Recorder, trace
from netkit.tracing.view import calc_picture
from tests.conftest import NETKIT
from tests.patience import at_most, patiently
from tests.test_trace_values import read

STATE = "nft list ruleset | sed 's/counter packets [0-9]* bytes [0-9]*//'; iptables-save -t filter | grep -v '^#' | sed 's/ *\\[.*//'; pgrep -c netkit-trace; grep -c . /proc/net/packet"
TRACE = "import sys; from netkit.laboratory.lab import Lab; from netkit.tracing.run import trace; print('begun', flush=True); trace(sys.argv[2], lab=Lab(sys.argv[1]), node='node1')"


@pytest.fixture(scope="module")
def small():
    """A lab of one node with a container."""
    with open_lab(1, label="tests") as lab:
        lab["node1"].run("docker run -d --name web busybox sleep 1000")
        yield lab


@pytest.fixture(scope="module")
def two():
    """A lab of two nodes, of which a test may end the second."""
    with open_lab(2, label="tests") as lab:
        yield lab


@pytest.fixture
def pair(two):
    """That lab, both nodes up."""
    two.ensure("node2")
    return two


def _state(lab) -> str:
    return lab["node1"].run(STATE, check=False).stdout + lab["outside"].run("nft list ruleset; pgrep -c netkit-trace", check=False).stdout


def _wait_for_state(lab, state: str) -> str:
    end = time.monotonic() + patiently()
    while (now := _state(lab)) != state and time.monotonic() < end:
        time.sleep(0.05)
    return now


def test_a_trace_leaves_nothing(small):
    """After a trace there is no table, rule, process or packet socket that was not there before."""
    before = _state(small)
    inside = trace("docker exec web ping -c1 172.17.0.1; nft list tables; pgrep -c netkit-trace", lab=small, node="node1")
    assert "netkit-trace" in inside.output.stdout  # it was there while the command ran
    assert _state(small) == before


def test_a_killed_trace_leaves_nothing(small, seeded):
    """kill -9 of the tracing process at any moment, and of a collector itself, leaves no table, process or socket."""
    before = _state(small)
    root = f"/proc/{small.pid}/root"
    for _ in range(6):
        argv = [sys.executable, "-c", TRACE, root, "docker exec web ping -c20 -i 0.1 172.17.0.1"]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=os.path.dirname(os.path.dirname(__file__)))
        process.stdout.readline()
        time.sleep(seeded.uniform(0, 1.2))
        process.kill()
        process.wait()
        process.stdout.close()
        assert _wait_for_state(small, before) == before


def test_a_killed_collector_is_told(small):
    """When a collector is killed while the command runs, its table goes with it, and the trace says so."""
    before = _state(small)
    with pytest.raises(LabError, match="no trace on node1"):
        trace("kill -9 $(pgrep netkit-trace); sleep 0.2; nft list tables", lab=small, node="node1")
    assert _wait_for_state(small, before) == before


AWAY = "node2 went away during the trace: what it saw is missing."


def test_a_host_that_dies_costs_its_part_alone(pair):
    """When another host dies meanwhile, the trace has the command's output and what the others saw, and claims nothing of that host."""
    command = "ping -c1 192.168.59.2; while ping -c1 -W1 192.168.59.2 >/dev/null; do sleep 0.05; done; exit 3"
    found = trace(command, lab=pair, node="node1", on_stdout=lambda _: pair.kill("node2"))
    assert found.output.status == 3 and "1 received" in found.output.stdout
    assert found.missing == ("node2",) and not found.is_complete and found.text().endswith(AWAY)
    assert "was last seen at eth0 of node1, and the answer came back" in found.verdict
    assert "arrived at" not in found.verdict and "did not arrive" not in found.verdict
    assert AWAY in " ".join(text.text for text in calc_picture(found, measure=measure).texts)
    assert found.topology.node("node2").state == "up"  # as the packets met it
    assert pair.states()["node2"] == "down"


def test_a_host_that_ran_the_command_and_dies_ends_the_trace_at_once(pair):
    """An error in words, without waiting for anything."""
    begun = time.monotonic()
    with pytest.raises(LabError, match="node2 has gone"):
        trace("echo begun; sleep 60", lab=pair, node="node2", on_stdout=lambda _: pair.kill("node2"))
    assert time.monotonic() - begun < at_most(50)


def test_a_collector_that_is_killed_elsewhere_costs_its_part_alone(pair):
    """What began or ended on its host is told by address, and what only it could have seen is not known."""
    there = f"{NETKIT} on node2 --"
    found = trace(f"{there} pkill -9 netkit-trace; curl -s http://192.168.59.2:9/; {there} ping -c1 192.168.59.1", lab=pair, node="node1")
    assert found.output.status == 0 and found.missing == ("node2",)
    assert "No trace on node2: its collector was killed; what it saw is missing." in found.verdict
    assert "Nothing listens: 192.168.59.2 refused port 9" in found.verdict
    assert "arrived at node1 (192.168.59.1), and was answered; whether the answer came back is not known" in found.verdict


@pytest.mark.parametrize("moment", ["__init__", "wait_ready"])
def test_a_host_that_dies_before_the_command_begins_costs_its_part_alone(pair, monkeypatch, moment):
    """Before its collector is started, and while that gets ready."""
    original = getattr(Recorder, moment)

    def die_first(recorder, *words):
        if "node2" in (getattr(recorder, "name", ""), *(each.name for each in words[:1])):
            pair.kill("node2")
        return original(recorder, *words)

    monkeypatch.setattr(Recorder, moment, die_first)
    found = trace("ping -c1 outside", lab=pair, node="node1")
    assert found.output.status == 0 and found.flows[0].answer and found.text().endswith(AWAY)


def test_a_host_that_comes_up_meanwhile_was_not_seen(pair):
    """What a command has started is not said to have got nothing."""
    pair.kill("node2")
    found = trace(f"{NETKIT} on node2 -- true; ping -c1 192.168.59.2", lab=pair, node="node1")
    assert found.missing == ("node2",) and "node2 came up during the trace: what it saw is missing." in found.verdict
    assert "arrived at" not in found.verdict


@pytest.mark.parametrize("name, gone", [("overlay", "node2"), ("outbound28.5", "outside"), ("outbound", "outside"), ("published", "node1")])
def test_nothing_is_claimed_of_a_host_whose_sights_are_missing(name, gone):
    """Without what one host saw, a frozen capture says where packets were last seen, not that they arrived."""
    data = read(name)
    output, topology = Result(data["node"], data["command"], 0, "", ""), Topology.from_json(data["topology"])
    answers = {host: answer for host, answer in data["answers"].items() if host != gone}
    found = build_trace(output, answers, topology, data["begin"], data["end"], (), {gone: f"{gone} has gone"})
    assert f"was last seen at eth0 of {'outside' if gone == 'node1' else 'node1'}, and the answer came back." in found.verdict
    assert "arrive" not in found.verdict and found.verdict.endswith(f" {gone} has gone.")


def test_an_interrupted_trace_leaves_nothing(small):
    """Ctrl-C ends the command and the capture."""
    before = _state(small)
    root = f"/proc/{small.pid}/root"
    process = subprocess.Popen(
        [sys.executable, "-c", TRACE, root, "touch /tmp/begun; sleep 30"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # where the tests are a shell's background job, they ignore Ctrl-C, and so would what they start (POSIX sh, 2.11)
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    small["node1"].run("until rm /tmp/begun 2>/dev/null; do sleep 0.01; done", timeout=patiently())
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=patiently())
    assert b"KeyboardInterrupt" in said
    assert _wait_for_state(small, before) == before


def test_a_lossy_capture_says_so(small):
    """With a receive buffer too small for what comes, packets are lost, counted, and told."""
    found = trace("ping -q -f -c 3000 -s 1400 192.168.59.254 || true", lab=small, node="node1", buffer=4096)
    assert found.lost > 0 and not found.is_complete
    assert f"The capture is incomplete: {found.lost} packet" in found.text()


def test_a_truncated_capture_says_so(small):
    """A command that sends more than a trace holds is told to have been cut off."""
    found = trace("ping -q -c 20 -i 0.01 127.0.0.1", lab=small, node="node1", most=10)
    assert found.truncated and "it ended before the command did" in found.verdict


@pytest.mark.parametrize("before", ["", "docker run busybox true; "], ids=["the engine's first", "another"])
def test_a_container_made_by_the_command_is_seen_from_within(before):
    """`docker run` as the traced command: the first hop is in the container's own namespace, also where no engine had one before."""
    with open_lab(1, label="tests") as lab:
        lab["node1"].run(f"{before}true")
        found = trace("docker run --name late busybox ping -c1 192.168.59.254", lab=lab, node="node1")
    places = [(hop.interface, hop.direction) for hop in found.flows[0].first.hops]
    assert places[0] == ("eth0", "out") and places[-1] == ("eth0", "in") and len(places) == 5, found.text()
    assert found.flows[0].answer and len(found.flows[0].answer.hops) == 5, found.text()
    assert found.is_complete


def test_a_namespace_that_was_found_too_late_is_told(small):
    """What was hidden, and in use, before anyone could know of it makes the trace incomplete, and it says so."""
    node = small["node1"]
    hide = (
        "unshare --net sleep 30 >/dev/null 2>&1 </dev/null & p=$!; sleep 0.3; ip link add h0 type veth peer name h1; ip link set h1 netns $p; "
        "ip address add 10.7.7.1/24 dev h0; ip link set h0 up; nsenter -t $p -n sh -c 'ip address add 10.7.7.2/24 dev h1; ip link set h1 up'; "
        "ping -c1 10.7.7.2; touch /run/netns/hidden; mount --bind /proc/$p/ns/net /run/netns/hidden; sleep 0.2; ping -c1 10.7.7.2; kill $p"
    )
    node.run("mkdir -p /run/netns")
    try:
        found = trace(hide, lab=small, node="node1")
    finally:
        node.run("umount /run/netns/hidden; rm -f /run/netns/hidden; ip link delete h0; true", check=False)
    assert found.late and not found.is_complete, found.text()
    assert "captured in only after its interfaces were there" in found.verdict


def test_directories_of_namespaces_need_not_be_there_yet(small):
    """A namespace that the command mounts is captured in from its beginning, in a directory that was not there either."""
    make = (
        "mkdir -p /run/made/here; touch /run/made/here/net; unshare --net=/run/made/here/net true; sleep 0.2; "
        "ip link add m0 type veth peer name m1 netns /run/made/here/net; ip address add 10.7.8.1/24 dev m0; ip link set m0 up; "
        "nsenter --net=/run/made/here/net sh -c 'ip address add 10.7.8.2/24 dev m1; ip link set m1 up'; ping -c1 10.7.8.2"
    )
    try:
        found = trace(make, lab=small, node="node1")
    finally:
        small["node1"].run("ip link delete m0; umount /run/made/here/net; rm -rf /run/made", check=False)
    assert not found.late and found.is_complete, found.text()
    assert any(hop.interface == "m1" for flow in found.flows for hop in flow.first.hops), found.text()


def test_outside_of_a_lab_it_refuses(small):
    """One sentence and status 2, from Python and from the command line; and so for a host there is not."""
    with pytest.raises(LabError, match="there is no lab to be reached here"):
        trace("true")
    result = subprocess.run([NETKIT, "trace", "--", "true"], capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (2, "") and result.stderr.startswith("netkit: there is no lab")
    with pytest.raises(LabError, match="no host 'node9'"):
        trace("true", lab=small, node="node9")


def test_the_command_prints_its_commands_output_first_and_ends_with_its_status(small):
    """netkit trace: what the command wrote, the table, and the command's own status."""
    result = small["node1"].run(f"{NETKIT} trace -- bash -c 'echo said; ping -c1 outside >/dev/null; exit 7'", check=False)
    assert result.status == 7
    assert result.stdout.startswith("said\n") and "echo request, 192.168.59.1 → 192.168.59.254" in result.stdout
