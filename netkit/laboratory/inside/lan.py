"""The LAN: a bridge in the lab's first network namespace, one cable to each host, and what a host's end of it is set to.

The bridge has a namespace of its own because bridged frames pass the FORWARD chain wherever br_netfilter is
loaded: on the machine's own rules they would be dropped, in an empty namespace they pass.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct

from netkit.laboratory.inside.wire import Trouble

BRIDGE = "lan"
# <linux/sockios.h>, <linux/if.h>
SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK = 0x8914, 0x8916, 0x891C
IFF_UP, IFF_RUNNING = 0x1, 0x40
CONF = "/proc/sys/net/ipv4/conf"
# what decides who answers, who forwards and what is thrown away; values as Linux is compiled with (devinet.c)
ZERO = ("forwarding", "rp_filter", "arp_ignore", "arp_announce", "arp_filter", "accept_local", "route_localnet", "proxy_arp")
OWN = {**dict.fromkeys((*ZERO, "promote_secondaries"), "0"), "send_redirects": "1"}


def run_ip(commands: list[str]) -> None:
    """Run ``ip -batch`` on some commands; raises Trouble with what ``ip`` said."""
    script, said = os.memfd_create("ip-batch"), os.memfd_create("ip-stderr")
    try:
        os.write(script, "".join(command + "\n" for command in commands).encode())
        os.lseek(script, 0, os.SEEK_SET)
        files = [(os.POSIX_SPAWN_DUP2, script, 0), (os.POSIX_SPAWN_DUP2, said, 1), (os.POSIX_SPAWN_DUP2, said, 2)]
        pid = os.posix_spawnp("ip", ["ip", "-batch", "-"], os.environ, file_actions=files)
        if os.waitpid(pid, 0)[1]:
            os.lseek(said, 0, os.SEEK_SET)
            raise Trouble(f"ip -batch ({'; '.join(commands)}): {os.read(said, 4096).decode().strip()}")
    finally:
        os.close(script)
        os.close(said)


def create() -> list[str]:
    """The commands that make the bridge. No STP and no snooping: a port forwards from its first moment."""
    return ["link set lo up", f"link add {BRIDGE} type bridge forward_delay 0 stp_state 0 mcast_snooping 0", f"link set {BRIDGE} up"]


def plug(name: str, pid: int, mac: str) -> list[str]:
    """The commands that run a cable from the bridge to the network namespace of ``pid``, as its eth0."""
    return [f"link add {name} type veth peer name eth0 address {mac} netns {pid}", f"link set {name} master {BRIDGE} up"]


def unplug(name: str) -> None:
    """Take a host's cable away; the kernel does so too, but some time after the host has ended."""
    with contextlib.suppress(Trouble):
        run_ip([f"link delete {name}"])


def configure(address: str, netmask: str) -> None:
    """Inside a host: give eth0 its address, and bring it and lo up (netdevice(7)); raises OSError.

    Three requests to the kernel, where three programs would compete with the engines that start now.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for request, value in ((SIOCSIFADDR, address), (SIOCSIFNETMASK, netmask)):
            where = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(value))
            fcntl.ioctl(sock, request, struct.pack("16s16s", b"eth0", where))
        for name in (b"lo", b"eth0"):
            fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sH14x", name, IFF_UP | IFF_RUNNING))


def reset_settings() -> None:
    """Inside a host: give its network namespace the kernel's own settings, whatever the machine's are; raises OSError.

    A new network namespace copies the IPv4 settings of the machine's first one (net/ipv4/devinet.c, devinet_init_net, unless
    net.core.devconf_inherit_init_net says otherwise). On a machine that forwards packets, as any with a Docker engine
    does, a node would forward from the start, and its engine would leave the policy of FORWARD at ACCEPT: dockerd sets it
    to DROP only where it switches forwarding on itself (libnetwork, setup_ip_forwarding.go).
    """
    # "default" is what interfaces begin with that come from now on, so it is first; then those that are there
    for place in ("default", "all", *sorted(set(os.listdir(CONF)) - {"default", "all"})):
        for name, value in OWN.items():
            path = f"{CONF}/{place}/{name}"
            with contextlib.suppress(FileNotFoundError):  # an older kernel, or an interface that has gone
                with open(path, encoding="ascii") as file:
                    known = file.read().strip()
                if known != value:
                    with open(path, "w", encoding="ascii") as file:  # the kernel takes a value at the file's beginning alone
                        file.write(value)
