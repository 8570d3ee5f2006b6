"""What a lab is made of, as plain data: pure functions from wishes to a specification.

The specification is all that the lab's own processes get to know (see :mod:`netkit.lab.inside`).
"""

from __future__ import annotations

import ipaddress
import os
import secrets
import sys
import sysconfig
from dataclasses import dataclass

from netkit.errors import LabError
from netkit.lab.engine import SYSTEM_PATH, Engine
from netkit.lab.inside import limits
from netkit.lab.inside.mounts import BIN

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # what the package lies in
LAN = ipaddress.ip_network("192.168.59.0/24")
OUTSIDE = "outside"
OUTSIDE_ADDRESS = LAN[254]
MAX_NODES = 64
HOST_SIZE = 1 << 30  # bytes of one host's tmpfs, at most
# the caller's settings that would lead docker elsewhere, or a process of the lab astray
SCRUBBED_PREFIXES = ("DOCKER_", "COMPOSE_", "BUILDX_", "BUILDKIT_", "CONTAINERD_", "CONTAINER_", "NOTIFY_", "LD_", "JPY_")
SCRUBBED = {
    *("DBUS_SESSION_BUS_ADDRESS", "DBUS_SYSTEM_BUS_ADDRESS", "XDG_RUNTIME_DIR", "TMPDIR", "LISTEN_FDS", "LISTEN_PID"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "NETKIT_MODE", "NETKIT_ENGINE"),
}

RUNC_SHIM = """#!/bin/sh
# Stands before runc. In a user namespace an engine may not write control groups, so the bundle must
# not ask for them: the two settings are renamed, and runc ignores names it does not know. A quote
# inside a JSON string is always escaped, so nothing but these two keys can match.
last=
bundle=
for word; do
    case $last in --bundle | -b) bundle=$word ;; esac
    last=$word
done
case " $* " in *" create "* | *" run "*)
    [ -z "$bundle" ] || sed -i 's/"cgroupsPath":"/"noCgroupsPath":"/; s/"resources":{/"noResources":{/' "$bundle/config.json" ;;
esac
exec RUNC "$@"
"""

PROFILE = """# a shell on a host of the lab
PATH=%(bin)s:$PATH
export container=docker
HISTFILE=
[ -z "${BASH_VERSION:-}" ] || PS1='\\[\\e[1;32m\\]\\u@\\h\\[\\e[0m\\]:\\w\\$ '
unset DOCKER_HOST DOCKER_CONTEXT DOCKER_TLS_VERIFY DOCKER_CERT_PATH
export DOCKER_CONFIG=/run/docker-config
"""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the opener of a lab may ask for.

    ``nodes`` is how many the lab has, ``start`` how many of them are started at once (the others on
    first use), ``keep`` paths that must stay visible on every host, ``label`` what the lab is for.
    """

    nodes: int = 2
    start: int = 1
    keep: tuple[str, ...] = ()
    label: str = ""


def node_name(number: int) -> str:
    """The name of node ``number``, counted from 1."""
    return f"node{number}"


def node_address(number: int) -> ipaddress.IPv4Address:
    """The LAN address of node ``number``, counted from 1."""
    return LAN[number]


def check_count(nodes: int) -> int:
    """``nodes`` itself if a lab can have that many; raises LabError."""
    if not 1 <= nodes <= MAX_NODES:
        raise LabError(f"a lab has 1 to {MAX_NODES} nodes, not {nodes}: each is an engine of about 130 MB")
    return nodes


def build_spec(wishes: Wishes, mode: str, engine: Engine, seed: str | None, version: str) -> dict:
    """The specification of a lab, ready for its first process; raises LabError for impossible wishes."""
    nodes = check_count(wishes.nodes)
    names = [node_name(number) for number in range(1, nodes + 1)]
    addresses = {name: node_address(number) for number, name in enumerate(names, 1)} | {OUTSIDE: OUTSIDE_ADDRESS}
    public = {
        "id": secrets.token_hex(4),
        "mode": mode,
        "nodes": names,
        "addresses": {name: str(address) for name, address in addresses.items()},
        "lan": str(LAN),
        "engine": version,
        "label": wishes.label,
        "opener": os.getpid(),
    }
    environment = lab_environment(dict(os.environ))
    keep = _visible_paths((*wishes.keep, *map(os.path.dirname, engine.commands.values())))
    node_engine = _engine_spec(engine, environment)
    hosts = {}
    for name, address in addresses.items():
        hosts[name] = {
            "address": str(address),
            "netmask": str(LAN.netmask),
            "mac": mac_for(address),
            "size": HOST_SIZE,
            "keep": keep,
            "files": _etc_files(name, addresses),
            "commands": _commands(engine, name != OUTSIDE),
            "environment": environment | {"NETKIT_NODE": name},
            "engine": node_engine if name != OUTSIDE else None,
        }
    return {
        "public": public,
        "hosts": hosts,
        "start": [*names[: wishes.start], OUTSIDE],
        "seed": seed,
        "max_processes": limits.MAX_PROCESSES,
    }


def mac_for(address: ipaddress.IPv4Address) -> str:
    """A fixed, locally administered MAC that shows the address: 52:54:c0:a8:3b:01 for 192.168.59.1."""
    return "52:54:" + ":".join(f"{byte:02x}" for byte in address.packed)


def lab_environment(caller: dict[str, str]) -> dict[str, str]:
    """A caller's environment without what would lead docker or the engine out of the lab."""
    kept = {name: value for name, value in caller.items() if name not in SCRUBBED and not name.startswith(SCRUBBED_PREFIXES)}
    # the docker CLI's own settings on the lab; DOCKER_CONFIG also hides the caller's contexts
    kept |= {"container": "docker", "DOCKER_CONFIG": "/run/docker-config", "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent"}
    caller_path = [part for part in kept.get("PATH", "").split(":") if part and part != BIN]
    system = [part for part in SYSTEM_PATH.split(":") if part not in caller_path]
    kept["PATH"] = ":".join([BIN, *caller_path, *system])
    return kept


def _visible_paths(wanted: tuple[str, ...]) -> list[str]:
    """Everything the lab's own programs live in, and what the opener wants to stay visible."""
    return [*wanted, ROOT, sys.prefix, sys.base_prefix, os.getcwd()]


def _etc_files(name: str, addresses: dict[str, ipaddress.IPv4Address]) -> dict[str, str]:
    hosts = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n"
    hosts += "".join(f"{address}\t{host}\n" for host, address in addresses.items())
    return {
        "/etc/hosts": hosts,
        "/etc/hostname": f"{name}\n",
        # nobody listens there: a look-up is refused at once, where no server at all would be waited for
        "/etc/resolv.conf": "nameserver 127.0.0.1\noptions attempts:1 timeout:1\n",
        "/etc/profile.d/zz-netkit.sh": PROFILE % {"bin": BIN},
    }


def _commands(engine: Engine, node: bool) -> dict[str, str]:
    """Programs put first on a host's PATH: netkit itself, and the engine's own on a node."""
    netkit = os.path.join(sysconfig.get_path("scripts"), "netkit")
    commands = {"netkit": netkit} if os.path.exists(netkit) else {}
    return {**commands, **engine.commands} if node else commands


def _engine_spec(engine: Engine, environment: dict[str, str]) -> dict:
    directories = dict.fromkeys(os.path.dirname(path) for path in engine.commands.values())
    return {
        "dockerd": engine.dockerd,
        "runc_shim": RUNC_SHIM.replace("RUNC", engine.commands["runc"]),
        "config": {
            "runtimes": {"lab": {"path": "/run/netkit-runc"}},
            "default-runtime": "lab",
            "storage-driver": "overlay2",
            "features": {"containerd-snapshotter": False},
            # containers' look-ups end here too, and never at a resolver of the world outside
            "dns": [str(OUTSIDE_ADDRESS)],
        },
        "environment": environment
        | {
            "PATH": ":".join([*directories, SYSTEM_PATH]),
            # docker_gwbridge wants br_netfilter; where it cannot be had, a lab does without (moby, ≥ 27.5.1)
            "DOCKER_IGNORE_BR_NETFILTER_ERROR": "1",
            # a third of an engine's start is its garbage collector's (measured by benchmarks/boot.py):
            # let the heap grow at first, and collect as usual once it is of some size (Go's runtime package)
            "GOGC": "400",
            "GOMEMLIMIT": "64MiB",
        },
    }
