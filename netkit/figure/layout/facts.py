"""What is written at interfaces and stacks."""

from __future__ import annotations

from dataclasses import dataclass, field

from netkit.figure.layout.plan import Words
from netkit.figure.layout.words import calc_clean
from netkit.network.model import Container, Interface, NetworkNamespace, Route, Topology

MANY = 3  # addresses of one interface that are written out
ROUTES = 5  # routes of one stack that are written out
MAIN = 254
MARKS = {"new": "+ ", "gone": "− ", "changed": "~ "}


@dataclass(frozen=True)
class Context:
    """What a figure is made of and what it is to show."""

    topology: Topology
    show: frozenset[str]
    highlights: dict[str, str] = field(default_factory=dict)

    def term(self, word: str, text: str) -> str:
        """The text, after its term of the container network model if those are to be shown."""
        return f"{word} {text}".strip() if "terms" in self.show else text


def calc_words(text: str, about: str, context: Context, bigger: str = "") -> Words:
    """A text with its mark and highlight; what shares the highlight of something ``bigger`` needs no mark of its own."""
    highlight = context.highlights.get(about, "gone" if bigger == "gone" else "")
    if highlight == bigger:
        return Words(text=text, about=about, highlight="gone" if bigger == "gone" else "")
    return Words(text=MARKS.get(highlight, "") + text, about=about, highlight=highlight)


def calc_title(container: Container) -> str:
    """A container's name; a task's without the part that is drawn by lot."""
    return calc_clean(container.task if container.service and container.task else container.name)


def calc_port_name(interface: Interface) -> str:
    """An interface's name, with a word for what it does not say itself."""
    notes = [] if interface.up else ["down"]
    if interface.kind not in ("veth", "loopback", "physical", "macvlan", "ipvlan"):
        notes.insert(0, calc_kind(interface))
    return calc_clean(interface.name) + (f" ({', '.join(notes)})" if notes else "")


def calc_kind(interface: Interface) -> str:
    """The word for an interface's kind, with its number if it has one."""
    if interface.vxlan:
        return f"VNI {interface.vxlan.vni}"
    if interface.vlan is not None:
        return f"VLAN {interface.vlan}"
    return calc_clean(interface.kind)


def calc_interface_lines(interface: Interface, context: Context) -> tuple[str, ...]:
    """The lines below an interface's name: its addresses and its MAC address, as far as they are to be shown."""
    lines = []
    if "addresses" in context.show:
        addresses = [str(address) for address in interface.addresses if not address.is_link_local]
        lines += addresses if len(addresses) <= MANY else [*addresses[: MANY - 1], f"… {len(addresses) - MANY + 1} more"]
    if "macs" in context.show and interface.mac:
        lines.append(calc_clean(interface.mac))
    return tuple(lines)


def calc_stack_fact(place: str, interface: Interface, context: Context, bigger: str = "") -> Words:
    """One line about an interface that is wired to nothing, such as a loopback."""
    text = " ".join((calc_port_name(interface), *calc_interface_lines(interface, context)))
    return calc_words(text, f"{place}/{interface.name}", context, bigger)


def calc_routes(namespace: NetworkNamespace, context: Context, most: int = ROUTES) -> list[str]:
    """The routes of a stack's main table, as ip-route(8) begins them; none unless they are to be shown."""
    if "routes" not in context.show:
        return []
    main = [route for route in namespace.routes if route.table == MAIN and not route.destination.is_link_local]
    main = [route for route in main if not route.destination.is_multicast]
    lines = [_calc_route(route) for route in main]
    return lines if len(lines) <= most else [*lines[: most - 1], f"… {len(lines) - most + 1} more"]


def _calc_route(route: Route) -> str:
    words = [str(route.destination) if route.destination.prefixlen else "default"]
    if route.kind != "unicast":
        words.insert(0, calc_clean(route.kind))
    if route.gateway:
        words.append(f"via {route.gateway}")
    elif route.interface:
        words.append(f"dev {calc_clean(route.interface)}")
    return " ".join(words)
