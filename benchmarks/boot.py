"""How fast a lab opens and closes: one table, every figure beside its bare limit of the same run.

    .venv/bin/python benchmarks/boot.py [--rounds N]

Run it as root and as an ordinary user, on a machine that does nothing else. Mininet is measured
where it is installed (`apt-get install mininet`) and the caller is root.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from jupyter_client.manager import KernelManager

from netkit.laboratory.inside.dockerd import PING
from netkit.laboratory.lab import open_lab

# A bare dockerd: no lab, no LAN, no images; only what keeps it from the machine's own files.
BARE = """
mount --make-rprivate /
for d in /run /etc/docker /var/lib; do mount -t tmpfs t $d; done
mount -t tmpfs t /sys/kernel/security 2>/dev/null
mkdir -p /run/lock /var/lib/docker
ip link set lo up
export container=docker
exec dockerd -H unix:///run/docker.sock >/run/log 2>&1
"""
MININET = """
import time
from mininet.net import Mininet
from mininet.nodelib import LinuxBridge
from mininet.topo import SingleSwitchTopo
begun = time.monotonic()
net = Mininet(SingleSwitchTopo(2), switch=LinuxBridge, controller=None)
net.start()
started = time.monotonic()
net.stop()
print(started - begun, time.monotonic() - started)
"""


def answers(path: str) -> bool:
    """Whether an engine answers its ping on this socket."""
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.connect(path)
            sock.settimeout(5)
            sock.sendall(PING)
            return b" 200 " in sock.recv(64)
        except OSError:
            return False


def measure_bare_engines(count: int) -> float:
    """Seconds until ``count`` bare dockerds, started side by side in bare namespaces, answer."""
    ids = [] if os.geteuid() == 0 else ["--map-root-user", "--map-auto"]
    command = [
        "unshare",
        *ids,
        *["--mount", "--net", "--uts", "--ipc", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c"],
        BARE,
    ]
    environment = {**os.environ, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    begun = time.monotonic()
    engines = [subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) for _ in range(count)]
    try:
        waiting = list(engines)
        while waiting and time.monotonic() - begun < 30:
            waiting = [engine for engine in waiting if not _bare_answers(engine.pid)]
            time.sleep(0.002)
        if waiting:
            raise RuntimeError("a bare dockerd did not answer within 30 s")
        return time.monotonic() - begun
    finally:
        for engine in engines:
            engine.kill()
            engine.wait()


def _bare_answers(pid: int) -> bool:
    try:
        child = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0]
        return answers(f"/proc/{child}/root/run/docker.sock")
    except (OSError, IndexError):
        return False


def measure_lab(nodes: int) -> tuple[float, float, float, float]:
    """Seconds to open a lab, seconds to close it, and bytes of memory per node (proportional, resident).

    Memory is the proportional set size (proc_pid_smaps(5)): a page that several processes share, as
    all engines share dockerd's program text, counts once altogether.
    """
    begun = time.monotonic()
    lab = open_lab(nodes)
    opened = time.monotonic() - begun
    used = [process.memory_full_info() for process in psutil.Process().children(recursive=True)] if nodes > 2 else []
    begun = time.monotonic()
    lab.close()
    return opened, time.monotonic() - begun, sum(m.pss for m in used) / nodes, sum(m.rss for m in used) / nodes


def measure_kernel(name: str) -> float:
    """Seconds until a kernel of this name has executed a first cell."""
    begun = time.monotonic()
    manager = KernelManager(kernel_name=name)
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    client.execute_interactive("1", timeout=30, output_hook=lambda _: None)
    took = time.monotonic() - begun
    client.stop_channels()
    manager.shutdown_kernel(now=True)
    return took


def measure_overlay() -> float:
    """Seconds from nothing to a first ping by name across an overlay of two nodes."""
    begun = time.monotonic()
    with open_lab(2) as lab:
        one, two = lab
        one.run("docker swarm init --advertise-addr 192.168.59.1")
        token = one.run("docker swarm join-token -q worker").stdout.strip()
        two.run(f"docker swarm join --token {token} 192.168.59.1:2377")
        one.run("docker network create -d overlay --attachable over && docker run -d --name c1 --network over busybox sleep 1000")
        two.run("docker run -d --name c2 --network over busybox sleep 1000")
        one.run("until docker exec c1 ping -c1 -W1 c2; do :; done", timeout=20)
        return time.monotonic() - begun


def measure_mininet() -> tuple[float, float] | None:
    """Seconds Mininet takes to start and to stop two hosts on a Linux bridge, or None without it."""
    if os.geteuid() != 0 or not shutil.which("mn"):
        return None
    with tempfile.NamedTemporaryFile("w", suffix=".py") as script:
        script.write(MININET)
        script.flush()
        done = subprocess.run(
            ["/usr/bin/python3", script.name], capture_output=True, text=True, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        )
    if done.returncode:
        print(f"mininet failed: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return None
    start, stop = map(float, done.stdout.split()[-2:])
    return start, stop


def median_of(rounds: int, *actions: Callable[[], object]) -> list[list]:
    """Results of some actions, done in turn for some rounds, so that both meet the same machine."""
    results: list[list] = [[] for _ in actions]
    for _ in range(rounds):
        for action, kept in zip(actions, results, strict=True):
            kept.append(action())
    return results


def main() -> None:
    """Measure everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    measure_lab(1)  # images are prepared once per user
    measure_bare_engines(2)
    bare, labs = median_of(rounds, lambda: measure_bare_engines(2), lambda: measure_lab(2))
    plain, kernels = median_of(rounds, lambda: measure_kernel("python3"), lambda: measure_kernel("netkit"))
    overlays = median_of(max(3, rounds // 3), measure_overlay)[0]
    sixteen = median_of(3, lambda: measure_lab(16))[0]
    mininet = [figures for figures in median_of(3, measure_mininet)[0] if figures]

    def middle(values, index: int | None = None) -> float:
        return statistics.median(value if index is None else value[index] for value in values)

    ratio = statistics.median(lab[0] / alone for lab, alone in zip(labs, bare, strict=True))
    extra = statistics.median(ours - theirs for ours, theirs in zip(kernels, plain, strict=True))
    rows = [
        ("two bare dockerds side by side", f"{middle(bare):.3f} s", "the limit"),
        ("lab of 2 nodes, engines answering", f"{middle(labs, 0):.3f} s", f"{ratio:.2f} × (≤ 1.15 ×)"),
        ("plain ipykernel, first cell done", f"{middle(plain):.3f} s", "the limit"),
        ("netkit kernel, lab and images, first cell done", f"{middle(kernels):.3f} s", f"+{extra:.3f} s (≤ +0.6 s)"),
        ("nothing → ping by name over an overlay", f"{middle(overlays):.3f} s", "(≤ 4 s)"),
        ("close a lab of 2 nodes", f"{middle(labs, 1):.3f} s", "(≤ 0.2 s)"),
        ("lab of 16 nodes, engines answering", f"{middle(sixteen, 0):.3f} s", "(≤ 4 s)"),
        ("resident memory per node, of 16 (sum of RSS)", f"{middle(sixteen, 3) / 1e6:.0f} MB", "shared pages counted for each process"),
        ("memory per node, of 16 (PSS)", f"{middle(sixteen, 2) / 1e6:.0f} MB", "(≤ 130 MB)"),
        *((("Mininet, 2 hosts on a Linux bridge, start", f"{middle(mininet, 0):.3f} s", "peer, no engines"),) if mininet else ()),
        *((("Mininet, stop", f"{middle(mininet, 1):.3f} s", "peer"),) if mininet else ()),
    ]
    print(
        f"mode {'root' if os.geteuid() == 0 else 'user'}, {os.cpu_count()} cores, medians of {rounds} rounds (overlay {len(overlays)}, 16 nodes 3)"
    )
    for what, figure, against in rows:
        print(f"  {what:<48}{figure:>10}   {against}")


if __name__ == "__main__":
    main()
