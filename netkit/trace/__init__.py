"""Packet traces: which way the packets of a command took, and what was done to them on it.

``netkit.trace("docker exec web ping -c1 app")`` is a :class:`netkit.trace.model.Trace`.
"""

from netkit.callable_package import make_callable

make_callable(__name__, "netkit.trace.run", "trace")
