"""The exercises of notebook 03: a pod, a door left open by host mode, a cable without a bridge, and ports that clash."""

from __future__ import annotations

from netkit.exercises import judges_03 as judges
from netkit.exercises import wiring
from netkit.exercises.model import Criterion, Evidence, Exercise, Miss, Probe

NODE1 = "192.168.59.1"


POD = Exercise(
    "3.1",
    "a pod by hand",
    (
        judges.runs("pod", "The pod's stack needs an owner that does nothing else."),
        judges.runs("page", "The page is the pod's work."),
        judges.runs("sidecar", "The pod has a second member."),
        judges.joins("page", "pod"),
        judges.joins("sidecar", "pod"),
        judges.owns("pod", (8081, 80)),
        judges.says(
            "localhost",
            "a page",
            "the page, for the sidecar on its localhost",
            judges.because(
                "They share a stack, but on port 80 of it nobody serves the page.",
                "`docker exec sidecar ss -ltn`: `httpd -f -h /tmp` listens on port 80",
            ),
        ),
        judges.says(
            "outside",
            "a page",
            "the page, for outside on port 8081",
            judges.because("All is where it should be; do node1's rules let it through?", "`iptables -S DOCKER-USER`"),
        ),
    ),
    {"localhost": judges.asks_for("node1", "127.0.0.1", "docker exec sidecar"), "outside": judges.asks_for("outside", f"{NODE1}:8081")},
)


def _is_shut(probe: str, who: str) -> Criterion:
    def judge(evidence: Evidence) -> Miss | None:
        if not evidence.answers(probe):
            return None
        firewall = evidence.host().firewall
        rules = [rule for rule in firewall.rules if "DROP" in rule or "REJECT" in rule] if firewall else []
        if any("-A DOCKER-USER" in rule or "-A FORWARD" in rule for rule in rules):
            return Miss(
                f"{who} gets the page; a rule of yours is where packets are forwarded",
                "Nothing is forwarded here: in host mode the server is a process of node1, and packets for node1 itself go through INPUT.",
                "`iptables -I INPUT -p tcp --dport 9000 ! -i lo -j DROP`",
            )
        if any("-A INPUT" in rule and "-s " in rule for rule in rules):
            return Miss(
                f"{who} still gets the page; your rule is about one source",
                "A rule that names one visitor leaves the door open for all others on the LAN.",
                "Say by which way it may come, not from whom: `! -i lo`",
            )
        return Miss(
            f"{who} gets the page on port 9000",
            "The server listens on all addresses of node1, the LAN's among them. Which one would be enough?",
            "`httpd -f -p 127.0.0.1:9000 -h /tmp`",
        )

    return Criterion(f"no answer for {who} on port 9000 of node1", judge)


NO_RISK = Exercise(
    "3.2",
    "host mode without the risk",
    (
        judges.runs("debug", "A server that is ended is safe, and of no use."),
        judges.is_host_mode("debug"),
        judges.is_host_mode("status"),
        _is_shut("outside 9000", "outside"),
        _is_shut("node2 9000", "node2"),
        judges.says(
            "node1 9000",
            "secrets",
            "the page on 127.0.0.1:9000, for node1 itself",
            judges.because(
                "Now it is shut for node1, too. Its own packets to itself also go through INPUT, coming in by `lo`.",
                "`! -i lo` in the rule, or let the server listen on 127.0.0.1:9000 and take the rule away",
            ),
        ),
        judges.says(
            "outside 9001",
            "all is well",
            "the page of status, for outside on port 9001",
            judges.because("More is shut than the one port: status is for everybody.", "Name the port in your rule: `-p tcp --dport 9000`"),
        ),
    ),
    {
        "outside 9000": judges.asks_for("outside", f"{NODE1}:9000"),
        "node2 9000": judges.asks_for("node2", f"{NODE1}:9000"),
        "node1 9000": judges.asks_for("node1", "127.0.0.1:9000"),
        "outside 9001": judges.asks_for("outside", f"{NODE1}:9001"),
    },
)


def _leads_to(name: str, other: str) -> Criterion:
    def judge(evidence: Evidence) -> Miss | None:
        eth0, container = wiring.find_eth0(name)(evidence), evidence.container(other)
        wanted = container.sandbox.namespace if container and container.sandbox else ""
        if eth0 and eth0.peer and eth0.peer.namespace == wanted and eth0.peer.interface == "eth0":
            return None
        if eth0 and eth0.peer and eth0.peer.namespace == wanted:
            return Miss(
                f"the end in {other} is called {eth0.peer.interface}", "Both ends are eth0.", f"`ip -n {other} link set … name eth0`"
            )
        end = evidence.other_end(eth0) if eth0 else None
        if end and end.master:
            return Miss(
                f"the other end of eth0 is plugged into {end.master}",
                "No bridge: a veth pair has two ends, and here are two containers.",
                f"Delete it, and `ip link add name eth0 netns {name} type veth peer name eth0 netns {other}`",
            )
        return Miss(
            f"the other end of eth0 is in: {eth0.peer.namespace if eth0 and eth0.peer else 'nowhere'}",
            f"The other end belongs into {other}.",
            f"`ip link set … netns {other}`, and name it eth0 there",
        )

    return Criterion(f"the other end of that cable in {other}, as eth0", judge)


def _both_up(*names: str) -> Criterion:
    def judge(evidence: Evidence) -> Miss | None:
        for name in names:
            eth0 = wiring.find_eth0(name)(evidence)
            if eth0 and not eth0.up:
                return Miss(
                    f"eth0 in {name} is down", "A new interface is switched off, at either end.", f"`ip -n {name} link set eth0 up`"
                )
        return None

    return Criterion("both ends switched on", judge)


def _nobody_else(*names: str) -> Criterion:
    def judge(evidence: Evidence) -> Miss | None:
        for name in names:
            container = evidence.container(name)
            stack = evidence.stack(container) if container else None
            more = sorted(each.name for each in stack.interfaces if each.kind not in ("loopback", "sit", "ipip", "gre")) if stack else []
            if stack and any(route.destination.version == 4 and route.gateway for route in stack.routes):
                return Miss(
                    f"{name} has a route by way of a gateway",
                    "The other one is on the same cable, and there is nobody behind it: no gateway is needed.",
                    f"`ip -n {name} route delete default`",
                )
            if more != ["eth0"]:
                return Miss(f"interfaces in {name}: {', '.join(more)}", "One cable, and nothing else.", f"`ip -n {name} link delete …`")
        return None

    return Criterion("no other way out of either", judge)


CABLE = Exercise(
    "3.3",
    "two stacks, one cable",
    (
        wiring.runs_without_network("alpha"),
        wiring.runs_without_network("beta"),
        wiring.has_cable("alpha"),
        _leads_to("alpha", "beta"),
        _both_up("alpha", "beta"),
        wiring.has_address(wiring.find_eth0("alpha"), "10.5.5.1/30", "eth0 of alpha"),
        wiring.has_address(wiring.find_eth0("beta"), "10.5.5.2/30", "eth0 of beta"),
        _nobody_else("alpha", "beta"),
        wiring.reaches(
            "alpha to beta",
            "an answer from beta, 10.5.5.2, for alpha",
            "The wiring is right: is there a rule or a strange route in one of them?",
            "`ip -n alpha route`, and `ip netns exec alpha iptables -S`; the same for beta",
        ),
    ),
    {"alpha to beta": Probe("node1", "docker exec alpha ping -c 1 -W 2 10.5.5.2")},
)


def _why_no_ads(evidence: Evidence) -> Miss:
    return Miss(
        "",
        "The pod publishes 8092 as its port 81: on which port does ads listen?",
        "`docker rm -f ads`, and run it anew with `httpd -f -p 81 -h /tmp`",
    )


def _why_no_stats(evidence: Evidence) -> Miss:
    return Miss(
        "",
        "In host mode nothing is mapped, and `-p` is discarded: the server itself has to use the port that is wanted.",
        "`docker rm -f stats`, and run it anew, without `-p`, with `httpd -f -p 8093 -h /tmp`",
    )


CLASH = Exercise(
    "3.4",
    "why does this not work?",
    (
        judges.runs("shop", "It owns the stack of the pod."),
        judges.owns("shop", (8091, 80), (8092, 81)),
        judges.runs("cart", "It serves one of the pages."),
        judges.joins("cart", "shop"),
        judges.runs("ads", "It serves one of the pages."),
        judges.joins("ads", "shop"),
        judges.says(
            "cart",
            "cart",
            "the page of cart on port 8091",
            judges.because("cart has the pod's port 80.", "Make cart anew as the stub does."),
        ),
        judges.says("ads", "ads", "the page of ads on port 8092", _why_no_ads),
        judges.runs("stats", "It serves one of the pages."),
        judges.is_host_mode("stats"),
        judges.says("stats", "stats", "the page of stats on port 8093", _why_no_stats),
    ),
    {name: judges.asks_for("outside", f"{NODE1}:{port}") for name, port in (("cart", 8091), ("ads", 8092), ("stats", 8093))},
)

EXERCISES = (POD, NO_RISK, CABLE, CLASH)
