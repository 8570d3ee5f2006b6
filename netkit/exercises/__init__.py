"""Exercises look at the final state of the lab, whatever the route to it was.

An exercise is a list of criteria over :class:`~netkit.exercises.judging.Evidence`, a captured topology and the replies of a few
bounded probes. Criteria only look: :mod:`netkit.exercises.check` gathers the evidence. Here they all are, by notebook and by number.
"""

from netkit.exercises import chapter01, chapter02, chapter03, chapter04, chapter05
from netkit.exercises.judging import Exercise

CHAPTERS: dict[str, tuple[Exercise, ...]] = {
    "01 How Docker implements networking": chapter01.EXERCISES,
    "02 The container network model": chapter02.EXERCISES,
    "03 The four network modes": chapter03.EXERCISES,
    "04 Custom networks on one host": chapter04.EXERCISES,
    "05 Swarm: an overlay across machines": chapter05.EXERCISES,
}
EXERCISES: dict[str, Exercise] = {each.number: each for exercises in CHAPTERS.values() for each in exercises}
