"""What a machine looks like before and after a test, where everybody else goes on using it meanwhile.

A change counts where it can only be the tests' own:

- *processes*: this process adopts what its descendants leave behind (PR_SET_CHILD_SUBREAPER, prctl(2)), so that all they
  have started stays below it in the process tree, and nobody else's is there;
- *network, mounts, host name*: root's tests run on a machine of their own within the machine (:func:`enter_own_machine`), compared
  in full. An ordinary user can change none of them on the machine: the kernel refuses;
- *control groups*: those that are named as labs' are, and that nobody has locked;
- *namespaces*: those that these processes are in or hold open, and those that mounts keep;
- *files*: all in the tests' own temporary directory; elsewhere, names that only netkit gives.

What an engine would write on the machine, /run/docker and the like, cannot be told from what the machine's own engine writes there: a
throw-away machine that nobody else uses is compared in full by tests/test_host_docker.py.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import socket
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil

from netkit.laboratory.inside import syscalls as sc
from netkit.laboratory.inside.limits import HIERARCHIES, PREFIX
from netkit.operator.guard import base_directory
from netkit.operator.machines import LOCK
from netkit.places import cache_dir
from tests.patience import patiently

COMMANDS = {
    "links": ["ip", "-d", "link"],
    "addresses": ["ip", "addr"],
    "routes": ["ip", "route", "show", "table", "all"],
    "iptables": ["iptables-save"],
    "nftables": ["nft", "list", "ruleset"],
}
OF_A_LAB = "netkit"
OURS_ALONE = {*COMMANDS, "host name", "mounts", "sysctls"}  # as root: see enter_own_machine
NAMESPACE = re.compile(r"(cgroup|ipc|mnt|net|pid|time|user|uts):\[\d+\]")
MS_SHARED = 0x100000  # <linux/mount.h>

Snapshot = dict[str, list[str]]

_network: list[int] = []  # the network that it was in before


def enter_own_machine() -> None:
    """Let this process adopt what its descendants leave; as root, move it to a machine of its own.

    That machine has a network with nothing but lo, a host name and a mount table that nobody else changes. Mounts that a lab did not
    keep to itself arrive here, as they would on the machine itself.
    """
    sc.adopt_orphans()
    if os.geteuid() != 0:
        return
    _network.append(os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
    sc.unshare(sc.NEWNS | sc.NEWNET | sc.NEWUTS | sc.NEWIPC)
    sc.mount(None, "/", None, sc.MS_REC | sc.MS_PRIVATE)
    sc.mount(None, "/", None, sc.MS_REC | MS_SHARED)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def outward(command: list[str]) -> list[str]:
    """A command that needs the machine's own network: a package is fetched."""
    return ["nsenter", f"--net=/proc/{os.getpid()}/fd/{_network[0]}", *command] if _network else command


def snapshot() -> Snapshot:
    """Everything a lab must leave as it was, as name → lines."""
    seen: Snapshot = {}
    if os.geteuid() == 0:
        for name, command in COMMANDS.items():
            seen[name] = _read_rules(command)
        seen["host name"] = [socket.gethostname()]
        seen["mounts"] = Path("/proc/self/mountinfo").read_text().splitlines()
        seen["sysctls"] = _read_sysctls()
        seen["control groups"] = _read_groups()
    seen["processes"], seen["namespaces"] = _read_processes()
    seen["files"] = _read_files()
    return seen


def difference(before: Snapshot, after: Snapshot) -> dict[str, tuple[list[str], list[str]]]:
    """What differs between two snapshots, as name → (lost, gained). Of what others have, too, only what was gained can be a lab's."""
    found = {}
    for name in before:
        then, now = Counter(before[name]), Counter(after[name])
        lost = sorted((then - now).elements()) if name in OURS_ALONE else []
        if name == "mounts":  # of others' mounts, those go that are on what they delete, in copies of their mount table, too (unlink(2))
            lost = [line for line in lost if os.path.lexists(line.split()[4])]
        gained = sorted((now - then).elements())
        if lost or gained:
            found[name] = (lost, gained)
    return found


def wait_until_as(before: Snapshot) -> dict[str, tuple[list[str], list[str]]]:
    """Wait until the machine is as it was; returns what differs still after two minutes."""
    deadline = time.monotonic() + patiently()
    while True:
        left = difference(before, snapshot())
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.02)


def is_alive(process: psutil.Process) -> bool:
    """Whether a process still runs. One that has ended and waits for its parent to notice holds nothing."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _read_rules(command: list[str]) -> list[str]:
    path = {"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
    said = subprocess.run(command, capture_output=True, text=True, env=path).stdout
    # iptables-save writes the time; leases, router advertisements and a bridge's timers count down by themselves
    said = re.sub(r"(_lft|expires|_timer) +[\d.]+(?:sec)?\b", r"\1 …", said)
    return [line for line in said.splitlines() if not line.startswith("#")]


def _read_sysctls() -> list[str]:
    values = []
    for path in sorted(Path("/proc/sys/net").rglob("*")):
        with contextlib.suppress(OSError):
            if path.is_file() and path.name != "nf_conntrack_count":  # the tests' own connections
                values.append(f"{path}={path.read_text().strip()}")
    return values


def _read_groups() -> list[str]:
    """The control groups of labs that have ended: the holder of one that is open has locked its own."""
    groups = (entry.path for hierarchy in HIERARCHIES for entry in _scan(hierarchy) if entry.name.startswith(PREFIX))
    return [path for path in groups if _is_unlocked(path)]


def _read_processes() -> tuple[list[str], list[str]]:
    """All descendants of this process, and the namespaces that they and this process hold."""
    me = psutil.Process()
    processes, held = [], set(_find_namespaces(me.pid, "fd"))
    for process in me.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if is_alive(process):
                processes.append(f"{process.pid} {process.name()}")
                held |= {*_find_namespaces(process.pid, "ns"), *_find_namespaces(process.pid, "fd")}
    if os.geteuid() == 0:  # an ordinary user mounts nothing on the machine
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            held |= {word for word in line.split() if NAMESPACE.fullmatch(word)}  # the root of an nsfs mount
    return processes, list(held)


def _find_namespaces(pid: int, where: str) -> Iterator[str]:
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/{where}"):
            with contextlib.suppress(OSError):
                if NAMESPACE.fullmatch(link := os.readlink(f"/proc/{pid}/{where}/{name}")):
                    yield link


def _read_files() -> list[str]:
    """Paths a lab, an engine or the tests could have left."""
    found = [entry.path for entry in os.scandir(tempfile.gettempdir()) if not entry.name.startswith("pytest-")]
    found += [entry.path for entry in _scan(cache_dir())]
    found += [
        entry.path for entry in _scan(f"{cache_dir()}/seeds") if entry.name.startswith("making-") and _is_unlocked(f"{cache_dir()}/lock")
    ]
    for top in {"/tmp", "/run", base_directory(), "/dev/shm", "/var/lib", "/etc"}:
        found += [entry.path for entry in _scan(top) if entry.name.startswith(OF_A_LAB) and _is_unlocked(f"{entry.path}/{LOCK}")]
    return sorted(found)


def _scan(directory: str) -> list[os.DirEntry]:
    try:
        return list(os.scandir(directory))
    except OSError:
        return []


def _is_unlocked(path: str) -> bool:
    """Whether nobody who is alive has locked a file; whatever has no such file is in nobody's use."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return True
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True
