"""The private directory of a lab of real machines: the sockets that lead to them, and the facts others need.

It lives as long as the process that opened the lab: a keeper, a shell that waits for the end of a pipe, removes
it even if that process is killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess

from netkit.operator.machines.inside.guard import base_directory

PREFIX = "netkit-machines-"
FACTS = "lab.json"
LOCK = "lock"
KEEPER = 'read -r _; rm -rf -- "$1"'


class Place:
    """A new private directory; :meth:`close` removes it."""

    def __init__(self, lab: str) -> None:
        self.path = f"{base_directory()}/{PREFIX}{lab}"
        os.mkdir(self.path, 0o700)
        wait, self._hold = os.pipe2(os.O_CLOEXEC)
        try:
            self._keeper = subprocess.Popen(
                ["sh", "-c", KEEPER, "netkit-keeper", self.path], stdin=wait, stdout=subprocess.DEVNULL, start_new_session=True, cwd="/"
            )
        except BaseException:
            shutil.rmtree(self.path)
            raise
        finally:
            os.close(wait)
        # held by the opener alone: whoever can have it knows that the lab is over
        self._lock = os.open(f"{self.path}/{LOCK}", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def close(self) -> None:
        """Remove the directory. May be repeated."""
        self.disown()
        self._keeper.wait()

    def disown(self) -> None:
        """In a forked child: let go of it, which belongs to the parent alone."""
        for fd in (self._hold, self._lock):
            if fd >= 0:
                os.close(fd)
        self._hold = self._lock = -1


def find_places() -> list[str]:
    """The directories of the labs that this user has open now."""
    base, found = base_directory(), []
    for name in sorted(os.listdir(base)):
        if name.startswith(PREFIX):
            with contextlib.suppress(OSError):
                lock = os.open(f"{base}/{name}/{LOCK}", os.O_RDWR | os.O_CLOEXEC)
                try:
                    fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    found.append(f"{base}/{name}")
                finally:
                    os.close(lock)
    return [path for path in found if os.path.exists(f"{path}/{FACTS}")]
