"""Criteria about who shares a network stack with whom, who publishes, and which page is where."""

from __future__ import annotations

from collections.abc import Callable

from netkit.exercises.model import Criterion, Evidence, Miss, Probe
from netkit.exercises.wiring import find_published, judge_running, tell_published


def asks_for(host: str, address: str, *inside: str) -> Probe:
    """Ask for a page, three times if need be, for a server that has just been started; the reply is what it says."""
    ask = " ".join([*inside, "curl -s --max-time 1", f"http://{address}/"])
    return Probe(host, f"for i in 1 2 3; do {ask} && exit; sleep 0.2; done; exit 1")


def runs(name: str, why: str) -> Criterion:
    """A container of this name is there, and has not ended."""

    def judge(evidence: Evidence) -> Miss | None:
        return judge_running(
            evidence,
            name,
            missing=(f"{why} Start it with `--name {name}`.", f"`docker run -d --name {name} …`"),
            stopped=(f"{why} It has ended: ask `docker logs {name}` why.", f"`docker rm -f {name}`, and run it anew"),
        )

    return Criterion(f"a container {name} that runs", judge)


def joins(name: str, owner: str) -> Criterion:
    """The container was told to share the owner's stack, and still does."""

    def judge(evidence: Evidence) -> Miss | None:
        container, host = evidence.container(name), evidence.container(owner)
        if not container or not host or not container.sandbox or not host.sandbox:
            return Miss(f"{name} or {owner} does not run", "Both have to run.", f"`docker start {owner} {name}`")
        anew = f"`docker rm -f {name}`, and run it with `--net=container:{owner}`"
        if host.mode == f"container:{name}":
            return Miss(f"{owner} is a guest of {name}", "It is the other way round: who works is the guest, who does nothing owns.", anew)
        if container.sandbox.namespace == host.sandbox.namespace:
            return None
        if container.mode.startswith("container:"):
            whose = container.mode.partition(":")[2]
            return Miss(
                f"{name} is in a network namespace that is not {owner}'s (it was told to join {whose[:12]})",
                f"{name} was left behind in an old stack: the owner of the stack has been started anew, or made anew, after it.",
                f"`docker restart -t 0 {name}`; if {owner} was made anew, {anew}",
            )
        return Miss(f"{name} has the mode {container.mode}", f"It has a stack of its own, instead of a place in that of {owner}.", anew)

    return Criterion(f"{name} in the network stack of {owner}", judge)


def owns(name: str, *ports: tuple[int, int]) -> Criterion:
    """The container has a stack of its own on docker0, and publishes these ports of it."""

    def judge(evidence: Evidence) -> Miss | None:
        container = evidence.container(name)
        mode = container.mode if container else "none"
        anew = f"`docker run -d --name {name} {' '.join(f'-p {port}:{target}' for port, target in ports)} busybox sleep infinity`"
        if mode != "bridge":
            return Miss(f"{name} has the mode {mode}", "The owner of a stack is in bridge mode, and the others join it.", anew)
        if set(ports) <= find_published(evidence, name):
            return None
        return Miss(
            f"{name} publishes: {tell_published(evidence, name)}",
            "Ports belong to the stack, so it is the stack's owner that publishes them, and it has to be told when it is made.",
            f"`docker rm -f` all of the pod, then {anew}, then the others again",
        )

    return Criterion(f"{name} publishing {', '.join(f'{port} as its port {target}' for port, target in ports)}", judge)


def says(probe: str, page: str, what: str, why: Callable[[Evidence], Miss]) -> Criterion:
    """A page is served where it should be, and is the right one."""

    def judge(evidence: Evidence) -> Miss | None:
        reply = evidence.replies.get(probe)
        if reply and reply.status == 0 and page in reply.stdout:
            return None
        miss = why(evidence)
        said = f"the answer {reply.stdout.strip()[:40]!r}" if reply and reply.status == 0 else "no answer"
        return Miss(f"{said}; {miss.found}" if miss.found else said, miss.hint, miss.stronger)

    return Criterion(what, judge)


def because(hint: str, stronger: str) -> Callable[[Evidence], Miss]:
    """The hints of a criterion that has only one way to be missed."""
    return lambda evidence: Miss("", hint, stronger)


def is_host_mode(name: str) -> Criterion:
    """The container is in host mode."""

    def judge(evidence: Evidence) -> Miss | None:
        container = evidence.container(name)
        if container and container.mode == "host":
            return None
        return Miss(
            f"{name} has the mode {container.mode if container else 'none'}",
            f"{name} has to stay in host mode: it needs what node1's own network namespace has.",
            f"`docker rm -f {name}`, and run it with `--net=host`",
        )

    return Criterion(f"{name} in host mode", judge)
