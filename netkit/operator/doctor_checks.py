"""From facts to what is said of them: pure, so that machines nobody has at hand can be judged, too.

A check takes a :class:`~netkit.operator.doctor_facts.Machine` and returns a state and, in words, the facts, what a learner
misses and the remedy (see :class:`netkit.operator.doctor.Finding`), or None where there is nothing to be said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from netkit.laboratory.engine import OLDEST
from netkit.laboratory.identity import NAME_REMEDY, NEEDED, calc_usable
from netkit.operator.doctor_facts import PROGRAMS, FoundEngine, Machine, UserNamespaces

OK, LACKS, FAILS = "ok", "lacks", "fails"
Said = tuple[str, ...]

NO_LAB = "no notebook can be run"
MEMORY_PER_NODE = 130 << 20
SPACE_NEEDED = 512 << 20  # the prepared images for one engine are about 120 MB, made beside a copy
APPARMOR = (
    "one of three, as root. (1) `sysctl kernel.apparmor_restrict_unprivileged_userns=0`, and for good the same setting in "
    "/etc/sysctl.d/60-netkit.conf: user namespaces work for every program of every user again, as on Debian. (2) An AppArmor profile "
    "for this Python alone, so that only Python programs may: `printf 'abi <abi/4.0>,\\ninclude <tunables/global>\\nprofile netkit "
    "{python} flags=(unconfined) {{ userns, }}\\n' >/etc/apparmor.d/netkit && apparmor_parser --replace /etc/apparmor.d/netkit`. "
    "(3) Change nothing, and open labs as root (`sudo ./workshop`): what notebooks do to files is then done with root's rights"
)
# what Debian's packages are called elsewhere, where they have another name
FEDORA = {
    "iproute2": "iproute", "iptables": "iptables-nft", "conntrack": "conntrack-tools", "iputils-ping": "iputils",
    "bind9-dnsutils": "bind-utils", "netcat-openbsd": "netcat", "uidmap": "shadow-utils",
    "openssh-client": "openssh-clients", "fonts-wqy-zenhei": "google-noto-sans-cjk-fonts",
}  # fmt: skip
ARCH = {
    "conntrack": "conntrack-tools", "iputils-ping": "iputils", "bind9-dnsutils": "bind", "netcat-openbsd": "openbsd-netcat",
    "uidmap": "shadow", "docker-cli": "docker", "openssh-client": "openssh", "iptables": "iptables-nft",
    "fonts-wqy-zenhei": "wqy-zenhei",
}  # fmt: skip
FAMILIES = {"debian": ("apt-get install", {}), "fedora": ("dnf install", FEDORA), "arch": ("pacman -S", ARCH)}


def calc_install(distribution: Sequence[str], *packages: str) -> str:
    """The command that installs these packages, named as Debian does, on a distribution (os-release's ID and ID_LIKE)."""
    family = next((name for name in distribution if name in FAMILIES), "")
    if not family:
        return f"your package manager: what Debian calls {', '.join(packages)}"
    command, names = FAMILIES[family]
    return f"`{command} {' '.join(dict.fromkeys(names.get(package, package) for package in packages))}`"


def check_system(machine: Machine) -> Said:
    """Kernel and Python. WSL 1 translates system calls, and has no namespaces; WSL 2 is a Linux like any other."""
    python, groups = ".".join(map(str, machine.python)), machine.control_groups
    facts = f"Linux {machine.release}, {machine.architecture}, Python {python}, control groups version {groups}"
    if machine.release.endswith("-Microsoft"):
        remedy = "in PowerShell: `wsl --set-version NAME 2`, where `wsl --list` tells the NAME"
        return FAILS, facts, f"this is WSL 1, which has no Linux kernel: {NO_LAB}", remedy
    if machine.python < (3, 11):
        return FAILS, facts, NO_LAB, "install Python 3.11 or newer, then run ./workshop setup again"
    return OK, facts


def check_engine(machine: Machine) -> Said:
    """The engine labs will run, and the docker command notebooks type."""
    engines, install = machine.engines, calc_install(machine.distribution, "docker-cli")
    if engines.chosen is None:
        return FAILS, "", f"no usable Docker engine: {NO_LAB}", engines.refusal
    facts = f"{engines.chosen.version} at {engines.chosen.dockerd}; docker command: {engines.docker or 'none'}"
    if not engines.docker:
        return LACKS, facts, "every notebook types docker", f"{install}, or name a directory that has one: NETKIT_ENGINE"
    if "podman" in engines.docker_says.lower():
        remedy = f"remove the package podman-docker, and install Docker's own command: {install}"
        return LACKS, facts, "that docker is Podman's, which speaks to no Docker engine", remedy
    return OK, facts


def check_other_engines(machine: Machine) -> Said | None:
    """Every other dockerd there is."""
    chosen, others = machine.engines.chosen, machine.engines.others
    if not others:
        return None
    told = ", ".join(f"{engine.dockerd} ({_tell_version(engine)})" for engine in others)
    if chosen:
        return OK, told
    usable = any(not is_too_old(engine.version) for engine in others)
    remedy = "name its directory with NETKIT_ENGINE or --engine" if usable else "install a newer engine"
    return LACKS, told, "labs do not find them by themselves", remedy


def _tell_version(engine: FoundEngine) -> str:
    if not engine.version:
        return "does not tell its version"
    return f"{engine.version}, too old" if is_too_old(engine.version) else engine.version


def is_too_old(version: str) -> bool:
    """Whether an engine is older than what labs need; one that does not tell its version is."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2]) < OLDEST


def check_namespaces(machine: Machine) -> Said:
    """User namespaces by what can be done inside of one, not only by whether one can be made."""
    found, mode = machine.namespaces, machine.identities.mode
    step, said = next(((step, said) for step, said in found.steps.items() if said != "ok"), ("", ""))
    if not step and found.most != 0:
        return OK, f"up to {'any number' if found.most is None else found.most} per user"
    if step not in ("", "user"):
        return _check_capabilities(step, said, found, mode)
    if found.most == 0:
        return FAILS, "forbidden", NO_LAB, "as root: `sysctl user.max_user_namespaces=15000`, and for good in /etc/sysctl.d/"
    if said == "ENOSPC":
        remedy = "raise user.max_user_namespaces there, or leave it: a lab in a lab's node is not possible"
        return FAILS, f"no more of them here ({said}): an enclosing user namespace sets the limit", NO_LAB, remedy
    if said in ("EINVAL", "ENOSYS"):
        return FAILS, f"unknown to this kernel ({said})", NO_LAB, "use a kernel built with CONFIG_USER_NS"
    if found.clone == 0 and mode == "user":
        remedy = "as root: `sysctl kernel.unprivileged_userns_clone=1`, and for good in /etc/sysctl.d/; or open labs as root"
        return FAILS, "forbidden to ordinary users (kernel.unprivileged_userns_clone=0)", NO_LAB, remedy
    if machine.seccomp or machine.in_container:
        remedy = "start the container with `--privileged` (docs/containers.md says what that means)"
        return FAILS, f"refused by the container's filter of system calls ({said})", NO_LAB, remedy
    remedy = "in a chroot there are none: work outside of it; else see the kernel's log (`dmesg`) for a security module's refusal"
    return FAILS, f"refused ({said})", NO_LAB, remedy


def _check_capabilities(step: str, said: str, found: UserNamespaces, mode: str) -> Said:
    """A user namespace can be made, but what takes a capability in it is refused."""
    doing = {"net": "a network", "admin": "setting an interface up", "mounts": "a mount namespace", "mount": "a mount"}[step]
    facts = f"made, but without capabilities inside: {doing} is refused ({said})"
    if found.restricted or "unprivileged_userns" in found.label:
        facts += "; AppArmor restricts them (Ubuntu 23.10 or newer)"
        return FAILS, facts, NO_LAB, APPARMOR.format(python=found.python)
    if said == "ENOSPC":
        return FAILS, facts, NO_LAB, "as root: raise user.max_net_namespaces and user.max_mnt_namespaces with sysctl"
    way = "allow this user's programs `userns` in the security module that refuses (`dmesg`, or `ausearch -m avc` with SELinux, names it)"
    return FAILS, facts, NO_LAB, way + (", or open labs as root" if mode == "user" else "")


def check_identities(machine: Machine) -> Said:
    """Root needs nothing; an ordinary user needs subordinate ids, and helpers that may write them."""
    who, cost = machine.identities, f"an ordinary user's labs have no identities of their own, and {NO_LAB}"
    if who.mode == "root":
        return OK, f"mode root: labs opened from here have {who.ids} user ids"
    missing = " and ".join(helper.name for helper in who.helpers if not helper.path)
    if missing:
        return FAILS, f"{missing} missing", cost, calc_install(machine.distribution, "uidmap")
    if machine.no_new_privileges:
        remedy = "start this program without NoNewPrivileges (JupyterHub's SystemdSpawner: disable_user_sudo = False)"
        return FAILS, "setuid programs have no effect here (NoNewPrivs), newuidmap included", cost, remedy
    powerless = [helper.path for helper in who.helpers if not helper.privileged]
    if powerless:
        remedy = f"as root: `chmod u+s {' '.join(powerless)}`; on a file system mounted nosuid that does not help: mount it without"
        return FAILS, f"{' and '.join(powerless)} neither setuid root nor with a file capability", cost, remedy
    if not who.user:
        return FAILS, f"user {who.uid} has no name in /etc/passwd", cost, NAME_REMEDY.format(uid=who.uid)
    counts = {}  # of the ids in each file that a lab of this user has, beside the user's own
    for path, ranges in who.subordinate.items():
        usable = calc_usable(ranges, who.user, who.uid, who.gid if path == "/etc/subgid" else who.uid)
        counts[path] = sum(count for _, count in usable)
    short = {path: count for path, count in counts.items() if 1 + count < NEEDED}
    if short:
        first = find_free_range(tuple(one for ranges in who.subordinate.values() for one in ranges))
        facts = " and ".join(f"{count} subordinate ids in {path}" for path, count in short.items())
        asked = [f"--add-{path.removeprefix('/etc/')}s {first}-{first + NEEDED - 1}" for path in short]
        return FAILS, f"{facts} for {who.user}, {NEEDED} needed", cost, f"as root: `usermod {' '.join(asked)} {who.user}`"
    return OK, f"mode user: labs opened from here have {1 + counts.get('/etc/subuid', 0)} user ids"


def find_free_range(ranges: Sequence[tuple[str, int, int]], count: int = NEEDED) -> int:
    """The first id, from 100000 on and in steps of ``count``, of ``count`` that nobody has."""
    first = 100_000
    while any(begin < first + count and first < begin + length for _, begin, length in ranges):
        first += count
    return first


def check_iptables(machine: Machine) -> Said:
    """The rules' backend: nf_tables, legacy, or one for IPv4 and the other for IPv6."""
    if not machine.iptables:
        return FAILS, "missing", f"no engine starts: {NO_LAB}", calc_install(machine.distribution, "iptables")
    ipv4, ipv6 = _find_backend(machine.iptables), _find_backend(machine.ip6tables)
    switch = "as root: `update-alternatives --set {0} /usr/sbin/{0}-nft`"
    if ipv4 == "legacy":
        return LACKS, machine.iptables, "rule traces need the nf_tables backend", switch.format("iptables")
    if machine.ip6tables and ipv6 != ipv4:
        facts = f"{machine.iptables}, but ip6tables is {ipv6}"
        return LACKS, facts, "IPv6 rules are missing in what nft lists and in traces", switch.format("ip6tables")
    return OK, machine.iptables


def _find_backend(said: str) -> str:
    """What stands in brackets; versions before 1.8 say nothing, and are legacy."""
    found = re.search(r"\((\w+)\)", said)
    return found[1] if found else "legacy"


def check_programs(machine: Machine) -> Said:
    """The commands that notebooks type."""
    missing = [program for program, path in machine.programs.items() if not path]
    if missing:
        remedy = calc_install(machine.distribution, *sorted({PROGRAMS[program] for program in missing}))
        return LACKS, f"missing: {', '.join(missing)}", "cells that type them fail", remedy
    return OK, f"all {len(machine.programs)} commands of the notebooks are there"


def check_memory(machine: Machine) -> Said:
    """Memory, counted in nodes: images and containers are kept there, too."""
    nodes = machine.memory // MEMORY_PER_NODE
    facts = f"{_tell_size(machine.memory)} free, enough for about {nodes} nodes"
    if nodes >= 4:
        return OK, facts
    return LACKS, facts, "labs may end half-way", "close other programs: a lab of two nodes takes about 300 MB"


def check_space(machine: Machine) -> Said:
    """Space for temporary files and the prepared images."""
    facts = ", ".join(f"{_tell_size(free)} free at {place}" for place, free in machine.places.items())
    if all(free >= SPACE_NEEDED for free in machine.places.values()):
        return OK, facts
    remedy = f"free some: {_tell_size(SPACE_NEEDED)} will do; XDG_CACHE_HOME and TMPDIR name other places"
    return LACKS, facts, "the images may not be made at the first lab", remedy


def _tell_size(size: int) -> str:
    return f"{size / (1 << 30):.1f} GiB" if size >= 1 << 30 else f"{size >> 20} MiB"


def check_control_groups(machine: Machine) -> Said:
    """Labs need none of them: their engines write no control groups, whatever is delegated."""
    whose = f"delegated: {', '.join(machine.controllers)}" if machine.controllers else "none delegated to this user"
    facts = f"version {machine.control_groups}, {whose}" if machine.control_groups else "none mounted"
    return OK, f"{facts} (labs need none; `docker run --memory` limits nothing in them)"


def check_font(machine: Machine) -> Said:
    """Whether figures can show Chinese, Japanese and Korean names."""
    if machine.font:
        return OK, f"Chinese names in figures: {machine.font}"
    remedy = f"{calc_install(machine.distribution, 'fonts-wqy-zenhei')}, then restart kernels"
    return LACKS, "", "Chinese, Japanese and Korean names in figures are boxes (□)", remedy


def check_browser(machine: Machine) -> Said:
    """A Chromium for the tests; learners use whatever browser they have."""
    if machine.browser:
        return OK, f"for the tests: {machine.browser}"
    cost = "nothing for learners, whose own browser does; the tests cannot open notebooks in one"
    return LACKS, "", cost, calc_install(machine.distribution, "chromium")


def check_ssh(machine: Machine) -> Said:
    """OpenSSH's client, for labs made of real machines."""
    if machine.ssh:
        return OK, f"for labs of real machines: {machine.ssh}"
    return LACKS, "", "no labs made of real machines", calc_install(machine.distribution, "openssh-client")


CHECKS: dict[str, Callable[[Machine], Said | None]] = {
    "system": check_system,
    "engine": check_engine,
    "other engines": check_other_engines,
    "user namespaces": check_namespaces,
    "identity": check_identities,
    "iptables": check_iptables,
    "programs": check_programs,
    "memory": check_memory,
    "space": check_space,
    "control groups": check_control_groups,
    "font": check_font,
    "browser": check_browser,
    "ssh": check_ssh,
}
