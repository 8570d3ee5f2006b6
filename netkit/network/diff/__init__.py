"""What changed between two topologies: nothing is missed, and each change is told once, in words."""

from __future__ import annotations

from netkit.network.diff import containers, filters, interfaces, networks, nodes, rest, tables
from netkit.network.diff.atoms import Atom, Pool, walk
from netkit.network.diff.value import OPPOSITE, Change, Diff
from netkit.network.diff.view import View, calc_view
from netkit.network.model import Topology

__all__ = ["OPPOSITE", "Change", "Diff", "calc_diff"]

# each takes from the pool what it tells; the last one tells whatever is left
STORIES = (
    nodes.tell_nodes,
    interfaces.tell_moves,
    networks.tell_networks,
    containers.tell_containers,
    containers.tell_endpoints,
    networks.tell_stacks,
    interfaces.tell_interfaces,
    tables.tell_routes,
    filters.tell_facts,
    nodes.tell_services,
    rest.tell_fields,
    tables.tell_rows,
    filters.tell_rules,
    rest.tell_rest,
)


def calc_diff(before: Topology, after: Topology) -> Diff:
    """What is different in ``after``: no changes exactly if the two are equal.

    Both are compared by their canonical names, so what is drawn by lot does not count. What follows
    from a bigger change is told with it: a container that appears brings its interfaces along.
    """
    view = calc_view(before, after)
    pool = Pool(_calc_atoms(view))
    told: list[tuple[tuple, Change]] = []
    for number, story in enumerate(STORIES):
        for change in story(view, pool):
            told.append((_calc_rank(view, number, change), change))
    told.sort(key=lambda item: item[0])
    return Diff(before, after, tuple(change for _, change in told))


def _calc_atoms(view: View) -> list[Atom]:
    mine, others = view.before.topology, view.after.topology
    return [atom for name in ("lan", "nodes", "services") for atom in walk(getattr(mine, name), getattr(others, name), (name,))]


def _calc_rank(view: View, story: int, change: Change) -> tuple:
    """Where a change is told: by node, then in the order of the stories."""
    names = [node.name for side in (view.after, view.before) for node in side.topology.nodes]
    first = change.about.split("/")[0]
    node = names.index(first) if first in names else -1 if not first.startswith("service ") else len(names)
    return (node, story, change.about, change.kind, change.words)
