"""Newer Docker engines than the installed one, unpacked from packages of Debian's newer suites.

Nothing is installed: the packages are downloaded and unpacked into a directory below the cache, once.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from tests.machine import outward

PROGRAMS = ("dockerd", "docker-proxy", "docker-init", "containerd", "containerd-shim-runc-v2")
SUITES = {"26.1": "trixie", "28.5": "sid"}
PATIENCE = 300  # seconds for one of apt's steps


class Unavailable(Exception):
    """An engine cannot be had here; the text says why."""


@cache
def get_engine(version: str) -> str:
    """The directory of an engine of this version; raises Unavailable."""
    top = Path(os.environ.get("NETKIT_TEST_ENGINES") or Path.home() / ".cache" / "netkit-test-engines")
    place = top / version
    top.mkdir(parents=True, exist_ok=True)
    with open(top / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "dockerd").exists():
            _fetch(SUITES[version], place)
    return str(place)


def _find_mirror() -> str:
    """Where this machine gets Debian's packages from; raises Unavailable on anything but Debian."""
    if not shutil.which("apt-get"):
        raise Unavailable("no apt-get on this machine")
    for path in (
        *Path("/etc/apt/sources.list.d").glob("*.sources"),
        Path("/etc/apt/sources.list"),
        *Path("/etc/apt/sources.list.d").glob("*.list"),
    ):
        if path.exists():
            for address in re.findall(r"^(?:URIs:|deb(?: \[.*\])?)\s+(\S+debian/?)\s*", path.read_text(), re.MULTILINE):
                return address
    raise Unavailable("no Debian mirror among this machine's package sources")


def _fetch(suite: str, place: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="netkit-engine-") as work:
        os.chmod(work, 0o755)
        os.makedirs(f"{work}/lists/partial")
        os.makedirs(f"{work}/archives/partial")
        Path(f"{work}/list").write_text(f"deb {_find_mirror()} {suite} main\n")
        options = [
            *("-o", f"Dir::Etc::sourcelist={work}/list", "-o", "Dir::Etc::sourceparts=-", "-o", f"Dir::State::Lists={work}/lists"),
            *("-o", f"Dir::Cache={work}", "-o", f"Dir::Cache::archives={work}/archives", "-o", "APT::Sandbox::User=root"),
            *("-o", "Acquire::Retries=3"),
        ]
        _run(["apt-get", *options, "-qq", "update"], work)
        _run(["apt-get", *options, "-qq", "-t", suite, "download", "docker.io", "containerd"], work)
        for package in Path(work).glob("*.deb"):
            _run(["dpkg", "-x", str(package), f"{work}/root"], work)
        made = Path(tempfile.mkdtemp(prefix="making-", dir=place.parent))
        for program in PROGRAMS:
            found = next(
                (path for path in Path(f"{work}/root").rglob(program) if path.is_file() and path.parent.name.endswith("bin")), None
            )
            if found:
                shutil.copy(found, made / program)
        made.chmod(0o755)
        made.rename(place)


def _run(command: list[str], cwd: str) -> None:
    try:
        done = subprocess.run(outward(command), capture_output=True, text=True, cwd=cwd, timeout=PATIENCE, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{command[0]} did not finish within {PATIENCE} s") from None
    if done.returncode:
        raise Unavailable(f"{' '.join(command[-3:])}: {done.stderr.strip()[-300:]}")
