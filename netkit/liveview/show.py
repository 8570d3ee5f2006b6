"""``netkit.live()``: the network as it changes, or a packet's way through it."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from netkit.laboratory.lab import Lab
from netkit.labs import current_lab
from netkit.network.capture import capture

if TYPE_CHECKING:
    from netkit.liveview.widget import LiveView, StepsView
    from netkit.tracing.model import Trace

_of_cells: weakref.WeakValueDictionary[str, LiveView] = weakref.WeakValueDictionary()


def live(trace: Trace | None = None, *, show: Sequence[str] = ("addresses",), lab: Lab | None = None) -> LiveView | StepsView:
    """The lab's network as a picture that follows every change; with a ``trace``, that packet's way step by step.

    ``show`` is what is drawn, as for :meth:`netkit.network.model.Topology.draw`; ``lab`` another lab than the one this process
    lives in. The view follows changes from anywhere (a cell, also while it runs, a terminal, another
    node, a swarm) until it is closed, its cell runs again, or the kernel ends. As a notebook's output it is text and image
    beside the widget.

    Raises LabError outside of a lab, NetkitError for a word in ``show`` that there is not.
    """
    if trace is not None:
        return _show_trace(trace)
    lab = lab or current_lab()
    first = capture(lab=lab)
    from netkit.liveview.widget import LiveView  # ipywidgets: only for those who look

    view = LiveView(lab, first, tuple([show] if isinstance(show, str) else show))
    cell = _find_cell()
    if cell:
        previous = _of_cells.get(cell)
        if previous is not None:
            previous.close()
        _of_cells[cell] = view
    return view


def _find_cell() -> str:
    """The id of the notebook's cell that runs now, as its front end calls it; "" elsewhere."""
    kernel = getattr(_get_shell(), "kernel", None)
    if kernel is None:
        return ""
    metadata = (kernel.get_parent() or {}).get("metadata") or {}
    return str(metadata.get("cellId") or "")


def _get_shell() -> Any:
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython else None


def _show_trace(trace: Trace) -> StepsView:
    from netkit.figure.fonts import measure
    from netkit.figure.layout import calc_layout
    from netkit.liveview.widget import StepsView

    picture = calc_layout(trace.topology, measure=measure)
    return StepsView(trace.topology, picture, trace.steps(picture), trace._repr_mimebundle_)
