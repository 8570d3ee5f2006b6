"""Criteria and probes that exercises of several chapters share: cables, addresses, networks, published ports, who reaches whom."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from netkit.exercises.judging import Evidence, Miss, Probe, criterion
from netkit.network.model import Container, Interface

OUTSIDE = "192.168.59.254"
ADDRESSES = {"node1": "192.168.59.1", "node2": "192.168.59.2"}
PREDEFINED = ("bridge", "host", "none")
Hints = tuple[str, str]
"""A hint, and a stronger one."""


def ping(container: str, target: str, wait: int = 2) -> Probe:
    """A container of node1 pings a name or an address, and waits for an answer, in seconds."""
    return Probe("node1", f"docker exec {container} ping -c 1 -W {wait} {target}")


@criterion("{expected}")
def reaches(seen: Evidence, probe: Probe, expected: str, hint: str, stronger: str, page: str = "") -> None:
    """A probe succeeds, and its reply is the right page."""
    reply = seen.ask(probe)
    if reply.status != 0 or page not in reply.stdout:
        raise Miss("no answer" if reply.status else f"the answer {reply.stdout.strip()[:40]!r}", hint, stronger)


@criterion("{expected}")
def is_refused(seen: Evidence, probe: Probe, expected: str, found: str, hint: str, stronger: str) -> None:
    """A probe fails, as it should."""
    if seen.answers(probe):
        raise Miss(found, hint, stronger)


def find_running(seen: Evidence, name: str, missing: Hints, stopped: Hints) -> Container:
    """The container of this name on node1; raises Miss with the hints for one that is not there, or does not run."""
    known = seen.node().container(name)
    if known is None:
        others = ", ".join(each.name for each in seen.node().containers) or "none"
        raise Miss(f"no container {name} on node1 (there: {others})", *missing)
    if not known.sandbox:
        raise Miss(f"{name} is {known.state}", *stopped)
    return known


@criterion("a container {name} that runs, with `--net=none`")
def runs_without_network(seen: Evidence, name: str) -> None:
    """A container of this name runs, and Docker has given it no network."""
    known = find_running(
        seen,
        name,
        missing=(f"Start it first, with `--name {name}`.", f"`docker run -itd --net=none --name {name} busybox sh`"),
        stopped=("A container keeps its network only while it runs.", f"`docker start {name}`, then wire it again."),
    )
    if known.mode != "none":
        hint = "Docker has wired this one already: the point is that you do."
        raise Miss(f"{name} has the network mode {known.mode}", hint, f"`docker rm -f {name}`, and start it with `--net=none`.")


@criterion("an interface eth0 in {name}, one end of a veth pair")
def has_cable(seen: Evidence, name: str) -> None:
    """The container has an eth0, one end of a veth pair."""
    interfaces, eth0 = seen.inside(name).interfaces, seen.eth0(name)
    if eth0 and eth0.kind != "veth":
        raise Miss(f"eth0 is a {eth0.kind}", "A cable between two namespaces is a veth pair.", "`ip link add A type veth peer name B`")
    if eth0:
        return
    names = [each.name for each in interfaces]
    if any(each.kind == "veth" for each in interfaces):
        raise Miss(
            f"interfaces in {name}: {', '.join(names)}",
            "The end of the cable is in the container, but not under the name eth0.",
            f"`ip netns exec … ip link set {names[0] if names[0] != 'lo' else names[-1]} name eth0`, before you switch it on",
        )
    loose = [each.name for each in seen.host().interfaces if each.kind == "veth" and each.name != "eth0" and not each.master]
    if loose:
        told = f"interfaces in {name}: {', '.join(names)}; on node1: {', '.join(loose)}"
        hint = "There is a cable, but both its ends are still on node1: one belongs into the container's network namespace."
        raise Miss(told, hint, f"`ip link set {loose[-1]} netns PID`, PID being `docker inspect -f '{{{{.State.Pid}}}}' {name}`")
    told = f"interfaces in {name}: {', '.join(names) or 'none'}"
    hint = "Make a cable, and move one of its ends into the container's network namespace."
    raise Miss(told, hint, "`ip link add A type veth peer name B`, then `ip link set B netns PID`, then name it eth0")


@criterion("the address {wanted} on {where}")
def has_address(seen: Evidence, where: str, wanted: str, find: Callable[[Evidence], Interface | None]) -> None:
    """An interface has exactly this address, with its prefix."""
    address, interface = ipaddress.ip_interface(wanted), find(seen)
    found = [each for each in interface.addresses if each.version == address.version] if interface else []
    if address in found:
        return
    if not found:
        hint = f"Give {where} the address {wanted}."
        raise Miss(f"no address on {where}", hint, f"`ip addr add {wanted} dev …`, run where the interface is")
    hint = "An address, but another one than the exercise asks for."
    if any(each.ip == address.ip for each in found):
        hint = f"The number after the slash says how much of the world is on this cable: it is /{address.network.prefixlen} here."
    raise Miss(", ".join(map(str, found)), hint, f"`ip addr del {found[0]} dev …`, then `ip addr add {wanted} dev …`")


@criterion("a network {name}, of the driver {driver}")
def has_network(seen: Evidence, name: str, driver: str = "bridge") -> None:
    """node1 has a network of this name and driver."""
    network = seen.node().network(name)
    create = f"`docker network create {'-d macvlan -o parent=eth0 ' if driver == 'macvlan' else ''}{name}`"
    if network is None:
        others = ", ".join(each.name for each in seen.node().networks if each.name not in PREDEFINED) or "none"
        hint = "Make it first: a network is there before its containers."
        raise Miss(f"no network {name} (your own: {others})", hint, f"{create}, with the options the exercise asks for")
    if network.driver != driver:
        told = f"{name} is a network of the driver {network.driver}"
        hint = f"A network keeps the driver it was made with: this one has to be {driver}."
        raise Miss(told, hint, f"Remove its containers and `docker network rm {name}`, then {create} with the other options")


@criterion("{name} running, in {wanted} and in no other network")
def is_in(seen: Evidence, name: str, *wanted: str) -> None:
    """The container runs, and has endpoints in exactly these networks."""
    if seen.container(name) is None:
        stronger = f"`docker start {name}`, or `docker run -d --name {name} --net={wanted[0]} …` if `docker ps --all` does not know it"
        raise Miss(f"{name} does not run", f"{name} has to run: only a running container has endpoints.", stronger)
    found = seen.endpoints(name).keys()
    told = f"{name} is in: {', '.join(sorted(found)) or 'no network'}"
    missing, surplus = sorted(set(wanted) - found), sorted(found - set(wanted))
    if missing:
        hint = f"{name} needs an endpoint in {missing[0]} as well: one sandbox may have several, and gets them while it runs."
        raise Miss(f"{told}; {name} has no endpoint in {missing[0]}", hint, f"`docker network connect {missing[0]} {name}`")
    if "bridge" in surplus:
        hint = f"{name} is still on docker0, where it meets everybody else who is: joining one network does not leave another."
        raise Miss(told, hint, f"`docker network disconnect bridge {name}`")
    if surplus:
        hint = f"{name} has an endpoint too many: {name} does not belong into {surplus[0]}."
        raise Miss(told, hint, f"`docker network disconnect {surplus[0]} {name}`")


def tell_published(seen: Evidence, name: str) -> str:
    """What a running container publishes, in words."""
    return f"{name} publishes: " + (", ".join(f"{port} as its {target}" for port, target in sorted(seen.published(name))) or "nothing")
