"""The door to a machine's engine for those who use the lab: it labels what they make, and guards the rest.

A socket before the engine's own, and HTTP/1.1 with one request to a connection, so that nothing of an answer
has to be understood. What is created gets the lab's label in its request, whichever client sends it: the
docker command, the SDK, compose. What was made by somebody else cannot be removed through this door.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import threading
import urllib.parse

from netkit.operator.machines.inside import api
from netkit.operator.machines.inside.ledger import Ledger

MOST = 1 << 16  # bytes of a request's head
CHUNK = 1 << 16
VERSION = re.compile(r"^/v\d+\.\d+(?=/)")
CREATES = ("/containers/create", "/networks/create", "/volumes/create", "/secrets/create", "/configs/create", "/services/create")
REMOVES = re.compile(r"^/(containers|networks|volumes|services|secrets|configs|images)/(.+)$")
PRUNES = re.compile(r"^/(containers|networks|volumes)/prune$")
JOINS = ("/swarm/init", "/swarm/join")


class Head:
    """A request's first lines."""

    def __init__(self, data: bytes) -> None:
        first, *lines = data.decode("latin-1").split("\r\n")
        self.method, self.target, self.protocol = first.split(" ")
        self.headers = [tuple(line.split(":", 1)) for line in lines if ":" in line]
        path, _, self.query = self.target.partition("?")
        self.version = (VERSION.match(path) or [""])[0]
        self.path = path[len(self.version) :]

    def get(self, name: str) -> str:
        """A header's value, or ""."""
        return next((value.strip() for key, value in self.headers if key.lower() == name), "")

    def set(self, name: str, value: str) -> None:
        """Give a header this one value."""
        self.headers = [pair for pair in self.headers if pair[0].lower() != name.lower()] + [(name, f" {value}")]

    def encode(self) -> bytes:
        """As it is sent."""
        target = self.version + self.path + (f"?{self.query}" if self.query else "")
        lines = [f"{self.method} {target} {self.protocol}", *(":".join(pair) for pair in self.headers), "", ""]
        return "\r\n".join(lines).encode("latin-1")


class Proxy:
    """Serves one socket until it is closed."""

    def __init__(self, path: str, owner: int, ledger: Ledger) -> None:
        self._ledger = ledger
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._listener.bind(path)
        os.chmod(path, 0o600)
        if owner != os.geteuid():
            os.chown(path, owner, -1)
        self._listener.listen(64)
        self._creating = 0
        self._quiet = threading.Condition()
        self._closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more requests, and wait for those that create something just now."""
        self._listener.close()
        with self._quiet:
            self._closed = True
            self._quiet.wait_for(lambda: not self._creating, timeout=api.PATIENCE)

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), client:
            data = b""
            while b"\r\n\r\n" not in data:
                more = client.recv(CHUNK)
                if not more or len(data) > MOST:
                    return
                data += more
            raw, _, rest = data.partition(b"\r\n\r\n")
            self._handle(client, Head(raw), rest)

    def _handle(self, client: socket.socket, head: Head, rest: bytes) -> None:
        if not head.get("upgrade"):
            head.set("Connection", "close")
        refusal = self._refuse(head)
        if refusal:
            _answer(client, 403, {"message": f"netkit: {refusal}"})
        elif head.method == "POST" and head.path in CREATES:
            body = _label(head.path, json.loads(_read_body(client, head, rest)), self._ledger.lab)
            self._exchange(client, head, json.dumps(body).encode())
        elif head.method == "POST" and head.path in JOINS:
            with self._ledger.joining() as told:
                told(self._exchange(client, head, _read_body(client, head, rest)))
        else:
            if head.method == "POST" and head.path == "/build":
                head.query = _add_label(head.query, "labels", {api.LABEL: self._ledger.lab})
            if head.method == "POST" and PRUNES.match(head.path):
                head.query = _add_label(head.query, "filters", {"label": [f"{api.LABEL}={self._ledger.lab}"]})
            with _connect() as engine:
                engine.sendall(head.encode() + rest)
                _relay(client, engine)

    def _exchange(self, client: socket.socket, head: Head, body: bytes) -> bytes:
        """Send a whole request, and hand on its whole answer; returns that. Not while the lab closes."""
        head.set("Content-Length", str(len(body)))
        head.headers = [pair for pair in head.headers if pair[0].lower() != "transfer-encoding"]
        with self._quiet:
            if self._closed:
                _answer(client, 503, {"message": "netkit: this lab is being closed"})
                return b""
            self._creating += 1
        try:
            with _connect() as engine:
                engine.sendall(head.encode() + body)
                answer = b"".join(iter(lambda: engine.recv(CHUNK), b""))
        finally:
            with self._quiet:
                self._creating -= 1
                self._quiet.notify_all()
        client.sendall(answer)
        return answer

    def _refuse(self, head: Head) -> str:
        """Why a request is not let through, or ""."""
        if head.method == "POST" and head.path == "/swarm/leave" and not self._ledger.owns_swarm():
            return "this lab did not make this machine part of its swarm, and will not end that"
        match = REMOVES.match(head.path) if head.method == "DELETE" else None
        if match and self._ledger.is_foreign(match[1], urllib.parse.unquote(match[2])):
            return f"{match[2]} was not made by this lab, which removes only what is its own"
        return ""


def _connect() -> socket.socket:
    engine = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    engine.connect(api.SOCKET)
    return engine


def _label(path: str, body: dict, lab: str) -> dict:
    """The request's body with the lab's label: a service bears it in its containers (see api.service_labels)."""
    place = body
    if path == "/services/create":
        place = body.setdefault("TaskTemplate", {}).setdefault("ContainerSpec", {})
    place["Labels"] = {**(place.get("Labels") or {}), api.LABEL: lab}
    return body


def _add_label(query: str, name: str, value: dict) -> str:
    """A query whose JSON parameter ``name`` says this, too; for filters, this and nothing wider."""
    pairs = urllib.parse.parse_qsl(query, keep_blank_values=True)
    before = next((json.loads(text) for key, text in pairs if key == name and text), {})
    merged = {**before, **value}
    return urllib.parse.urlencode([pair for pair in pairs if pair[0] != name] + [(name, json.dumps(merged))])


def _read_body(client: socket.socket, head: Head, rest: bytes) -> bytes:
    """A request's whole body, given by its length or in chunks (RFC 9112)."""
    stream = _Stream(client, rest)
    if head.get("transfer-encoding").lower() != "chunked":
        return stream.read(int(head.get("content-length") or 0))
    parts = []
    while size := int(stream.line().split(b";")[0], 16):
        parts.append(stream.read(size))
        stream.line()
    stream.line()
    return b"".join(parts)


class _Stream:
    def __init__(self, sock: socket.socket, data: bytes) -> None:
        self._socket, self._data = sock, data

    def read(self, size: int) -> bytes:
        while len(self._data) < size:
            self._fill()
        found, self._data = self._data[:size], self._data[size:]
        return found

    def line(self) -> bytes:
        while b"\r\n" not in self._data:
            self._fill()
        found, _, self._data = self._data.partition(b"\r\n")
        return found

    def _fill(self) -> None:
        more = self._socket.recv(CHUNK)
        if not more:
            raise ValueError("the request broke off")
        self._data += more


def _answer(client: socket.socket, status: int, body: dict) -> None:
    data = json.dumps(body).encode()
    head = f"HTTP/1.1 {status} Refused\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n"
    client.sendall(head.encode() + data)


def _relay(client: socket.socket, engine: socket.socket) -> None:
    """Copy both ways until the engine has said all; the client may have ended its side long before."""
    sending = threading.Thread(target=_copy, args=(client, engine), daemon=True)
    sending.start()
    _copy(engine, client)
    with contextlib.suppress(OSError):
        client.shutdown(socket.SHUT_RDWR)  # wakes the other copier
    sending.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(CHUNK):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
