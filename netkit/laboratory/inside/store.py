"""An engine's image store, there before the engine is.

A *seed* is what an engine's data directory held after it had loaded the workshop's images once
(see :mod:`netkit.laboratory.seed`). Its small files are copied; the image layers stay where they are, read
only and shared by all nodes of all labs: ``overlay2/ID/diff`` is a symbolic link, which dockerd
follows as the lower directory of its overlay mounts and simply unlinks when an image is removed.
"""

from __future__ import annotations

import os


def lay_seed(seed: str, data_root: str) -> None:
    """Put the seed's images into an engine's empty data directory; without a seed, do nothing."""
    if not os.path.isdir(seed + "/image"):
        return
    copy_tree(seed + "/image", data_root + "/image")
    os.makedirs(data_root + "/overlay2/l", mode=0o710, exist_ok=True)
    for layer in os.listdir(seed + "/overlay2"):
        source, target = f"{seed}/overlay2/{layer}", f"{data_root}/overlay2/{layer}"
        if layer == "l":
            copy_tree(source, target)
            continue
        os.makedirs(target, mode=0o710)
        for name in os.listdir(source):
            if name == "diff":
                os.symlink(f"{source}/diff", f"{target}/diff")
            elif name != "work":
                copy_file(f"{source}/{name}", f"{target}/{name}")
        if "lower" in os.listdir(source):
            os.makedirs(f"{target}/work", mode=0o700)


def copy_tree(source: str, target: str) -> None:
    """Copy directories, files and symbolic links; modes are kept, owners are the caller's."""
    os.makedirs(target, exist_ok=True)
    os.chmod(target, os.stat(source).st_mode & 0o7777)  # mkdir(2) takes the umask's bits away, and the sticky one
    for entry in os.scandir(source):
        there = f"{target}/{entry.name}"
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), there)
        elif entry.is_dir():
            copy_tree(entry.path, there)
        else:
            copy_file(entry.path, there)


def copy_file(source: str, target: str) -> None:
    """Copy one regular file and its mode."""
    with open(source, "rb") as from_file, open(target, "wb") as to_file:
        to_file.write(from_file.read())
        os.fchmod(to_file.fileno(), os.fstat(from_file.fileno()).st_mode & 0o7777)
