"""Exercises that look at the final state of the lab, whatever the route to it was.

An exercise is a list of criteria over :class:`~netkit.exercises.model.Evidence`, a captured topology and
the replies of a few bounded probes. Criteria only look; :mod:`netkit.exercises.check` gathers the evidence, and asks
each probe when its reply is first looked at.
"""
