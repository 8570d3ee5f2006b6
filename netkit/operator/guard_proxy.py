"""The door to a machine's engine for those who use the lab: it labels what they make, and guards the rest.

A socket before the engine's own, and HTTP/1.1 with one request to a connection, so that nothing of an answer
has to be understood. What is created gets the lab's label in its request, whichever client sends it: the
docker command, the SDK, compose. What was made by somebody else cannot be removed through this door.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import re
import socket
import socketserver
import threading
import urllib.parse
from collections.abc import Callable

from netkit.operator.guard_engine import LABEL, PATIENCE, Ledger, Refusal, connect, read_swarm

CHUNK = 1 << 16
TARGET = re.compile(r"(/v\d+\.\d+(?=/))?([^?]*)\??(.*)")  # version, path, query
CREATES = ("/containers/create", "/networks/create", "/volumes/create", "/secrets/create", "/configs/create", "/services/create")
REMOVES = re.compile(r"^/(containers|networks|volumes|services|secrets|configs|images)/(.+)$")
PRUNES = re.compile(r"^/(containers|networks|volumes)/prune$")
JOINS = ("/swarm/init", "/swarm/join")


class Proxy(socketserver.ThreadingUnixStreamServer):
    """Serves one socket until this process ends."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, path: str, owner: int, ledger: Ledger) -> None:
        super().__init__(path, Request)
        os.chmod(path, 0o600)
        os.chown(path, owner, -1)
        self.ledger = ledger
        self._creating = 0
        self._quiet = threading.Condition()
        self._closed = False
        threading.Thread(target=self.serve_forever, args=(None,), daemon=True).start()  # None: it never wakes for nothing

    def close(self) -> None:
        """Let nothing be created any more, and wait for those requests that create something just now."""
        with self._quiet:
            self._closed = True
            self._quiet.wait_for(lambda: not self._creating, timeout=PATIENCE)

    @contextlib.contextmanager
    def creating(self):
        """Around a request that creates something, for which :meth:`close` waits; raises Refusal once that was called."""
        with self._quiet:
            if self._closed:
                raise Refusal("this lab is being closed")
            self._creating += 1
        try:
            yield
        finally:
            with self._quiet:
                self._creating -= 1
                self._quiet.notify_all()


class Request(http.server.BaseHTTPRequestHandler):
    """One connection's one request: read, judged and passed on; the answer is handed back as it comes."""

    server: Proxy

    def handle(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self.raw_requestline = self.rfile.readline(CHUNK)
            if self.raw_requestline and self.parse_request():
                self._version, self._path, self._query = TARGET.match(self.path).groups("")
                self._pass_on()

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""

    def _pass_on(self) -> None:
        lab = self.server.ledger.lab
        if not self.headers.get("Upgrade"):
            self._set_header("Connection", "close")
        refusal = self._refuse()
        if refusal:
            self._answer(403, refusal)
        elif self.command == "POST" and self._path in CREATES:
            self._exchange(json.dumps(add_label(self._path, json.loads(self._read_body()), lab)).encode())
        elif self.command == "POST" and self._path in JOINS:
            self.server.ledger.note(tried=True)
            self.server.ledger.note_joined(self._exchange(self._read_body()))
        else:
            if self.command == "POST" and self._path == "/build":
                self._query = widen_query(self._query, "labels", {LABEL: lab})
            if self.command == "POST" and PRUNES.match(self._path):
                self._query = widen_query(self._query, "filters", {"label": [f"{LABEL}={lab}"]})
            self._relay()

    def _refuse(self) -> str:
        """Why a request is not let through, or ""."""
        ledger = self.server.ledger
        if self.command == "POST" and self._path == "/swarm/leave" and not ledger.owns(read_swarm()):
            return "this lab did not make this machine part of its swarm, and will not end that"
        match = REMOVES.match(self._path) if self.command == "DELETE" else None
        if match and ledger.is_foreign(match[1], urllib.parse.unquote(match[2])):
            return f"{match[2]} was not made by this lab, which removes only what is its own"
        return ""

    def _exchange(self, body: bytes) -> bytes:
        """Send a whole request, and hand on its whole answer; returns that. Not while the lab closes."""
        self._set_header("Content-Length", str(len(body)))
        del self.headers["Transfer-Encoding"]
        try:
            with self.server.creating(), connect() as engine:
                engine.sendall(self._encode_head() + body)
                answer = b"".join(iter(lambda: engine.recv(CHUNK), b""))
        except Refusal as error:
            self._answer(503, str(error))
            return b""
        self.wfile.write(answer)
        return answer

    def _relay(self) -> None:
        """Copy both ways until the engine has said all; the client may have ended its side long before."""
        with connect() as engine:
            engine.sendall(self._encode_head())
            sending = threading.Thread(target=_copy, args=(self.rfile.read1, engine), daemon=True)
            sending.start()
            _copy(engine.recv, self.connection)
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)  # wakes the other copier
            sending.join()

    def _read_body(self) -> bytes:
        """The request's whole body, given by its length or in chunks (RFC 9112)."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _set_header(self, name: str, value: str) -> None:
        del self.headers[name]
        self.headers[name] = value

    def _encode_head(self) -> bytes:
        target = self._version + self._path + (f"?{self._query}" if self._query else "")
        lines = [f"{self.command} {target} {self.request_version}", *(f"{name}: {value}" for name, value in self.headers.items()), "", ""]
        return "\r\n".join(lines).encode("latin-1")

    def _answer(self, status: int, why: str) -> None:
        data = json.dumps({"message": f"netkit: {why}"}).encode()
        head = f"HTTP/1.1 {status} Refused\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n"
        self.wfile.write(head.encode() + data)


def add_label(path: str, body: dict, lab: str) -> dict:
    """The request's body with the lab's label: a service bears it in its containers (see guard_engine.labels_of)."""
    place = body
    if path == "/services/create":
        place = body.setdefault("TaskTemplate", {}).setdefault("ContainerSpec", {})
    place["Labels"] = {**(place.get("Labels") or {}), LABEL: lab}
    return body


def widen_query(query: str, name: str, value: dict) -> str:
    """A query whose JSON parameter ``name`` says this, too; for filters, this and nothing wider."""
    pairs = urllib.parse.parse_qsl(query, keep_blank_values=True)
    before = next((json.loads(text) for key, text in pairs if key == name and text), {})
    merged = {**before, **value}
    return urllib.parse.urlencode([pair for pair in pairs if pair[0] != name] + [(name, json.dumps(merged))])


def _copy(read: Callable[[int], bytes], target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := read(CHUNK):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
