"""Sockets that pretend to be a person's own Docker engine, and remember who came."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterable, Iterator

ANSWER = b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK"


@contextlib.contextmanager
def stand_ins(paths: Iterable[str]) -> Iterator[list[str]]:
    """Listen on these paths within the block, as one engine each; yields the paths on which somebody said something."""
    heard: list[str] = []
    with contextlib.ExitStack() as stack:
        for path in paths:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(path)
            stack.callback(os.unlink, path)
            os.chmod(path, 0o666)
            listener.listen()
            threading.Thread(target=_serve, args=(listener, path, heard), daemon=True).start()
            stack.callback(listener.shutdown, socket.SHUT_RDWR)  # ends its thread
        yield heard


def _serve(listener: socket.socket, path: str, heard: list[str]) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listener.accept()
            heard.append(path)
            with connection, contextlib.suppress(OSError):
                connection.sendall(ANSWER)
