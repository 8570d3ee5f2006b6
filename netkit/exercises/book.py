"""All exercises, by notebook and by number."""

from __future__ import annotations

from netkit.exercises import chapter01, chapter02, chapter03, chapter04, chapter05
from netkit.exercises.model import Exercise

CHAPTERS: dict[str, tuple[Exercise, ...]] = {
    "01 How Docker implements networking": chapter01.EXERCISES,
    "02 The container network model": chapter02.EXERCISES,
    "03 The four network modes": chapter03.EXERCISES,
    "04 Custom networks on one host": chapter04.EXERCISES,
    "05 Swarm: an overlay across machines": chapter05.EXERCISES,
}
EXERCISES: dict[str, Exercise] = {exercise.number: exercise for exercises in CHAPTERS.values() for exercise in exercises}
