"""The prepared image store: loaded once by a real engine, then there in every lab at no cost.

A seed is made by opening a small lab, loading the images into its engine, stopping the engine and
keeping what it stored. It is cached per user, for each engine and each state of the programs the
images are made of; :func:`netkit.laboratory.inside.engine.lay_seed` lays it under a node's engine.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from netkit.errors import EngineError, LabError
from netkit.laboratory import images
from netkit.laboratory.engine import Engine
from netkit.laboratory.inside.engine import copy_tree
from netkit.laboratory.spec import ENGINE_SERVICE
from netkit.places import cache_dir

if TYPE_CHECKING:
    from netkit.laboratory.lab import OpenLab

FORMAT = 3  # of the seed directory; a change makes all seeds anew


@dataclass(frozen=True, slots=True)
class Seed:
    """A prepared store: its directory (None for none), and the engine's version."""

    path: str | None
    version: str


EMPTY = Seed(None, "")


def ensure_seed(engine: Engine, open_maker: Callable[[str], OpenLab]) -> Seed:
    """The seed for this engine, made now if there is none yet (about two seconds).

    ``open_maker`` opens a throw-away lab of one node with this engine, without images, in which the file it is given can be read.
    Raises LabError, EngineError; a half-made seed is never left.
    """
    key = hashlib.sha256(f"{FORMAT} {engine.fingerprint} {images.fingerprint()}".encode()).hexdigest()[:24]
    path = os.path.join(cache_dir(), "seeds", key)
    with contextlib.suppress(OSError):
        return _read_seed(path)
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        lock = os.open(os.path.join(cache_dir(), "lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LabError(
            f"{cache_dir()} cannot be written ({error.strerror}): free it, or set XDG_CACHE_HOME to a place of your own"
        ) from None
    with open(lock) as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # one maker of seeds at a time for each user
        try:
            return _read_seed(path)  # another process has just made it
        except OSError:
            return _make_seed(path, engine, open_maker)


def _read_seed(path: str) -> Seed:
    with open(f"{path}/seed.json", encoding="utf-8") as file:
        return Seed(path, json.load(file)["version"])


def _make_seed(path: str, engine: Engine, open_maker: Callable[[str], OpenLab]) -> Seed:
    if "docker" not in engine.commands:
        raise EngineError("the docker command is missing: `apt-get install docker.io` (or docker-cli) brings it")
    version = engine.read_version()
    work = tempfile.mkdtemp(prefix="making-", dir=os.path.dirname(path))
    archive, made = f"{work}/images.tar", f"{work}/seed"
    try:
        images.write_archive(images.describe_images(), archive)
        os.mkdir(made, 0o700)
        with open_maker(archive) as lab:
            node = lab["node1"]
            node.run(["docker", "load", "--input", archive])
            node.run([ENGINE_SERVICE, "stop"])  # cleanly: what it has stored is whole then
            for part in ("image", "overlay2"):
                copy_tree(f"/proc/{node.pid}/root/var/lib/docker/{part}", f"{made}/{part}")
        with open(f"{made}/seed.json", "w", encoding="utf-8") as file:
            json.dump({"version": version, "dockerd": engine.dockerd}, file)
        os.rename(made, path)
    except OSError as error:
        raise LabError(f"the images could not be prepared in {work}: {error}; free some space there, or set XDG_CACHE_HOME") from None
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return Seed(path, version)
