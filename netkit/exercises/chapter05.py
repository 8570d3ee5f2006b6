"""The exercises of notebook 05: a service on an overlay, a VXLAN by hand, a firewall in the way, and published ports."""

from __future__ import annotations

from collections.abc import Callable

from netkit.exercises import wiring
from netkit.exercises.judges_05 import (
    ADDRESSES,
    MEMBERS,
    NODES,
    has_overlay,
    is_on,
    is_swarm,
    judge_service,
    resolves_to_tasks,
    runs_everywhere,
)
from netkit.exercises.model import Criterion, Evidence, Exercise, Miss, Probe
from netkit.network.model import Interface, Service

CREW = "$(docker ps -q -f label=com.docker.swarm.service.name=crew | head -1)"
OWN_NETWORK = Exercise(
    "5.1",
    "a network and a crew",
    (
        is_swarm(),
        has_overlay("team", "10.99.0.0/24"),
        is_on("crew", "team"),
        runs_everywhere("crew"),
        resolves_to_tasks("crew"),
        wiring.reaches(
            "lookup",
            "two answers for the name crew, both answering a ping",
            "All is set; the names may still be on their way: ask again. If you have changed the mode of a running service, look the name up yourself.",
            "`docker exec … nslookup crew 127.0.0.11`. An address that is no task's is the old virtual one: `docker service rm crew`, and create it anew.",
        ),
    ),
    MEMBERS
    | {
        "lookup": Probe(
            "node1",
            f"for i in 1 2 3 4 5; do found=$(docker exec {CREW} nslookup crew 127.0.0.11 | grep -oE '10[.]99[.]0[.][0-9]+' | sort -u); "
            '[ "$(echo "$found" | wc -l)" = 2 ] && break; sleep 0.3; done; [ "$(echo "$found" | wc -l)" = 2 ] || exit 1; '
            f"for a in $found; do docker exec {CREW} ping -c 1 -W 1 $a || exit 1; done",
        )
    },
)


def _find_vx(evidence: Evidence, node: str) -> Interface | None:
    return evidence.host(node).interface("vx")


def _on_both(expected: str, judge: Callable[[str, Interface | None], Miss | None]) -> Criterion:
    """What has to be so of vx on both nodes."""

    def judge_evidence(evidence: Evidence) -> Miss | None:
        return next((miss for node in NODES if (miss := judge(node, _find_vx(evidence, node)))), None)

    return Criterion(expected, judge_evidence)


def _judge_kind(node: str, vx: Interface | None) -> Miss | None:
    if vx is None:
        return Miss(
            f"no interface vx on {node}",
            "A VXLAN device is needed on both machines.",
            "`ip link add vx type vxlan id 42 dstport 4789 dev eth0`",
        )
    if vx.vxlan is None:
        return Miss(
            f"vx on {node} is a {vx.kind}", "The kind of device is vxlan.", "`ip link delete vx`, then `ip link add vx type vxlan …`"
        )
    if vx.vxlan.vni != 42:
        return Miss(
            f"vx on {node} has the VNI {vx.vxlan.vni}",
            "Packets of another number are another network's.",
            "`ip link delete vx`, and make it with `id 42`",
        )
    if vx.vxlan.port != 4789:
        return Miss(
            f"vx on {node} uses UDP port {vx.vxlan.port}",
            "Linux had VXLAN before it got its port number, and still begins with the old one unless told.",
            "`ip link delete vx`, and make it with `dstport 4789`",
        )
    return None


def _judge_size(node: str, vx: Interface | None) -> Miss | None:
    if vx is not None and vx.mtu > 1450:
        return Miss(
            f"vx on {node} has an MTU of {vx.mtu}",
            "Its packets get 50 bytes longer on the LAN, and then there are more than 1500.",
            "`ip link set vx mtu 1450`, or make it with `dev eth0`: then the kernel knows",
        )
    return None


def _judge_up(node: str, vx: Interface | None) -> Miss | None:
    return Miss(f"vx on {node} is down", "A new device is switched off.", "`ip link set vx up`") if vx is None or not vx.up else None


def _has_vx_address(node: str, address: str) -> Criterion:
    return wiring.has_address(lambda evidence: _find_vx(evidence, node), address, f"vx of {node}")


def _know_each_other() -> Criterion:
    """Rows that were learned from traffic do not count: they are gone after five minutes of silence."""

    def judge(evidence: Evidence) -> Miss | None:
        for node, other in zip(NODES, reversed(NODES), strict=True):
            vx = _find_vx(evidence, node)
            group = vx.vxlan.group if vx and vx.vxlan else None
            rows = [row for row in evidence.host(node).forwarding if "vx" in (row.port, row.owner) and row.kind != "learned"]
            towards = {str(row.destination) for row in rows if row.destination} | ({str(group)} if group else set())
            if ADDRESSES[other] not in towards and not (group and group.is_multicast):
                return Miss(
                    f"vx on {node} sends to: {', '.join(sorted(towards)) or 'nobody'}",
                    f"vx on {node} does not know that {other} is at {ADDRESSES[other]}: you are the control plane.",
                    f"on {node}: `bridge fdb append 00:00:00:00:00:00 dev vx dst {ADDRESSES[other]}`",
                )
        return None

    return Criterion("each of the two knowing where the other one is", judge)


BY_HAND = Exercise(
    "5.2",
    "you are the control plane",
    (
        _on_both("a VXLAN device vx on both nodes, VNI 42, UDP port 4789", _judge_kind),
        _on_both("both switched on", _judge_up),
        _has_vx_address("node1", "10.42.0.1/24"),
        _has_vx_address("node2", "10.42.0.2/24"),
        _know_each_other(),
        wiring.reaches(
            "ping",
            "an answer from 10.42.0.2 for node1",
            "Both know where to send to. Look at the wire: `tcpdump -ni eth0 udp port 4789` on both machines. Is a firewall in the way?",
            "`iptables -S INPUT` and `bridge fdb show dev vx` on both",
        ),
        _on_both("no packet too big for the LAN", _judge_size),
    ),
    {"ping": Probe("node1", "ping -c 2 -i 0.2 -W 1 10.42.0.2")},
)


def _keeps_containers() -> Criterion:
    def judge(evidence: Evidence) -> Miss | None:
        for name, node in (("ask", "node1"), ("answer", "node2")):
            container = evidence.container(name, node)
            if container is None:
                return Miss(f"{name} does not run on {node}", "Both containers have to go on running.", f"on {node}: `docker start {name}`")
            if not any(each.network == "talk" for each in container.endpoints):
                return Miss(
                    f"{name} is not on talk",
                    "The network was right: the fault lies below it.",
                    f"on {node}: `docker network connect talk {name}`",
                )
        return None

    return Criterion("ask on node1 and answer on node2, on the overlay talk", judge)


def _keeps_firewall() -> Criterion:
    def judge(evidence: Evidence) -> Miss | None:
        if not evidence.answers("other udp"):
            return None
        return Miss(
            "node2 lets through any UDP packet now",
            "The firewall is gone: you have opened more than one door.",
            "on node2: `iptables -A INPUT -i eth0 -p udp -j DROP` as the last rule, and one ACCEPT for port 4789 before it",
        )

    return Criterion("node2's firewall still dropping other UDP packets from the LAN", judge)


def _talks() -> Criterion:
    def judge(evidence: Evidence) -> Miss | None:
        if evidence.answers("ping"):
            return None
        firewall = evidence.host("node2").firewall
        rules = [rule for rule in (firewall.rules if firewall else ()) if "-A INPUT" in rule]
        mine = [rule for rule in rules if "ACCEPT" in rule and "4789" in rule]
        if any("-p tcp" in rule for rule in mine):
            return Miss(
                "no answer; TCP port 4789 is open",
                "VXLAN is not TCP.",
                "`iptables -I INPUT -i eth0 -p udp --dport 4789 -j ACCEPT` on node2",
            )
        if mine:
            return Miss(
                "no answer; the rule for 4789 is there",
                "Rules are asked in order, and the first that fits decides: yours comes after the DROP.",
                "`-I INPUT` puts a rule first, `-A INPUT` last",
            )
        elsewhere = evidence.host("node1").firewall
        if any("4789" in rule and "-A INPUT" in rule and "ACCEPT" in rule for rule in (elsewhere.rules if elsewhere else ())):
            return Miss(
                "no answer; UDP port 4789 is opened on node1",
                "The packets leave node1, and reach node2. Which machine has the firewall?",
                "`netkit on node2 -- iptables -L INPUT -nvx`",
            )
        return Miss(
            "no answer",
            "Gossip (7946) gets through, so names resolve. What carries the packets themselves? See whether it arrives on node2, and what becomes of it.",
            "`iptables -L INPUT -nvx` on node2 while you ping: the counter of the DROP moves. VXLAN is UDP port 4789.",
        )

    return Criterion("ask reaching answer by its name", judge)


FIREWALL = Exercise(
    "5.3",
    "why does it not work?",
    (is_swarm(), _keeps_containers(), _talks(), _keeps_firewall()),
    MEMBERS
    | {
        "ping": Probe("node1", "for i in 1 2; do docker exec ask ping -c 1 -W 1 answer && exit; done; exit 1"),
        # a second packet to a closed UDP port is refused, unless a firewall has dropped the first
        "other udp": Probe("node1", "exec 3<>/dev/udp/192.168.59.2/9 && echo x >&3 && sleep 0.3 && ! echo x >&3"),
    },
)


def _publishes_on_hosts() -> Criterion:
    def judge(service: Service) -> Miss | None:
        ports = [f"{each.port} to {each.target} ({each.mode})" for each in service.ports]
        right = [each for each in service.ports if each.port == 8080]
        if any(each.mode == "host" and each.target == 80 for each in right):
            return None
        if any(each.mode != "host" for each in right):
            return Miss(
                f"published: {', '.join(ports)}",
                "That is the routing mesh: any node may answer for any other, and it needs IPVS.",
                "`--publish mode=host,published=8080,target=80`",
            )
        return Miss(
            f"published: {', '.join(ports) or 'nothing'}",
            "Port 80 of a task has to appear as port 8080 of its node.",
            "`docker service update --publish-add mode=host,published=8080,target=80 page`",
        )

    return Criterion("port 80 of page published as 8080, by each node for its own task", judge_service("page", judge))


def _answers_for_itself(node: str) -> Criterion:
    def judge(evidence: Evidence) -> Miss | None:
        reply = evidence.replies.get(node)
        said = reply.stdout.strip() if reply and reply.status == 0 else ""
        if said == node or (said and said in _find_hostnames(evidence, node)):
            return None
        if said:
            return Miss(
                f"port 8080 of {node} says {said[:60]!r}",
                "An answer, but not this machine's task's host name.",
                "`--hostname '{{.Node.Hostname}}'`, and `hostname > /tmp/index.html; httpd -f -h /tmp` in the container",
            )
        return Miss(
            f"no answer from port 8080 of {node}",
            "The task is there and its port is published. Does the task serve anything on port 80?",
            "`docker service ps page`; `sh -c 'hostname > /tmp/index.html; httpd -f -h /tmp'` serves a page",
        )

    return Criterion(f"outside getting the page of {node}'s own task at port 8080", judge)


def _find_hostnames(evidence: Evidence, node: str) -> set[str]:
    """Unless told otherwise, a container's host name is the beginning of its id."""
    return {each.id[:12] for each in evidence.node(node).containers if each.service == "page" and each.id}


PUBLISHED = Exercise(
    "5.4",
    "one door on each machine",
    (is_swarm(), runs_everywhere("page"), _publishes_on_hosts(), _answers_for_itself("node1"), _answers_for_itself("node2")),
    MEMBERS | {node: Probe("outside", f"curl -s --max-time 2 http://{address}:8080/") for node, address in ADDRESSES.items()},
)

EXERCISES = (OWN_NETWORK, BY_HAND, FIREWALL, PUBLISHED)
