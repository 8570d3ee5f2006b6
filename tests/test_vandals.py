"""Whatever is done inside a lab, the machine does not notice, and the next lab opens."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import pytest

from netkit.errors import LabError
from netkit.laboratory.inside import limits
from netkit.laboratory.inside.limits import HIERARCHIES
from netkit.laboratory.lab import open_lab
from tests.patience import patiently

ROOT = Path(__file__).parent.parent
# what is done on node1, and a command there that proves that it was done
VANDALS = {
    "flush every table": (
        "for t in filter nat mangle raw; do iptables -t $t -P OUTPUT ACCEPT; iptables -t $t -F; iptables -t $t -X; done; nft flush ruleset",
        '[ -z "$(nft list ruleset)" ]',
    ),
    "delete docker0": ("ip link delete docker0", "! ip link show docker0"),
    "delete eth0": ("ip link delete eth0", "! ip link show eth0"),
    "kill the engine": ("pkill -9 dockerd; pkill -9 containerd", "! docker ps"),
    "delete all data": (
        "docker run -d busybox sleep 1000; rm -rf --one-file-system /var/lib/docker/* /run/* /run/netkit; rm -rf /var/lib/docker /run",
        "[ ! -e /run/engine.log ] && [ ! -e /var/lib/docker/containers ]",
    ),
    "delete the settings": (
        "rm -rf /etc/docker/* /etc/profile.d /etc/hosts /etc/resolv.conf; echo broken >/etc/hostname",
        "! cat /etc/hosts",
    ),
    "remount": (
        "mount -o remount,ro / ; mount -o remount,bind,ro / ; mount -o remount,rw,bind /run/netkit/seed; mount -o remount,size=1k /run; "
        "umount -l /proc; umount -l /sys; umount -l /run; mount -t tmpfs t /etc; mount --make-rshared /",
        "grep -c . /etc/passwd && exit 1; true",
    ),
    "take the hostname": ("hostname stolen; sysctl -w kernel.hostname=stolen2", '[ "$(hostname)" != node1 ]'),
    "fill the disk": (
        "dd if=/dev/zero of=/var/lib/docker/fill bs=1M count=3000; dd if=/dev/zero of=/tmp/fill bs=1M count=100",
        "! dd if=/dev/zero of=/run/more bs=1M count=1",
    ),
    "change sysctls": (
        "sysctl -w net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=1 net.bridge.bridge-nf-call-iptables=0",
        '[ "$(cat /proc/sys/net/ipv4/ip_forward)" = 0 ]',
    ),
    "kill everything": ("kill -9 -1", "for _ in $(seq 100); do pgrep -x dockerd >/dev/null || exit 0; sleep 0.02; done; exit 1"),
    "mount the machine's seed": (
        "mount --bind /run/netkit/seed /mnt; mount -o remount,rw,bind /mnt; rm -rf /mnt/*",
        "ls /run/netkit/seed/image",
    ),
    "be privileged in a container": (
        "docker run --rm --privileged --pid=host --net=host -v /:/host busybox sh -c 'ip link delete docker0; mount -o remount,rw /host; hostname gone'",
        "! ip link show docker0",
    ),
}


@pytest.mark.parametrize("name", VANDALS)
def test_vandals_do_not_reach_the_machine(name, machine):
    """A node is wrecked; closing the lab leaves the machine as it was, and a fresh lab opens."""
    script, proof = VANDALS[name]
    lab = open_lab(1, label="vandals")
    try:
        lab["node1"].run(script, check=False, timeout=patiently())
        with contextlib.suppress(LabError):  # the agent's own socket may be among the harm
            done = lab["node1"].run(proof, check=False, timeout=patiently())
            assert done.status == 0, f"the vandal did no harm, so nothing was tested: {done.stderr}"
    finally:
        lab.close()
    with open_lab(1) as fresh:
        assert fresh["node1"].run("docker images -q busybox").stdout


def test_a_fork_loop_meets_a_bound(machine, monkeypatch):
    """Processes without end stop at the lab's limit, and closing still works at once."""
    if os.geteuid() == 0 and not any(
        os.access(f"{place}/{name}", os.W_OK) for place, name in zip(HIERARCHIES, ("cgroup.procs", "cgroup.subtree_control"), strict=True)
    ):
        pytest.skip("root has no pids limit on this machine: it offers no writable pids control group")
    monkeypatch.setattr(limits, "MAX_PROCESSES", 900)
    with open_lab(1) as lab:
        loop = "import os, signal\nfor n in range(3000):\n    if os.fork() == 0: signal.pause()\nprint('all')"
        done = lab["node1"].run(["python3", "-c", loop], check=False, timeout=patiently())
        assert "all" not in done.stdout
        assert "Resource temporarily unavailable" in done.stderr
    with open_lab(1) as fresh:
        assert fresh["node1"].run("docker ps").status == 0


def test_a_machines_own_bridge_is_no_change_of_it():
    """What the tests compare of a machine before and after is the same again while a bridge's timers count down (on node1, with docker0)."""
    look = f"cd {ROOT} && {sys.executable} -c 'from tests.machine import COMMANDS, _read_rules; print(_read_rules(COMMANDS[\"links\"]))'"
    with open_lab(1) as lab:
        lab["node1"].run("docker network create own")
        assert "gc_timer" in lab["node1"].run("ip -d link").stdout
        assert lab["node1"].run(look).stdout == lab["node1"].run(f"sleep 1; {look}").stdout
