"""What an exercise is made of, and what becomes of an attempt: frozen values, no effects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from netkit.network.capture import tell_start
from netkit.network.model import HOST, Container, Interface, NetworkNamespace, Node, Topology


@dataclass(frozen=True, slots=True)
class Probe:
    """A question asked of the lab: a line for bash on a host, ended after ``timeout`` seconds."""

    host: str
    command: str
    timeout: float = 5.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What a probe's command wrote, and its exit status; 124 if it was ended for its slowness."""

    status: int
    stdout: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The state of a lab at the moment of checking, with shortcuts into it."""

    topology: Topology
    replies: Mapping[str, Reply] = field(default_factory=dict)

    def node(self, name: str) -> Node:
        """The node of this name, one without anything if the lab has none; raises Unseen for one that is not up."""
        return find_node(self.topology, name)

    def container(self, name: str, node: str = "node1") -> Container | None:
        """The container of this name, if it is there and runs."""
        found = self.node(node).container(name)
        return found if found and found.sandbox else None

    def stack(self, container: Container, node: str = "node1") -> NetworkNamespace:
        """The network namespace a running container is in."""
        found = self.node(node).namespace(container.sandbox.namespace) if container.sandbox else None
        return found or NetworkNamespace(name=HOST, kind="host")

    def host(self, node: str = "node1") -> NetworkNamespace:
        """The node's own network namespace."""
        return self.node(node).namespace(HOST) or NetworkNamespace(name=HOST, kind="host")

    def other_end(self, interface: Interface) -> Interface | None:
        """The other end of a veth pair."""
        return self.topology.at(interface.peer) if interface.peer else None

    def answers(self, probe: str) -> bool:
        """Whether a probe ended well."""
        return probe in self.replies and self.replies[probe].status == 0


@dataclass(frozen=True, slots=True)
class Miss:
    """What was found instead of what a criterion expects: a hint that fits it, and a stronger one."""

    found: str
    hint: str
    stronger: str


class Unseen(Exception):
    """A criterion looked at a host that is not up, so that it cannot be met; ``miss`` says so, and how to start the host."""

    def __init__(self, name: str, found: str) -> None:
        super().__init__(found)
        self.miss = Miss(found, f"A check starts no host: start {name}, then check again.", f"{tell_start(name)}; then check again")


Judge = Callable[[Evidence], Miss | None]


def find_node(topology: Topology, name: str) -> Node:
    """See :meth:`Evidence.node`."""
    node = topology.node(name)
    if node and node.state != "up":
        raise Unseen(name, f"{name} is {node.state}: {node.trouble}")
    return node or Node(name=name, state="down")


@dataclass(frozen=True, slots=True)
class Criterion:
    """One thing that has to be so, in words, and the judgement of it: None, or what was missed."""

    expected: str
    judge: Judge


@dataclass(frozen=True, slots=True)
class Exercise:
    """A number such as "1.2", a title, what to ask the lab, and the criteria in the order in which they make sense."""

    number: str
    title: str
    criteria: tuple[Criterion, ...]
    probes: Mapping[str, Probe] = field(default_factory=dict)


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
        """One to three lines for the learner."""
        if self.passed:
            done = f"{self.number} {self.title}: done. All {self.of} criteria are met."
            return f"{done}\n  not kept: {self.loss}" if self.loss else done
        hint = self.stronger if self.attempt > 1 and self.stronger else self.hint
        return "\n".join(
            [
                f"{self.number} {self.title}: not yet ({self.met} of {self.of} criteria are met)",
                f"  expected: {self.expected}",
                f"  found:    {self.found}",
                f"  hint:     {hint}",
            ]
        )

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        return self.text()


def judge(exercise: Exercise, evidence: Evidence, attempt: int = 1) -> Verdict:
    """The verdict on an attempt: the first criterion that is not met speaks, later ones may follow from it."""
    of = len(exercise.criteria)
    for met, criterion in enumerate(exercise.criteria):
        try:
            miss = criterion.judge(evidence)
        except Unseen as unseen:
            miss = unseen.miss
        if miss:
            return Verdict(
                exercise.number, exercise.title, False, met, of, criterion.expected, miss.found, miss.hint, miss.stronger, attempt
            )
    return Verdict(exercise.number, exercise.title, True, of, of, attempt=attempt)
