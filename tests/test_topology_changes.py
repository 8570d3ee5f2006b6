"""Two captures around a step tell what the step did, in a learner's words."""

from __future__ import annotations

import pytest

from netkit.laboratory.lab import open_lab
from netkit.network.capture import capture
from netkit.network.difference import Diff

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def lab():
    """A lab of one node whose steps build on each other."""
    with open_lab(1, label="tests") as opened:
        yield opened


def around(lab, *commands: str) -> Diff:
    """What these commands change."""
    before = capture("node1", lab=lab)
    for command in commands:
        lab["node1"].run(command)
    after = capture("node1", lab=lab)
    found, backwards = before.diff(after), after.diff(before)
    assert bool(found) == bool(backwards) == (before != after) and len(found.changes) == len(backwards.changes)
    return found


def test_nothing_done_is_nothing_changed(lab):
    """An idle lab does not change."""
    assert around(lab, "docker ps").text() == "nothing changed"


def test_the_life_of_a_container(lab):
    """run, network create, connect, disconnect, stop, rm: each step is told by what it makes and takes away."""
    text = around(lab, "docker run -d --name web -p 8080:80 busybox sleep 1000").text()
    assert "+   container web: network bridge" in text and "172.17.0.2/16" in text and "port 8080/tcp of node1 leads to port 80" in text
    text = around(lab, "docker network create shop").text()
    assert "+   bridge of shop: 172.18.0.1/16, network shop" in text and "172.18.0.0/16" in text
    text = around(lab, "docker network connect shop web").text()
    assert "+     endpoint in network shop: eth1, 172.18.0.2/16" in text and "+   container web" not in text
    text = around(lab, "docker network disconnect shop web").text()
    assert "-     endpoint in network shop: eth1, 172.18.0.2/16" in text
    assert "~   container web: exited (was: running" in around(lab, "docker stop -t0 web").text()
    assert "-   container web: exited" in around(lab, "docker rm web").text()
    assert "-   bridge of shop: 172.18.0.1/16, network shop" in around(lab, "docker network rm shop").text()


def test_a_restarted_container_is_the_same_again(lab):
    """A veth pair with a new random name, in the same place, is no change."""
    around(lab, "docker run -d --name again busybox sleep 1000")
    assert around(lab, "docker restart -t0 again").text() == "nothing changed"
    around(lab, "docker rm -f again")


def test_wiring_by_hand_step_by_step(lab):
    """A cable made, an end moved and renamed, addressed, brought up: each is one sentence that names it."""
    around(lab, "docker run -d --name plain --network none busybox sleep 1000")
    text = around(lab, "ip link add A type veth peer name B").text()
    assert "A" in text and "B" in text
    moved = around(lab, "ip link set B netns $(docker inspect -f '{{.State.Pid}}' plain)")
    assert [change.kind for change in moved.changes if change.kind == "moved"] == ["moved"], moved.text()
    assert "plain" in moved.text()
    enter = "nsenter -t $(docker inspect -f '{{.State.Pid}}' plain) -n"
    text = around(
        lab, f"{enter} ip link set B name eth0", f"{enter} ip link set eth0 up", f"{enter} ip addr add 172.17.42.1/16 dev eth0"
    ).text()
    assert "172.17.42.1/16" in text
    text = around(lab, "ip link set A master docker0", "ip link set A up").text()
    assert "docker0" in text
    around(lab, "docker rm -f plain")
