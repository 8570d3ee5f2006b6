"""Open a lab, wait until it is ready, close it."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence

from netkit.errors import LabError
from netkit.laboratory import identity, images, spec
from netkit.laboratory.engine import SYSTEM_PATH, find_engine
from netkit.laboratory.host import Lab, Node
from netkit.laboratory.inside import limits, wire
from netkit.laboratory.inside.mounts import is_inside

__all__ = ["Lab", "Node", "OpenLab", "Opening", "begin_lab", "open_lab"]

BOOT = f"import sys; sys.path.insert(0, {spec.ROOT!r}); from netkit.laboratory.inside.boot import main; main()"
PATIENCE = 90.0  # seconds for a lab to open; an engine that is silent for 60 s has failed by then


class OpenLab(Lab, contextlib.AbstractContextManager):
    """A lab that this process opened: it closes with the ``with`` block, and with the process.

    ``pid`` is its first process, as the machine numbers it.
    """

    def __init__(self, opening: Opening) -> None:
        super().__init__(f"/proc/{opening.pid}/root")
        self._opening, self.pid = opening, opening.pid

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the lab and wait until nothing of it is left. May be repeated."""
        self._opening.close()


class Opening:
    """A lab being opened: its processes exist, its engines may not answer yet."""

    def __init__(self, specification: dict, who: identity.Identity) -> None:
        self.specification = specification
        self.pid = 0
        self._identity = who
        self._states: dict[str, dict] = {}
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        me = os.pidfd_open(os.getpid())
        try:
            self._holder = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", BOOT, str(far.fileno()), str(me), "netkit-lab", specification["public"]["id"]],
                pass_fds=(far.fileno(), me),
                **dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL),
                env={"PATH": SYSTEM_PATH, "LC_ALL": "C.UTF-8"},
                start_new_session=True,
                cwd="/",
            )
        finally:
            far.close()
            os.close(me)
        self._control = near
        with self._closed_on_error():
            wire.send(near, specification)

    @contextlib.contextmanager
    def _closed_on_error(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.close()
            raise LabError(f"the lab ended while it was being opened ({error.strerror})") from None
        except BaseException:
            self.close()
            raise

    def wait(self, ready: Callable[[dict[str, dict]], bool], unless: Sequence[int] = ()) -> None:
        """Handle what the lab tells until ``ready`` holds of its hosts' states; raises LabError.

        Returns early if one of the descriptors ``unless`` becomes readable.
        """
        deadline = time.monotonic() + PATIENCE
        with self._closed_on_error():
            while not ready(self._states):
                readable, _, _ = select.select([self._control, *unless], [], [], max(0.01, deadline - time.monotonic()))
                if not readable:
                    raise LabError(f"the lab did not come up within {PATIENCE:.0f} s: {self._states}")
                if self._control not in readable:
                    return
                received = wire.receive(self._control)
                if received is None:
                    raise LabError(
                        "the lab ended while it was being opened: one of its processes was killed, or memory is short; try again"
                    )
                self._handle(received[0])

    def _handle(self, message: dict) -> None:
        match message["event"]:
            case "map":
                identity.write_maps(message["pid"], self._identity)
                wire.send(self._control, {"event": "mapped"})
            case "born":
                self.pid = message["pid"]
            case "state":
                self._states = message["hosts"]
                for name, state in self._states.items():
                    if state["state"] in ("failed", "down"):
                        raise LabError(explain(f"{name} could not start: {state.get('why', 'its first process was killed')}"))
            case "failed":
                raise LabError(explain(message["why"]))

    def wait_reachable(self, name: str) -> Lab:
        """Wait until commands can be run on a host, whose engine may still be starting."""
        self.wait(lambda states: self.pid > 0 and states.get(name, {}).get("state") in ("reachable", "ready"))
        return Lab(f"/proc/{self.pid}/root")

    def fileno(self) -> int:
        """Readable when the lab has something to tell, its end included."""
        return self._control.fileno()

    def is_over(self) -> bool:
        """Read what the lab tells, once this can be read; whether it has ended."""
        return wire.hear(self._control) is None

    def disown(self) -> None:
        """In a forked child: let go of the lab, which belongs to the parent alone."""
        self._control.close()
        self._holder.returncode = 0  # not this process's child: never to be waited for

    def wait_ready(self) -> OpenLab:
        """Wait until every started host answers; returns the lab. Raises LabError."""
        self.wait(self.is_ready)
        with self._closed_on_error():
            wire.send(self._control, {"event": "opened"})
            lab = OpenLab(self)
        lab._up |= set(self.specification["start"])
        return lab

    def is_ready(self, states: dict[str, dict]) -> bool:
        """Whether, with these states, every host that was to be started answers."""
        return self.pid > 0 and all(states.get(name, {}).get("state") == "ready" for name in self.specification["start"])

    def close(self) -> None:
        """End the lab and wait until nothing of it is left. May be repeated."""
        self._control.close()
        try:
            self._holder.wait(timeout=1)
        except subprocess.TimeoutExpired:
            self._holder.kill()  # its child, the lab's PID 1, is told by the kernel
            self._holder.wait()
        if os.geteuid() == 0:
            limits.remove_cgroup(self.specification["public"]["id"])


REMEDIES = {
    "unshare(0x10000000)": "this machine forbids user namespaces: as root, `sysctl user.max_user_namespaces=15000` "
    "(on Debian also kernel.unprivileged_userns_clone=1, on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0), "
    "or open the lab as root; a container has to be started with --privileged; in a chroot there are none at all",
    "Operation not permitted": "this machine takes the capabilities away from new user namespaces, as Ubuntu's AppArmor profile does: "
    "`netkit doctor` names the ways out",
    "No space left": "free some memory or disk space",
    "Too many open files": "allow more where this is started: `ulimit -n 1024`",
    "'ip'": "`apt-get install iproute2`",
}


def explain(why: str) -> str:
    """One sentence on why a lab could not open, with the remedy where one is known."""
    remedy = next((remedy for sign, remedy in REMEDIES.items() if sign in why), "`netkit doctor` looks at what this machine lacks")
    return f"the lab could not be opened: {why}; {remedy}"


def begin_lab(wishes: spec.Wishes, *, mode: str | None = None, engine: str | None = None, with_images: bool = True) -> Opening:
    """Start opening a lab and return at once; the parameters are those of :func:`open_lab`."""
    if is_inside():
        raise LabError("this is the inside of a lab already: reach its hosts with `netkit on NODE -- COMMAND`, or open a lab from outside")
    spec.check_count(wishes.nodes)
    spec.check_workplace()
    limits.sweep_cgroups()
    programs = find_engine(engine)
    for program, package in (("ip", "iproute2"), ("iptables", "iptables")):
        if not shutil.which(program, path=SYSTEM_PATH):
            raise LabError(f"{program} is missing: `apt-get install {package}`")
    who = identity.read_identity(identity.choose_mode(mode))

    def open_maker(archive: str) -> OpenLab:
        return begin_lab(spec.Wishes(1, 1, (archive,)), mode=who.mode, engine=engine, with_images=False).wait_ready()

    stock = images.ensure_seed(programs, open_maker) if with_images else images.Seed()
    return Opening(spec.build_spec(wishes, who.mode, programs, stock.path, stock.version), who)


def open_lab(
    nodes: int = 2,
    *,
    start: int | None = None,
    mode: str | None = None,
    engine: str | None = None,
    label: str = "",
    keep: tuple[str, ...] = (),
) -> OpenLab:
    """Open a lab and wait until its engines answer.

    ``nodes`` is how many nodes it has (1 to 64), ``start`` how many are started now (all of them
    unless told; the others start on first use), ``mode`` "user" or "root" (chosen by who calls),
    ``engine`` a directory with another engine than the installed one, ``keep`` paths that must stay
    visible on every host although they lie under /tmp, /run or /dev/shm.

    Raises LabError or EngineError, each with a remedy; nothing is left then. The lab ends with the
    ``with`` block or with this process, whichever comes first.
    """
    wishes = spec.Wishes(nodes, nodes if start is None else start, keep, label)
    return begin_lab(wishes, mode=mode, engine=engine).wait_ready()
