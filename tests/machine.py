"""What a machine looks like before and after: everything a lab must leave as it was."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import tempfile
import time
from pathlib import Path

import psutil

from tests.patience import patiently

COMMANDS = {
    "links": ["ip", "-d", "link"],
    "addresses": ["ip", "addr"],
    "routes": ["ip", "route", "show", "table", "all"],
    "iptables": ["iptables-save"],
    "nftables": ["nft", "list", "ruleset"],
}
ROOT_ONLY = {"iptables", "nftables"}
OF_A_LAB = ("netkit-", "dockerd", "containerd", "docker-proxy", "runc")
PATIENCE = 2.0  # seconds within which nothing of a lab may be left


def snapshot() -> dict[str, object]:
    """The machine's network, mounts, settings, namespaces, control groups, processes and files.

    An ordinary user may not list firewall rules; those two are then left out.
    """
    seen: dict[str, object] = {}
    for name, command in COMMANDS.items():
        if name not in ROOT_ONLY or os.geteuid() == 0:
            seen[name] = _read_rules(command)
    seen["mounts"] = Path("/proc/mounts").read_text()
    seen["sysctls"] = _read_sysctls()
    foreign, ids = _find_foreign()
    seen["cgroups"] = _read_groups(ids)
    seen["processes"], seen["namespaces"] = _read_processes(foreign)
    seen["files"] = _read_files()
    return seen


def difference(before: dict[str, object], after: dict[str, object]) -> dict[str, object]:
    """What differs between two snapshots, as name → (lost, gained)."""
    return {name: _compare(before[name], after[name]) for name in before if before[name] != after[name]}


def wait_until_as(before: dict[str, object], patience: float = PATIENCE) -> dict[str, object]:
    """Wait until the machine is as it was; returns what still differs after ``patience`` seconds."""
    deadline = time.monotonic() + patiently(patience)
    while True:
        left = difference(before, snapshot())
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.02)


def is_alive(process: psutil.Process) -> bool:
    """Whether a process still runs. One that has ended and waits for init to notice holds nothing."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _compare(before: object, after: object) -> object:
    if isinstance(before, str) and isinstance(after, str):
        before, after = before.splitlines(), after.splitlines()
    return sorted(set(before) - set(after)), sorted(set(after) - set(before))


def _read_groups(foreign: tuple[str, ...]) -> list[str]:
    """All control groups but those of ``foreign`` labs and, for an ordinary user, who could neither make nor remove them, root's."""
    groups = (root for root, _, _ in os.walk("/sys/fs/cgroup") if not root.endswith(foreign or ("\0",)))
    return sorted(group for group in groups if os.geteuid() == 0 or _read_owner(group) > 0)


def _read_owner(path: str) -> int:
    """Whose a file is, as a user id; -1 for one that has just gone."""
    try:
        return os.stat(path).st_uid
    except FileNotFoundError:
        return -1


def _read_rules(command: list[str]) -> str:
    path = {"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
    said = subprocess.run(command, capture_output=True, text=True, env=path).stdout
    # iptables-save writes the time; leases, router advertisements and a bridge's timers count down by themselves
    said = re.sub(r"(_lft|expires|_timer) +[\d.]+(?:sec)?\b", r"\1 …", said)
    return "\n".join(line for line in said.splitlines() if not line.startswith("#"))


def _read_sysctls() -> list[str]:
    values = []
    for path in sorted(Path("/proc/sys/net").rglob("*")):
        with contextlib.suppress(OSError):
            if path.is_file() and path.name != "nf_conntrack_count":  # the machine's own connections
                values.append(f"{path}={path.read_text().strip()}")
    return values


def _find_foreign() -> tuple[set[int], tuple[str, ...]]:
    """The processes and the ids of labs that somebody else has open: neither ours, nor orphans."""
    mine = {process.pid for process in psutil.Process().children(recursive=True)} | {os.getpid()}
    foreign, ids = set(), []
    for process in psutil.process_iter(["name", "ppid"]):
        if process.info["name"] == "netkit-holder" and process.info["ppid"] not in mine | {1}:
            with contextlib.suppress(psutil.Error):
                opener = process.parent() or process  # its kernel is in the lab, too
                foreign |= {child.pid for child in opener.children(recursive=True)}
                ids.append(process.cmdline()[-1])
    return foreign, tuple(ids)


def _read_processes(foreign: set[int]) -> tuple[list[str], list[str]]:
    """Processes that belong to labs or engines, and the namespaces of all that may be looked at."""
    processes, namespaces = set(), set()
    for process in psutil.process_iter(["name"]):
        if process.pid in foreign or not is_alive(process):
            continue
        with contextlib.suppress(OSError, psutil.Error):
            if (process.info["name"] or "").startswith(OF_A_LAB):
                processes.add(f"{process.pid} {process.info['name']}")
            for kind in os.listdir(f"/proc/{process.pid}/ns"):
                namespaces.add(os.readlink(f"/proc/{process.pid}/ns/{kind}"))
    return sorted(processes), sorted(namespaces)


def _read_files() -> list[str]:
    """Names under the cache and temporary directories, down to what a lab could write there.

    The tests' own temporary directory (see conftest) is compared in full. /tmp is everybody's: there,
    only names count that a lab, an engine or a kernel would give.
    """
    from netkit.places import cache_dir

    found = []
    for top, depth in ((cache_dir(), 3), (tempfile.gettempdir(), 1), ("/run", 1), ("/dev/shm", 1), ("/var/lib", 1), ("/etc", 1)):
        for root, directories, files in os.walk(top):
            found += [os.path.join(root, name) for name in (*directories, *files)]
            if root[len(top) :].count(os.sep) + 1 >= depth:
                directories.clear()
    found += [entry.path for entry in os.scandir("/tmp") if entry.name.startswith((*OF_A_LAB, "kernel", "jupyter", "docker"))]
    return sorted(name for name in found if "/pytest-" not in name and "/making-" not in name)
