"""A node's engine ends and is there again, as a machine's service is; the node stays the node it is."""

from __future__ import annotations

import contextlib
import os
import shlex

import pytest

from netkit.laboratory.lab import open_lab
from netkit.network.capture import capture
from tests.engines import SUITES, Unavailable, get_engine
from tests.kernels import wait_for
from tests.patience import patiently
from tests.shares import share

VERSIONS = ("installed", *share(sorted(SUITES)))
VICTIMS = ("dockerd", "containerd", "containerd-shim", "runc")
ROUNDS = int(os.environ.get("NETKIT_TEST_ENGINE_ROUNDS") or 3)  # of random ends, for each engine
# what a round begins with: a container for each policy, all with an end that does not wait for ten seconds, and a network with
# an address that is asked for
PREPARE = """set -e
docker network create --subnet 172.30.0.0/24 mine >/dev/null
run() { docker run -d --stop-signal KILL "$@" >/dev/null; }
run --name always --restart always --network mine --ip 172.30.0.9 -p 8080:80 busybox httpd -f -h /etc
run --name once busybox sleep 1000
run --name given-up --restart unless-stopped busybox sleep 1000
docker stop given-up >/dev/null
echo mine > /tmp/mark
"""
# a container that ends while its containerd is down runs on for the engine, and who waits for its end waits for ever: so elsewhere
BUSY = "(for i in 1 2 3 4; do timeout 15 docker run --rm --stop-signal KILL busybox true; done) >/dev/null 2>&1 & busy=$!;"
# an answer must come, however long the machine takes
READY = 'until docker version >/dev/null 2>&1 && [ "$(cat /run/netkit-engine.state)" = ready ]; do sleep 0.05; done'
SERVES = 'until page=$(curl -sf -m1 http://172.30.0.9/hostname) && curl -s -m1 http://192.168.59.1:8080/hostname | grep "$page"; do sleep 0.1; done'
SAME = "cat /sys/class/net/eth0/ifindex /sys/class/net/eth0/address /tmp/mark; stat -c %i /run; docker network ls --format '{{.Name}}' | sort; docker network inspect -f '{{.Id}}' mine"
# what runs in containers and for them; a containerd that was killed forgets a shim it was just starting
LEFT = "ps -eo ppid,pid,stat,args | grep -E ' (runc init|sleep 1000|httpd|[^ ]*docker-proxy)' | grep -v grep || true"


@contextlib.contextmanager
def open_node(version: str):
    """node1 of a lab with this engine."""
    try:
        engine = None if version == "installed" else get_engine(version)
    except Unavailable as error:
        pytest.skip(f"no engine {version}: {error}")
    with open_lab(1, engine=engine) as lab:
        yield lab["node1"]


@pytest.fixture(params=VERSIONS, scope="module")
def node(request):
    """A node that all tests of an engine share, and leave as it was."""
    with open_node(request.param) as opened:
        yield opened


def run(node, script: str) -> str:
    """What a script writes on a node; silence for two minutes is a failure."""
    return node.run(script, timeout=patiently()).stdout


@pytest.mark.parametrize("version", VERSIONS)
def test_the_engine_ends_at_any_moment_and_comes_back(version, seeded):
    """Whichever of its processes ends, and however: the engine answers again on the same node, with its networks and policies."""
    with open_node(version) as node:
        run(node, PREPARE)
        before = run(node, SAME)
        for _ in range(ROUNDS):
            victim, signal, delay = seeded.choice(VICTIMS), seeded.choice(("KILL", "TERM")), seeded.uniform(0, 0.6)
            print(f"{signal} for {victim} after {delay:.2f} s")
            run(node, f"{BUSY} sleep {delay}; pkill -{signal} -f '^[^ ]*{victim}( |-runc|$)'; wait $busy; {READY}")
            assert run(node, SAME) == before
            # dockerd looks for its containerd every half a second, and starts another one after some ten of silence
            run(node, "until timeout 15 docker run --rm busybox true; do sleep 0.3; done 2>/dev/null")
            run(node, SERVES)
            states = dict(line.split() for line in run(node, "docker ps -a --format '{{.Names}} {{.State}}'").splitlines())
            assert (states["always"], states["given-up"]) == ("running", "exited") and states["once"] in ("running", "exited")
        run(node, "docker ps -aq | xargs docker rm -f; docker network rm mine")
        assert wait_for(lambda: run(node, LEFT) == ""), run(node, LEFT)


def test_the_engine_is_a_service(node):
    """`service` and `systemctl` stop, start and restart it as on any machine; while it is stopped, nothing starts it."""
    stopped = "docker ps >/dev/null 2>&1; echo $?; systemctl is-active docker; service docker status; echo $?"
    run(node, "docker run -d --name kept --stop-signal KILL --restart always busybox sleep 1000 && systemctl stop docker.service")
    assert run(node, stopped).split("\n") == ["1", "inactive", "docker: stopped", "3", ""]
    assert node.lab.states()["node1"] == "stopped"
    assert "the Docker engine is down" in capture(lab=node.lab).text()
    assert node.run("hostname").stdout == "node1\n" and run(node, "cat /run/netkit-engine.state") == "stopped"
    assert run(node, "service docker start && systemctl is-active docker && docker ps --format '{{.Names}}'") == "active\nkept\n"
    # what a text tells to write there works, though it takes away what a lab has written
    run(node, """echo '{"bip": "172.17.0.1/24"}' > /etc/docker/daemon.json; systemctl daemon-reload && systemctl restart docker""")
    assert "inet 172.17.0.1/24" in run(node, "docker run --rm busybox true; ip addr show docker0")
    assert node.lab.states()["node1"] == "ready"
    refused = node.run("systemctl restart ssh", check=False)
    assert refused.status == 1 and "its one service is docker" in refused.stderr
    run(node, "docker rm -f kept")


@pytest.mark.parametrize("node", ["installed"], indirect=True)
def test_the_state_is_never_half_written(node):
    """Whoever looks at an engine's state while it stops and starts reads one of its words, whole."""
    look = """
import os
seen = set()
while not os.path.exists("/tmp/over"):
    seen.add(open("/run/netkit-engine.state").read().strip())
print(*sorted(seen), sep=",")
"""
    script = f"rm -f /tmp/over; python3 -c {shlex.quote(look)} & for _ in 1 2; do service docker restart; done; touch /tmp/over; wait"
    assert set(run(node, script).strip().split(",")) <= {"ready", "starting", "stopped"}


def test_an_engine_that_ends_again_and_again_has_failed(node):
    """Three ends in ten seconds, and the host says why; it is still that host, and its engine can be started again."""
    before = run(node, "cat /sys/class/net/eth0/ifindex; stat -c %i /run")
    said = node.run("cp /etc/docker/daemon.json /tmp/kept; echo '{\"bip' > /etc/docker/daemon.json; systemctl restart docker", check=False)
    assert said.status == 1 and "docker: failed: dockerd ended with status 1: " in said.stderr and "daemon.json" in said.stderr
    assert node.lab.states()["node1"] == "failed" and run(node, "systemctl is-active docker || true") == "failed\n"
    assert "the Docker engine is down" in capture(lab=node.lab).text()
    node.lab.ensure("node1")
    assert run(node, "cat /sys/class/net/eth0/ifindex; stat -c %i /run") == before
    assert run(node, "mv /tmp/kept /etc/docker/daemon.json; systemctl start docker && docker version >/dev/null && echo works") == "works\n"
    assert node.lab.states()["node1"] == "ready"


def test_a_node_outlives_what_its_engine_cannot_start_with(node):
    """An engine without a place for its log, stopped while it starts again, with a second one beside it, or in its place: the host goes on."""
    before = run(node, "cat /sys/class/net/eth0/ifindex; stat -c %i /run")
    spoil = "rm /run/engine.log && mkdir /run/engine.log && kill -9 $(cat /run/docker.pid)"
    run(node, f"{spoil}; until grep -q failed /run/netkit-engine.state; do sleep 0.05; done")
    assert "dockerd could not be started: Is a directory" in run(node, "service docker status || true")
    assert run(node, "rmdir /run/engine.log; service docker start && docker version >/dev/null && echo works") == "works\n"
    assert run(node, "kill -9 $(cat /run/docker.pid); service docker stop; systemctl is-active docker || true") == "inactive\n"
    assert run(node, "service docker start; systemctl is-active docker") == "active\n"
    by_hand = "rm -f /run/docker.pid /run/docker.sock; dockerd --host unix:///run/docker.sock >/dev/null 2>&1 || echo refused"
    assert (
        run(node, f"{by_hand}; docker version >/dev/null && echo works; service docker restart && echo again") == "refused\nworks\nagain\n"
    )
    alone = "service docker stop; (dockerd >/dev/null 2>&1 &); until docker version >/dev/null 2>&1; do sleep 0.05; done; pkill dockerd; sleep 0"
    run(node, f"{alone}; while pgrep dockerd >/dev/null; do sleep 0.05; done; service docker start && docker version >/dev/null")
    assert run(node, "cat /sys/class/net/eth0/ifindex; stat -c %i /run") == before


# what is typed, and what it writes
CONTAINERS = {
    "a port that is taken": (
        "docker run -d --name one -p 8080:80 busybox sleep 1000 >/dev/null; docker run -d --name two -p 8080:80 busybox sleep 1000 >/dev/null 2>&1;"
        "docker rm -f one >/dev/null; docker start two; docker exec two hostname -i; pgrep -fc 'runc init'",
        "two\n172.17.0.2\n0\n",
    ),
    "an address that is taken": (
        "docker network create --subnet 172.31.0.0/24 net >/dev/null; docker run -d --name one --network net --ip 172.31.0.9 busybox sleep 1000 >/dev/null;"
        "docker run -d --name two --network net --ip 172.31.0.9 busybox sleep 1000 >/dev/null 2>&1;"
        "docker rm -f one >/dev/null; docker start two; docker exec two hostname -i; docker rm -f two; docker network rm net; pgrep -fc 'runc init'",
        "two\n172.31.0.9\ntwo\nnet\n0\n",
    ),
    "a network that is not there": (
        "docker run -d --name one --network nowhere busybox sleep 1000 >/dev/null 2>&1; docker rm one; pgrep -fc 'runc init'",
        "one\n0\n",
    ),
    "the node's processes": (
        "docker run -d --name one --pid host busybox sh -c 'sleep 777 & exec sleep 778' >/dev/null; until [ $(pgrep -xfc 'sleep 77[78]') = 2 ]; do sleep 0.05; done;"
        "docker top one | grep -c 'sleep 77'; docker rm -f one; pgrep -c sleep",
        "2\none\n0\n",
    ),
    "another's processes": (
        "docker run -d --name one busybox sleep 771 >/dev/null; docker run -d --name two --pid container:one busybox sh -c 'sleep 772 & exec sleep 773' >/dev/null;"
        "docker exec -d two sleep 774; until [ $(pgrep -xfc 'sleep 77[234]') = 3 ]; do sleep 0.05; done;"
        "docker top two | grep -c 'sleep 77'; docker stop -t 0 two; docker start two; docker rm -f two; ps -eo args | grep '^sleep'",
        "3\ntwo\ntwo\ntwo\nsleep 771\n",
    ),
    "an init that ends by itself": (  # not at once: containerd 1.7 now and then overlooks one that has ended before its start was answered
        "docker run --name one --pid host busybox sh -c 'sleep 777 & sleep 0.3'; docker inspect -f '{{.State.Status}} {{.State.ExitCode}}' one; pgrep -c sleep",
        "exited 0\n0\n",
    ),
    "policies and limits": (
        "docker run -d --name one --memory 64m --stop-signal KILL busybox sleep 1000 >/dev/null; docker update --restart always --memory 128m one;"
        "docker kill one >/dev/null; docker start one; docker inspect -f '{{.HostConfig.RestartPolicy.Name}} {{.State.Status}}' one;"
        "docker run -d --name two --restart on-failure:2 busybox false >/dev/null;"
        "until [ \"$(docker inspect -f '{{.RestartCount}} {{.State.Status}}' two)\" = '2 exited' ]; do sleep 0.1; done; echo given up",
        "one\none\nalways running\ngiven up\n",
    ),
    "health": (
        "docker run -d --name one --health-cmd false --health-interval 0.2s --health-retries 1 busybox sleep 1000 >/dev/null;"
        "until [ \"$(docker inspect -f '{{.State.Health.Status}}' one)\" = unhealthy ]; do sleep 0.1; done; echo told; docker exec one nosuch >/dev/null 2>&1 || echo refused",
        "told\nrefused\n",
    ),
    "a pause": (
        "docker run -d --name one busybox sleep 1000 >/dev/null; docker pause one 2>&1 | grep -o 'cannot be paused: that takes control groups'; docker exec one echo awake",
        "cannot be paused: that takes control groups\nawake\n",
    ),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_containers_end_and_fail_as_elsewhere(node, name):
    """What needs control groups elsewhere is done in another way, or refused in words; nothing of a container stays."""
    script, expected = CONTAINERS[name]
    done = node.run(script, check=False, timeout=patiently())
    node.run("docker ps -aq | xargs -r docker rm -f")
    assert done.stdout == expected, done.stderr
    assert wait_for(lambda: run(node, LEFT) == ""), run(node, LEFT)
