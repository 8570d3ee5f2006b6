"""What this machine can and cannot do for a lab, each with what it costs a learner, and the remedy.

:mod:`~netkit.operator.doctor_facts` reads this machine and changes nothing, and the checks of
:mod:`~netkit.operator.doctor_checks` are pure: what they say of those facts becomes :class:`Finding` values here. What the
kernel can do is tried on a host of a throw-away lab, because a kernel's configuration file does not tell.

``netkit doctor --json`` prints a list of objects, in the order of the text, with these fields, all strings:

- ``name``: what was looked at; each occurs once, and keeps its name from release to release;
- ``state``: "ok", "lacks" (a lab opens, something in it will be missing) or "fails" (no lab opens);
- ``facts``: what was seen, in words; empty for a kernel feature that is missing;
- ``cost``: what a learner misses; empty when the state is "ok";
- ``remedy``: what to do about it; empty when the state is "ok".

The finding "lab" is the one that counts: its state is "ok" exactly if a lab was opened, and the
command's exit status is then 0, else 1.
"""

from __future__ import annotations

import errno
import json
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from netkit.errors import NetkitError
from netkit.laboratory.lab import OpenLab, open_lab
from netkit.operator.doctor_checks import CHECKS, FAILS, LACKS, OK
from netkit.operator.doctor_facts import Machine, look

IPVS_CMD_GET_INFO = 15  # linux/ip_vs.h
ANSWERS, HAS_NONE, REFUSED = 0, 1, 2  # exit status of a trial
SIGNS = {OK: "✓", LACKS: "–", FAILS: "✗"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: its name, "ok", "lacks" or "fails", the facts, what a learner misses, and what to do."""

    name: str
    state: str
    facts: str = ""
    cost: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Feature:
    """A kernel feature: how to try it in a namespace, what a learner misses without it, and what helps.

    The remedy is to load ``module`` (named as the feature is, unless told), or ``remedy`` where there is one. ``refused`` is the
    remedy where the kernel has it, and refuses it to a lab: the trial's status is then 2.
    """

    name: str
    trial: str
    cost: str
    module: str = ""
    remedy: str = ""
    refused: str = ""


FEATURES = (
    Feature("bridge", "ip link add t0 type bridge", "no lab at all"),
    Feature("veth", "ip link add t0 type veth peer name t1", "no lab at all"),
    Feature("vxlan", "ip link add t0 type vxlan id 5 dstport 4789 dev lo", "no overlay networks (notebook 05)"),
    Feature("vlan", "ip link add t0 link eth0 type vlan id 5", "no VLAN devices, as parents of macvlan networks", "8021q"),
    Feature("macvlan", "ip link add t0 link eth0 type macvlan", "no macvlan networks (part of 04)"),
    Feature("ipvlan", "ip link add t0 link eth0 type ipvlan", "no ipvlan networks"),
    Feature("dummy", "ip link add t0 type dummy", "no dummy interfaces"),
    Feature(
        *("ipv6", "ping -6 -q -c 1 -W 1 ::1", "no IPv6 in networks (part of 04)"),
        remedy="a kernel with IPv6, not switched off by ipv6.disable=1",
    ),
    Feature("tun", "test -c /dev/net/tun", "no tun devices"),
    Feature("nf_tables", "nft add table ip t0", "no firewall traces"),
    Feature("br_netfilter", "test -d /proc/sys/net/bridge", "containers of one bridge cannot be kept apart (--icc=false)"),
    Feature(
        *("ip_vs", f"{shlex.quote(sys.executable)} -P -m netkit.operator.doctor"),
        cost="a Swarm service's virtual address does not answer; DNSRR and tasks.NAME do (05)",
        refused="this kernel has it, and refuses it to user namespaces: Linux 6.10 or newer, or two virtual machines (docs/virtual-machines.md)",
    ),
    Feature(
        "esp",
        f"ip xfrm state add src 192.168.59.1 dst 192.168.59.2 proto esp spi 1 mode transport aead 'rfc4106(gcm(aes))' 0x{'01' * 20} 64",
        "no encrypted overlay networks (part of 05)",
        "esp4",
    ),
    Feature("netem", "tc qdisc add dev lo root netem delay 1ms", "no artificial delay or loss", "sch_netem"),
)


def examine(engine: str | None = None) -> list[Finding]:
    """Look at everything, with the engine in the directory ``engine`` or the usual one; takes about two seconds."""
    findings = judge(look(engine))
    try:
        begun = time.monotonic()
        with open_lab(1, engine=engine, label="doctor") as lab:
            took = time.monotonic() - begun
            facts = f"a lab of one node opened in {took:.2f} s, mode {lab.facts['mode']}, engine {lab.facts['engine']}"
            return [*findings, Finding("lab", OK, facts), *(try_feature(lab, feature) for feature in FEATURES)]
    except NetkitError as error:
        return [*findings, Finding("lab", FAILS, cost="a lab cannot be opened", remedy=str(error))]


def judge(machine: Machine) -> list[Finding]:
    """A finding for each thing that can be told without a lab; pure."""
    return [Finding(name, *said) for name, check in CHECKS.items() if (said := check(machine))]


def try_feature(lab: OpenLab, feature: Feature) -> Finding:
    """Make what the feature is about on the lab's outside host, and delete it again."""
    status = lab["outside"].run(feature.trial, check=False).status
    if status == 0:
        lab["outside"].run("ip link delete t0; nft delete table ip t0", check=False)
        return Finding(feature.name, OK, "this kernel has it")
    if feature.refused and status == REFUSED:
        return Finding(feature.name, LACKS, cost=feature.cost, remedy=feature.refused)
    remedy = feature.remedy or f"as root on this machine: `modprobe {feature.module or feature.name}`, if its kernel was built with it"
    return Finding(feature.name, LACKS, cost=feature.cost, remedy=remedy)


def try_family(family: str, command: int) -> int:
    """Ask a family of generic netlink something without attributes; returns whether it answers, there is none, or it refuses.

    Before Linux 6.10 all commands of IPVS, the kernel's load balancer, want CAP_NET_ADMIN in the first user namespace
    (``GENL_ADMIN_PERM`` in net/netfilter/ipvs/ip_vs_ctl.c, which became ``GENL_UNS_ADMIN_PERM``), so that ``/proc/net/ip_vs``
    says nothing about a lab.
    """
    from pyroute2.netlink import NLM_F_REQUEST, genlmsg
    from pyroute2.netlink.exceptions import NetlinkError
    from pyroute2.netlink.generic import GenericNetlinkSocket

    asking = genlmsg()
    asking["cmd"], asking["version"] = command, 1
    try:
        with GenericNetlinkSocket() as sock:
            sock.bind(family, genlmsg)
            sock.nlm_request(asking, msg_type=sock.prid, msg_flags=NLM_F_REQUEST)
    except NetlinkError as error:
        return REFUSED if error.code == errno.EPERM else HAS_NONE
    return ANSWERS


def can_open(findings: Sequence[Finding]) -> bool:
    """Whether a lab was opened on this machine."""
    return any(finding.name == "lab" and finding.state == OK for finding in findings)


def to_text(findings: Sequence[Finding]) -> str:
    """One line a finding, and its remedy below where there is one."""
    lines = []
    for finding in findings:
        said = ": ".join(filter(None, (finding.facts, finding.cost)))
        lines.append(f"{SIGNS[finding.state]} {finding.name:<16} {said}")
        if finding.remedy:
            lines.append(f"{'':<19}→ {finding.remedy}")
    return "\n".join(lines)


def to_json(findings: Sequence[Finding]) -> str:
    """A list of objects with the fields of :class:`Finding`."""
    return json.dumps([asdict(finding) for finding in findings], indent=1)


if __name__ == "__main__":  # what a swarm's engine asks first, for IPVS's version, in the network namespace of whoever runs this
    sys.exit(try_family("IPVS", IPVS_CMD_GET_INFO))
