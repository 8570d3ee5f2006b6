"""From facts to findings: pure, so that machines nobody has at hand can be judged, too."""

from __future__ import annotations

import re

from netkit.laboratory.engine import OLDEST
from netkit.laboratory.identity import NAME_REMEDY, NEEDED, calc_usable
from netkit.operator.doctor.facts import ControlGroups, Engines, FoundEngine, Identities, Iptables, Machine, Room, System, UserNamespaces
from netkit.operator.doctor.findings import FAILS, LACKS, OK, Finding
from netkit.operator.doctor.packages import calc_install

NO_LAB = "no notebook can be run"
MEMORY_PER_NODE = 130 << 20
SPACE_NEEDED = 512 << 20  # the prepared images for one engine are about 120 MB, made beside a copy
# programs the notebooks type, with the Debian package of each
PROGRAMS = {
    "ip": "iproute2",
    "nft": "nftables",
    "brctl": "bridge-utils",
    "ethtool": "ethtool",
    "tcpdump": "tcpdump",
    "conntrack": "conntrack",
    "iperf3": "iperf3",
    "ping": "iputils-ping",
    "curl": "curl",
    "dig": "bind9-dnsutils",
    "nc": "netcat-openbsd",
}
APPARMOR = (
    "one of three, as root. (1) `sysctl kernel.apparmor_restrict_unprivileged_userns=0`, and for good the same setting in "
    "/etc/sysctl.d/60-netkit.conf: user namespaces work for every program of every user again, as on Debian. (2) An AppArmor profile "
    "for this Python alone, so that only Python programs may: `printf 'abi <abi/4.0>,\\ninclude <tunables/global>\\nprofile netkit "
    "{python} flags=(unconfined) {{ userns, }}\\n' >/etc/apparmor.d/netkit && apparmor_parser --replace /etc/apparmor.d/netkit`. "
    "(3) Change nothing, and open labs as root (`sudo ./workshop`): what notebooks do to files is then done with root's rights"
)


def judge(machine: Machine) -> list[Finding]:
    """A finding for each thing that can be told without a lab."""
    distribution = machine.system.distribution
    return [
        judge_system(machine.system, machine.control_groups),
        judge_engine(machine.engines, distribution),
        *judge_other_engines(machine.engines),
        judge_namespaces(machine.namespaces, machine.system, machine.identities.mode),
        judge_identities(machine.identities, machine.system),
        judge_iptables(machine.iptables, distribution),
        judge_programs(machine.programs, distribution),
        judge_memory(machine.room),
        judge_space(machine.room),
        judge_control_groups(machine.control_groups),
        judge_font(machine.font, distribution),
        judge_browser(machine.browser, distribution),
        judge_ssh(machine.ssh, distribution),
    ]


def judge_system(system: System, groups: ControlGroups) -> Finding:
    """Kernel and Python. WSL 1 translates system calls, and has no namespaces; WSL 2 is a Linux like any other."""
    python = ".".join(map(str, system.python))
    facts = f"Linux {system.release}, {system.machine}, Python {python}, control groups version {groups.version}"
    if system.release.endswith("-Microsoft"):
        remedy = "in PowerShell: `wsl --set-version NAME 2`, where `wsl --list` tells the NAME"
        return Finding("system", FAILS, facts, f"this is WSL 1, which has no Linux kernel: {NO_LAB}", remedy)
    if system.python < (3, 11):
        return Finding("system", FAILS, facts, NO_LAB, "install Python 3.11 or newer, then run ./workshop setup again")
    return Finding("system", OK, facts)


def judge_engine(engines: Engines, distribution: tuple[str, ...]) -> Finding:
    """The engine labs will run, and the docker command notebooks type."""
    if engines.chosen is None:
        cost = f"no usable Docker engine: {NO_LAB}"
        return Finding("engine", FAILS, "", cost, engines.refusal)
    facts = f"{engines.chosen.version} at {engines.chosen.dockerd}; docker command: {engines.docker or 'none'}"
    if not engines.docker:
        remedy = calc_install(distribution, ["docker-cli"])
        return Finding("engine", LACKS, facts, "every notebook types docker", f"{remedy}, or name a directory that has one: NETKIT_ENGINE")
    if "podman" in engines.docker_says.lower():
        remedy = "remove the package podman-docker, and install Docker's own command: " + calc_install(distribution, ["docker-cli"])
        return Finding("engine", LACKS, facts, "that docker is Podman's, which speaks to no Docker engine", remedy)
    return Finding("engine", OK, facts)


def judge_other_engines(engines: Engines) -> list[Finding]:
    """Every other dockerd there is; no finding where there is none."""
    if not engines.others:
        return []
    told = ", ".join(_tell_engine(engine) for engine in engines.others)
    usable = engines.chosen or any(not is_too_old(engine.version) for engine in engines.others)
    if engines.chosen:
        return [Finding("other engines", OK, told)]
    remedy = "name its directory with NETKIT_ENGINE or --engine" if usable else "install a newer engine"
    return [Finding("other engines", LACKS, told, "labs do not find them by themselves", remedy)]


def _tell_engine(engine: FoundEngine) -> str:
    state = "does not tell its version" if not engine.version else f"{engine.version}{', too old' if is_too_old(engine.version) else ''}"
    return f"{engine.dockerd} ({state})"


def is_too_old(version: str) -> bool:
    """Whether an engine is older than what labs need; one that does not tell its version is."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2]) < OLDEST


def judge_namespaces(found: UserNamespaces, system: System, mode: str) -> Finding:
    """User namespaces by what can be done inside of one, not only by whether one can be made."""
    name = "user namespaces"
    failed = next(((step, said) for step, said in found.steps.items() if said != "ok"), None)
    if failed is None and found.most != 0:
        return Finding(name, OK, f"up to {'any number' if found.most is None else found.most} per user")
    step, said = failed or ("user", "ENOSPC")
    if step != "user":
        return _judge_capabilities(name, step, said, found, mode)
    if found.most == 0:
        return Finding(name, FAILS, "forbidden", NO_LAB, "as root: `sysctl user.max_user_namespaces=15000`, and for good in /etc/sysctl.d/")
    if said == "ENOSPC":
        facts = f"no more of them here ({said}): an enclosing user namespace sets the limit"
        return Finding(
            name, FAILS, facts, NO_LAB, "raise user.max_user_namespaces there, or leave it: a lab in a lab's node is not possible"
        )
    if said in ("EINVAL", "ENOSYS"):
        return Finding(name, FAILS, f"unknown to this kernel ({said})", NO_LAB, "use a kernel built with CONFIG_USER_NS")
    if found.clone == 0 and mode == "user":
        remedy = "as root: `sysctl kernel.unprivileged_userns_clone=1`, and for good in /etc/sysctl.d/; or open labs as root"
        return Finding(name, FAILS, "forbidden to ordinary users (kernel.unprivileged_userns_clone=0)", NO_LAB, remedy)
    if system.seccomp or system.in_container:
        remedy = "start the container with `--privileged` (docs/containers.md says what that means)"
        return Finding(name, FAILS, f"refused by the container's filter of system calls ({said})", NO_LAB, remedy)
    remedy = "in a chroot there are none: work outside of it; else see the kernel's log (`dmesg`) for a security module's refusal"
    return Finding(name, FAILS, f"refused ({said})", NO_LAB, remedy)


def _judge_capabilities(name: str, step: str, said: str, found: UserNamespaces, mode: str) -> Finding:
    """A user namespace can be made, but what takes a capability in it is refused."""
    doing = {"net": "a network", "admin": "setting an interface up", "mounts": "a mount namespace", "mount": "a mount"}[step]
    facts = f"made, but without capabilities inside: {doing} is refused ({said})"
    if found.restricted or "unprivileged_userns" in found.label:
        return Finding(
            name, FAILS, f"{facts}; AppArmor restricts them (Ubuntu 23.10 or newer)", NO_LAB, APPARMOR.format(python=found.python)
        )
    if said == "ENOSPC":
        return Finding(name, FAILS, facts, NO_LAB, "as root: raise user.max_net_namespaces and user.max_mnt_namespaces with sysctl")
    way = "allow this user's programs `userns` in the security module that refuses (`dmesg`, or `ausearch -m avc` with SELinux, names it)"
    return Finding(name, FAILS, facts, NO_LAB, way + (", or open labs as root" if mode == "user" else ""))


def judge_identities(who: Identities, system: System) -> Finding:
    """Root needs nothing; an ordinary user needs subordinate ids, and helpers that may write them."""
    if who.mode == "root":
        return Finding("identity", OK, f"mode root: labs opened from here have {who.ids} user ids")
    missing = [helper.name for helper in who.helpers if not helper.path]
    if missing:
        return _refuse_identities(f"{' and '.join(missing)} missing", calc_install(system.distribution, ["uidmap"]))
    if system.no_new_privileges:
        remedy = "start this program without NoNewPrivileges (JupyterHub's SystemdSpawner: disable_user_sudo = False)"
        return _refuse_identities("setuid programs have no effect here (NoNewPrivs), newuidmap included", remedy)
    powerless = [helper.path for helper in who.helpers if not helper.privileged]
    if powerless:
        remedy = f"as root: `chmod u+s {' '.join(powerless)}`; on a file system mounted nosuid that does not help: mount it without"
        return _refuse_identities(f"{' and '.join(powerless)} neither setuid root nor with a file capability", remedy)
    if not who.user:
        return _refuse_identities(f"user {who.uid} has no name in /etc/passwd", NAME_REMEDY.format(uid=who.uid))
    counts = {path: count_subordinate(path, who) for path in who.subordinate}
    short = {path: count for path, count in counts.items() if 1 + count < NEEDED}
    if short:
        first = find_free_range(tuple(one for ranges in who.subordinate.values() for one in ranges))
        last = first + NEEDED - 1
        facts = " and ".join(f"{count} subordinate ids in {path}" for path, count in short.items()) + f" for {who.user}, {NEEDED} needed"
        asked = [f"--add-sub{kind}s {first}-{last}" for kind in ("uid", "gid") if f"/etc/sub{kind}" in short]
        return _refuse_identities(facts, f"as root: `usermod {' '.join(asked)} {who.user}`")
    return Finding("identity", OK, f"mode user: labs opened from here have {1 + counts.get('/etc/subuid', 0)} user ids")


def _refuse_identities(facts: str, remedy: str) -> Finding:
    return Finding("identity", FAILS, facts, f"an ordinary user's labs have no identities of their own, and {NO_LAB}", remedy)


def count_subordinate(path: str, who: Identities) -> int:
    """How many ids of a file like /etc/subuid a lab of this user has, beside the user's own."""
    usable = calc_usable(who.subordinate[path], who.user, who.uid, who.gid if path == "/etc/subgid" else who.uid)
    return sum(count for _, count in usable)


def find_free_range(ranges: tuple[tuple[str, int, int], ...], count: int = NEEDED) -> int:
    """The first id, from 100000 on and in steps of ``count``, of ``count`` that nobody has."""
    first = 100_000
    while any(begin < first + count and first < begin + length for _, begin, length in ranges):
        first += count
    return first


def judge_iptables(found: Iptables, distribution: tuple[str, ...]) -> Finding:
    """The rules' backend: nf_tables, legacy, or one for IPv4 and the other for IPv6."""
    if not found.ipv4:
        return Finding("iptables", FAILS, "missing", f"no engine starts: {NO_LAB}", calc_install(distribution, ["iptables"]))
    backends = [_backend(found.ipv4), _backend(found.ipv6)]
    switch = "as root: `update-alternatives --set {0} /usr/sbin/{0}-nft`"
    if backends[0] == "legacy":
        return Finding("iptables", LACKS, found.ipv4, "rule traces need the nf_tables backend", switch.format("iptables"))
    if backends[1] not in (None, backends[0]):
        facts = f"{found.ipv4}, but ip6tables is {backends[1]}"
        return Finding("iptables", LACKS, facts, "IPv6 rules are missing in what nft lists and in traces", switch.format("ip6tables"))
    return Finding("iptables", OK, found.ipv4)


def _backend(said: str | None) -> str | None:
    """What stands in brackets; versions before 1.8 say nothing, and are legacy."""
    if not said:
        return None
    found = re.search(r"\((\w+)\)", said)
    return found[1] if found else "legacy"


def judge_programs(found: dict[str, str | None], distribution: tuple[str, ...]) -> Finding:
    """The commands that notebooks type."""
    missing = [program for program, path in found.items() if not path]
    if missing:
        remedy = calc_install(distribution, sorted({PROGRAMS[program] for program in missing}))
        return Finding("programs", LACKS, f"missing: {', '.join(missing)}", "cells that type them fail", remedy)
    return Finding("programs", OK, f"all {len(found)} commands of the notebooks are there")


def judge_memory(room: Room) -> Finding:
    """Memory, counted in nodes: images and containers are kept there, too."""
    nodes = room.memory // MEMORY_PER_NODE
    facts = f"{_tell_size(room.memory)} free, enough for about {nodes} nodes"
    if nodes >= 4:
        return Finding("memory", OK, facts)
    return Finding("memory", LACKS, facts, "labs may end half-way", "close other programs: a lab of two nodes takes about 300 MB")


def judge_space(room: Room) -> Finding:
    """Space for temporary files and the prepared images."""
    facts = ", ".join(f"{_tell_size(free)} free at {place}" for place, free in room.places.items())
    if all(free >= SPACE_NEEDED for free in room.places.values()):
        return Finding("space", OK, facts)
    remedy = f"free some: {_tell_size(SPACE_NEEDED)} will do; XDG_CACHE_HOME and TMPDIR name other places"
    return Finding("space", LACKS, facts, "the images may not be made at the first lab", remedy)


def _tell_size(size: int) -> str:
    return f"{size / (1 << 30):.1f} GiB" if size >= 1 << 30 else f"{size >> 20} MiB"


def judge_control_groups(groups: ControlGroups) -> Finding:
    """Labs need none of them: their engines write no control groups, whatever is delegated."""
    if groups.version == 0:
        facts = "none mounted"
    else:
        whose = f"delegated: {', '.join(groups.delegated)}" if groups.delegated else "none delegated to this user"
        facts = f"version {groups.version}, {whose}"
    return Finding("control groups", OK, f"{facts} (labs need none; `docker run --memory` limits nothing in them)")


def judge_font(font: str | None, distribution: tuple[str, ...]) -> Finding:
    """Whether figures can show Chinese, Japanese and Korean names."""
    if font:
        return Finding("font", OK, f"Chinese names in figures: {font}")
    remedy = f"{calc_install(distribution, ['fonts-wqy-zenhei'])}, then restart kernels"
    return Finding("font", LACKS, "", "Chinese, Japanese and Korean names in figures are boxes (□)", remedy)


def judge_browser(browser: str | None, distribution: tuple[str, ...]) -> Finding:
    """A Chromium for the tests; learners use whatever browser they have."""
    if browser:
        return Finding("browser", OK, f"for the tests: {browser}")
    remedy = calc_install(distribution, ["chromium"])
    return Finding("browser", LACKS, "", "nothing for learners, whose own browser does; the tests cannot open notebooks in one", remedy)


def judge_ssh(ssh: str | None, distribution: tuple[str, ...]) -> Finding:
    """OpenSSH's client, for labs made of real machines."""
    if ssh:
        return Finding("ssh", OK, f"for labs of real machines: {ssh}")
    return Finding("ssh", LACKS, "", "no labs made of real machines", calc_install(distribution, ["openssh-client"]))
