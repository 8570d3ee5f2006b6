"""Hear of network namespaces that are made while a capture runs, by the files they are mounted on."""

from __future__ import annotations

import contextlib
import os
from itertools import accumulate

from netkit.laboratory.inside.syscalls import Inotify

DIRECTORIES = ("/run/docker/netns", "/run/netns")  # an engine's, and those of ip-netns(8)


class Newcomers:
    """Files that appear in some directories, which need not be there yet. Wait for each of ``sources``, then read.

    Raises OSError where the kernel gives no instance of inotify (fs.inotify.max_user_instances).
    """

    def __init__(self, directories: tuple[str, ...] = DIRECTORIES) -> None:
        self._directories = directories
        self._names = {name for each in directories for name in each.split("/") if name}
        self._files, self._ways = self.sources = (Inotify(), Inotify())
        self._follow()

    def read(self) -> bool:
        """Whether a file has appeared in one of the directories, or may have: the directory itself is new."""
        came = self._ways.read() & self._names
        if came:
            self._follow()
        names = self._files.read()
        return bool(came) or any(os.path.exists(os.path.join(each, name)) for each in self._directories for name in names)

    def close(self) -> None:
        """Stop hearing. May be repeated."""
        for each in self.sources:
            each.close()

    def _follow(self) -> None:
        """Watch each directory and all those on the way to it, as far as there are any."""
        for directory in self._directories:
            with contextlib.suppress(OSError):
                for path in accumulate(directory.split("/")[1:-1], "{}/{}".format, initial=""):
                    self._ways.watch(path or "/")
                self._files.watch(directory)
