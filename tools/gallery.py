"""Write docs/gallery: a figure of every kind, from the topologies and captures of the tests. The same bytes each time.

.venv/bin/python tools/gallery.py
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from netkit.figure import draw  # noqa: E402
from tests import topologies  # noqa: E402
from tests.test_trace_values import load  # noqa: E402

GALLERY = ROOT / "docs/gallery"
Case = tuple[str, str, Callable[[], object], dict]
CASES: list[Case] = [
    ("bridge", "One node: three containers on docker0, each by a veth pair.", topologies.single, {}),
    ("workshop", "Two nodes on the LAN, a network of one's own, a published port on each.", topologies.workshop, {}),
    ("names", "The same without addresses: a question to learners.", topologies.workshop, {"show": ()}),
    ("modes", "Bridge, container:, none and host mode: who shares a network stack with whom.", topologies.modes, {}),
    ("two-networks", "A container in two networks, one of which is internal.", topologies.two_networks, {}),
    ("terms", "The same in the words of the container network model.", topologies.two_networks, {"show": ("addresses", "terms")}),
    ("rules", "The packet filter's facts and rules in a box of their own.", topologies.two_networks, {"show": ("addresses", "rules")}),
    ("macvlan", "Containers with addresses of the LAN, on the node's own cable.", topologies.macvlan, {}),
    ("by-hand", "Namespaces, veth pairs and a bridge made with ip(8).", topologies.handmade, {}),
    ("overlay", "An overlay across two nodes, and its VXLAN tunnel beneath the LAN.", topologies.attached, {}),
    ("swarm", "A swarm's routing mesh and a service with a task on each of three nodes.", topologies.swarm, {}),
    ("focus", "Two containers alone; their neighbours are counted.", topologies.swarm, {"focus": ("web", "client")}),
    ("broken", "An engine that is down, a node that is down, one that is idle.", topologies.broken, {}),
    ("crowd", "Forty containers on four nodes: of those alike, some are counted.", lambda: topologies.crowd(40, 4, 2), {}),
    ("folded", "A hundred and fifty containers: what there is no room for is counted.", lambda: topologies.crowd(150), {}),
]

TRACES = (
    ("outbound", "A packet's way out: what node1 does to its source address, and where."),
    ("published", "A packet's way in, through a published port."),
    ("dropped", "Two bridges, and the packet filter between them: as far as a packet got."),
    ("overlay", "A ping from one machine's container to another's, through the overlay's hidden namespaces and the LAN."),
)


def main() -> None:
    """Draw every case, and the page that shows them."""
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    GALLERY.mkdir(parents=True, exist_ok=True)
    lines = ["# Gallery", "", "Every kind of figure that netkit draws; made by `python tools/gallery.py`.", ""]
    for name, caption, make, options in CASES:
        lines += write(name, caption, draw.draw(make(), **options))
    diff = topologies.changed()
    lines += write(
        "diff",
        "What changed between two captures: one container more, one less, one with another address.",
        draw.draw(diff.after, diff=diff),
    )
    for name, caption in TRACES:
        lines += write(f"trace-{name}", caption, load(name).draw())
    (GALLERY / "README.md").write_text("\n".join(lines), encoding="utf-8")


def write(name: str, caption: str, figure) -> list[str]:
    """Write one figure; returns its lines of the page."""
    (GALLERY / f"{name}.png").write_bytes(draw.to_png(figure))
    return [f"## {caption}", "", f"![{caption}]({name}.png)", ""]


if __name__ == "__main__":
    main()
