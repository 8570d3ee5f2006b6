"""A user's mistake is one clear sentence with its remedy, status 2, and nothing left behind."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.conftest import NETKIT
from tests.patience import patiently

AS_ROOT = os.geteuid() == 0
HIDE = 'mount --bind /dev/null "$(readlink -f "$(command -v {0})")" && '
# what is hidden or broken around the command, as a shell line in a mount namespace of its own
CASES = {
    "no nodes": ("", "run --nodes 0 -- true", "1 to 64 nodes, not 0"),
    "too many nodes": ("", "run --nodes 1000 -- true", "1 to 64 nodes, not 1000"),
    "no command": ("", "run", "no command to run"),
    "a directory without an engine": ("", "run --engine /usr/share -- true", "/usr/share holds no dockerd: install one"),
    "no such directory": ("", "run --engine /nowhere -- true", "/nowhere is no directory"),
    "a dockerd that does not run": (
        "mkdir $T/e && for p in dockerd containerd containerd-shim-runc-v2 runc; do printf '#!/bin/sh\\nexit 3\\n' >$T/e/$p; chmod +x $T/e/$p; done && ",
        "run --engine $T/e -- true",
        "does not tell its version",
    ),
    "no dockerd": (
        HIDE.format("dockerd"),
        "run -- true",
        "no dockerd is installed on this machine: install one (`apt-get install docker.io`)",
    ),
    "no containerd": (HIDE.format("containerd"), "run -- true", "cannot run without containerd"),
    "no iptables": (HIDE.format("iptables"), "run -- true", "iptables is missing: `apt-get install iptables`"),
    "no ip": (HIDE.format("ip"), "run -- true", "ip is missing: `apt-get install iproute2`"),
    "no busybox": (HIDE.format("busybox"), "run -- true", "busybox is missing"),
    "no newuidmap": (HIDE.format("newuidmap"), "run --mode user -- true", "newuidmap is missing: `apt-get install uidmap`"),
    "no subordinate ids": ("mount --bind /dev/null /etc/subuid && ", "run --mode user -- true", "usermod --add-subuids"),
    "a user without a name": (
        "sed /:0:0:/d /etc/passwd >$T/p && echo passwd: files >$T/n && mount --bind $T/p /etc/passwd && mount --bind $T/n /etc/nsswitch.conf && ",
        "run --mode user -- true",
        "user 0 has no name in /etc/passwd, and newuidmap gives identities to no such user: as root, `useradd",
    ),
    "no user namespaces": ("echo 0 >/proc/sys/user/max_user_namespaces && ", "run -- true", "sysctl user.max_user_namespaces"),
    "no space": ("mkdir $T/c && mount -t tmpfs -o size=2m t $T/c && export XDG_CACHE_HOME=$T/c && ", "run -- true", "free some space"),
    "an unwritable cache": ("export XDG_CACHE_HOME=/proc/nowhere && ", "run -- true", "set XDG_CACHE_HOME to a place of your own"),
    "an unknown node": ("", "shell nodeX", "a shell needs a terminal"),
    "a host that is not there": ("", "on node1 -- true", "there is no lab to be reached here"),
    "an unknown lab": ("", "shell --lab ffff", "a shell needs a terminal"),
    "a port that is none": ("", "start --port 99999", "99999 is no port"),
    "a program that is not there": ("", "run --nodes 1 -- nosuchprogram", "nosuchprogram: command not found"),
    "inside a lab already": ("", f"run --nodes 1 -- {NETKIT} run -- true", "this is the inside of a lab already"),
    "a host of another lab": ("", f"run --nodes 1 -- {NETKIT} on node2 -- true", "no host 'node2': it has node1, outside"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_mistake_is_one_sentence(name, machine, tmp_path):
    """What is missing or wrong is named with its remedy; there is no traceback."""
    setting, arguments, expected = CASES[name]
    # one that is root of its own user namespace may arrange what is missing, in its own mounts
    shell = ["unshare", "--mount", *([] if AS_ROOT else ["--map-root-user"]), "sh", "-c"]
    if "max_user_namespaces" in setting:
        shell = ["unshare", "--mount", "--user", "--map-root-user", "sh", "-c"]
    command = [*shell, f"{setting} exec {NETKIT} {arguments}"] if setting else [NETKIT, *arguments.split()]
    environment = {**os.environ, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin:" + os.environ["PATH"], "T": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, stdin=subprocess.DEVNULL, timeout=patiently())
    assert done.returncode == 2, done
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("netkit: ") == 1


def test_mode_root_needs_root():
    """An ordinary user who asks for mode root is told how to get it."""
    if AS_ROOT:
        pytest.skip("the caller is root")
    done = subprocess.run([NETKIT, "run", "--mode", "root", "--", "true"], capture_output=True, text=True)
    assert (done.returncode, "mode root needs root" in done.stderr) == (2, True)


def test_the_command_of_run_decides_the_status(machine):
    """netkit run passes streams and status through; a signal to it ends the lab."""
    done = subprocess.run(
        [NETKIT, "run", "--nodes", "1", "--", "bash", "-c", "cat; echo err >&2; exit 42"], input="in", capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (42, "in", "err\n")
