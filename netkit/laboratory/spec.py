"""What a lab is made of, as plain data: pure functions from wishes to a specification.

The specification is all that the lab's own processes get to know (see :mod:`netkit.laboratory.inside`).
"""

from __future__ import annotations

import ipaddress
import os
import secrets
import sys
import sysconfig
from dataclasses import dataclass

from netkit import places
from netkit.errors import LabError
from netkit.laboratory.engine import SYSTEM_PATH, Engine
from netkit.laboratory.inside import covers, limits
from netkit.laboratory.inside.dockerd import PID, RUNC, STATE, STOPPED
from netkit.laboratory.inside.mounts import BIN, WORKPLACES

INVENTORY = "NETKIT_MACHINES"  # names an inventory file: labs are made of those real machines
MACHINES_LAB = "NETKIT_MACHINES_LAB"  # set for what runs in such a lab: its private directory
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # what the package lies in
LAN = ipaddress.ip_network("192.168.59.0/24")
OUTSIDE = "outside"
OUTSIDE_ADDRESS = LAN[254]
MAX_NODES = 64
# the caller's settings that would lead docker elsewhere, or a process of the lab astray
SCRUBBED_PREFIXES = (
    *("DOCKER_", "COMPOSE_", "BUILDX_", "BUILDKIT_", "CONTAINERD_", "CONTAINER_", "PODMAN_", "TESTCONTAINERS_"),
    *("NOTIFY_", "LD_", "JPY_", "BASH_FUNC_"),
)
SCRUBBED = {
    *("DBUS_SESSION_BUS_ADDRESS", "DBUS_SYSTEM_BUS_ADDRESS", "XDG_RUNTIME_DIR", "TMPDIR", "LISTEN_FDS", "LISTEN_PID"),
    *("BASH_ENV", "ENV", "PROMPT_COMMAND", "CURL_HOME", "WGETRC", "NETRC", "NETKIT_MODE", "NETKIT_ENGINE"),
}
LOCALE = ("LANG", "LC_")
DOCKER_CONFIG = "/run/docker-config"
SERVICES = tuple(f"{place}/" for place in covers.SYSTEM)  # where the homes of users lie that are no persons
ENGINE_SERVICE = "/etc/init.d/docker"  # on a node: stops and starts its engine, as on a machine without systemd


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


def check_count(nodes: int) -> int:
    """``nodes`` itself if a lab can have that many; raises LabError."""
    if not 1 <= nodes <= MAX_NODES:
        raise LabError(f"a lab has 1 to {MAX_NODES} nodes, not {nodes}: each is an engine of about 130 MB")
    return nodes


def build_spec(wishes: Wishes, mode: str, engine: Engine, seed: str | None, version: str) -> dict:
    """The specification of a lab, ready for its first process; raises LabError for impossible wishes."""
    names = [f"node{number}" for number in range(1, check_count(wishes.nodes) + 1)]
    addresses = {name: LAN[number] for number, name in enumerate(names, 1)} | {OUTSIDE: OUTSIDE_ADDRESS}
    environment = lab_environment(dict(os.environ)) | places.spare_settings()
    keep = _visible_paths((*wishes.keep, *map(os.path.dirname, engine.commands.values())), environment["PATH"])
    netkit = os.path.join(sysconfig.get_path("scripts"), "netkit")
    any_host = {
        "netmask": str(LAN.netmask),
        "keep": keep,
        "files": _host_files(addresses),
        "commands": {"netkit": netkit} if os.path.exists(netkit) else {},  # put first on a host's PATH
        "engine": None,
    }
    node = any_host | {
        "files": any_host["files"] | _node_files(engine),
        "commands": any_host["commands"] | engine.commands,
        "engine": _engine_spec(engine, environment),
    }
    hosts = {}
    for name, address in addresses.items():
        own = {"address": str(address), "mac": mac_for(address), "environment": environment | {"NETKIT_NODE": name}}
        hosts[name] = (any_host if name == OUTSIDE else node) | own
        hosts[name]["files"] = hosts[name]["files"] | {"/etc/hostname": f"{name}\n"}
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
    start = [*names[: wishes.start], OUTSIDE]
    most = limits.MAX_PROCESSES
    return {"public": public, "hosts": hosts, "start": start, "seed": seed, "homes": _homes(), "keep": keep, "max_processes": most}


def mac_for(address: ipaddress.IPv4Address) -> str:
    """A fixed, locally administered MAC that shows the address: 52:54:c0:a8:3b:01 for 192.168.59.1."""
    return "52:54:" + ":".join(f"{byte:02x}" for byte in address.packed)


def leads_out(name: str) -> bool:
    """Whether an environment variable of a caller has no place in a lab; proxies are in whatever letters."""
    return name in SCRUBBED or name.startswith(SCRUBBED_PREFIXES) or name.lower().endswith("_proxy")


def lab_environment(caller: dict[str, str]) -> dict[str, str]:
    """A caller's environment without what would lead docker or the engine out of the lab, in a host's own locale."""
    kept = {name: value for name, value in caller.items() if not leads_out(name) and not name.startswith(LOCALE)}
    kept["LANG"] = calc_locale(caller)
    # the docker CLI's own settings on the lab; DOCKER_CONFIG also hides the caller's contexts
    kept |= {"container": "docker", "DOCKER_CONFIG": DOCKER_CONFIG, "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent"}
    caller_path = [part for part in kept.get("PATH", "").split(":") if part and part != BIN]
    system = [part for part in SYSTEM_PATH.split(":") if part not in caller_path]
    kept["PATH"] = ":".join([BIN, *caller_path, *system])
    return kept


def calc_locale(caller: dict[str, str]) -> str:
    """The locale of a lab's hosts: everywhere there, and what commands say is what a text quotes; signs are encoded as the caller's are.

    Which variable counts: setlocale(3). Without any, as in a service, Python and terminals expect UTF-8 (PEP 538).
    """
    named = next(filter(None, map(caller.get, ("LC_ALL", "LC_CTYPE", "LANG"))), "C.UTF-8")
    return "C.UTF-8" if named.partition("@")[0].lower().endswith(("utf-8", "utf8")) else "C"


def check_workplace() -> None:
    """Raise LabError if the working directory is none, or one that each host of a lab has for itself."""
    try:
        here = os.getcwd()
    except FileNotFoundError:
        raise LabError("the working directory has been deleted: change to one that exists") from None
    if here in WORKPLACES and here != "/tmp":
        raise LabError(f"{here} is each host's own in a lab, and what is written there is lost: change to a directory of your own")


def _visible_paths(wanted: tuple[str, ...], path: str) -> list[str]:
    """All that stays visible though it may lie below a place that is hidden or covered.

    That is what the lab's programs live in, what the opener wants, what a user's Python is found in, and where a user works.
    """
    python = map(_version_manager, [ROOT, sys.prefix, sys.base_prefix, *filter(os.path.isabs, sys.path)])
    home = places.home()
    kept = places.ensure_dirs(places.kept_dirs()) if home else []
    work = [_workplace(os.getcwd()), *([_workplace(home)] if home else [])]
    return [*wanted, *python, *filter(os.path.isabs, path.split(":")), *kept, *work]


def _workplace(directory: str) -> str:
    """What stays visible around a directory that somebody works in: where it lies in a hidden place, the topmost one below that.

    So ``../data`` is what it is elsewhere. Below /run, where others' sockets are, and in an engine's own data, only the directory.
    """
    for place in WORKPLACES:
        first = directory.removeprefix(place + "/").split("/")[0]
        if directory.startswith(place + "/") and place != "/run" and first not in ("docker", "containerd"):
            return f"{place}/{first}"
    return directory


def _version_manager(path: str) -> str:
    """Of a directory of Python's in a dot directory of a home, as ~/.pyenv/versions/3.12: all of that; else the directory itself.

    Not of those that many programs share, ~/.local for example.
    """
    home = os.path.realpath(places.home() or "/nonexistent")
    first = path.removeprefix(home + "/").split("/")[0]
    shared = not first.startswith(".") or first in (".local", ".cache", ".config", ".docker")
    return path if shared or not path.startswith(home + "/") else f"{home}/{first}"


def _homes() -> list[str]:
    """The homes whose dot files a shell of the lab would read: the caller's; for root, as ``su - USER`` goes there, every person's."""
    homes = [places.home(), places.home_in_passwd()]
    if os.geteuid() == 0:  # of this machine's own users: to look into all homes of a directory service may mount each of them
        with open("/etc/passwd", encoding="utf-8", errors="surrogateescape") as file:
            entries = [line.split(":") for line in file]
        homes += [entry[5] for entry in entries if len(entry) == 7 and not f"{entry[5]}/".startswith(SERVICES)]
    return [home for home in dict.fromkeys(homes) if home and home != "/" and os.path.isdir(home)]


def _host_files(addresses: dict[str, ipaddress.IPv4Address]) -> dict[str, str]:
    """What every host has in place of the machine's own files: path → text."""
    # leads_out, as an extended regular expression (regex(7))
    prefixes = [f"{prefix}[A-Za-z0-9_]*" for prefix in SCRUBBED_PREFIXES]
    pattern = "|".join([*prefixes, *sorted(SCRUBBED), "[A-Za-z0-9_]*_[Pp][Rr][Oo][Xx][Yy]"])
    hosts = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n"
    return {
        "/etc/hosts": hosts + "".join(f"{address}\t{host}\n" for host, address in addresses.items()),
        # nobody listens there: a look-up is refused at once, where no server at all would be waited for
        "/etc/resolv.conf": "nameserver 127.0.0.1\noptions attempts:1 timeout:1\n",
        "/etc/profile.d/zz-netkit.sh": _template("profile.sh", LEADS_OUT=pattern),
        "/etc/bash.bashrc": _template("bash.bashrc"),
        "/etc/environment": "",  # variables for those who log in (pam_env(8)): here su
    }


def _node_files(engine: Engine) -> dict[str, str]:
    """What a node has instead of a machine's own programs: path → text."""
    return {
        RUNC: _template("runc", RUNC=engine.commands["runc"]),
        ENGINE_SERVICE: _template("docker", STATE=STATE, STOPPED=STOPPED, PID=PID),
        f"{BIN}/systemctl": _template("systemctl", SERVICE=ENGINE_SERVICE),
    }


def _template(name: str, **words: str) -> str:
    """A file of netkit/laboratory/node, with ``@NAME@`` replaced by what a lab's node has."""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "node", name), encoding="utf-8") as file:
        text = file.read()
    for word, value in {"BIN": BIN, "DOCKER_CONFIG": DOCKER_CONFIG, **words}.items():
        text = text.replace(f"@{word}@", value)
    return text


def _engine_spec(engine: Engine, environment: dict[str, str]) -> dict:
    directories = dict.fromkeys(os.path.dirname(path) for path in engine.commands.values())
    return {
        "dockerd": engine.dockerd,
        "config": {
            "storage-driver": "overlay2",
            "features": {"containerd-snapshotter": False},
            # containers' look-ups end here too, and never at a resolver of the world outside
            "dns": [str(OUTSIDE_ADDRESS)],
        },
        "environment": environment
        | {
            # first what stands before runc: the engine finds it by name, whatever a learner writes into daemon.json
            "PATH": ":".join([os.path.dirname(RUNC), *directories, SYSTEM_PATH]),
            # docker_gwbridge wants br_netfilter; where it cannot be had, a lab does without (moby, ≥ 27.5.1)
            "DOCKER_IGNORE_BR_NETFILTER_ERROR": "1",
            # a third of an engine's start is its garbage collector's (measured by benchmarks/boot.py):
            # let the heap grow at first, and collect as usual once it is of some size (Go's runtime package)
            "GOGC": "400",
            "GOMEMLIMIT": "64MiB",
        },
    }
