"""The packet filter of a network namespace: what it does, and the rules that do it."""

from __future__ import annotations

from dataclasses import dataclass

from netkit.network.model.order import Ip, Subnet, sort


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What becomes of packets that no rule of a built-in chain decides; ``family`` is 4 or 6."""

    family: int
    table: str
    chain: str
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Masquerade:
    """Source NAT to the address of the interface a packet leaves by.

    ``leaving`` is the interface it has to leave by, ``not_leaving`` the one it must not.
    """

    source: Subnet
    leaving: str | None = None
    not_leaving: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PortForward:
    """Destination NAT of a port: ``address``:``port`` becomes ``to_address``:``to_port``."""

    protocol: str
    port: int
    to_address: Ip
    to_port: int
    address: Ip | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Firewall:
    """The packet filter of one namespace: what follows for the network, and the ``rules`` it follows from.

    ``isolated`` are the bridges between which nothing is forwarded, ``internal`` those that reach
    nothing outside themselves, ``silent`` those whose own ports may not talk to each other
    (``enable_icc=false``). ``rules`` are lines in the form of iptables-save(8), each beginning with
    its family and table ("4 nat -A POSTROUTING …"), in the order in which they are tried.
    ``backend`` is nf_tables or legacy.
    """

    backend: str = ""
    policies: tuple[Policy, ...] = ()
    masquerades: tuple[Masquerade, ...] = ()
    forwards: tuple[PortForward, ...] = ()
    isolated: tuple[str, ...] = ()
    internal: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        sort(
            self,
            policies=lambda p: (p.family, p.table, p.chain),
            masquerades=lambda m: (m.source.version, m.source, m.leaving or "", m.not_leaving or ""),
            forwards=lambda f: (f.protocol, f.port, str(f.address or ""), str(f.to_address), f.to_port),
            isolated=str,
            internal=str,
            silent=str,
        )
