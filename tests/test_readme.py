"""The README and the pages beside it tell the truth: what they say to type works, and what they link to is there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import yaml

from tests.conftest import NETKIT
from tests.links import find_dead_links
from tests.patience import patiently
from tests.readme import ELSEWHERE, HELP, NOT_RUN, PAGES, ROOT, RUN, WORKFLOW, find_commands, find_synopses
from tests.servers import open_server

pytestmark = pytest.mark.once

HERE = Path(__file__).parent


def run_here(command: str) -> subprocess.CompletedProcess[str]:
    """Run a page's command with this environment's programs, wherever it is."""
    there = re.sub(r"^(\.venv/bin/|(?=netkit ))", f"{Path(sys.executable).parent}/", command)
    return subprocess.run(
        ["bash", "-c", there],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=patiently(300),
    )


def find_workflow_commands() -> set[str]:
    """What the workflow's steps run."""
    jobs = yaml.safe_load(WORKFLOW.read_text())["jobs"].values()
    return {step["run"] for job in jobs for step in job["steps"] if "run" in step}


def test_every_command_is_run_or_says_why_not():
    """Each command of the README, docs/ and the workflow is run by a test or listed with the reason; no list has one that is gone."""
    told = set().union(*(find_commands(page.read_text()) for page in PAGES)) | find_workflow_commands()
    known = [*RUN, *HELP, *ELSEWHERE, *NOT_RUN]
    assert len(known) == len(set(known))
    assert told == set(known), f"unknown: {told - set(known)}, gone: {set(known) - told}"


@pytest.mark.parametrize("command", RUN)
def test_a_command_does_what_the_page_says(machine, command):
    """It ends with status 0, prints what it is there for, and leaves nothing behind."""
    done = run_here(command)
    assert done.returncode == 0, done.stdout
    assert re.search(RUN[command], done.stdout), done.stdout


@pytest.mark.parametrize("command", sorted(HELP))
def test_a_long_command_explains_itself(command):
    """A script that takes long, or writes into the tree, is there and tells how it is used."""
    done = run_here(command + " --help")
    assert done.returncode == 0, done.stdout
    assert re.match("usage", done.stdout, re.IGNORECASE), done.stdout


@pytest.mark.parametrize("command", ELSEWHERE)
def test_what_is_run_elsewhere_is_run_by_a_test_of_that_name(command):
    """The test that is said to run a command exists."""
    file, _, name = ELSEWHERE[command].partition("::")
    assert f"\ndef {name}(" in (HERE / file).read_text()


def test_workshop_alone_opens_jupyterlab(machine):
    """`./workshop` sets up, prints the address with its token, and serves the notebooks there."""
    with open_server(command=[str(ROOT / "workshop"), "start"]) as server:
        names = [each["name"] for each in server.ask("GET", "contents")["content"]]
        assert "00-start-here.ipynb" in names
        request = urllib.request.Request(f"{server.origin}/lab", headers={"Authorization": f"token {server.token}"})
        assert b"JupyterLab" in urllib.request.urlopen(request, timeout=patiently()).read()


@pytest.mark.parametrize("synopsis", dict.fromkeys(each for page in PAGES for each in find_synopses(page.read_text())))
def test_a_synopsis_has_no_option_that_is_not_there(synopsis):
    """The command exists, and its help knows every option that the page gives it."""
    words = shlex.split(synopsis.replace("…", "").partition(" -- ")[0])
    program = [NETKIT, words[1]] if words[0] == "netkit" else [ROOT / words[1]]
    done = subprocess.run([*program, "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for option in re.findall(r"(?<=[\[ ])--?\w[\w-]*", synopsis.partition(" -- ")[0]):
        assert re.search(rf"(?<![\w-]){option}\b", done.stdout), f"{option} is not in {done.stdout}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_within_the_project_are_alive(page):
    """Whatever a page links to, files, pictures and headings, is there."""
    assert find_dead_links(page.read_text(), page) == []
