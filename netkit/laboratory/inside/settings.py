"""A host's network settings: the kernel's own, whatever the machine's are.

A new network namespace copies the IPv4 settings of the machine's first one (net/ipv4/devinet.c, devinet_init_net, unless
net.core.devconf_inherit_init_net says otherwise). On a machine that forwards packets, as any with a Docker engine
does, a node would forward from the start, and its engine would leave the policy of FORWARD at ACCEPT: dockerd sets it
to DROP only where it switches forwarding on itself (libnetwork, setup_ip_forwarding.go).
"""

from __future__ import annotations

import os

CONF = "/proc/sys/net/ipv4/conf"
# what decides who answers, who forwards and what is thrown away; values as Linux is compiled with (devinet.c)
OWN = {
    "forwarding": "0",
    "rp_filter": "0",
    "arp_ignore": "0",
    "arp_announce": "0",
    "arp_filter": "0",
    "accept_local": "0",
    "route_localnet": "0",
    "proxy_arp": "0",
    "promote_secondaries": "0",
    "send_redirects": "1",
}


def reset() -> None:
    """Give the calling process's network namespace the kernel's own settings; raises OSError."""
    # "default" is what interfaces begin with that come from now on, so it is first; then those that are there
    for place in ("default", "all", *sorted(set(os.listdir(CONF)) - {"default", "all"})):
        for name, value in OWN.items():
            _write(f"{CONF}/{place}/{name}", value)


def _write(path: str, value: str) -> None:
    try:
        with open(path, encoding="ascii") as file:
            known = file.read().strip()
        if known != value:
            with open(path, "w", encoding="ascii") as file:  # the kernel takes a value at the file's beginning alone
                file.write(value)
    except FileNotFoundError:
        pass  # an older kernel, or an interface that has gone
