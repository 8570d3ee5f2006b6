"""The exercises of notebook 05: a service on an overlay, a VXLAN by hand, a firewall in the way, and published ports."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from netkit.exercises import wiring
from netkit.exercises.model import Criterion, Evidence, Exercise, Miss, Probe
from netkit.topology.model import Interface, Service, Topology

NODES = ("node1", "node2")
ADDRESSES = {"node1": "192.168.59.1", "node2": "192.168.59.2"}
# the manager goes on listing a worker that has left: each engine knows best
MEMBERS = {f"member {name}": Probe(name, "docker info --format '{{.Swarm.LocalNodeState}}' | grep -qx active") for name in NODES}


def _is_swarm() -> Criterion:
    def judge(evidence: Evidence) -> Miss | None:
        missing = [name for name in NODES if evidence.node(name).swarm is None or not evidence.answers(f"member {name}")]
        if not missing:
            return None
        return Miss(
            f"{' and '.join(missing)} in no swarm",
            "Both machines have to stay in the swarm that the stub has made.",
            "Run the stub again, and begin anew.",
        )

    return Criterion("a swarm of node1 and node2", judge)


def _find_service(topology: Topology, name: str) -> Service | None:
    return next((each for each in topology.services if each.name == name), None)


def _find_running(service: Service) -> list[str]:
    return sorted({task.node for task in service.tasks if task.state == "running"})


def _judge_service(name: str, judge: Callable[[Service], Miss | None]) -> Callable[[Evidence], Miss | None]:
    """The judgement of a service, if there is one of this name."""

    def judge_evidence(evidence: Evidence) -> Miss | None:
        service = _find_service(evidence.topology, name)
        if service:
            return judge(service)
        if any(name in each.name for node in NODES for each in evidence.node(node).containers):
            return Miss(
                f"no service {name}, but a container of that name",
                "`docker run` starts a container on one machine; a service is a wish to the whole swarm.",
                f"`docker rm -f {name}`, then `docker service create --name {name} …` on node1",
            )
        return Miss(
            f"services: {', '.join(each.name for each in evidence.topology.services) or 'none'}",
            f"Make a service of the name {name}, on the manager.",
            f"`docker service create --detach --no-resolve-image --name {name} …`",
        )

    return judge_evidence


def _runs_everywhere(name: str) -> Criterion:
    def judge(service: Service) -> Miss | None:
        running = _find_running(service)
        if set(NODES) <= set(running):
            return None
        where = f"running on: {', '.join(running) or 'no node yet'}"
        if service.mode == "replicated" and service.replicas == 1:
            return Miss(where, "One replica is in one place. There are two nodes.", f"`docker service scale {name}=2`")
        return Miss(
            where,
            "Not on each node: is it still starting, or kept away from one of them?",
            f"`docker service ps --no-trunc {name}` says why; `--mode global` means one on every node",
        )

    return Criterion(f"a service {name} with a task running on each node", _judge_service(name, judge))


def _has_overlay(name: str, subnet: str) -> Criterion:
    wanted = ipaddress.ip_network(subnet)

    def judge(evidence: Evidence) -> Miss | None:
        network = evidence.node("node1").network(name)
        if network is None:
            return Miss(
                f"no network {name} on node1",
                "Create the network on the manager.",
                f"`docker network create -d overlay --subnet {subnet} {name}`",
            )
        if network.driver != "overlay":
            return Miss(
                f"{name} has the driver {network.driver}",
                "That network ends at the edge of node1: without `-d`, Docker makes a bridge.",
                f"`docker network rm {name}`, then `docker network create -d overlay --subnet {subnet} {name}`",
            )
        if wanted not in network.subnets:
            return Miss(
                f"{name} has {', '.join(map(str, network.subnets)) or 'no subnet'}",
                "The swarm has picked a subnet, or you another one. It cannot be changed afterwards.",
                f"`docker service rm …`, `docker network rm {name}`, and create it with `--subnet {subnet}`",
            )
        return None

    return Criterion(f"an overlay network {name} with {subnet}", judge)


def _is_on(name: str, network: str) -> Criterion:
    def judge(service: Service) -> Miss | None:
        if network in service.networks:
            return None
        return Miss(
            f"{name} is on: {', '.join(service.networks) or 'no network of its own'}",
            "The service has not been put on the network.",
            f"`docker service update --network-add {network} {name}`, or create it with `--network {network}`",
        )

    return Criterion(f"{name} on the network {network}", _judge_service(name, judge))


def _resolves_to_tasks(name: str) -> Criterion:
    def judge(service: Service) -> Miss | None:
        if service.resolution == "dnsrr":
            return None
        return Miss(
            f"{name} has a virtual address",
            "Its name leads to one address that stands for all tasks; that is the default.",
            f"`docker service update --endpoint-mode dnsrr {name}`",
        )

    return Criterion(f"the name {name} giving the tasks' own addresses", _judge_service(name, judge))


CREW = "$(docker ps -q -f label=com.docker.swarm.service.name=crew | head -1)"
OWN_NETWORK = Exercise(
    "5.1",
    "a network and a crew",
    (
        _is_swarm(),
        _has_overlay("team", "10.99.0.0/24"),
        _is_on("crew", "team"),
        _runs_everywhere("crew"),
        _resolves_to_tasks("crew"),
        wiring.reaches(
            "lookup",
            "two answers for the name crew, both answering a ping",
            "All is set; the names may still be on their way. Ask again. Is UDP port 4789 open?",
            "`docker exec … nslookup crew`, and `docker service ps crew`",
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
    (_is_swarm(), _keeps_containers(), _talks(), _keeps_firewall()),
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

    return Criterion("port 80 of page published as 8080, by each node for its own task", _judge_service("page", judge))


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
    (_is_swarm(), _runs_everywhere("page"), _publishes_on_hosts(), _answers_for_itself("node1"), _answers_for_itself("node2")),
    MEMBERS | {node: Probe("outside", f"curl -s --max-time 2 http://{address}:8080/") for node, address in ADDRESSES.items()},
)

EXERCISES = (OWN_NETWORK, BY_HAND, FIREWALL, PUBLISHED)
