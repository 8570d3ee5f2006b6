"""The exercises of notebook 05: a service on an overlay, a VXLAN by hand, a firewall in the way, and published ports."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from netkit.exercises.criteria import ADDRESSES, has_address, is_refused, reaches
from netkit.exercises.judging import Evidence, Miss, Probe, criterion, exercise
from netkit.network.model import Interface, Service

NODES = tuple(ADDRESSES)


@criterion("a swarm of node1 and node2")
def _is_swarm(seen: Evidence) -> None:
    """Both nodes say so themselves: the manager goes on listing a worker that has left."""
    member = "docker info --format '{{.Swarm.LocalNodeState}}' | grep -qx active"
    missing = [name for name in NODES if seen.node(name).swarm is None or not seen.answers(Probe(name, member))]
    if missing:
        hint = "Both machines have to stay in the swarm that the stub has made."
        raise Miss(f"{' and '.join(missing)} in no swarm", hint, "Run the stub again, and begin anew.")


@criterion("an overlay network {name} with {subnet}")
def _has_overlay(seen: Evidence, name: str, subnet: str) -> None:
    network, create = seen.node().network(name), f"docker network create -d overlay --subnet {subnet} {name}`"
    if network is None:
        raise Miss(f"no network {name} on node1", "Create the network on the manager.", f"`{create}")
    if network.driver != "overlay":
        hint = "That network ends at the edge of node1: without `-d`, Docker makes a bridge."
        raise Miss(f"{name} has the driver {network.driver}", hint, f"`docker network rm {name}`, then `{create}")
    if ipaddress.ip_network(subnet) not in network.subnets:
        told = f"{name} has {', '.join(map(str, network.subnets)) or 'no subnet'}"
        hint = "The swarm has picked a subnet, or you another one. It cannot be changed afterwards."
        raise Miss(told, hint, f"`docker service rm …`, `docker network rm {name}`, and create it with `--subnet {subnet}`")


def _find_service(seen: Evidence, name: str) -> Service:
    """The service of this name; raises Miss if there is none."""
    found = {each.name: each for each in seen.topology.services}
    if name in found:
        return found[name]
    if any(name in each.name for node in NODES for each in seen.node(node).containers):
        told = f"no service {name}, but a container of that name"
        hint = "`docker run` starts a container on one machine; a service is a wish to the whole swarm."
        raise Miss(told, hint, f"`docker rm -f {name}`, then `docker service create --name {name} …` on node1")
    hint = f"Make a service of the name {name}, on the manager."
    raise Miss(f"services: {', '.join(found) or 'none'}", hint, f"`docker service create --detach --no-resolve-image --name {name} …`")


@criterion("{name} on the network {network}")
def _is_on(seen: Evidence, name: str, network: str) -> None:
    networks = _find_service(seen, name).networks
    if network not in networks:
        told = f"{name} is on: {', '.join(networks) or 'no network of its own'}"
        hint = "The service has not been put on the network."
        raise Miss(told, hint, f"`docker service update --network-add {network} {name}`, or create it with `--network {network}`")


@criterion("a service {name} with a task running on each node")
def _runs_everywhere(seen: Evidence, name: str) -> None:
    service = _find_service(seen, name)
    running = sorted({task.node for task in service.tasks if task.state == "running"})
    if set(NODES) <= set(running):
        return
    where = f"running on: {', '.join(running) or 'no node yet'}"
    if service.mode == "replicated" and service.replicas == 1:
        raise Miss(where, "One replica is in one place. There are two nodes.", f"`docker service scale {name}=2`")
    hint = "Not on each node: is it still starting, or kept away from one of them?"
    raise Miss(where, hint, f"`docker service ps --no-trunc {name}` says why; `--mode global` means one on every node")


@criterion("the name {name} giving the tasks' own addresses")
def _resolves_to_tasks(seen: Evidence, name: str) -> None:
    if _find_service(seen, name).resolution != "dnsrr":
        raise Miss(
            f"{name} has a virtual address",
            "Its name leads to one address that stands for all tasks; that is the default.",
            f"`docker service rm {name}`, and create it with `--endpoint-mode dnsrr`: after an update, the old address is still given",
        )


CREW = "$(docker ps -q -f label=com.docker.swarm.service.name=crew | head -1)"
OWN_NETWORK = exercise(
    "5.1",
    "a network and a crew",
    _is_swarm(),
    _has_overlay("team", "10.99.0.0/24"),
    _is_on("crew", "team"),
    _runs_everywhere("crew"),
    _resolves_to_tasks("crew"),
    reaches(
        Probe(
            "node1",
            f"for i in 1 2 3 4 5; do found=$(docker exec {CREW} nslookup crew 127.0.0.11 | grep -oE '10[.]99[.]0[.][0-9]+' | sort -u); "
            '[ "$(echo "$found" | wc -l)" = 2 ] && break; sleep 0.3; done; [ "$(echo "$found" | wc -l)" = 2 ] || exit 1; '
            f"for a in $found; do docker exec {CREW} ping -c 1 -W 1 $a || exit 1; done",
        ),
        "two answers for the name crew, both answering a ping",
        "All is set; the names may still be on their way: ask again. If you have changed the mode of a running service, look the name up yourself.",
        "`docker exec … nslookup crew 127.0.0.11`. An address that is no task's is the old virtual one: `docker service rm crew`, and create it anew.",
    ),
)


def _each_vx(seen: Evidence) -> Iterator[tuple[str, Interface | None]]:
    return ((node, seen.host(node).interface("vx")) for node in NODES)


@criterion("a VXLAN device vx on both nodes, VNI 42, UDP port 4789")
def _is_vxlan(seen: Evidence) -> None:
    for node, vx in _each_vx(seen):
        if vx is None:
            hint = "A VXLAN device is needed on both machines."
            raise Miss(f"no interface vx on {node}", hint, "`ip link add vx type vxlan id 42 dstport 4789 dev eth0`")
        anew = "`ip link delete vx`, "
        if vx.vxlan is None:
            raise Miss(f"vx on {node} is a {vx.kind}", "The kind of device is vxlan.", f"{anew}then `ip link add vx type vxlan …`")
        if vx.vxlan.vni != 42:
            hint = "Packets of another number are another network's."
            raise Miss(f"vx on {node} has the VNI {vx.vxlan.vni}", hint, f"{anew}and make it with `id 42`")
        if vx.vxlan.port != 4789:
            hint = "Linux had VXLAN before it got its port number, and still begins with the old one unless told."
            raise Miss(f"vx on {node} uses UDP port {vx.vxlan.port}", hint, f"{anew}and make it with `dstport 4789`")


@criterion("both switched on")
def _is_up(seen: Evidence) -> None:
    for node, vx in _each_vx(seen):
        if vx is None or not vx.up:
            raise Miss(f"vx on {node} is down", "A new device is switched off.", "`ip link set vx up`")


@criterion("no packet too big for the LAN")
def _is_small(seen: Evidence) -> None:
    for node, vx in _each_vx(seen):
        if vx and vx.mtu > 1450:
            told = f"vx on {node} has an MTU of {vx.mtu}"
            hint = "Its packets get 50 bytes longer on the LAN, and then there are more than 1500."
            raise Miss(told, hint, "`ip link set vx mtu 1450`, or make it with `dev eth0`: then the kernel knows")


@criterion("each of the two knowing where the other one is")
def _know_each_other(seen: Evidence) -> None:
    """Rows that were learned from traffic do not count: they are gone after five minutes of silence."""
    for (node, vx), other in zip(_each_vx(seen), reversed(NODES), strict=True):
        group = vx.vxlan.group if vx and vx.vxlan else None
        rows = [row for row in seen.host(node).forwarding if "vx" in (row.port, row.owner) and row.kind != "learned"]
        towards = {str(each) for each in (group, *(row.destination for row in rows)) if each}
        if ADDRESSES[other] not in towards and not (group and group.is_multicast):
            told = f"vx on {node} sends to: {', '.join(sorted(towards)) or 'nobody'}"
            hint = f"vx on {node} does not know that {other} is at {ADDRESSES[other]}: you are the control plane."
            raise Miss(told, hint, f"on {node}: `bridge fdb append 00:00:00:00:00:00 dev vx dst {ADDRESSES[other]}`")


BY_HAND = exercise(
    "5.2",
    "you are the control plane",
    _is_vxlan(),
    _is_up(),
    has_address("vx of node1", "10.42.0.1/24", lambda seen: seen.host("node1").interface("vx")),
    has_address("vx of node2", "10.42.0.2/24", lambda seen: seen.host("node2").interface("vx")),
    _know_each_other(),
    reaches(
        Probe("node1", "ping -c 2 -i 0.2 -W 1 10.42.0.2"),
        "an answer from 10.42.0.2 for node1",
        "Both know where to send to. Look at the wire: `tcpdump -ni eth0 udp port 4789` on both machines. Is a firewall in the way?",
        "`iptables -S INPUT` and `bridge fdb show dev vx` on both",
    ),
    _is_small(),
)


@criterion("ask on node1 and answer on node2, on the overlay talk")
def _keeps_containers(seen: Evidence) -> None:
    for name, node in (("ask", "node1"), ("answer", "node2")):
        container = seen.container(name, node)
        if container is None:
            raise Miss(f"{name} does not run on {node}", "Both containers have to go on running.", f"on {node}: `docker start {name}`")
        if "talk" not in seen.endpoints(name, node):
            hint = "The network was right: the fault lies below it."
            raise Miss(f"{name} is not on talk", hint, f"on {node}: `docker network connect talk {name}`")


@criterion("ask reaching answer by its name")
def _talks(seen: Evidence) -> None:
    if seen.answers(Probe("node1", "for i in 1 2; do docker exec ask ping -c 1 -W 1 answer && exit; done; exit 1")):
        return

    def opening(node: str) -> list[str]:
        return [rule for rule in seen.firewall(node).rules if all(words in rule for words in ("-A INPUT", "ACCEPT", "4789"))]

    if any("-p tcp" in rule for rule in opening("node2")):
        hint = "VXLAN is not TCP."
        raise Miss("no answer; TCP port 4789 is open", hint, "`iptables -I INPUT -i eth0 -p udp --dport 4789 -j ACCEPT` on node2")
    if opening("node2"):
        hint = "Rules are asked in order, and the first that fits decides: yours comes after the DROP."
        raise Miss("no answer; the rule for 4789 is there", hint, "`-I INPUT` puts a rule first, `-A INPUT` last")
    if opening("node1"):
        hint = "The packets leave node1, and reach node2. Which machine has the firewall?"
        raise Miss("no answer; UDP port 4789 is opened on node1", hint, "`netkit on node2 -- iptables -L INPUT -nvx`")
    told = "no answer"
    hint = "Gossip (7946) gets through, so names resolve. What carries the packets themselves? See whether it arrives on node2, and what becomes of it."
    raise Miss(told, hint, "`iptables -L INPUT -nvx` on node2 while you ping: the counter of the DROP moves. VXLAN is UDP port 4789.")


FIREWALL = exercise(
    "5.3",
    "why does it not work?",
    _is_swarm(),
    _keeps_containers(),
    _talks(),
    is_refused(
        # a second packet to a closed UDP port is refused, unless a firewall has dropped the first
        Probe("node1", f"exec 3<>/dev/udp/{ADDRESSES['node2']}/9 && echo x >&3 && sleep 0.3 && ! echo x >&3"),
        "node2's firewall still dropping other UDP packets from the LAN",
        "node2 lets through any UDP packet now",
        "The firewall is gone: you have opened more than one door.",
        "on node2: `iptables -A INPUT -i eth0 -p udp -j DROP` as the last rule, and one ACCEPT for port 4789 before it",
    ),
)


@criterion("port 80 of {name} published as 8080, by each node for its own task")
def _publishes_on_hosts(seen: Evidence, name: str) -> None:
    ports = _find_service(seen, name).ports
    right = [each for each in ports if each.port == 8080]
    if any(each.mode == "host" and each.target == 80 for each in right):
        return
    told = f"published: {', '.join(f'{each.port} to {each.target} ({each.mode})' for each in ports) or 'nothing'}"
    if any(each.mode != "host" for each in right):
        hint = "That is the routing mesh: any node may answer for any other, and it needs IPVS."
        raise Miss(told, hint, "`--publish mode=host,published=8080,target=80`")
    hint = "Port 80 of a task has to appear as port 8080 of its node."
    raise Miss(told, hint, f"`docker service update --publish-add mode=host,published=8080,target=80 {name}`")


@criterion("outside getting the page of {node}'s own task at port 8080")
def _answers_for_itself(seen: Evidence, node: str) -> None:
    """Unless told otherwise, a container's host name is the beginning of its id."""
    reply = seen.ask(Probe("outside", f"curl -s --max-time 2 http://{ADDRESSES[node]}:8080/"))
    said = reply.stdout.strip() if reply.status == 0 else ""
    if said and said in {node, *(each.id[:12] for each in seen.node(node).containers if each.service == "page")}:
        return
    if said:
        stronger = "`--hostname '{{.Node.Hostname}}'`, and `hostname > /tmp/index.html; httpd -f -h /tmp` in the container"
        raise Miss(f"port 8080 of {node} says {said[:60]!r}", "An answer, but not this machine's task's host name.", stronger)
    told = f"no answer from port 8080 of {node}"
    hint = "The task is there and its port is published. Does the task serve anything on port 80?"
    raise Miss(told, hint, "`docker service ps page`; `sh -c 'hostname > /tmp/index.html; httpd -f -h /tmp'` serves a page")


PUBLISHED = exercise(
    "5.4",
    "one door on each machine",
    _is_swarm(),
    _runs_everywhere("page"),
    _publishes_on_hosts("page"),
    *(_answers_for_itself(node) for node in NODES),
)

EXERCISES = (OWN_NETWORK, BY_HAND, FIREWALL, PUBLISHED)
