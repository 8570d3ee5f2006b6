"""Joins two network namespaces by a socket in the file system: ``python -m tests.relay LISTEN CONNECT [READY]``.

Each of the first two is a port of 127.0.0.1 or the path of a socket; READY is a file that is made once somebody can connect. It ends
with whoever started it. Standard library alone but for one system call.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path

from netkit.laboratory.inside.syscalls import die_with_parent


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


async def _join(near: tuple[asyncio.StreamReader, asyncio.StreamWriter], place: str) -> None:
    with contextlib.suppress(OSError):
        far = await (asyncio.open_connection("127.0.0.1", int(place)) if place.isdecimal() else asyncio.open_unix_connection(place))
        await asyncio.gather(_pump(near[0], far[1]), _pump(far[0], near[1]))
        far[1].close()
    near[1].close()


async def relay(listen: str, connect: str, ready: str | None = None) -> None:
    """Relay all connections to ``listen`` on to ``connect``, for ever."""

    async def accept(*near) -> None:
        await _join(near, connect)

    if listen.isdecimal():
        server = await asyncio.start_server(accept, "127.0.0.1", int(listen))
    else:
        server = await asyncio.start_unix_server(accept, listen)
    if ready:
        Path(ready).touch()
    await server.serve_forever()


if __name__ == "__main__":
    die_with_parent()
    asyncio.run(relay(*sys.argv[1:]))
