"""One notebook under strict nbval, in a process of its own: for tests, benchmarks and the soak alike."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.patience import at_most, patiently

ROOT = Path(__file__).resolve().parent.parent


def validate_notebook(path: Path, *, timeout: float, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a notebook in a fresh lab and compare every output, as pyproject.toml has it; ``timeout`` in seconds.

    Without this project's conftest.py: a lab is the notebook's own, and the machine is watched by whoever calls.
    Raises subprocess.TimeoutExpired.
    """
    patience = [f"--nbval-{what}-timeout={at_most(60):.0f}" for what in ("cell", "kernel-startup")]
    command = [sys.executable, "-m", "pytest", "-q", "--noconftest", "-p", "no:cacheprovider", *patience, str(path)]
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | (environment or {}), capture_output=True, text=True, timeout=patiently(timeout)
    )
