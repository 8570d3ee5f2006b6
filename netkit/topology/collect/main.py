"""One machine's network as JSON on standard output: run on that machine, as its root."""

from __future__ import annotations

import gc
import json
import resource
import sys
import threading

from netkit.topology.collect.engine import SOCKET, read_engine
from netkit.topology.collect.namespaces import read_inode
from netkit.topology.collect.stacks import Stacks


def main() -> None:
    """Collect, and print; the engine's socket may be given as the only argument, "-" for no engine."""
    gc.disable()  # nothing here lives long enough to be collected
    json.dump(collect(sys.argv[1] if len(sys.argv) > 1 else SOCKET), sys.stdout, separators=(",", ":"))


def collect(engine_socket: str) -> dict:
    """Read kernel and engine side by side, then whatever has appeared between the two."""
    _raise_limit()
    engine: dict = {}
    asking = threading.Thread(target=lambda: engine.update(read_engine(engine_socket)))
    if engine_socket != "-":
        asking.start()
    stacks = Stacks()
    stacks.read()
    if engine_socket != "-":
        asking.join()
    for container in engine.get("containers", ()):
        container["inode"] = read_inode(container["pid"]) if container["pid"] else 0
    if any(container["inode"] and container["inode"] not in stacks for container in engine.get("containers", ())):
        stacks.read()
    stacks.fit()
    return {"engine": engine or None, "namespaces": stacks.to_json()}


def _raise_limit() -> None:
    """Two descriptors per namespace: as many as may be had."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
