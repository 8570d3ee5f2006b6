"""For pytest: cells of notebooks that need what this machine's kernel lacks are skipped, with the reason in sight.

Such a cell bears the tag ``needs-FEATURE``; for learners, the first one of a section says so itself.
"""

from __future__ import annotations

import contextlib
import socket

import pytest


def has_ipv6() -> bool:
    """Whether this kernel has IPv6, in whatever network namespace."""
    with contextlib.suppress(OSError):
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).close()
        return True
    return False


FEATURES = {"needs-ipv6": ("IPv6", has_ipv6)}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark nbval's items, one a cell."""
    lacking = {tag: name for tag, (name, is_there) in FEATURES.items() if not is_there()}
    for item in items:
        for tag in getattr(item, "cell", {}).get("metadata", {}).get("tags", ()):
            if tag in lacking:
                item.add_marker(pytest.mark.skip(reason=f"this kernel has no {lacking[tag]}"))
