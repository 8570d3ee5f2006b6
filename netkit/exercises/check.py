"""Check an exercise in the lab: gather the evidence, judge it, keep the result."""

from __future__ import annotations

import difflib
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

from netkit.errors import LabError, NetkitError
from netkit.exercises.book import EXERCISES
from netkit.exercises.model import Evidence, Exercise, Probe, Reply, Unseen, Verdict, find_node, judge
from netkit.exercises.progress import find_loss, record
from netkit.laboratory import remote
from netkit.laboratory.lab import Lab
from netkit.labs import current_lab
from netkit.network.capture import capture
from netkit.network.model import Topology

SLOW = 124  # timeout(1)
_misses: Counter[tuple[str, str]] = Counter()  # by exercise and criterion, in this kernel: after a restart, hints begin anew


def check(number: str, *, lab: Lab | None = None) -> Verdict:
    """Whether the lab is now as exercise ``number`` ("1.2") asks for; shown as a cell's last line.

    Looks at the lab as it is, changes nothing, and notes the result for :func:`netkit.progress`.
    An exercise that is not solved is an answer, not an error. Raises NetkitError for an exercise
    that does not exist, LabError outside of a lab.
    """
    exercise = find_exercise(number)
    evidence = gather(exercise, lab or current_lab())
    verdict = _count(judge(exercise, evidence))
    record(exercise.number, verdict.passed)
    return replace(verdict, loss=find_loss(exercise.number)) if verdict.passed else verdict


def _count(verdict: Verdict) -> Verdict:
    """A criterion that speaks for the first time has a first hint to give, however many others spoke before it."""
    if verdict.passed:
        for key in [key for key in _misses if key[0] == verdict.number]:
            del _misses[key]
        return verdict
    key = verdict.number, verdict.expected
    _misses[key] += 1
    return replace(verdict, attempt=_misses[key])


def find_exercise(number: str) -> Exercise:
    """The exercise of this number; raises NetkitError naming the nearest ones."""
    wanted = str(number).strip()
    if wanted not in EXERCISES:
        near = difflib.get_close_matches(wanted, EXERCISES, n=3, cutoff=0.3) or list(EXERCISES)
        raise NetkitError(f"there is no exercise {wanted!r}: did you mean {', '.join(near)}?")
    return EXERCISES[wanted]


def gather(exercise: Exercise, lab: Lab) -> Evidence:
    """The lab's topology, and the replies to the exercise's probes, each asked when it is first looked at.

    The topology is taken first: probes send packets, and packets leave traces in tables. A criterion
    that is not met ends the judgement, and with it the asking: most mistakes show in the topology
    already, and nobody waits for the answers of what is not there yet. Starts no host.
    """
    topology = capture(lab=lab)
    return Evidence(topology, Replies(lab, exercise.probes, topology))


class Replies(Mapping[str, Reply]):
    """Replies by the names of their probes; one that is looked at for the first time is asked for then, and kept.

    Looking at one raises Unseen if its host is not up.
    """

    def __init__(self, lab: Lab, probes: Mapping[str, Probe], topology: Topology) -> None:
        self._lab, self._topology = lab, topology
        self._probes = probes
        self._known: dict[str, Reply] = {}

    def __getitem__(self, name: str) -> Reply:
        if name not in self._known:
            find_node(self._topology, self._probes[name].host)
            self._known[name] = _ask(self._lab, self._probes[name])
        return self._known[name]

    def __contains__(self, name: object) -> bool:
        return name in self._probes

    def __iter__(self) -> Iterator[str]:
        return iter(self._probes)

    def __len__(self) -> int:
        return len(self._probes)


def _ask(lab: Lab, probe: Probe) -> Reply:
    """The reply to a probe, whose host is not started for it: raises Unseen if that is gone."""
    words = ["timeout", "--kill-after=1", str(probe.timeout), "bash", "-c", probe.command]
    try:
        result = remote.run(lab[probe.host].transport, words, input=None, cwd=os.getcwd(), env={}, check=False, timeout=None)
    except LabError as error:
        raise Unseen(probe.host, str(error)) from None
    return Reply(SLOW if result.status == 137 else result.status, result.stdout)
