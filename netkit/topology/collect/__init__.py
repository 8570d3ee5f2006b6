"""What runs on a machine to read its network: the standard library alone, and nothing is changed.

Its tables come out as plain JSON; :mod:`netkit.topology.build` makes a topology of them, elsewhere.
"""
