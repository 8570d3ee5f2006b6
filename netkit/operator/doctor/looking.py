"""Read what the judgement needs to know of this machine; nothing is changed, nothing is decided."""

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

from netkit.errors import NetkitError
from netkit.laboratory import identity
from netkit.laboratory.engine import SYSTEM_PATH, find_engine
from netkit.operator.doctor import facts, probe
from netkit.operator.doctor.judgement import PROGRAMS
from netkit.places import cache_dir

# where Docker's own scripts and packages put engines: static binaries, rootless, snap, Docker Desktop's WSL, Nix, Guix
ENGINE_PLACES = (
    "~/bin", "~/.local/bin", "/opt/bin", "/opt/*", "/opt/*/bin", "/usr/libexec/docker", "/snap/docker/current/bin",
    "/run/current-system/sw/bin", "/run/current-system/profile/sbin",
)  # fmt: skip
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE = 20  # seconds for a program to tell its version


def look(engine: str | None = None) -> facts.Machine:
    """Read everything; ``engine`` is a directory with another engine than the usual one. Raises nothing of its own."""
    return facts.Machine(
        system=look_at_system(),
        engines=look_at_engines(engine),
        namespaces=look_at_namespaces(),
        identities=look_at_identities(),
        iptables=facts.Iptables(_say(["iptables", "--version"]), _say(["ip6tables", "--version"])),
        programs={program: shutil.which(program, path=SYSTEM_PATH) for program in PROGRAMS},
        room=look_at_room(),
        control_groups=look_at_control_groups(),
        font=_find_cjk_font(),
        browser=next(filter(None, map(shutil.which, BROWSERS)), None),
        ssh=shutil.which("ssh"),
    )


def look_at_system() -> facts.System:
    """Kernel, distribution, and what this process may not do because of where it runs."""
    release = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', _read("/etc/os-release") or "", re.MULTILINE))
    status = dict(line.split(":\t", 1) for line in (_read("/proc/self/status") or "").splitlines() if ":\t" in line)
    return facts.System(
        release=platform.release(),
        machine=platform.machine(),
        python=sys.version_info[:3],
        distribution=tuple([release.get("ID", ""), *release.get("ID_LIKE", "").split()]),
        in_container=any(map(os.path.exists, ("/.dockerenv", "/run/.containerenv"))),
        seccomp=status.get("Seccomp") == "2",
        no_new_privileges=status.get("NoNewPrivs") == "1",
    )


def look_at_engines(directory: str | None) -> facts.Engines:
    """The engine labs use, and every other dockerd on the PATH and in the usual places."""
    chosen, refusal, docker = None, "", shutil.which("docker", path=SYSTEM_PATH) or ""
    try:
        engine = find_engine(directory)
        docker = engine.commands.get("docker", "")
        chosen = facts.FoundEngine(engine.dockerd, engine.read_version())
    except NetkitError as error:
        refusal = str(error)
    known = {os.path.realpath(chosen.dockerd)} if chosen else set()
    others = []
    for path in _find_engines():
        if os.path.realpath(path) not in known:
            known.add(os.path.realpath(path))
            version = re.search(r"version v?([0-9][^ ,+]*)", _say([path, "--version"]) or "")
            others.append(facts.FoundEngine(path, version[1] if version else ""))
    return facts.Engines(chosen, refusal, tuple(others), docker, (_say([docker, "--version"]) or "") if docker else "")


def _find_engines() -> list[str]:
    places = [*SYSTEM_PATH.split(":"), *os.environ.get("PATH", "").split(":"), os.environ.get("NETKIT_ENGINE", "")]
    for place in ENGINE_PLACES:
        places += sorted(glob.glob(os.path.expanduser(place)))
    found = (shutil.which("dockerd", path=place) for place in places if place)
    return [os.path.abspath(path) for path in found if path]


def look_at_namespaces() -> facts.UserNamespaces:
    """The kernel's settings, and how far a new user namespace carries."""
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", probe.__file__],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=PATIENCE,
            check=True,
        )
        said = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        said = {"user": type(error).__name__}
    label = said.pop("label", "")
    return facts.UserNamespaces(
        steps=said,
        label=label,
        most=_read_number("/proc/sys/user/max_user_namespaces"),
        clone=_read_number("/proc/sys/kernel/unprivileged_userns_clone"),
        restricted=_read_number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
        python=os.path.realpath(sys.executable),
    )


def look_at_identities() -> facts.Identities:
    """Who opens labs here, and the subordinate ids of everybody."""
    uid = os.geteuid()
    user = identity.read_user_name(uid)
    mode = os.environ.get("NETKIT_MODE") or ("root" if uid == 0 else "user")
    if mode == "root":
        ids = sum(count for _, _, count in identity.read_identity("root").uids)
        return facts.Identities(mode, user, uid, ids)
    files = {path: _read_ranges(path) for path in ("/etc/subuid", "/etc/subgid")}
    helpers = tuple(map(_look_at_helper, ("newuidmap", "newgidmap")))
    return facts.Identities(mode, user, uid, 0, helpers, files, os.getegid())


def _look_at_helper(name: str) -> facts.Helper:
    path = shutil.which(name)
    if not path:
        return facts.Helper(name)
    found = os.stat(path)
    mounted_nosuid = bool(os.statvfs(path).f_flag & os.ST_NOSUID)
    is_setuid = found.st_uid == 0 and bool(found.st_mode & stat.S_ISUID)
    has_capability = False
    with contextlib.suppress(OSError):
        has_capability = bool(os.getxattr(path, "security.capability"))  # capabilities(7): file capabilities, as Fedora has them
    return facts.Helper(name, path, (is_setuid or has_capability) and not mounted_nosuid)


def _read_ranges(path: str) -> tuple[tuple[str, int, int], ...]:
    try:
        return identity.read_ranges(path)
    except OSError:
        return ()


def look_at_room() -> facts.Room:
    """Free memory, and the space where things are kept: temporary files and the prepared images."""
    available = re.search(r"MemAvailable:\s+(\d+)", _read("/proc/meminfo") or "")
    places = {}
    kept = [os.environ.get("TMPDIR") or "/tmp"]
    with contextlib.suppress(NetkitError):  # a user without a home: said by the lab that is tried
        kept.append(cache_dir())
    for place in kept:
        existing = place
        while not os.path.exists(existing) and existing != os.path.dirname(existing):
            existing = os.path.dirname(existing)
        with contextlib.suppress(OSError):
            places[place] = shutil.disk_usage(existing).free
    return facts.Room(int(available[1]) << 10 if available else 0, places)


def look_at_control_groups() -> facts.ControlGroups:
    """The hierarchy's version, and the controllers of this user's own part of it, if it is writable."""
    if not os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        controllers = [entry for entry in _list("/sys/fs/cgroup") if os.access(f"/sys/fs/cgroup/{entry}", os.W_OK)]
        return facts.ControlGroups(1 if _list("/sys/fs/cgroup") else 0, tuple(controllers))
    own = re.search(r"^0::(.*)$", _read("/proc/self/cgroup") or "", re.MULTILINE)
    path = "/sys/fs/cgroup" + (own[1] if own else "")
    # systemd delegates user@UID.service, which may be above this process's own group (systemd.resource-control(5), Delegate=)
    while path != "/sys/fs/cgroup" and os.access(os.path.dirname(path), os.W_OK):
        path = os.path.dirname(path)
    controllers = _read(f"{path}/cgroup.controllers") if os.access(path, os.W_OK) else ""
    return facts.ControlGroups(2, tuple((controllers or "").split()))


def _find_cjk_font() -> str | None:
    """The font figures would use for a Chinese character."""
    from netkit.figure.fonts import find_family  # matplotlib takes its time

    return find_family("网", False, False)


def _say(command: list[str]) -> str | None:
    """What a program writes; None if it is missing or does not run."""
    path = shutil.which(command[0], path=SYSTEM_PATH)
    if not path:
        return None
    try:
        done = subprocess.run(
            [path, *command[1:]],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=PATIENCE,
            env={"PATH": SYSTEM_PATH, "HOME": "/"},
        )
        return (done.stdout + done.stderr).strip()
    except (OSError, subprocess.SubprocessError):
        return None


def _list(path: str) -> list[str]:
    with contextlib.suppress(OSError):
        return sorted(entry.name for entry in os.scandir(path) if entry.is_dir())
    return []


def _read_number(path: str) -> int | None:
    text = _read(path)
    return int(text) if text and text.isdecimal() else None


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return None
