"""Where a user's own things are kept (XDG Base Directory Specification).

Standard library only, and nothing of netkit but its errors: labs, exercises and the doctor ask here.
"""

from __future__ import annotations

import contextlib
import os
import pwd

from netkit.errors import LabError


def home() -> str | None:
    """The user's home directory: HOME, else what passwd says; None for a user who has neither."""
    return os.environ.get("HOME") or home_in_passwd()


def home_in_passwd() -> str | None:
    """The user's home directory as passwd(5) has it; None for a user id without a name."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        return None


def cache_dir() -> str:
    """Where netkit keeps what is made once per user; raises LabError for a user without a home."""
    return os.path.join(_base("XDG_CACHE_HOME", ".cache"), "netkit")


def data_dir() -> str:
    """Where netkit keeps what a user would miss; raises LabError for a user without a home."""
    return os.path.join(_base("XDG_DATA_HOME", ".local/share"), "netkit")


def _base(variable: str, below: str) -> str:
    if named := os.environ.get(variable):
        return os.path.abspath(named)
    if not (base := home()):
        raise LabError(f"user {os.geteuid()} has no home directory: set HOME, or {variable}, to a directory of your own")
    return os.path.join(base, below)


def figure_dirs() -> list[str]:
    """Where matplotlib keeps its settings and its list of fonts (``matplotlib.get_configdir``, ``get_cachedir``)."""
    if named := os.environ.get("MPLCONFIGDIR"):
        return [os.path.abspath(named)]
    bases = [(os.environ.get("XDG_CONFIG_HOME"), ".config"), (os.environ.get("XDG_CACHE_HOME"), ".cache")]
    return [os.path.join(named or os.path.join(home() or "/nonexistent", below), "matplotlib") for named, below in bases]


def ipython_dir() -> str:
    """Where IPython keeps its settings and history (``IPython.paths.get_ipython_dir``)."""
    return os.path.abspath(os.environ.get("IPYTHONDIR") or os.path.join(home() or "/nonexistent", ".ipython"))


def kept_dirs() -> list[str]:
    """Directories of the user's that labs write to, or read settings of Python from, wherever they are."""
    progress = os.path.dirname(os.path.abspath(os.environ["NETKIT_PROGRESS"])) if os.environ.get("NETKIT_PROGRESS") else data_dir()
    return [progress, ipython_dir(), *figure_dirs()]


def spare_settings() -> dict[str, str]:
    """Environment variables for a lab, with which IPython and matplotlib find a place of their own there, and complain of nothing.

    None where the user's own can be written.
    """
    places = {"MPLCONFIGDIR": figure_dirs(), "IPYTHONDIR": [ipython_dir()]}
    return {name: f"/run/netkit-{name.lower()}" for name, paths in places.items() if len(ensure_dirs(paths)) < len(paths)}


def ensure_dirs(paths: list[str]) -> list[str]:
    """Make those directories that are not there yet (idempotent), but no home; returns those that can be written."""
    base = home()
    for path in paths:
        if not base or not path.startswith(f"{base}/") or os.path.isdir(base):
            with contextlib.suppress(OSError):
                os.makedirs(path, exist_ok=True)
    return [path for path in paths if os.path.isdir(path) and os.access(path, os.W_OK)]
