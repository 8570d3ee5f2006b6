"""The machine's own Docker, its contexts and its variables never meet a lab; a machine that nobody else uses is the same before and after."""

from __future__ import annotations

import os
import pwd
import subprocess

import pytest

from netkit.laboratory.lab import open_lab
from tests.conftest import NETKIT
from tests.patience import patiently

# A machine of our own with a Docker of its own at the usual place, in namespaces; then a lab on it,
# called by somebody whose every setting points at that Docker. PRETEND runs as its root.
PRETEND = r"""
set -e
export PATH=/usr/sbin:/usr/bin:/sbin:/bin container=docker
mount --make-rprivate /
keep=$HOME
mount -t tmpfs t /run; mkdir -p /run/lock; mount -t tmpfs t /dev/shm; mount -t tmpfs t /sys/kernel/security 2>/dev/null || true
mkdir /run/up /run/work /run/up/docker; mount -t overlay -o lowerdir=/var/lib,upperdir=/run/up,workdir=/run/work,userxattr o /var/lib
mount -t tmpfs t /var/lib/docker; mount -t tmpfs t /etc/docker
cp /etc/hosts /run/hosts; mount --bind /run/hosts /etc/hosts  # as in a container: an overlay over /etc is refused
ip link set lo up; hostname machine
dockerd >/run/log 2>&1 & engine=$!
for _ in $(seq 400); do docker version >/dev/null 2>&1 && break; sleep 0.05; done
docker network create theirs >/dev/null
see() {
    env -i docker info --format '{{.ID}} {{.Containers}} {{.Images}}'; env -i docker network ls --format '{{.ID}} {{.Name}}'
    iptables-save | grep -v '^#'; nft list ruleset; ip -d link | sed 's/gc_timer *[0-9.]*//'; ip addr; ip route show table all; cat /proc/self/mountinfo; hostname
    find /proc/sys/net -type f -readable ! -name nf_conntrack_count -exec grep -H '' {} + 2>/dev/null || true
    find /run -xdev; ls -A /dev/shm /etc/docker /var/lib
    ls -A /etc | grep -Ev '^(\.pwd|passwd|shadow|group|gshadow|subuid|subgid)'  # where somebody is made a user meanwhile
    ps -eo pid,comm --no-headers | grep -Ev ' (ps|grep|sed|bash)$'
}
# of others' mounts, those go that are on what they delete, in copies of their mount table, too (unlink(2); as in tests/machine.py)
without_others() {
    while IFS= read -r line; do
        read -r sign _ _ device _ place _ <<<"$line"
        [[ "$sign$device" =~ ^"<"[0-9]+:[0-9]+$ && ! -e $place ]] || printf '%s\n' "$line"
    done
}
is_as_it_was() {
    for _ in $(seq 40); do
        see >/run/after; diff /run/before /run/after | grep '^[<>]' | without_others >/run/log
        [ -s /run/log ] || return 0
        sleep 0.05
    done
    cat /run/log >&2; false
}
mkdir -p /run/home/.docker/contexts/meta/aa /run/home/.ipython /run/home/.config/matplotlib  # the last two are made once for each user
printf '{"currentContext": "theirs"}' >/run/home/.docker/config.json
id=$(printf theirs | sha256sum | cut -d' ' -f1); mkdir -p /run/home/.docker/contexts/meta/$id
printf '{"Name":"theirs","Metadata":{},"Endpoints":{"docker":{"Host":"unix:///run/docker.sock","SkipTLSVerify":false}}}' >/run/home/.docker/contexts/meta/$id/meta.json
export HOME=/run/home DOCKER_HOST=unix:///run/docker.sock DOCKER_CONTEXT=theirs DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=/nowhere DOCKER_CONFIG=/run/home/.docker XDG_CACHE_HOME=$keep/.cache
touch /run/before /run/after /run/log; see >/run/before
"$NETKIT" run --nodes 2 -- bash -c 'docker info --format "node1 speaks to {{.Name}}"; docker network ls --format "{{.Name}}" | sort | xargs; docker run -d --name lost busybox sleep 100 >/dev/null
  netkit on node2 -- docker info --format "node2 speaks to {{.Name}}"; env -i PATH=$PATH HOME=$HOME docker info --format "without settings {{.Name}}"
  bash -lc "docker info --format \"in a login shell {{.Name}}\""; python3 -c "import os; print([v for v in os.environ if v.startswith(\"DOCKER_\")])"
  ls /etc/hostname /etc/ssl/certs/ca-certificates.crt >/dev/null && bash -lc "date +%Z"; echo x >>/etc/hosts
  iptables -F; ip link delete docker0'
is_as_it_was && ! grep -x x /run/hosts && echo "the machine is as it was"
"$NETKIT" run --nodes 2 -- bash -c 'docker swarm init --advertise-addr 192.168.59.1 && docker run -d busybox sleep 1000 && echo busy; sleep 1000' >/run/said 2>&1 & opener=$!
for _ in $(seq 400); do grep -q busy /run/said && break; sleep 0.05; done
kill -9 $opener; wait $opener || true
grep -c busy /run/said; rm /run/said
is_as_it_was && echo "and again"
kill $engine; wait $engine || true
"""


def test_a_lab_never_meets_the_machines_docker(machine, tmp_path):
    """With a dockerd of the machine running, and every setting pointing at it, a lab speaks to its own; nothing of the machine has changed."""
    script = tmp_path / "pretend"
    script.write_text(PRETEND)
    tmp_path.chmod(0o755)
    ids = [] if os.geteuid() == 0 else ["--map-root-user", "--map-auto"]
    command = [
        "unshare",
        *ids,
        "--mount",
        "--net",
        "--uts",
        "--ipc",
        "--pid",
        "--fork",
        "--mount-proc",
        "--kill-child",
        "bash",
        str(script),
    ]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "NETKIT": NETKIT}, timeout=patiently(600))
    assert done.stdout.splitlines() == [
        "node1 speaks to node1",
        "bridge host none",
        "node2 speaks to node2",
        "without settings node1",
        "in a login shell node1",
        "['DOCKER_CONFIG']",
        "UTC",
        "the machine is as it was",
        "1",
        "and again",
    ], done.stderr


def test_other_users_cannot_reach_a_labs_sockets(machine):
    """Neither the engine's nor the agents' sockets can be connected to by another user."""
    if os.geteuid() != 0:
        pytest.skip("only root can try as another user")
    nobody = pwd.getpwnam("nobody").pw_uid
    tries = "import os, socket, sys; os.setgroups([]); os.setgid(int(sys.argv[1])); os.setuid(int(sys.argv[1])); s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[2])"
    with open_lab(1) as lab:
        for path in ("/run/docker.sock", "/run/netkit/node1/docker.sock", "/run/netkit/node1/agent.sock", "/run/netkit/laboratory.sock"):
            for place in (f"/proc/{lab.pid}/root", f"/proc/{lab['node1'].pid}/root"):
                done = subprocess.run(["/usr/bin/python3", "-c", tries, str(nobody), place + path], capture_output=True, text=True)
                assert "Permission" in done.stderr, (place + path, done.stderr)


def test_no_socket_of_a_lab_is_on_the_machine(lab):
    """The machine's network namespace lists no abstract and no TCP socket of a lab."""
    abstract = [line.split()[-1] for line in open("/proc/net/unix", encoding="utf-8") if "@" in line.split()[-1]]
    assert not [name for name in abstract if "docker" in name or "containerd" in name or "netkit" in name]
