"""Criteria about wiring that several exercises share: a container, its cable, its addresses and routes."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from netkit.exercises.model import Criterion, Evidence, Miss
from netkit.network.model import Endpoint, Interface, Route

Find = Callable[[Evidence], Interface | None]
Hints = tuple[str, str]
"""A hint, and a stronger one."""


def judge_running(evidence: Evidence, name: str, missing: Hints, stopped: Hints) -> Miss | None:
    """None if a container of this name runs on node1; otherwise what is wrong, with the hints for that."""
    known = evidence.node("node1").container(name)
    if known is None:
        others = ", ".join(sorted(each.name for each in evidence.node("node1").containers)) or "none"
        return Miss(f"no container {name} on node1 (there: {others})", *missing)
    return None if known.sandbox else Miss(f"{name} is {known.state}", *stopped)


def runs_without_network(name: str) -> Criterion:
    """A container of this name runs, and Docker has given it no network."""

    def judge(evidence: Evidence) -> Miss | None:
        miss = judge_running(
            evidence,
            name,
            missing=(f"Start it first, with `--name {name}`.", f"`docker run -itd --net=none --name {name} busybox sh`"),
            stopped=("A container keeps its network only while it runs.", f"`docker start {name}`, then wire it again."),
        )
        if miss:
            return miss
        known = evidence.container(name)
        if known and known.mode != "none":
            return Miss(
                f"{name} has the network mode {known.mode}",
                "Docker has wired this one already: the point is that you do.",
                f"`docker rm -f {name}`, and start it with `--net=none`.",
            )
        return None

    return Criterion(f"a container {name} that runs, with `--net=none`", judge)


def find_eth0(name: str) -> Find:
    """Looks up the eth0 of a container."""

    def find(evidence: Evidence) -> Interface | None:
        container = evidence.container(name)
        return evidence.stack(container).interface("eth0") if container else None

    return find


def has_cable(name: str) -> Criterion:
    """The container has an eth0, one end of a veth pair."""

    def judge(evidence: Evidence) -> Miss | None:
        container = evidence.container(name)
        stack = evidence.stack(container) if container else None
        names = sorted(each.name for each in stack.interfaces) if stack else []
        eth0 = stack.interface("eth0") if stack else None
        if eth0 and eth0.kind != "veth":
            return Miss(f"eth0 is a {eth0.kind}", "A cable between two namespaces is a veth pair.", "`ip link add A type veth peer name B`")
        if eth0:
            return None
        if any(each.kind == "veth" for each in stack.interfaces) if stack else False:
            return Miss(
                f"interfaces in {name}: {', '.join(names)}",
                "The end of the cable is in the container, but not under the name eth0.",
                f"`ip netns exec … ip link set {names[0] if names[0] != 'lo' else names[-1]} name eth0`, before you switch it on",
            )
        loose = sorted(each.name for each in evidence.host().interfaces if each.kind == "veth" and each.name != "eth0" and not each.master)
        if loose:
            return Miss(
                f"interfaces in {name}: {', '.join(names)}; on node1: {', '.join(loose)}",
                "There is a cable, but both its ends are still on node1: one belongs into the container's network namespace.",
                f"`ip link set {loose[-1]} netns PID`, PID being `docker inspect -f '{{{{.State.Pid}}}}' {name}`",
            )
        return Miss(
            f"interfaces in {name}: {', '.join(names) or 'none'}",
            "Make a cable, and move one of its ends into the container's network namespace.",
            "`ip link add A type veth peer name B`, then `ip link set B netns PID`, then name it eth0",
        )

    return Criterion(f"an interface eth0 in {name}, one end of a veth pair", judge)


def is_plugged(name: str, bridge: str) -> Criterion:
    """The other end of the container's cable is a port of a bridge of node1."""

    def judge(evidence: Evidence) -> Miss | None:
        eth0 = find_eth0(name)(evidence)
        other = evidence.other_end(eth0) if eth0 else None
        if other is None or eth0 is None or eth0.peer is None or eth0.peer.namespace != "host":
            where = eth0.peer.namespace if eth0 and eth0.peer else "nowhere"
            return Miss(
                f"the other end of eth0 is in: {where}",
                "The other end has to stay on node1.",
                "Move it back, or make the cable anew on node1.",
            )
        if other.master != bridge:
            return Miss(
                f"{other.name} is {f'a port of {other.master}' if other.master else 'plugged into nothing'}",
                f"A cable that hangs loose on node1 leads nowhere: plug it into {bridge}.",
                f"`ip link set {other.name} master {bridge}` (or `brctl addif {bridge} {other.name}`)",
            )
        return None

    return Criterion(f"the other end of that cable plugged into {bridge}", judge)


def is_up(name: str) -> Criterion:
    """Both ends of the container's cable are switched on."""

    def judge(evidence: Evidence) -> Miss | None:
        eth0 = find_eth0(name)(evidence)
        other = evidence.other_end(eth0) if eth0 else None
        if other and not other.up:
            return Miss(
                f"{other.name} on node1 is down", "A new interface is switched off: this end is still.", f"`ip link set {other.name} up`"
            )
        if eth0 and not eth0.up:
            return Miss(
                f"eth0 in {name} is down",
                "A new interface is switched off, and one that moves is switched off by the move.",
                "`ip netns exec … ip link set eth0 up`",
            )
        return None

    return Criterion("both ends switched on", judge)


def has_address(find: Find, wanted: str, where: str) -> Criterion:
    """An interface has exactly this address, with its prefix."""
    address = ipaddress.ip_interface(wanted)

    def judge(evidence: Evidence) -> Miss | None:
        interface = find(evidence)
        found = [each for each in interface.addresses if each.version == address.version] if interface else []
        if address in found:
            return None
        if not found:
            return Miss(
                f"no address on {where}", f"Give {where} the address {wanted}.", f"`ip addr add {wanted} dev …`, run where the interface is"
            )
        listed = ", ".join(map(str, found))
        if any(each.ip == address.ip for each in found):
            return Miss(
                listed,
                f"The number after the slash says how much of the world is on this cable: it is /{address.network.prefixlen} here.",
                f"`ip addr del {found[0]} dev …`, then `ip addr add {wanted} dev …`",
            )
        return Miss(
            listed,
            "An address, but another one than the exercise asks for.",
            f"`ip addr del {found[0]} dev …`, then `ip addr add {wanted} dev …`",
        )

    return Criterion(f"the address {wanted} on {where}", judge)


def find_default_routes(evidence: Evidence, name: str) -> list[Route]:
    """The default routes of a running container."""
    container = evidence.container(name)
    return [route for route in evidence.stack(container).routes if route.destination.prefixlen == 0] if container else []


def find_endpoint(evidence: Evidence, name: str, network: str) -> Endpoint | None:
    """A running container's endpoint in a network."""
    container = evidence.container(name)
    return next((each for each in container.endpoints if each.network == network), None) if container else None


def find_networks(evidence: Evidence, name: str) -> set[str]:
    """The names of the networks a running container has endpoints in."""
    container = evidence.container(name)
    return {each.network for each in container.endpoints} if container else set()


def is_in(name: str, *wanted: str) -> Criterion:
    """The container runs, and has endpoints in exactly these networks."""

    def judge(evidence: Evidence) -> Miss | None:
        if evidence.container(name) is None:
            return Miss(
                f"{name} does not run",
                f"{name} has to run: only a running container has endpoints.",
                f"`docker start {name}`, or `docker run -d --name {name} --net={wanted[0]} …` if `docker ps --all` does not know it",
            )
        found = find_networks(evidence, name)
        told = f"{name} is in: {', '.join(sorted(found)) or 'no network'}"
        missing, surplus = sorted(set(wanted) - found), sorted(found - set(wanted))
        if missing:
            return Miss(
                f"{told}; {name} has no endpoint in {missing[0]}",
                f"{name} needs an endpoint in {missing[0]} as well: one sandbox may have several, and gets them while it runs.",
                f"`docker network connect {missing[0]} {name}`",
            )
        if "bridge" in surplus:
            return Miss(
                told,
                f"{name} is still on docker0, where it meets everybody else who is: joining one network does not leave another.",
                f"`docker network disconnect bridge {name}`",
            )
        if surplus:
            return Miss(
                told,
                f"{name} has an endpoint too many: {name} does not belong into {surplus[0]}.",
                f"`docker network disconnect {surplus[0]} {name}`",
            )
        return None

    return Criterion(f"{name} running, in {' and '.join(wanted)} and in no other network", judge)


def find_published(evidence: Evidence, name: str) -> set[tuple[int, int]]:
    """What a running container publishes: pairs of the node's port and its own."""
    container = evidence.container(name)
    return {(each.port, each.target) for each in container.ports} if container else set()


def tell_published(evidence: Evidence, name: str) -> str:
    """The same in words."""
    return ", ".join(f"{port} as its {target}" for port, target in sorted(find_published(evidence, name))) or "nothing"


def has_default_route(name: str, gateway: str) -> Criterion:
    """The container's default route leads to a gateway."""

    def judge(evidence: Evidence) -> Miss | None:
        routes = find_default_routes(evidence, name)
        if any(str(route.gateway) == gateway for route in routes):
            return None
        found = ", ".join(f"default via {route.gateway or 'no gateway, straight on ' + str(route.interface)}" for route in routes)
        if found:
            return Miss(
                found,
                "The way out leads to the wrong place: the gateway is the bridge's own address.",
                f"`ip netns exec … ip route replace default via {gateway}`",
            )
        return Miss(
            "no default route",
            "The container knows its own subnet, and nothing of the rest of the world.",
            f"`ip netns exec … ip route add default via {gateway}`",
        )

    return Criterion(f"a default route in {name} via {gateway}", judge)


def reaches(probe: str, what: str, hint: str, stronger: str) -> Criterion:
    """A probe succeeds."""

    def judge(evidence: Evidence) -> Miss | None:
        return None if evidence.answers(probe) else Miss("no answer", hint, stronger)

    return Criterion(what, judge)
