"""Which identities a lab's user namespace has, and who may write them into it.

Two modes, the same inside: root of the lab is whoever opened it.

- ``user``: an ordinary user, with the subordinate ids of /etc/subuid and /etc/subgid (subuid(5))
  written by the setuid helpers newuidmap(1) and newgidmap(1);
- ``root``: the machine's root, every id as it is. Still a user namespace: root of the lab has no
  capability over the machine's network, mounts or modules.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from netkit.errors import LabError

MODES = ("user", "root")
NEEDED = 65536  # ids that images and packages may use
# runc and dockerd take a map of all 2³²−1 ids for "no user namespace" (moby/sys/userns); one less is one
ALL_IDS = 4294967294
NAME_REMEDY = "as root, `useradd --uid {uid} NAME` gives the name and subordinate ids, or open labs as root"


@dataclass(frozen=True, slots=True)
class Identity:
    """A mode, and its id maps as (first inside, first outside, count) triples."""

    mode: str
    uids: tuple[tuple[int, int, int], ...]
    gids: tuple[tuple[int, int, int], ...]


def choose_mode(forced: str | None = None) -> str:
    """The mode of a lab opened by this process; raises LabError for one it may not use."""
    mode = forced or os.environ.get("NETKIT_MODE") or ("root" if os.geteuid() == 0 else "user")
    if mode not in MODES:
        raise LabError(f"there is no mode {mode!r}: use one of {', '.join(MODES)}")
    if mode == "root" and os.geteuid() != 0:
        raise LabError("mode root needs root: leave out --mode root, or call netkit with sudo")
    return mode


def read_identity(mode: str) -> Identity:
    """The id maps of ``mode`` for this process; raises LabError where subordinate ids are missing."""
    if mode == "root":
        return Identity(mode, _read_own("/proc/self/uid_map"), _read_own("/proc/self/gid_map"))
    for helper in ("newuidmap", "newgidmap"):
        if not shutil.which(helper):
            raise LabError(f"{helper} is missing: `apt-get install uidmap` lets ordinary users open labs")
    uid, gid = os.geteuid(), os.getegid()
    user = read_user_name(uid)
    if not user:
        raise LabError(
            f"user {uid} has no name in /etc/passwd, and newuidmap gives identities to no such user: {NAME_REMEDY.format(uid=uid)}"
        )
    uids = read_subordinate("/etc/subuid", user, uid, uid)
    gids = read_subordinate("/etc/subgid", user, uid, gid)
    return Identity(mode, ((0, uid, 1), *uids), ((0, gid, 1), *gids))


def read_user_name(uid: int) -> str:
    """A user's name; "" for a user id without one, as containers give out."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""


def _read_own(path: str) -> tuple[tuple[int, int, int], ...]:
    """Every id this process's namespace has, as it is: in a container, those are not all there are."""
    with open(path, encoding="ascii") as file:
        ranges = [(int(inside), int(count)) for inside, _, count in map(str.split, file)]
    return tuple((inside, inside, min(count, ALL_IDS)) for inside, count in ranges)


def read_subordinate(path: str, user: str, uid: int, own: int) -> tuple[tuple[int, int, int], ...]:
    """A user's usable ranges in /etc/subuid or /etc/subgid, laid out from id 1 on; raises LabError where they are too few.

    ``own`` is the id the user has anyway.
    """
    try:
        usable = calc_usable(read_ranges(path), user, uid, own)
    except OSError as error:
        raise LabError(f"{path} cannot be read ({error}): ask an administrator to repair it") from None
    inside, result = 1, []
    for first, count in usable:
        result.append((inside, first, count))
        inside += count
    if inside < NEEDED:
        raise LabError(
            f"{user} has {inside - 1} subordinate ids in {path}, a lab needs {NEEDED}: as root, run "
            f"`usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}` (any range no other user has)"
        )
    return tuple(result)


def read_ranges(path: str) -> tuple[tuple[str, int, int], ...]:
    """All ranges of a file like /etc/subuid, as (owner, first, count); lines that are none are left out, as newuidmap does."""
    with open(path, encoding="utf-8", errors="replace") as file:
        lines = (line.strip().split(":") for line in file)
        return tuple((words[0], int(words[1]), int(words[2])) for words in lines if len(words) == 3 and "".join(words[1:]).isdecimal())


def calc_usable(ranges: Sequence[tuple[str, int, int]], user: str, uid: int, own: int) -> list[tuple[int, int]]:
    """A user's ranges, by name or number (subuid(5)), as (first, count), each id once, and without the user's ``own``.

    The kernel takes no map in which an id of outside occurs twice (user_namespaces(7)).
    """
    taken, usable = [(own, own + 1)], []
    for owner, first, count in ranges:
        if owner not in (user, str(uid)):
            continue
        begin, end = first, min(first + count, ALL_IDS + 1)  # the id after the last one means "none"
        for taken_from, taken_to in sorted(taken):
            if begin < min(taken_from, end):
                usable.append((begin, min(taken_from, end) - begin))
            begin = max(begin, taken_to)
        if begin < end:
            usable.append((begin, end - begin))
        taken.append((first, end))
    return usable


def write_maps(pid: int, identity: Identity) -> None:
    """Give the new user namespace of process ``pid`` its identities; raises LabError."""
    if identity.mode == "root":
        for name, ranges in (("uid_map", identity.uids), ("gid_map", identity.gids)):
            with open(f"/proc/{pid}/{name}", "w", encoding="ascii") as file:
                file.write("".join(f"{inside} {outside} {count}\n" for inside, outside, count in ranges))
        return
    helpers = [
        subprocess.Popen([helper, str(pid), *map(str, sum(ranges, ()))], stderr=subprocess.PIPE, encoding="utf-8", errors="replace")
        for helper, ranges in (("newuidmap", identity.uids), ("newgidmap", identity.gids))
    ]
    for helper in helpers:
        said = helper.communicate()[1]
        if helper.returncode:
            raise LabError(
                f"{helper.args[0]} refused: {said.strip()}; check this user's lines in /etc/subuid and /etc/subgid, "
                "and that newuidmap and newgidmap are setuid root"
            )
