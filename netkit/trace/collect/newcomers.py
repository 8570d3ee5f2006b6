"""Hear of network namespaces that are made while a capture runs, by the files they are mounted on (inotify(7))."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from itertools import accumulate

DIRECTORIES = ("/run/docker/netns", "/run/netns")  # an engine's, and those of ip-netns(8)
IN_CREATE, IN_NONBLOCK = 0x100, 0o4000
EVENT = struct.Struct("@iIII")  # watch, mask, cookie, length of the name that follows


class Newcomers:
    """A descriptor that can be read when a file has appeared in one of some directories, which need not be there yet."""

    def __init__(self, directories: tuple[str, ...] = DIRECTORIES) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._directories = directories
        self._watches: set[int] = set()
        self._fd = self._libc.inotify_init1(IN_NONBLOCK | os.O_CLOEXEC)
        if self._fd >= 0:
            self._follow()

    def fileno(self) -> int:
        """The descriptor; -1 where the kernel gives none (fs.inotify.max_user_instances)."""
        return self._fd

    def read(self) -> bool:
        """Whether a file may have appeared in one of the directories, or one of them has."""
        before = self._watches.copy()
        heard = set(self._read_events())
        self._follow()
        return bool(heard & before) or self._watches != before

    def _read_events(self) -> Iterator[int]:
        try:
            data = os.read(self._fd, 1 << 16)
        except BlockingIOError:
            return
        while data:
            watch, _, _, length = EVENT.unpack_from(data)
            yield watch
            data = data[EVENT.size + length :]

    def _follow(self) -> None:
        """Watch all directories on the way to each, as far as there are any; those watched already stay so."""
        for directory in self._directories:
            for path in accumulate(directory.split("/")[1:], "{}/{}".format, initial=""):
                if path and (watch := self._libc.inotify_add_watch(self._fd, path.encode(), IN_CREATE)) < 0:
                    break
                if path == directory:
                    self._watches.add(watch)
