"""The packet filter of a namespace, as iptables-save(8) writes it, for both backends and families.

The programs are started while the thread is in the namespace, and read later: they run beside
everything else.
"""

from __future__ import annotations

import os

PROGRAMS = ((4, "iptables", "/proc/net/ip_tables_names"), (6, "ip6tables", "/proc/net/ip6_tables_names"))
DIRECTORIES = ("/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin")


class Listing:
    """The programs that list the rules of the namespace the thread is in when it is made."""

    def __init__(self) -> None:
        self._running = []
        for family, program, legacy_tables in PROGRAMS:
            for backend, name in (("nf_tables", f"{program}-nft-save"), ("legacy", f"{program}-legacy-save")):
                path = _find(name)
                if path and (backend == "nf_tables" or _is_filled(legacy_tables)):
                    self._running.append((family, backend, *_spawn(path)))

    def read(self) -> list[dict]:
        """What was listed: family, backend, and the lines without comments and counters."""
        found = []
        for family, backend, pid, output in self._running:
            with open(output, encoding="utf-8", errors="replace") as file:
                lines = [line for line in file.read().splitlines() if line[:1] in "*:-"]
            os.waitpid(pid, 0)
            found.append({"family": family, "backend": backend, "lines": lines})
        return found


def _find(name: str) -> str | None:
    return next((path for path in (f"{directory}/{name}" for directory in DIRECTORIES) if os.access(path, os.X_OK)), None)


def _is_filled(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return bool(file.read(1))
    except OSError:
        return False


def _spawn(path: str) -> tuple[int, int]:
    read, write = os.pipe2(os.O_CLOEXEC)
    actions = [(os.POSIX_SPAWN_DUP2, write, 1), (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)]
    try:
        return os.posix_spawn(path, [path], {"PATH": ":".join(DIRECTORIES)}, file_actions=actions), read
    finally:
        os.close(write)
