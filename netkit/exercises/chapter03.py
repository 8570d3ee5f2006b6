"""The exercises of notebook 03."""

from __future__ import annotations

from netkit.exercises.model import Exercise

EXERCISES: tuple[Exercise, ...] = ()
