"""The opener's hold on one machine: the ssh connection all others share, and the guard at its far end."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import subprocess
import sysconfig

from netkit.errors import LabError
from netkit.laboratory.engine import SYSTEM_PATH
from netkit.laboratory.spec import MACHINES_LAB
from netkit.operator.inventory import Machine
from netkit.operator.ssh import OLDEST, Route, build_options, popen

GUARD = "netkit.operator.guard"
PATIENCE = 60.0  # seconds for a machine to answer, and to clear up
LOAD_PATIENCE = 120  # seconds for an engine to unpack images
# what ssh, sudo or a shell says → what that means and what helps
SIGNS = (
    (r"IDENTIFICATION HAS CHANGED", "shows another host key than the one that is known: if it was set up anew, remove the old key "
     "(`ssh-keygen -R HOST`) and add the new one; if not, somebody stands between"),
    (r"Host key verification failed|No .* host key is known", "has a host key nobody here knows: connect once by hand and compare its "
     "fingerprint, or add it to known_hosts (`ssh-keyscan`)"),
    (r"UNPROTECTED PRIVATE KEY|bad permissions", "cannot be entered: the private key can be read by others (`chmod 600 KEY`)"),
    (r"Permission denied \(|Too many authentication", "does not let this user in: the key is not the one it expects (`ssh-copy-id` puts it there)"),
    (r"sudo: .*(password|tty|not allowed|not in)", "wants a password for sudo: allow it without one (NOPASSWD), or log in as root"),
    (r"python3.*(not found|No such file)", f"has no Python 3: `apt-get install python3` there, {OLDEST[0]}.{OLDEST[1]} or newer"),
    (r"(Python \S+) is too old", f"has a Python that is too old: netkit needs {OLDEST[0]}.{OLDEST[1]} or newer there"),
    (r"refused|No route|timed out|resolve hostname|unreachable|reset by peer|closed by", "cannot be reached: is it switched on, does sshd "
     "run there, is the address right?"),
)  # fmt: skip


class Link:
    """A machine of an open lab; :meth:`open` it, and :meth:`close` it, however far it has come."""

    def __init__(self, machine: Machine, lab: str, directory: str) -> None:
        self.machine, self._lab, self._directory = machine, lab, directory
        self._where = f"{machine.name} ({machine.where})"
        self.control = f"{directory}/{machine.name}.ssh" if machine.host else ""
        self.facts: dict = {}
        self._process: subprocess.Popen | None = None

    def route(self) -> Route:
        """How commands get to this machine, once it is open."""
        settings = {"NETKIT_LAB_ID": self._lab, "NETKIT_NODE": self.machine.name}
        if self.facts.get("docker"):
            settings["DOCKER_HOST"] = f"unix://{self.facts['docker']}"
        if not self.machine.host:  # where there are netkit, and others of this lab to be reached
            path = [sysconfig.get_path("scripts"), *os.environ.get("PATH", "").split(":"), *SYSTEM_PATH.split(":")]
            settings |= {MACHINES_LAB: self._directory, "PATH": ":".join(dict.fromkeys(path))}
        return Route(self.machine.name, self._ssh("-o", "ControlMaster=no"), self.control, settings, self.machine.sudo)

    def _ssh(self, *options: str) -> tuple[str, ...]:
        """ssh's command line up to the remote command, () for the machine the opener is on."""
        return ("ssh", *build_options(self.machine, self.control), *options, self.machine.host) if self.control else ()

    @property
    def docker(self) -> str:
        """The socket here that leads to the machine's engine, "" for none."""
        if not self.facts.get("docker"):
            return ""
        return f"{self._directory}/{self.machine.name}.docker" if self.control else self.facts["docker"]

    def open(self, wishes: dict) -> None:
        """Connect, and have the guard prepare the machine; raises LabError with one sentence why not."""
        master = Route(self.machine.name, self._ssh("-o", "ControlMaster=yes", "-o", "ClearAllForwardings=yes"), sudo=self.machine.sudo)
        command, preamble = master.python(GUARD)
        self._stderr = os.memfd_create("stderr")
        try:
            self._process = popen(master.words(command), subprocess.PIPE, subprocess.PIPE, self._stderr)
        except OSError as error:
            os.close(self._stderr)
            raise LabError(f"{self.machine.name} cannot be reached: {error}; `apt-get install openssh-client`") from None
        self._tell(preamble + json.dumps(wishes).encode() + b"\n")
        self.facts = self._hear("hello")
        if self.docker and self.control:
            self._forward()

    def load_images(self, archive: str, ids: dict[str, str]) -> None:
        """Load an archive of images into the machine's engine, once the guard has written down that they (tag → id) are this lab's.

        Raises LabError, naming a full disk as what it is.
        """
        import docker
        from urllib3.exceptions import HTTPError

        self._tell(json.dumps({"images": ids}).encode() + b"\n")
        self._hear("noted")
        try:
            client = docker.DockerClient(f"unix://{self.docker}", "auto", LOAD_PATIENCE)
            with contextlib.closing(client), open(archive, "rb") as file:
                client.images.load(file)
        except (OSError, HTTPError, docker.errors.DockerException) as error:
            why = f"did not take the workshop's images: {str(error)[-300:]}"
            if "no space left" in str(error):
                why = "has a full disk: the workshop's images do not fit; make room where its engine keeps them"
            raise LabError(f"{self.machine.name} {why}") from None

    def _tell(self, data: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):  # it has ended: heard when its answer is read
            self._process.stdin.write(data)
            self._process.stdin.flush()

    def _hear(self, wanted: str):
        """The guard's next answer; raises LabError if it is another than ``wanted``, or none comes."""
        if not select.select([self._process.stdout], [], [], PATIENCE)[0]:
            raise LabError(f"{self._where} has not answered within {PATIENCE:.0f} s")
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise LabError(f"{self._where} {self._explain()}")
        answer = json.loads(line)
        if "refused" in answer:
            raise LabError(f"{self._where} {answer['refused']}")
        return answer[wanted]

    def _explain(self) -> str:
        """What became of a connection that ended before it was open."""
        self._process.wait()
        said = os.pread(self._stderr, 1 << 16, 0).decode(errors="replace")
        lines = said.strip().splitlines() or [f"the connection ended with status {self._process.returncode}"]
        for sign, meaning in SIGNS:
            if re.search(sign, said):
                return f"{meaning} [{lines[-1].strip()}]"
        return f"cannot be used: {lines[-1].strip()}"

    def _forward(self) -> None:
        """Let a socket here lead to the guard's door to the engine: never a TCP port."""
        ssh = self._ssh("-O", "forward", "-L", f"{self.docker}:{self.facts['docker']}")
        done = subprocess.run(ssh, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)
        if done.returncode:
            remedy = f"AllowStreamLocalForwarding has to be yes there ({done.stderr.strip()})"
            raise LabError(f"{self._where} does not forward unix sockets: {remedy}")

    def begin_close(self) -> None:
        """Have the guard begin to clear up, without waiting for it. May be repeated."""
        if self._process is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()

    def close(self) -> list[str]:
        """End what the lab has there; returns a sentence for each thing that stays. May be repeated."""
        if self._process is None:
            return []
        self.begin_close()
        try:
            kept = [f"{self.machine.name}: {each}" for each in self._hear("closed")] if self.facts else []
        except LabError:
            kept = [f"{self._where} was cut off: its guard removes there what the lab had made, as soon as it notices"]
        try:
            self._process.wait(PATIENCE if self.facts else 5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.disown()
        return kept

    def disown(self) -> None:
        """Let go of the machine without closing it: for a forked child, whose parent goes on holding it."""
        if self._process is not None:
            self.begin_close()
            self._process.stdout.close()
            os.close(self._stderr)
            self._process.returncode = self._process.returncode or 0
            self._process = None
