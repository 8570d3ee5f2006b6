"""The tests pass wherever the tree lies, whoever runs them, and whatever their environment says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.patience import patiently

ROOT = Path(__file__).resolve().parent.parent
TREE = ("netkit", "tests", "notebooks", "docs", "pyproject.toml", "workshop", "README.md", "LICENSE")
# what depends on the place and the environment: kernels, what a lab shows of /tmp, working elsewhere, servers and engines at their addresses
RESTART = "test_kernel.py::test_a_restart_is_a_factory_reset"
EMPTY = "test_lab.py::test_a_killed_node_comes_back_empty"
CLOSING = "test_lab.py::test_closing_leaves_nothing"
SDK = "test_lab.py::test_the_sdk_client_is_of_that_node"
SERVER = "test_server.py::test_the_server_keeps_its_token_and_to_loopback"
ELSEWHERE = "test_workplaces.py::test_a_course_may_lie_anywhere[/tmp]"
READ_ONLY = 'mount --bind "$PWD" "$PWD" && mount -o remount,bind,ro "$PWD" && cd "$PWD" && exec "$@"'
PROXY = "http://192.0.2.1:3128"  # nobody is there (RFC 5737)


def _run(tree: Path, *tests: str, before: tuple[str, ...] = (), umask: int = 0o022, **environment: str) -> None:
    """Some tests there, with this environment's Python, as a child that knows nothing of these tests."""
    passed_on = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "NETKIT_", "TMPDIR"))}
    done = subprocess.run(
        [*before, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(f"tests/{each}" for each in tests)],
        cwd=tree,
        env=passed_on | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "PWD": str(tree)} | environment,
        umask=umask,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=patiently(180),
    )
    assert done.returncode == 0, done.stdout[-6000:]
    assert f"{len(tests)} passed" in done.stdout, done.stdout[-2000:]


@pytest.fixture
def plant(request):
    """Copies of the tree, which are removed again: ``plant(directory, name)`` returns the path of one."""
    made: list[Path] = []

    def copy(directory: str, name: str) -> Path:
        made.append(Path(tempfile.mkdtemp(prefix="checkout-", dir=directory)))
        made[-1].chmod(0o755)
        tree = made[-1] / name
        tree.mkdir()
        for part in TREE:
            where = ROOT / part
            if where.is_dir():
                shutil.copytree(where, tree / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(where, tree)
        return tree

    yield copy
    for directory in made:
        subprocess.run(["chmod", "-R", "u+w", directory], check=True)
        shutil.rmtree(directory)


@pytest.mark.once
def test_a_checkout_below_tmp_with_blanks_and_chinese_characters(machine, plant):
    """And a umask that lets nobody else read what is made, in the C locale."""
    _run(plant("/tmp", "docker 网络 course"), RESTART, EMPTY, ELSEWHERE, umask=0o077, LANG="C", LC_ALL="C")


@pytest.mark.skipif(not os.access("/var/lib", os.W_OK), reason="/var/lib cannot be written by this user")
def test_a_checkout_below_var_lib_behind_a_proxy(machine, plant):
    """Where a lab keeps changes apart, with a proxy that answers nobody."""
    names = ("http_proxy", "https_proxy", "all_proxy")
    _run(plant("/var/lib", "netkit"), SERVER, SDK, CLOSING, **dict.fromkeys((*names, *(name.upper() for name in names)), PROXY))


@pytest.mark.once
def test_a_checkout_behind_a_symbolic_link(machine, plant, tmp_path):
    """And a locale that this machine need not have."""
    link = tmp_path / "workshop"
    link.symlink_to(plant(tempfile.gettempdir(), "netkit"))
    _run(link, RESTART, ELSEWHERE, LANG="zh_CN.UTF-8", LC_ALL="zh_CN.UTF-8")


def test_a_checkout_that_cannot_be_written(machine, plant, tmp_path):
    """The environment lies elsewhere, and so does all that is kept for a user."""
    tree = plant(tempfile.gettempdir(), "netkit")
    own = {f"XDG_{name}_HOME": str(tmp_path / name.lower()) for name in ("CACHE", "CONFIG", "DATA", "STATE")}
    before: tuple[str, ...] = ()
    if os.geteuid() == 0:
        before = ("unshare", "--mount", "sh", "-c", READ_ONLY, "sh")
    else:
        subprocess.run(["chmod", "-R", "a-w", tree], check=True)
    _run(tree, RESTART, SERVER, before=before, XDG_RUNTIME_DIR=str(tmp_path / "nothing"), **own)
