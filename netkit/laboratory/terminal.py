"""A terminal on a host of the lab, relayed to the caller's own, as ssh does it."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import termios
import tty

from netkit.laboratory.remote import Command, Transport

CHUNK = 1 << 16


def open_shell(at: Transport, command: Command, cwd: str, env: dict[str, str]) -> int:
    """Run an interactive command on a terminal of its own until it ends; returns its exit status.

    Needs a terminal as standard input; raises LabError if the host does not answer.
    """
    running, master = at.start(command, None, cwd, env)
    assert master is not None  # asked for by passing no descriptors
    _copy_size(master)
    resized = signal.signal(signal.SIGWINCH, lambda *_: _copy_size(master))
    before = termios.tcgetattr(0)
    try:
        tty.setraw(0)
        _relay(master, running.fileno())
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
        signal.signal(signal.SIGWINCH, resized)
        os.close(master)
    return running.wait()


def _copy_size(master: int) -> None:
    """Give the far terminal the near one's rows and columns."""
    size = fcntl.ioctl(0, termios.TIOCGWINSZ, bytes(8))
    fcntl.ioctl(master, termios.TIOCSWINSZ, size)


def _relay(master: int, ended: int) -> None:
    """Copy both ways until the command has ended and its last output has been read."""
    near, over = 0, False
    while True:
        watched = [master] if over else [near, master, ended]
        ready, _, _ = select.select(watched, [], [], 0 if over else None)
        if near in ready:
            data = os.read(near, CHUNK)
            if not data:
                return
            _write_all(master, data)
        if master in ready:
            try:
                data = os.read(master, CHUNK)
            except OSError:  # EIO: nobody has the terminal open any more
                return
            if not data:
                return
            _write_all(1, data)
        elif over:
            return
        over = over or ended in ready


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
