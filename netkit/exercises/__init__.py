"""Exercises that look at the final state of the lab, whatever the route to it was.

An exercise is a list of criteria over :class:`~netkit.exercises.model.Evidence`, a captured topology and
the replies of a few bounded probes. Judging is pure; :mod:`netkit.exercises.check` gathers the evidence.
"""
