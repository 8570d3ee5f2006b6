"""What runs on a machine to read its network: the standard library alone, and nothing is changed.

Its tables come out as plain JSON; :mod:`netkit.network.build` makes a topology of them, elsewhere.

Every capture starts this in a process of its own, so what is imported here is chosen by its price:
``dataclasses`` alone would take as long as reading a small machine's network.
"""
