"""Whatever a person has set up on the machine, docker in a lab leads to the lab's own engines, and requests to its own network."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pexpect
import pytest

from tests.conftest import NETKIT
from tests.kernels import execute, kernel
from tests.patience import patiently
from tests.standins import stand_ins

PROXY = "http://10.255.255.1:3128"
DOT_FILES = (".bashrc", ".bash_profile", ".bash_login", ".profile", ".bash_aliases", ".shinit", ".zshenv")
NAME = "docker info 2>/dev/null | sed -n 's/^ Name: //p'"
# what somebody may type on node1, each of which has to name that engine
WAYS = {
    "plain": NAME,
    "a login shell": f'bash -lc "{NAME}"',
    "an interactive shell": f'bash -ic "{NAME}" 2>/dev/null',
    "shells in shells": f'bash -lc "bash -ic \\"sh -lc \\\\\\"{NAME}\\\\\\"\\"" 2>/dev/null',
    "the plainest login shell": f'sh -lc "{NAME}"',
    "the plainest interactive shell": f'ENV=$HOME/.shinit sh -ic "{NAME}" 2>/dev/null',
    "another user's login": f'su - -c "{NAME}" 2>/dev/null',
    "another user": f'su -c "{NAME}"',
    "a context by its name": f"docker --context desk version >/dev/null 2>&1 || {NAME}",
    "the SDK": f'{os.path.dirname(NETKIT)}/python -c \'import docker; print(docker.from_env(version="auto").info()["Name"])\'',
    # as Compose, Testcontainers and others find an engine
    "a client of its own": (
        "bash -lc 'curl -s --unix-socket \"${DOCKER_HOST:-/var/run/docker.sock}\" http://engine/info' "
        '| grep -o \'"Name":"node1"\' | cut -d\'"\' -f4'
    ),
    "a request": "[ \"$(curl -s -m 5 http://192.168.59.254/)\" = 'hello from outside, you are 192.168.59.1' ] && echo node1",
    "a request of a login shell": "[ \"$(bash -lc 'curl -s -m 5 http://192.168.59.254/')\" ] && echo node1",
    "what is found first": "[ \"$(bash -ic 'type -p docker netkit' 2>/dev/null)\" = \"$(printf '/run/netkit-bin/%s\\n' docker netkit)\" ] && echo node1",
}


@pytest.fixture(scope="module")
def home():
    """A home directory in which everything leads to a person's own engines; they listen, and remember who came."""
    place = Path(tempfile.mkdtemp(prefix="netkit-home-", dir=os.path.expanduser("~")))
    sockets = {
        "desktop": f"{place}/.docker/desktop/docker.sock",
        "machine": f"{place}/.colima/default/docker.sock",
        "engine": f"{place}/engines/docker.sock",
        "beside": f"{place}/notebooks/docker.sock",
    }
    if os.access("/run", os.W_OK):
        sockets["user"] = f"/run/user/netkit-{os.getpid()}/docker.sock"
    url = f"unix://{sockets['engine']}"
    with stand_ins(sockets.values()) as heard:
        for name in DOT_FILES:
            lines = [f"export DOCKER_HOST={url} DOCKER_CONTEXT=desk http_proxy={PROXY} PATH=/usr/bin:/bin"]
            lines += [f"alias docker='docker -H {url}'", '[ -z "$BASH_VERSION" ] || docker() { command docker -H ' + url + ' "$@"; }']
            (place / name).write_text("\n".join([*lines, ""]))
        (place / ".curlrc").write_text(f'proxy = "{PROXY}"\n')
        _write_context(place / ".docker", f"unix://{sockets['desktop']}")
        startup = place / ".ipython" / "profile_default" / "startup"
        startup.mkdir(parents=True)
        (startup / "00-docker.py").write_text(f"import os\nos.environ['DOCKER_HOST'] = {url!r}\n")
        yield place, list(sockets.values()), heard
    shutil.rmtree(place)
    shutil.rmtree(f"/run/user/netkit-{os.getpid()}", ignore_errors=True)


def _write_context(directory: Path, url: str) -> None:
    """Settings of the docker CLI in which the context "desk" is the current one, with a proxy for containers."""
    meta = directory / "contexts" / "meta" / hashlib.sha256(b"desk").hexdigest()
    meta.mkdir(parents=True)
    (meta / "meta.json").write_text(json.dumps({"Name": "desk", "Metadata": {}, "Endpoints": {"docker": {"Host": url}}}))
    settings = {"currentContext": "desk", "proxies": {"default": {"httpProxy": PROXY}}}
    (directory / "config.json").write_text(json.dumps(settings))


@pytest.fixture
def person(home, monkeypatch):
    """The environment of somebody at home there, in the directory of the notebooks; yields the sockets, and who was heard."""
    place, sockets, heard = home
    url = f"unix://{sockets[2]}"
    values = {"HOME": str(place), "DOCKER_HOST": url, "DOCKER_CONFIG": f"{place}/.docker", "BASH_ENV": f"{place}/.bashrc"}
    values |= {"XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "ENV": f"{place}/.shinit"}
    values |= {"HTTP_PROXY": PROXY, "all_proxy": PROXY, "BASH_FUNC_docker%%": f"() {{ command docker -H {url}; }}"}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(place / "notebooks")
    return sockets, heard


def test_nothing_in_a_home_leads_out(person):
    """However docker, an SDK or a request is called on node1, it is the lab's; a person's engines never hear a byte."""
    sockets, heard = person
    reach = "\n".join(f"curl -s -m 5 --unix-socket {path} http://engine/_ping && echo REACHED {path}" for path in sockets)
    uncover = "umount $HOME/.docker $HOME/engines/docker.sock && echo UNCOVERED"
    script = "\n".join([*(f"echo {name!r}: $({line})" for name, line in WAYS.items()), reach, uncover, "docker run --rm busybox env"])
    done = subprocess.run(
        [NETKIT, "run", "--nodes", "1", "--", "bash", "-c", script], capture_output=True, text=True, timeout=patiently(600)
    )
    assert [line for line in done.stdout.splitlines() if ": " in line] == [f"{name}: node1" for name in WAYS], done.stderr
    assert "REACHED" not in done.stdout and "UNCOVERED" not in done.stdout and PROXY not in done.stdout
    assert heard == []


def test_nor_in_a_shell_somebody_types_in(person):
    """`netkit shell`, as JupyterLab's terminals: the same in the shell itself, and in one below it."""
    _, heard = person
    shell = pexpect.spawn(NETKIT, ["shell", "--of-server", "--nodes", "1"], encoding="utf-8", timeout=patiently(), dimensions=(24, 200))
    for shells in ("", "exec bash", "bash", "su", "sh -i"):
        shell.expect(r"[#$] $")  # a prompt: what is typed before a shell reads is lost
        if shells:
            shell.send(f"{shells}\r")
            shell.expect(rf"{shells}\r.*[#$] $")  # the next one's, not that of the shell it was typed to
        shell.send(f"echo name=$({NAME}) proxy=$http_proxy.\r")
        shell.expect(r"name=(\S+) proxy=(\S*)\.\r\n")
        assert shell.match.groups() == ("node1", "")
    shell.close()
    assert heard == []


def test_nor_in_cells(person):
    """A kernel: commands, login shells, the SDK, and what a start-up file of IPython's own has set."""
    _, heard = person
    with kernel() as (_, client):
        said = execute(
            client,
            f"!{NAME}\n!bash -lc \"{NAME}\"\nimport docker, os\nprint(docker.from_env().info()['Name'], os.environ.get('DOCKER_HOST'))",
        )
        said += execute(client, f"%%bash -l\n{NAME}")
        said += execute(client, f'%%on node2\nbash -lc "{NAME}"')
    assert said.split() == ["node1", "node1", "node1", "None", "node1", "node2"]
    assert heard == []


def test_what_is_written_to_a_home_is_kept_or_covered(person, home):
    """Files beside the notebook and in the home are the person's own; a dot directory in a lab is empty, and the person's as it was."""
    place, _, _ = home
    before = (place / ".bashrc").read_text()
    script = (
        "echo hello > made.txt; echo hello > ../also.txt; echo export A=1 >> ~/.bashrc; ls -A ~/.docker; echo x > ~/.docker/config.json"
    )
    done = subprocess.run([NETKIT, "run", "--nodes", "1", "--", "bash", "-c", script], capture_output=True, text=True, timeout=patiently())
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert (place / "notebooks" / "made.txt").read_text() == (place / "also.txt").read_text() == "hello\n"
    assert (place / ".bashrc").read_text() == before and "currentContext" in (place / ".docker" / "config.json").read_text()
