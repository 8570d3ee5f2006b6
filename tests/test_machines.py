"""Labs of real machines: hosts with an sshd and an engine of their own, reached as any machine would be."""

from __future__ import annotations

import re
import subprocess
import sys
import time

import pytest

from netkit.laboratory.lab import open_lab
from netkit.operator import guard_closing
from tests.hosts import Hosts, prepare_hosts, read_json, start_sshd, stop_sshd
from tests.patience import patiently

NODES = ("node1", "node2")
# 7946: an engine whose neighbours leave the swarm at the same moment may keep that port open (20.10, without any netkit)
STATE = """
ls -d /run/netkit-guard-* /run/netkit-machines-* 2>/dev/null; docker ps -a --format '{{.Names}}'; docker volume ls -q
docker network ls --format '{{.Name}}'; docker images --format '{{.Repository}}' | sort; docker info --format '{{.Swarm.LocalNodeState}}'
ls /sys/class/net; ss -Hltn | awk '{print $4}' | grep -v :7946 | sort; pgrep -a ssh$; cat /proc/net/unix | grep -o '@netkit-machine'
"""
FAKE = """
import http.server, socketserver
class Server(socketserver.UnixStreamServer):
    def get_request(self):
        return self.socket.accept()[0], ("", 0)
class Old(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b'{"Version": "19.03.15"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
Server("/run/docker.sock", Old).serve_forever()
"""


@pytest.fixture(scope="module")
def hosts(tmp_path_factory):
    """node1, where clients run; node2 and outside, with an sshd each."""
    directory = tmp_path_factory.mktemp("ssh")
    with open_lab(2, label="machines", keep=(str(directory),)) as lab:
        yield prepare_hosts(lab, directory, "node2", "outside")


@pytest.fixture(autouse=True)
def unchanged(hosts: Hosts):
    """Whatever happens in a test, both machines are afterwards as they were."""
    before = read_state(hosts)
    yield
    after = wait_for_state(hosts, before)
    assert after == before


def read_state(hosts: Hosts) -> dict[str, str]:
    return {name: hosts.lab[name].run(STATE, check=False).stdout for name in NODES}


def wait_for_state(hosts: Hosts, wanted: dict[str, str], patience: float = 10.0) -> dict[str, str]:
    """Wait until both machines are so; returns how they are."""
    deadline = time.monotonic() + patiently(patience)
    while (now := read_state(hosts)) != wanted and time.monotonic() < deadline:
        time.sleep(0.1)
    return now


WORK = """
import json, sys
import netkit
from netkit.laboratory.lab import Lab
from tests.swarms import form_swarm, ping_across_overlay
lab = netkit.lab()
one, two = lab
form_swarm(one, two)
ping_across_overlay(one, two)
for attempt in range(20):  # a neighbour's state may change between the two
    ours, theirs = netkit.capture(), netkit.capture(lab=Lab())
    if ours == theirs:
        break
command = "docker exec c1 ping -c1 c2"
traces = [netkit.trace(command, node="node1"), netkit.trace(command, node="node1", lab=Lab())]
print(json.dumps({
    "traces": [trace.text(rules=True) for trace in traces], "complete": traces[0].is_complete,
    "traced": [node.run("pgrep -c netkit-trace; nft list tables | grep netkit", check=False).stdout for node in lab],
    "repr": repr(lab), "states": lab.states(), "nodes": [node.name for node in lab], "same": ours == theirs, "diff": str(ours.diff(theirs)),
    "containers": [[c.name for c in node.docker.containers.list()] for node in lab],
    "sdk": two.docker.containers.run("busybox", "hostname", remove=True, hostname="by-sdk").decode().strip(),
    "status": two.run("exit 3", check=False).status, "input": two.run("cat", input="told").stdout,
    "outside": lab["outside"].run("hostname").stdout.strip(),
    "swarm": [member.swarm.role for member in ours.nodes if member.swarm],
}))
"""


def test_two_hosts_are_a_lab_like_any_other(hosts):
    """Commands, the SDK, a swarm of two whose overlay carries a ping, and a capture and a trace equal to those of the lab they are."""
    found = read_json(hosts.python(WORK, hosts.write_inventory(outside=True)))
    assert re.fullmatch(
        r"<lab \w{8} of real machines: node1 at local, node2 at root@192.168.59.2, outside at .*; engine .*>", found["repr"]
    )
    assert found["states"] == {"node1": "ready", "node2": "ready", "outside": "ready"}
    assert found["nodes"] == ["node1", "node2"]
    assert found["same"], found["diff"]
    assert found["complete"] and found["traces"][0] == found["traces"][1]
    assert "in VXLAN 4097" in found["traces"][0] and "container c2 on node2" in found["traces"][0]
    assert found["traced"] == ["0\n", "0\n"]
    assert found["containers"] == [["c1"], ["c2"]]
    assert (found["sdk"], found["status"], found["input"], found["outside"]) == ("by-sdk", 3, "told", "outside")
    assert found["swarm"] == ["manager", "worker"]


def test_the_commands_find_the_machines(hosts):
    """netkit run, on, ps, topology and a shell on another machine, and no port that listens meanwhile."""
    inventory = hosts.write_inventory()
    script = """
        hostname; netkit on node2 -- hostname; netkit ps; netkit topology | head -1; ss -Hltn | wc -l; netkit on node2 -- ss -Hltn | wc -l
        script -qec "stty cols 99 rows 44; $PYTHON -c 'import netkit, sys; sys.exit(netkit.lab()[\\"node2\\"].shell([\\"bash\\", \\"-c\\", \\"stty size; exit 5\\"]))'" /dev/null < /dev/null; echo "status $?"
        echo 'netkit on node2 -- hostname; echo not eaten' | bash; echo piped | netkit on node2 -- cat; seq 2 | while read n; do netkit on node2 -- echo line $n; done
        netkit on node2 -- docker version --format '{{.Server.Os}}'; netkit on outside -- true; netkit on node3 -- true; exit 4"""
    listening = [hosts.lab[name].run("ss -Hltn | wc -l").stdout.strip() for name in NODES]
    done = hosts.netkit("run", "--", "env", f"PYTHON={sys.executable}", "bash", "-c", script, inventory=inventory, check=False)
    lines = done.stdout.replace("\r", "").splitlines()
    assert done.status == 4, done
    assert lines[:2] == ["node1", "node2"]
    assert re.match(r"\w{8}  real  \S+ +\d+m\d\ds +\d+ +run +node1 node2$", lines[3]), lines[3]
    assert lines[4] == "LAN 192.168.59.0/24: node1 192.168.59.1, node2 192.168.59.2"
    assert lines[5:7] == listening
    assert lines[7:] == ["44 99", "status 5", "node2", "not eaten", "piped", "line 1", "line 2", "linux"]
    assert "there is no outside among these machines" in done.stderr
    assert "this lab has no host 'node3'" in done.stderr


KERNEL = """
from tests.kernels import execute, kernel
with kernel() as (manager, client):
    cells = ["!hostname; docker run -d --name here busybox sleep 100", "%%on node2\\nhostname", "!netkit on node2 -- docker ps -q | wc -l",
             "import netkit; [c.name for c in netkit.lab()['node1'].docker.containers.list()]", "netkit.lab().kill('node2')"]
    print("\\n".join(execute(client, cell) for cell in cells))
"""


def test_a_kernel_on_node1_runs_notebooks_as_they_are(hosts):
    """Plain cells are node1's, %%on another machine's; a real plug is not pulled."""
    said = hosts.python(KERNEL, hosts.write_inventory()).stdout.replace("\r", "")
    assert re.search(r"^node1\n[0-9a-f]{64}\n\nnode2\n\n0\n\n\['here'\]\nLabError: node2 is a real machine", said), said


def test_a_kernel_elsewhere_runs_nothing_on_the_wrong_machine(hosts):
    """With node1 by ssh too, a cell's own commands are refused where the kernel is, and %%on reaches both."""
    code = """
from tests.kernels import execute, kernel
with kernel() as (manager, client):
    for cell in ("!touch /run/wrong", "%%bash\\ntouch /run/wrong", "x = !touch /run/wrong", "%%on node1\\nhostname", "%%on node1\\ndocker ps -q | wc -l"):
        print(execute(client, cell).strip())
"""
    inventory = hosts.write_inventory('known_hosts = "known_hosts"\n[machines.node1]\nssh = "root@192.168.59.2"\nkey = "user"\n')
    lines = hosts.python(code, inventory, on="outside").stdout.splitlines()
    assert [line.partition(":")[0] for line in lines[:3]] == ["UsageError"] * 3, lines
    assert lines[3:] == ["node2", "0"]
    assert hosts.lab["outside"].run("test -e /run/wrong", check=False).status == 1


FOREIGN = """
docker create --name theirs busybox true; docker network create theirs; docker volume create theirs
"""


def test_closing_removes_the_labs_own_and_nothing_else(hosts):
    """What others had before or make meanwhile survives, even what learners do with everything; the lab's own goes, all of it."""
    two = hosts.lab["node2"]
    two.run(FOREIGN)
    code = """
import netkit
lab = netkit.lab()
one, two = lab
one.run("docker swarm init --advertise-addr 192.168.59.1")
two.run("docker swarm join --token $(cat) 192.168.59.1:2377", input=one.run("docker swarm join-token -q worker").stdout)
two.run("docker run -d --restart always --name ours -v ours:/ours busybox sleep 1000; docker run -d --name stopped busybox true")
two.run("docker network create ours; docker volume create more; nohup sleep 1000 > /dev/null 2>&1 < /dev/null &")
one.run("docker network create -d overlay --attachable over; docker service create -d --name web --network over --replicas 2 busybox sleep 1000; echo x | docker secret create secret -")
one.docker.networks.create("by-sdk")
env = {"DOCKER_HOST": "unix:///var/run/docker.sock"}
two.run("docker run -d --name meanwhile busybox sleep 1000; docker network create meanwhile", env=env)
print(two.run("docker rm -f theirs; docker network rm theirs meanwhile; docker volume rm theirs; docker rm -f meanwhile; "
    "docker rmi -f busybox; docker container prune -f; docker network prune -f; docker volume prune -f", check=False).stderr)
print(two.run("docker service rm nothing", check=False).stderr)
two.run("docker ps -aq | xargs docker rm -f", check=False)
"""
    done = hosts.python(code, hosts.write_inventory())
    assert done.stdout.count("was not made by this lab, which removes only what is its own") >= 5, done.stdout
    assert "netkit: node2: the volume ours stays: nobody can tell who made it" in done.stderr
    listed = two.run(
        "docker ps -a --format '{{.Names}}' | sort; docker network ls --format '{{.Name}}'; docker volume ls -q; pgrep -x sleep -c",
        check=False,
    )
    assert listed.stdout.split() == ["meanwhile", "theirs", "bridge", "host", "meanwhile", "none", "theirs", "ours", "theirs", "1"]
    two.run("docker rm -f theirs meanwhile; docker network rm theirs meanwhile; docker volume rm theirs ours")


def test_an_engine_that_fails_to_leave_its_swarm_is_asked_again(monkeypatch):
    """A slow engine's first refusal is not the end of it; one that goes on refusing is told of."""
    answers = []

    def ask(method, path):
        if answers.pop():
            raise guard_closing.Refusal("context deadline exceeded", 500)

    monkeypatch.setattr(guard_closing, "ask", ask)
    monkeypatch.setattr(guard_closing, "read_swarm", lambda: {"active": True})
    monkeypatch.setattr(guard_closing.time, "sleep", lambda seconds: None)
    answers[:] = [False, True, True]
    guard_closing._leave_swarm()
    assert not answers
    answers[:] = [True] * guard_closing.LEAVES
    with pytest.raises(guard_closing.Refusal, match="deadline"):
        guard_closing._leave_swarm()


def test_a_swarm_that_others_use_by_now_stays(hosts):
    """A service somebody else started in the swarm the lab made keeps running, and the lab says why it left the swarm alone."""
    one = hosts.lab["node1"]
    code = """
import netkit
one = netkit.lab()["node1"]
one.run("docker swarm init --advertise-addr 192.168.59.1; docker service create -d --name ours busybox sleep 1000")
one.run("docker service create -d --name theirs busybox sleep 1000", env={"DOCKER_HOST": "unix:///var/run/docker.sock"})
"""
    done = hosts.python(code, hosts.write_inventory())
    assert "node1: it stays in the swarm this lab made, for somebody else uses that by now: service theirs" in done.stderr
    assert one.run("docker service ls --format '{{.Name}}'").stdout.split() == ["theirs"]
    one.run("docker swarm leave --force; docker network rm docker_gwbridge || true")


def test_a_machine_in_use_is_refused_unless_it_is_shared(hosts):
    """A foreign swarm or running container is a reason to refuse; with shared = true, both are there afterwards."""
    two = hosts.lab["node2"]
    two.run("docker swarm init --advertise-addr 192.168.59.2")
    said = hosts.netkit("run", "--", "true", inventory=hosts.write_inventory(), check=False)
    assert (said.status, "is in a swarm that no lab of this kind made" in said.stderr) == (2, True), said.stderr
    two.run("docker run -d --name theirs busybox sleep 1000")
    leave = "netkit on node2 -- docker swarm leave --force; netkit on node2 -- docker service create -q -d --name ours busybox sleep 1000"
    done = hosts.netkit("run", "--", "bash", "-c", leave, inventory=hosts.write_inventory(extra="shared = true"), check=False)
    assert "will not end that" in done.stderr
    assert two.run(
        "docker info --format '{{.Swarm.LocalNodeState}}'; docker ps --format '{{.Names}}'; docker service ls -q"
    ).stdout.split() == ["active", "theirs"]
    two.run("docker swarm leave --force; docker network rm docker_gwbridge || true")
    said = hosts.netkit("run", "--", "true", inventory=hosts.write_inventory(), check=False)
    assert (said.status, "runs containers of somebody else (theirs)" in said.stderr) == (2, True), said.stderr
    two.run("docker rm -f theirs")


def test_images_that_are_missing_are_brought_and_taken_away(hosts):
    """A machine without the workshop's images has them while the lab is open."""
    two = hosts.lab["node2"]
    two.run("docker save busybox toolbox -o /tmp/images.tar; docker rmi busybox toolbox")
    done = hosts.netkit(
        "run", "--", "netkit", "on", "node2", "--", "docker", "run", "--rm", "toolbox", "echo", "ran", inventory=hosts.write_inventory()
    )
    assert done.stdout == "ran\n"
    assert two.run("docker images -q").stdout == ""
    two.run("docker load -qi /tmp/images.tar; rm /tmp/images.tar")


BUSY = """
import netkit, time
one, two = netkit.lab()
one.run("docker swarm init --advertise-addr 192.168.59.1; docker run -d --name busy1 busybox sleep 1000")
two.run("docker swarm join --token $(cat) 192.168.59.1:2377", input=one.run("docker swarm join-token -q worker").stdout)
two.run("docker run -d --name busy2 busybox sleep 1000")
open("/tmp/busy", "w").close()
time.sleep(1000)
"""


@pytest.fixture
def busy(hosts):
    """The process id, on node1, of a client that has a lab open with a swarm and containers."""
    one = hosts.lab["node1"]
    (hosts.directory / "busy.py").write_text(BUSY)
    inventory = hosts.write_inventory()
    python = subprocess.list2cmdline([sys.executable, str(hosts.directory / "busy.py")])
    pid = one.run(
        f"NETKIT_MACHINES={inventory} PYTHONPATH=. {python} > /tmp/log 2>&1 < /dev/null & for _ in $(seq 1000); do [ -e /tmp/busy ] && break; sleep 0.05; done; echo $!"
    ).stdout.strip()
    assert one.run("test -e /tmp/busy", check=False).status == 0, one.run("cat /tmp/log").stdout
    yield pid
    one.run(f"kill {pid} 2>/dev/null; rm -f /tmp/busy", check=False)


def test_two_inventories_do_not_fight_over_a_machine(hosts, busy):
    """The second lab is told who has the machine, and leaves the first one's alone."""
    inventory = hosts.write_inventory(
        'known_hosts = "known_hosts"\n[machines.node1]\nssh = "root@192.168.59.2"\nkey = "user"\n', name="other.toml"
    )
    said = hosts.netkit("run", "--", "true", inventory=inventory, on="outside", check=False)
    assert said.status == 2
    assert re.search(
        r"node1 \(root@192.168.59.2\) is in use by another lab, \w{8}, opened by \S+ on node1, process \d+: close that first", said.stderr
    )
    assert hosts.lab["node2"].run("docker ps --format '{{.Names}}'").stdout.split() == ["busy2"]


def test_a_client_that_is_killed_leaves_nothing(hosts, busy):
    """kill -9 of the process that opened the lab: its machines notice, and remove what is the lab's (the fixture looks)."""
    hosts.lab["node1"].run(f"kill -9 {busy}")


def test_a_guard_that_is_killed_is_finished_by_the_next(hosts, busy):
    """With the guard of node2 killed too, its containers and swarm stay until the next lab on this machine, which removes them."""
    one, two = hosts.lab["node1"], hosts.lab["node2"]
    two.run("kill -9 $(pgrep -f '[o]perator.guard')")
    one.run(f"kill -9 {busy}; rm -f /tmp/busy")
    assert "busy2" in two.run("docker ps --format '{{.Names}}'").stdout
    deadline = time.monotonic() + patiently()
    while hosts.lab["node1"].run("ls -d /run/netkit-guard-*", check=False).status == 0 and time.monotonic() < deadline:
        time.sleep(0.1)
    hosts.netkit("run", "--", "true", inventory=hosts.write_inventory())


NODE1 = '[machines.node1]\nssh = "local"\naddress = "192.168.59.1"\n'
HEAD = 'known_hosts = "known_hosts"\n' + NODE1


def break_key(hosts: Hosts) -> str:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(hosts.directory / "stranger")], check=True)
    return hosts.write_inventory(HEAD + '[machines.node2]\nssh = "root@192.168.59.2"\nkey = "stranger"\n')


def break_sshd(hosts: Hosts) -> str:
    stop_sshd(hosts.lab["node2"])
    return hosts.write_inventory()


def break_no_such_host(hosts: Hosts) -> str:
    text = '[machines.node2]\nssh = "root@nowhere.invalid"\naddress = "192.168.59.2"\nkey = "user"\n'
    return hosts.write_inventory(HEAD + text)


def break_unknown_host_key(hosts: Hosts) -> str:
    (hosts.directory / "nobody_known").touch()
    return hosts.write_inventory('known_hosts = "nobody_known"\n' + NODE1 + '[machines.node2]\nssh = "root@192.168.59.2"\nkey = "user"\n')


def break_changed_host_key(hosts: Hosts) -> str:
    (hosts.directory / "other_known").write_text(f"192.168.59.2 {(hosts.directory / 'outside.host.pub').read_text()}")
    return hosts.write_inventory('known_hosts = "other_known"\n' + NODE1 + '[machines.node2]\nssh = "root@192.168.59.2"\nkey = "user"\n')


def break_address(hosts: Hosts) -> str:
    return hosts.write_inventory(extra='address = "192.168.59.77"')


def break_engine_gone(hosts: Hosts) -> str:
    hosts.lab["node2"].run("umount /run/docker.sock && mv /run/docker.sock /run/away.sock")
    return hosts.write_inventory()


def break_engine_old(hosts: Hosts) -> str:
    (hosts.directory / "fake.py").write_text(FAKE)
    hosts.lab["node2"].run(
        f"umount /run/docker.sock; mv /run/docker.sock /run/away.sock; {sys.executable} {hosts.directory}/fake.py > /dev/null 2>&1 < /dev/null & "
        "echo $! > /run/fake.pid; for _ in $(seq 200); do [ -S /run/docker.sock ] && exit; sleep 0.02; done; exit 1"
    )
    return hosts.write_inventory()


def break_disk(hosts: Hosts) -> str:
    hosts.lab["node2"].run("mount -t tmpfs -o size=1m full /var/lib/docker")
    return hosts.write_inventory()


def break_python(hosts: Hosts) -> str:
    two = hosts.lab["node2"]
    two.run("mkdir -p /run/few; for p in sh env bash; do ln -sf $(command -v $p) /run/few/; done")
    start_sshd(two, hosts.directory, port=2222, path="/run/few")
    known = (hosts.directory / "known_hosts").read_text() + f"[192.168.59.2]:2222 {(hosts.directory / 'node2.host.pub').read_text()}"
    (hosts.directory / "known_too").write_text(known)
    return hosts.write_inventory('known_hosts = "known_too"\n' + NODE1 + '[machines.node2]\nssh = "root@192.168.59.2:2222"\nkey = "user"\n')


REPAIR = """
[ ! -e /run/away.sock ] || mv -f /run/away.sock /run/docker.sock
[ ! -e /run/fake.pid ] || kill $(cat /run/fake.pid); [ ! -e /run/sshd.2222.pid ] || kill $(cat /run/sshd.2222.pid)
rm -rf /run/fake.pid /run/few; ! mountpoint -q /var/lib/docker || [ "$(findmnt -no SOURCE /var/lib/docker | tail -1)" != full ] || umount /var/lib/docker
"""
FAULTS = {
    break_key: "does not let this user in: the key is not the one it expects",
    break_sshd: "cannot be reached: is it switched on, does sshd run there",
    break_no_such_host: "cannot be reached",
    break_unknown_host_key: "has a host key nobody here knows",
    break_changed_host_key: "shows another host key than the one that is known",
    break_address: "has no address 192.168.59.77 (it has 192.168.59.2, 172.17.0.1",
    break_engine_gone: "cannot be used: there is no Docker engine",
    break_engine_old: "has Docker 19.03.15, netkit needs 20.10 or newer",
    break_disk: "has a full disk: ",
    break_python: "has no Python 3",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_what_is_wrong_with_a_machine_is_one_sentence(hosts, fault):
    """The machine, what is wrong, what helps: one line, status 2; node1 was prepared meanwhile, and nothing of that is left."""
    try:
        said = hosts.netkit("run", "--", "true", inventory=fault(hosts), check=False)
    finally:
        hosts.lab["node2"].run(REPAIR)
        if hosts.lab["node2"].run("test -e /run/sshd.22.pid", check=False).status:
            start_sshd(hosts.lab["node2"], hosts.directory)
    assert said.status == 2, said
    assert said.stderr.startswith("netkit: node2 (") and FAULTS[fault] in said.stderr, said.stderr
    assert said.stderr.count("\n") == 1 and said.stdout == "", said


def test_a_lab_whose_connection_ends_says_so(hosts):
    """The connection is cut by its own end there: the next command names the cause, and node2 has cleared itself up."""
    code = """
import time, netkit
lab = netkit.lab()
two = lab["node2"]
two.run("docker run -d --name lost busybox sleep 1000")
try:
    two.run("kill -9 $(pgrep -f '[s]shd: root@notty')", check=False)
except netkit.LabError:
    pass  # the command's own session is one of them
for _ in range(100):
    if lab.states()["node2"] == "down":
        break
    time.sleep(0.05)
try:
    two.run("true")
except netkit.LabError as error:
    print(error)
"""
    done = hosts.python(code, hosts.write_inventory())
    assert "node2 is not connected any more: its ssh connection has ended" in done.stdout, done
    assert "netkit: node2 (root@192.168.59.2) was cut off: its guard removes there what the lab had made" in done.stderr, done


def test_real_machines_come_as_they_are(hosts):
    """Wishes for another engine or mode are refused while an inventory is set."""
    said = hosts.netkit("run", "--mode", "root", "--", "true", inventory=hosts.write_inventory(), check=False)
    assert (said.status, "leave out --mode and --engine" in said.stderr) == (2, True)
