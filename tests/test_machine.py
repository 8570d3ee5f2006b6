"""What labs could leave on a machine is found, each kind of it; what others do there meanwhile is not taken for it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest

from netkit.laboratory.inside.limits import HIERARCHIES
from netkit.operator.guard import base_directory
from netkit.places import cache_dir
from tests.kernels import wait_for
from tests.machine import difference, snapshot
from tests.patience import patiently

ROOT = Path(__file__).resolve().parent.parent
AS_ROOT = os.geteuid() == 0


@dataclass(frozen=True, slots=True)
class Plant:
    """Something a lab might leave: the shell commands that plant it and pull it out, and the kinds of change it is."""

    plant: str
    pull: str
    kinds: tuple[str, ...]


# this run's own, for another may be at it in the same places, or have ended in the middle of it
OWN = uuid.uuid4().hex


def _file(path: str) -> Plant:
    path += f"-{OWN}"
    return Plant(f"mkdir -p {os.path.dirname(path)} && mkdir {path}", f"rmdir {path}", ("files",))


ANYBODYS = {
    "a process": Plant("setsid sleep 1000 >/dev/null 2>&1 & echo $! >pid", "kill $(cat pid)", ("processes",)),
    "a process in namespaces of its own": Plant(
        "setsid unshare --user --net --mount sleep 1000 >/dev/null 2>&1 & echo $! >pid; until ls -l /proc/$!/exe | grep -q sleep; do :; done",
        "kill $(cat pid)",
        ("processes", "namespaces"),
    ),
    "a file in the cache": _file(f"{cache_dir()}/left"),
    "half-made images": _file(f"{cache_dir()}/seeds/making-left"),
    "a temporary file": _file("$TMPDIR/left"),
    "a file in /tmp": _file("/tmp/netkit-left"),
    "a file in the directory for what runs": _file(f"{base_directory()}/netkit-machines-left"),
    "shared memory": _file("/dev/shm/netkit-left"),
}
# an ordinary user is refused each of these, on any machine
ROOTS = {
    "a network namespace that a mount keeps": Plant("touch ns && unshare --net=ns true", "umount ns", ("mounts", "namespaces")),
    "a mount that a lab did not keep to itself": Plant(
        "unshare --mount --propagation unchanged mount -t tmpfs left /mnt", "umount /mnt", ("mounts",)
    ),
    "an interface": Plant("ip link add left type veth peer name right", "ip link del left", ("links",)),
    "an address": Plant("ip addr add 192.168.59.1/24 dev lo", "ip addr del 192.168.59.1/24 dev lo", ("addresses",)),
    "a route": Plant("ip route add blackhole 172.17.0.0/16", "ip route del blackhole 172.17.0.0/16", ("routes",)),
    "a rule of iptables": Plant(
        "iptables -t nat -A POSTROUTING -s 172.17.0.0/16 -j MASQUERADE", "iptables -t nat -F; nft delete table ip nat", ("iptables",)
    ),
    "a rule of nftables": Plant("nft add table inet left", "nft delete table inet left", ("nftables",)),
    "a sysctl": Plant(
        "sysctl -n net.ipv4.ip_default_ttl >was; sysctl -q net.ipv4.ip_default_ttl=77",
        "sysctl -q net.ipv4.ip_default_ttl=$(cat was)",
        ("sysctls",),
    ),
    "a host name": Plant("hostname >name; hostname node1", "hostname $(cat name)", ("host name",)),
    # a process keeps it, for the next lab that opens anywhere removes one that is empty
    "a control group": Plant(
        "mkdir $GROUPS_OF_PIDS/netkit-left-$OWN\nsetsid sleep 1000 >/dev/null 2>&1 & echo $! >pid; cat pid >$GROUPS_OF_PIDS/netkit-left-$OWN/cgroup.procs",
        "kill $(cat pid); until rmdir $GROUPS_OF_PIDS/netkit-left-$OWN; do sleep 0.01; done 2>/dev/null",
        ("control groups",),
    ),
    "a file where services keep theirs": _file("/var/lib/netkit-left"),
    "a setting": _file("/etc/netkit-left"),
}


def _sh(script: str, where: Path) -> int:
    groups = next((path for path in HIERARCHIES if os.path.exists(f"{path}/cgroup.procs")), "/sys/fs/cgroup")
    environment = os.environ | {"GROUPS_OF_PIDS": groups, "OWN": OWN, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.run(["bash", "-c", script], cwd=where, env=environment, timeout=patiently(), **quiet).returncode


@pytest.mark.parametrize("name", [*ANYBODYS, *(ROOTS if AS_ROOT else ())])
def test_what_a_lab_leaves_is_found(name, machine, tmp_path):
    """Whatever kind of thing is left, it is reported as what it is; taken away, it is no longer."""
    plant = (ANYBODYS | ROOTS)[name]
    assert _sh(plant.plant, tmp_path) == 0
    found = {}

    def is_seen() -> bool:
        found.clear()
        found.update(difference(machine, snapshot()))
        return set(plant.kinds) <= set(found)

    try:
        assert wait_for(is_seen), found  # what a lab that begins just now might be making itself is not taken for left
    finally:
        assert _sh(plant.pull, tmp_path) == 0
    assert all(gained for _, gained in found.values()), found


@pytest.mark.skipif(AS_ROOT, reason="root may do all this")
@pytest.mark.parametrize("name", ROOTS)
def test_an_ordinary_user_leaves_nothing_of_it(name, machine, tmp_path):
    """What is not looked for after an ordinary user's labs, the kernel refuses to ordinary users."""
    assert _sh("set -e\n" + ROOTS[name].plant.replace("; ", "\n"), tmp_path) != 0


def test_a_namespace_held_open_is_found(machine):
    """A namespace without a process, that only a file descriptor keeps, is reported."""
    with subprocess.Popen(["unshare", "--user", "--net", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as inside:
        inside.stdin.write(b"here\n")
        inside.stdin.flush()
        inside.stdout.readline()  # it has its namespaces by now
        kept = os.open(f"/proc/{inside.pid}/ns/net", os.O_RDONLY)
        inside.stdin.close()
    try:
        assert "namespaces" in difference(machine, snapshot())
    finally:
        os.close(kept)


def test_others_may_use_the_machine_meanwhile(machine):
    """While others start and end processes, control groups, networks, mounts, rules, containers and labs, tests of labs pass."""
    tests = [f"tests/test_lab.py::{name}" for name in ("test_closing_leaves_nothing", "test_five_labs_at_once_do_not_meet")]
    pytest_here = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *tests]
    # tables of rules, once used, stay: the others have a network of their own here
    others = ["unshare", "--net", "--mount"] if AS_ROOT else []
    done = subprocess.run(
        [*others, sys.executable, "tests/disturbance.py", *pytest_here],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=patiently(600),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
    assert re.search(r"networks [1-9]\d* times, .*labs \d+ times", done.stderr), done.stderr
