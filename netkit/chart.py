"""Bars for what was measured: large enough for the last row of a lecture hall."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from netkit.figure.style import INK, PAPER, SOFT
from netkit.measurements import Series, tell_number, tell_whole

BAR, DOT = "#7fb3d5", "#0b4f79"
ROW, WIDTH = 0.55, 10.5  # inches
PANELS = (
    ("throughput, Gbit/s", "more is better", "throughputs", 1e-9, tell_number),
    ("round trip, µs", "less is better", "round_trips", 1e6, tell_whole),
)


def draw(series: Sequence[Series]) -> Figure:
    """A panel for each kind of value that was measured; a bar ends at the median, dots are repetitions."""
    panels = [panel for panel in PANELS if any(getattr(each, panel[2]) for each in series)]
    figure = Figure(figsize=(WIDTH, 1.2 + ROW * len(series)), dpi=144, facecolor=PAPER, layout="constrained")
    FigureCanvasAgg(figure)
    all_axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (title, better, attribute, factor, tell) in zip(all_axes, panels, strict=True):
        values = [[value * factor for value in getattr(each, attribute)] for each in series]
        _draw_panel(axes, values, tell)
        axes.set_title(f"{title} ({better})", fontsize=14, loc="left", color=INK)
    all_axes[0].set_yticks(range(len(series)), [each.name for each in series], fontsize=15, color=INK, parse_math=False)
    all_axes[0].set_ylim(len(series) - 0.5, -0.5)
    return figure


def _draw_panel(axes, values: list[list[float]], tell: Callable[[float], str]) -> None:
    longest = max((value for each in values for value in each), default=1.0)
    axes.set_xlim(0, longest * 1.25)
    for row, each in enumerate(values):
        if not each:
            axes.text(longest * 0.02, row, "not measured", va="center", fontsize=13, color=SOFT)
            continue
        axes.barh(row, median(each), height=0.62, color=BAR, zorder=2)
        axes.scatter(each, [row] * len(each), s=26, color=DOT, zorder=3, clip_on=False)
        axes.text(max(each) + longest * 0.03, row, tell(median(each)), va="center", fontsize=15, weight="bold", color=INK, parse_math=False)
    axes.tick_params(axis="x", labelsize=12, colors=SOFT)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#d5dade", zorder=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
