"""`netkit topology` and a notebook's cell show the network of the lab they run in."""

from __future__ import annotations

import base64
import json
import subprocess
from xml.etree import ElementTree

import pytest

from netkit.laboratory.inside.dockerd import STOPPED
from netkit.laboratory.lab import open_lab
from netkit.network.capture import Topology
from tests.conftest import NETKIT
from tests.kernels import kernel, wait_for
from tests.patience import patiently

pytestmark = pytest.mark.once

NETS = "docker network create web >/dev/null; docker run -d --name shop --network web busybox sleep 1000 >/dev/null"


@pytest.fixture(scope="module")
def shop():
    """A lab with one container on a network of its own."""
    with open_lab(2, label="tests") as lab:
        lab["node1"].run(NETS)
        yield lab["node1"]


def test_every_format_reaches_standard_output(shop):
    """Text, JSON, PNG and SVG: each is what it says it is, and names the container."""
    assert "shop" in shop.run("netkit topology").stdout
    topology = Topology.from_json(shop.run("netkit topology --format json").stdout)
    assert topology.node("node1").container("shop")
    assert shop.run("netkit topology --format text").stdout == topology.text() + "\n"
    svg = shop.run("netkit topology --format svg").stdout
    assert svg.startswith("<?xml") and "shop" in svg
    assert shop.run("netkit topology --format png | head -c 8 | od -An -c").stdout.split()[1:4] == ["P", "N", "G"]


def test_a_file_gets_the_format_of_its_ending(shop):
    """-o FILE writes the file, whole, in the format its ending tells."""
    shop.run("cd /tmp && netkit topology -o a.svg && netkit topology -o a.json && netkit topology --format text -o a.out")
    assert shop.run("head -c 5 /tmp/a.svg").stdout == "<?xml"
    assert json.loads(shop.run("cat /tmp/a.json").stdout)["nodes"]
    assert "shop" in shop.run("cat /tmp/a.out").stdout
    assert shop.run("ls /tmp | grep -c part", check=False).stdout == "0\n"


def test_a_part_can_be_asked_for(shop):
    """One host, or one container and what it hangs on."""
    assert "node2" not in shop.run("netkit topology --node node1").stdout.replace("node2 .2", "")
    shop.run("docker run -d --name other busybox sleep 1000")
    focused = shop.run("netkit topology --focus shop").stdout
    shop.run("docker rm -f other")
    assert "shop" in focused and "other" not in focused


@pytest.mark.parametrize(
    "arguments, expected",
    [
        ("--format pdf", "there is no format 'pdf': it is one of text, json, png, svg"),
        ("--node node7", "node7"),
        ("--focus nobody", "nobody"),
        ("--show colours", "colours"),
        ("--show colours --format png", "colours"),
        ("-o /nowhere/a.txt", "/nowhere/a.txt could not be written: No such file or directory"),
    ],
)
def test_a_mistake_is_one_sentence(shop, arguments, expected):
    """What is asked for and not there is named; no traceback, status 2, and no file is left."""
    done = shop.run(f"netkit topology {arguments}", check=False)
    assert done.status == 2 and done.stdout == ""
    assert done.stderr.startswith("netkit: ") and expected in done.stderr and done.stderr.count("\n") == 1


HOSTILE = r"""
docker run -d --name $(printf 'n%.0s' $(seq 200)) busybox sleep 1000
ip netns add 'we ird<b>$x$'
ip link add '$a_{1}<i>' type veth peer name '<script>' netns 'we ird<b>$x$'
ip link add '\u202e"' type bridge
printf '#!/bin/sh\nsleep 1000\n' > "/tmp/$(printf 'a\nb\033[31m')"; chmod +x /tmp/a*
setsid unshare -n "$(ls -d /tmp/a*31m)" > /dev/null 2>&1 < /dev/null &
sleep 0.3
"""


def test_names_meant_to_break_things_break_nothing():
    """Markup, mathematics, quotes, control characters, 200 letters: every form tells them, as text."""
    with open_lab(1) as lab:
        node = lab["node1"]
        node.run(HOSTILE)
        topology = Topology.from_json(node.run("netkit topology --format json").stdout)
        names = {namespace.title for namespace in topology.node("node1").namespaces}
        assert "n" * 200 in names and "we ird<b>$x$" in names and any("\n" in name for name in names)
        text = node.run("netkit topology --show all").stdout
        assert "n" * 200 in text and all(line.isprintable() for line in text.splitlines())
        svg = node.run("netkit topology --format svg").stdout
        assert ElementTree.fromstring(svg).tag.endswith("svg") and "<script>" not in svg and "<b>" not in svg
        assert node.run("netkit topology --format png | wc -c").stdout.strip() > "1000"


def test_what_is_down_is_drawn_and_told():
    """An engine that was killed, and is to stay down, and a node that is switched off are said so, in every form."""
    with open_lab(2) as lab:
        lab["node1"].run(f"docker run -d --name c1 busybox sleep 1000; touch {STOPPED}; pkill -9 dockerd")
        lab.kill("node2")
        assert wait_for(lambda: lab.states()["node2"] == "down")
        text = lab["node1"].run("netkit topology").stdout
        assert "engine is not running" in text and "switched off" in text
        for form in ("json", "png", "svg"):
            lab["node1"].run(f"netkit topology --format {form} > /dev/null")


def test_a_lab_without_any_container_is_drawn():
    """There is something to see from the first moment."""
    with open_lab(1) as lab:
        assert "docker0" in lab["node1"].run("netkit topology").stdout
        assert "docker0" in lab["node1"].run("netkit topology --format svg").stdout


def test_outside_of_a_lab_the_command_says_so():
    """It looks at labs, never at the machine."""
    done = subprocess.run([NETKIT, "topology"], capture_output=True, text=True)
    assert done.returncode == 2 and "there is no lab to be reached here" in done.stderr


def test_a_cell_shows_figure_and_text():
    """`netkit.capture()` as a cell's last line: a picture, its text beside it, in a kernel whose loop runs."""
    with kernel() as (_, client):
        shown = {}

        def hear(message: dict) -> None:
            if message["msg_type"] in ("execute_result", "error", "stream"):
                shown[message["msg_type"]] = message["content"]

        client.execute_interactive(f"!{NETS}\nimport netkit\nnetkit.capture()", timeout=patiently(), output_hook=hear, allow_stdin=False)
        assert shown.keys() == {"execute_result"}, shown
        data = shown["execute_result"]["data"]
        assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
        assert "shop" in data["text/plain"] and "172.18.0.2/16" in data["text/plain"]
