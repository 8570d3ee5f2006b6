"""What the classes of the model share: kinds of addresses, and the order tuples are put in."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

Address = ipaddress.IPv4Interface | ipaddress.IPv6Interface
Ip = ipaddress.IPv4Address | ipaddress.IPv6Address
Subnet = ipaddress.IPv4Network | ipaddress.IPv6Network


def sort(value: object, **keys: Callable) -> None:
    """Put the named tuples of a value that is being made in order, each by its key."""
    for name, key in keys.items():
        items = getattr(value, name)
        if len(items) > 1:
            object.__setattr__(value, name, tuple(sorted(items, key=key)))


def by_name(value) -> str:
    return value.name


def by_address(address) -> tuple:
    """IPv4 first; for addresses, interfaces and networks alike."""
    return (address.version, address)
