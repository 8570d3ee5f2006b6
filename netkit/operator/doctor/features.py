"""What the kernel can do, found out by trying it on a host of a lab."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass

from netkit.laboratory.lab import OpenLab
from netkit.operator.doctor import ipvs
from netkit.operator.doctor.findings import LACKS, OK, Finding


@dataclass(frozen=True, slots=True)
class Feature:
    """A kernel feature: how to try it in a namespace, what a learner misses without it, the remedy.

    ``refused`` is the remedy where the kernel has it, and refuses it to a lab: the trial's status is then 2.
    """

    name: str
    trial: str
    cost: str
    remedy: str
    refused: str = ""


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
    Feature(
        "ipv6", "ping -6 -q -c 1 -W 1 ::1", "no IPv6 in networks (part of 04)", "a kernel with IPv6, not switched off by ipv6.disable=1"
    ),
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
        f"{shlex.quote(sys.executable)} -P -m {ipvs.__name__}",
        "a Swarm service's virtual address does not answer; DNSRR and tasks.NAME do (05)",
        _module("ip_vs"),
        refused="this kernel has it, and refuses it to user namespaces: Linux 6.10 or newer, or two virtual machines (docs/virtual-machines.md)",
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


def try_feature(lab: OpenLab, feature: Feature) -> Finding:
    """Make what the feature is about on the lab's outside host, and delete it again."""
    tried = lab["outside"].run(feature.trial, check=False)
    if tried.status == 0:
        lab["outside"].run("ip link delete t0; nft delete table ip t0", check=False)
        return Finding(feature.name, OK, "this kernel has it")
    refused = feature.refused and tried.status == ipvs.REFUSED
    return Finding(feature.name, LACKS, cost=feature.cost, remedy=feature.refused if refused else feature.remedy)
