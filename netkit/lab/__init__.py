"""The lab: namespaces, LAN, engines, hosts. The only code that creates or destroys anything.

``netkit.lab()`` is the lab this process lives in; raises LabError outside of one.
"""

from netkit.callable_package import make_callable

make_callable(__name__, "netkit.lab.current", "current_lab")
