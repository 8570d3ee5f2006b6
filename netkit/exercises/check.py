"""Check an exercise in the lab: gather the evidence, judge it, keep the result."""

from __future__ import annotations

import difflib
import functools
import os
from collections import Counter, defaultdict
from dataclasses import replace

from netkit.errors import LabError, NetkitError
from netkit.exercises import EXERCISES
from netkit.exercises.judging import Evidence, Probe, Reply, Verdict, judge, tell_unseen
from netkit.exercises.progress import find_loss, record
from netkit.laboratory import remote
from netkit.laboratory.lab import Lab
from netkit.labs import current_lab
from netkit.network.capture import capture

_misses: defaultdict[str, Counter[str]] = defaultdict(Counter)  # by exercise and criterion, in this kernel: a new one begins anew


def check(number: str, *, lab: Lab | None = None) -> Verdict:
    """Whether the lab is now as exercise ``number`` ("1.2") asks for; shown as a cell's last line.

    Looks at the lab as it is, changes nothing, and notes the result for :func:`netkit.progress`.
    An exercise that is not solved is an answer, not an error. Raises NetkitError for an exercise
    that does not exist, naming the nearest ones; LabError outside of a lab.
    """
    wanted = str(number).strip()
    if wanted not in EXERCISES:
        near = difflib.get_close_matches(wanted, EXERCISES, n=3, cutoff=0.3) or list(EXERCISES)
        raise NetkitError(f"there is no exercise {wanted!r}: did you mean {', '.join(near)}?")
    verdict = judge(EXERCISES[wanted], gather(lab or current_lab()))
    record(wanted, verdict.passed)
    if verdict.passed:
        _misses.pop(wanted, None)
        return replace(verdict, loss=find_loss(wanted))
    # a criterion that speaks for the first time has a first hint to give, however many others spoke before it
    _misses[wanted][verdict.expected] += 1
    return replace(verdict, attempt=_misses[wanted][verdict.expected])


def gather(lab: Lab) -> Evidence:
    """The lab's topology, and the means to ask it more: a probe is sent when its reply is first looked at, and its reply kept.

    The topology is taken first: probes send packets, and packets leave traces in tables. A criterion
    that is not met ends the judgement, and with it the asking: most mistakes show in the topology
    already, and nobody waits for the answers of what is not there yet. Starts no host.
    """
    topology = capture(lab=lab)

    @functools.cache
    def send(probe: Probe) -> Reply:
        words = ["timeout", "--kill-after=1", str(probe.timeout), "bash", "-c", probe.command]
        try:
            result = remote.run(lab[probe.host].transport, words, input=None, cwd=os.getcwd(), env={}, check=False, timeout=None)
        except LabError as error:  # the host has gone since, and is not started for a probe
            raise tell_unseen(probe.host, str(error)) from None
        return Reply(result.status, result.stdout)

    return Evidence(topology, send)
