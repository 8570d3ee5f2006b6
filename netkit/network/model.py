"""What a network is made of, as frozen values: no effects, and nothing but the standard library.

Everything sits where the kernel has it: a :class:`Topology` has nodes, a node has network namespaces,
a namespace has interfaces, routes, neighbours, forwarding entries and packet filter facts. Beside
them stands what the engine says: networks, containers with their sandbox and endpoints, services.

Two topologies are equal when the networks are: order, interface numbers and random ids (of containers,
networks, namespaces; names and MAC addresses that the engine makes at random) do not count, but are kept.
Tuples are sorted when a value is made, so that equal values also look alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from netkit.network import serial
from netkit.network.canon import calc_canonical
from netkit.network.engine_model import *  # noqa: F403 (whoever uses the model imports its parts from here)
from netkit.network.engine_model import Lan, Node, Service
from netkit.network.kernel_model import *  # noqa: F403
from netkit.network.kernel_model import End, Interface, NetworkNamespace, by_name, sort


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Topology:
    """The network of some nodes at one moment; :class:`netkit.network.topology.Topology` can also tell and draw itself."""

    nodes: tuple[Node, ...] = ()
    lan: Lan | None = None
    services: tuple[Service, ...] = ()

    def __post_init__(self) -> None:
        sort(self, nodes=lambda n: (n.engine is None, len(n.name), n.name), services=by_name)

    def __eq__(self, other: object) -> bool:
        return self._calc_key() == other._calc_key() if isinstance(other, Topology) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._calc_key())

    def _calc_key(self) -> tuple:
        mine = self.canonical()
        return mine.nodes, mine.lan, mine.services

    def canonical(self) -> Self:
        """The same network with names that say what a thing is where the engine made one at random."""
        return calc_canonical(self)

    def node(self, name: str) -> Node | None:
        """The node of this name, or None."""
        return next((node for node in self.nodes if node.name == name), None)

    def at(self, end: End) -> Interface | None:
        """The interface at a place, or None."""
        node = self.node(end.node)
        namespace = node and node.namespace(end.namespace)
        return namespace.interface(end.interface) if namespace else None

    def stacks(self) -> Iterator[tuple[Node, NetworkNamespace]]:
        """Every network namespace with its node, in order."""
        return ((node, namespace) for node in self.nodes for namespace in node.namespaces)

    def ends(self) -> Iterator[tuple[End, Interface]]:
        """Every interface with its place, in order."""
        for node, namespace in self.stacks():
            for interface in namespace.interfaces:
                yield End(node=node.name, namespace=namespace.name, interface=interface.name), interface

    def to_json(self, indent: int | None = None) -> str:
        """Everything, as JSON; :meth:`from_json` makes an equal value of it, ids included."""
        return serial.to_json(self, indent)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The topology that :meth:`to_json` wrote; raises ValueError with the place for anything else."""
        return serial.from_json(cls, text)
