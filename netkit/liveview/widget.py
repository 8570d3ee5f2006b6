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
from netkit.figure.plan import shorten
from netkit.laboratory.lab import Lab
from netkit.labs import current_lab
from netkit.liveview.follow import Follower
from netkit.liveview.scene import calc_path, calc_scene, make_element
from netkit.network.capture import capture
from netkit.network.model import Topology

if TYPE_CHECKING:
    from netkit.tracing.steps import Step
    from netkit.tracing.view import Trace

VIEW = "application/vnd.jupyter.widget-view+json"
NEWS = 12  # lines that are told at once
PACE = 1400  # ms per step while playing
WAY, BACK, DROPPED = "#d00a3c", "#0072b2", "#a32a00"  # of a packet, its answer, its end

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
    view = LiveView(lab, capture(lab=lab), show)
    kernel = getattr(IPython.get_ipython(), "kernel", None)
    metadata = (kernel.get_parent() or {}).get("metadata") if kernel else None
    if cell := (metadata or {}).get("cellId"):  # the notebook's cell that runs now, as its front end calls it
        if previous := _of_cells.get(cell):
            previous.close()
        _of_cells[cell] = view
    return view


class Page(anywidget.AnyWidget):
    """A widget with a picture."""

    _esm = pathlib.Path(__file__).with_name("live.js")
    _css = pathlib.Path(__file__).with_name("live.css")
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
            count = sum(not line.startswith(" ") for line in lines)
            self.news = {"number": self.news.get("number", 0) + 1, "lines": shorten(lines, NEWS, "more lines"), "count": count}

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


def calc_step(step: Step) -> dict:
    """A step of a packet: its words, the way to it, and the packet there with its number, or crossed out. Fit for JSON."""
    x, y, dropped = step.x, step.y, step.kind == "dropped"
    colour = DROPPED if dropped else BACK if step.reply else WAY
    line = {"fill": "none", "stroke": colour, "stroke-linejoin": "round", "stroke-linecap": "round"}
    way = make_element("path", d=calc_path(step.points), **line, **({"stroke-dasharray": "7 5"} if step.kind == "tunnel" else {}))
    if dropped:
        cross = f"M{x - 3.5} {y - 3.5}l7 7m0 -7l-7 7"
        mark = make_element("path", d=cross, stroke="#ffffff", fill="none", **{"stroke-width": 2.2})
    else:
        text = {"text-anchor": "middle", "font-size": 9, "font-weight": "bold", "fill": "#ffffff"}
        mark = make_element("text", transform=f"translate({x} {y + 3.2})", **text) | {"text": str(step.number)}
    packet = make_element("circle", cx=x, cy=y, r=9, fill=colour, stroke="#ffffff", **{"stroke-width": 1.5})
    return {
        "title": step.title,
        "detail": step.detail,
        "dropped": dropped,
        "colour": colour,
        "way": [way | {"key": f"way {step.number}"}] if len(step.points) > 1 else [],
        "packet": [packet | {"key": "packet"}, mark | {"key": mark["tag"], "name": "nk-mark"}],
    }


def _add_view(widget: ipywidgets.Widget, data: dict, metadata: dict) -> tuple[dict, dict]:
    """For notebooks: the widget beside a stable text and an image, for whoever has no kernel."""
    return data | {VIEW: {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}}, metadata
