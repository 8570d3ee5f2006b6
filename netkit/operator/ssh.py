"""The way to a machine: OpenSSH's client, one shared connection to each, and nothing handed on that was not asked for.

The connection is opened by the lab (:mod:`netkit.operator.link`); whoever is in the lab uses it through a
socket in the lab's private directory (ssh_config(5), ControlPath).

A machine needs nothing of netkit: what runs there is sent ahead on standard input, as an archive. Python imports straight from
it, and it lies in memory there (memfd_create(2)): nothing is installed, and no file is left. What netkit needs of pyroute2 is in it, too.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import pty
import secrets
import shlex
import signal
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

from netkit.errors import LabError
from netkit.laboratory.remote import Command, Descriptors, to_argv
from netkit.laboratory.spec import ROOT
from netkit.operator.inventory import Machine

OLDEST = (3, 9)  # Python on a machine
WIDTH = 8  # digits of the archive's length, which comes first
# what is sent: only what is imported there
MODULES = (
    *("netkit/__init__.py", "netkit/laboratory/__init__.py", "netkit/laboratory/inside/__init__.py"),
    *("netkit/laboratory/inside/syscalls.py", "netkit/hosts/*.py"),
    *("netkit/operator/__init__.py", "netkit/operator/guard*.py"),
)
LIBRARY = ("common.py", "config/*.py", "netlink/*.py", "netlink/rtnl/*.py", "netlink/rtnl/ifinfmsg/**/*.py")  # of pyroute2
# reads with read(2) alone: what follows the archive belongs to the module
BOOTSTRAP = f"""
import os, sys
if sys.version_info < {OLDEST}: sys.exit("Python " + sys.version.split()[0] + " is too old")
def read(n, data=b""):
    while len(data) < n: data += os.read(0, n - len(data)) or sys.exit("the connection broke off")
    return data
fd = os.memfd_create("netkit")
with open(fd, "wb", closefd=False) as file: file.write(read(int(read({WIDTH}))))
sys.path.insert(0, "/proc/self/fd/%d" % fd)
module = sys.argv.pop(1)
__import__(module)
sys.modules[module].main()
""".strip()


@functools.cache
def build_payload() -> bytes:
    """The archive, its length before it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for pattern in MODULES:
            for path in sorted(Path(ROOT).glob(pattern)):
                archive.write(path, path.relative_to(ROOT))
        library = Path(find_spec("pyroute2").submodule_search_locations[0])
        archive.writestr("pyroute2/__init__.py", "")  # its own would import all it has
        for path in sorted(path for pattern in LIBRARY for path in library.glob(pattern)):
            archive.write(path, path.relative_to(library.parent))
    return f"{len(buffer.getvalue()):0{WIDTH}}".encode() + buffer.getvalue()


HANGUP_PATIENCE = 0.5  # seconds from SIGHUP to SIGKILL
CONNECT_PATIENCE = 8  # seconds
SILENCE = 5  # seconds after which the far side is asked whether it is still there; three times
OPTIONS = {
    "BatchMode": "yes",  # never a question: nobody could answer it
    "StrictHostKeyChecking": "yes", "UpdateHostKeys": "no",
    "ForwardAgent": "no", "ForwardX11": "no", "PermitLocalCommand": "no", "RemoteCommand": "none", "Tunnel": "no",
    "EscapeChar": "none", "LogLevel": "ERROR",
    "ConnectTimeout": str(CONNECT_PATIENCE), "ServerAliveInterval": str(SILENCE), "ServerAliveCountMax": "3",
    "StreamLocalBindMask": "0177",
}  # fmt: skip
# goes to where the caller is, if there is such a directory, and knows where root's programs are
WRAP = 'cd -- "$1" 2>/dev/null || cd; shift; PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin; export PATH; exec "$@"'
COMMAND = "NETKIT_COMMAND"  # in the environment of a command and what it starts: how it is found to be signalled
SIGNAL = "for e in $(grep -lsz '^{mark}$' /proc/[0-9]*/environ); do p=${{e#/proc/}}; kill -s {number} ${{p%/environ}}; done 2>/dev/null"
# begins a session whose terminal its standard input is: so that the command hears of a new size
LEADER = "import fcntl,os,sys,termios; fcntl.ioctl(0, termios.TIOCSCTTY); os.execvp(sys.argv[1], sys.argv[1:])"
SHELLS = ("bash", "sh", "dash", "ash", "busybox", "zsh", "ksh")
SCRUBBED_PREFIXES = ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS", "DOCKER_CERT", "DOCKER_API")


def build_options(machine: Machine, control: str) -> list[str]:
    """ssh's options for a connection that is shared through the socket ``control``."""

    def quote(path: str) -> str:  # as ssh's configuration takes it: blanks in quotes, "%" doubled
        return '"' + path.replace("%", "%%") + '"'

    options = OPTIONS | {"ControlPath": control}
    if machine.key:
        options |= {"IdentityFile": quote(machine.key), "IdentitiesOnly": "yes"}
    if machine.known_hosts:
        options |= {"UserKnownHostsFile": quote(machine.known_hosts), "GlobalKnownHostsFile": "/dev/null"}
    if machine.user:
        options["User"] = machine.user
    if machine.port:
        options["Port"] = str(machine.port)
    return [word for name, value in options.items() for word in ("-o", f"{name}={value}")]


@dataclass(frozen=True, slots=True)
class Route:
    """The transport to a machine (see :class:`netkit.laboratory.remote.Transport`).

    ``ssh`` is ssh's command line up to the remote command, () for the machine the caller is on; ``control``
    the connection's socket; ``settings`` the variables commands find there; ``sudo``: they are run with sudo.
    """

    name: str
    ssh: Sequence[str] = ()
    control: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    sudo: bool = False

    def words(self, argv: list[str], cwd: str = "", env: dict[str, str] | None = None) -> list[str]:
        """A command as the machine's own shell, or exec, gets it."""
        pairs = [f"{name}={value}" for name, value in (self.settings | (env or {})).items()]
        sudo = ("sudo", "-n", "--") if self.sudo else ()
        words = [*sudo, "sh", "-c", WRAP, "sh", cwd, "env", *pairs, *argv]
        return [*self.ssh, shlex.join(words)] if self.ssh else words

    def start(self, command: Command, fds: Descriptors | None, cwd: str, env: dict[str, str]) -> tuple[Process, int | None]:
        """See :meth:`netkit.laboratory.remote.Transport.start`."""
        self.check()
        mark = secrets.token_hex(8)
        words = self.words(to_argv(command), cwd, env | {COMMAND: mark})
        try:
            if fds is None:
                return self._start_on_terminal(words, mark)
            stdin = subprocess.DEVNULL if self.ssh and is_script(fds[0]) else fds[0]
            return Process(self, popen(words, stdin, *fds[1:]), mark), None
        except OSError as error:
            raise LabError(f"on {self.name}: {error}") from None

    def _start_on_terminal(self, words: list[str], mark: str) -> tuple[Process, int]:
        master, slave = pty.openpty()
        os.set_inheritable(master, False)
        if self.ssh:
            words = [words[0], "-tt", *words[1:]]
        try:
            return Process(self, popen([sys.executable, "-I", "-S", "-c", LEADER, *words], slave, slave, slave), mark), master
        finally:
            os.close(slave)

    def python(self, module: str, *arguments: str) -> tuple[list[str], bytes]:
        """See :meth:`netkit.laboratory.remote.Transport.python`: the code itself is sent."""
        python = "python3" if self.ssh else sys.executable
        return [python, "-I", "-S", "-c", BOOTSTRAP, module, *arguments], build_payload()

    def check(self) -> None:
        """Raises LabError if the connection is no more."""
        if self.ssh and not os.path.exists(self.control):
            raise LabError(
                f"{self.name} is not connected any more: its ssh connection has ended, and what the lab had made there with it; "
                "open the lab again (restart the kernel)"
            )


def is_script(fd: int) -> bool:
    """Whether a shell above this process reads its own commands, or a loop's lines, from this descriptor.

    ssh reads ahead whatever it is given, whether the far command wants it or not: in a ``%%bash`` cell that is
    the rest of the cell. A terminal is not meant: who types there types for the command.
    """
    if os.isatty(fd):
        return False
    mine, pid = os.fstat(fd), os.getppid()
    with contextlib.suppress(OSError, ValueError):
        while pid > 1:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                name, _, rest = file.read().partition("(")[2].rpartition(")")
            if name in SHELLS and os.path.samestat(mine, os.stat(f"/proc/{pid}/fd/0")):
                return True
            pid = int(rest.split()[1])
    return False


def is_scrubbed(name: str) -> bool:
    """Whether a variable of the caller would lead docker past the lab's own door."""
    return name.startswith(SCRUBBED_PREFIXES)


def popen(words: list[str], stdin: int, stdout: int, stderr: int) -> subprocess.Popen:
    """Start a process in a session of its own: the caller's terminal does not interrupt it."""
    environment = {name: value for name, value in os.environ.items() if not is_scrubbed(name)}
    return subprocess.Popen(words, stdin=stdin, stdout=stdout, stderr=stderr, env=environment, start_new_session=True)


class Process:
    """A command that runs on a machine (see :class:`netkit.laboratory.remote.Running`)."""

    def __init__(self, route: Route, process: subprocess.Popen, mark: str) -> None:
        self.node, self._route, self._process, self._mark = route.name, route, process, mark
        self._ended = os.pidfd_open(process.pid)

    def signal(self, number: int) -> None:
        """Send a signal to the command and to all it has started."""
        words = replace(self._route, settings={}).words(["sh", "-c", SIGNAL.format(mark=f"{COMMAND}={self._mark}", number=number)])
        nothing = subprocess.DEVNULL
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(words, stdin=nothing, stdout=nothing, stderr=nothing, timeout=CONNECT_PATIENCE)

    def wait(self) -> int:
        """Wait for the command's end; returns its exit status as a shell counts it, raises LabError if the connection broke."""
        status = self._process.wait()
        self.close()
        if status == 255:  # ssh's own word for trouble, and a command's
            self._route.check()
        return 128 - status if status < 0 else status

    def fileno(self) -> int:
        """Readable when the command has ended."""
        return self._ended

    def close(self) -> None:
        """Hang up, if the command still runs; may be repeated."""
        if self._ended < 0:
            return
        if self._process.poll() is None:
            self.signal(signal.SIGHUP)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(HANGUP_PATIENCE)
        if self._process.poll() is None:
            self.signal(signal.SIGKILL)
            self._process.kill()
            self._process.wait()
        os.close(self._ended)
        self._ended = -1
