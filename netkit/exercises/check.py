"""Check an exercise in the lab: gather the evidence, judge it, keep the result."""

from __future__ import annotations

import difflib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from netkit.errors import LabError, NetkitError
from netkit.exercises.book import EXERCISES
from netkit.exercises.model import Evidence, Exercise, Probe, Reply, Verdict, judge
from netkit.exercises.progress import record
from netkit.lab.current import current_lab
from netkit.lab.lab import Lab
from netkit.topology.capture import capture

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
    return verdict


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
    """The lab's topology, and the replies to the exercise's probes, all asked at once.

    The topology is taken first: probes send packets, and packets leave traces in tables.
    """
    topology = capture(lab=lab)
    with ThreadPoolExecutor(max_workers=8) as pool:
        replies = pool.map(lambda probe: _ask(lab, probe), exercise.probes.values())
        return Evidence(topology, dict(zip(exercise.probes, replies, strict=True)))


def _ask(lab: Lab, probe: Probe) -> Reply:
    """A probe that cannot be asked, its host being down, is one that fails."""
    try:
        result = lab[probe.host].run(["timeout", "--kill-after=1", str(probe.timeout), "bash", "-c", probe.command], check=False)
    except LabError:
        return Reply(255)
    return Reply(SLOW if result.status == 137 else result.status, result.stdout)
