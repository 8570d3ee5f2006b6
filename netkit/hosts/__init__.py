"""What runs on a machine to read its network, and how it is asked: nothing is changed there.

It needs the standard library and pyroute2 alone. Its tables come out as plain JSON; :mod:`netkit.network.build` makes a
topology of them, elsewhere. What it imports is chosen by its price: ``dataclasses`` alone would take as long as reading
a small machine's network.
"""
