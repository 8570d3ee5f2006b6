"""The lab's network as it changes, drawn in the notebook, and a packet's way through it step by step.

``netkit.live()`` shows the lab this process lives in; raises LabError outside of one.
"""

from netkit.callable_package import make_callable

make_callable(__name__, "netkit.live.show", "live")
