"""Where Python looks for modules when it works beside a learner's files.

Imports nothing that a learner's ``json.py`` could stand for: it is called before anything else is imported.
"""

import os
import sys


def put_workplace_last() -> None:
    """Let the working directory be the last place that modules are looked for in, here and in programs started from here.

    It comes first by ``python -m`` without ``-P``, and by a PYTHONPATH with an empty entry, as ``$PYTHONPATH:/x`` often is.
    Does nothing in a working directory that has been deleted.
    """
    if named := os.environ.get("PYTHONPATH"):
        os.environ["PYTHONPATH"] = ":".join(path for path in named.split(":") if path not in ("", "."))
    try:
        here = os.getcwd()
    except FileNotFoundError:
        return
    # a learner's own "" follows os.chdir; sorting keeps the order of the others
    sys.path.sort(key=lambda path: path == "" or os.path.realpath(path) == here)
