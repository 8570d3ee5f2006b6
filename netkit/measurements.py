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

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUMMARY = re.compile(r"(?:rtt|round-trip) min/avg/max(?:/mdev)? = [\d.]+/([\d.]+)/")
TIME = re.compile(r"time=([\d.]+) ms")


@dataclass(frozen=True)
class Series:
    """Repetitions of a measurement: throughputs in bit/s, round trips in seconds; either may be empty."""

    name: str
    throughputs: tuple[float, ...] = ()
    round_trips: tuple[float, ...] = ()


@dataclass(frozen=True)
class Measurements:
    """Several ways of doing the same, compared: a chart in a notebook, :meth:`text` everywhere."""

    series: tuple[Series, ...]

    def throughput(self, name: str) -> float:
        """The median throughput of ``name`` in bit/s; raises NetkitError if it was not measured."""
        return self._calc_median(name, self._find(name).throughputs, "throughput")

    def latency(self, name: str) -> float:
        """The median round trip of ``name`` in seconds; raises NetkitError if it was not measured."""
        return self._calc_median(name, self._find(name).round_trips, "round trip")

    def _calc_median(self, name: str, values: tuple[float, ...], what: str) -> float:
        if not values:
            raise NetkitError(f"no {what} of {name!r} was measured")
        return median(values)

    def _find(self, name: str) -> Series:
        found = next((each for each in self.series if each.name == name), None)
        if found is None:
            raise NetkitError(f"{name!r} was not measured; {', '.join(each.name for each in self.series)} were")
        return found

    def text(self) -> str:
        """A line for each series: the medians, and between which values the repetitions were."""
        width = max((len(each.name) for each in self.series), default=0)
        return "\n".join(f"{each.name:<{width}}  {_tell(each)}" for each in self.series)

    __repr__ = __str__ = text

    def draw(self) -> Figure:
        """Bars up to the medians, a dot for each repetition."""
        from netkit.chart import draw

        return draw(self.series)

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        from netkit.figure.draw import make_bundle

        return make_bundle(self.text(), self.draw())


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


def _tell(series: Series) -> str:
    told = []
    if series.throughputs:
        told.append(_tell_values([value / 1e9 for value in series.throughputs], "Gbit/s", tell_number))
    if series.round_trips:
        told.append(_tell_values([value * 1e6 for value in series.round_trips], "µs", tell_whole))
    return ", ".join(told)


def _tell_values(values: list[float], unit: str, tell: Callable[[float], str]) -> str:
    low, middle, high = (tell(value) for value in (min(values), median(values), max(values)))
    return f"{middle} {unit} ({low} to {high} in {len(values)} runs)" if len(values) > 1 else f"{middle} {unit}"


def tell_number(value: float) -> str:
    """Three digits that matter, at most: more would be a lie."""
    return f"{value:.0f}" if value >= 99.5 else f"{value:.1f}" if value >= 9.95 else f"{value:.2f}"


def tell_whole(value: float) -> str:
    """A whole number: ping's own clock has no more."""
    return f"{value:.0f}"
