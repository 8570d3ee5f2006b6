"""All exercises, by notebook and by number."""

from __future__ import annotations

from netkit.exercises import chapter01
from netkit.exercises.model import Exercise

CHAPTERS: dict[str, tuple[Exercise, ...]] = {
    "01 How Docker implements networking": chapter01.EXERCISES,
}
EXERCISES: dict[str, Exercise] = {exercise.number: exercise for exercises in CHAPTERS.values() for exercise in exercises}
