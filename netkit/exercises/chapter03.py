"""The exercises of notebook 03: a pod, a door left open by host mode, a cable without a bridge, and ports that clash."""

from __future__ import annotations

from netkit.exercises import criteria
from netkit.exercises.criteria import ADDRESSES, ping, reaches
from netkit.exercises.judging import Criterion, Evidence, Miss, Probe, criterion, exercise

NODE1 = ADDRESSES["node1"]


def _page(host: str, address: str, inside: str = "") -> Probe:
    """Ask for a page, three times if need be, for a server that has just been started; the reply is what it says."""
    return Probe(host, f"for i in 1 2 3; do {inside}curl -s --max-time 1 http://{address}/ && exit; sleep 0.2; done; exit 1")


@criterion("a container {name} that runs")
def _runs(seen: Evidence, name: str, why: str) -> None:
    missing = f"{why} Start it with `--name {name}`.", f"`docker run -d --name {name} …`"
    stopped = f"{why} It has ended: ask `docker logs {name}` why.", f"`docker rm -f {name}`, and run it anew"
    criteria.find_running(seen, name, missing, stopped)


@criterion("{name} in the network stack of {owner}")
def _joins(seen: Evidence, name: str, owner: str) -> None:
    """Of two that run: one was told to share the other's network namespace, and still does."""
    guest, host = seen.container(name), seen.container(owner)
    anew = f"`docker rm -f {name}`, and run it with `--net=container:{owner}`"
    if host.mode == f"container:{name}":
        raise Miss(f"{owner} is a guest of {name}", "It is the other way round: who works is the guest, who does nothing owns.", anew)
    if guest.sandbox.namespace == host.sandbox.namespace:
        return
    if guest.mode.startswith("container:"):
        whose = guest.mode.partition(":")[2]
        told = f"{name} is in a network namespace that is not {owner}'s (it was told to join {whose[:12]})"
        hint = f"{name} was left behind in an old stack: the owner of the stack has been started anew, or made anew, after it."
        raise Miss(told, hint, f"`docker restart -t 0 {name}`; if {owner} was made anew, {anew}")
    raise Miss(f"{name} has the mode {guest.mode}", f"It has a stack of its own, instead of a place in that of {owner}.", anew)


@criterion(lambda name, *ports: f"{name} publishing {', '.join(f'{port} as its port {target}' for port, target in ports)}")
def _owns(seen: Evidence, name: str, *ports: tuple[int, int]) -> None:
    """A container that runs has a network namespace of its own on docker0, and publishes these ports of it."""
    mode = seen.container(name).mode
    anew = f"`docker run -d --name {name} {' '.join(f'-p {port}:{target}' for port, target in ports)} busybox sleep infinity`"
    if mode != "bridge":
        raise Miss(f"{name} has the mode {mode}", "The owner of a stack is in bridge mode, and the others join it.", anew)
    if not set(ports) <= seen.published(name):
        hint = "Ports belong to the stack, so it is the stack's owner that publishes them, and it has to be told when it is made."
        raise Miss(criteria.tell_published(seen, name), hint, f"`docker rm -f` all of the pod, then {anew}, then the others again")


@criterion("{name} in host mode")
def _is_host_mode(seen: Evidence, name: str) -> None:
    container = seen.container(name)
    mode = container.mode if container else "none"
    if mode != "host":
        hint = f"{name} has to stay in host mode: it needs what node1's own network namespace has."
        raise Miss(f"{name} has the mode {mode}", hint, f"`docker rm -f {name}`, and run it with `--net=host`")


POD = exercise(
    "3.1",
    "a pod by hand",
    _runs("pod", "The pod's stack needs an owner that does nothing else."),
    _runs("page", "The page is the pod's work."),
    _runs("sidecar", "The pod has a second member."),
    _joins("page", "pod"),
    _joins("sidecar", "pod"),
    _owns("pod", (8081, 80)),
    reaches(
        _page("node1", "127.0.0.1", "docker exec sidecar "),
        "the page, for the sidecar on its localhost",
        "They share a stack, but on port 80 of it nobody serves the page.",
        "`docker exec sidecar ss -ltn`: `httpd -f -h /tmp` listens on port 80",
        page="a page",
    ),
    reaches(
        _page("outside", f"{NODE1}:8081"),
        "the page, for outside on port 8081",
        "All is where it should be; do node1's rules let it through?",
        "`iptables -S DOCKER-USER`",
        page="a page",
    ),
)


@criterion("no answer for {who} on port 9000 of node1")
def _is_shut(seen: Evidence, who: str) -> None:
    if not seen.answers(_page(who, f"{NODE1}:9000")):
        return
    rules = [rule for rule in seen.firewall().rules if "DROP" in rule or "REJECT" in rule]
    if any("-A DOCKER-USER" in rule or "-A FORWARD" in rule for rule in rules):
        told = f"{who} gets the page; a rule of yours is where packets are forwarded"
        hint = "Nothing is forwarded here: in host mode the server is a process of node1, and packets for node1 itself go through INPUT."
        raise Miss(told, hint, "`iptables -I INPUT -p tcp --dport 9000 ! -i lo -j DROP`")
    if any("-A INPUT" in rule and "-s " in rule for rule in rules):
        told = f"{who} still gets the page; your rule is about one source"
        hint = "A rule that names one visitor leaves the door open for all others on the LAN."
        raise Miss(told, hint, "Say by which way it may come, not from whom: `! -i lo`")
    hint = "The server listens on all addresses of node1, the LAN's among them. Which one would be enough?"
    raise Miss(f"{who} gets the page on port 9000", hint, "`httpd -f -p 127.0.0.1:9000 -h /tmp`")


NO_RISK = exercise(
    "3.2",
    "host mode without the risk",
    _runs("debug", "A server that is ended is safe, and of no use."),
    _is_host_mode("debug"),
    _is_host_mode("status"),
    _is_shut("outside"),
    _is_shut("node2"),
    reaches(
        _page("node1", "127.0.0.1:9000"),
        "the page on 127.0.0.1:9000, for node1 itself",
        "Now it is shut for node1, too. Its own packets to itself also go through INPUT, coming in by `lo`.",
        "`! -i lo` in the rule, or let the server listen on 127.0.0.1:9000 and take the rule away",
        page="secrets",
    ),
    reaches(
        _page("outside", f"{NODE1}:9001"),
        "the page of status, for outside on port 9001",
        "More is shut than the one port: status is for everybody.",
        "Name the port in your rule: `-p tcp --dport 9000`",
        page="all is well",
    ),
)


@criterion("the other end of that cable in {other}, as eth0")
def _leads_to(seen: Evidence, name: str, other: str) -> None:
    eth0, container = seen.eth0(name), seen.container(other)
    peer = eth0.peer if eth0 else None
    if peer and container and peer.namespace == container.sandbox.namespace:
        if peer.interface != "eth0":
            raise Miss(f"the end in {other} is called {peer.interface}", "Both ends are eth0.", f"`ip -n {other} link set … name eth0`")
        return
    end = seen.other_end(eth0)
    if end and end.master:
        told = f"the other end of eth0 is plugged into {end.master}"
        hint = "No bridge: a veth pair has two ends, and here are two containers."
        raise Miss(told, hint, f"Delete it, and `ip link add name eth0 netns {name} type veth peer name eth0 netns {other}`")
    told = f"the other end of eth0 is in: {peer.namespace if peer else 'nowhere'}"
    hint = f"The other end belongs into {other}."
    raise Miss(told, hint, f"`ip link set … netns {other}`, and name it eth0 there")


@criterion("both ends switched on")
def _both_up(seen: Evidence, *names: str) -> None:
    for name in names:
        eth0 = seen.eth0(name)
        if eth0 and not eth0.up:
            raise Miss(f"eth0 in {name} is down", "A new interface is switched off, at either end.", f"`ip -n {name} link set eth0 up`")


@criterion("no other way out of either")
def _nobody_else(seen: Evidence, *names: str) -> None:
    for name in names:
        inside = seen.inside(name)
        more = [each.name for each in inside.interfaces if each.kind not in ("loopback", "sit", "ipip", "gre")]
        if any(route.destination.version == 4 and route.gateway for route in inside.routes):
            hint = "The other one is on the same cable, and there is nobody behind it: no gateway is needed."
            raise Miss(f"{name} has a route by way of a gateway", hint, f"`ip -n {name} route delete default`")
        if more != ["eth0"]:
            raise Miss(f"interfaces in {name}: {', '.join(more)}", "One cable, and nothing else.", f"`ip -n {name} link delete …`")


CABLE = exercise(
    "3.3",
    "two stacks, one cable",
    criteria.runs_without_network("alpha"),
    criteria.runs_without_network("beta"),
    criteria.has_cable("alpha"),
    _leads_to("alpha", "beta"),
    _both_up("alpha", "beta"),
    criteria.has_address("eth0 of alpha", "10.5.5.1/30", lambda seen: seen.eth0("alpha")),
    criteria.has_address("eth0 of beta", "10.5.5.2/30", lambda seen: seen.eth0("beta")),
    _nobody_else("alpha", "beta"),
    reaches(
        ping("alpha", "10.5.5.2"),
        "an answer from beta, 10.5.5.2, for alpha",
        "The wiring is right: is there a rule or a strange route in one of them?",
        "`ip -n alpha route`, and `ip netns exec alpha iptables -S`; the same for beta",
    ),
)


def _serves(name: str, port: int, hint: str, stronger: str) -> Criterion:
    return reaches(_page("outside", f"{NODE1}:{port}"), f"the page of {name} on port {port}", hint, stronger, page=name)


CLASH = exercise(
    "3.4",
    "why does this not work?",
    _runs("shop", "It owns the stack of the pod."),
    _owns("shop", (8091, 80), (8092, 81)),
    _runs("cart", "It serves one of the pages."),
    _joins("cart", "shop"),
    _runs("ads", "It serves one of the pages."),
    _joins("ads", "shop"),
    _serves("cart", 8091, "cart has the pod's port 80.", "Make cart anew as the stub does."),
    _serves(
        "ads",
        8092,
        "The pod publishes 8092 as its port 81: on which port does ads listen?",
        "`docker rm -f ads`, and run it anew with `httpd -f -p 81 -h /tmp`",
    ),
    _runs("stats", "It serves one of the pages."),
    _is_host_mode("stats"),
    _serves(
        "stats",
        8093,
        "In host mode nothing is mapped, and `-p` is discarded: the server itself has to use the port that is wanted.",
        "`docker rm -f stats`, and run it anew, without `-p`, with `httpd -f -p 8093 -h /tmp`",
    ),
)

EXERCISES = (POD, NO_RISK, CABLE, CLASH)
