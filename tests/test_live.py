"""The live view without a browser: what it hears and sees, what it costs, and what it leaves behind."""

from __future__ import annotations

import contextlib
import gc
import itertools
import json
import os
import subprocess
import sys
import threading
import time
import weakref

import psutil
import pytest

import netkit
from netkit.figure.layout import calc_layout
from netkit.figure.paint import measure
from netkit.laboratory.lab import open_lab
from netkit.laboratory.spec import ENGINE_SERVICE
from netkit.liveview.follow import LEAST, MOST, PATIENCE, SETTLE, Pace
from netkit.liveview.scene import calc_scene
from netkit.network.capture import UP
from tests import topologies
from tests.kernels import execute, holds_within, kernel, wait_for
from tests.patience import patiently
from tests.swarms import form_swarm

SOON = 5.0  # seconds on a machine that is busy with others; benchmarks/live.py measures what is usual


@pytest.fixture
def view(lab):
    """A live view of the module's lab."""
    with_view = netkit.live(lab=lab)
    yield with_view
    with_view.close()


def sees(view, words: str, there: bool = True) -> bool:
    """Whether the view comes to show these words, or no longer does."""
    return wait_for(lambda: (words in view.topology.text(show="all")) is there, SOON)


def watchers(lab, name: str = "netkit-watch") -> list[psutil.Process]:
    """The watchers that run in a lab, or other processes of a name."""
    found = []
    for process in psutil.Process(lab.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if process.name() == name and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def wait_for_watchers(lab) -> list[psutil.Process]:
    """The watchers, once there is one on each host that is up."""
    count = sum(state in UP for state in lab.states().values())
    assert count >= 2 and wait_for(lambda: len(watchers(lab)) == count, SOON)
    return watchers(lab)


def test_changes_of_every_kind_are_seen(lab, view):
    """Links, addresses, routes, rules, namespaces, containers and their networks: each change is seen, and each end."""
    node = lab["node1"]
    for begin, words, end in (
        ("ip link add br7 type bridge", "bridge br7", "ip link del br7"),
        ("ip addr add 10.1.2.3/24 dev docker0", "10.1.2.3/24", "ip addr del 10.1.2.3/24 dev docker0"),
        ("ip route add blackhole 10.77.0.0/16", "10.77.0.0/16", "ip route del blackhole 10.77.0.0/16"),
        ("ip neigh add 172.17.0.99 lladdr 02:00:00:00:00:99 dev docker0", "172.17.0.99", "ip neigh del 172.17.0.99 dev docker0"),
        ("iptables -A INPUT -s 10.66.6.6 -j DROP", "10.66.6.6", "iptables -D INPUT -s 10.66.6.6 -j DROP"),
        ("ip netns add red", "netns red", "ip netns del red"),
        ("docker network create shop", "network shop", "docker network rm shop"),
    ):
        node.run(begin)
        assert sees(view, words), begin
        node.run(end)
        assert sees(view, words, there=False), end
    assert not view.follower.troubles and not view.ended


def test_changes_inside_other_namespaces_are_seen_and_hold_none_of_them(lab, view):
    """What happens in a container's or a hand-made namespace is seen; the namespace ends when its last user does."""
    node = lab["node1"]
    node.run("docker run -d --name inner busybox sleep 1000; docker network create late; ip netns add red")
    assert sees(view, "container inner") and sees(view, "netns red")
    before = node.run("ip netns list-id; ip -n red netns list-id").stdout
    node.run("docker network connect late inner")
    assert sees(view, "networks bridge and late")
    node.run("nsenter --net=$(docker inspect -f '{{.NetworkSettings.SandboxKey}}' inner) ip addr add 10.8.8.8/24 dev eth0")
    assert sees(view, "10.8.8.8/24")
    node.run(
        "ip -n red link add br8 type bridge; ip -n red addr add 10.9.9.9/24 dev br8; ip netns exec red iptables -A INPUT -s 10.55.5.5 -j DROP"
    )
    assert sees(view, "10.9.9.9/24") and sees(view, "10.55.5.5")
    assert node.run("ip netns list-id; ip -n red netns list-id").stdout.count("\n") - before.count("\n") <= 1, "only the engine's new veth"
    node.run("ip link add v7 type veth peer name v8 netns red; ip netns del red; docker rm -f inner; docker network rm late")
    assert wait_for(lambda: "v7" not in node.run("ip -br link").stdout, SOON), "a watcher keeps the namespace of the other end alive"
    assert sees(view, "netns red", there=False) and sees(view, "container inner", there=False)


def test_nodes_that_come_and_go_are_followed(view, lab):
    """A node that starts later, is killed, and comes back: its changes are seen each time."""
    assert "node2: not started yet" in view.topology.text() or "node2: eth0" in view.topology.text()
    for _ in range(2):
        lab.ensure("node2")
        lab["node2"].run("docker run -d --name far busybox sleep 1000")
        assert sees(view, "container far") and wait_for(lambda: "node2" in view.follower.hosts, SOON)
        lab.kill("node2")
        assert sees(view, "container far", there=False) and wait_for(lambda: "node2" not in view.follower.hosts, SOON)


def test_an_engine_that_ends_and_comes_back_is_followed(view, lab):
    """The engine's events are heard again when another engine has taken its place."""
    node = lab["node1"]
    node.run([ENGINE_SERVICE, "stop"])
    assert sees(view, "the Docker engine is down")
    node.run([ENGINE_SERVICE, "start"])
    assert sees(view, "the Docker engine is down", there=False)
    node.run("docker create --name again busybox")
    assert sees(view, "container again")
    holds_within(lambda: False, SETTLE[-1] + 1)  # nobody looks any more, unless something is heard
    node.run("docker rename again renamed")  # which the engine alone tells of
    assert sees(view, "container renamed")
    node.run("docker rm renamed")


def test_a_burst_is_merged_and_its_end_is_right(lab, view):
    """Of 1,000 events a few captures are made; the last state is shown; after 10,000 nothing has grown."""
    node = lab["node1"]
    node.run("ip link add many type bridge")
    assert sees(view, "bridge many")
    processes = wait_for_watchers(lab)
    _burst(node, 1000)  # what is allocated once is allocated now
    assert sees(view, "10.5.0.1/32", there=False)
    looks, sizes, own = view.follower.looks, [each.memory_info().rss for each in processes], psutil.Process().memory_info().rss
    begun = time.monotonic()
    _burst(node, 10_000)
    took = time.monotonic() - begun
    node.run("ip addr add 10.4.4.4/32 dev many")
    assert sees(view, "10.4.4.4/32") and "10.5.0." not in view.topology.text()
    assert view.follower.looks - looks <= 5 + took / LEAST / 2, f"{view.follower.looks - looks} captures in {took:.1f} s"
    assert all(each.memory_info().rss - before < 1 << 20 for each, before in zip(processes, sizes, strict=True))
    assert psutil.Process().memory_info().rss - own < 24 << 20
    node.run("ip link del many")


def _burst(node, events: int) -> None:
    """So many addresses and routes that come and go, as fast as the kernel can."""
    pairs = f"for i in $(seq {events // 4}); do echo addr add 10.5.0.1/32 dev many; echo addr del 10.5.0.1/32 dev many; done"
    node.run(f"{pairs} | ip -batch -")


def test_at_rest_nothing_happens(lab, view):
    """When nothing changes, nobody looks, and no watcher uses the processor."""
    wait_for_watchers(lab)

    def used() -> dict[int, tuple[float, float]]:
        found = {}
        for each in watchers(lab):
            with contextlib.suppress(psutil.NoSuchProcess):  # one of an earlier view, which ends just now
                found[each.pid] = each.cpu_times()[:2]
        return found

    def rests() -> bool:
        before = view.follower.looks, used()
        holds_within(lambda: False, SETTLE[-1] + 0.5)  # this is about what does not happen
        return len(before[1]) >= 2 and before == (view.follower.looks, used())

    assert wait_for(rests, 5 * SETTLE[-1] + SOON), "somebody looks, or uses the processor, again and again"


def test_nothing_is_left_of_a_view(lab):
    """Closing ends thread, watchers and descriptors; so does letting go of a view nobody shows; a second closing does nothing."""
    wait_for(lambda: not watchers(lab), SOON)
    netkit.live(lab=lab).close()
    descriptors = len(os.listdir("/proc/self/fd"))
    view = netkit.live(lab=lab)
    wait_for_watchers(lab)
    assert wait_for(lambda: len(watchers(lab, "docker")) == len([each for each in lab if lab.states()[each.name] in UP]), SOON)
    view.close()
    view.close()
    assert view.follower.is_over and not [each for each in threading.enumerate() if each.name == "netkit-live"]
    assert wait_for(lambda: not watchers(lab) and not watchers(lab, "docker"), SOON)
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_a_forgotten_follower_ends(lab):
    """A follower whose viewer is garbage ends by itself."""
    from netkit.liveview.follow import Follower

    class Viewer:
        def show(self, topology) -> None: ...

        def tell(self, before, after) -> None: ...

        def end(self, why) -> None: ...

    viewer = Viewer()
    follower = Follower(lab, netkit.capture(lab=lab), viewer)
    gone = weakref.ref(viewer)
    del viewer
    gc.collect()
    assert gone() is None and wait_for(lambda: follower.is_over, SOON)


def test_a_watcher_that_is_killed_is_started_again(lab, view):
    """Whatever kills a watcher, the next change is seen."""
    for process in wait_for_watchers(lab):
        process.kill()
        process.wait(SOON)
    wait_for_watchers(lab)
    lab["node1"].run("ip link add after type bridge")
    assert sees(view, "bridge after")
    lab["node1"].run("ip link del after")


def test_a_stopped_view_keeps_the_network_as_it_is_then(lab):
    """No thread, no watcher, and the last picture, settled."""
    view = netkit.live(lab=lab)
    lab["node1"].run("docker run -d --name last busybox sleep 1000; docker rm -f last")
    view.stop()
    view.stop()
    assert view.follower.is_over and view.ended.startswith("closed")
    assert view.topology.node("node1").container("last") is None and "last" not in json.dumps(view.picture)
    view.close()


def test_a_lab_that_closes_is_told():
    """The view of a lab that closes says so, and ends; on a node alone, it shows what there is."""
    with open_lab(1, label="live") as opened:
        view = netkit.live(lab=opened)
        assert wait_for(lambda: "node1" in view.follower.hosts, SOON)
    assert wait_for(lambda: view.follower.is_over, SOON)
    assert "has been closed" in view.ended
    view.close()


def test_a_swarm_that_moves_a_task_is_followed():
    """A task that a swarm moves is seen to leave its node and to come to the other."""
    with open_lab(2, label="live") as opened:
        form_swarm(opened["node1"], opened["node2"])
        view = netkit.live(lab=opened)
        opened["node1"].run("docker service create -d --name roam --stop-grace-period 1s busybox sleep 1000")
        assert wait_for(lambda: _find(view, "roam"))
        home = _find(view, "roam")[0]
        opened["node1"].run(f"docker node update --availability drain {home}")
        assert wait_for(lambda: _find(view, "roam") not in ([], [home]), 30)
        assert wait_for(lambda: any("roam" in line for line in view.news.get("lines", ())), SOON)
        view.close()


def _find(view, service: str) -> list[str]:
    """The nodes on which a service's containers run, as the view has it."""
    return [node.name for node in view.topology.nodes for each in node.containers if each.service == service and each.state == "running"]


STABLE = """
import netkit, json
view = netkit.live()
data, metadata = view._repr_mimebundle_()
print(json.dumps([data["text/plain"], sorted(data), data["text/plain"] == netkit.capture().text()]))
"""
MEANWHILE = f"""
import subprocess, time
subprocess.run("ip link add br9 type bridge", shell=True, check=True)
deadline = time.monotonic() + {patiently()}
while "br9" not in view.topology.text() and time.monotonic() < deadline: time.sleep(0.01)
print("bridge br9" in view.topology.text(), view.ended)
"""


def test_in_a_notebook_a_view_is_stable_and_follows_while_a_cell_runs():
    """In two labs a cell leaves the same text, that of the topology, and an image; changes are seen while a cell still runs."""
    said = []
    for _ in range(2):
        with kernel() as (_, client):
            said.append(json.loads(execute(client, STABLE)))
            assert execute(client, MEANWHILE).split() == ["True"]
    assert said[0] == said[1]
    text, kinds, same = said[0]
    assert same and text.startswith("LAN 192.168.59.0/24")
    assert kinds == ["application/vnd.jupyter.widget-view+json", "image/png", "text/plain"]


def test_outside_of_a_lab_it_says_so():
    """There is one sentence, and no view, where there is no lab."""
    code = "import netkit\ntry: netkit.live()\nexcept netkit.LabError as error: print(error)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "there is no lab to be reached here" in done.stdout


def test_the_pace_is_quick_merges_and_rests():
    """One event is looked at within some milliseconds, a storm ever more seldom, and a look follows the last one."""
    pace, now, looks = Pace(), 100.0, []
    assert pace.due is None
    pace.hear(now)
    assert now < pace.due <= now + PATIENCE
    while now < 110.0:
        now += 0.001
        pace.hear(now)
        if pace.due <= now:
            pace.look(now, now + 0.02)
            looks.append(now)
    assert len(looks) < 18 and max(b - a for a, b in itertools.pairwise(looks)) < MOST + PATIENCE + 0.1
    last = now
    while pace.due is not None:
        now = max(now, pace.due)
        pace.look(now, now + 0.02)
    assert now == pytest.approx(last + SETTLE[-1]) and pace.is_calm
    pace.hear(now + 1)
    assert pace.due <= now + 1 + PATIENCE, "after a rest, the first event is looked at at once again"


@pytest.mark.parametrize(
    "make",
    [
        topologies.hostile,
        topologies.workshop,
        topologies.modes,
        topologies.handmade,
        topologies.macvlan,
        topologies.broken,
        topologies.empty,
    ],
)
def test_a_scene_is_plain_data(make):
    """Every element is one of four shapes with a key of its own and colours that are colours; every object has a name and a place."""
    topology = make()
    scene = calc_scene(topology, calc_layout(topology, measure=measure), measure)
    assert json.loads(json.dumps(scene)) == scene
    keys = [element["key"] for element in scene["shapes"]]
    assert len(keys) == len(set(keys))
    for element in scene["shapes"]:
        assert element["tag"] in ("rect", "path", "circle", "text")
        for name in ("fill", "stroke"):
            colour = element["attributes"].get(name, "none")
            assert colour == "none" or (len(colour) == 7 and int(colour[1:], 16) >= 0)
    for about, fact in scene["facts"].items():
        assert fact["title"].isprintable() and fact["kind"].isprintable(), about
        assert all(part.isprintable() for line in fact["lines"] for part in line), about
        assert set(fact["networks"]) <= set(scene["networks"])
        x, y, width, height = fact["box"]
        assert 0 <= x <= x + width <= scene["width"] + 1 and 0 <= y <= y + height <= scene["height"] + 1, about


def test_what_can_be_pointed_at_has_facts():
    """In the workshop's own network, everything that is drawn and stands for something tells of itself."""
    topology = topologies.workshop()
    scene = calc_scene(topology, calc_layout(topology, measure=measure), measure)
    silent = {element["about"] for element in scene["shapes"]} - scene["facts"].keys() - {""}
    assert not silent
