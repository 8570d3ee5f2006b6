"""Swarms of two, for tests."""

from __future__ import annotations

from netkit.lab.lab import Node


def form_swarm(one: Node, two: Node) -> None:
    """Make a swarm of two nodes: the first its manager, the second a worker."""
    one.run(f"docker swarm init --advertise-addr {one.address}")
    token = one.run("docker swarm join-token -q worker").stdout.strip()
    two.run(f"docker swarm join --token {token} {one.address}:2377")


def ping_across_overlay(one: Node, two: Node) -> None:
    """Start a container on each node, both on one overlay, and ping the second by name from the first.

    The name travels by gossip and may take a moment; raises CommandError if it does not arrive.
    """
    one.run("docker network create -d overlay --attachable over && docker run -d --name c1 --network over busybox sleep 1000")
    two.run("docker run -d --name c2 --network over busybox sleep 1000")
    one.run("for _ in $(seq 50); do docker exec c1 ping -c1 -W1 c2 && exit; sleep 0.1; done; exit 1")
