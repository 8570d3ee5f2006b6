"""Messages between the lab's processes: JSON in one packet, file descriptors beside it.

The sockets are ``SOCK_SEQPACKET`` (unix(7)), so a message arrives whole or not at all.
"""

from __future__ import annotations

import array
import json
import os
import socket

LARGEST = 1 << 18  # bytes of one message; a learner's environment is a few kilobytes
MAX_FDS = 8


class Trouble(OSError):
    """Something went wrong inside a lab, in words for whoever opened it."""

    def __str__(self) -> str:
        return str(self.args[0])


def describe(error: BaseException) -> str:
    """An error in words, without Python's numbering."""
    return getattr(error, "strerror", None) or str(error) or repr(error)


def connect(path: str, timeout: float | None = None) -> socket.socket:
    """Connect to a lab's socket; raises OSError (FileNotFoundError, ConnectionRefusedError …).

    The path may be longer than the 107 bytes of ``sockaddr_un``: it is reached through its directory.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    sock.settimeout(timeout)
    directory = os.open(os.path.dirname(path), os.O_PATH | os.O_CLOEXEC)
    try:
        sock.connect(f"/proc/self/fd/{directory}/{os.path.basename(path)}")
    except BaseException:
        sock.close()
        raise
    finally:
        os.close(directory)
    return sock


def listen(path: str) -> socket.socket:
    """Listen at a path of the lab, for its owner alone."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    sock.bind(path)
    os.chmod(path, 0o600)
    sock.listen(64)
    return sock


def send(sock: socket.socket, message: dict, fds: tuple[int, ...] = ()) -> None:
    """Send one message with its file descriptors; raises OSError."""
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    data = json.dumps(message).encode()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, max(len(data) * 2, 1 << 16))
    sock.sendmsg([data], ancillary)


def receive(sock: socket.socket) -> tuple[dict, list[int]] | None:
    """Receive one message and its file descriptors, or None at the end of the stream.

    Raises OSError, and ValueError for what is no message.
    """
    data, ancillary, _, _ = sock.recvmsg(LARGEST, socket.CMSG_SPACE(MAX_FDS * 4), socket.MSG_CMSG_CLOEXEC)
    fds = [fd for _, _, raw in ancillary for fd in array.array("i", raw[: len(raw) - len(raw) % 4])]
    if not data:
        for fd in fds:
            os.close(fd)
        return None
    return json.loads(data), fds


def tell(sock: socket.socket, message: dict, fds: tuple[int, ...] = ()) -> bool:
    """Send a message to whoever may have gone by now; whether it could be sent."""
    try:
        send(sock, message, fds)
        return True
    except OSError:
        return False


def hear(sock: socket.socket) -> tuple[dict, list[int]] | None:
    """Receive as :func:`receive` does; a peer that has gone, or talks nonsense, is the end of the stream."""
    try:
        return receive(sock)
    except (OSError, ValueError):
        return None


def peer_pid(sock: socket.socket) -> int:
    """The process at the other end, numbered as *this* process's PID namespace sees it (SO_PEERCRED)."""
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return array.array("i", raw)[0]
