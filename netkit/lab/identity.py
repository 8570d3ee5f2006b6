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
from dataclasses import dataclass

from netkit.errors import LabError

MODES = ("user", "root")
NEEDED = 65536  # ids that images and packages may use
# runc and dockerd take a map of all 2³²−1 ids for "no user namespace" (moby/sys/userns); one less is one
ALL_IDS = 4294967294


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
    user = pwd.getpwuid(os.geteuid()).pw_name
    uids = read_subordinate("/etc/subuid", user, os.geteuid())
    gids = read_subordinate("/etc/subgid", user, os.geteuid())
    return Identity(mode, ((0, os.geteuid(), 1), *uids), ((0, os.getegid(), 1), *gids))


def _read_own(path: str) -> tuple[tuple[int, int, int], ...]:
    """Every id this process's namespace has, as it is: in a container, those are not all there are."""
    with open(path, encoding="ascii") as file:
        ranges = [(int(inside), int(count)) for inside, _, count in map(str.split, file)]
    return tuple((inside, inside, min(count, ALL_IDS)) for inside, count in ranges)


def read_subordinate(path: str, user: str, uid: int) -> tuple[tuple[int, int, int], ...]:
    """A user's ranges in /etc/subuid or /etc/subgid, laid out from id 1 on; raises LabError."""
    ranges = []
    try:
        with open(path, encoding="utf-8") as file:
            for line in file:
                owner, _, rest = line.strip().partition(":")
                if owner in (user, str(uid)):
                    first, _, count = rest.partition(":")
                    ranges.append((int(first), int(count)))
    except (OSError, ValueError) as error:
        raise LabError(f"{path} cannot be read ({error}): ask an administrator to repair it") from None
    inside, result = 1, []
    for first, count in ranges:
        result.append((inside, first, count))
        inside += count
    if inside < NEEDED:
        raise LabError(
            f"{user} has {inside - 1} subordinate ids in {path}, a lab needs {NEEDED}: as root, run "
            f"`usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}` "
            "(any range no other user has)"
        )
    return tuple(result)


def write_maps(pid: int, identity: Identity) -> None:
    """Give the new user namespace of process ``pid`` its identities; raises LabError."""
    if identity.mode == "root":
        for name, ranges in (("uid_map", identity.uids), ("gid_map", identity.gids)):
            with open(f"/proc/{pid}/{name}", "w", encoding="ascii") as file:
                file.write("".join(f"{inside} {outside} {count}\n" for inside, outside, count in ranges))
        return
    helpers = [
        subprocess.Popen([helper, str(pid), *map(str, sum(ranges, ()))], stderr=subprocess.PIPE, text=True)
        for helper, ranges in (("newuidmap", identity.uids), ("newgidmap", identity.gids))
    ]
    for helper in helpers:
        said = helper.communicate()[1]
        if helper.returncode:
            raise LabError(
                f"{helper.args[0]} refused: {said.strip()}; check this user's lines in /etc/subuid and /etc/subgid, "
                "and that newuidmap and newgidmap are setuid root"
            )
