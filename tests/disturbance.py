#!/usr/bin/env python3
"""Run a command on a machine that others use meanwhile: ``tests/disturbance.py [./workshop test]``; exits with its status.

Every second, somebody starts and ends processes in control groups of their own, and makes and removes network namespaces,
veth pairs, bridges, mounts and firewall rules; all the time, the machine's Docker runs and restarts containers (an engine at the usual
places, started for this where there is none and the caller is root), and labs open and close, of the caller and, where that is root,
of another user made for this. An ordinary user does what an ordinary user can, the rest in a user namespace of their own.

Standard library alone: whatever Python there is runs it. All that it makes is removed again at its end; where the command is killed, too.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
AS_ROOT = os.geteuid() == 0
QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
SOCKET = "/var/run/docker.sock"
PAUSE = 1.0  # seconds between two rounds
GROUPS = """
for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/*/; do
    [ -e $hierarchy/cgroup.procs ] && mkdir $hierarchy/$name || continue
    sh -c "echo \\$\\$ >$hierarchy/$name/cgroup.procs; exec sleep 0.1" &
done
wait
for group in /sys/fs/cgroup/$name /sys/fs/cgroup/*/$name; do
    for _ in 1 2 3 4 5 6 7 8 9; do rmdir $group && break; sleep 0.02; done
done
sh -c 'exec -a dockerd sleep 0.1' & sh -c 'exec -a runc sleep 0.1' & wait
"""
NETWORKS = """
cd $where
ip netns add $name
ip link add ${name}v type veth peer name eth0 netns $name
ip link add ${name}b type bridge
ip link set ${name}v master ${name}b up
ip addr add 198.51.100.1/24 dev ${name}b
ip link set ${name}b up
ip route add blackhole 203.0.113.0/24
iptables -w -A INPUT -s 203.0.113.0/24 -j DROP
nft add table inet $name
mkdir -p mount
mount -t tmpfs $name mount
echo $name >mount/file
sleep 0.1
umount mount
nft delete table inet $name
iptables -w -D INPUT -s 203.0.113.0/24 -j DROP
ip route del blackhole 203.0.113.0/24
ip link del ${name}b
ip link del ${name}v
ip netns del $name
"""
FILES = """
for place in /tmp /run /dev/shm $XDG_RUNTIME_DIR; do mkdir $place/$name && echo $name >$place/$name/file; done
sleep 0.1
for place in /tmp /run /dev/shm $XDG_RUNTIME_DIR; do rm -rf $place/$name; done
"""
CONTAINERS = """
docker run -d --name $name --restart always -p 127.0.0.1::80 $image sleep 1000 && docker network create $name && docker network connect $name $name
docker restart -t 0 $name
docker rm -f $name
docker network rm $name
"""


class Disturbance:
    """Everything that is under way; :meth:`stop` ends it and waits for that."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self.rounds: dict[str, int] = {}
        self.failed: dict[str, str] = {}

    def repeat(self, what: str, once: Callable[[int], subprocess.CompletedProcess], pause: float = PAUSE) -> None:
        """Do something again and again, side by side with everything else."""

        def work() -> None:
            while not self._over.wait(pause):
                done = once(self.rounds.get(what, 0))
                self.rounds[what] = self.rounds.get(what, 0) + 1
                if done.returncode:
                    self.failed[what] = str(done.stderr or done.returncode)[-300:]

        self._threads.append(threading.Thread(target=work, name=what))
        self._threads[-1].start()

    def stop(self) -> None:
        """Let each finish the round it is in, so that it takes away what it has made."""
        self._over.set()
        for thread in self._threads:
            thread.join()


def shell(script: str, **variables: str) -> subprocess.CompletedProcess:
    """Run a script, whatever becomes of its single commands."""
    environment = os.environ | {"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin", "XDG_RUNTIME_DIR": f"/run/user/{os.geteuid()}"} | variables
    return subprocess.run(["bash", "-c", script], env=environment, **QUIET)


@contextlib.contextmanager
def containers_of_the_machine(where: str) -> Iterator[str | None]:
    """The machine's engine with an image, whose name is yielded; None where there is no engine to be had."""
    own = None
    if not os.path.exists(SOCKET) and AS_ROOT and shutil.which("dockerd"):
        rules = subprocess.run(["iptables-save"], capture_output=True).stdout
        Path(where, "rules").write_bytes(rules)
        forwards = Path("/proc/sys/net/ipv4/ip_forward").read_text()
        places = [f"--{name}={where}/{name}" for name in ("data-root", "exec-root")]
        own = subprocess.Popen(["dockerd", *places, f"--pidfile={where}/pid"], **QUIET, start_new_session=True)
    try:
        if not own and not os.access(SOCKET, os.W_OK):
            yield None
            return
        image = f"disturbance-{os.getpid()}"
        shell("for _ in $(seq 300); do docker version && break; sleep 0.1; done")
        shell(f"tar -c -C / --transform 's,.*,bin/sleep,' --dereference $(command -v busybox) | docker import - {image}")
        yield image
        shell(f"docker rmi {image}")
    finally:
        if own:
            own.terminate()
            own.wait()
            # what dockerd leaves behind, as anywhere
            script = """ip link del docker0; for kind in filter nat; do iptables -t $kind -F; iptables -t $kind -X; done; iptables -P FORWARD ACCEPT
                iptables-restore <$where/rules; echo $forwards >/proc/sys/net/ipv4/ip_forward
                grep " $where/" /proc/mounts | cut -d' ' -f2 | sort -r | xargs -r umount"""
            shell(script, where=where, forwards=forwards.strip())


@contextlib.contextmanager
def another_user() -> Iterator[str]:
    """An ordinary user with a copy of this tree, who is there as long as that takes; yields its name."""
    name = f"nk-other-{os.getpid()}"
    home = f"/home/{name}"
    try:
        subprocess.run(["useradd", "--create-home", "--home-dir", home, "--shell", "/bin/sh", name], check=True, **QUIET)
        subprocess.run(["usermod", "--add-subuids", "900000-965535", "--add-subgids", "900000-965535", name], check=True, **QUIET)
        shutil.copytree(ROOT / "netkit", f"{home}/netkit", ignore=shutil.ignore_patterns("__pycache__"))
        subprocess.run(["chown", "-R", f"{name}:", home], check=True)
        yield name
    finally:
        subprocess.run(["userdel", name], **QUIET)
        shutil.rmtree(home, ignore_errors=True)


def open_a_lab(*before: str, cwd: str, **environment: str) -> Callable[[int], subprocess.CompletedProcess]:
    """How to open a lab, use it and close it, or kill whoever opened it."""
    words = [*before, sys.executable if not before else "/usr/bin/python3", "-m", "netkit", "run", "--nodes", "2", "--"]
    use = "docker run -d --name disturbing busybox sleep 1000; netkit on node2 -- docker network create disturbing; "

    def once(number: int) -> subprocess.CompletedProcess:
        end = "exit 0" if number % 2 == 0 else "kill -9 -1"
        done = subprocess.run(
            [*words, "sh", "-c", use + end],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=cwd,
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"} | environment,
        )
        if number % 2:
            done.returncode = 0
        return done

    return once


def disturb(where: str, stack: contextlib.ExitStack) -> Disturbance:
    """Begin everything; ``stack`` ends it, in the right order."""
    image = stack.enter_context(containers_of_the_machine(where))
    other = stack.enter_context(another_user()) if AS_ROOT else None
    all_of_it = Disturbance()
    stack.callback(all_of_it.stop)
    name = f"nk{os.getpid() % 100000}"
    all_of_it.repeat("control groups", lambda number: shell(GROUPS, name=f"{name}-{number}"))
    networks = NETWORKS if AS_ROOT else f"unshare --user --map-root-user --net --mount sh -c 'mount -t tmpfs own /run; {NETWORKS}'"
    all_of_it.repeat("networks", lambda number: shell(networks, name=name, where=where))
    all_of_it.repeat("files", lambda number: shell(FILES, name=f"{name}-{number}"))
    if image:
        all_of_it.repeat("containers", lambda number: shell(CONTAINERS, name=f"disturbing-{number}", image=image))
    all_of_it.repeat("labs", open_a_lab(cwd=str(ROOT)), pause=5)
    if other:
        home = f"/home/{other}"
        settings = [f"HOME={home}", f"XDG_CACHE_HOME={home}/.cache", f"PYTHONPATH={home}"]
        as_other = ["runuser", "-u", other, "--", "env", "-u", "TMPDIR", *settings]
        all_of_it.repeat("another's labs", open_a_lab(*as_other, cwd=home), pause=5)
    return all_of_it


def main() -> int:
    """The command's status; what was done meanwhile is told on standard error."""
    command = sys.argv[1:] or ["./workshop", "test"]
    if command[0].startswith("-"):
        print(__doc__)
        return 0 if command[0] in ("-h", "--help") else 2
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    with contextlib.ExitStack() as stack:
        where = stack.enter_context(tempfile.TemporaryDirectory(prefix="disturbance-", ignore_cleanup_errors=True))
        os.chmod(where, 0o755)
        begun = time.monotonic()
        all_of_it = disturb(where, stack)
        status = subprocess.run(command).returncode
        took = time.monotonic() - begun
    print(f"meanwhile, in {took:.0f} s: {', '.join(f'{what} {count} times' for what, count in all_of_it.rounds.items())}", file=sys.stderr)
    for what, why in all_of_it.failed.items():
        print(f"{what}, at least once: {why}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
