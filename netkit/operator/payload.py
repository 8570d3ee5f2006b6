"""Netkit's own code for a machine that has none of it: an archive sent ahead on standard input.

Python imports straight from a zip archive, and that lies in memory there (memfd_create(2)): nothing is
installed, and no file is left. What netkit needs of pyroute2 is in it, too.
"""

from __future__ import annotations

import functools
import io
import zipfile
from importlib.util import find_spec
from pathlib import Path

from netkit.laboratory.spec import ROOT

OLDEST = (3, 9)  # Python on a machine
WIDTH = 8  # digits of the archive's length, which comes first
# what is sent: only what is imported there
MODULES = (
    *("netkit/__init__.py", "netkit/laboratory/__init__.py", "netkit/laboratory/inside/__init__.py"),
    *("netkit/laboratory/inside/syscalls.py", "netkit/hosts/*.py"),
    *("netkit/operator/__init__.py", "netkit/operator/guard*.py"),
)
LIBRARY = ("common.py", "config/*.py", "netlink/*.py", "netlink/rtnl/*.py", "netlink/rtnl/ifinfmsg/**/*.py")  # of pyroute2
# reads with read(2) alone: what follows the archive belongs to the module
BOOTSTRAP = f"""
import os, sys
if sys.version_info < {OLDEST}: sys.exit("Python " + sys.version.split()[0] + " is too old")
def read(n, data=b""):
    while len(data) < n: data += os.read(0, n - len(data)) or sys.exit("the connection broke off")
    return data
fd = os.memfd_create("netkit")
with open(fd, "wb", closefd=False) as file: file.write(read(int(read({WIDTH}))))
sys.path.insert(0, "/proc/self/fd/%d" % fd)
module = sys.argv.pop(1)
__import__(module)
sys.modules[module].main()
""".strip()


@functools.cache
def build_payload() -> bytes:
    """The archive, its length before it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for pattern in MODULES:
            for path in sorted(Path(ROOT).glob(pattern)):
                archive.write(path, path.relative_to(ROOT))
        library = Path(find_spec("pyroute2").submodule_search_locations[0])
        archive.writestr("pyroute2/__init__.py", "")  # its own would import all it has
        for path in sorted(path for pattern in LIBRARY for path in library.glob(pattern)):
            archive.write(path, path.relative_to(library.parent))
    return f"{len(buffer.getvalue()):0{WIDTH}}".encode() + buffer.getvalue()


def python_command(python: str, module: str, *arguments: str) -> list[str]:
    """The command that runs ``main()`` of a module out of the archive it is sent."""
    return [python, "-I", "-S", "-c", BOOTSTRAP, module, *arguments]
