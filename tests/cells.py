"""For pytest: a notebook's cell that fails shows all it has said, one that needs what this machine's kernel lacks is skipped, with the reason.

The latter bears the tag ``needs-FEATURE``; for learners, the first one of a section says so itself.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable

import pytest


def has_ipv6() -> bool:
    """Whether this kernel has IPv6, in whatever network namespace."""
    with contextlib.suppress(OSError):
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).close()
        return True
    return False


FEATURES = {"needs-ipv6": ("IPv6", has_ipv6)}


def find_lacking(tags: Iterable[str]) -> list[str]:
    """What a cell with these tags needs, and this kernel has not."""
    return [FEATURES[tag][0] for tag in tags if tag in FEATURES and not FEATURES[tag][1]()]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark nbval's items, one a cell."""
    for item in items:
        for lacking in find_lacking(getattr(item, "cell", {}).get("metadata", {}).get("tags", ())):
            item.add_marker(pytest.mark.skip(reason=f"this kernel has no {lacking}"))


def pytest_exception_interact(node: pytest.Item, report: pytest.TestReport) -> None:
    """nbval names the fields that were not expected, such as stderr, but not what is in them."""
    for output in getattr(node, "test_outputs", None) or ():
        report.sections.append((f"The cell's {output.get('name', output['output_type'])}", output.get("text") or repr(output)[:2000]))
