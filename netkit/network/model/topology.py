"""Nodes, and the topology they make."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from netkit.network.model.engine import Container, Engine, Network, Service, SwarmMember
from netkit.network.model.kernel import HOST, End, Interface, NetworkNamespace
from netkit.network.model.order import Ip, Subnet, by_name, sort


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One machine. ``state`` is up, idle (not started yet) or down; ``trouble`` says why nothing is known.

    ``engine`` is None on a host that is no Docker node.
    """

    name: str
    state: str = "up"
    trouble: str = ""
    address: Ip | None = None
    engine: Engine | None = None
    swarm: SwarmMember | None = None
    namespaces: tuple[NetworkNamespace, ...] = ()
    networks: tuple[Network, ...] = ()
    containers: tuple[Container, ...] = ()

    def __post_init__(self) -> None:
        sort(
            self,
            namespaces=lambda n: (n.name != HOST, n.name),
            networks=lambda n: (n.name, n.driver, n.scope),
            containers=by_name,
        )

    def namespace(self, name: str) -> NetworkNamespace | None:
        """The namespace of this name, or None."""
        return next((namespace for namespace in self.namespaces if namespace.name == name), None)

    def container(self, name: str) -> Container | None:
        """The container of this name, or None."""
        return next((container for container in self.containers if container.name == name), None)

    def network(self, name: str) -> Network | None:
        """The network of this name, or None."""
        return next((network for network in self.networks if network.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lan:
    """The network that joins the nodes: it lies outside of all of them."""

    subnet: Subnet
    name: str = "LAN"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Topology:
    """The network of some nodes at one moment."""

    nodes: tuple[Node, ...] = ()
    lan: Lan | None = None
    services: tuple[Service, ...] = ()

    def __post_init__(self) -> None:
        sort(self, nodes=lambda n: (n.engine is None, len(n.name), n.name), services=by_name)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Topology):
            return NotImplemented
        mine, others = self.canonical(), other.canonical()
        return (mine.nodes, mine.lan, mine.services) == (others.nodes, others.lan, others.services)

    def __hash__(self) -> int:
        mine = self.canonical()
        return hash((mine.nodes, mine.lan, mine.services))

    def canonical(self) -> Topology:
        """The same network with names that say what a thing is where the engine drew one by lot."""
        from netkit.network.canon import calc_canonical

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

    def text(self, **options) -> str:
        """The network in words, the same every time: see :func:`netkit.network.text.to_text` for the options."""
        from netkit.network.text import to_text

        return to_text(self, **options)

    def draw(self, **options):
        """The network as a ``matplotlib.figure.Figure``: see :func:`netkit.figure.draw.draw` for the options."""
        from netkit.figure.draw import draw

        return draw(self, **options)

    def diff(self, other: Topology):
        """What is different in ``other``, usually a later capture: a :class:`netkit.network.diff.Diff`."""
        from netkit.network.diff import calc_diff

        return calc_diff(self, other)

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        """For notebooks: the figure, with the text for those who cannot see it, and for nbval."""
        from netkit.figure.draw import make_bundle

        return make_bundle(self.text(), self.draw())

    def to_json(self, indent: int | None = None) -> str:
        """Everything, as JSON; :meth:`from_json` makes an equal value of it, ids included."""
        from netkit.network.serial import to_json

        return to_json(self, indent)

    @classmethod
    def from_json(cls, text: str) -> Topology:
        """The topology that :meth:`to_json` wrote; raises ValueError with the place for anything else."""
        from netkit.network.serial import from_json

        return from_json(cls, text)
