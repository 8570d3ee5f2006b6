"""Hosts that are reached by ssh, for tests: the nodes of a throw-away lab, each with a real sshd and its own engine.

Nothing of the machine's own ssh is used or changed: keys, known hosts and settings are made for the test.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from netkit.laboratory.lab import Lab, Node
from netkit.laboratory.remote import Result
from tests.patience import patiently

SSHD = shutil.which("sshd", path="/usr/local/sbin:/usr/sbin:/sbin")
# HOME: what a person's own .bashrc does (it is read in a session of sshd, too) is no business of a test
CONFIG = """
ListenAddress {address}
Port {port}
HostKey {directory}/{name}.host
AuthorizedKeysFile {directory}/user.pub
PidFile /run/sshd.{port}.pid
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
AcceptEnv LANG
SetEnv PATH={path} HOME=/run
"""


@dataclass(frozen=True)
class Hosts:
    """The hosts of a lab, and the directory with the keys and inventories of one test."""

    lab: Lab
    directory: Path

    def write_inventory(self, text: str = "", *, name: str = "inventory.toml", extra: str = "", outside: bool = False) -> str:
        """An inventory of node1, where the kernel runs, and node2 by ssh; ``extra`` settings are node2's."""
        text = (
            text
            or f"""
known_hosts = "known_hosts"
[machines.node1]
ssh = "local"
address = "192.168.59.1"
[machines.node2]
ssh = "root@192.168.59.2"
key = "user"
{extra}
"""
        )
        if outside:
            text += '[outside]\nssh = "root@192.168.59.254"\nkey = "user"\n'
        (self.directory / name).write_text(text)
        return str(self.directory / name)

    def python(self, code: str, inventory: str, *, on: str = "node1", check: bool = True) -> Result:
        """Run Python on a host, with the inventory set, as a process of its own."""
        return self.lab[on].run([sys.executable, "-c", code], env={"NETKIT_MACHINES": inventory}, check=check, timeout=patiently())

    def netkit(self, *words: str, inventory: str, on: str = "node1", check: bool = True) -> Result:
        """Run the netkit command on a host, with the inventory set."""
        return self.lab[on].run(
            [sys.executable, "-m", "netkit", *words], env={"NETKIT_MACHINES": inventory}, check=check, timeout=patiently()
        )


def prepare_hosts(lab: Lab, directory: Path, *names: str) -> Hosts:
    """Give hosts of a lab an sshd each. The directory has to be visible on them."""
    if SSHD is None:
        pytest.skip("there is no sshd on this machine: `apt-get install openssh-server`")
    _make_key(directory / "user")
    known = []
    for name in names:
        _make_key(directory / f"{name}.host")
        known.append(f"{lab[name].address} {(directory / f'{name}.host.pub').read_text()}")
        start_sshd(lab[name], directory)
    (directory / "known_hosts").write_text("".join(known))
    return Hosts(lab, directory)


def _make_key(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)], check=True)


def start_sshd(host: Node, directory: Path, *, port: int = 22, path: str = "") -> None:
    """Start sshd on a host, with the host key of its name; ``path`` is where its users find programs (the host's own PATH)."""
    path = path or host.run('echo -n "$PATH"').stdout
    config = directory / f"{host.name}.{port}.sshd"
    config.write_text(CONFIG.format(address=host.address, port=port, directory=directory, name=host.name, path=path))
    # sshd lets nobody into an account whose password is locked, and cannot read the machine's own list of them as an ordinary user:
    # the host's /etc is its own
    host.run("printf 'root:*:19000:0:99999:7:::\\nsshd:*:19000::::::\\n' > /etc/shadow.new && mv -f /etc/shadow.new /etc/shadow")
    # nor may an ordinary user's lab enter the home directory of the machine's root
    host.run("sed 's#^\\(root:[^:]*:0:0:[^:]*\\):[^:]*:#\\1:/run:#' /etc/passwd > /etc/passwd.new && mv -f /etc/passwd.new /etc/passwd")
    # bash stays: an sshd that is a child of the first process, as it would be here, believes to be a daemon already
    host.run(f"mkdir -p /run/sshd; {SSHD} -f {config}; exit $?")


def stop_sshd(host: Node, port: int = 22) -> None:
    """Stop sshd on a host; connections that are open stay."""
    host.run(f"kill $(cat /run/sshd.{port}.pid); while [ -e /run/sshd.{port}.pid ]; do sleep 0.01; done")


def read_json(result: Result) -> object:
    """What a program wrote as its last line."""
    return json.loads(result.stdout.splitlines()[-1])
