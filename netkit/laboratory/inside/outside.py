"""The web server of ``outside``: tells each client the address it came from.

That address is the whole point: behind NAT it is the node's, and the learner sees it. It speaks just
enough HTTP/1.0 (RFC 1945) for that, on the host's own event loop: importing :mod:`http.server` takes
longer than everything else on this host, and the engines are starting at that moment.
"""

from __future__ import annotations

import socket

from netkit.laboratory.inside.agent import Loop

PORT = 80
LONGEST = 1 << 16  # bytes of a request, before it is dropped


class WebServer:
    """Answers every request on every address of this host, IPv4 and IPv6, with one line of text."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        try:
            self._listener = socket.create_server(("::", PORT), family=socket.AF_INET6, backlog=256, dualstack_ipv6=True)
        except (OSError, ValueError):  # a kernel without IPv6, or one that has it switched off
            self._listener = socket.create_server(("", PORT), backlog=256)
        loop.watch(self._listener, self._accept)

    def _accept(self) -> None:
        connection, address = self._listener.accept()
        connection.setblocking(False)
        heard = bytearray()
        self._loop.watch(connection, lambda: self._hear(connection, address[0].removeprefix("::ffff:"), heard))

    def _hear(self, connection: socket.socket, client: str, heard: bytearray) -> None:
        """Collect a request up to its empty line, then answer it."""
        try:
            data = connection.recv(4096)
            heard += data
            if data and b"\r\n\r\n" not in heard and b"\n\n" not in heard and len(heard) < LONGEST:
                return
            if data:
                connection.sendall(_answer(client, heard))
        except OSError:
            pass  # a client that goes away in the middle is no concern of ours
        self._loop.unwatch(connection)
        connection.close()


def _answer(client: str, request: bytearray) -> bytes:
    """The response to a request, which is kept in the access log."""
    body = f"hello from outside, you are {client}\n".encode()
    line = request.split(b"\r\n", 1)[0].decode(errors="replace")
    with open("/run/access.log", "a", encoding="utf-8") as log:
        log.write(f'{client} "{line}"\n')
    head = f"HTTP/1.0 200 OK\r\nServer: outside\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + (b"" if line.startswith("HEAD ") else body)
