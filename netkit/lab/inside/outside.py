"""The web server of ``outside``: tells each client the address it came from.

That address is the whole point: behind NAT it is the node's, and the learner sees it.
"""

from __future__ import annotations

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = 80


class Answer(BaseHTTPRequestHandler):
    """GET any path: one line of text with the client's address, as the server sees it."""

    server_version = "outside"
    sys_version = ""

    def do_GET(self) -> None:  # the name is http.server's
        body = f"hello from outside, you are {self.client_address[0]}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """One line a request in the host's log."""
        with open("/run/access.log", "a", encoding="utf-8") as log:
            log.write(f"{self.client_address[0]} {format % arguments}\n")


def serve_http(status: int) -> None:
    """Serve in a process of its own; say so once the port is open. Never returns."""
    try:
        server = ThreadingHTTPServer(("0.0.0.0", PORT), Answer)
        os.write(status, json.dumps({"state": "ready"}).encode() + b"\n")
        server.serve_forever()
    finally:
        os._exit(1)
