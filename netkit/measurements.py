"""What iperf3 and ping have measured, read from the files they wrote, beside each other.

The measuring itself is done with plain commands, which leave their outputs in a directory:
``NAME.N.json`` is that of ``iperf3 -J``, ``NAME.N.ping`` that of ``ping``, N counting repetitions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from netkit.errors import NetkitError
from netkit.figure.style import INK, PAPER, SOFT
from netkit.shown import Shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUMMARY = re.compile(r"(?:rtt|round-trip) min/avg/max(?:/mdev)? = [\d.]+/([\d.]+)/")
TIME = re.compile(r"time=([\d.]+) ms")
BAR, DOT = "#7fb3d5", "#0b4f79"
ROW, WIDTH = 0.55, 10.5  # inches


@dataclass(frozen=True)
class Series:
    """Repetitions of a measurement: throughputs in bit/s, round trips in seconds; either may be empty."""

    name: str
    throughputs: tuple[float, ...] = ()
    round_trips: tuple[float, ...] = ()


@dataclass(frozen=True)
class Kind:
    """What is measured, and how it is told: the field of a :class:`Series`, its unit as so many of that field's own."""

    what: str
    unit: str
    better: str
    field: str
    factor: float
    write: Callable[[float], str]

    def of(self, series: Series) -> list[float]:
        """The values of a series, in this kind's unit."""
        return [value * self.factor for value in getattr(series, self.field)]

    def tell(self, series: Series) -> str:
        """Their median, and between which values they were."""
        values = self.of(series)
        low, middle, high = (self.write(value) for value in (min(values), median(values), max(values)))
        return f"{middle} {self.unit} ({low} to {high} in {len(values)} runs)" if len(values) > 1 else f"{middle} {self.unit}"


def tell_number(value: float) -> str:
    """Three digits that matter, at most: more would be a lie."""
    return f"{value:.0f}" if value >= 99.5 else f"{value:.1f}" if value >= 9.95 else f"{value:.2f}"


KINDS = (
    Kind("throughput", "Gbit/s", "more is better", "throughputs", 1e-9, tell_number),
    Kind("round trip", "µs", "less is better", "round_trips", 1e6, "{:.0f}".format),  # ping's own clock has no more digits
)


@dataclass(frozen=True)
class Measurements(Shown):
    """Several ways of doing the same, compared: a chart in a notebook, :meth:`text` everywhere."""

    series: tuple[Series, ...]

    def throughput(self, name: str) -> float:
        """The median throughput of ``name`` in bit/s; raises NetkitError if it was not measured."""
        return self._calc_median(name, "throughputs", "throughput")

    def latency(self, name: str) -> float:
        """The median round trip of ``name`` in seconds; raises NetkitError if it was not measured."""
        return self._calc_median(name, "round_trips", "round trip")

    def _calc_median(self, name: str, attribute: str, what: str) -> float:
        found = next((each for each in self.series if each.name == name), None)
        if found is None:
            raise NetkitError(f"{name!r} was not measured; {', '.join(each.name for each in self.series)} were")
        if not getattr(found, attribute):
            raise NetkitError(f"no {what} of {name!r} was measured")
        return median(getattr(found, attribute))

    def text(self) -> str:
        """A line for each series: the medians, and between which values the repetitions were."""
        width = max((len(each.name) for each in self.series), default=0)
        return "\n".join(f"{each.name:<{width}}  {', '.join(kind.tell(each) for kind in KINDS if kind.of(each))}" for each in self.series)

    __repr__ = __str__ = text

    def draw(self) -> Figure:
        """A panel for each kind of value that was measured: bars up to the medians, a dot for each repetition."""
        from matplotlib.figure import Figure

        kinds = [kind for kind in KINDS if any(map(kind.of, self.series))]
        figure = Figure(figsize=(WIDTH, 1.2 + ROW * len(self.series)), dpi=144, facecolor=PAPER, layout="constrained")
        all_axes = figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
        for axes, kind in zip(all_axes, kinds, strict=True):
            _draw_panel(axes, kind, self.series)
        all_axes[0].set_yticks(range(len(self.series)), [each.name for each in self.series], fontsize=15, color=INK, parse_math=False)
        all_axes[0].set_ylim(len(self.series) - 0.5, -0.5)
        return figure


def read_measurements(directory: str | Path, names: Sequence[str]) -> Measurements:
    """Read the outputs of iperf3 and ping in a directory, for these names, in this order.

    Raises NetkitError for a name without any file, and for a file that is no such output.
    """
    place = Path(directory)
    return Measurements(tuple(_read_series(place, name) for name in names))


def _read_series(place: Path, name: str) -> Series:
    throughputs = tuple(_read_iperf3(path) for path in _find_files(place, name, "json"))
    round_trips = tuple(_read_ping(path) for path in _find_files(place, name, "ping"))
    if not throughputs and not round_trips:
        raise NetkitError(f"{place} has no file {name}.N.json of `iperf3 -J` and no {name}.N.ping of `ping`, N being 1, 2, …")
    return Series(name, throughputs, round_trips)


def _find_files(place: Path, name: str, suffix: str) -> list[Path]:
    found = [path for path in place.glob(f"*.{suffix}") if re.fullmatch(re.escape(name) + r"\.\d+", path.stem)]
    return sorted(found, key=lambda path: int(path.stem.rpartition(".")[2]))


def _read_iperf3(path: Path) -> float:
    """What arrived, in bit/s (iperf3's JSON: end.sum_received, or end.sum for UDP)."""
    try:
        said = json.loads(path.read_text())
        if said.get("error"):
            raise NetkitError(f"{path}: iperf3 says: {said['error']}")
        end = said["end"]
        return float((end.get("sum_received") or end["sum"])["bits_per_second"])
    except (OSError, ValueError, LookupError, AttributeError, TypeError):
        raise NetkitError(f"{path} is no complete output of `iperf3 -J`: measure this one again") from None


def _read_ping(path: Path) -> float:
    """The median round trip if each is told, else the average, in seconds."""
    try:
        said = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise NetkitError(f"{path} cannot be read: {error}") from None
    times = [float(each) for each in TIME.findall(said)]
    summary = SUMMARY.search(said)
    if not times and not summary:
        raise NetkitError(f"{path} is no output of a `ping` that was answered: look at it, and measure again")
    return (median(times) if times else float(summary[1])) / 1000


def _draw_panel(axes, kind: Kind, series: Sequence[Series]) -> None:
    """Bars that are large enough for the last row of a lecture hall."""
    rows = [kind.of(each) for each in series]
    longest = max((value for values in rows for value in values), default=1.0)
    axes.set_title(f"{kind.what}, {kind.unit} ({kind.better})", fontsize=14, loc="left", color=INK)
    axes.set_xlim(0, longest * 1.25)
    for row, values in enumerate(rows):
        if not values:
            axes.text(longest * 0.02, row, "not measured", va="center", fontsize=13, color=SOFT)
            continue
        middle = kind.write(median(values))
        axes.barh(row, median(values), height=0.62, color=BAR, zorder=2)
        axes.scatter(values, [row] * len(values), s=26, color=DOT, zorder=3, clip_on=False)
        axes.text(max(values) + longest * 0.03, row, middle, va="center", fontsize=15, weight="bold", color=INK, parse_math=False)
    axes.tick_params(axis="x", labelsize=12, colors=SOFT)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#d5dade", zorder=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
