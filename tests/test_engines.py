"""Any engine from 20.10 to 28.5 runs in a lab: the installed one, and newer ones beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time

import pytest

from netkit.laboratory.engine import find_engine
from netkit.laboratory.lab import open_lab
from netkit.network.capture import capture
from tests import oracles
from tests.conftest import NETKIT
from tests.engines import SUITES, Unavailable, get_engine
from tests.patience import at_most
from tests.swarms import form_swarm, ping_across_overlay


@pytest.fixture(params=SUITES)
def newer(request, monkeypatch) -> str:
    """The version of a newer engine, which labs opened by the test use; its images are prepared."""
    try:
        monkeypatch.setenv("NETKIT_ENGINE", get_engine(request.param))
    except Unavailable as error:
        pytest.skip(f"engine {request.param} cannot be had here: {error}")
    with open_lab(1):
        return request.param


def test_a_newer_engine_runs_the_workshop(newer, machine):
    """Containers, networks, names, published ports, a swarm and a service work on a newer engine."""
    with open_lab(2) as lab:
        one, two = lab
        assert lab.facts["engine"].startswith(newer)
        assert one.run("docker version --format '{{.Server.Version}}'").stdout.startswith(newer)
        assert one.docker.version()["Version"].startswith(newer)
        one.run(
            "docker network create web && docker run -d --name w1 --network web -p 8080:80 busybox sh -c 'echo hi >index.html; httpd -f'"
        )
        assert "1 packets received" in one.run("docker run --rm --network web busybox ping -c1 -W2 w1").stdout
        assert one.run("docker run --rm busybox wget -qO- http://192.168.59.254").stdout == "hello from outside, you are 192.168.59.1\n"
        assert two.run("curl -s -m 3 http://192.168.59.1:8080/index.html").stdout == "hi\n"
        begun = time.monotonic()
        assert "Unable to find image" in one.run("docker run nosuchimage", check=False).stderr
        assert time.monotonic() - begun < at_most(8)
        form_swarm(one, two)
        ping_across_overlay(one, two)
        begun = time.monotonic()
        one.run("docker service create --name hello --replicas 2 toolbox sleep infinity")
        assert time.monotonic() - begun < at_most(25)


def test_an_engine_in_a_hidden_place_is_seen(machine, tmp_path):
    """An engine unpacked below /tmp, which is every node's own, runs all the same."""
    installed = find_engine().commands
    for name in ("dockerd", "containerd", "containerd-shim-runc-v2"):
        shutil.copy(installed[name], tmp_path / name)
    done = subprocess.run(
        [NETKIT, "run", "--nodes", "1", "--engine", str(tmp_path), "--", "docker", "run", "--rm", "busybox", "echo", "fine"],
        capture_output=True,
        text=True,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
    )
    assert (done.returncode, done.stdout) == (0, "fine\n"), done.stderr


def test_a_newer_engine_is_captured_as_it_is(newer):
    """Interfaces, routes and forwarding entries agree with the plain commands', containers with the engine's own words."""
    with open_lab(1) as lab:
        node = lab["node1"]
        node.run("docker network create web; docker run -d --name w1 --network web -p 8080:80 busybox sleep 1000")
        node.run("docker run -d --name w2 busybox sleep 1000; docker network connect web w2; ip netns add red")
        topology = capture("node1", lab=lab)
        oracles.check_references(topology)
        for _, namespace in topology.namespaces():
            found = sorted(map(oracles.tell_interface, namespace.interfaces), key=lambda row: row["index"])
            assert found == oracles.read_interfaces(node, namespace)
            assert oracles.tell_routes(namespace) == oracles.read_routes(node, namespace)
        (one,) = topology.nodes
        assert {container.name: container.mode for container in one.containers} == {"w1": "bridge", "w2": "several"}
        firewall = topology.canonical().nodes[0].namespace("host").firewall
        assert {"docker0", "bridge of web"} <= set(firewall.isolated) and [each.port for each in firewall.forwards] == [8080]
        assert {str(each.source) for each in firewall.masquerades} == {"172.17.0.0/16", "172.18.0.0/16"}
