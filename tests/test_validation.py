"""Every notebook validates strictly, with every engine, from the same committed outputs.

Each run is an nbval of its own in a process of its own: a lab is cheap, and two of them share two cores well.
"""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.engines import SUITES, Unavailable, get_engine
from tests.validating import ROOT, validate_notebook

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"), reverse=True)  # the long ones first
ENGINES = ("installed", *SUITES)
AT_ONCE = max(2, min(4, os.cpu_count() or 2))
LONGEST = 300  # seconds for one notebook, on a machine that is slow and busy with others


def _validate(notebook: Path, engine: str) -> subprocess.CompletedProcess[str]:
    environment = {} if engine == "installed" else {"NETKIT_ENGINE": get_engine(engine)}
    return validate_notebook(notebook, timeout=LONGEST, environment=environment)


@pytest.fixture(scope="module")
def runs(request):
    """All runs that were chosen, under way at once."""
    chosen = [item.callspec.params for item in request.session.items if "runs" in getattr(item, "fixturenames", ())]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        started: dict[tuple[str, str], Future] = {}
        for name, engine in ((each["name"], each["engine"]) for each in chosen):
            started[name, engine] = pool.submit(_validate, ROOT / "notebooks" / name, engine)
        yield started
        for future in started.values():  # the run was stopped: the rest is not begun
            future.cancel()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", [path.name for path in NOTEBOOKS])
def test_a_notebook_validates(runs, name, engine):
    """Run in a fresh lab, each cell's output is the committed one."""
    try:
        done = runs[name, engine].result()
    except Unavailable as error:
        pytest.skip(f"engine {engine} cannot be had here: {error}")
    assert done.returncode == 0, f"{name} on engine {engine}:\n{done.stdout[-6000:]}{done.stderr[-2000:]}"
    assert " passed" in done.stdout, done.stdout
