"""The project's own files agree with each other."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.machine import outward
from tests.patience import patiently

ROOT = Path(__file__).parent.parent


# PyPI's names that conda-forge has given to something else or spells otherwise (its feedstocks' recipes)
CONDA_NAMES = {"docker": "docker-py", "matplotlib": "matplotlib-base", "playwright": "playwright-python"}


def test_the_conda_environment_asks_for_what_pyproject_does():
    """environment.yml has every package of pyproject.toml, tests and book included, in the same range, and pip for nothing."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = pyproject["project"]
    asked = [*project["dependencies"], *pyproject["build-system"]["requires"]]
    asked += [need for needs in project["optional-dependencies"].values() for need in needs if not need.startswith("netkit")]
    names = {re.match(r"[a-zA-Z0-9_-]+", need)[0]: need for need in asked}
    expected = {CONDA_NAMES.get(name, name) + need[len(name) :] for name, need in names.items()}
    listed = re.findall(r"^ +- ([^#\s]+) *(?:#.*)?$", (ROOT / "environment.yml").read_text(), re.MULTILINE)
    assert set(listed) == {"conda-forge", "pip", f"python{project['requires-python']}", *expected}
    assert len(listed) == len(set(listed))


def _pretend_conda(directory: Path, environment: str = "netkit") -> dict[str, str]:
    """A prefix that looks like an active conda environment: a virtual environment with conda-meta/, since no conda is to be had here."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", directory], check=True)
    (directory / "conda-meta").mkdir()
    return {**os.environ, "CONDA_PREFIX": str(directory), "CONDA_DEFAULT_ENV": environment}


@pytest.mark.once
def test_an_active_conda_environment_is_used(machine, tmp_path):
    """With a conda environment active, its Python is asked to install netkit, .venv is neither made nor touched; base is left alone."""
    (tmp_path / "tree").mkdir()
    shutil.copytree(ROOT / "netkit", tmp_path / "tree/netkit", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("workshop", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / "tree")
    environment = _pretend_conda(tmp_path / "conda")
    # this environment's packages stand for those conda would have installed
    site = next((tmp_path / "conda/lib").glob("python3*/site-packages"))
    ours = Path(pytest.__file__).parent.parent
    (site / "installed.pth").write_text(f"{ours}\n")
    pip = [tmp_path / "conda/bin/python", "-m", "pip", "--version"]
    if subprocess.run(pip, capture_output=True).returncode:
        pytest.skip("this environment has no pip to lend")
    setup = outward([str(tmp_path / "tree/workshop"), "setup"])
    done = subprocess.run(setup, capture_output=True, text=True, env=environment, stdin=subprocess.DEVNULL)
    said = done.stdout + done.stderr
    assert f"an active conda environment: {tmp_path}/conda" in said
    assert done.returncode == 0, said
    assert f"ready: {tmp_path}/conda/bin/netkit is here" in said
    assert (tmp_path / "conda/share/jupyter/kernels/netkit/kernel.json").exists()
    where = subprocess.run(
        [tmp_path / "conda/bin/python", "-P", "-c", "import netkit; print(netkit.__file__)"], capture_output=True, text=True
    )
    assert where.stdout.strip() == f"{tmp_path}/tree/netkit/__init__.py"
    assert not (tmp_path / "tree/.venv").exists()


def test_a_conda_environment_with_an_old_python_is_refused(tmp_path):
    """A conda environment whose Python is too old, or missing, is one sentence that names environment.yml."""
    environment = _pretend_conda(tmp_path / "conda")
    for path in (tmp_path / "conda/bin").glob("python*"):
        path.unlink()
    (tmp_path / "conda/bin/python").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "conda/bin/python").chmod(0o755)
    done = subprocess.run([ROOT / "workshop", "setup"], capture_output=True, text=True, env=environment, stdin=subprocess.DEVNULL)
    assert done.returncode == 1
    assert "older than 3.11" in done.stderr and "environment.yml" in done.stderr


@pytest.mark.once
def test_it_runs_as_a_tool(tmp_path):
    """`uvx --from . netkit` and `pipx install .` work from a checkout: netkit opens labs from where they put it."""
    (tmp_path / "tree").mkdir()
    shutil.copytree(ROOT / "netkit", tmp_path / "tree/netkit", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / "tree")
    places = {name: str(tmp_path / name) for name in ("UV_CACHE_DIR", "UV_TOOL_DIR", "PIPX_HOME", "PIPX_BIN_DIR")}
    environment = {**os.environ, **places, "UV_PYTHON": sys.executable, "PIPX_DEFAULT_PYTHON": sys.executable}
    run = ["run", "--nodes", "1", "--", "hostname"]
    tools = Path(sys.executable).parent
    for command in (
        outward([tools / "uvx", "--from", tmp_path / "tree", "netkit", *run]),
        outward([tools / "pipx", "install", "--backend", "uv", tmp_path / "tree"]),
        [tmp_path / "PIPX_BIN_DIR/netkit", *run],
    ):
        done = subprocess.run(
            list(map(str, command)), capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=patiently(300)
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("node1") or "installed package netkit-workshop" in done.stdout


def test_importing_netkit_does_nothing():
    """The package imports in an instant: no library beyond the standard one is loaded, nothing is started."""
    code = "import sys; before = set(sys.modules); import netkit, netkit.laboratory.lab; print([m for m in sys.modules if m.split('.')[0] in ('docker', 'IPython', 'matplotlib', 'pyroute2', 'zmq')])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_what_runs_inside_a_lab_is_standard_library_alone():
    """The lab's first processes run without site-packages."""
    modules = sorted(path.stem for path in (ROOT / "netkit/laboratory/inside").glob("*.py"))
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfor name in {modules!r}: __import__('netkit.laboratory.inside.' + name)"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)


def test_the_code_is_clean():
    """ruff finds nothing to complain about, and nothing to reformat."""
    ruff = [sys.executable, "-m", "ruff"]
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [*ruff, *command, "--no-cache", "netkit", "tests", "benchmarks", "tools"], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout


def _find_texts() -> dict[str, str]:
    """Every file of the clone, with what is in it."""
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("this tree is no clone, or there is no git: its files cannot be listed")
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return {name: (ROOT / name).read_text(errors="replace") for name in names if name and (ROOT / name).is_file()}


def test_no_merge_was_left_half_done():
    """No file has a conflict's marks in it, and the shell can read every script."""
    for name, text in _find_texts().items():
        assert not re.search(r"^(<<<<<<<|>>>>>>>) ", text, re.MULTILINE), f"{name} has the marks of a conflict"
        if re.match(r"#!/bin/(ba)?sh\n", text):
            done = subprocess.run([text[2 : text.index("\n")], "-n", ROOT / name], capture_output=True, text=True)
            assert done.returncode == 0, done.stderr


def test_nothing_names_this_machine():
    """No file of the project holds a path or a host of the machine it was written on."""
    home = os.path.expanduser("~")
    for name, text in _find_texts().items():
        for forbidden in (str(ROOT) + "/", home + "/"):
            assert not re.search(rf"(?<![\w}}]){re.escape(forbidden)}", text), f"{name} names {forbidden}"


def test_setting_up_again_is_quick_and_changes_nothing():
    """./workshop setup on a machine that is set up says so and ends."""
    before = {path: path.stat().st_mtime_ns for path in Path(sys.prefix).glob("*")}
    done = subprocess.run([ROOT / "workshop", "setup"], capture_output=True, text=True, timeout=patiently(), stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"ready: \S+/bin/netkit is here", done.stdout)
    assert {path: path.stat().st_mtime_ns for path in Path(sys.prefix).glob("*")} == before


def test_the_workshop_refuses_what_it_does_not_know():
    """An unknown word is one sentence with what there is, and status 1."""
    done = subprocess.run([ROOT / "workshop", "dance"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "use ./workshop, ./workshop setup, ./workshop test or ./workshop book" in done.stderr


def test_the_workshop_has_help():
    """./workshop --help tells its commands on standard output, and does nothing."""
    done = subprocess.run([ROOT / "workshop", "--help"], capture_output=True, text=True, check=True)
    for command in ("./workshop ", "./workshop setup", "./workshop test", "./workshop book"):
        assert command in done.stdout
    assert "set -eu" not in done.stdout and not done.stderr


def test_missing_system_packages_are_named(tmp_path):
    """Where a program is missing and nobody may install it, the one command that helps is printed."""
    pretend = (
        'mount --bind /dev/null $(readlink -f $(command -v ethtool)); exec setpriv --reuid 65534 --clear-groups --regid 65534 sh "$0" setup'
    )
    if os.geteuid() != 0:
        pytest.skip("only root can pretend to be somebody else on a machine without ethtool")
    script = tmp_path / "workshop"
    script.write_text((ROOT / "workshop").read_text())
    for path in (tmp_path, *tmp_path.parents[:3]):
        path.chmod(0o755)
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", pretend, str(script)], capture_output=True, text=True, env=environment, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 1
    assert "run this once as root" in done.stderr
    assert "--no-install-recommends ethtool" in done.stderr


def test_every_command_has_help():
    """netkit and each of its commands explain themselves."""
    netkit = [sys.executable, "-m", "netkit"]
    listing = subprocess.run([*netkit, "--help"], capture_output=True, text=True, check=True).stdout
    for command in ("start", "run", "shell", "on", "ps", "doctor"):
        assert command in listing
        assert "usage: netkit" in subprocess.run([*netkit, command, "--help"], capture_output=True, text=True, check=True).stdout
