"""A lab is a world of its own, with real engines."""

from __future__ import annotations

import os
import time

import pytest

from netkit.errors import CommandError, LabError
from netkit.laboratory.lab import open_lab
from tests.patience import at_most
from tests.swarms import form_swarm, ping_across_overlay


def test_a_node_is_a_machine_of_its_own(lab):
    """Each node has its own name, addresses, processes and engine."""
    for node in lab:
        assert node.run("hostname").stdout.strip() == node.name
        assert node.run("ip -4 -br addr show eth0").stdout.split()[2] == f"{node.address}/24"
        assert node.run("docker info --format '{{.Name}}'").stdout.strip() == node.name
    first, second = (node.run("docker info --format '{{.ID}}'").stdout for node in lab)
    assert first != second
    assert "dockerd" in lab["node1"].run("ps -e -o comm").stdout
    assert "jupyter" not in lab["node1"].run("ps -e -o comm").stdout


def test_the_kernel_views_are_the_nodes_own(lab):
    """/sys/class/net, /proc/net and the routes are node1's, and there is no way out of the lab."""
    node = lab["node1"]
    assert node.run("ls /sys/class/net").stdout.split() == ["docker0", "eth0", "lo"]
    assert "docker0" in node.run("cat /proc/net/dev").stdout
    assert node.run("ip route show default").stdout == ""


def test_settings_are_the_kernels_own_whatever_the_machines_are(lab):
    """A node forwards because its engine said so, which then drops what no rule accepts; outside does not forward."""
    assert lab["node1"].run("iptables -S FORWARD | head -1").stdout == "-P FORWARD DROP\n"
    for host, forwards in (("node1", "1"), ("outside", "0")):
        settings = "cd /proc/sys/net/ipv4; cat ip_forward conf/all/rp_filter conf/eth0/rp_filter conf/eth0/arp_ignore"
        assert lab[host].run(settings).stdout.split() == [forwards, "0", "0", "0"], host


def test_outside_sees_the_address_of_the_node(lab):
    """A container's request reaches outside with node1's address: it was masqueraded."""
    said = lab["node1"].run("docker run --rm busybox wget -qO- http://192.168.59.254").stdout
    assert said == "hello from outside, you are 192.168.59.1\n"
    assert lab["outside"].run("ping -c1 -W1 node2").status == 0
    with pytest.raises(LabError, match="no engine"):
        _ = lab["outside"].docker


def test_hosts_know_each_other_by_name(lab):
    """node1, node2 and outside resolve everywhere; anything else fails at once."""
    assert lab["node1"].run("ping -c1 -W1 node2 && ping -c1 -W1 outside").status == 0
    begun = time.monotonic()
    assert lab["node1"].run("getent hosts www.example.org", check=False).status != 0
    assert time.monotonic() - begun < at_most(8)


def test_an_unknown_image_is_refused_at_once(lab):
    """docker run of an image that is not there says so within two seconds."""
    begun = time.monotonic()
    done = lab["node1"].run("docker run --rm nosuchimage true", check=False)
    assert done.status == 125
    assert "Unable to find image 'nosuchimage:latest' locally" in done.stderr
    assert time.monotonic() - begun < at_most(8)


def test_the_images_are_there(lab):
    """busybox and the toolbox are on every node, and their tools run."""
    for node in lab:
        images = node.run("docker images --format '{{.Repository}}:{{.Tag}}'").stdout.split()
        assert sorted(images) == ["busybox:latest", "toolbox:latest"]
    tools = "bash --version && ip -V && ping -V && curl -V && dig -v && tcpdump --version && iperf3 -v && which nc sleep"
    done = lab["node1"].run(["docker", "run", "--rm", "toolbox", "bash", "-ec", tools])
    assert "GNU bash" in done.stdout
    assert lab["node1"].run("docker run --rm busybox nslookup localhost 127.0.0.1", check=False).status in (0, 1)  # no crash


def test_an_image_can_be_removed_on_one_node_only(lab):
    """Removing an image works as anywhere, and the other node keeps it."""
    lab["node2"].run("docker rmi toolbox && docker build -q -t mine - <<<'FROM busybox\nENV A=1'")
    assert "toolbox" in lab["node1"].run("docker images").stdout
    assert lab["node2"].run("docker run --rm mine sh -c 'echo $A'").stdout == "1\n"


def test_the_sdk_client_is_of_that_node(lab, monkeypatch):
    """lab[NODE].docker speaks to that node's engine, whatever the caller's environment says."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent.sock")
    for node in lab:
        assert node.docker.info()["Name"] == node.name


def test_a_failing_command_says_where_and_why(lab):
    """CommandError names the node, the command, its status and its stderr."""
    with pytest.raises(CommandError, match=r"on node2, `ls /nowhere` ended with status 2: .*No such file"):
        lab["node2"].run("ls /nowhere")
    assert lab["node2"].run("exit 7", check=False).status == 7
    assert lab["node2"].run(["printf", "%s|", "a b", "c"]).stdout == "a b|c|"
    assert lab["node1"].run("cat", input="given\n").stdout == "given\n"


def test_output_of_any_size_arrives_whole(lab):
    """Megabytes on both streams come back, byte for byte, and a background process does not hold it up."""
    done = lab["node1"].run("head -c 3000000 /dev/zero | tr '\\0' x; head -c 2000000 /dev/zero | tr '\\0' y >&2; sleep 60 &")
    assert (done.stdout, done.stderr) == ("x" * 3_000_000, "y" * 2_000_000)


def test_silence_beyond_the_timeout_ends_the_command(lab):
    """A command that writes nothing for the given time is hung up on."""
    with pytest.raises(TimeoutError):
        lab["node1"].run("echo $$ > /tmp/sleeper; exec sleep 77", timeout=0.3)
    pid = lab["node1"].run("cat /tmp/sleeper").stdout.strip()
    lab["node1"].run(f"for _ in $(seq 50); do [ -d /proc/{pid} ] || exit 0; sleep 0.05; done; exit 1")


def test_unknown_names_are_refused(lab):
    """A host that does not exist is named with those that do."""
    with pytest.raises(LabError, match="no host 'node3': it has node1, node2, outside"):
        lab["node3"]


def test_nodes_start_on_first_use(machine):
    """A node that is not started costs nothing, and is there when it is asked for."""
    with open_lab(3, start=1) as lab:
        assert lab.states() == {"node1": "ready", "node2": "idle", "node3": "idle", "outside": "ready"}
        assert lab["node3"].run("hostname").stdout == "node3\n"
        assert lab.states()["node2"] == "idle"


def test_a_killed_node_comes_back_empty(machine):
    """Pulling a node's plug ends everything on it; its next use is a fresh machine."""
    with open_lab(2) as lab:
        lab["node2"].run("docker run -d --name web busybox sleep 1000 && touch /tmp/mark")
        lab.kill("node2")
        assert lab.states()["node2"] == "down"
        assert lab["node1"].run("ping -c1 -W1 node2", check=False).status != 0
        assert lab["node2"].run("docker ps -q; ls /tmp/mark", check=False).stdout == ""
        assert lab["node1"].run("ping -c1 -W1 node2").status == 0


def test_a_killed_node_may_be_used_at_once(machine):
    """The next command meets the new machine, never the one that is ending; what is dead can be killed again."""
    with open_lab(2) as lab:
        for _ in range(10):
            lab["node2"].run("touch /tmp/mark; sleep 1000 >/dev/null 2>&1 &")
            lab.kill("node2")
            assert lab["node2"].run("ls /tmp/mark", check=False).stdout == ""
        lab.kill("node2")
        lab.kill("node2")
        assert lab["node1"].run("netkit on node2 -- hostname").stdout == "node2\n"


def test_five_labs_at_once_do_not_meet(machine):
    """Five labs use the same addresses at the same time, each for itself."""
    labs = [open_lab(1, label=f"lab {number}") for number in range(5)]
    try:
        for number, lab in enumerate(labs):
            lab["node1"].run(
                f"docker network create --label n={number} own && docker run -d --network own --name c{number} busybox sleep 1000"
            )
        for number, lab in enumerate(labs):
            assert lab["node1"].run("docker ps --format '{{.Names}}'").stdout == f"c{number}\n"
            assert lab["node1"].run("docker network inspect own -f '{{(index .IPAM.Config 0).Subnet}}'").stdout == "172.18.0.0/16\n"
    finally:
        for lab in labs:
            lab.close()


def test_a_swarm_of_two_carries_pings_by_name(machine):
    """Two nodes form a swarm, and containers on its overlay reach each other by name across them."""
    with open_lab(2) as lab:
        one, two = lab
        form_swarm(one, two)
        ping_across_overlay(one, two)
        begun = time.monotonic()
        one.run("docker service create --name hello --replicas 2 toolbox sleep infinity")
        assert time.monotonic() - begun < at_most(25), "two replicas converge in seconds, not in half a minute"
        tasks = one.run("docker service ps hello --format '{{.Node}} {{.CurrentState}}'").stdout.splitlines()
        assert sorted(task.split()[:2] for task in tasks) == [["node1", "Running"], ["node2", "Running"]]


def test_closing_leaves_nothing(machine):
    """A lab with containers, networks and a swarm is gone when close() returns, and may be closed again."""
    lab = open_lab(2)
    lab["node1"].run("docker swarm init --advertise-addr 192.168.59.1 && docker run -d busybox sleep 1000")
    pid = lab.pid
    lab.close()
    assert not os.path.exists(f"/proc/{pid}")
    lab.close()
    with pytest.raises(LabError):
        lab["node1"].run("true")


def test_the_engine_comes_back_to_life_by_hand(machine):
    """A node whose engine was killed is still a machine: it says so, and dockerd can be started again."""
    with open_lab(1) as lab:
        node = lab["node1"]
        node.run("kill -9 $(cat /run/docker.pid)")
        assert "Cannot connect to the Docker daemon" in node.run("docker ps", check=False).stderr
        assert node.run("hostname").stdout == "node1\n"
