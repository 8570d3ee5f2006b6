"""Events of a Docker engine, as its API streams them (GET /events), through engines that come and go."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from urllib.parse import quote

from netkit.laboratory.inside.syscalls import Inotify

SOCKET = "/var/run/docker.sock"
KINDS = ("container", "network", "service", "node", "daemon")
IDLE = ("exec_", "top", "attach", "resize", "export", "copy", "health_status")  # what changes no network
REQUEST = f"GET /events?filters={quote(json.dumps({'type': KINDS}))} HTTP/1.1\r\nHost: docker\r\n\r\n".encode()
RETRIES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)  # seconds: a socket is there a little before somebody listens


class Engine:
    """A connection to an engine's events, made again when its socket comes back.

    Wait for ``inotify`` and, where there is one, ``stream``; call :meth:`connect` when ``due`` has come.
    """

    def __init__(self, path: str) -> None:
        self.path = os.path.realpath(path)
        self.inotify = Inotify()
        self.inotify.watch(os.path.dirname(self.path))
        self.stream: socket.socket | None = None
        self.due: float | None = None
        self._failed = 0
        self._rest = b""
        self.connect()

    def connect(self) -> bool:
        """Try to reach the engine; returns whether that worked."""
        self.due = None
        if self.stream:
            return False
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            sock.connect(self.path)
            sock.sendall(REQUEST)
        except FileNotFoundError:
            sock.close()
            return False
        except OSError:
            sock.close()
            if self._failed < len(RETRIES):
                self.due = time.monotonic() + RETRIES[self._failed]
                self._failed += 1
            return False
        sock.setblocking(False)
        self.stream, self._failed, self._rest = sock, 0, b""
        return True

    def look(self) -> bool:
        """Something has happened beside the engine's socket; returns whether the engine has come."""
        names = self.inotify.read()
        if os.path.basename(self.path) not in names or self.stream:
            return False
        self._failed = 0
        return self.connect()

    def read(self) -> int:
        """Read from the stream; returns how many events came that may have changed the network.

        The end of the stream is one, too; ``stream`` is None then.
        """
        parts = [self._rest]
        ended = False
        with contextlib.suppress(BlockingIOError):
            while not ended:
                try:
                    parts.append(self.stream.recv(1 << 16))
                except BlockingIOError:
                    raise
                except OSError:
                    parts.append(b"")
                ended = not parts[-1]
        *lines, self._rest = b"".join(parts).split(b"\n")
        if len(self._rest) > 1 << 16:
            self._rest = b""
        if ended:
            self.stream.close()
            self.stream = None
            self.due = time.monotonic() + RETRIES[0]
        return sum(map(_is_change, lines)) + ended


def _is_change(line: bytes) -> bool:
    """Whether a line of the stream is an event that matters; the lines of chunks and headers are none."""
    if not line.startswith(b"{"):
        return False
    try:
        event = json.loads(line)
    except ValueError:
        return True  # cut short: rather one look too many
    return not str(event.get("Action", "")).startswith(IDLE)
