"""The exercises of notebook 01: a container wired by hand, in three ways, and one that was wired badly."""

from __future__ import annotations

from netkit.exercises import criteria
from netkit.exercises.criteria import ADDRESSES, OUTSIDE, ping, reaches
from netkit.exercises.judging import Criterion, Evidence, Miss, Probe, criterion, exercise


@criterion("the other end of that cable plugged into {bridge}")
def _is_plugged(seen: Evidence, name: str, bridge: str) -> None:
    eth0 = seen.eth0(name)
    where = eth0.peer.namespace if eth0 and eth0.peer else "nowhere"
    other = seen.other_end(eth0)
    if other is None or where != "host":
        hint = "The other end has to stay on node1."
        raise Miss(f"the other end of eth0 is in: {where}", hint, "Move it back, or make the cable anew on node1.")
    if other.master != bridge:
        told = f"{other.name} is {f'a port of {other.master}' if other.master else 'plugged into nothing'}"
        hint = f"A cable that hangs loose on node1 leads nowhere: plug it into {bridge}."
        raise Miss(told, hint, f"`ip link set {other.name} master {bridge}` (or `brctl addif {bridge} {other.name}`)")


@criterion("both ends switched on")
def _is_up(seen: Evidence, name: str) -> None:
    eth0 = seen.eth0(name)
    other = seen.other_end(eth0)
    if other and not other.up:
        hint = "A new interface is switched off: this end is still."
        raise Miss(f"{other.name} on node1 is down", hint, f"`ip link set {other.name} up`")
    if eth0 and not eth0.up:
        hint = "A new interface is switched off, and one that moves is switched off by the move."
        raise Miss(f"eth0 in {name} is down", hint, "`ip netns exec … ip link set eth0 up`")


@criterion("a default route in {name} via {gateway}")
def _has_default_route(seen: Evidence, name: str, gateway: str) -> None:
    routes = seen.default_routes(name)
    if any(str(route.gateway) == gateway for route in routes):
        return
    if routes:
        told = ", ".join(f"default via {route.gateway or f'no gateway, straight on {route.interface}'}" for route in routes)
        hint = "The way out leads to the wrong place: the gateway is the bridge's own address."
        raise Miss(told, hint, f"`ip netns exec … ip route replace default via {gateway}`")
    hint = "The container knows its own subnet, and nothing of the rest of the world."
    raise Miss("no default route", hint, f"`ip netns exec … ip route add default via {gateway}`")


def _is_wired(name: str, bridge: str, address: str, gateway: str) -> tuple[Criterion, ...]:
    """A container's cable into a bridge, with an address and a way out."""
    return (
        criteria.has_cable(name),
        _is_plugged(name, bridge),
        _is_up(name),
        criteria.has_address(f"eth0 of {name}", address, lambda seen: seen.eth0(name)),
        _has_default_route(name, gateway),
    )


def _reaches_outside(name: str, hint: str, stronger: str) -> Criterion:
    return reaches(ping(name, OUTSIDE), f"an answer from outside, {OUTSIDE}", hint, stronger)


BY_HAND = exercise(
    "1.1",
    "a container wired by hand",
    criteria.runs_without_network("hand"),
    *_is_wired("hand", "docker0", "172.17.42.1/16", "172.17.0.1"),
    reaches(
        ping("hand", "172.17.0.1"),
        "an answer from the gateway 172.17.0.1",
        "All is wired as it should be; is docker0 up?",
        "`ip link set docker0 up`",
    ),
    _reaches_outside(
        "hand",
        "The container is wired as it should be: look at what node1 does with its packets.",
        "`iptables -t nat -S POSTROUTING` should have a MASQUERADE for 172.17.0.0/16; `sysctl net.ipv4.ip_forward` should be 1",
    ),
)


@criterion("a bridge {name} on node1, made by you, and up")
def _has_own_bridge(seen: Evidence, name: str) -> None:
    bridge = seen.host().interface(name)
    if bridge is None or bridge.kind != "bridge":
        told = f"{name} is a {bridge.kind}" if bridge else f"no interface {name} on node1"
        hint = "A bridge is an interface of its own kind."
        raise Miss(told, hint, f"`ip link add {name} type bridge` (or `brctl addbr {name}`)")
    if any(network.bridge == name for network in seen.node().networks):
        hint = "Make this one yourself, without Docker."
        raise Miss(f"{name} is the bridge of a Docker network", hint, f"`docker network rm …`, then `ip link add {name} type bridge`")
    if not bridge.up:
        raise Miss(f"{name} is down", "A new bridge is switched off.", f"`ip link set {name} up`")


@criterion("source NAT for {subnet} when it leaves node1")
def _has_masquerade(seen: Evidence, subnet: str, bridge: str) -> None:
    masquerades = seen.firewall().masquerades
    found = [each for each in masquerades if str(each.source) == subnet]
    rule = f"`iptables -t nat -A POSTROUTING -s {subnet} ! -o {bridge} -j MASQUERADE`"
    if any(each.not_leaving == bridge or each.leaving == "eth0" for each in found):
        return
    if found:
        hint = "It also rewrites what stays on your bridge: say which way out is meant."
        raise Miss(f"a MASQUERADE for {subnet}, whichever way a packet leaves", hint, f"{rule}, and delete the other one")
    others = ", ".join(sorted({str(each.source) for each in masquerades})) or "nothing"
    hint = "Docker's rules are about Docker's subnets. Yours needs one, or nobody outside can answer."
    raise Miss(f"MASQUERADE for: {others}", hint, rule)


OWN_BRIDGE = exercise(
    "1.2",
    "the same on a bridge of your own",
    criteria.runs_without_network("mine"),
    _has_own_bridge("br-mine"),
    criteria.has_address("br-mine", "10.42.0.1/24", lambda seen: seen.host().interface("br-mine")),
    *_is_wired("mine", "br-mine", "10.42.0.2/24", "10.42.0.1"),
    reaches(
        ping("mine", "10.42.0.1"),
        "an answer from your bridge, 10.42.0.1",
        "All is wired as it should be; what does node1's INPUT say?",
        "`iptables -S INPUT`",
    ),
    _has_masquerade("10.42.0.0/24", "br-mine"),
    _reaches_outside(
        "mine",
        "NAT changes addresses; whether a packet is forwarded at all is another table's business. What is the policy of FORWARD?",
        "`iptables -A DOCKER-USER -i br-mine -j ACCEPT` and `iptables -A DOCKER-USER -o br-mine -j ACCEPT`, before that chain's RETURN",
    ),
)

REPAIR = exercise(
    "1.3",
    "why does it not work?",
    criteria.runs_without_network("lost"),
    *_is_wired("lost", "docker0", "172.17.43.1/16", "172.17.0.1"),
    _reaches_outside("lost", "The wiring is right now. What does node1 do with the packets?", "`iptables -t nat -S POSTROUTING`"),
)


def _page(host: str, port: int) -> Probe:
    return Probe(host, f"curl -s --max-time 2 http://{ADDRESSES['node1']}:{port}/")


@criterion("{name} running, with its port 80 published as {port}")
def _publishes(seen: Evidence, name: str, port: int) -> None:
    bricked_up = "A door that is bricked up is closed to everybody: the containers have to go on running."
    hints = bricked_up, f"`docker start {name}`, or run it as the stub does"
    criteria.find_running(seen, name, missing=hints, stopped=hints)
    if (port, 80) not in seen.published(name):
        hint = "The port has to stay published: forbid it to one client only."
        raise Miss(criteria.tell_published(seen, name), hint, f"`docker rm -f {name}`, and run it with `-p {port}:80`")


@criterion("no answer for outside on port 8080 of node1")
def _is_shut(seen: Evidence) -> None:
    if not seen.answers(_page("outside", 8080)):
        return
    dropping = [rule for rule in seen.firewall().rules if "DROP" in rule or "REJECT" in rule]
    rules = [rule for rule in dropping if "8080" in rule or OUTSIDE in rule]
    told = "outside still gets the page on 8080"
    if any("-A INPUT" in rule for rule in rules):
        hint = "INPUT is for packets to node1 itself. After DNAT these are packets to the container: they are forwarded."
        raise Miss(f"{told}; a rule of yours is in INPUT", hint, "The chain for your rules about forwarded packets is DOCKER-USER.")
    if any("-A DOCKER-USER" in rule and "--dport 8080" in rule for rule in rules):
        told = f"{told}; your rule asks for the port 8080"
        hint = "When FORWARD is asked, DNAT has been there already: the packet is for port 80 by now."
        raise Miss(told, hint, "conntrack knows the port the client asked for: `-m conntrack --ctorigdstport 8080`")
    hint = "Packets to a published port are forwarded packets: which chain before Docker's own is yours?"
    raise Miss(told, hint, f"`iptables -I DOCKER-USER -s {OUTSIDE} -p tcp -m conntrack --ctorigdstport 8080 -j DROP`")


ONE_DOOR = exercise(
    "1.4",
    "one door shut, for one visitor",
    _publishes("web", 8080),
    _publishes("shop", 8081),
    _is_shut(),
    reaches(
        _page("outside", 8081),
        "an answer for outside on port 8081 of node1",
        "Your rule shuts out more than the one port: both containers listen on port 80, and both clients are outside.",
        "Say which port the client asked for: `-m conntrack --ctorigdstport 8080`",
    ),
    reaches(
        _page("node1", 8080),
        "an answer for node1 itself on its port 8080",
        "The door is shut for everybody now: say for whom it is meant.",
        f"`-s {OUTSIDE}` in the rule",
    ),
)

EXERCISES = (BY_HAND, OWN_BRIDGE, REPAIR, ONE_DOOR)
