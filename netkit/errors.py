"""Errors a learner may see: one clear sentence each, and what to do next."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator


class NetkitError(Exception):
    """Something netkit cannot do; its text says what happened where, and the remedy."""


class LabError(NetkitError):
    """A lab could not be opened, reached or used."""


class EngineError(NetkitError):
    """No usable Docker engine."""


class CommandError(NetkitError):
    """A command on a host of the lab ended with a status other than 0.

    Attributes: ``node`` (its name), ``command`` (text), ``status`` (int), ``stderr`` (text).
    """

    def __init__(self, node: str, command: str, status: int, stderr: str = "") -> None:
        self.node, self.command, self.status, self.stderr = node, command, status, stderr
        said = f": {stderr.strip()}" if stderr.strip() else ""
        super().__init__(f"on {node}, `{command}` ended with status {status}{said}")


@contextlib.contextmanager
def said_at_the_end(what: str) -> Iterator[None]:
    """Say on stderr what stopped ``what``, for a process that ends by ``os._exit``, where no traceback would be printed."""
    try:
        yield
    except Exception as error:
        # sys.stderr may be a notebook's by now, and that takes open files
        print(f"netkit: {what} ended: {type(error).__name__}: {error}", file=sys.__stderr__, flush=True)
        raise
