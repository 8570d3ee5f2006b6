"""JupyterLab in a real browser: the system's Chromium, driven by Playwright, on a copy of notebooks.

    with open_workbench(*NOTEBOOKS) as bench:  # or the fixture of that name
        page = bench.open_notebook("00-start-here.ipynb")
        page.run_all()
        print(page.cells()[3].text)
        cell = page.type_cell("!docker ps")       # keys pressed as a learner does; run, and waited for
        page.screenshot("/tmp/seen.png")
        assert page.complaints == []

What the browser shows is asked of the page. What a front end knows, such as whether a kernel is idle, is
asked of JupyterLab's own application object, which the server exposes when its settings say so
(https://jupyterlab.readthedocs.io/en/stable/extension/extension_points.html). Playwright's synchronous
interface runs an event loop in the thread that started it until it is stopped.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, TimeoutError, sync_playwright

from tests.kernels import wait_for
from tests.patience import at_most, patiently
from tests.servers import Server, open_server

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = tuple(sorted((ROOT / "notebooks").glob("*.ipynb")))
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# root's Chromium has no sandbox to enter, and an ordinary user's needs a helper that need not be installed:
# it is shown pages of our own server alone. Whatever else it asks for by name is not found.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
VIEWPORT = {"width": 1280, "height": 900}
PATIENCE = patiently(120)  # seconds for what a page does by itself, on a machine that is slow and busy with others
LONGEST = patiently(900)  # seconds for all cells of a notebook: two minutes where nothing else runs
SETTINGS = "c.LabApp.expose_app_in_browser = True\n"
PANEL = "window.jupyterapp.shell.currentWidget"
READY = """() => {
    const panel = window.jupyterapp?.shell.currentWidget;
    return panel?.context?.isReady && panel.content?.widgets.length && panel.sessionContext.session?.kernel?.status === 'idle';
}"""
NATURAL = """async one => {
    await one.decode?.();
    const box = one.viewBox?.baseVal;
    return box ? [box.width, box.height] : [one.naturalWidth, one.naturalHeight];
}"""
IDLE = f"""() => {{
    const panel = {PANEL};
    const waits = panel.content.widgets.some(cell => cell.model.type === 'code' && cell.model.executionState === 'running');
    return !waits && !window.underWay && panel.sessionContext.session?.kernel?.status === 'idle';
}}"""
BEGUN = f"""([index, before]) => {{
    const cell = {PANEL}.content.widgets[index].model;
    return cell.type !== 'code' || cell.executionState === 'running' || (cell.executionCount ?? null) !== before;
}}"""
STATE = f"""() => ({{
    active: {PANEL}.content.activeCellIndex, mode: {PANEL}.content.mode, classes: {PANEL}.content.node.className,
    focus: document.activeElement.className, visible: document.visibilityState, kernel: {PANEL}.sessionContext.session?.kernel?.status,
    dialog: document.querySelector('.jp-Dialog')?.innerText, now: {PANEL}.content.activeCell?.model.executionState,
}})"""
# whether the next key, not counting Control itself, is for the notebook: without the focus it is for the page, and nothing happens
LISTEN = """() => {
    window.arrived = false;
    const hear = event => {
        if (event.key === 'Control') return;
        window.arrived = Boolean(event.target.closest('.jp-Notebook'));
        document.removeEventListener('keydown', hear, true);
    };
    document.addEventListener('keydown', hear, true);
}"""
CELLS = f"""() => {PANEL}.content.widgets.map(cell => ({{
    kind: cell.model.type,
    source: cell.model.sharedModel.getSource(),
    tags: cell.model.getMetadata('tags') ?? [],
    count: cell.model.executionCount ?? null,
    outputs: cell.model.outputs?.toJSON() ?? [],
}}))"""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell as the front end holds it: its place among all cells, from 0, and what it has written."""

    index: int
    kind: str
    source: str
    tags: tuple[str, ...]
    count: int | None
    outputs: tuple[dict, ...]

    @property
    def text(self) -> str:
        """The text of all outputs, errors and values included, in their order."""
        return "".join(read_text(output) for output in self.outputs)

    @property
    def errors(self) -> tuple[str, ...]:
        """The errors the cell has ended in."""
        return tuple(f"{output['ename']}: {output['evalue']}" for output in self.outputs if output["output_type"] == "error")

    @property
    def figures(self) -> int:
        """How many pictures it shows."""
        return sum(any(kind.startswith("image/") for kind in output.get("data", ())) for output in self.outputs)


def read_text(output: dict) -> str:
    """The text of one output, as a notebook's file has it."""
    match output["output_type"]:
        case "stream":
            return _join(output["text"])
        case "error":
            return f"{output['ename']}: {output['evalue']}\n"
        case _:
            return _join(output["data"].get("text/plain", "")) + "\n"


def _join(text: str | list[str]) -> str:
    return text if isinstance(text, str) else "".join(text)


class NotebookPage:
    """A tab with one notebook in JupyterLab. Cells are named by their index among all cells, from 0."""

    def __init__(self, page: Page, server: Server, name: str) -> None:
        self.page, self.server, self.name = page, server, name
        self.complaints: list[str] = []
        self.foreign: list[str] = []
        page.on(
            "console", lambda said: said.type == "error" and self.complaints.append(f"console: {said.text} ({said.location.get('url')})")
        )
        page.on("pageerror", lambda error: self.complaints.append(f"page: {error}"))
        page.on("requestfailed", self._note_failure)
        page.on("response", lambda got: got.status >= 400 and self.complaints.append(f"status {got.status}: {got.url}"))
        page.on("request", lambda asked: self._note_origin(asked.url))
        page.on("websocket", lambda socket: self._note_origin(socket.url))

    def load(self) -> None:
        """Open the notebook and wait for its kernel; pages of one server have a workspace each."""
        workspace = Path(self.name).stem
        self.page.goto(f"{self.server.origin}/lab/workspaces/{workspace}/tree/{self.name}?token={self.server.token}")
        try:
            self.page.wait_for_function(READY, timeout=PATIENCE * 1000)
        except TimeoutError as error:
            shows = self.page.evaluate("() => document.body.innerText").strip()[-1500:]
            raise AssertionError(f"{self.name} is not ready: {self.complaints}; the page shows:\n{shows}") from error

    def cells(self) -> tuple[Cell, ...]:
        """All cells as they are now."""
        return tuple(
            Cell(number, cell["kind"], cell["source"], tuple(cell["tags"]), cell["count"], tuple(cell["outputs"]))
            for number, cell in enumerate(self.page.evaluate(CELLS))
        )

    def find_cell(self, words: str) -> Cell:
        """The first cell whose source has these words; raises LookupError."""
        for cell in self.cells():
            if words in cell.source:
                return cell
        raise LookupError(f"{self.name} has no cell with {words!r}")

    def element(self, index: int) -> Locator:
        """A cell's element, scrolled to: what is far away is not rendered."""
        self.page.evaluate(f"async index => {PANEL}.content.scrollToItem(index, 'start')", index)
        found = self.page.locator(f".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell[data-windowed-list-index='{index}']")
        found.wait_for(timeout=PATIENCE * 1000)
        return found

    def figures(self, index: int) -> list[dict[str, float]]:
        """The pictures a cell shows: natural width and height, and the width and height seen, in CSS pixels."""
        pictures = self.element(index).locator(".jp-OutputArea-output img, .jp-OutputArea-output svg").all()
        seen = []
        for picture in pictures:
            picture.scroll_into_view_if_needed()
            box = picture.bounding_box() if picture.is_visible() else None
            natural = picture.evaluate(NATURAL)
            seen.append(dict(zip(("natural_width", "natural_height"), natural, strict=True)) | (box or {"width": 0, "height": 0}))
        return seen

    def start_all(self) -> None:
        """Run all cells, and return at once."""
        self.page.evaluate(
            """() => {
                window.underWay = (window.underWay ?? 0) + 1;
                window.jupyterapp.commands.execute('notebook:run-all-cells').finally(() => { window.underWay -= 1 });
            }"""
        )

    def is_idle(self) -> bool:
        """Whether no cell is waiting and the kernel has nothing to do."""
        return self.page.evaluate(IDLE)

    def wait_idle(self, seconds: float = LONGEST) -> None:
        """Until all that was started has ended."""
        self.page.wait_for_function(IDLE, timeout=seconds * 1000, polling=100)

    def run_all(self, seconds: float = LONGEST) -> None:
        """Run all cells, and wait for their end."""
        self.start_all()
        self.wait_idle(seconds)

    def run_cell(self, index: int, seconds: float = LONGEST) -> Cell:
        """Run one cell by the keyboard as a learner does, wait for its end, and return what it has become."""
        self.start_cell(index)
        self.wait_idle(seconds)
        return self.cells()[index]

    def start_cell(self, index: int) -> None:
        """Run one cell by the keyboard, and return at once."""
        before = self.page.evaluate(f"index => {PANEL}.content.widgets[index].model.executionCount ?? null", index)
        assert wait_for(lambda: self._begins(index, before)), f"cell {index} of {self.name} does not begin: {self.page.evaluate(STATE)}"

    def _begins(self, index: int, before: int | None) -> bool:
        """Press the keys that run a cell; whether it begins, which it does at once if JupyterLab has taken them."""
        self._press("Control+Enter", index)
        try:
            self.page.wait_for_function(BEGUN, arg=[index, before], timeout=at_most(20) * 1000, polling=100)
        except TimeoutError:
            print(f"cell {index} of {self.name} did not begin: {self.page.evaluate(STATE)}")
            return False
        return True

    def type_cell(self, source: str, after: int | None = None, run: bool = True) -> Cell:
        """Insert a cell below another (the last), type into it, run it unless told, and return it."""
        above = len(self.cells()) - 1 if after is None else after
        self._press("b", above)
        self.page.wait_for_function(f"index => {PANEL}.content.activeCellIndex === index", arg=above + 1, polling=100)
        self._fill(above + 1, source)
        return self.run_cell(above + 1) if run else self.cells()[above + 1]

    def replace_cell(self, index: int, source: str) -> None:
        """Type over a cell's source, as a learner who fills in a stub."""
        self._fill(index, source)

    def interrupt(self) -> None:
        """Interrupt the kernel."""
        self._command("kernelmenu:interrupt")

    def restart(self) -> None:
        """Restart the kernel, and wait until the new one is ready."""
        self._confirm("kernelmenu:restart", ".jp-Dialog .jp-mod-accept")
        self.page.wait_for_function(READY, timeout=PATIENCE * 1000)

    def restart_and_run_all(self, seconds: float = LONGEST) -> None:
        """The factory reset: restart the kernel, run all cells and wait for their end."""
        self.restart()
        self.run_all(seconds)

    def save(self) -> None:
        """Save the notebook, into the copy."""
        self._command("docmanager:save")

    def screenshot(self, path: str | os.PathLike[str]) -> None:
        """What the tab shows now, as a PNG."""
        self.page.screenshot(path=os.fspath(path))

    def open_terminal(self) -> Terminal:
        """A new terminal beside the notebook; use ``show`` to come back."""
        self._command("terminal:create-new")
        terminal = Terminal(self.page)
        terminal.expect("")
        return terminal

    def show(self) -> None:
        """Bring the notebook's tab of JupyterLab to the front."""
        self.page.locator(f".lm-TabBar-tab[data-type='document-title'][title*='{self.name}']").first.click()
        self.page.wait_for_function(f"() => {PANEL}?.sessionContext?.kernelDisplayName !== undefined && {PANEL}.content.widgets")

    def _select(self, index: int) -> None:
        """Make a cell the active one, in command mode, with the keyboard's focus."""
        self.page.evaluate(
            f"""async index => {{
                const notebook = {PANEL}.content;
                await notebook.scrollToItem(index, 'auto');
                notebook.activeCellIndex = index;
                notebook.deselectAll();
                notebook.mode = 'command';
                notebook.activate();
                notebook.activeCell.node.focus();
            }}""",
            index,
        )

    def _press(self, key: str, index: int) -> None:
        """Press a key on a cell in command mode; again where the cell had just been drawn anew, which takes the focus from it."""
        assert wait_for(lambda: self._arrives(key, index)), f"{key} does not get to cell {index} of {self.name}"

    def _arrives(self, key: str, index: int) -> bool:
        self._select(index)
        self.page.evaluate(LISTEN)
        self.page.keyboard.press(key)  # comes back when the page has had it
        return self.page.evaluate("() => window.arrived")

    def _fill(self, index: int, source: str) -> None:
        self._press("Enter", index)
        self.page.keyboard.press("Control+A")
        self.page.keyboard.insert_text(source)
        self.page.keyboard.press("Escape")

    def _command(self, name: str, wait: bool = True) -> None:
        """One of JupyterLab's commands, as its menus run it."""
        run = "window.jupyterapp.commands.execute(name)"
        self.page.evaluate(f"async name => {{ await {run} }}" if wait else f"name => {{ {run} }}", name)

    def _confirm(self, name: str, button: str) -> None:
        self._command(name, wait=False)
        self.page.locator(button).click()
        self.page.locator(".jp-Dialog").wait_for(state="detached")

    def _note_failure(self, request) -> None:
        if "ERR_ABORTED" not in (request.failure or ""):  # a page that has gone on asks for no more
            self.complaints.append(f"request failed: {request.url} ({request.failure})")

    def _note_origin(self, url: str) -> None:
        own = (self.server.origin, self.server.origin.replace("http", "ws", 1), "data:", "blob:")
        if not url.startswith(own):
            self.foreign.append(url)


class Terminal:
    """The terminal of JupyterLab that was opened last in a tab."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.node = page.locator(".jp-Terminal").last
        self.node.locator(".xterm-helper-textarea").wait_for(state="attached", timeout=PATIENCE * 1000)

    def type(self, text: str) -> None:
        """Press keys; a line's end is Enter."""
        self.node.locator(".xterm-helper-textarea").focus()
        self.page.keyboard.type(text)

    def read(self) -> str:
        """The lines the terminal shows and those scrolled away, without trailing blanks."""
        return self.page.evaluate(BUFFER)

    def expect(self, words: str, seconds: float = PATIENCE) -> str:
        """Wait until these words are to be read; returns all that is."""
        self.page.wait_for_function(f"words => ({BUFFER})().includes(words)", arg=words, timeout=seconds * 1000, polling=100)
        return self.read()


BUFFER = """() => {
    const terminals = [...window.jupyterapp.shell.widgets('main')].filter(one => one.content?.session?.name && one.content._term);
    const buffer = terminals.at(-1)?.content._term.buffer.active;
    if (!buffer) return '';
    return Array.from({length: buffer.length}, (_, line) => buffer.getLine(line).translateToString(true)).join('\\n').trimEnd();
}"""


class Workbench:
    """A server on a copy of notebooks, and a browser; every notebook has a tab and a workspace of its own."""

    def __init__(self, server: Server, browser: Browser, directory: Path) -> None:
        self.server, self.browser, self.directory = server, browser, directory
        # one for all tabs: what JupyterLab consists of is loaded from the server once
        self._context = browser.new_context(viewport=VIEWPORT, device_scale_factor=1, locale="en-GB", timezone_id="UTC")
        self._context.set_default_timeout(PATIENCE * 1000)

    def open_notebook(self, name: str, viewport: dict[str, int] | None = None) -> NotebookPage:
        """Open a notebook in a tab of its own, and wait for its kernel."""
        page = self.open_page(name, viewport)
        page.load()
        return page

    def open_page(self, name: str, viewport: dict[str, int] | None = None) -> NotebookPage:
        """An empty tab that is ready to ``load`` a notebook."""
        page = self._context.new_page()
        page.set_viewport_size(viewport or VIEWPORT)
        return NotebookPage(page, self.server, name)

    def close_notebook(self, page: NotebookPage) -> None:
        """Close the tab and shut down the notebook's kernel: its lab ends."""
        page.page.close()
        self.server.close_notebook(page.name)


@contextlib.contextmanager
def open_workbench(*notebooks: Path, environment: dict[str, str] | None = None) -> Iterator[Workbench]:
    """A server on copies of these notebooks (and directories beside them), and a browser; all ends together."""
    with tempfile.TemporaryDirectory(prefix="workbench-") as place, contextlib.ExitStack() as stack:
        directory = Path(place) / "notebooks"
        _copy(notebooks, directory)
        server = stack.enter_context(open_server("--notebooks", str(directory), environment=_own_places(place) | (environment or {})))
        browser = stack.enter_context(open_browser(place, server.port))
        yield Workbench(server, browser, directory)


# in a network namespace of its own, whose loopback leads to the server and nowhere else: a browser gives up what it is loading
# whenever an address changes on its machine (net::ERR_NETWORK_CHANGED), and there others' do all the time
LAUNCH = """#!/bin/sh
cd {root}
python={python} browser={browser} place={place}
export python browser place
exec unshare --user --map-root-user --net sh -c '
    ip link set lo up
    "$python" -m tests.relay {port} "$place/server" "$place/ready" 3>&- 4>&- </dev/null >/dev/null &
    until [ -e "$place/ready" ] && [ -S "$place/server" ]; do sleep 0.01; done
    exec "$browser" "$@"' sh "$@"
"""


@contextlib.contextmanager
def open_browser(place: str, port: int) -> Iterator[Browser]:
    """The system's Chromium without a window, for the server at a port; what it writes goes below ``place``."""
    words = {"root": ROOT, "python": sys.executable, "browser": find_browser(), "place": place}
    launch = Path(place, "browser")
    launch.write_text(LAUNCH.format(port=port, **{name: shlex.quote(str(word)) for name, word in words.items()}))
    launch.chmod(0o755)
    with (
        subprocess.Popen([sys.executable, "-m", "tests.relay", f"{place}/server", str(port)], cwd=ROOT) as outer,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=launch, args=list(ARGUMENTS), env=_browser_environment(place))
        try:
            yield browser
        finally:
            browser.close()
            outer.terminate()


def find_browser() -> str:
    """The path of a browser that Playwright's Chromium protocol speaks to; raises LookupError."""
    for name in BROWSERS:
        if path := shutil.which(name):
            return path
    raise LookupError("no Chromium is installed: `apt-get install chromium`, or run `./workshop test`, which does")


def _copy(notebooks: Iterable[Path], directory: Path) -> None:
    directory.mkdir()
    for path in notebooks:
        (shutil.copytree if path.is_dir() else shutil.copy)(path, directory / path.name)


def _own_places(place: str) -> dict[str, str]:
    """Jupyter's directories and the learner's progress, away from the user's own."""
    names = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime", "IPYTHONDIR": "ipython"}
    own = {name: os.path.join(place, folder) for name, folder in names.items()}
    os.mkdir(own["JUPYTER_CONFIG_DIR"])
    Path(own["JUPYTER_CONFIG_DIR"], "jupyter_lab_config.py").write_text(SETTINGS)
    # a lab has a /tmp of its own, so progress that is to last lies where notebooks are, which labs do see
    return own | {"NETKIT_PROGRESS": os.path.join(place, "notebooks", ".progress.json")}


def _browser_environment(place: str) -> dict[str, str]:
    """The browser's own home: fonts' caches and crash reports are no business of the user's."""
    home = os.path.join(place, "home")
    os.mkdir(home)
    return {name: value for name, value in os.environ.items() if not name.startswith("XDG_")} | {"HOME": home}
