"""Which real machines a lab consists of: a small TOML file, read and checked. Pure but for the reading.

lan = "192.168.59.0/24"             # optional: what joins the machines (found out on node1 unless told)
known_hosts = "known_hosts"         # optional: instead of the user's own

[machines.node1]
ssh = "local"                       # where the kernel runs
address = "192.168.59.1"

[machines.node2]
ssh = "vagrant@192.168.59.2:22"     # user and port may be left out
key = "id_ed25519"                  # optional: a private key, relative to this file
sudo = true                         # optional: commands there are run with sudo

[outside]                           # optional: a host without an engine
ssh = "root@192.168.59.254"
"""

from __future__ import annotations

import ipaddress
import itertools
import os
import re
import tomllib
from dataclasses import dataclass

from netkit.errors import LabError
from netkit.laboratory.spec import INVENTORY as VARIABLE
from netkit.laboratory.spec import MAX_NODES, OUTSIDE

LOCAL = "local"
FIRST = "node1"
TOP = {"lan": object, "known_hosts": str, "machines": object, OUTSIDE: object}
FIELDS = {"ssh": str, "key": str, "known_hosts": str, "address": str, "sudo": bool, "shared": bool}
KINDS = {str: "a text in quotes", bool: "true or false"}
NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
# a name that begins with "-" would be an option to ssh
TARGET = re.compile(r"(?:(?P<user>[A-Za-z0-9_][\w.-]*)@)?(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_][\w.-]*)(?::(?P<port>\d{1,5}))?")


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine of an inventory.

    ``user``, ``host`` and ``port`` are for ssh (``host`` is "" for the machine the kernel runs on, ``user``
    and ``port`` may be "" and 0: as ssh's own configuration has it); ``key`` and ``known_hosts`` are paths,
    or ""; ``address`` is the one the machines know each other by. ``sudo``: commands are run with sudo.
    ``shared``: the machine may be in use already. ``engine``: it is a Docker node.
    """

    name: str
    address: ipaddress.IPv4Address | ipaddress.IPv6Address
    user: str = ""
    host: str = ""
    port: int = 0
    key: str = ""
    known_hosts: str = ""
    sudo: bool = False
    shared: bool = False
    engine: bool = True

    @property
    def where(self) -> str:
        """How people call it: "local", or user@host:port."""
        user = f"{self.user}@" if self.user else ""
        port = f":{self.port}" if self.port else ""
        return f"{user}{self.host}{port}" if self.host else LOCAL


@dataclass(frozen=True, slots=True)
class Inventory:
    """The machines of a lab, node1 first, ``outside`` (if there is one) last; ``lan`` is None unless told."""

    machines: tuple[Machine, ...]
    lan: ipaddress.IPv4Network | ipaddress.IPv6Network | None = None

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of the Docker nodes."""
        return tuple(machine.name for machine in self.machines if machine.engine)


def read_inventory(path: str) -> Inventory:
    """Read an inventory file; raises LabError with one sentence on what is wrong with it."""
    try:
        with open(path, "rb") as file:
            table = tomllib.load(file)
    except OSError as error:
        raise LabError(f"the inventory {path} cannot be read ({error.strerror}): {VARIABLE} has to name a file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        said = re.sub(r".*Cannot declare \('machines', '([^']+)'\) twice", r"two machines are called \1", str(error))
        raise LabError(f"the inventory {path} is no TOML: {said}") from None
    try:
        return build_inventory(table, os.path.dirname(os.path.abspath(path)))
    except ValueError as error:
        raise LabError(f"the inventory {path}: {error}") from None


def build_inventory(table: dict, directory: str) -> Inventory:
    """An inventory from its table, paths being relative to ``directory``; raises ValueError."""
    _check_fields(table, TOP, "the file")
    given = table.get("machines")
    if not isinstance(given, dict) or not given:
        raise ValueError(f"it names no machine: a lab needs at least [machines.{FIRST}]")
    common = _path(table, "known_hosts", directory, "the file")
    found = [_build_machine(name, each, directory, common, True) for name, each in given.items()]
    if FIRST not in given:
        raise ValueError(f"it has no {FIRST}: one machine, the one the kernel runs on, has to be [machines.{FIRST}]")
    if len(found) > MAX_NODES:
        raise ValueError(f"it names {len(found)} machines: a lab has at most {MAX_NODES}")
    found.sort(key=lambda machine: machine.name != FIRST)
    if OUTSIDE in table:
        found.append(_build_machine(OUTSIDE, table[OUTSIDE], directory, common, False))
    _check_apart(found)
    return Inventory(tuple(found), _read_lan(table, found))


def _check_fields(table: dict, known: dict[str, type], where: str) -> None:
    for key, value in table.items():
        if key not in known:
            raise ValueError(f"{where} has a key nobody knows, {key!r}: there are {', '.join(known)}")
        if not isinstance(value, known[key]):
            raise ValueError(f"{key} of {where} has to be {KINDS[known[key]]}, not {value!r}")


def _build_machine(name: str, table: object, directory: str, known_hosts: str, engine: bool) -> Machine:
    if not isinstance(table, dict):
        raise ValueError(f"{name} is no table: write [machines.{name}], and its settings below")
    if engine and (name == OUTSIDE or not NAME.fullmatch(name)):
        raise ValueError(
            f"{name!r} cannot be the name of a node: use lower-case letters, digits and dashes; [{OUTSIDE}] is a table of its own"
        )
    _check_fields(table, FIELDS, name)
    if "ssh" not in table:
        raise ValueError(f'{name} has no ssh address: ssh = "user@host", or ssh = "{LOCAL}" for the machine the kernel runs on')
    target = _parse_target(table["ssh"], name)
    return Machine(
        name=name,
        address=_read_address(table.get("address") or target.get("host", ""), name),
        **target,
        key=_path(table, "key", directory, name),
        known_hosts=_path(table, "known_hosts", directory, name) or known_hosts,
        sudo=table.get("sudo", False),
        shared=table.get("shared", False),
        engine=engine,
    )


def _parse_target(text: str, name: str) -> dict:
    if text == LOCAL:
        return {}
    match = TARGET.fullmatch(text)
    if not match or int(match["port"] or 1) not in range(1, 65536):
        raise ValueError(f"the ssh address of {name}, {text!r}, is none: write user@host or user@host:port, or {LOCAL!r}")
    return {"user": match["user"] or "", "host": match["host"].strip("[]"), "port": int(match["port"] or 0)}


def _read_address(text: str, name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        said = f"{text!r} is no IP address" if text else "it is not told"
        raise ValueError(f'the address by which the other machines know {name} is needed, and {said}: address = "192.168.59.1"') from None


def _path(table: dict, key: str, directory: str, where: str) -> str:
    """A file's absolute path, or "" where none is named; raises ValueError for one that is not there."""
    if key not in table:
        return ""
    path = os.path.join(directory, os.path.expanduser(table[key]))
    if not os.path.isfile(path):
        raise ValueError(f"{key} of {where} names {path}, and there is no such file")
    return path


def _check_apart(machines: list[Machine]) -> None:
    """No two of them may be the same machine."""
    for one, other in itertools.combinations(machines, 2):
        if one.address == other.address or (one.host, one.port) == (other.host, other.port):
            same = other.address if one.address == other.address else other.where
            raise ValueError(f"{one.name} and {other.name} are the same machine, {same}: each needs one of its own")


def _read_lan(table: dict, machines: list[Machine]) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    if "lan" not in table:
        return None
    try:
        lan = ipaddress.ip_network(table["lan"])
    except (ValueError, TypeError):
        raise ValueError(f'lan is {table["lan"]!r}, and has to be a network such as "192.168.59.0/24"') from None
    strange = next((machine for machine in machines if machine.address not in lan), None)
    if strange:
        raise ValueError(f"the address of {strange.name}, {strange.address}, is not in lan, {lan}")
    return lan
