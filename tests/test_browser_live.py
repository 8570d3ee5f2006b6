"""The live view in JupyterLab, in a real browser: seen, pointed at, played, saved; and whatever a lab says stays text."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from tests.browsing import NotebookPage, find_browser, open_workbench
from tests.patience import patiently

pytestmark = pytest.mark.once

SPEC = {"name": "netkit", "display_name": "node1", "language": "python"}
PATIENCE = patiently(15_000)  # ms for a change to arrive, on a machine that is busy with others
EVIL = "<img src=x onerror=window.evil=1>"
# what a kernel or an engine lets somebody call things: 15 characters of an interface, a namespace's file, labels, host names
HOSTILE = f"""
import subprocess
def run(*words): subprocess.run(words, check=True, capture_output=True)
run("ip", "link", "add", "<b>x<b>", "type", "bridge")
run("ip", "link", "add", "'><i>", "type", "veth", "peer", "name", "<s>&amp;")
run("ip", "netns", "add", {EVIL!r})
run("ip", "link", "set", "<s>&amp;", "netns", {EVIL!r})
run("docker", "network", "create", "--label", "a=" + {EVIL!r}, "-o", "com.example.x=" + {EVIL!r}, "evil")
run("docker", "run", "-d", "--name", "named", "--hostname", "<b>host", "--network", "evil", "--network-alias", {EVIL!r}, "busybox", "sleep", "1000")
"""
STEPS = """
from types import SimpleNamespace as S
from netkit.liveview.widget import Player
seen = netkit.capture()
steps = [S(number=n, title=f"step {n}", detail="<u>to</u> 172.17.0.2", x=30.0 * n, y=60.0, points=((30.0, 60.0), (30.0 * n, 60.0)), kind="dropped" if n == 5 else "move", reply=False) for n in range(1, 6)]
Player(S(topology=seen, steps=lambda picture: steps, _repr_mimebundle_=seen._repr_mimebundle_))
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> NotebookPage:
    """A notebook whose first cell is a live view, in a tab of its own."""
    try:
        find_browser()
    except LookupError as error:
        pytest.skip(str(error))
    path = tmp_path_factory.mktemp("live") / "live.ipynb"
    cell = {
        "cell_type": "code",
        "id": "live",
        "metadata": {},
        "execution_count": None,
        "outputs": [],
        "source": "import netkit\nnetkit.live()",
    }
    path.write_text(json.dumps({"cells": [cell], "metadata": {"kernelspec": SPEC}, "nbformat": 4, "nbformat_minor": 5}))
    with open_workbench(Path(path)) as bench:
        opened = bench.open_notebook(path.name, {"width": 1400, "height": 1100})
        assert not opened.run_cell(0).errors
        opened.page.locator(".netkit-live .nk-svg").wait_for(timeout=PATIENCE)
        yield opened


def at_work(page: NotebookPage, code: str) -> str:
    """Run a cell, and come back to the view."""
    cell = page.type_cell(code)
    assert not cell.errors, cell.errors
    page.element(0)
    return cell.text


def shape(page: NotebookPage, about: str):
    """What is drawn of an object."""
    return page.page.locator(f'.netkit-live .nk-shapes [data-about="{about}"]')


def test_a_change_in_a_terminal_appears(page):
    """What is typed in a terminal of JupyterLab is drawn beside it, told in words, and vanishes again."""
    terminal = page.open_terminal()
    terminal.expect("root@node1")
    terminal.type("docker run -d --name typed busybox sleep 1000; docker network create made\n")
    page.show()
    page.element(0)
    shape(page, "node1/container typed").first.wait_for(timeout=PATIENCE)
    page.page.locator(".nk-news li", has_text="+ container typed:").wait_for(timeout=PATIENCE)
    at_work(page, "!docker rm -f typed; docker network rm made")
    shape(page, "node1/container typed").first.wait_for(state="detached", timeout=PATIENCE)
    page.page.locator(".nk-news li", has_text="- container typed:").wait_for(timeout=PATIENCE)


def test_facts_by_pointer_and_keyboard(page):
    """Pointing shows an object's facts, Enter or a click pins them, Escape lets go; arrows lead from object to object."""
    at_work(page, "!docker run -d --name web -p 8080:80 busybox sleep 1000")
    card = page.page.locator(".nk-card")
    shape(page, "node1/container web").first.wait_for(timeout=PATIENCE)
    shape(page, "node1/container web").first.hover(position={"x": 8, "y": 8})  # beside the texts, which are other objects
    card.wait_for()
    assert "web" in card.inner_text() and "port 8080/tcp of node1 leads to port 80" in card.inner_text()
    page.page.mouse.move(2, 2)
    card.wait_for(state="hidden")
    first = page.page.locator(".nk-object[tabindex='0']")
    assert first.count() == 1
    first.focus()
    page.page.keyboard.press("Home")
    labels = []
    for _ in range(4):
        labels.append(page.page.evaluate("document.activeElement.getAttribute('aria-label')"))
        page.page.keyboard.press("ArrowRight")
    assert labels[0].startswith("node1, Docker node") and labels[1].startswith("web, container") and labels[2].startswith("eth0")
    page.page.keyboard.press("Enter")
    assert page.page.evaluate("document.activeElement.getAttribute('aria-pressed')") == "true"
    page.page.mouse.move(2, 2)
    assert card.is_visible() and "pinned" in card.inner_text()
    page.page.keyboard.press("Escape")
    assert "pinned" not in card.inner_text()
    assert page.page.locator(".nk-svg").get_attribute("aria-label").startswith("node1: 1 container")


def test_filters_and_pause(page):
    """A network chosen dims the rest, a node chosen fills the picture; while paused, changes are counted and then shown."""
    at_work(page, "!docker network create shop; docker run -d --name db --network shop busybox sleep 1000")
    shape(page, "node1/container db").first.wait_for(timeout=PATIENCE)
    nodes, networks = (page.page.get_by_role("combobox", name=name) for name in ("Node", "Network"))
    networks.select_option("shop")
    dim = "node => node.getAttribute('opacity') === '0.13'"
    assert shape(page, "node1/host/docker0").first.evaluate(dim) and not shape(page, "node1/container db").first.evaluate(dim)
    networks.select_option("")
    nodes.select_option("node1")
    assert shape(page, "outside").first.evaluate("node => getComputedStyle(node).visibility") == "hidden"
    nodes.select_option("")
    page.page.get_by_role("button", name="Pause").click()
    at_work(page, "!docker rm -f db")
    page.page.locator(".nk-status", has_text="waiting").wait_for()
    page.page.wait_for_function("!document.querySelector('.nk-status').textContent.includes(': 0')", timeout=PATIENCE)
    assert shape(page, "node1/container db").count()
    page.page.get_by_role("button", name="Resume").click()
    shape(page, "node1/container db").first.wait_for(state="detached", timeout=PATIENCE)
    at_work(page, "!docker network rm shop")


def test_saving(page, tmp_path):
    """The picture is saved as SVG that holds nothing but shapes and texts, and as PNG of twice its size."""
    for word in ("SVG", "PNG"):
        with page.page.expect_download() as saved:
            page.page.locator(".nk-save").get_by_role("button", name=word).click()
        saved.value.save_as(tmp_path / word)
    root = ElementTree.parse(tmp_path / "SVG").getroot()
    kinds = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert kinds <= {"svg", "g", "title", "rect", "text", "path", "circle"} and "text" in kinds
    assert "node1" in {element.text for element in root.iter()}
    png = (tmp_path / "PNG").read_bytes()
    width, height = struct.unpack(">II", png[16:24])
    assert png.startswith(b"\x89PNG") and len(png) > 10_000
    assert width == pytest.approx(float(root.get("width")[:-2]) * 8 / 3, abs=2) and height > 300


def test_whatever_the_lab_says_is_text(page, tmp_path):
    """Names and labels that look like markup are shown as they are, in picture, facts, news, words and saved file; none becomes an element."""
    at_work(page, HOSTILE)
    page.page.locator(".nk-news li", has_text="<b>x<b>").first.wait_for(timeout=PATIENCE)
    page.page.get_by_text("The network in words").click()
    for index in range(page.page.locator(".nk-object").count()):
        page.page.locator(".nk-object").nth(index).focus()
        assert page.page.locator(".nk-card").is_visible()
    assert page.page.locator(".nk-svg text", has_text="<img").count() and page.page.locator("pre", has_text=EVIL).count()
    known = [
        "svg",
        "g",
        "rect",
        "circle",
        "text",
        "path",
        "div",
        "span",
        "b",
        "select",
        "option",
        "label",
        "button",
        "ul",
        "li",
        "details",
        "summary",
        "pre",
        "dl",
        "dt",
        "dd",
    ]
    seen = page.page.evaluate("[...new Set([...document.querySelectorAll('.netkit-live *')].map(node => node.localName))]")
    assert set(seen) <= set(known)
    assert page.page.evaluate("window.evil") is None
    with page.page.expect_download() as saved:
        page.page.locator(".nk-save").get_by_role("button", name="SVG").click()
    saved.value.save_as(tmp_path / "svg")
    assert "img" not in {element.tag.rpartition("}")[2] for element in ElementTree.parse(tmp_path / "svg").iter()}
    page.page.get_by_text("The network in words").click()


def test_a_way_is_played_with_the_slider(page):
    """The slider's keys, the list and the player all lead to a step; playing goes on by itself, and ends."""
    page.type_cell(STEPS)
    current = page.page.locator(".nk-steps [aria-current=step] b")
    current.wait_for(timeout=PATIENCE)
    assert current.inner_text() == "step 1"
    slider = page.page.get_by_role("slider")
    slider.focus()
    page.page.keyboard.press("ArrowRight")
    current.get_by_text("step 2").wait_for(timeout=PATIENCE)
    assert slider.get_attribute("aria-valuetext") == "2" and "2 of 5: step 2: <u>to</u>" in page.page.locator(".nk-said").inner_text()
    page.page.locator(".nk-steps button").nth(3).click()
    current.get_by_text("step 4").wait_for(timeout=PATIENCE)
    page.page.wait_for_function("document.querySelector('[role=slider]').ariaValueText === '4'", timeout=PATIENCE)
    play = page.page.locator(".widget-play button").first
    play.click()
    current.get_by_text("step 5").wait_for(timeout=PATIENCE)
    page.page.locator(".widget-play .fa-play").wait_for(timeout=PATIENCE)
    assert page.page.locator(".nk-above path.nk-mark").count() == 1, "a dropped packet is crossed out"
    play.click()
    current.get_by_text("step 1").wait_for(timeout=PATIENCE)
    assert page.page.locator(".nk-steps u").count() == 0


def test_both_themes_are_readable_and_the_console_is_silent(page):
    """In the dark theme paper is dark and text light; nothing was complained of, nothing asked of anybody else; a view ends with its cell."""
    page.element(0)
    picture = page.page.locator(".nk-svg").first
    light = _read_colours(picture.screenshot())
    page.page.evaluate("window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})")
    page.page.wait_for_function("document.body.dataset.jpThemeLight === 'false'")
    page.page.wait_for_function("getComputedStyle(document.querySelector('.nk-svg')).filter.includes('invert')")
    dark = _read_colours(picture.screenshot())
    assert light[0] > 220 and light[1] < 60 and dark[0] < 60 and dark[1] > 190
    page.run_cell(0)
    assert page.type_cell("import threading; sum(each.name == 'netkit-live' for each in threading.enumerate())").text.strip() == "1"
    assert page.complaints == [] and page.foreign == []


def _read_colours(png: bytes) -> tuple[int, int]:
    """How light paper and ink are, from 0 to 255: what most of a picture has, and what is farthest from it."""
    histogram = Image.open(io.BytesIO(png)).convert("L").histogram()
    paper = max(range(256), key=histogram.__getitem__)
    return paper, max((level for level in range(256) if histogram[level] > 20), key=lambda level: abs(level - paper))
