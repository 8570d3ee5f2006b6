"""One machine's network as JSON on standard output: run on that machine, as its root.

Starting Python takes longer than reading a small machine, so one process serves many captures.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import sys
import threading

from netkit.hosts.engine import SOCKET, read_engine
from netkit.hosts.namespaces import read_inode
from netkit.hosts.stacks import Stacks
from netkit.laboratory.inside.syscalls import set_process_name


def main() -> None:
    """Print one line of JSON for each line read, until there is no more; without "--serve", one in all.

    The last argument may be the engine's socket; "-" is for a machine without an engine.
    """
    words = [word for word in sys.argv[1:] if word != "--serve"]
    engine_socket = words[0] if words else SOCKET
    gc.disable()  # what a capture makes is freed when it is let go
    if os.geteuid() != 0:
        sys.exit("reading network namespaces needs root there: log in as root, or set sudo = true in the inventory")
    _raise_limit()
    set_process_name("netkit-collect")
    for _ in sys.stdin if "--serve" in sys.argv else ("",):
        sys.stdout.write(json.dumps(collect(engine_socket), separators=(",", ":")) + "\n")
        sys.stdout.flush()


def collect(engine_socket: str) -> dict:
    """Read kernel and engine side by side, then whatever has appeared between the two."""
    engine: dict = {}
    asking = threading.Thread(target=lambda: engine.update(read_engine(engine_socket)))
    if engine_socket != "-":
        asking.start()
    with contextlib.closing(Stacks()) as stacks:
        stacks.read()
        if engine_socket != "-":
            asking.join()
        containers = engine.get("containers", ())
        for container in containers:
            container["inode"] = read_inode(container["pid"]) if container["pid"] else 0
        if any(container["inode"] and container["inode"] not in stacks for container in containers):
            stacks.read()
        stacks.fit()
        return {"engine": engine or None, "namespaces": stacks.to_json()}


def _raise_limit() -> None:
    """Two descriptors per namespace: as many as may be had."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
