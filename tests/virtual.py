"""Two virtual machines under QEMU, joined as the Vagrantfile joins them, for tests."""

from __future__ import annotations

import base64
import os
import shlex
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.ports import find_ports

ROOT = Path(__file__).parent.parent
NAMES = ("node1", "node2")
MEMORY = 3072  # MiB of each
BOOT_PATIENCE = 600  # seconds: without KVM, and with one core for two machines


@dataclass
class VirtualMachine:
    """A running machine, entered as root by ssh at a port of the loopback."""

    name: str
    port: int
    key: Path
    process: subprocess.Popen
    log: Path
    forwards: dict[int, int] = field(default_factory=dict)

    def ssh(self, *options: str) -> list[str]:
        """The ssh command that leads to it: a fresh machine's host key is known to nobody."""
        trust = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
        alive = ["-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=30"]
        return ["ssh", "-F", "none", "-i", str(self.key), *trust, *alive, "-p", str(self.port), *options, "root@127.0.0.1"]

    def run(self, command: str, *, user: str = "", check: bool = True, timeout: float = 600) -> str:
        """What a shell command writes there, both streams; as root unless a user is told, then in its home's workshop."""
        if user:
            command = f"cd /home/{user}/workshop && runuser -u {user} -- env HOME=/home/{user} USER={user} sh -c {shlex.quote(command)}"
        done = subprocess.run(
            [*self.ssh(), command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout
        )
        assert not check or done.returncode == 0, f"on {self.name}, {command!r} ended with {done.returncode}:\n{done.stdout[-8000:]}"
        return done.stdout

    def send(self, source: Path, target: str) -> None:
        """Copy a directory's content there."""
        with subprocess.Popen(["tar", "-C", str(source), "-c", "."], stdout=subprocess.PIPE) as pack:
            subprocess.run([*self.ssh(), f"mkdir -p {target} && tar -C {target} -x"], stdin=pack.stdout, check=True, timeout=600)
        assert pack.returncode == 0

    def wait(self) -> float:
        """Wait until it answers; returns how many seconds that took."""
        begun = time.monotonic()
        while time.monotonic() - begun < BOOT_PATIENCE:
            assert self.process.poll() is None, f"{self.name} has ended: {self.log.read_text(errors='replace')[-2000:]}"
            if subprocess.run([*self.ssh(), "true"], stdin=subprocess.DEVNULL, capture_output=True).returncode == 0:
                return time.monotonic() - begun
            time.sleep(1)
        raise AssertionError(f"{self.name} does not answer: {self.log.read_text(errors='replace')[-2000:]}")

    def stop(self) -> None:
        """Pull its plug."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def unpack_box(box: Path, directory: Path) -> Path:
    """The disk image in a box for libvirt."""
    subprocess.run(["tar", "-C", str(directory), "-xzf", str(box), "./box.img"], check=True)
    return directory / "box.img"


def can_use_kvm() -> bool:
    """Whether the processor's own virtualisation is to be used: asked for with NETKIT_TEST_KVM=1, for within another machine it may hang."""
    return os.environ.get("NETKIT_TEST_KVM") == "1" and os.access("/dev/kvm", os.R_OK | os.W_OK)


def start_machines(image: Path, directory: Path) -> list[VirtualMachine]:
    """Start node1 and node2 from copies of one image; stop them yourself."""
    key = directory / "root"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    lan = find_ports(2, socket.SOCK_DGRAM)
    ports = find_ports(4)
    machines: list[VirtualMachine] = []
    try:
        for number, name in enumerate(NAMES):
            forwards = {8888: ports[2], 8889: ports[3]} if number == 0 else {}
            command = build_command(image, directory, number, ports[number], forwards, (lan[number], lan[1 - number]))
            log = directory / f"{name}.console"
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log.open("w"), stderr=subprocess.STDOUT)
            machines.append(VirtualMachine(name, ports[number], key, process, log, forwards))
    except BaseException:
        for machine in machines:
            machine.stop()
        raise
    return machines


def build_command(image: Path, directory: Path, number: int, ssh: int, forwards: dict[int, int], lan: tuple[int, int]) -> list[str]:
    """QEMU's command line; makes the machine's disk, a layer over the image."""
    name = NAMES[number]
    disk = directory / f"{name}.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(image), "-F", "qcow2", str(disk)], check=True)
    public = (directory / "root.pub").read_bytes()
    credential = "io.systemd.credential.binary:ssh.authorized_keys.root=" + base64.b64encode(public).decode()
    forward = "".join(f",hostfwd=tcp:127.0.0.1:{here}-:{there}" for there, here in ({22: ssh} | forwards).items())
    here, there = lan
    # without arch-capabilities: a register that KVM within a virtual machine may not be able to set
    words = [
        *("nice", "-n", "3"),
        shutil.which("qemu-system-x86_64") or "qemu-system-x86_64",
        *("-name", name, "-machine", "q35", "-m", str(MEMORY), "-smp", "1", "-display", "none", "-serial", "stdio", "-monitor", "none"),
        *(("-accel", "kvm", "-cpu", "host,-arch-capabilities") if can_use_kvm() else ("-accel", "tcg", "-cpu", "max")),
        *("-drive", f"file={disk},if=virtio,cache=unsafe"),
        *("-smbios", f"type=11,value={credential}"),
        *("-netdev", f"user,id=nat,restrict=on{forward}", "-device", "virtio-net-pci,netdev=nat"),
        "-netdev",
        f"dgram,id=lan,local.type=inet,local.host=127.0.0.1,local.port={here},remote.type=inet,remote.host=127.0.0.1,remote.port={there}",
        *("-device", f"virtio-net-pci,netdev=lan,mac=52:54:c0:a8:3b:0{number + 1}"),
        *("-device", "virtio-rng-pci"),
    ]
    return words
