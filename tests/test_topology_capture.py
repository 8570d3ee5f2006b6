"""A capture says what `ip`, `bridge` and `docker inspect` say, of everything there is."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

import netkit
from netkit.errors import LabError
from netkit.laboratory.inside.dockerd import STOPPED
from netkit.laboratory.lab import open_lab
from netkit.laboratory.spec import ENGINE_SERVICE
from netkit.network import capture as capturing
from netkit.network.capture import SILENT, Topology, capture, capture_again
from netkit.network.model import Engine
from tests import oracles
from tests.kernels import wait_for
from tests.patience import at_most
from tests.swarms import form_swarm, join_swarm

MODES = """
docker network create web
docker network create --internal inner
docker network create --ipv6 --subnet 172.30.0.0/16 --subnet fd00:5::/64 six
docker network create -o com.docker.network.bridge.enable_icc=false quiet
docker run -d --name c1 --network web --network-alias shop -p 8080:80 busybox sleep 1000
docker run -d --name c2 busybox sleep 1000
docker network connect web c2
docker run -d --name shares --network container:c1 busybox sleep 1000
docker run -d --name onhost --network host busybox sleep 1000
docker run -d --name alone --network none busybox sleep 1000
docker run -d --name closed --network inner busybox sleep 1000
docker run -d --name six1 --network six busybox sleep 1000
docker create --name later --network web busybox sleep 1000
docker run --name ended busybox true
docker network create -d macvlan -o parent=eth0 --subnet 10.9.0.0/24 mac
docker run -d --name near --network mac busybox sleep 1000
docker exec c1 ping -c1 c2
"""
BY_HAND = """
ip netns add red; ip netns add blue
ip link add to-red type veth peer name eth0 netns red
ip link add br-hand type bridge stp_state 1; ip link set br-hand up
ip link set to-red master br-hand up; ip -n red link set eth0 up; ip -n red addr add 10.5.0.2/24 dev eth0
ip addr add 10.5.0.1/24 dev br-hand; ip -n red route add default via 10.5.0.1
ip -n red link add cable type veth peer name cable netns blue
ip -n blue link set cable up; ip -n red link set cable up
ip -n blue addr add fd00:9::2/64 dev cable; ip -n blue addr add 10.6.0.1/32 peer 10.6.0.2 dev cable
ip -n blue route add blackhole 10.7.0.0/16; ip -n blue route add 10.8.0.0/16 dev cable metric 7 table 100
ip link add one type veth peer name two
ip neigh add 10.5.0.9 lladdr 02:00:00:00:00:09 dev br-hand nud permanent
bridge fdb add 02:00:00:00:00:08 dev to-red master static
iptables -t nat -A POSTROUTING -s 10.5.0.0/24 ! -o br-hand -j MASQUERADE
setsid unshare -n sleep 1000 >/dev/null 2>&1 </dev/null & sleep 0.3
"""


@pytest.fixture(scope="module")
def full():
    """A lab with all there is: every mode, wiring by hand, and an overlay across three nodes."""
    with open_lab(3, label="full") as lab:
        one, two, three = lab
        one.run("set -e\n" + MODES)
        one.run("set -e\n" + BY_HAND)
        form_swarm(one, two)
        join_swarm(three, one)
        one.run("docker network create -d overlay --attachable over && docker run -d --name o1 --network over busybox sleep 1000")
        two.run("docker run -d --name o2 --network over busybox sleep 1000")
        three.run("docker run -d --name o3 --network over busybox sleep 1000")
        one.run("docker service create --detach --no-resolve-image --name hello --replicas 3 --network over busybox sleep 1000")
        one.run(
            "for i in $(seq 100); do [ $(docker service ps -f desired-state=running hello | grep -c ' Running ') = 3 ] && break; sleep 0.1; done"
        )
        one.run("for i in $(seq 100); do docker exec o1 ping -c1 -W1 o3 && exit; sleep 0.1; done; exit 1")
        yield lab


@pytest.fixture(scope="module")
def taken(full) -> Topology:
    """A capture of it, once the last traces of setting it up have settled."""
    before = capture(lab=full)
    for _ in range(100):
        time.sleep(0.2)
        after = capture(lab=full)
        if after == before:
            break
        before = after
    return after


def test_every_namespace_is_found(full, taken):
    """Whatever a file or a process leads to is in the capture, and nothing else."""
    for node in taken.nodes:
        assert {namespace.inode for namespace in node.namespaces} == oracles.find_inodes(full[node.name])


@pytest.mark.parametrize(
    "tell, read",
    [
        (
            lambda namespace: sorted(map(oracles.tell_interface, namespace.interfaces), key=lambda row: row["index"]),
            oracles.read_interfaces,
        ),
        (oracles.tell_routes, oracles.read_routes),
        (oracles.tell_neighbours, oracles.read_neighbours),
        (oracles.tell_forwarding, oracles.read_forwarding),
    ],
    ids=["interfaces", "routes", "neighbours", "forwarding"],
)
def test_tables_are_those_of_the_plain_commands(full, tell, read):
    """Every interface, address, route, neighbour and forwarding entry agrees with iproute2's."""
    for _ in range(3):  # a neighbour may go stale, a learned entry age, between two commands
        topology = capture(lab=full)
        wrong = [
            (node.name, namespace.name, found, said)
            for node, namespace in topology.namespaces()
            for found, said in [(tell(namespace), read(full[node.name], namespace))]
            if found != said
        ]
        if not wrong:
            return
    assert not wrong


def test_both_ends_of_every_veth_pair_agree(full, taken):
    """An interface's peer names it in return, has the number the driver tells, and only the LAN's cables end outside."""
    oracles.check_references(taken)
    pairs = 0
    for end, interface in taken.ends():
        if interface.peer:
            namespace = taken.node(end.node).namespace(end.namespace)
            assert taken.at(interface.peer).index == oracles.read_other_end(full[end.node], namespace, interface.name)
            pairs += 1
    assert pairs > 40


def test_containers_and_endpoints_are_those_of_docker_inspect(full, taken):
    """Name, state, sandbox, endpoints with address, MAC and gateway agree with the engine's own client."""
    for node in taken.nodes:
        if node.engine is None:
            continue
        ids = full[node.name].run("docker ps -aq").stdout.split()
        inspected = json.loads(full[node.name].run(["docker", "inspect", *ids]).stdout)
        assert {body["Name"].lstrip("/") for body in inspected} == {container.name for container in node.containers}
        for body in inspected:
            _check_container(node, node.container(body["Name"].lstrip("/")), body)


def _check_container(node, container, body):
    settings = body["NetworkSettings"]
    assert (container.id, container.state, container.pid) == (body["Id"], body["State"]["Status"], body["State"]["Pid"])
    assert (container.sandbox is not None) == body["State"]["Running"]
    if settings["SandboxKey"] and container.sandbox:
        assert container.sandbox.key == settings["SandboxKey"]
        namespace = node.namespace(container.sandbox.namespace)
        assert settings["SandboxKey"].replace("/var/run/", "/run/") in namespace.paths
    listed = {name: each for name, each in settings["Networks"].items() if name not in ("host", "none")}
    found = {endpoint.network: endpoint for endpoint in container.endpoints if endpoint.network != "docker_gwbridge"}
    assert listed.keys() == found.keys()
    for name, each in listed.items():
        endpoint = found[name]
        assert endpoint.id == each["EndpointID"] and endpoint.mac == each["MacAddress"]
        assert str(endpoint.gateway or "") == each["Gateway"]
        wanted = [f"{each['IPAddress']}/{each['IPPrefixLen']}"] if each["IPAddress"] else []
        wanted += [f"{each['GlobalIPv6Address']}/{each['GlobalIPv6PrefixLen']}"] if each["GlobalIPv6Address"] else []
        assert sorted(map(str, endpoint.addresses)) == sorted(wanted)
        if container.sandbox:
            interface = node.namespace(endpoint.interface.namespace).interface(endpoint.interface.interface)
            assert set(endpoint.addresses) <= set(interface.addresses) and interface.mac == endpoint.mac


def test_networks_are_those_of_docker_network_inspect(full, taken):
    """Driver, scope, subnets and bridge of every network agree, and the bridge is there."""
    for node in taken.nodes:
        if node.engine is None:
            continue
        ids = full[node.name].run("docker network ls -q").stdout.split()
        inspected = json.loads(full[node.name].run(["docker", "network", "inspect", *ids]).stdout)
        assert {body["Id"] for body in inspected} == {network.id for network in node.networks}
        for body in inspected:
            network = node.network(body["Name"])
            assert (network.driver, network.scope, network.internal) == (body["Driver"], body["Scope"], body["Internal"])
            assert {str(subnet) for subnet in network.subnets} == {each["Subnet"] for each in body["IPAM"]["Config"] or ()}
            if network.bridge:
                assert node.namespace("host").interface(network.bridge).kind == "bridge"


def test_modes_are_told_as_they_were_asked_for(taken):
    """Each container has the mode it was started with, and shares what it shares."""
    node = taken.node("node1")
    modes = {container.name: container.mode for container in node.containers if not container.task}
    assert modes == {
        "c1": "bridge", "c2": "several", "shares": "container:c1", "onhost": "host", "alone": "none", "closed": "bridge",
        "six1": "bridge", "later": "bridge", "ended": "bridge", "near": "macvlan", "o1": "overlay",
    }  # fmt: skip
    assert node.container("shares").sandbox.namespace == node.container("c1").sandbox.namespace == "container c1"
    assert node.container("onhost").sandbox.namespace == "host"
    assert [interface.name for interface in node.namespace("container alone").interfaces] == ["lo"]
    assert node.container("later").sandbox is node.container("ended").sandbox is None
    assert str(node.namespace("container near").interface("eth0").parent) == "node1/host/eth0"
    assert node.container("c1").endpoints[0].names == ("shop",)


def test_what_docker_does_not_tell_is_found(taken):
    """Hand-made namespaces and cables, the overlay's hidden namespace, ingress_sbox: all are there, with their kinds."""
    node = taken.node("node1")
    kinds = {namespace.name: namespace.kind for namespace in node.namespaces if namespace.kind != "container"}
    assert kinds == {
        "host": "host", "netns red": "named", "netns blue": "named", "process sleep": "process", "ingress_sbox": "ingress",
        "overlay ingress": "overlay", "overlay over": "overlay", "lb over": "load-balancer",
    }  # fmt: skip
    assert str(node.namespace("netns red").interface("cable").peer) == "node1/netns blue/cable"
    assert str(node.namespace("host").interface("one").peer) == "node1/host/two"
    assert node.namespace("host").interface("br-hand").bridge.stp == "kernel"


def test_a_namespace_whose_name_begins_with_a_dot_is_hidden():
    """Another host's namespace that lives on this machine, and a process in it, are not told; one without a dot is."""
    with open_lab(1) as lab:
        lab["node1"].run("for each in .other red; do ip netns add $each; ip netns exec $each sleep 60 >/dev/null 2>&1 & done; sleep 0.2")
        names = [namespace.name for namespace in capture("node1", lab=lab).node("node1").namespaces]
    assert names == ["host", "netns red"]


def test_a_vlan_device_sits_on_its_parent():
    """Its parent and its number are told, also across namespaces."""
    with open_lab(1) as lab:
        made = lab["node1"].run(
            "ip link add link eth0 name eth0.5 type vlan id 5 && ip netns add red && ip link set eth0.5 netns red", check=False
        )
        if made.status:
            pytest.skip(f"this kernel has no VLAN devices: {made.stderr.strip()}")
        interface = capture("node1", lab=lab).node("node1").namespace("netns red").interface("eth0.5")
        assert (str(interface.parent), interface.vlan) == ("node1/host/eth0", 5)


def test_an_overlay_is_seen_from_all_its_sides(taken):
    """One VXLAN identifier on three nodes; each VTEP's entries lead to the others' addresses."""
    sides = {node.name: node.namespace("overlay over") for node in taken.nodes if node.engine}
    assert len({side.interface("vxlan0").vxlan.vni for side in sides.values()}) == 1
    assert {node.network("over").vni for node in taken.nodes if node.engine} == {sides["node1"].interface("vxlan0").vxlan.vni}
    for name, side in sides.items():
        others = {str(entry.destination) for entry in side.forwarding if entry.destination}
        assert others == {f"192.168.59.{number}" for number in (1, 2, 3) if name != f"node{number}"}
        assert {str(row.address) for row in side.neighbours if row.mac}, "the control plane puts ARP entries here"


def test_the_packet_filter_is_told_by_what_it_does(taken):
    """Masquerading, published ports, isolation between bridges, internal and silent networks, policy."""
    node = taken.canonical().node("node1")
    firewall = node.namespace("host").firewall
    leaving = {(str(each.source), each.not_leaving) for each in firewall.masquerades}
    assert {("172.17.0.0/16", "docker0"), ("172.18.0.0/16", "bridge of web"), ("10.5.0.0/24", "br-hand")} <= leaving
    (forward,) = firewall.forwards
    assert (forward.protocol, forward.port, str(forward.to_address), forward.to_port) == ("tcp", 8080, "172.18.0.2", 80)
    assert {"docker0", "bridge of web", "bridge of six"} <= set(firewall.isolated)
    assert firewall.internal == ("bridge of inner",)
    assert set(firewall.silent) == {"bridge of quiet", "docker_gwbridge"}
    assert {(policy.chain, policy.verdict) for policy in firewall.policies if policy.family == 4} >= {
        ("FORWARD", "DROP"),
        ("INPUT", "ACCEPT"),
    }
    assert node.namespace("container c1").resolver and not node.namespace("container alone").resolver


def test_swarm_services_and_tasks_are_told(full, taken):
    """Members, services, tasks and where they run agree with `docker node ls` and `docker service ps`."""
    assert {node.name: node.swarm.role for node in taken.nodes if node.swarm} == {"node1": "manager", "node2": "worker", "node3": "worker"}
    (service,) = taken.services
    listed = full["node1"].run("docker service ps -f desired-state=running --format '{{.Name}} {{.Node}}' hello").stdout
    assert sorted(f"{task.name} {task.node}" for task in service.tasks) == sorted(listed.split("\n")[:-1])
    assert (service.replicas, service.resolution, service.networks) == (3, "vip", ("over",))
    for task in service.tasks:
        assert any(container.task == task.name for container in taken.node(task.node).containers)


def news(one: Topology, other: Topology) -> str:
    """What a second capture tells beyond the first; what its hosts have learned of each other, or forgotten, in between is no news."""
    text = one.diff(other).text(macs=True, rules=True)
    return "" if text == "nothing changed" else text


def test_a_capture_survives_json_and_is_repeatable(full, taken):
    """Through JSON and back it is equal, and so are two captures of a lab in which nothing happens."""
    again = Topology.from_json(taken.to_json())
    assert again == taken and again.to_json() == taken.to_json()
    assert not news(capture(lab=full), capture(lab=full))
    assert hash(again) == hash(taken)


def test_only_some_hosts_can_be_captured(full):
    """Named hosts are captured alone; a host that does not exist is refused by name."""
    assert [node.name for node in capture("node2", lab=full).nodes] == ["node2"]
    with pytest.raises(LabError, match="no host 'node9'"):
        capture("node9", lab=full)


def test_capture_works_inside_a_running_event_loop(full):
    """As in every notebook cell."""

    async def cell() -> Topology:
        return capture(lab=full)

    assert asyncio.run(cell()).node("node1")


def test_outside_of_a_lab_capture_says_so():
    """There is nothing to look at but the machine itself, which is not netkit's to look at."""
    with pytest.raises(LabError, match="no lab"):
        netkit.capture()


def test_an_engine_or_a_node_that_is_down_is_told_as_such():
    """The kernel's side of a node without its engine is still seen; a node that is off, or idle, says so."""
    with open_lab(3, start=2) as lab:
        lab["node1"].run("docker run -d --name c1 busybox sleep 1000")
        lab["node1"].run(f"touch {STOPPED}; pkill -9 dockerd; ip netns add red")
        lab.kill("node2")
        assert wait_for(lambda: lab.states()["node2"] == "down")
        topology = capture(lab=lab)
        one, two, three = (topology.node(name) for name in lab.nodes)
        assert one.state == "up" and one.engine.state == "down" and "engine is not running" in one.engine.trouble
        assert one.namespace("netns red") and one.namespace("host").interface("docker0")
        assert (two.state, two.trouble, three.state, three.trouble) == ("down", "switched off", "idle", "not started yet")
        assert not news(capture("node1", lab=lab), capture("node1", lab=lab))


def test_an_engine_that_is_stopped_by_hand_is_down_and_its_host_is_not():
    """The host is looked at, the engine's trouble is told, and it stays stopped."""
    with open_lab(1) as lab:
        lab["node1"].run(f"{ENGINE_SERVICE} stop; ip link add by-hand type bridge")
        text = capture("node1", lab=lab).text()
        assert "the Docker engine is down: " in text and "bridge by-hand" in text
        assert lab.states()["node1"] == "stopped"


def test_a_silent_engine_is_waited_for_once():
    """The second look at a network whose engine was silent in the first says the same of it at once, and all that is new in the kernel."""
    with open_lab(1) as lab:
        node, why = lab["node1"], f"the engine has been {SILENT} for 10 s"
        before = capture("node1", lab=lab)
        before = replace(before, nodes=(replace(before.nodes[0], engine=Engine(state="down", trouble=why)),))
        node.run("kill -STOP $(cat /run/docker.pid); ip link add by-hand type bridge")
        begun = time.monotonic()
        text = capture_again(before, lab).text()
        assert time.monotonic() - begun < at_most(9)
        assert f"the Docker engine is down: {why}" in text and "bridge by-hand" in text
        node.run("kill -CONT $(cat /run/docker.pid)")
        assert capture("node1", lab=lab).node("node1").engine.state == "up"


def test_an_engine_that_says_nothing_is_called_silent(tmp_path, monkeypatch):
    """By the word that a second look knows it by."""
    monkeypatch.setattr(capturing, "PATIENCE", 0.05)
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(tmp_path / "s"))
        mute.listen()
        assert SILENT in capturing.read_engine(f"unix://{tmp_path}/s")["trouble"]


def test_a_collector_that_dies_is_replaced():
    """Whoever kills the process that reads a node, or switches the node off and on, gets the next capture all the same."""
    with open_lab(2) as lab:
        assert capture("node2", lab=lab).node("node2").namespace("host")
        for signal in ("KILL", "TERM"):
            lab["node2"].run(f"pkill -{signal} -x netkit-collect")
            assert capture("node2", lab=lab).node("node2").namespace("host")
        lab["node2"].run("docker run -d --name c1 busybox sleep 1000")
        lab.kill("node2")
        assert wait_for(lambda: lab.states()["node2"] == "down")
        assert capture("node2", lab=lab).node("node2").state == "down"
        lab["node2"].run("true")
        assert capture("node2", lab=lab).node("node2").containers == ()


def test_many_may_capture_at_once():
    """Threads and forked children that capture the same lab get whole answers, and their own."""
    with open_lab(1) as lab:
        first = capture("node1", lab=lab)
        with ThreadPoolExecutor(8) as pool:
            assert not any(pool.map(lambda _: news(first, capture("node1", lab=lab)), range(40)))
        child = os.fork()
        if child == 0:
            os._exit(1 if news(first, capture("node1", lab=lab)) else 0)
        assert not news(first, capture("node1", lab=lab))
        assert os.waitpid(child, 0)[1] == 0
        assert wait_for(lambda: lab["node1"].run("pgrep -c -x netkit-collect").stdout == "1\n"), "the child's own ends with it"


def test_iptables_of_the_older_kind_are_read_as_well():
    """An engine that writes its rules with iptables-legacy leads to the same facts."""
    with open_lab(1) as lab:
        node = lab["node1"]
        before = capture("node1", lab=lab).node("node1").namespace("host").firewall
        if node.run("iptables-legacy -L", check=False).status:
            pytest.skip("this kernel has no legacy tables (ip_tables)")
        node.run(
            f"""set -e
            {ENGINE_SERVICE} stop
            iptables -F; iptables -t nat -F; iptables -X; iptables -t nat -X; iptables -P FORWARD ACCEPT
            for name in iptables ip6tables; do mount --bind /usr/sbin/xtables-legacy-multi $(readlink -f /usr/sbin/$name); done
            ip link del docker0
            {ENGINE_SERVICE} start"""
        )
        node.run("docker run -d --name c1 -p 8080:80 busybox sleep 1000")
        after = capture("node1", lab=lab).node("node1").namespace("host").firewall
        assert (before.backend, after.backend) == ("nf_tables", "legacy")
        assert after.masquerades == before.masquerades and after.isolated == before.isolated
        assert [forward.port for forward in after.forwards] == [8080]
        assert {"FORWARD", "INPUT", "OUTPUT"} <= {policy.chain for policy in after.policies}


def test_random_labs_are_captured_as_they_are(seeded):
    """Networks, containers and wiring by hand in random number and order: still every table agrees."""
    with open_lab(2) as lab:
        for node in lab:
            node.run("\n".join(["set -e", *_random_commands(seeded)]))
        topology = capture(lab=lab)
        oracles.check_references(topology)
        for node, namespace in topology.namespaces():
            host = lab[node.name]
            assert [
                oracles.tell_interface(each) for each in sorted(namespace.interfaces, key=lambda each: each.index)
            ] == oracles.read_interfaces(host, namespace)
            assert oracles.tell_routes(namespace) == oracles.read_routes(host, namespace)
            assert oracles.tell_forwarding(namespace) == oracles.read_forwarding(host, namespace)
        for node in topology.nodes:
            assert {namespace.inode for namespace in node.namespaces} == oracles.find_inodes(lab[node.name])
            for body in json.loads(lab[node.name].run("docker inspect $(docker ps -aq)").stdout) if node.engine and node.containers else ():
                _check_container(node, node.container(body["Name"].lstrip("/")), body)


def _random_commands(random) -> list[str]:
    networks = [f"net{number}" for number in range(random.randint(0, 3))]
    commands = [
        f"docker network create {random.choice(['', '--internal', f'--ipv6 --subnet fd00:{random.randrange(1, 9999):x}::/64'])} {name}"
        for name in networks
    ]
    names: list[str] = []
    for number in range(random.randint(1, 6)):
        mode = random.choice(["bridge", "host", "none", *networks, *(f"container:{name}" for name in names)])
        ports = f"-p {8000 + number}:80" if mode in ("bridge", *networks) and random.random() < 0.3 else ""
        commands.append(f"docker run -d --name box{number} --network {mode} {ports} busybox sleep 1000")
        if mode in networks:
            commands += [f"docker network connect {other} box{number}" for other in networks if other != mode and random.random() < 0.4]
        if not mode.startswith("container:"):
            names.append(f"box{number}")
    spaces = [f"space{number}" for number in range(random.randint(0, 3))]
    commands += [f"ip netns add {name}" for name in spaces]
    for number in range(random.randint(0, 4)):
        one, two = (f" netns {random.choice(spaces)}" if spaces and random.random() < 0.7 else "" for _ in "12")
        commands.append(f"ip link add v{number}a{one} type veth peer name v{number}b{two}")
    if random.random() < 0.5:
        commands += ["ip link add own type bridge", "ip addr add 10.99.0.1/24 dev own", "ip link set own up"]
    return commands


CHURN = """
import sys, time
from netkit.laboratory.lab import Lab
node, number, end = Lab(sys.argv[1])["node1"], int(sys.argv[2]), time.monotonic() + float(sys.argv[3])
while time.monotonic() < end:
    node.run(f"docker run -d --name churn{number} --network churn{number % 2} busybox sleep 1000; docker network connect bridge churn{number}; docker rm -f churn{number}", check=False)
    node.run(f"ip netns add n{number}; ip link add a{number} type veth peer name b{number} netns n{number}; ip netns del n{number}", check=False)
"""


def test_captures_succeed_while_everything_changes():
    """Fifty captures amid containers and namespaces that come and go: each is sound in itself."""
    with open_lab(1) as lab:
        node = lab["node1"]
        node.run("docker network create churn0; docker network create churn1")
        root = lab.shared.removesuffix("/run/netkit")
        churn = [
            subprocess.Popen([sys.executable, "-c", CHURN, root, str(number), "120"], stderr=subprocess.DEVNULL) for number in range(3)
        ]
        try:
            seen = set()
            for _ in range(50):
                topology = capture("node1", lab=lab)
                found = topology.node("node1")
                assert found.state == "up" and not found.trouble and found.engine.state == "up"
                oracles.check_references(topology)
                seen |= {container.name for container in found.containers if container.sandbox}
            assert len(seen) == 3, f"nothing came and went: {seen}"
            assert all(process.poll() is None for process in churn)
        finally:
            for process in churn:
                process.kill()
                process.wait()
