"""``netkit.live()``: the network as it changes, or a packet's way through it, as widgets and as what is left without a kernel."""

from __future__ import annotations

import pathlib
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import anywidget
import IPython
import ipywidgets
import traitlets

from netkit.figure.draw import make_bundle
from netkit.figure.layout import calc_layout
from netkit.figure.paint import measure
from netkit.laboratory.lab import Lab
from netkit.labs import current_lab
from netkit.liveview.follow import Follower
from netkit.liveview.scene import calc_scene, calc_step
from netkit.network.capture import capture
from netkit.network.model import Topology

if TYPE_CHECKING:
    from netkit.tracing.view import Trace

HERE = pathlib.Path(__file__).parent
VIEW = "application/vnd.jupyter.widget-view+json"
NEWS = 12  # lines that are told at once
PACE = 1400  # ms per step while playing

_of_cells: weakref.WeakValueDictionary[str, LiveView] = weakref.WeakValueDictionary()


def live(trace: Trace | None = None, *, show: Sequence[str] = ("addresses",), lab: Lab | None = None) -> LiveView | Player:
    """The lab's network as a picture that follows every change; with a ``trace``, that packet's way step by step.

    ``show`` is what is drawn, as for :meth:`netkit.network.model.Topology.draw`; ``lab`` another lab than the one this process
    lives in. The view follows changes from anywhere (a cell, also while it runs, a terminal, another
    node, a swarm) until it is closed, its cell runs again, or the kernel ends. As a notebook's output it is text and image
    beside the widget.

    Raises LabError outside of a lab, NetkitError for a word in ``show`` that there is not.
    """
    if trace is not None:
        return Player(trace)
    lab = lab or current_lab()
    view = LiveView(lab, capture(lab=lab), (show,) if isinstance(show, str) else tuple(show))
    kernel = getattr(IPython.get_ipython(), "kernel", None)
    metadata = (kernel.get_parent() or {}).get("metadata") if kernel else None
    if cell := (metadata or {}).get("cellId"):  # the notebook's cell that runs now, as its front end calls it
        if previous := _of_cells.get(cell):
            previous.close()
        _of_cells[cell] = view
    return view


class Page(anywidget.AnyWidget):
    """A widget with a picture."""

    _esm = HERE / "live.js"
    _css = HERE / "live.css"
    picture = traitlets.Dict().tag(sync=True)


class LiveView(Page):
    """The network of a lab as it changes: see :func:`live`.

    ``topology`` is the network as last seen. :meth:`stop` leaves the last picture, :meth:`close` ends everything; so
    do the kernel's end, and the cell that made it when it runs again.
    """

    news = traitlets.Dict().tag(sync=True)
    ended = traitlets.Unicode().tag(sync=True)

    def __init__(self, lab: Lab, first: Topology, show: Sequence[str]) -> None:
        self._lab, self._show, self.topology = lab, show, first
        super().__init__(picture=self._draw(first))
        self.follower = Follower(lab, first, self)

    def __repr__(self) -> str:
        return "<LiveView>"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict, dict]:
        return _add_view(self, *make_bundle(self.topology.text(), self.topology.draw(show=self._show)))

    def show(self, topology: Topology) -> None:
        """Show another capture. Called in the follower's thread."""
        self.topology = topology
        self.picture = self._draw(topology)  # sent if it is another one

    def tell(self, before: Topology, after: Topology) -> None:
        """Say what is different between two captures. Called in the follower's thread."""
        lines = before.diff(after).text().split("\n")
        if lines != ["nothing changed"]:
            shown = lines if len(lines) <= NEWS else [*lines[: NEWS - 1], f"… {len(lines) - NEWS + 1} more lines"]
            count = sum(not line.startswith(" ") for line in lines)
            self.news = {"number": self.news.get("number", 0) + 1, "lines": shown, "count": count}

    def end(self, why: str) -> None:
        """Say why the picture does not follow any longer."""
        self.ended = f"ended: {why}"

    def stop(self) -> None:
        """Follow no longer: thread and watchers end, the picture stays as the network is now. May be repeated."""
        self.follower.close()
        if not self.ended:
            self.show(capture(lab=self._lab))  # what was still settling when the last event came
            self.ended = "closed: run the cell again to follow"

    def close(self) -> None:
        """End the view and what it shows, its thread and its watchers; nothing is left of them. May be repeated."""
        if follower := getattr(self, "follower", None):
            follower.close()
        super().close()

    def _draw(self, topology: Topology) -> dict:
        return calc_scene(topology, calc_layout(topology, show=self._show, measure=measure), measure)


class StepsView(Page):
    """A packet's steps over a picture, and in words below it; ``value`` is the one that is shown, from 1."""

    steps = traitlets.List().tag(sync=True)
    value = traitlets.Int(1).tag(sync=True)


class Player(ipywidgets.VBox):
    """A packet's way over a picture, step by step: see :func:`live`. Needs no kernel while it plays."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        picture = calc_layout(trace.topology, measure=measure)
        steps = [calc_step(step) for step in trace.steps(picture)]
        view = StepsView(picture=calc_scene(trace.topology, picture, measure), steps=steps)
        play = ipywidgets.Play(min=1, max=max(1, len(steps)), interval=PACE, show_repeat=False)
        slider = ipywidgets.IntSlider(min=1, max=play.max, description="Step", layout={"width": "100%"})
        self._links = [ipywidgets.jslink((each, "value"), (slider, "value")) for each in (play, view)]
        super().__init__([ipywidgets.HBox([play, slider]), view])

    def __repr__(self) -> str:
        return "<Player>"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict, dict]:
        return _add_view(self, *self._trace._repr_mimebundle_())


def _add_view(widget: ipywidgets.Widget, data: dict, metadata: dict) -> tuple[dict, dict]:
    """For notebooks: the widget beside a stable text and an image, for whoever has no kernel."""
    return data | {VIEW: {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}}, metadata
