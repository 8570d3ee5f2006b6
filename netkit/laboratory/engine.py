"""Find the Docker engine a lab is to run: the installed one, or one unpacked into a directory."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass

from netkit.errors import EngineError

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BELOW = ("", "bin", "sbin", "usr/bin", "usr/sbin")  # where a directory may have an engine's programs
OLDEST = (20, 10)
TOGETHER = ("containerd", "containerd-shim-runc-v2")  # of one release, or they do not understand each other
REQUIRED = ("runc",)
# what else dockerd runs by name; some packages lack them
OPTIONAL = ("docker-proxy", "docker-init", "ctr")
INSTALL = "install one (`apt-get install docker.io`), or name a directory that has one with --engine DIR or NETKIT_ENGINE"


@dataclass(frozen=True, slots=True)
class Engine:
    """A Docker engine's programs.

    ``commands`` maps a program's name to its absolute path: dockerd, containerd, its shim, runc,
    the docker CLI, and what else was found.
    """

    commands: dict[str, str]

    @property
    def dockerd(self) -> str:
        return self.commands["dockerd"]

    @property
    def fingerprint(self) -> str:
        """Changes whenever the programs do; cheaper than asking them for their versions."""
        stats = ((path, os.stat(path)) for _, path in sorted(self.commands.items()))
        return repr([(path, found.st_size, found.st_mtime_ns) for path, found in stats])

    def read_version(self) -> str:
        """dockerd's own version, e.g. "20.10.24"; raises EngineError for one that is too old."""
        try:
            done = subprocess.run([self.dockerd, "--version"], capture_output=True, encoding="utf-8", errors="replace", timeout=20)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EngineError(f"{self.dockerd} does not run ({error}): {INSTALL}") from None
        match = re.search(r"version v?([0-9][^ ,+]*)", done.stdout)
        if done.returncode or not match:
            said = (done.stderr or done.stdout).strip()[-300:]
            raise EngineError(f"{self.dockerd} does not tell its version ({said}): {INSTALL}")
        if tuple(int(n) for n in re.findall(r"\d+", match[1])[:2]) < OLDEST:
            raise EngineError(f"{self.dockerd} is version {match[1]}, netkit needs 20.10 or newer: {INSTALL}")
        return match[1]


def find_engine(directory: str | None = None) -> Engine:
    """The engine in ``directory`` (or its bin/), in $NETKIT_ENGINE, or the installed one.

    runc and the docker CLI are taken from the system where the directory lacks them. Raises
    EngineError with the remedy where there is none.
    """
    directory = directory or os.environ.get("NETKIT_ENGINE") or None
    if directory and not os.path.isdir(directory):
        raise EngineError(f"{directory} is no directory: {INSTALL}")
    places = ":".join(os.path.join(os.path.abspath(directory), below) for below in BELOW) if directory else SYSTEM_PATH
    dockerd = shutil.which("dockerd", path=places)
    if not dockerd:
        where = f"{directory} holds no dockerd" if directory else "no dockerd is installed on this machine"
        raise EngineError(f"{where}: {INSTALL}")
    beside = os.path.dirname(dockerd)
    search = f"{beside}:{places}:{SYSTEM_PATH}"
    # the docker CLI that came with this dockerd, else the first one
    searched = {"dockerd": places, **dict.fromkeys(TOGETHER, places), **dict.fromkeys((*REQUIRED, *OPTIONAL), search)}
    searched["docker"] = f"{beside}:{os.path.dirname(beside)}/bin:/usr/bin:{search}"
    found = {name: shutil.which(name, path=path) for name, path in searched.items()}
    commands = {name: os.path.abspath(path) for name, path in found.items() if path}
    missing = [name for name in (*TOGETHER, *REQUIRED) if name not in commands]
    if missing:
        raise EngineError(f"{dockerd} cannot run without {', '.join(missing)}: {INSTALL}")
    return Engine(commands)
