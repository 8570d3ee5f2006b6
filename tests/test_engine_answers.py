"""What an engine says is data: whatever is odd about it, there is a topology, and what cannot be read is in it with the reason."""

from __future__ import annotations

import json

import pytest

from netkit.figure.draw import draw, to_png
from netkit.network import capture as capturing
from netkit.network.build import build_node
from netkit.network.build_engine import build_members, build_services
from netkit.network.capture import Topology, capture
from tests.swarms import form_swarm
from tests.variations import edit

pytestmark = pytest.mark.once

ROUNDS = 150
LISTS = ("networks", "containers", "members", "services", "tasks")
FILL = """
docker network create --subnet 172.30.0.0/24 --ipv6 --subnet fd00:30::/64 web
docker run -d --name shop --network web --network-alias store -p 8080:80 busybox sleep 1000
docker run -d --name beside --network container:shop busybox sleep 1000
docker network create -d overlay --attachable over
docker service create --detach --no-resolve-image --name hello --replicas 2 --network over -p 8081:80 busybox sleep 1000
docker service create --detach --no-resolve-image --name once --mode replicated-job busybox sleep 1000
for i in $(seq 200); do [ $(docker service ps hello once | grep -c ' Running ') = 3 ] && exit; sleep 0.1; done; exit 1
"""


@pytest.fixture(scope="module")
def facts(lab) -> dict:
    """What a manager's kernel and engine really said."""
    form_swarm(*lab)
    lab["node1"].run("set -e\n" + FILL)
    return capturing._read_facts(lab["node1"], None)


def _build(facts: dict) -> Topology:
    engine = facts["engine"]
    return Topology(nodes=(build_node("node1", facts),), services=build_services([engine]))


def test_an_answer_with_anything_wrong_is_a_topology(facts, seeded):
    """Something missing, renamed, null, empty or of another type costs what it is about: all else is told, and drawn."""
    own, troubles = facts["engine"], 0
    answers = json.dumps({name: own[name] for name in LISTS})
    inodes = {each["Id"]: each["inode"] for each in own["containers"]}
    for number in range(ROUNDS):
        engine = json.loads(answers)
        for _ in range(seeded.randint(1, 30)):
            engine = edit(engine, seeded)
        for each in engine.get("containers", ()) if isinstance(engine.get("containers"), list) else ():
            if isinstance(each, dict):  # ours, not the engine's
                each["inode"] = inodes.get(str(each.get("Id")), 0)
        topology = _build(facts | {"engine": own | engine})
        build_members([engine])
        text = topology.text(show="all")
        troubles += "makes no sense" in text
        assert "bridge docker0" in text
        if number % 50 == 0:
            assert to_png(draw(topology))
    assert troubles, "nothing was ever unreadable: this test tests nothing"


@pytest.mark.parametrize(
    ("kind", "path", "junk", "name"),
    [
        ("networks", ("IPAM", "Config", 0, "Subnet"), "172.30.0.0/wide", "network web"),
        ("containers", ("NetworkSettings", "Ports", "80/tcp", 0, "HostPort"), "many", "container shop"),
        ("containers", ("NetworkSettings", "Networks", "web", "IPAddress"), "::::", "container shop"),
        ("services", ("Endpoint", "VirtualIPs", 0, "Addr"), "somewhere", "service hello"),
    ],
)
def test_what_cannot_be_read_says_why(facts, kind, path, junk, name):
    """The object is there by its name, with the word that makes no sense; everything else is as before."""
    facts, before = json.loads(json.dumps(facts)), _build(facts)
    title = name.split()[1]
    body = next(each for each in facts["engine"][kind] if title in (each.get("Name", "").lstrip("/"), each.get("Spec", {}).get("Name")))
    for step in path[:-1]:
        body = body[step]
    body[path[-1]] = junk
    diff = before.diff(_build(facts)).text()
    assert f"{name}: the engine's answer makes no sense: " in diff and junk in diff, diff


def test_a_subnet_with_host_bits_is_its_network(lab):
    """An engine keeps what it was told: 172.31.9.5/24 is 172.31.9.0/24, in text and figure, as the kernel's route has it."""
    node = lab["node1"]
    node.run("docker network create --subnet 172.31.9.5/24 odd && docker run -d --name inside --network odd busybox sleep 1000")
    try:
        topology = capture("node1", lab=lab)
        assert "172.31.9.0/24 dev br-" in node.run("ip route").stdout
        assert [str(each) for each in topology.node("node1").network("odd").subnets] == ["172.31.9.0/24"]
        assert to_png(topology.draw())
    finally:
        node.run("docker rm -f inside; docker network rm odd")


def test_a_node_is_the_member_it_is_now(facts):
    """Who has left a swarm and joined again is listed once more for each time: the row that is ready counts."""
    (row, *others) = facts["engine"]["members"]
    gone = json.loads(json.dumps(row)) | {"ID": "gone", "Status": {"State": "down"}}
    name = row["Description"]["Hostname"]
    for rows in ([gone, row, *others], [row, gone, *others], [row, *others, gone, gone | {"ID": "gone too"}]):
        assert build_members([{"members": rows}])[name].state == "ready"
    alone = {"members": [json.loads(json.dumps(row)) | {"ID": "of another swarm"}], "services": facts["engine"]["services"]}
    assert build_members([{"members": [gone]}, alone])[name].id == "of another swarm"


def test_tasks_of_a_job_are_told(facts):
    """They are wished to be complete, and are no history while they run."""
    (job,) = (each for each in _build(facts).services if each.name == "once")
    assert job.mode == "replicated job" and [task.state for task in job.tasks] == ["running"], job
