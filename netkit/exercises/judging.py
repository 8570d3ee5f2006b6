"""How an exercise is judged: what was seen, criteria that look at it, and what becomes of an attempt. Values, without effects."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass

from netkit.network.capture import tell_start
from netkit.network.model import HOST, Container, Endpoint, Firewall, Interface, NetworkNamespace, Node, Route, Topology


@dataclass(frozen=True, slots=True)
class Probe:
    """A question asked of the lab: a line for bash on a host, ended after ``timeout`` seconds."""

    host: str
    command: str
    timeout: float = 5.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What a probe's command wrote, and its exit status, or that of timeout(1) which ended it."""

    status: int
    stdout: str = ""


class Miss(Exception):
    """What was found instead of what a criterion expects, a hint that fits it, and a stronger one: three texts."""


def tell_unseen(name: str, found: str) -> Miss:
    """What a criterion has missed that looked at a host that is not up: ``found`` says so, the hints how to start it."""
    return Miss(found, f"A check starts no host: start {name}, then check again.", f"{tell_start(name)}; then check again")


@dataclass(frozen=True, slots=True)
class Evidence:
    """The state of a lab at the moment of checking, with shortcuts into it; ``send`` puts a probe to the lab.

    Whatever looks at a node raises Miss if that is not up.
    """

    topology: Topology
    send: Callable[[Probe], Reply]

    def ask(self, probe: Probe) -> Reply:
        """The reply to a probe."""
        self.node(probe.host)
        return self.send(probe)

    def answers(self, probe: Probe) -> bool:
        """Whether a probe ends well."""
        return self.ask(probe).status == 0

    def node(self, name: str = "node1") -> Node:
        """The node of this name, one without anything if the lab has none."""
        node = self.topology.node(name)
        if node and node.state != "up":
            raise tell_unseen(name, f"{name} is {node.state}: {node.trouble}")
        return node or Node(name=name, state="down")

    def host(self, node: str = "node1") -> NetworkNamespace:
        """The node's own network namespace."""
        return self.node(node).namespace(HOST) or NetworkNamespace(name=HOST, kind="host")

    def firewall(self, node: str = "node1") -> Firewall:
        """The packet filter of the node's own network namespace."""
        return self.host(node).firewall or Firewall()

    def container(self, name: str, node: str = "node1") -> Container | None:
        """The container of this name, if it is there and runs."""
        found = self.node(node).container(name)
        return found if found and found.sandbox else None

    def inside(self, name: str) -> NetworkNamespace:
        """The network namespace that a container of node1 is in; one without anything if it does not run."""
        container = self.container(name)
        found = self.node().namespace(container.sandbox.namespace) if container and container.sandbox else None
        return found or NetworkNamespace(name=HOST, kind="host")

    def eth0(self, name: str) -> Interface | None:
        """The eth0 of a container."""
        return self.inside(name).interface("eth0")

    def default_routes(self, name: str) -> list[Route]:
        """The default routes of a container."""
        return [route for route in self.inside(name).routes if route.destination.prefixlen == 0]

    def other_end(self, interface: Interface | None) -> Interface | None:
        """The other end of a veth pair."""
        return self.topology.at(interface.peer) if interface and interface.peer else None

    def endpoints(self, name: str, node: str = "node1") -> dict[str, Endpoint]:
        """The endpoints of a running container, by the names of their networks."""
        container = self.container(name, node)
        return {each.network: each for each in container.endpoints} if container else {}

    def published(self, name: str) -> set[tuple[int, int]]:
        """What a running container publishes: pairs of the node's port and its own."""
        container = self.container(name)
        return {(each.port, each.target) for each in container.ports} if container else set()


@dataclass(frozen=True, slots=True)
class Criterion:
    """One thing that has to be so, in words, and the judgement of it, which raises Miss if it is not."""

    expected: str
    judge: Callable[[Evidence], None]


def criterion(expected: str | Callable[..., str]) -> Callable[[Callable[..., None]], Callable[..., Criterion]]:
    """Make of a judgement, which looks at evidence and raises Miss, a function that makes criteria of its other arguments.

    ``expected`` says what has to be so, with those arguments in braces, several names being joined by "and"; or says it when
    called with them.
    """

    def decorate(judge: Callable[..., None]) -> Callable[..., Criterion]:
        signature = inspect.signature(judge)

        @functools.wraps(judge)
        def make(*given, **named) -> Criterion:
            bound = signature.bind(None, *given, **named)
            bound.apply_defaults()
            values = {name: " and ".join(map(str, value)) if isinstance(value, tuple) else value for name, value in bound.arguments.items()}
            told = expected.format(**values) if isinstance(expected, str) else expected(*given, **named)
            return Criterion(told, lambda seen: judge(seen, *given, **named))

        return make

    return decorate


@dataclass(frozen=True, slots=True)
class Exercise:
    """A number such as "1.2", a title, and the criteria in the order in which they make sense."""

    number: str
    title: str
    criteria: tuple[Criterion, ...]


def exercise(number: str, title: str, *criteria: Criterion) -> Exercise:
    """See :class:`Exercise`."""
    return Exercise(number, title, criteria)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of an attempt. ``attempt`` counts how often this criterion has spoken: from the second time on, the hint is stronger.

    ``loss`` says why :func:`netkit.progress` will not know that it passed, "" where it will.
    """

    number: str
    title: str
    passed: bool
    met: int = 0
    of: int = 0
    expected: str = ""
    found: str = ""
    hint: str = ""
    stronger: str = ""
    attempt: int = 1
    loss: str = ""

    def text(self) -> str:
        """One to four lines for the learner."""
        if self.passed:
            done = f"{self.number} {self.title}: done. All {self.of} criteria are met."
            return f"{done}\n  not kept: {self.loss}" if self.loss else done
        hint = self.stronger if self.attempt > 1 and self.stronger else self.hint
        told = f"  expected: {self.expected}\n  found:    {self.found}\n  hint:     {hint}"
        return f"{self.number} {self.title}: not yet ({self.met} of {self.of} criteria are met)\n{told}"

    __repr__ = text

    def __bool__(self) -> bool:
        return self.passed


def judge(exercise: Exercise, evidence: Evidence, attempt: int = 1) -> Verdict:
    """The verdict on an attempt: the first criterion that is not met speaks, later ones may follow from it."""
    of = len(exercise.criteria)
    for met, each in enumerate(exercise.criteria):
        try:
            each.judge(evidence)
        except Miss as miss:
            return Verdict(exercise.number, exercise.title, False, met, of, each.expected, *miss.args, attempt)
    return Verdict(exercise.number, exercise.title, True, of, of, attempt=attempt)
