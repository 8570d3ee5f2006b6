"""Wherever somebody works: what is written to stay stays, or it is said that it does not; and a lab's own files are as elsewhere."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import psutil
import pytest

from netkit.laboratory.inside.limits import HIERARCHIES
from netkit.labs import find_labs
from tests.conftest import NETKIT
from tests.kernels import execute, kernel, launcher, wait_for
from tests.patience import patiently

READ_ONLY = "/sys/kernel"  # a directory in which nobody can make anything
SOLVED = """
from dataclasses import replace
from netkit.exercises import check as module
module.judge = lambda exercise, evidence: module.Verdict(exercise.number, exercise.title, True, 1, 1)
"""


def netkit(*words: str, cwd: str | Path | None = None) -> subprocess.CompletedProcess:
    return subprocess.run([NETKIT, *words], capture_output=True, text=True, cwd=cwd, timeout=patiently())


@pytest.fixture(params=["/tmp", "/var/lib", "/dev/shm", "~"])
def course(request):
    """A directory of somebody's with notebooks/ and data/, in a place that a lab hides, or keeps changes of apart, or neither."""
    place = os.path.expanduser(request.param)
    if not os.access(place, os.W_OK):
        pytest.skip(f"{place} cannot be written by this user")
    made = Path(tempfile.mkdtemp(prefix="course-", dir=place))
    for name in ("notebooks", "data"):
        (made / name).mkdir()
    (made / "data" / "x.csv").write_text("7\n")
    yield made
    shutil.rmtree(made)


def test_a_course_may_lie_anywhere(course):
    """Beside the notebook and around it: what is there is seen on every host, what is written stays, by cells and commands alike."""
    script = "cat ../data/x.csv && echo made > ../made.txt && echo beside > beside.txt; netkit on node2 -- sh -c 'echo two > two.txt'"
    done = netkit("run", "--", "sh", "-c", script, cwd=course / "notebooks")
    assert (done.returncode, done.stdout) == (0, "7\n"), done.stderr
    with kernel(cwd=str(course / "notebooks")) as (_, client):
        assert execute(client, "print(open('../data/x.csv').read()); open('../cell.txt', 'w').write('cell')") == "7\n\n4"
    written = {str(path.relative_to(course)) for path in course.rglob("*.txt")}
    assert written == {"made.txt", "cell.txt", "notebooks/beside.txt", "notebooks/two.txt"}


def test_work_in_tmp_itself_stays():
    """Whoever works in /tmp finds there what was made there."""
    name = f"made-{os.getpid()}.txt"
    try:
        assert netkit("run", "--nodes", "1", "--", "sh", "-c", f"echo made > {name}", cwd="/tmp").returncode == 0
        assert Path("/tmp", name).read_text() == "made\n"
    finally:
        Path("/tmp", name).unlink(missing_ok=True)


def test_no_lab_where_work_would_be_lost(tmp_path):
    """A directory that each host has for itself, and one that is no longer there, are refused in a sentence."""
    for place in ("/run", "/dev/shm", "/var/lib"):
        done = netkit("run", "--nodes", "1", "--", "true", cwd=place)
        assert (done.returncode, done.stderr) == (
            2,
            f"netkit: {place} is each host's own in a lab, and what is written there is lost: change to a directory of your own\n",
        )
    gone = tmp_path / "gone"
    gone.mkdir()
    done = subprocess.run(
        ["sh", "-c", f"rmdir {gone}; exec {NETKIT} run -- true"], cwd=gone, capture_output=True, text=True, timeout=patiently()
    )
    assert (done.returncode, done.stderr) == (2, "netkit: the working directory has been deleted: change to one that exists\n")


@pytest.mark.parametrize("home", [READ_ONLY, "/nonexistent/home"])
def test_a_home_that_takes_nothing(home):
    """Figures are drawn without a complaint, and progress that cannot be kept is said not to be, in cells that would show it."""
    person = {name: value for name, value in os.environ.items() if name != "NETKIT_PROGRESS"}
    person |= {"HOME": home, "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")}
    lost = f"not kept: {home}/.local/share/netkit/progress.json cannot be written: set NETKIT_PROGRESS to a file that can"
    with kernel(env=person) as (_, client):
        said = execute(client, "import netkit\nfigure = netkit.capture('node1').draw()\nfigure.savefig('/tmp/x.png')")
        assert said == ""
        assert execute(client, f"{SOLVED}\nnetkit.check('1.1')").splitlines()[1:] == [f"  {lost}"]
        assert execute(client, "print(netkit.progress().text())").splitlines()[-1] == lost
    assert not os.path.exists("/nonexistent"), "nobody makes a home"


def test_progress_in_a_hidden_place(monkeypatch, tmp_path):
    """Where NETKIT_PROGRESS names a file when the lab opens, it is kept; where a cell names one that is the lab's own, it is said."""
    for place in (tmp_path / "mine" / "progress.json", Path.home() / f".netkit-test-{os.getpid()}" / "progress.json"):
        monkeypatch.setenv("NETKIT_PROGRESS", str(place))
        try:
            with kernel() as (_, client):
                execute(client, "import netkit, os")
                assert len(execute(client, f"{SOLVED}\nnetkit.check('1.1')").splitlines()) == 1
                assert '"passed": true' in place.read_text()
                execute(client, "os.environ['NETKIT_PROGRESS'] = '/var/lib/mine/progress.json'")
                assert "  not kept: /var/lib/mine is the lab's own" in execute(client, "netkit.check('1.1')")
        finally:
            shutil.rmtree(place.parent, ignore_errors=True)


@pytest.mark.skipif(not os.access("/var/lib", os.W_OK), reason="/var/lib cannot be written by this user")
def test_a_home_below_var_lib_keeps_what_it_is_given():
    """A service's home, where a lab keeps changes apart: its dot files lead nowhere, and progress and files are there afterwards."""
    home = Path(tempfile.mkdtemp(prefix="home-", dir="/var/lib"))
    (home / ".bashrc").write_text("export DOCKER_HOST=tcp://192.0.2.1:2375\n")
    person = {name: value for name, value in os.environ.items() if name != "NETKIT_PROGRESS"}
    person |= {"HOME": str(home), "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")}
    try:
        with kernel(env=person, cwd=str(home)) as (_, client):
            assert execute(client, "%%bash -l\nbash -ic 'echo mine > made.txt; echo =$DOCKER_HOST=' 2>/dev/null") == "==\n"
            assert len(execute(client, f"import netkit\n{SOLVED}\nnetkit.check('1.1')").splitlines()) == 1
        assert (home / "made.txt").read_text() == "mine\n"
        assert '"passed": true' in (home / ".local/share/netkit/progress.json").read_text()
    finally:
        shutil.rmtree(home)


def test_modes_do_not_depend_on_a_umask(tmp_path):
    """With images prepared and a lab opened under umask 077: what is in them and on a node has the modes of a machine's."""
    paths = "/ /tmp /bin /etc /root"
    users = "docker run --rm --user 1000 busybox sh -c 'echo >/tmp/x && id -u'; docker run --rm --user 1000 toolbox id -u"
    node = "stat -c %a / /etc /var/lib /run /tmp /run/netkit-bin; umask; setpriv --reuid 65534 --clear-groups head -c 9 /etc/hosts"
    script = "\n".join([*(f"docker run --rm {image} stat -c %a {paths}" for image in ("busybox", "toolbox")), users, node])
    command = f"umask 077; XDG_CACHE_HOME={tmp_path} exec {NETKIT} run --nodes 1 -- sh -c {subprocess.list2cmdline([script])}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=patiently())
    image = ["755", "1777", "755", "755", "755"]
    assert done.stdout.split() == [*image, *image, "1000", "1000", "755", "755", "755", "755", "1777", "755", "0022", "127.0.0.1"], (
        done.stderr
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="ordinary users' labs have no control group")
def test_what_everybody_left_is_swept():
    """Launcher and holder are killed at once: nobody is left to remove the lab's control group; the next command does."""

    with kernel() as (manager, _), subprocess.Popen(["sleep", "1000"]) as guest:
        started = launcher(manager)
        (mine,) = (lab for lab in find_labs() if lab.facts["opener"] == started.pid)
        groups = [path for path in (f"{place}/netkit-{mine.id}" for place in HIERARCHIES) if os.path.isdir(path)]
        if not groups:
            guest.kill()
            pytest.skip("root has no pids limit on this machine: it offers no writable pids control group")
        (group,) = groups
        assert netkit("ps").returncode == 0 and os.path.isdir(group), "one in use stays"
        Path(group, "cgroup.procs").write_text(str(guest.pid))  # whatever else sweeps on this machine cannot take it away yet
        everybody = [started, *(each for each in started.children(recursive=True) if each.name() == "netkit-holder")]
        assert len(everybody) == 2
        for process in everybody:
            process.send_signal(signal.SIGSTOP)
        for process in everybody:
            process.kill()
        psutil.wait_procs(everybody, timeout=patiently())
        assert netkit("ps").returncode == 0 and os.path.isdir(group), "nor is one taken that has a process"
        guest.kill()
        guest.wait()

        def is_swept() -> bool:
            netkit("ps")  # its processes end when they do
            return not os.path.isdir(group)

        assert wait_for(is_swept)
