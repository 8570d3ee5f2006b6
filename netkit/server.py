"""``netkit start``: JupyterLab on the notebooks, its terminals in the lab."""

from __future__ import annotations

import ipaddress
import os
import sys

from netkit import put_workplace_last
from netkit.errors import NetkitError

FIRST = "00-start-here.ipynb"
LOOPBACK = "127.0.0.1"


def start_server(port: int, browser: bool, notebooks: str | None = None, ip: str = LOOPBACK) -> int:
    """Become JupyterLab, on 127.0.0.1 and with its token, on the workshop's notebooks or another directory.

    Nothing here weakens its token or its origin checks.
    ``ip`` is the address to listen on. Raises NetkitError for a bad port or address, and for a directory that is none.
    """
    try:
        ipaddress.ip_address(ip)
    except ValueError:
        raise NetkitError(f"{ip!r} is no IP address to listen on: leave --ip out, and it is {LOOPBACK}") from None
    if not 0 < port < 65536:
        raise NetkitError(f"{port} is no port: use one from 1 to 65535")
    notebooks = os.path.abspath(notebooks) if notebooks else find_notebooks()
    if not os.path.isdir(notebooks):
        raise NetkitError(f"{notebooks} is no directory: name one that holds notebooks, or leave --notebooks out")
    # -P: both work among a learner's files, and a learner's json.py is none of their own
    python = [sys.executable, "-P", "-m"]
    argv = [
        *(*python, "jupyterlab", f"--ServerApp.ip={ip}", f"--ServerApp.port={port}", f"--ServerApp.root_dir={notebooks}"),
        # wherever it listens: requests are for the loopback address a person sees, or they are refused
        "--ServerApp.allow_remote_access=False",
        f"--ServerApp.terminado_settings={{'shell_command': {[*python, 'netkit', 'shell', '--of-server']!r}}}",
        "--MultiKernelManager.default_kernel_name=netkit",
        *([f"--LabApp.default_url=/lab/tree/{FIRST}"] if os.path.exists(os.path.join(notebooks, FIRST)) else []),
        *([] if browser else ["--no-browser"]),
        *(["--allow-root"] if os.geteuid() == 0 else []),
    ]
    os.chdir(notebooks)  # where terminals start
    put_workplace_last()
    os.execv(argv[0], argv)


def find_notebooks() -> str:
    """The directory with the notebooks: beside the package, else below the working directory."""
    beside = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "notebooks")
    for place in (beside, os.path.join(os.getcwd(), "notebooks")):
        if os.path.exists(os.path.join(place, FIRST)):
            return place
    return os.getcwd()
