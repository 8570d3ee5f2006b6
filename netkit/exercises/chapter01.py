"""The exercises of notebook 01: a container wired by hand, in three ways, and one that was wired badly."""

from __future__ import annotations

from netkit.exercises import wiring
from netkit.exercises.model import Criterion, Evidence, Exercise, Miss, Probe

OUTSIDE = "192.168.59.254"


def _ping(container: str, address: str) -> Probe:
    return Probe("node1", f"docker exec {container} ping -c 1 -W 2 {address}")


BY_HAND = Exercise(
    "1.1",
    "a container wired by hand",
    (
        wiring.runs_without_network("hand"),
        wiring.has_cable("hand"),
        wiring.is_plugged("hand", "docker0"),
        wiring.is_up("hand"),
        wiring.has_address(wiring.find_eth0("hand"), "172.17.42.1/16", "eth0 of hand"),
        wiring.has_default_route("hand", "172.17.0.1"),
        wiring.reaches(
            "gateway", "an answer from the gateway 172.17.0.1", "All is wired as it should be; is docker0 up?", "`ip link set docker0 up`"
        ),
        wiring.reaches(
            "outside",
            f"an answer from outside, {OUTSIDE}",
            "The container is wired as it should be: look at what node1 does with its packets.",
            "`iptables -t nat -S POSTROUTING` should have a MASQUERADE for 172.17.0.0/16; `sysctl net.ipv4.ip_forward` should be 1",
        ),
    ),
    {"gateway": _ping("hand", "172.17.0.1"), "outside": _ping("hand", OUTSIDE)},
)


def _has_own_bridge(name: str) -> Criterion:
    def judge(evidence: Evidence) -> Miss | None:
        bridge = evidence.host().interface(name)
        if bridge is None or bridge.kind != "bridge":
            return Miss(
                f"{name} is a {bridge.kind}" if bridge else f"no interface {name} on node1",
                "A bridge is an interface of its own kind.",
                f"`ip link add {name} type bridge` (or `brctl addbr {name}`)",
            )
        if any(network.bridge == name for network in evidence.node("node1").networks):
            return Miss(
                f"{name} is the bridge of a Docker network",
                "Make this one yourself, without Docker.",
                f"`docker network rm …`, then `ip link add {name} type bridge`",
            )
        return None if bridge.up else Miss(f"{name} is down", "A new bridge is switched off.", f"`ip link set {name} up`")

    return Criterion(f"a bridge {name} on node1, made by you, and up", judge)


def _find_bridge(name: str) -> wiring.Find:
    return lambda evidence: evidence.host().interface(name)


def _has_masquerade(subnet: str, bridge: str) -> Criterion:
    def judge(evidence: Evidence) -> Miss | None:
        firewall = evidence.host().firewall
        found = [each for each in firewall.masquerades if str(each.source) == subnet] if firewall else []
        if any(each.not_leaving == bridge or each.leaving == "eth0" for each in found):
            return None
        if found:
            return Miss(
                f"a MASQUERADE for {subnet}, whichever way a packet leaves",
                "It also rewrites what stays on your bridge: say which way out is meant.",
                f"`iptables -t nat -A POSTROUTING -s {subnet} ! -o {bridge} -j MASQUERADE`, and delete the other one",
            )
        others = ", ".join(sorted({str(each.source) for each in firewall.masquerades})) if firewall else ""
        return Miss(
            f"MASQUERADE for: {others or 'nothing'}",
            "Docker's rules are about Docker's subnets. Yours needs one, or nobody outside can answer.",
            f"`iptables -t nat -A POSTROUTING -s {subnet} ! -o {bridge} -j MASQUERADE`",
        )

    return Criterion(f"source NAT for {subnet} when it leaves node1", judge)


OWN_BRIDGE = Exercise(
    "1.2",
    "the same on a bridge of your own",
    (
        wiring.runs_without_network("mine"),
        _has_own_bridge("br-mine"),
        wiring.has_address(_find_bridge("br-mine"), "10.42.0.1/24", "br-mine"),
        wiring.has_cable("mine"),
        wiring.is_plugged("mine", "br-mine"),
        wiring.is_up("mine"),
        wiring.has_address(wiring.find_eth0("mine"), "10.42.0.2/24", "eth0 of mine"),
        wiring.has_default_route("mine", "10.42.0.1"),
        wiring.reaches(
            "gateway",
            "an answer from your bridge, 10.42.0.1",
            "All is wired as it should be; what does node1's INPUT say?",
            "`iptables -S INPUT`",
        ),
        _has_masquerade("10.42.0.0/24", "br-mine"),
        wiring.reaches(
            "outside",
            f"an answer from outside, {OUTSIDE}",
            "NAT changes addresses; whether a packet is forwarded at all is another table's business. What is the policy of FORWARD?",
            "`iptables -A DOCKER-USER -i br-mine -j ACCEPT` and `iptables -A DOCKER-USER -o br-mine -j ACCEPT`, before that chain's RETURN",
        ),
    ),
    {"gateway": _ping("mine", "10.42.0.1"), "outside": _ping("mine", OUTSIDE)},
)

REPAIR = Exercise(
    "1.3",
    "why does it not work?",
    (
        wiring.runs_without_network("lost"),
        wiring.has_cable("lost"),
        wiring.is_plugged("lost", "docker0"),
        wiring.is_up("lost"),
        wiring.has_address(wiring.find_eth0("lost"), "172.17.43.1/16", "eth0 of lost"),
        wiring.has_default_route("lost", "172.17.0.1"),
        wiring.reaches(
            "outside",
            f"an answer from outside, {OUTSIDE}",
            "The wiring is right now. What does node1 do with the packets?",
            "`iptables -t nat -S POSTROUTING`",
        ),
    ),
    {"outside": _ping("lost", OUTSIDE)},
)


def _publishes(name: str, port: int) -> Criterion:
    def judge(evidence: Evidence) -> Miss | None:
        bricked_up = "A door that is bricked up is closed to everybody: the containers have to go on running."
        miss = wiring.judge_running(evidence, name, *[(bricked_up, f"`docker start {name}`, or run it as the stub does")] * 2)
        if miss:
            return miss
        if (port, 80) not in wiring.find_published(evidence, name):
            return Miss(
                f"{name} publishes: {wiring.tell_published(evidence, name)}",
                "The port has to stay published: forbid it to one client only.",
                f"`docker rm -f {name}`, and run it with `-p {port}:80`",
            )
        return None

    return Criterion(f"{name} running, with its port 80 published as {port}", judge)


def _is_shut() -> Criterion:
    def judge(evidence: Evidence) -> Miss | None:
        if not evidence.answers("outside 8080"):
            return None
        rules = evidence.host().firewall.rules if evidence.host().firewall else ()
        dropping = [rule for rule in rules if ("DROP" in rule or "REJECT" in rule) and ("8080" in rule or OUTSIDE in rule)]
        if any("-A INPUT" in rule for rule in dropping):
            return Miss(
                "outside still gets the page on 8080; a rule of yours is in INPUT",
                "INPUT is for packets to node1 itself. After DNAT these are packets to the container: they are forwarded.",
                "The chain for your rules about forwarded packets is DOCKER-USER.",
            )
        if any("-A DOCKER-USER" in rule and "--dport 8080" in rule for rule in dropping):
            return Miss(
                "outside still gets the page on 8080; your rule asks for the port 8080",
                "When FORWARD is asked, DNAT has been there already: the packet is for port 80 by now.",
                "conntrack knows the port the client asked for: `-m conntrack --ctorigdstport 8080`",
            )
        return Miss(
            "outside still gets the page on 8080",
            "Packets to a published port are forwarded packets: which chain before Docker's own is yours?",
            f"`iptables -I DOCKER-USER -s {OUTSIDE} -p tcp -m conntrack --ctorigdstport 8080 -j DROP`",
        )

    return Criterion("no answer for outside on port 8080 of node1", judge)


ONE_DOOR = Exercise(
    "1.4",
    "one door shut, for one visitor",
    (
        _publishes("web", 8080),
        _publishes("shop", 8081),
        _is_shut(),
        wiring.reaches(
            "outside 8081",
            "an answer for outside on port 8081 of node1",
            "Your rule shuts out more than the one port: both containers listen on port 80, and both clients are outside.",
            "Say which port the client asked for: `-m conntrack --ctorigdstport 8080`",
        ),
        wiring.reaches(
            "node1 8080",
            "an answer for node1 itself on its port 8080",
            "The door is shut for everybody now: say for whom it is meant.",
            f"`-s {OUTSIDE}` in the rule",
        ),
    ),
    {
        "outside 8080": Probe("outside", "curl -s --max-time 2 http://192.168.59.1:8080/"),
        "outside 8081": Probe("outside", "curl -s --max-time 2 http://192.168.59.1:8081/"),
        "node1 8080": Probe("node1", "curl -s --max-time 2 http://192.168.59.1:8080/"),
    },
)

EXERCISES = (BY_HAND, OWN_BRIDGE, REPAIR, ONE_DOOR)
