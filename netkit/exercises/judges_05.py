"""Criteria about swarms and their services, for the exercises of notebook 05."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from netkit.exercises.model import Criterion, Evidence, Miss, Probe
from netkit.network.model import Service, Topology

NODES = ("node1", "node2")
ADDRESSES = {"node1": "192.168.59.1", "node2": "192.168.59.2"}
# the manager goes on listing a worker that has left: each engine knows best
MEMBERS = {f"member {name}": Probe(name, "docker info --format '{{.Swarm.LocalNodeState}}' | grep -qx active") for name in NODES}


def is_swarm() -> Criterion:
    """Both nodes are members of a swarm, and say so themselves."""

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


def judge_service(name: str, judge: Callable[[Service], Miss | None]) -> Callable[[Evidence], Miss | None]:
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


def runs_everywhere(name: str) -> Criterion:
    """The service has a running task on each node."""

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

    return Criterion(f"a service {name} with a task running on each node", judge_service(name, judge))


def has_overlay(name: str, subnet: str) -> Criterion:
    """There is an overlay network of this name and subnet."""

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


def is_on(name: str, network: str) -> Criterion:
    """The service is on the network."""

    def judge(service: Service) -> Miss | None:
        if network in service.networks:
            return None
        return Miss(
            f"{name} is on: {', '.join(service.networks) or 'no network of its own'}",
            "The service has not been put on the network.",
            f"`docker service update --network-add {network} {name}`, or create it with `--network {network}`",
        )

    return Criterion(f"{name} on the network {network}", judge_service(name, judge))


def resolves_to_tasks(name: str) -> Criterion:
    """The service's name resolves to its tasks' addresses, not to a virtual one."""

    def judge(service: Service) -> Miss | None:
        if service.resolution == "dnsrr":
            return None
        return Miss(
            f"{name} has a virtual address",
            "Its name leads to one address that stands for all tasks; that is the default.",
            f"`docker service rm {name}`, and create it with `--endpoint-mode dnsrr`: after an update, the old address is still given",
        )

    return Criterion(f"the name {name} giving the tasks' own addresses", judge_service(name, judge))
