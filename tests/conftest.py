"""Fixtures. Every test owns its labs; the whole run leaves the machine as it was."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile

import pytest

from netkit.lab.lab import open_lab
from netkit.places import cache_dir
from tests.machine import snapshot, wait_until_as

NETKIT = os.path.join(os.path.dirname(sys.executable), "netkit")


def pytest_configure(config) -> None:
    """Everything the tests and what they start make for a while is made in a directory of their own."""
    own = tempfile.mkdtemp(prefix="tests-of-netkit-")
    os.chmod(own, 0o755)
    os.environ["TMPDIR"] = tempfile.tempdir = own
    # what tests solve, nobody has solved; beside pytest's own directories, which no snapshot of the machine compares
    os.environ["NETKIT_PROGRESS"] = os.path.join(own, "pytest-progress", "progress.json")
    config.add_cleanup(lambda: shutil.rmtree(own, ignore_errors=True))


def pytest_report_header() -> str:
    mode = "root" if os.geteuid() == 0 else "user"
    return f"netkit: labs in mode {mode}, engine {os.environ.get('NETKIT_ENGINE', 'as installed')}"


@pytest.fixture(scope="session", autouse=True)
def untouched_machine():
    """The machine is the same after all tests as before the first."""
    with open_lab(1):  # whatever is made once per user is made now
        pass
    if os.geteuid() == 0:  # and once per machine: mount(8) makes /run/mount when it is first used
        subprocess.run(["unshare", "--mount", "mount", "--bind", "/dev/null", "/dev/zero"], check=True)
    before = snapshot()
    yield
    left = wait_until_as(before)
    lost, gained = left.get("files", ((), ()))
    if not lost and all(name.startswith(cache_dir() + "/seeds/") for name in gained):
        left.pop("files", None)  # the images for another engine, made once per user by the test of that engine
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
