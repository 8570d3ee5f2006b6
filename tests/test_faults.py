"""Kill anything at any moment: nothing is left, and the next lab opens."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time

import psutil
import pytest
from jupyter_client.manager import KernelManager

from netkit.laboratory.lab import open_lab
from tests.kernels import execute, holds_within, wait_for
from tests.machine import is_alive
from tests.patience import patiently

ROUNDS = int(os.environ.get("NETKIT_FAULT_ROUNDS", "50"))
# what the lab is busy with when it is hit: a swarm of two, an overlay, containers, a service
BUSY = """
import sys
from netkit.laboratory.lab import Lab
one, two = list(Lab(sys.argv[1]))[:2]
one.run("docker swarm init --advertise-addr 192.168.59.1")
token = one.run("docker swarm join-token -q worker").stdout.strip()
two.run(f"docker swarm join --token {token} 192.168.59.1:2377")
one.run("docker network create -d overlay --attachable over && docker run -d --name c1 --network over busybox sleep 1000")
two.run("docker run -d --name c2 --network over busybox sleep 1000")
one.run("docker service create --detach --name hello --replicas 2 --network over busybox sleep 1000")
one.run("while :; do docker exec c1 ping -c1 c2; sleep 0.2; done", check=False)
"""
LONGEST = 4.0  # seconds from the first fork to a busy swarm
TARGETS = ("launcher", "kernel", "PID 1", "dockerd", "containerd")


class Victim:
    """A kernel with its lab, being kept busy; and its processes, as far as they have appeared."""

    def __init__(self) -> None:
        self.manager = KernelManager(kernel_name="netkit")
        self.manager.start_kernel()
        self.launcher = psutil.Process(self.manager.provisioner.pid)
        self.busy: subprocess.Popen | None = None

    def find(self, target: str) -> psutil.Process | None:
        """A process of the named kind that exists now."""
        for process in self.family():
            with contextlib.suppress(psutil.Error):
                name, line = process.name(), process.cmdline()
                kinds = {
                    "launcher": process == self.launcher,
                    # the one with nobody of its own name below it but in the lab's PID namespace
                    "kernel": "netkit.kernel" in line and process != self.launcher and process.ppid() != self.launcher.pid,
                    "PID 1": name == "netkit-lab",
                    "dockerd": name == "dockerd",
                    "containerd": name == "containerd",
                }
                if kinds[target]:
                    return process
        return None

    def family(self) -> list[psutil.Process]:
        """The launcher and all below it."""
        with contextlib.suppress(psutil.Error):
            return [self.launcher, *self.launcher.children(recursive=True)]
        return [self.launcher]

    def work(self) -> None:
        """Keep the lab busy as soon as there is one."""
        if self.busy is None and (lab := self.find("PID 1")) and os.path.exists(f"/proc/{lab.pid}/root/run/netkit/node1/docker.sock"):
            self.busy = subprocess.Popen(
                [sys.executable, "-c", BUSY, f"/proc/{lab.pid}/root"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )

    def explain(self) -> str:
        """What a kernel whose lab did not come up answers to any cell."""
        client = self.manager.client()
        client.start_channels()
        try:
            client.wait_for_ready(timeout=patiently())
            return execute(client, "1")
        finally:
            client.stop_channels()

    def end(self) -> None:
        """What a client does with a kernel that is of no more use."""
        if self.busy:
            self.busy.kill()
            self.busy.wait()
        self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()


@pytest.mark.parametrize("number", range(ROUNDS))
def test_a_kill_at_any_moment_leaves_nothing(number, seeded, machine):
    """One process of a lab dies at a random moment; within two seconds there is nothing left of it."""
    target, moment = seeded.choice(TARGETS), seeded.uniform(0, LONGEST)
    print(f"round {number}: {target} after {moment:.2f} s")
    victim = Victim()
    try:
        deadline = time.monotonic() + moment
        while time.monotonic() < deadline:
            victim.work()
            time.sleep(0.01)
        hit = victim.find(target) or victim.launcher  # what does not exist yet cannot be hit
        family = victim.family()
        with contextlib.suppress(psutil.NoSuchProcess):
            hit.kill()
        if target in ("dockerd", "containerd") and hit != victim.launcher:
            # a machine whose engine has died is still a machine: its user closes it
            time.sleep(seeded.uniform(0, 0.2))
            family += victim.family()
            victim.end()
        if target == "PID 1" and not holds_within(lambda: not is_alive(victim.launcher), 0.5):
            try:
                assert "the lab ended while it was being opened" in victim.explain()
            except RuntimeError:  # of the client: it has ended by now
                assert wait_for(lambda: not is_alive(victim.launcher)), "it neither ended nor said why"
            else:
                victim.end()
        gone = wait_for(lambda: not any(is_alive(member) for member in family))
        assert gone, [member for member in family if is_alive(member)]
    finally:
        victim.end()


def test_a_kernel_killed_before_the_engine_answers_ends_its_lab(machine):
    """A launcher whose kernel has gone says so by ending, though it was still waiting for the engine."""
    victim = Victim()
    try:
        assert wait_for(lambda: victim.find("kernel"))
        family = victim.family()
        victim.find("kernel").kill()
        assert wait_for(lambda: not any(is_alive(member) for member in family))
    finally:
        victim.end()


def test_after_all_that_a_lab_opens(machine):
    """The machine is none the worse."""
    with open_lab(2) as lab:
        assert lab["node2"].run("docker run --rm busybox echo fine").stdout == "fine\n"
