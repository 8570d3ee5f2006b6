"""The workshop in a container: its image is built and run by a real engine, as docs/containers.md has people do.

It takes minutes, so it is asked for: NETKIT_TEST_CONTAINER=1 .venv/bin/python -m pytest tests/test_container.py
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines import Unavailable, _find_mirror

ROOT = Path(__file__).parent.parent
BESIDE = ROOT / "tests" / "beside-an-engine"
GROUP = f"netkit-containers-{secrets.token_hex(4)}"
NEEDED = ("debootstrap", "docker", "dockerd", "unshare")
LOOK = """docker info --format 'node1 {{.Name}} {{.Driver}}'
netkit on node2 -- docker info --format 'node2 {{.Name}}'
docker run --rm -d --name web busybox httpd -f >/dev/null; docker run --rm busybox echo a container in it
docker run --rm busybox wget -qO- http://192.168.59.254
docker swarm init --advertise-addr 192.168.59.1 >/dev/null
netkit on node2 -- docker swarm join --token $(docker swarm join-token -q worker) 192.168.59.1:2377
docker rm -f web >/dev/null; docker node ls --format '{{.Hostname}} {{.Status}}' | sort"""
SEEN = [
    "node1 node1 overlay2",
    "node2 node2",
    "a container in it",
    "hello from outside, you are 192.168.59.1",
    "This node joined a swarm as a worker.",
    "node1 Ready",
    "node2 Ready",
]
# a container in the background, its published port asked from where people are, and from where they are not
PUBLISHED = """
set -e
id=$(docker run -d --rm --privileged --publish 127.0.0.1:8888:8888 netkit)
for _ in $(seq 300); do url=$(docker logs $id 2>&1 | grep -o 'http://127.0.0.1:8888/[^ ]*token=[0-9a-f]*' | tail -1); [ "$url" ] && break; sleep 0.2; done
for _ in $(seq 100); do curl -s -o /dev/null http://127.0.0.1:8888/api && break; sleep 0.2; done
token=${url##*token=}
ask() { curl -s -o /dev/null -w '%{http_code} ' --max-time 10 "$@" || true; }
echo "with its token: $(ask -H "Authorization: token $token" http://127.0.0.1:8888/api/kernels)"
echo "without: $(ask http://127.0.0.1:8888/api/kernels)"
address=$(docker inspect -f '{{.NetworkSettings.IPAddress}}' $id)
echo "by another name: $(ask -H "Authorization: token $token" http://$address:8888/api/kernels)"
echo "here listen: $(ss -Hltn | awk '{print $4}' | sort -u | xargs)"
echo "in it listen: $(docker exec $id ss -Hltn | awk '{print $4}' | sed "s/$address/ITS-ADDRESS/" | sort -u | xargs)"
docker rm -f $id >/dev/null
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory) -> Iterator[Path]:
    """The directory of an engine that has the workshop's image, built on a base made with debootstrap."""
    if os.environ.get("NETKIT_TEST_CONTAINER") != "1":
        pytest.skip("builds an image, which takes minutes: asked for with NETKIT_TEST_CONTAINER=1")
    if os.geteuid() != 0:
        pytest.skip("only root can run an engine outside of a lab")
    missing = [program for program in NEEDED if not shutil.which(program)]
    if missing:
        pytest.skip(f"{', '.join(missing)} missing on this machine")
    # kept between runs where told: making the base and the image takes most of the time
    kept = os.environ.get("NETKIT_TEST_CONTAINER_DIR")
    place = Path(kept) if kept else tmp_path_factory.mktemp("engine")
    place.mkdir(parents=True, exist_ok=True)
    try:
        base = place / "base.tar"
        if not base.exists():
            _make_base(place / "root", base)
        print(_beside(place, "host", f"docker images -q netkit-base | grep -q . || docker import {base} netkit-base", timeout=300).stdout)
        build = f"cd {ROOT} && docker build --network host --build-arg BASE=netkit-base -f .devcontainer/Dockerfile -t netkit ."
        print(_beside(place, "host", build, timeout=1800).stdout[-3000:])
        yield place
    finally:
        _remove_groups()
        if not kept:
            shutil.rmtree(place, ignore_errors=True)


def _make_base(root: Path, tarball: Path) -> None:
    """A Debian of its own packages alone, which trusts what this machine's pip and curl trust."""
    try:
        mirror = _find_mirror()
    except Unavailable as error:
        pytest.skip(f"no base image can be made: {error}")
    # in namespaces of its own, so that its mounts end with it
    subprocess.run(
        [
            *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
            *("debootstrap", "--variant=minbase", "--include=ca-certificates", "bookworm", str(root), mirror),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=1800,
    )
    shutil.copytree("/usr/local/share/ca-certificates", root / "usr/local/share/ca-certificates", dirs_exist_ok=True)
    shutil.copy("/etc/ssl/certs/ca-certificates.crt", root / "etc/ssl/certs/ca-certificates.crt")
    (root / "etc/pip.conf").write_text("[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n")
    subprocess.run(["tar", "-C", root, "--exclude=./proc/*", "--exclude=./sys/*", "-cf", tarball, "."], check=True)
    shutil.rmtree(root)


def _beside(place: Path, network: str, script: str, timeout: float = 300) -> subprocess.CompletedProcess:
    """Run a script beside the engine; fails with what it said."""
    namespaces = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", *(["--net"] if network == "own" else [])]
    done = subprocess.run(
        ["unshare", *namespaces, str(BESIDE), network, str(place / "data"), GROUP, "bash", "-c", script],
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done


def _remove_groups() -> None:
    for group in [*Path("/sys/fs/cgroup").glob(f"*/{GROUP}"), *Path("/sys/fs/cgroup").glob(GROUP)]:
        for inner, _, _ in os.walk(group, topdown=False):
            os.rmdir(inner)


@pytest.mark.parametrize("options", [[], ["--cgroupns=private"], ["--init"]], ids=" ".join)
def test_a_lab_opens_in_a_container_as_its_ordinary_user(engine, options):
    """In a privileged container, whose root is an overlay and which has no systemd, its user opens a lab with a swarm of two."""
    command = ["docker", "run", "--rm", "--privileged", *options, "netkit", ".venv/bin/netkit", "run", "--", "bash", "-c", LOOK]
    assert _run(engine, command).splitlines() == SEEN


def test_a_lab_opens_in_a_container_as_its_root(engine):
    """So does the container's root, who becomes it there: `--user root` asks for every capability, which not every machine's root has."""
    lab = ["sudo", "env", "HOME=/root", ".venv/bin/netkit", "run", "--mode", "root", "--", "bash", "-c", LOOK]
    assert _run(engine, ["docker", "run", "--rm", "--privileged", "netkit", *lab]).splitlines() == SEEN


def test_the_doctor_knows_a_container(engine):
    """In a privileged container `netkit doctor` finds that a lab opens, and how."""
    assert "✓ lab" in _run(engine, ["docker", "run", "--rm", "--privileged", "netkit", ".venv/bin/netkit", "doctor"])


def test_a_container_that_is_not_privileged_says_why_there_is_no_lab(engine):
    """Without --privileged the container ends with a sentence and a status, and no traceback."""
    said = _beside(engine, "own", "docker run --rm netkit; echo status $?")
    assert "status 2" in said.stdout
    assert "--privileged" in said.stderr
    assert "Traceback" not in said.stderr


def test_jupyterlab_is_reached_at_the_loopback_alone(engine):
    """The documented `docker run` publishes to 127.0.0.1; the token counts; nothing listens beyond what was asked for."""
    said = dict(line.split(": ", 1) for line in _beside(engine, "own", PUBLISHED).stdout.splitlines() if ": " in line)
    assert said["with its token"].strip() == "200"
    assert said["without"].strip() == "403"
    assert said["by another name"].strip() == "403"
    assert said["here listen"].split() == ["127.0.0.1:8888"]
    assert said["in it listen"].split() == ["ITS-ADDRESS:8888"]


def test_vs_code_finds_what_it_asks_for():
    """devcontainer.json is JSON with comments, and names things that are there."""
    text = (ROOT / ".devcontainer/devcontainer.json").read_text()
    settings = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))
    dockerfile = (ROOT / ".devcontainer" / settings["build"]["dockerfile"]).read_text()
    assert re.search(rf" AS {settings['build']['target']}$", dockerfile, re.MULTILINE)
    assert re.search(rf"useradd .*\b{settings['remoteUser']}\b", dockerfile)
    assert settings["privileged"] is True
    assert settings["forwardPorts"] == [8888]


def _run(engine: Path, command: list[str]) -> str:
    return _beside(engine, "own", shlex.join(command)).stdout
