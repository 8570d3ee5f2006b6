"""A few questions to a Docker engine, over its socket (Docker Engine API)."""

from __future__ import annotations

import http.client
import json
import socket
import urllib.parse

SOCKET = "/var/run/docker.sock"
PATIENCE = 30.0  # seconds for an engine to say the next word
LABEL = "netkit.lab"
SERVICE = "com.docker.swarm.service.name"


class Refusal(Exception):
    """The engine said no, or nothing; ``status`` is HTTP's, 0 without an answer."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


class Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("docker", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ask(method: str, path: str, body: object = None, engine: str = SOCKET) -> object:
    """One request, one answer as JSON; raises Refusal."""
    connection = Connection(engine)
    try:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        data = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise Refusal(explain(error, engine)) from None
    finally:
        connection.close()
    told = _decode(data)
    if answer.status >= 400:
        raise Refusal(told.get("message", "") if isinstance(told, dict) else str(told), answer.status)
    return told


def explain(error: Exception, engine: str = SOCKET) -> str:
    """Why an engine cannot be asked, and what helps."""
    if isinstance(error, FileNotFoundError):
        return f"there is no Docker engine ({engine} does not exist): install and start one"
    if isinstance(error, ConnectionRefusedError):
        return f"its Docker engine is not running (nobody answers at {engine}): start it"
    if isinstance(error, PermissionError):
        return f"this user may not use Docker ({engine} is closed to them): add them to the group docker, or set sudo = true"
    if isinstance(error, TimeoutError):
        return f"its Docker engine has been silent for {PATIENCE:.0f} s"
    return f"its Docker engine does not answer ({error})"


def _decode(data: bytes) -> object:
    try:
        return json.loads(data)
    except ValueError:
        return data.decode(errors="replace")


def with_label(value: str | None = None) -> str:
    """The query that lists only what bears the label, of one lab or of any."""
    label = LABEL if value is None else f"{LABEL}={value}"
    return "filters=" + urllib.parse.quote(json.dumps({"label": [label]}))


def service_labels(spec: dict) -> dict:
    """The labels of a service's containers: where a service bears ours, so that its own look as they were typed."""
    return ((spec.get("TaskTemplate") or {}).get("ContainerSpec") or {}).get("Labels") or {}
