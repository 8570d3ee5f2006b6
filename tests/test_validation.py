"""Every notebook validates strictly, with every engine, from the same committed outputs.

Each run is an nbval of its own in a process of its own. Every notebook is run in both modes, and with every newer engine in one of
them; with the installed engine it is run in the browser, where the outputs are compared as well (test_browser_notebooks.py).
"""

from __future__ import annotations

import warnings

import pytest

from tests.browsing import NOTEBOOKS as PATHS
from tests.engines import SUITES, Unavailable, get_engine
from tests.shares import FULL, MODES, share
from tests.validating import ROOT, validate_notebook

NOTEBOOKS = sorted((path.name for path in PATHS), reverse=True)  # the long ones first
# each mode has every second one: so that both meet all engines
PAIRS = [(name, engine) for place, name in enumerate(NOTEBOOKS) for engine in sorted(SUITES, reverse=place % 2 == 1)]
LONGEST = 900  # seconds for a notebook: one minute or two where nothing else runs


@pytest.mark.parametrize(("name", "engine"), share(PAIRS))
def test_a_notebook_validates(name, engine):
    """Run in a fresh lab, each cell's output is the committed one; where an engine cannot be had, the installed one takes its turn."""
    try:
        environment = {"NETKIT_ENGINE": get_engine(engine)}
    except Unavailable as error:
        warnings.warn(f"{name} on the installed engine: {engine} cannot be had here: {error}", stacklevel=1)
        environment = {}
    done = validate_notebook(ROOT / "notebooks" / name, timeout=LONGEST, environment=environment)
    assert done.returncode == 0, f"{name} on engine {engine}:\n{done.stdout[-6000:]}{done.stderr[-2000:]}"
    assert " passed" in done.stdout, done.stdout


def test_the_shares_of_both_modes_leave_no_gap(monkeypatch):
    """Together they have every notebook with every engine, once; each has every notebook."""
    monkeypatch.delenv(FULL, raising=False)
    shares = [share(PAIRS, mode) for mode in MODES]
    assert sorted(pair for each in shares for pair in each) == sorted(PAIRS)
    assert all({name for name, _ in each} == set(NOTEBOOKS) and {engine for _, engine in each} == set(SUITES) for each in shares)
