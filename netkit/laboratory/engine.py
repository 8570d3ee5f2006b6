"""Find the Docker engine a lab is to run: the installed one, or one unpacked into a directory."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass

from netkit.errors import EngineError

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
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
        return _read_version(self.dockerd)


def find_engine(directory: str | None = None) -> Engine:
    """The engine in ``directory`` (or its bin/), in $NETKIT_ENGINE, or the installed one.

    runc and the docker CLI are taken from the system where the directory lacks them. Raises
    EngineError with the remedy where there is none.
    """
    directory = directory or os.environ.get("NETKIT_ENGINE") or None
    places = _places(directory) if directory else SYSTEM_PATH
    dockerd = shutil.which("dockerd", path=places)
    if not dockerd:
        where = f"{directory} holds no dockerd" if directory else "no dockerd is installed on this machine"
        raise EngineError(f"{where}: {INSTALL}")
    search = f"{os.path.dirname(dockerd)}:{places}:{SYSTEM_PATH}"
    commands = {"dockerd": os.path.abspath(dockerd)}
    for name in (*TOGETHER, *REQUIRED, *OPTIONAL):
        found = shutil.which(name, path=places if name in TOGETHER else search)
        if found:
            commands[name] = os.path.abspath(found)
    missing = [name for name in (*TOGETHER, *REQUIRED) if name not in commands]
    if missing:
        raise EngineError(f"{dockerd} cannot run without {', '.join(missing)}: {INSTALL}")
    cli = _find_cli(dockerd, search)
    if cli:
        commands["docker"] = cli
    return Engine(commands)


def _places(directory: str) -> str:
    if not os.path.isdir(directory):
        raise EngineError(f"{directory} is no directory: {INSTALL}")
    absolute = os.path.abspath(directory)
    return f"{absolute}:{absolute}/bin:{absolute}/sbin:{absolute}/usr/bin:{absolute}/usr/sbin"


def _find_cli(dockerd: str, search: str) -> str | None:
    """The docker CLI that came with this dockerd, else the first one in the search path."""
    prefix = os.path.dirname(os.path.dirname(dockerd))
    found = shutil.which("docker", path=f"{os.path.dirname(dockerd)}:{prefix}/bin:/usr/bin:{search}")
    return os.path.abspath(found) if found else None


def _read_version(dockerd: str) -> str:
    try:
        done = subprocess.run([dockerd, "--version"], capture_output=True, encoding="utf-8", errors="replace", timeout=20)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineError(f"{dockerd} does not run ({error}): {INSTALL}") from None
    match = re.search(r"version v?([0-9][^ ,]*)", done.stdout)
    if done.returncode or not match:
        said = (done.stderr or done.stdout).strip()[-300:]
        raise EngineError(f"{dockerd} does not tell its version ({said}): {INSTALL}")
    version = match[1].split("+")[0]
    if tuple(int(n) for n in re.findall(r"\d+", version)[:2]) < OLDEST:
        raise EngineError(f"{dockerd} is version {version}, netkit needs 20.10 or newer: {INSTALL}")
    return version
