"""What the checks need to know of a machine, as values, and how it is read; nothing is changed, nothing is decided."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import glob
import json
import os
import platform
import re
import shutil
import socket
import stat
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path

from netkit.errors import NetkitError
from netkit.laboratory import identity
from netkit.laboratory.engine import SYSTEM_PATH, find_engine
from netkit.laboratory.inside import syscalls as sc
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
SIOCSIFFLAGS, IFF_UP = 0x8914, 1  # netdevice(7); takes CAP_NET_ADMIN
STATUS = "/proc/self/status"
PATIENCE = 20  # seconds for a program to tell its version


@dataclass(frozen=True, slots=True)
class UserNamespaces:
    """The answers of :func:`try_namespaces`, and the kernel's settings (None where it has no such setting)."""

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


def look_at_distribution() -> tuple[str, ...]:
    """os-release's ID and ID_LIKE."""
    release = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', _read("/etc/os-release"), re.MULTILINE))
    return (release.get("ID", ""), *release.get("ID_LIKE", "").split())


def look_at_font() -> str:
    """The font that figures have for Chinese."""
    from netkit.figure.paint import find_family  # matplotlib takes its time

    return find_family("网", False, False) or ""


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
        said = _run([sys.executable, "-P", "-m", "netkit.operator.doctor_facts"], check=True)
        steps = json.loads(said.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        steps = {"user": type(error).__name__}
    return UserNamespaces(
        label=steps.pop("label", ""),
        steps=steps,
        most=_read_number("/proc/sys/user/max_user_namespaces"),
        clone=_read_number("/proc/sys/kernel/unprivileged_userns_clone"),
        restricted=_read_number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
        python=os.path.realpath(sys.executable),
    )


def try_namespaces() -> dict[str, str]:
    """What a new user namespace of this user is good for: this process is in one afterwards.

    That ``unshare --user`` succeeds proves little: under Ubuntu 24.04's AppArmor profile ``unprivileged_userns`` it does, and
    everything that takes a capability inside is then refused
    (https://ubuntu.com/blog/ubuntu-23-10-restricted-unprivileged-user-namespaces). So each step here uses one. No identity map
    is needed: whoever makes a user namespace has every capability in it until the next execve(2) (user_namespaces(7)).

    Returns the steps taken, "ok" or the name of an errno, ending with the first that fails; and "label", this process's
    security label after the first step, as far as the kernel tells.
    """
    steps = {
        "user": lambda: sc.unshare(sc.NEWUSER),
        "net": lambda: sc.unshare(sc.NEWNET),
        "admin": lambda: fcntl.ioctl(socket.socket(), SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP)),
        "mounts": lambda: sc.unshare(sc.NEWNS),
        "mount": lambda: sc.mount("probe", "/mnt", "tmpfs"),
    }
    said = {}
    for name, step in steps.items():
        try:
            step()
            said[name] = "ok"
        except OSError as error:
            said[name] = errno.errorcode.get(error.errno or 0, str(error.errno))
            break
    return said | {"label": _read("/proc/self/attr/current").strip("\0\n")}


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


def _read_number(path: str, name: str = "") -> int | None:
    """The number in a file, of those that have names in it the one of ``name``; None if there is none."""
    found = re.search(rf"^{name}\s*(\d+)", _read(path), re.MULTILINE)
    return int(found[1]) if found else None


def _read(path: str) -> str:
    """A file's text; "" if it cannot be read."""
    with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        return file.read().strip()
    return ""


def _by(read: Callable[[], object]) -> dict[str, Callable[[], object]]:
    """The metadata of a field of :class:`Machine`: how it is read."""
    return {"read": read}


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """All of it. What is a path, a name or what a program said is "" where it is missing; sizes are in bytes."""

    release: str = field(metadata=_by(platform.release))  # the kernel's
    architecture: str = field(metadata=_by(platform.machine))
    python: tuple[int, int, int] = field(metadata=_by(lambda: sys.version_info[:3]))
    distribution: tuple[str, ...] = field(metadata=_by(look_at_distribution))
    engines: Engines  # read by the directory that is asked for
    namespaces: UserNamespaces = field(metadata=_by(look_at_namespaces))
    identities: Identities = field(metadata=_by(look_at_identities))
    iptables: str = field(metadata=_by(lambda: _say("iptables")))  # what `iptables --version` says
    ip6tables: str = field(metadata=_by(lambda: _say("ip6tables")))
    programs: dict[str, str] = field(metadata=_by(lambda: {name: shutil.which(name, path=SYSTEM_PATH) or "" for name in PROGRAMS}))
    memory: int = field(metadata=_by(lambda: (_read_number("/proc/meminfo", "MemAvailable:") or 0) << 10))  # free
    places: dict[str, int] = field(metadata=_by(look_at_places))  # directory → what its file system has left
    control_groups: int = field(metadata=_by(lambda: look_at_control_groups()[0]))  # the version of /sys/fs/cgroup, 0: none is mounted
    controllers: tuple[str, ...] = field(metadata=_by(lambda: look_at_control_groups()[1]))  # those that this user may use there
    font: str = field(metadata=_by(look_at_font))
    browser: str = field(metadata=_by(lambda: next(filter(None, map(shutil.which, BROWSERS)), "")))
    ssh: str = field(metadata=_by(lambda: shutil.which("ssh") or ""))
    in_container: bool = field(metadata=_by(lambda: any(map(os.path.exists, ("/.dockerenv", "/run/.containerenv")))), default=False)
    seccomp: bool = field(metadata=_by(lambda: _read_number(STATUS, "Seccomp:") == 2), default=False)  # system calls are filtered
    no_new_privileges: bool = field(metadata=_by(lambda: _read_number(STATUS, "NoNewPrivs:") == 1), default=False)  # setuid has no effect


def look(engine: str | None = None) -> Machine:
    """Read everything; ``engine`` is a directory with another engine than the usual one. Raises nothing of its own."""
    read = {each.name: each.metadata["read"] for each in fields(Machine) if each.metadata}
    return Machine(engines=look_at_engines(engine), **{name: read_it() for name, read_it in read.items()})


if __name__ == "__main__":
    print(json.dumps(try_namespaces()))
