"""The LAN: a bridge in the lab's first network namespace, one cable to each host.

It has a namespace of its own because bridged frames pass the FORWARD chain wherever br_netfilter is
loaded: on the machine's own rules they would be dropped, in an empty namespace they pass.
"""

from __future__ import annotations

import contextlib
import subprocess

from netkit.lab.inside.wire import Trouble

BRIDGE = "lan"


def run_ip(commands: list[str]) -> None:
    """Run ``ip -batch`` on some commands; raises Trouble with what ``ip`` said."""
    done = subprocess.run(["ip", "-batch", "-"], input="\n".join(commands) + "\n", text=True, capture_output=True)
    if done.returncode:
        raise Trouble(f"ip -batch ({'; '.join(commands)}): {done.stderr.strip()}")


def create() -> None:
    """Make the bridge. No STP and no snooping: a port forwards from its first moment."""
    run_ip(
        [
            "link set lo up",
            f"link add {BRIDGE} type bridge forward_delay 0 stp_state 0 mcast_snooping 0",
            f"link set {BRIDGE} up",
        ]
    )


def plug(name: str, pid: int, mac: str) -> None:
    """Run a cable from the bridge to the network namespace of process ``pid``, as its eth0."""
    run_ip(
        [
            f"link add {name} type veth peer name eth0 address {mac} netns {pid}",
            f"link set {name} master {BRIDGE} up",
        ]
    )


def unplug(name: str) -> None:
    """Take a host's cable away; the kernel does so too, but some time after the host has ended."""
    with contextlib.suppress(Trouble):
        run_ip([f"link delete {name}"])


def configure(address: str) -> None:
    """Inside a host: bring up lo and eth0 (``address`` with its prefix length)."""
    run_ip(["link set lo up", f"address add {address} dev eth0", "link set eth0 up"])
