"""What is to be drawn of each node, before anything has a place: items, the nets they hang on, tags at the border."""

from __future__ import annotations

from dataclasses import dataclass, field

OUT, IN = "out", "in"


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A text and what it stands for."""

    text: str
    about: str = ""
    highlight: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """An interface of an item, on its upper edge (overlays) or its lower one.

    ``net`` is the key of what it is wired to ("" for nothing), ``far`` the name of the wire's other end.
    """

    name: Words
    lines: tuple[str, ...] = ()
    net: str = ""
    up: bool = False
    far: Words = Words(text="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A box: one network stack with whatever lives in it. ``kind`` is container, namespace, stopped or more."""

    kind: str
    about: str
    titles: tuple[Words, ...]
    caption: str = ""
    facts: tuple[Words, ...] = ()
    ports: tuple[Port, ...] = ()
    highlight: str = ""

    @property
    def nets(self) -> tuple[str, ...]:
        """The keys of the nets it is wired to."""
        return tuple(port.net for port in self.ports if port.net)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vtep:
    """The end of a VXLAN tunnel in a net."""

    name: Words
    vni: int
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Net:
    """What wires end at: a bridge, an overlay, a macvlan's parent; a pair (the wire itself) or a chip (an end without a master).

    ``name`` decides the colour. ``aside`` follows the title, ``details`` stand below it. ``parent`` is the interface of
    the node through which it leads outside on layer 2.
    """

    key: str
    kind: str
    name: str
    about: str
    title: str = ""
    aside: str = ""
    spare: str = ""
    details: tuple[str, ...] = ()
    parent: str = ""
    vtep: Vtep | None = None
    highlight: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """A mark at a node's border: NAT outwards, or a published port inwards."""

    direction: str
    text: str
    network: str = ""
    about: str = ""
    highlight: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Some lines about a node's own stack, such as its rules, under a title."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePlan:
    """A node as it is to be drawn. ``guests`` share the node's own stack, ``extras`` are further interfaces of it."""

    name: str
    about: str
    caption: str = ""
    trouble: str = ""
    off: bool = False
    plain: bool = False
    nets: dict[str, Net] = field(default_factory=dict)
    items: tuple[Item, ...] = ()
    uplinks: tuple[Item, ...] = ()
    guests: tuple[Item, ...] = ()
    extras: tuple[Words, ...] = ()
    tags: tuple[Tag, ...] = ()
    notes: tuple[Note, ...] = ()
    highlight: str = ""

    @property
    def overlays(self) -> tuple[Net, ...]:
        """The overlays that reach this node."""
        return tuple(net for net in self.nets.values() if net.kind == "overlay")
