"""What this machine can and cannot do for a lab: found out by trying, each with its remedy.

Kernel features are not read from a configuration file but tried, on a host of a throw-away lab.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass

from netkit.errors import NetkitError
from netkit.lab import identity
from netkit.lab.engine import SYSTEM_PATH, find_engine
from netkit.lab.lab import OpenLab, open_lab

OK, LACKS, FAILS = "ok", "lacks", "fails"
SIGNS = {OK: "✓", LACKS: "–", FAILS: "✗"}
MEMORY_PER_NODE = 130 << 20
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


@dataclass(frozen=True, slots=True)
class Feature:
    """A kernel feature: how to try it in a namespace, what a learner misses without it, the remedy."""

    name: str
    trial: str
    cost: str
    remedy: str


def _module(name: str) -> str:
    return f"as root on this machine: `modprobe {name}`, if its kernel was built with it"


FEATURES = (
    Feature("bridge", "ip link add t0 type bridge", "no lab at all", _module("bridge")),
    Feature("veth", "ip link add t0 type veth peer name t1", "no lab at all", _module("veth")),
    Feature("vxlan", "ip link add t0 type vxlan id 5 dstport 4789 dev lo", "no overlay networks (notebook 05)", _module("vxlan")),
    Feature("vlan", "ip link add t0 link eth0 type vlan id 5", "no VLAN devices, as parents of macvlan networks", _module("8021q")),
    Feature("macvlan", "ip link add t0 link eth0 type macvlan", "no macvlan networks (part of 04)", _module("macvlan")),
    Feature("ipvlan", "ip link add t0 link eth0 type ipvlan", "no ipvlan networks", _module("ipvlan")),
    Feature("dummy", "ip link add t0 type dummy", "no dummy interfaces", _module("dummy")),
    Feature("tun", "test -c /dev/net/tun", "no tun devices", _module("tun")),
    Feature("nf_tables", "nft add table ip t0", "no firewall traces", _module("nf_tables")),
    Feature(
        "br_netfilter",
        "test -d /proc/sys/net/bridge",
        "containers of one bridge cannot be kept apart (--icc=false)",
        _module("br_netfilter"),
    ),
    Feature(
        "ip_vs",
        "test -e /proc/net/ip_vs",
        "a Swarm service's virtual address does not answer; DNSRR and tasks.NAME do (05)",
        _module("ip_vs"),
    ),
    Feature(
        "esp",
        "ip xfrm state add src 192.168.59.1 dst 192.168.59.2 proto esp spi 1 mode transport aead 'rfc4106(gcm(aes))' 0x"
        + "01" * 20
        + " 64",
        "no encrypted overlay networks (part of 05)",
        _module("esp4"),
    ),
    Feature("netem", "tc qdisc add dev lo root netem delay 1ms", "no artificial delay or loss", _module("sch_netem")),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: its name, "ok", "lacks" or "fails", the facts, and what to do."""

    name: str
    state: str
    facts: str
    remedy: str = ""


def examine(engine: str | None = None) -> list[Finding]:
    """Look at everything; takes about a second."""
    findings = [
        _look_at_system(),
        _look_at_engine(engine),
        *_look_at_identity(),
        _look_at_iptables(),
        _look_at_programs(),
        _look_at_memory(),
    ]
    try:
        begun = time.monotonic()
        with open_lab(1, engine=engine, label="doctor") as lab:
            took = time.monotonic() - begun
            mode = lab.facts["mode"]
            findings.append(Finding("lab", OK, f"a lab of one node opened in {took:.2f} s, mode {mode}, engine {lab.facts['engine']}"))
            findings += [_try_feature(lab, feature) for feature in FEATURES]
    except NetkitError as error:
        findings.append(Finding("lab", FAILS, "a lab cannot be opened", str(error)))
    return findings


def can_open(findings: list[Finding]) -> bool:
    """Whether a lab can be opened on this machine."""
    return any(finding.name == "lab" and finding.state == OK for finding in findings)


def to_text(findings: list[Finding]) -> str:
    """One line a finding, and its remedy below where there is one."""
    lines = []
    for finding in findings:
        lines.append(f"{SIGNS[finding.state]} {finding.name:<16} {finding.facts}")
        if finding.remedy:
            lines.append(f"{'':<19}→ {finding.remedy}")
    return "\n".join(lines)


def to_json(findings: list[Finding]) -> str:
    """A list of objects with the fields of :class:`Finding`."""
    return json.dumps([asdict(finding) for finding in findings], indent=1, ensure_ascii=False)


def _look_at_system() -> Finding:
    python = platform.python_version()
    state = OK if sys.version_info >= (3, 11) else FAILS
    version = 2 if os.path.exists("/sys/fs/cgroup/cgroup.controllers") else 1
    facts = f"Linux {platform.release()}, {platform.machine()}, Python {python}, control groups version {version}"
    return Finding("system", state, facts, "" if state == OK else "netkit needs Python 3.11 or newer")


def _look_at_engine(directory: str | None) -> Finding:
    try:
        engine = find_engine(directory)
        return Finding(
            "engine", OK, f"{engine.read_version()} at {engine.dockerd}; docker command: {engine.commands.get('docker', 'none')}"
        )
    except NetkitError as error:
        return Finding("engine", FAILS, "no usable Docker engine", str(error))


def _look_at_identity() -> list[Finding]:
    limit = _read("/proc/sys/user/max_user_namespaces")
    findings = []
    if limit == "0":
        findings.append(Finding("user namespaces", FAILS, "forbidden", "as root: `sysctl user.max_user_namespaces=15000`"))
    else:
        findings.append(Finding("user namespaces", OK, f"up to {limit or 'any number of'} per user"))
    try:
        mode = identity.choose_mode()
        who = identity.read_identity(mode)
        ids = sum(count for _, _, count in who.uids)
        findings.append(Finding("identity", OK, f"mode {mode}: labs opened from here have {ids} user ids"))
    except NetkitError as error:
        findings.append(Finding("identity", FAILS, "labs cannot have identities of their own", str(error)))
    return findings


def _look_at_iptables() -> Finding:
    path = shutil.which("iptables", path=SYSTEM_PATH)
    if not path:
        return Finding("iptables", FAILS, "missing", "`apt-get install iptables`")
    said = subprocess.run([path, "--version"], capture_output=True, text=True).stdout.strip()
    backend = re.search(r"\((.*)\)", said)
    if backend and backend[1] == "legacy":
        return Finding(
            "iptables",
            LACKS,
            f"{said}: rule traces need the nf_tables backend",
            "`update-alternatives --set iptables /usr/sbin/iptables-nft`",
        )
    return Finding("iptables", OK, said)


def _look_at_programs() -> Finding:
    missing = sorted({package for program, package in PROGRAMS.items() if not shutil.which(program, path=SYSTEM_PATH)})
    if missing:
        return Finding("programs", LACKS, "some commands of the notebooks are missing", f"`apt-get install {' '.join(missing)}`")
    return Finding("programs", OK, f"all {len(PROGRAMS)} commands of the notebooks are there")


def _look_at_memory() -> Finding:
    available = int(re.search(r"MemAvailable:\s+(\d+)", _read("/proc/meminfo") or "MemAvailable: 0")[1]) << 10
    nodes = available // MEMORY_PER_NODE
    facts = f"{available / (1 << 30):.1f} GiB free, enough for about {nodes} nodes"
    return Finding(
        "memory", OK if nodes >= 4 else LACKS, facts, "" if nodes >= 4 else "close other programs: a lab of two nodes takes about 300 MB"
    )


def _try_feature(lab: OpenLab, feature: Feature) -> Finding:
    tried = lab["outside"].run(feature.trial, check=False)
    if tried.status == 0:
        lab["outside"].run("ip link delete t0; nft delete table ip t0", check=False)
        return Finding(feature.name, OK, "this kernel has it")
    return Finding(feature.name, LACKS, feature.cost, feature.remedy)


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return None
