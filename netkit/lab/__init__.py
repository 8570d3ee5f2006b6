"""The lab: namespaces, LAN, engines, hosts. The only code that creates or destroys anything.

``netkit.lab()`` is the lab this process lives in: the package itself can be called, because a
package and a function cannot both be ``netkit.lab``.
"""

from __future__ import annotations

import sys
import types


class _CallablePackage(types.ModuleType):
    def __call__(self):
        """The lab this process lives in; raises LabError outside of one."""
        from netkit.lab.current import current_lab

        return current_lab()


sys.modules[__name__].__class__ = _CallablePackage
