"""What the checks need to know of a machine, as values, and how it is read; nothing is changed, nothing is decided."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import platform
import re
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from netkit.errors import NetkitError
from netkit.laboratory import identity
from netkit.laboratory.engine import SYSTEM_PATH, find_engine
from netkit.operator import doctor_probe
from netkit.places import cache_dir

# where Docker's own scripts and packages put engines: static binaries, rootless, snap, Docker Desktop's WSL, Nix, Guix
ENGINE_PLACES = (
    "~/bin", "~/.local/bin", "/opt/bin", "/opt/*", "/opt/*/bin", "/usr/libexec/docker", "/snap/docker/current/bin",
    "/run/current-system/sw/bin", "/run/current-system/profile/sbin",
)  # fmt: skip
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# programs the notebooks type, with the Debian package of each
PROGRAMS = {
    "ip": "iproute2", "nft": "nftables", "brctl": "bridge-utils", "ethtool": "ethtool", "tcpdump": "tcpdump", "conntrack": "conntrack",
    "iperf3": "iperf3", "ping": "iputils-ping", "curl": "curl", "dig": "bind9-dnsutils", "nc": "netcat-openbsd",
}  # fmt: skip
PATIENCE = 20  # seconds for a program to tell its version


@dataclass(frozen=True, slots=True)
class UserNamespaces:
    """The answers of :mod:`netkit.operator.doctor_probe`, and the kernel's settings (None where it has no such setting)."""

    steps: dict[str, str]
    label: str = ""
    most: int | None = None  # user.max_user_namespaces
    clone: int | None = None  # kernel.unprivileged_userns_clone: Debian's and Arch's patch
    restricted: int | None = None  # kernel.apparmor_restrict_unprivileged_userns: Ubuntu's
    python: str = ""  # the interpreter an AppArmor profile would be about


@dataclass(frozen=True, slots=True)
class Helper:
    """newuidmap or newgidmap: where it is (empty: nowhere), and whether it gains the right to write identity maps."""

    name: str
    path: str = ""
    privileged: bool = False


@dataclass(frozen=True, slots=True)
class Identities:
    """Who opens labs; ``user`` is "" without a name in passwd. ``subordinate`` maps /etc/subuid and /etc/subgid to all their ranges, as (owner, first, count)."""

    mode: str
    user: str
    uid: int
    ids: int = 0  # in mode root: how many this process's own namespace has
    helpers: tuple[Helper, ...] = ()
    subordinate: dict[str, tuple[tuple[str, int, int], ...]] = field(default_factory=dict)
    gid: int = -1


@dataclass(frozen=True, slots=True)
class FoundEngine:
    """A dockerd, and its version: empty if it does not tell."""

    dockerd: str
    version: str


@dataclass(frozen=True, slots=True)
class Engines:
    """The engine labs use, or why there is none; every other dockerd found; what ``docker --version`` says."""

    chosen: FoundEngine | None
    refusal: str
    others: tuple[FoundEngine, ...] = ()
    docker: str = ""
    docker_says: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """All of it. What is a path, a name or what a program said is "" where it is missing; sizes are in bytes."""

    release: str  # the kernel's
    architecture: str
    python: tuple[int, int, int]
    distribution: tuple[str, ...]  # os-release's ID and ID_LIKE
    engines: Engines
    namespaces: UserNamespaces
    identities: Identities
    iptables: str  # what `iptables --version` says
    ip6tables: str
    programs: dict[str, str]
    memory: int  # free
    places: dict[str, int]  # directory → what its file system has left
    control_groups: int  # the version of /sys/fs/cgroup, 0: none is mounted
    controllers: tuple[str, ...]  # those that this user may use there
    font: str
    browser: str
    ssh: str
    in_container: bool = False
    seccomp: bool = False  # system calls of this process are filtered
    no_new_privileges: bool = False  # setuid programs have no effect


def look(engine: str | None = None) -> Machine:
    """Read everything; ``engine`` is a directory with another engine than the usual one. Raises nothing of its own."""
    from netkit.figure.paint import find_family  # matplotlib takes its time

    release = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', _read("/etc/os-release"), re.MULTILINE))
    status = dict(line.split(":\t", 1) for line in _read("/proc/self/status").splitlines() if ":\t" in line)
    available = re.search(r"MemAvailable:\s+(\d+)", _read("/proc/meminfo"))
    version, controllers = look_at_control_groups()
    return Machine(
        release=platform.release(),
        architecture=platform.machine(),
        python=sys.version_info[:3],
        distribution=(release.get("ID", ""), *release.get("ID_LIKE", "").split()),
        engines=look_at_engines(engine),
        namespaces=look_at_namespaces(),
        identities=look_at_identities(),
        iptables=_say("iptables"),
        ip6tables=_say("ip6tables"),
        programs={program: shutil.which(program, path=SYSTEM_PATH) or "" for program in PROGRAMS},
        memory=int(available[1]) << 10 if available else 0,
        places=look_at_places(),
        control_groups=version,
        controllers=controllers,
        font=find_family("网", False, False) or "",
        browser=next(filter(None, map(shutil.which, BROWSERS)), ""),
        ssh=shutil.which("ssh") or "",
        in_container=any(map(os.path.exists, ("/.dockerenv", "/run/.containerenv"))),
        seccomp=status.get("Seccomp") == "2",
        no_new_privileges=status.get("NoNewPrivs") == "1",
    )


def look_at_engines(directory: str | None) -> Engines:
    """The engine labs use, and every other dockerd on the PATH and in the usual places."""
    chosen, refusal, docker = None, "", shutil.which("docker", path=SYSTEM_PATH) or ""
    try:
        engine = find_engine(directory)
        docker = engine.commands.get("docker", "")
        chosen = FoundEngine(engine.dockerd, engine.read_version())
    except NetkitError as error:
        refusal = str(error)
    places = [*SYSTEM_PATH.split(":"), *os.environ.get("PATH", "").split(":"), os.environ.get("NETKIT_ENGINE", "")]
    for place in ENGINE_PLACES:
        places += sorted(glob.glob(os.path.expanduser(place)))
    known = {os.path.realpath(chosen.dockerd)} if chosen else set()
    others = []
    for path in filter(None, (shutil.which("dockerd", path=place) for place in places if place)):
        if os.path.realpath(path) not in known:
            known.add(os.path.realpath(path))
            version = re.search(r"version v?([0-9][^ ,+]*)", _say(path))
            others.append(FoundEngine(os.path.abspath(path), version[1] if version else ""))
    return Engines(chosen, refusal, tuple(others), docker, _say(docker) if docker else "")


def look_at_namespaces() -> UserNamespaces:
    """The kernel's settings, and how far a new user namespace carries."""
    try:
        said = json.loads(_run([sys.executable, "-I", "-S", doctor_probe.__file__], check=True).stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        said = {"user": type(error).__name__}
    return UserNamespaces(
        label=said.pop("label", ""),
        steps=said,
        most=_read_number("/proc/sys/user/max_user_namespaces"),
        clone=_read_number("/proc/sys/kernel/unprivileged_userns_clone"),
        restricted=_read_number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
        python=os.path.realpath(sys.executable),
    )


def look_at_identities() -> Identities:
    """Who opens labs here, and the subordinate ids of everybody."""
    uid = os.geteuid()
    user = identity.read_user_name(uid)
    mode = os.environ.get("NETKIT_MODE") or ("root" if uid == 0 else "user")
    if mode == "root":
        return Identities(mode, user, uid, ids=sum(count for _, _, count in identity.read_identity("root").uids))
    files = {path: identity.read_ranges(path) if os.access(path, os.R_OK) else () for path in ("/etc/subuid", "/etc/subgid")}
    return Identities(mode, user, uid, 0, (_look_at_helper("newuidmap"), _look_at_helper("newgidmap")), files, os.getegid())


def _look_at_helper(name: str) -> Helper:
    path = shutil.which(name)
    if not path:
        return Helper(name)
    found = os.stat(path)
    powerful = found.st_uid == 0 and bool(found.st_mode & stat.S_ISUID)
    with contextlib.suppress(OSError):
        powerful |= bool(os.getxattr(path, "security.capability"))  # capabilities(7): file capabilities, as Fedora has them
    return Helper(name, path, powerful and not os.statvfs(path).f_flag & os.ST_NOSUID)


def look_at_places() -> dict[str, int]:
    """The space where things are kept: temporary files and the prepared images."""
    places, kept = {}, [os.environ.get("TMPDIR") or "/tmp"]
    with contextlib.suppress(NetkitError):  # a user without a home: said by the lab that is tried
        kept.append(cache_dir())
    for place in map(Path, kept):
        existing = next(path for path in (place, *place.parents) if os.path.exists(path))
        with contextlib.suppress(OSError):
            places[str(place)] = shutil.disk_usage(existing).free
    return places


def look_at_control_groups() -> tuple[int, tuple[str, ...]]:
    """The hierarchy's version, and the controllers of this user's own part of it, if it is writable."""
    top = "/sys/fs/cgroup"
    if not os.path.exists(f"{top}/cgroup.controllers"):
        found = sorted(glob.glob("*/", root_dir=top))
        return (1 if found else 0), tuple(name.rstrip("/") for name in found if os.access(f"{top}/{name}", os.W_OK))
    own = re.search(r"^0::(.*)$", _read("/proc/self/cgroup"), re.MULTILINE)
    path = top + (own[1] if own else "")
    # systemd delegates user@UID.service, which may be above this process's own group (systemd.resource-control(5), Delegate=)
    while path != top and os.access(os.path.dirname(path), os.W_OK):
        path = os.path.dirname(path)
    return 2, tuple(_read(f"{path}/cgroup.controllers").split()) if os.access(path, os.W_OK) else ()


def _say(program: str) -> str:
    """What a program writes when asked for its version; "" if it is missing or does not run."""
    path = shutil.which(program, path=SYSTEM_PATH)
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        if path:
            done = _run([path, "--version"], env={"PATH": SYSTEM_PATH, "HOME": "/"})
            return (done.stdout + done.stderr).strip()
    return ""


def _run(command: list[str], **options) -> subprocess.CompletedProcess:
    return subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", timeout=PATIENCE, **options)


def _read_number(path: str) -> int | None:
    text = _read(path)
    return int(text) if text.isdecimal() else None


def _read(path: str) -> str:
    """A file's text; "" if it cannot be read."""
    with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        return file.read().strip()
    return ""
