"""Swarms of two, for tests."""

from __future__ import annotations

from netkit.laboratory.lab import Node
from tests.patience import patiently


def form_swarm(one: Node, two: Node) -> None:
    """Make a swarm of two nodes: the first its manager, the second a worker."""
    one.run(f"docker swarm init --advertise-addr {one.address}")
    join_swarm(two, one)
    wait_until_member(one)


def join_swarm(node: Node, manager: Node) -> None:
    """Make a node a worker of a manager's swarm, and wait until it can be let into networks."""
    token = manager.run("docker swarm join-token -q worker").stdout.strip()
    node.run(f"docker swarm join --token {token} {manager.address}:2377")
    wait_until_member(node)


def wait_until_member(node: Node) -> None:
    """Wait until a node's engine has its first network of the swarm, with peers: raises CommandError if it never has.

    An engine that is let into a network before that may miss the assignment, and says so only after 20 s: the agent takes
    its own configuration and its first assignments in any order (swarmkit, agent.Agent.run).
    """
    tries = int(patiently() / 0.1)
    node.run(f"for _ in $(seq {tries}); do docker network inspect ingress 2>&1 | grep -q Peers && exit; sleep 0.1; done; exit 1")


def ping_across_overlay(one: Node, two: Node) -> None:
    """Start a container on each node, both on one overlay, and ping the second by name from the first.

    The name travels by gossip and may take a moment; raises CommandError if it does not arrive.
    """
    one.run("docker network create -d overlay --attachable over && docker run -d --name c1 --network over busybox sleep 1000")
    two.run("docker run -d --name c2 --network over busybox sleep 1000")
    one.run("for _ in $(seq 50); do docker exec c1 ping -c1 -W1 c2 && exit; sleep 0.1; done; exit 1")
