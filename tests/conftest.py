"""Fixtures. Every test owns its labs; the whole run leaves the machine as it was.

Tests may run in several processes side by side (pytest-xdist): each watches over what it has done itself.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile

import pytest

from netkit.laboratory.lab import open_lab
from tests.machine import enter_own_machine, snapshot, wait_until_as
from tests.shares import FULL, MODE

NETKIT = os.path.join(os.path.dirname(sys.executable), "netkit")


def pytest_addoption(parser) -> None:
    """What ``./workshop test`` takes beside pytest's own options."""
    parser.addoption("--full", action="store_true", help="not only this mode's share of what root and an ordinary user take in turns")


def pytest_configure(config) -> None:
    """Everything the tests and what they start make for a while is made in a directory of their own."""
    if config.getoption("full"):
        os.environ[FULL] = "1"
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker:
        own = os.path.join(tempfile.gettempdir(), worker)
        os.mkdir(own)
    else:
        own = tempfile.mkdtemp(prefix="tests-")  # short: the path of a socket has 107 bytes at most
    os.chmod(own, 0o755)
    os.environ["TMPDIR"] = tempfile.tempdir = own
    # what tests ask of servers of their own is not for a proxy
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(filter(None, (os.environ.get("no_proxy"), "127.0.0.1", "localhost")))
    # what tests solve, nobody has solved
    os.environ["NETKIT_PROGRESS"] = os.path.join(own, "pytest-progress", "progress.json")
    config.add_cleanup(lambda: shutil.rmtree(own, ignore_errors=True))
    if worker or not config.getoption("numprocesses", None):  # else this process only hands out work
        enter_own_machine()


def pytest_report_header() -> str:
    place = "a machine of their own within it" if os.geteuid() == 0 else "the machine itself"
    share = "everything" if os.environ.get(FULL) else "its share of what the modes take in turns (all: --full)"
    return f"netkit: mode {MODE}, {share}, engine {os.environ.get('NETKIT_ENGINE', 'as installed')}; tests run on {place}"


@pytest.fixture(scope="session", autouse=True)
def untouched_machine():
    """The machine is the same after all tests as before the first."""
    with open_lab(1):  # whatever is made once per user is made now
        pass
    before = snapshot()
    yield
    left = wait_until_as(before)
    assert not left, f"the tests changed the machine: {left}"


@pytest.fixture
def machine():
    """A snapshot of the machine before the test, and the promise that the test leaves it so."""
    before = snapshot()
    yield before
    left = wait_until_as(before)
    assert not left, f"the test changed the machine: {left}"


@pytest.fixture(scope="module")
def lab():
    """A lab of two nodes for tests that only look, or clean up after themselves."""
    with open_lab(2, label="tests") as opened:
        yield opened


@pytest.fixture(scope="module")
def workbench():
    """JupyterLab on a copy of all notebooks, and a browser: see tests/browsing.py."""
    from tests.browsing import NOTEBOOKS, find_browser, open_workbench

    try:
        find_browser()
    except LookupError as error:
        pytest.skip(str(error))
    with open_workbench(*NOTEBOOKS) as opened:
        yield opened


@pytest.fixture
def seeded(request):
    """A random generator whose seed is printed, and can be set with NETKIT_TEST_SEED."""
    seed = int(os.environ.get("NETKIT_TEST_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"seed: NETKIT_TEST_SEED={seed}")
    return random.Random(seed)
