"""The widgets: what a page is told, and what a notebook without a kernel keeps of it."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from netkit.figure.draw import make_bundle
from netkit.figure.fonts import measure
from netkit.figure.layout import calc_layout
from netkit.figure.picture import Picture
from netkit.laboratory.lab import Lab
from netkit.liveview.follow import Follower
from netkit.liveview.scene import calc_scene
from netkit.network.capture import capture
from netkit.network.model import Topology

if TYPE_CHECKING:
    from netkit.tracing.steps import Step

HERE = pathlib.Path(__file__).parent
VIEW = "application/vnd.jupyter.widget-view+json"
NEWS = 12  # lines that are told at once


class Page(anywidget.AnyWidget):
    """A widget with a picture; elsewhere than in a live notebook it is the same as text and image."""

    _esm = HERE / "live.js"
    _css = HERE / "live.css"
    picture = traitlets.Dict().tag(sync=True)

    def _make_bundle(self) -> tuple[dict, dict]:
        raise NotImplementedError

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict, dict]:
        """For notebooks: the widget, and a stable text and an image for whoever has no kernel."""
        data, metadata = self._make_bundle()
        view = {"version_major": 2, "version_minor": 0, "model_id": self.model_id}
        return data | {VIEW: view}, metadata


class LiveView(Page):
    """The network of a lab as it changes: see :func:`netkit.liveview.show.live`.

    ``topology`` is the network as last seen. :meth:`stop` leaves the last picture, :meth:`close` ends everything; so
    do the kernel's end, and the cell that made it when it runs again.
    """

    news = traitlets.Dict().tag(sync=True)
    ended = traitlets.Unicode().tag(sync=True)

    def __init__(self, lab: Lab, first: Topology, show: Sequence[str]) -> None:
        self._lab, self._show, self.topology = lab, show, first
        self._number = 0
        super().__init__(picture=self._draw(first))
        self.follower = Follower(lab, first, self)

    def __repr__(self) -> str:
        return "<LiveView>"

    def show(self, topology: Topology) -> None:
        """Show another capture. Called in the follower's thread."""
        self.topology = topology
        picture = self._draw(topology)
        if picture != self.picture:
            self.picture = picture

    def tell(self, before: Topology, after: Topology) -> None:
        """Say what is different between two captures. Called in the follower's thread."""
        diff = before.diff(after)
        text = diff.text()
        if text != "nothing changed":
            self._number += 1
            lines = text.split("\n")
            shown = lines if len(lines) <= NEWS else [*lines[: NEWS - 1], f"… {len(lines) - NEWS + 1} more lines"]
            self.news = {"number": self._number, "lines": shown, "count": sum(not change.told_with for change in diff.changes)}

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
        follower = getattr(self, "follower", None)
        if follower:
            follower.close()
        super().close()

    def _draw(self, topology: Topology) -> dict:
        return calc_scene(topology, calc_layout(topology, show=self._show, measure=measure), measure)

    def _make_bundle(self) -> tuple[dict, dict]:
        return make_bundle(self.topology.text(), self.topology.draw(show=self._show))


class StepsView(Page):
    """A packet's way over a picture, step by step: see :func:`netkit.liveview.show.live`."""

    steps = traitlets.List().tag(sync=True)

    def __init__(self, topology: Topology, picture: Picture, steps: Sequence[Step], still: Callable[[], tuple[dict, dict]]) -> None:
        self._still = still
        super().__init__(picture=calc_scene(topology, picture, measure), steps=[_encode_step(step) for step in steps])

    def __repr__(self) -> str:
        return "<StepsView>"

    def _make_bundle(self) -> tuple[dict, dict]:
        return self._still()


def _encode_step(step: Step) -> dict:
    return {
        "number": step.number,
        "title": step.title,
        "detail": step.detail,
        "x": step.x,
        "y": step.y,
        "points": [list(point) for point in step.points],
        "kind": step.kind,
        "reply": step.reply,
    }
