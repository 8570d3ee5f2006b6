"""The prepared image store: loaded once by a real engine, then there in every lab at no cost.

A seed is made by opening a small lab, loading the images into its engine, stopping the engine and
keeping what it stored. It is cached per user, for each engine and each state of the programs the
images are made of; :mod:`netkit.laboratory.inside.store` lays it under a node's engine.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

from netkit.errors import EngineError, LabError
from netkit.laboratory import images
from netkit.laboratory.engine import Engine
from netkit.laboratory.inside.store import copy_tree
from netkit.places import cache_dir

FORMAT = 3  # of the seed directory; a change makes all seeds anew


@dataclass(frozen=True, slots=True)
class Seed:
    """A prepared store: its directory (None for none), and the engine's version."""

    path: str | None
    version: str


EMPTY = Seed(None, "")


def ensure_seed(engine: Engine, mode: str, directory: str | None) -> Seed:
    """The seed for this engine, made now if there is none yet (about two seconds).

    Raises LabError, EngineError; a half-made seed is never left.
    """
    key = hashlib.sha256(f"{FORMAT} {engine.fingerprint} {images.fingerprint()}".encode()).hexdigest()[:24]
    path = os.path.join(cache_dir(), "seeds", key)
    try:
        return _read_seed(path)
    except OSError:
        pass
    with _locked():
        try:
            return _read_seed(path)  # another process has just made it
        except OSError:
            return _make_seed(path, engine, mode, directory)


def _read_seed(path: str) -> Seed:
    with open(f"{path}/seed.json", encoding="utf-8") as file:
        return Seed(path, json.load(file)["version"])


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    """One maker of seeds at a time for each user."""
    try:
        os.makedirs(os.path.join(cache_dir(), "seeds"), mode=0o700, exist_ok=True)
        lock = os.open(os.path.join(cache_dir(), "lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LabError(
            f"{cache_dir()} cannot be written ({error.strerror}): free it, or set XDG_CACHE_HOME to a place of your own"
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _make_seed(path: str, engine: Engine, mode: str, directory: str | None) -> Seed:
    if "docker" not in engine.commands:
        raise EngineError("the docker command is missing: `apt-get install docker.io` (or docker-cli) brings it")
    version = engine.read_version()
    work = tempfile.mkdtemp(prefix="making-", dir=os.path.dirname(path))
    try:
        images.write_archive(images.describe_images(), f"{work}/images.tar")
        _load_and_keep(f"{work}/images.tar", f"{work}/seed", mode, directory)
        with open(f"{work}/seed/seed.json", "w", encoding="utf-8") as file:
            json.dump({"version": version, "dockerd": engine.dockerd}, file)
        os.chmod(f"{work}/seed", 0o700)
        os.rename(f"{work}/seed", path)
    except OSError as error:
        raise LabError(f"the images could not be prepared in {work}: {error}; free some space there, or set XDG_CACHE_HOME") from None
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return Seed(path, version)


def _load_and_keep(archive: str, target: str, mode: str, directory: str | None) -> None:
    """Load an archive into the engine of a throw-away lab, stop it cleanly, copy its store."""
    from netkit.laboratory import spec
    from netkit.laboratory.lab import begin_lab  # the lab needs seeds, and seeds need a lab

    with begin_lab(spec.Wishes(1, 1, (archive,)), mode=mode, engine=directory, with_images=False).wait_ready() as lab:
        node = lab["node1"]
        node.run(["docker", "load", "--input", archive])
        node.run([spec.ENGINE_SERVICE, "stop"])
        store = f"/proc/{node.pid}/root/var/lib/docker"
        os.makedirs(target)
        for part in ("image", "overlay2"):
            copy_tree(f"{store}/{part}", f"{target}/{part}")
