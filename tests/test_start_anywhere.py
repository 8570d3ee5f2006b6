"""Kernels and commands start beside any files, with any settings, arguments, locales and limits that a learner may have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.connect import write_connection_file

from netkit.errors import LabError
from netkit.kernel import FILES, FILES_NEEDED, read_arguments
from netkit.laboratory import identity
from tests.conftest import NETKIT
from tests.kernels import execute, kernel, launcher, wait_for
from tests.machine import is_alive
from tests.patience import patiently

ROOT = Path(__file__).parent.parent
KERNEL = [sys.executable, "-P", "-m", "netkit.kernel"]
# names of what netkit, ipykernel and cells import: at once, later, or only in a cell
TAKEN = ("socket", "json", "select", "signal", "argparse", "ipaddress", "subprocess", "random", "docker", "matplotlib", "ipywidgets")
TRAP = "raise RuntimeError(f'{__file__} is no module of anybody but the learner')\n"
STARTUP = """
import os, sys
started = 5
os.environ |= {"DOCKER_HOST": "tcp://192.0.2.1:2375", "DOCKER_CONTEXT": "mine", "https_proxy": "http://192.0.2.1"}
os.environ["PATH"] = "/nowhere:" + os.environ["PATH"]
sys.path.insert(0, os.getcwd())
"""
USE = "import docker, helper, netkit; netkit.capture('node1').draw(); print(helper.X, netkit.lab().nodes)"


def fill(desk: Path) -> Path:
    """Give a directory a learner's files, none of which is what its name says elsewhere, but helper.py."""
    for name in TAKEN:
        (desk / f"{name}.py").write_text(TRAP)
    (desk / "helper.py").write_text("X = 41 + 1\n")
    return desk


@pytest.fixture(scope="module")
def client(tmp_path_factory) -> Iterator[BlockingKernelClient]:
    """A kernel beside those files and a package "netkit", with settings, start-up files and arguments of a learner's own."""
    profile = tmp_path_factory.mktemp("ipython") / "profile_default"
    (profile / "startup").mkdir(parents=True)
    (profile / "ipython_config.py").write_text(
        "c.InteractiveShellApp.extensions = ['autoreload']\nc.InteractiveShellApp.exec_lines = ['said = 6']\n"
    )
    (profile / "ipython_kernel_config.py").write_text(
        "c.IPKernelApp.extensions = ['autoreload']\nimport os; os.environ['DOCKER_TLS'] = '1'\n"
    )
    (profile / "startup/00.py").write_text(STARTUP)
    (profile / "startup/01.py").write_text("1 / 0\n")
    desk = fill(tmp_path_factory.mktemp("desk"))
    (desk / "netkit").mkdir()
    (desk / "netkit/__init__.py").write_text(TRAP)
    environment = {**os.environ, "IPYTHONDIR": str(profile.parent)}
    arguments = ["--HistoryManager.hist_file=:memory:", "--matplotlib", "inline", "--IPKernelApp.quiet=True", "--no-secure"]
    with kernel(cwd=str(desk), env=environment, extra_arguments=arguments) as (_, opened):
        yield opened


def test_what_lies_beside_a_notebook_harms_nothing(client):
    """A learner's socket.py, docker.py or package netkit is not imported by anybody; a learner's helper.py can be."""
    assert execute(client, USE) == "42 ('node1', 'node2')\n"
    assert execute(client, "%%on node2\nhostname") == "node2\n"
    assert execute(client, "import sys, os; print(sys.path[-1] == '', {'', os.getcwd()} & set(sys.path[:-2]))") == "True set()\n"


def test_a_learners_settings_are_added_to_ours(client):
    """Extensions, start-up files and lines of a learner's own are there, with netkit's, though one start-up file raises."""
    said = execute(client, "print(started, said, sorted(get_ipython().extension_manager.loaded))")
    assert said.startswith("5 6 [") and all(f"'{name}'" in said for name in ("IPython.extensions.autoreload", "netkit.notebook"))


def test_a_learners_settings_do_not_lead_out_of_the_lab(client):
    """Whatever start-up files and settings put into the environment, docker is the lab's, and what leads nowhere else stays."""
    look = (
        "import os; print([name for name in os.environ if name.startswith('DOCKER_') or 'proxy' in name], '/nowhere' in os.environ['PATH'])"
    )
    assert execute(client, look) == "['DOCKER_CONFIG'] True\n"
    assert execute(client, "%%bash\ndocker info --format '{{.Name}}'; command -v netkit | grep -c netkit-bin").split() == ["node1", "1"]


def test_ipykernels_arguments_reach_it(client):
    """What the client adds to the kernelspec's arguments is ipykernel's to read."""
    assert execute(client, "shell = get_ipython(); print(shell.history_manager.hist_file, shell.parent.parent.quiet)") == ":memory: True\n"


def test_a_search_path_with_an_empty_entry_harms_nothing(tmp_path):
    """PYTHONPATH=:DIR puts the working directory first, for the kernel and for what its cells start; netkit puts it last."""
    (tmp_path / "desk").mkdir()
    environment = {**os.environ, "PYTHONPATH": f":{tmp_path}", "IPYTHONDIR": str(tmp_path / "ipython")}
    with kernel(cwd=str(fill(tmp_path / "desk")), env=environment) as (_, client):
        assert execute(client, USE) == "42 ('node1', 'node2')\n"
        assert execute(client, "!netkit ps --json | head -c 1; echo; echo $PYTHONPATH").split() == ["[", str(tmp_path)]


def test_an_ipython_directory_that_cannot_be_used_costs_only_the_history(tmp_path):
    """Where IPython's own directory takes nothing more, the kernel runs without, and says so."""
    (tmp_path / "profile_default").write_text("not a directory")
    with (tmp_path / "said").open("w") as said, kernel(env={**os.environ, "IPYTHONDIR": str(tmp_path)}, stderr=said) as (_, client):
        assert execute(client, "!hostname").split() == ["node1"]
    assert "this kernel keeps no history" in (tmp_path / "said").read_text()


@pytest.mark.parametrize("words", [["-f", "k"], ["-f=k"], ["--f=k"], ["--f", "k"], ["--IPKernelApp.connection_file=k"]])
def test_the_connection_file_is_found_as_ipykernel_spells_it(words):
    """All ways to name the connection file are one; the other arguments stay, in their order."""
    assert read_arguments(words) == (os.path.abspath("k"), [])
    assert read_arguments(["--debug", *words, "--matplotlib", "inline"]) == (os.path.abspath("k"), ["--debug", "--matplotlib", "inline"])


@pytest.mark.parametrize(
    ("words", "status", "expected"),
    [
        ([], 2, "netkit: no connection file was named: "),
        (["--matplotlib=inline"], 2, "netkit: no connection file was named: "),
        (["-f", "/nowhere/k.json"], 2, "netkit: /nowhere/k.json is no connection file that can be read"),
        (["-f", "/dev/null"], 2, "netkit: /dev/null is no connection file that can be read"),
        (["-f", "k.json", "--IPKernelApp.quiet=banana"], 1, "expected a boolean, not the str 'banana'"),
        (["-f", "k.json", "--nosuch"], 2, "--nosuch"),
    ],
)
def test_arguments_that_are_refused(words, status, expected):
    """What ipykernel refuses is refused in its words, before a lab is opened; no connection file is one sentence."""
    done = subprocess.run([*KERNEL, *words], capture_output=True, text=True, timeout=patiently())
    assert (done.returncode, expected in done.stderr, "Traceback" in done.stderr) == (status, True, False), done.stderr


def test_no_setting_turns_a_refusal_into_a_kernel(machine, tmp_path):
    """Where there is no lab, a setting that names another kernel brings none that would run cells on the machine; it ends when told."""
    (tmp_path / "profile_default").mkdir()
    (tmp_path / "profile_default/ipython_config.py").write_text("c.IPKernelApp.kernel_class = 'ipykernel.ipkernel.IPythonKernel'\n")
    environment = {**os.environ, "NETKIT_ENGINE": "/nowhere", "IPYTHONDIR": str(tmp_path)}
    with kernel(env=environment, extra_arguments=["--debug"], stderr=subprocess.DEVNULL) as (manager, client):
        assert execute(client, "print(1)").startswith("LabError: /nowhere is no directory")
        process = launcher(manager)
        client.shutdown()
        assert wait_for(lambda: not is_alive(process))


def test_too_few_open_files_are_one_sentence(machine, tmp_path):
    """A kernel that may open hardly any files says so, with the remedy, and ends."""
    path, _ = write_connection_file(str(tmp_path / "connection.json"), key=b"key")
    limited = ["bash", "-c", 'ulimit -n 40; exec "$@"', "bash", *KERNEL, "-f", path]
    done = subprocess.run(limited, capture_output=True, text=True, timeout=patiently())
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    assert f"a kernel needs {FILES_NEEDED} open files, and may have 40 here: raise the limit" in done.stderr


def test_a_low_limit_of_open_files_is_raised_where_that_is_allowed():
    """A soft limit, as `ulimit -S -n 64` sets it, is no obstacle."""
    code = "import resource; from netkit.kernel import ensure_files; ensure_files(); print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    limited = ["bash", "-c", 'ulimit -S -n 64; exec "$@"', "bash", sys.executable, "-c", code]
    assert subprocess.run(limited, capture_output=True, text=True).stdout == f"{FILES}\n"


@pytest.mark.parametrize(
    "setting", [{"PYTHONIOENCODING": "gbk"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}], ids=["gbk", "C"]
)
def test_an_encoding_decides_no_status(machine, setting):
    """Help, a mistake, and a trace in a lab say what they have to in any encoding, and end with their own status."""
    for words, status in ((["--help"], 0), (["run", "--engine", "/nowhere/é✓", "--", "true"], 2)):
        assert subprocess.run([NETKIT, *words], capture_output=True, env=os.environ | setting).returncode == status
    trace = [NETKIT, "run", "--nodes", "1", "--", "netkit", "trace", "--times", "--", "ping", "-c1", "192.168.59.254"]
    done = subprocess.run(trace, capture_output=True, env=os.environ | setting, timeout=patiently())
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"\xb5s" in done.stdout


@pytest.mark.parametrize(
    ("setting", "locale"),
    [({"LC_ALL": "zh_CN.UTF-8", "LANGUAGE": "zh"}, "C.UTF-8"), ({"LANG": "de_DE.utf8@euro"}, "C.UTF-8"), ({"LC_ALL": "zh_CN.GBK"}, "C"), ({}, "C.UTF-8")],
    ids=str,
)  # fmt: skip
def test_a_host_speaks_as_the_book_does(setting, locale):
    """Whatever the caller's language, and whether or not the machine has it: messages are those that texts quote, in the caller's encoding."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("LANG", "LC_"))}
    command = [NETKIT, "run", "--nodes", "1", "--", "bash", "-c", "env | grep -E '^(LANG|LC_)'; bash -c 'ls /nowhere'"]
    done = subprocess.run(command, capture_output=True, text=True, env=plain | setting, timeout=patiently())
    assert done.stdout == f"LANG={locale}\n"
    assert done.stderr == "ls: cannot access '/nowhere': No such file or directory\n"


PLAIN = ("ann", 100_000, 65_536)


@pytest.mark.parametrize(
    ("ranges", "usable"),
    [
        ([PLAIN], [(100_000, 65_536)]),
        ([PLAIN, PLAIN], [(100_000, 65_536)]),
        ([PLAIN, ("1000", 100_000, 65_536)], [(100_000, 65_536)]),
        ([("ann", 1000, 1), PLAIN, ("bob", 500_000, 9)], [(100_000, 65_536)]),
        ([("ann", 990, 20)], [(990, 10), (1001, 9)]),
        ([PLAIN, ("ann", 132_768, 65_536)], [(100_000, 65_536), (165_536, 32_768)]),
        ([("ann", 120_000, 10), PLAIN], [(120_000, 10), (100_000, 20_000), (120_010, 45_526)]),
        ([("ann", 132_768, 32_768), ("ann", 100_000, 32_768)], [(132_768, 32_768), (100_000, 32_768)]),
        ([("ann", 4_294_967_290, 100), ("ann", 5, 0), ("ann", 1 << 40, 3)], [(4_294_967_290, 5)]),
    ],
)
def test_subordinate_ids_are_used_once(ranges, usable):
    """Of doubled and overlapping ranges each id is used once, in the order of the file, without the user's own and without none."""
    assert identity.calc_usable(ranges, "ann", 1000, 1000) == usable


def test_lines_that_are_no_ranges_are_left_out(tmp_path):
    """Comments, empty and broken lines, in whatever encoding, are nobody's ranges."""
    file = tmp_path / "subuid"
    file.write_bytes(b"# ranges\n\nann:x:y\nbob:1\n:::\n\xe9ve:7:-7\nann:100000:65536\n")
    assert identity.read_ranges(str(file)) == (PLAIN,)
    assert identity.read_subordinate(str(file), "ann", 1000, 1000) == ((1, 100_000, 65_536),)
    with pytest.raises(LabError, match=r"bob has 0 subordinate ids in .*`usermod --add-subuids"):
        identity.read_subordinate(str(file), "bob", 1001, 1001)


def test_doubled_subordinate_ids_open_a_lab(machine, tmp_path):
    """The kernel and newuidmap take the maps made of lines that overlap; the doctor counts the ids that the lab has."""
    if os.geteuid() != 0:
        pytest.skip("an ordinary user cannot choose subordinate ids")
    (tmp_path / "ids").write_text("root:0:1\nroot:2100000:65536\n0:2100000:65536\nroot:2132768:65536\n")
    mounts = f"mount --bind {tmp_path}/ids /etc/subuid && mount --bind {tmp_path}/ids /etc/subgid && "
    count = f"{NETKIT} run --mode user --nodes 1 -- awk '{{n += $3}} END {{print n}}' /proc/self/uid_map"
    done = subprocess.run(["unshare", "--mount", "sh", "-c", mounts + count], capture_output=True, text=True, timeout=patiently())
    assert (done.returncode, done.stdout.strip()) == (0, str(1 + 65_536 + 32_768)), done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can arrange it without taking the privileges of newuidmap(1) away")
def test_a_kernel_without_ipv6_opens_labs(machine):
    """Labs open, containers reach outside, a trace tells it; the doctor says what is missing, and its cells are skipped."""
    without = [sys.executable, str(Path(__file__).with_name("without_ipv6.py"))]
    script = "docker run --rm busybox wget -qO- http://192.168.59.254/ && netkit trace -- ping -c 1 outside | tail -n 1"
    done = subprocess.run(
        [*without, NETKIT, "run", "--nodes", "1", "--", "sh", "-c", script], capture_output=True, text=True, timeout=patiently()
    )
    first, *_, last = done.stdout.splitlines()
    assert first == "hello from outside, you are 192.168.59.1" and last.endswith("and the answer came back."), done
    told = json.loads(subprocess.run([*without, NETKIT, "doctor", "--json"], capture_output=True, text=True, timeout=patiently()).stdout)
    found = {each["name"]: each for each in told}
    assert found["lab"]["state"] == "ok" and found["ipv6"]["state"] == "lacks", (found["lab"], found["ipv6"])
    code = "from tests.cells import has_ipv6; print(has_ipv6())"
    asked = [
        subprocess.run([*start, sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True).stdout for start in ([], without)
    ]
    assert asked == ["True\n", "False\n"]
