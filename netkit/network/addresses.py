"""Addresses as tables have them, read once each: the same few stand in hundreds of rows."""

from __future__ import annotations

import functools
import ipaddress

from netkit.network.model import Ip

read_address, read_interface, read_subnet = (
    functools.lru_cache(4096)(read) for read in (ipaddress.ip_address, ipaddress.ip_interface, ipaddress.ip_network)
)


def read_ip(text: str | None) -> Ip | None:
    """An address, or None where a table has none; raises ValueError for what is no address."""
    return read_address(text) if text else None
