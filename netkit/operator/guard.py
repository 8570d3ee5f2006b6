"""The guard: a lab's life on one machine. It begins with this process, and ends when its standard input does.

That end comes however the lab ends: closed, killed, or cut off by the network. Then the guard removes what the
lab made here. While it lives it holds the machine's lock, an abstract unix socket (unix(7)): a name that is the
machine's, for all its users, that no file is left of, and that tells those who knock who is in.

    lab → {"lab": id, "name": …, "opener": …, "address": …, "members": […], "engine": true, "shared": false}
    guard → {"hello": facts}, or {"refused": why}
    lab → {"images": {tag: id}}          answered with {"noted": true}
    guard → {"closed": [what stays and why, …]}          after the end of input

The guard's modules are sent over by ssh, and run there with what is sent along alone (Python 3.9 or newer).
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import shutil
import signal
import socket
import sys
import threading

from netkit.hosts.netlink import Tables
from netkit.operator import guard_closing
from netkit.operator.guard_engine import LABEL, Ledger, Refusal, ask, connect, list_all, name_of, read_swarm
from netkit.operator.guard_proxy import Proxy

LOCK = "\0netkit-machine"
PREFIX = "netkit-guard-"
OLDEST = (20, 10)
ROOM = 100 << 20  # bytes: containers write logs and layers, the two images take 40 MB


def main() -> None:
    """Guard this machine for the lab that the first line of standard input tells of."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a lost connection ends the input as well
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    wishes = json.loads(sys.stdin.readline())
    try:
        hold_lock(wishes)
        kept = guard(wishes)
    except Refusal as error:
        return say({"refused": str(error)})
    except OSError as error:
        return say({"refused": f"cannot be prepared: {error}"})
    say({"closed": kept})


def say(message: dict) -> None:
    """Tell the lab, if it still listens."""
    with contextlib.suppress(OSError):
        os.write(1, json.dumps(message).encode() + b"\n")


def hold_lock(wishes: dict) -> None:
    """Be the only guard of this machine until this process ends; raises Refusal naming the other one."""
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        lock.bind(LOCK)
    except OSError:
        raise Refusal(f"is in use by {_ask_holder()}: close that first, a machine serves one lab at a time") from None
    lock.listen(8)
    about = json.dumps({key: wishes[key] for key in ("lab", "opener")}).encode()
    threading.Thread(target=_tell, args=(lock, about), daemon=True).start()


def _tell(lock: socket.socket, about: bytes) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = lock.accept()
            with client:
                client.sendall(about)


def _ask_holder() -> str:
    with contextlib.suppress(OSError, ValueError, KeyError), connect(LOCK, patience=2) as sock:
        about = json.loads(sock.recv(4096))
        return f"another lab, {about['lab']}, opened by {about['opener']}"
    return "another lab"


def guard(wishes: dict) -> list[str]:
    """Prepare, serve until the input ends, clear up; returns what stays, and why."""
    owner = int(os.environ.get("SUDO_UID") or os.geteuid())
    facts = {"hostname": socket.gethostname(), "architecture": platform.machine(), "version": "", "docker": ""}
    facts["prefix"] = find_prefix(wishes["address"], wishes["name"])
    if wishes["engine"]:
        facts["version"] = check_version()
        finish_others()
        check_room()
        if not wishes["shared"]:
            check_unused()
    directory = f"{base_directory()}/{PREFIX}{wishes['lab']}"
    os.mkdir(directory, 0o700)  # closed to everybody else but the user who came by ssh
    os.chown(directory, owner, -1)
    ledger, proxy = Ledger(wishes["lab"], directory), None
    try:
        if wishes["engine"]:
            ledger.note(before=guard_closing.read_before(), members=wishes["members"])
            facts |= {"docker": f"{directory}/docker.sock", "images": ledger.facts["before"]["images"]}
            proxy = Proxy(facts["docker"], owner, ledger)
        say({"hello": facts})
        for line in sys.stdin:
            ledger.note(images={**ledger.facts["images"], **json.loads(line)["images"]})
            say({"noted": True})
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if proxy:
            proxy.close()
        kept = guard_closing.close(ledger, wishes["engine"])
        shutil.rmtree(directory, ignore_errors=True)
    return kept


def base_directory() -> str:
    """Where what lives as long as a process is kept (file-hierarchy(7)); a socket's path has to be short."""
    own = f"/run/user/{os.geteuid()}"
    return "/run" if os.geteuid() == 0 else own if os.access(own, os.W_OK) else "/tmp"


def finish_others() -> None:
    """Do what guards of this user that were killed could not: the lock is ours, so none of them lives."""
    base = base_directory()
    for name in sorted(os.listdir(base)):
        path = f"{base}/{name}"
        if name.startswith(PREFIX) and os.lstat(path).st_uid in (os.geteuid(), int(os.environ.get("SUDO_UID") or -1)):
            ledger = Ledger.read(path)
            if ledger:
                guard_closing.close(ledger)
            shutil.rmtree(path, ignore_errors=True)
    for lab in guard_closing.find_labs():  # of whom nothing else is left: the machine was switched off meanwhile
        guard_closing.close(Ledger(lab, ""))


def find_prefix(address: str, name: str) -> int:
    """How many bits of its address are the network's; raises Refusal if this machine has no such address."""
    with Tables() as tables:
        found = dict(text.split("/") for _, text in tables.read_addresses())
    if address not in found:
        others = ", ".join(each for each in found if not each.startswith(("127.", "::1", "fe80")))
        raise Refusal(f"has no address {address} (it has {others or 'none'}): correct the address of {name} in the inventory")
    return int(found[address])


def check_version() -> str:
    """The engine's version; raises Refusal for one that does not answer or is too old."""
    try:
        found = ask("GET", "/version")["Version"].partition("+")[0]
    except Refusal as error:
        raise Refusal(f"cannot be used: {error}") from None
    if tuple(int(part) for part in re.findall(r"\d+", found)[:2]) < OLDEST:
        raise Refusal(f"has Docker {found}, netkit needs 20.10 or newer: upgrade the engine there")
    return found


def check_room() -> None:
    """Raises Refusal for a full disk."""
    directory = ask("GET", "/info").get("DockerRootDir") or "/var/lib/docker"
    with contextlib.suppress(PermissionError, FileNotFoundError):
        room = os.statvfs(directory)
        free = room.f_bavail * room.f_frsize
        if free < ROOM:
            raise Refusal(f"has a full disk: {free >> 20} MB are free in {directory}, netkit wants {ROOM >> 20}; make room there")


def check_unused() -> None:
    """Raises Refusal if somebody uses this engine already."""
    told = "or, if its people agree, set shared = true: closing never removes what is theirs"
    if read_swarm()["active"]:
        raise Refusal(f"is in a swarm that no lab of this kind made: leave that first (`docker swarm leave`), {told}")
    running = sorted(name_of(row) for row in list_all("containers") if LABEL not in row["Labels"])
    if running:
        raise Refusal(f"runs containers of somebody else ({', '.join(running[:5])}): stop them first, {told}")
