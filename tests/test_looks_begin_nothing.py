"""Looking at hosts begins nothing on any of them: a host that is not up stays so, and what looked at it says so."""

from __future__ import annotations

import threading

import pytest

import netkit
from netkit.errors import LabError
from netkit.exercises import check as checking
from netkit.exercises.chapter05 import FIREWALL
from netkit.exercises.criteria import reaches
from netkit.exercises.judging import Criterion, Exercise, Miss, Probe, judge
from netkit.laboratory.lab import open_lab
from netkit.network.capture import capture
from netkit.tracing.run import trace
from tests.kernels import wait_for

ASKING_NODE2 = Exercise(
    "9.9", "a question to node2", (reaches(Probe("node2", "true"), "an answer of node2", "Ask node2.", "Ask it again."),)
)


@pytest.fixture(scope="module")
def half():
    """A lab whose node2 is switched off, and whose node3 was never started."""
    with open_lab(3, start=2, label="tests") as lab:
        lab.kill("node2")
        yield lab


@pytest.fixture(autouse=True)
def nothing_begins(request):
    """Every host of the lab is after each test what it was before."""
    lab = request.getfixturevalue("half") if "half" in request.fixturenames else None
    before = lab and lab.states()
    yield
    assert not lab or lab.states() == before


def test_a_capture_tells_hosts_that_are_not_up(half):
    """A topology has the hosts that are not up, in words, and they stay so."""
    text = capture(lab=half).text()
    assert "node2: down: switched off" in text and "node3: not started yet" in text
    assert capture("node3", lab=half).node("node3").state == "idle"


@pytest.mark.parametrize("name, why", [("node2", "switched off"), ("node3", "not started yet")])
def test_a_trace_of_a_command_on_a_host_that_is_not_up_is_refused(half, name, why):
    """The error names the host, its state, and what starts it in a notebook and in a terminal."""
    with pytest.raises(LabError) as caught:
        trace("true", lab=half, node=name)
    for words in (name, why, f"`%%on {name}`", f"`netkit on {name} -- true`"):
        assert words in str(caught.value)


def test_a_trace_elsewhere_leaves_them_alone(half):
    """A command on a host that is up is traced as ever, and nothing is missing of hosts that never were up."""
    found = trace("ping -c1 outside", lab=half, node="node1")
    assert found.is_complete and not found.notes and found.flows[0].answer


@pytest.mark.parametrize("exercise", [checking.EXERCISES["5.1"], FIREWALL, ASKING_NODE2], ids=lambda each: each.number)
def test_a_check_starts_nothing(half, exercise):
    """A criterion about a host that is not up is not met, and what was found instead is the host's state, with what starts it."""
    verdict = judge(exercise, checking.gather(half), attempt=2)
    assert not verdict and verdict.found == "node2 is down: switched off"
    assert "`%%on node2`" in verdict.text() and "no host" in verdict.hint


def test_what_must_fail_is_not_met_by_a_host_that_is_not_up(half):
    """A criterion that wants no answer of a host is not met because nobody could ask there."""

    def is_shut(evidence):
        if evidence.answers(Probe("node3", "true")):
            raise Miss("open", "", "")

    exercise = Exercise("9.8", "shut", (Criterion("no answer", is_shut),))
    assert judge(exercise, checking.gather(half)).found == "node3 is idle: not started yet"


def test_what_is_not_about_them_is_judged_as_ever(half):
    """An exercise of node1 alone has nothing to say of others that are not up."""
    verdict = judge(checking.EXERCISES["1.1"], checking.gather(half))
    assert "no container hand on node1" in verdict.found


def test_a_host_that_dies_between_capture_and_probe_stays_down():
    """A probe finds its host gone: the criterion is not met, in words, and the host is not started for it."""
    with open_lab(2, label="tests") as lab:
        evidence = checking.gather(lab)
        lab.kill("node2")
        verdict = judge(ASKING_NODE2, evidence)
        assert not verdict and verdict.found.startswith("node2 does not answer")
        assert lab.states()["node2"] == "down"


def test_looks_during_deaths_begin_nothing_and_fail_nowhere():
    """While node2 dies and comes back, captures and a live view tell what there is; neither starts it, or ends."""
    with open_lab(2, label="tests") as lab:
        view = netkit.live(lab=lab)
        troubles, over = [], threading.Event()

        def look():
            while not over.is_set():
                try:
                    capture(lab=lab).text()
                except Exception as error:
                    troubles.append(error)

        looking = [threading.Thread(target=look) for _ in range(2)]
        try:
            for each in looking:
                each.start()
            for _ in range(4):
                lab.kill("node2")
                assert wait_for(lambda: view.topology.node("node2").state == "down"), view.topology.text()
                assert lab.states()["node2"] == "down"
                lab.ensure("node2")
                assert wait_for(lambda: view.topology.node("node2").state == "up"), view.topology.text()
            lab.kill("node2")
            assert wait_for(lambda: view.topology.node("node2").state == "down")
        finally:
            over.set()
            for each in looking:
                each.join()
            view.close()
        assert not troubles and not view.ended and lab.states()["node2"] == "down"
