"""A learner's progress over all notebooks: kept in one small file, which never stops anyone; shown as a picture and as text."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from netkit.errors import NetkitError
from netkit.exercises import CHAPTERS
from netkit.exercises.judging import Exercise
from netkit.laboratory.inside import covers, mounts
from netkit.places import data_dir, ensure_dirs
from netkit.shown import Shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEP = 0.62  # inches from one exercise's circle to the next
DONE, TRIED, OPEN = "#006d4e", "#8a5a00", "#8a8f98"


@dataclass(frozen=True, slots=True)
class Entry:
    """How often an exercise was checked, and whether it was ever passed."""

    checks: int = 0
    passed: bool = False


def progress_file() -> Path:
    """Where progress is kept: ``NETKIT_PROGRESS``, or below the user's data directory (XDG Base Directory)."""
    return Path(os.environ.get("NETKIT_PROGRESS") or os.path.join(data_dir(), "progress.json"))


def find_loss(number: str | None = None) -> str:
    """Why progress is not kept here, "" where it is; with ``number``, whether that this exercise was passed, as was just recorded, is."""
    try:
        path = progress_file()
        if not ensure_dirs([str(path.parent)]) or (number and not read_progress().get(number, Entry()).passed):
            return f"{path} cannot be written: set NETKIT_PROGRESS to a file that can"
        own = {os.stat(place).st_dev for place in (*mounts.LAYERED, "/run", covers.STORE) if mounts.is_inside()}
        if os.stat(path.parent).st_dev in own:
            return f"{path.parent} is the lab's own and ends with it: set NETKIT_PROGRESS to a file elsewhere"
        return ""
    except NetkitError as error:  # a user without a home
        return str(error)


def read_progress() -> dict[str, Entry]:
    """What is recorded, by exercise; nothing for a file that is missing, unreadable or corrupt."""
    try:
        rows = json.loads(progress_file().read_bytes())
        entries = {str(number): Entry(row.get("checks", 0), row.get("passed") is True) for number, row in rows.items()}
    except (NetkitError, OSError, ValueError, AttributeError, RecursionError):
        return {}
    return entries if all(type(each.checks) is int for each in entries.values()) else {}


def record(number: str, passed: bool) -> Entry:
    """Note the result of a check; returns the exercise's entry. What cannot be written is let go.

    A corrupt file is put aside, not overwritten. Several notebooks may record at once.
    """
    with contextlib.suppress(NetkitError, OSError):
        path = progress_file()
        ensure_dirs([str(path.parent)])
        with open(path.with_suffix(".lock"), "a", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            entries = read_progress()
            if path.exists() and not entries and path.read_bytes().strip() not in (b"", b"{}"):
                os.replace(path, path.with_suffix(".broken"))
            entries[number] = _count(entries, number, passed)
            part = path.with_suffix(f".{os.getpid()}.part")
            part.write_text(json.dumps({name: asdict(entry) for name, entry in sorted(entries.items())}, indent=1), encoding="utf-8")
            os.replace(part, path)
            return entries[number]
    return _count(read_progress(), number, passed)


def _count(entries: dict[str, Entry], number: str, passed: bool) -> Entry:
    before = entries.get(number, Entry())
    return Entry(before.checks + 1, before.passed or passed)


def progress() -> Overview:
    """What has been solved so far, in all notebooks, on this machine."""
    return Overview(read_progress(), find_loss())


@dataclass(frozen=True)
class Overview(Shown):
    """Progress at one moment: a picture in a notebook, ``text()`` everywhere; ``loss`` says why it is not kept, "" where it is."""

    entries: dict[str, Entry]
    loss: str = ""

    def text(self) -> str:
        """One line a notebook, one an exercise."""
        lines = []
        for title, exercises in CHAPTERS.items():
            entries = [self.entries.get(each.number, Entry()) for each in exercises]
            lines.append(f"{title}: {sum(entry.passed for entry in entries)} of {len(exercises)} solved")
            for exercise, entry in zip(exercises, entries, strict=True):
                state = "solved" if entry.passed else "tried" if entry.checks else "not tried yet"
                lines.append(f"  {exercise.number} {exercise.title}: {state}")
        return "\n".join([*lines, *([f"not kept: {self.loss}"] if self.loss else [])])

    __repr__ = __str__ = text

    def draw(self) -> Figure:
        """A row for each notebook: a filled circle is solved, a thick one was tried."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        widest = max(len(exercises) for exercises in CHAPTERS.values())
        size = (4.2 + STEP * widest, 0.3 + STEP * len(CHAPTERS))
        figure = Figure(figsize=size, dpi=144)
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, size[0]), ylim=(size[1], 0))
        axes.set_axis_off()
        for row, (title, exercises) in enumerate(CHAPTERS.items()):
            y = 0.15 + STEP * (row + 0.5)
            axes.text(0.15, y, title, va="center", fontsize=10, parse_math=False)
            for column, exercise in enumerate(exercises):
                self._draw_exercise(axes, 4.2 + STEP * (column + 0.5) - 0.1, y, exercise)
        return figure

    def _draw_exercise(self, axes, x: float, y: float, exercise: Exercise) -> None:
        from matplotlib.patches import Circle

        entry = self.entries.get(exercise.number, Entry())
        edge = DONE if entry.passed else TRIED if entry.checks else OPEN
        face, ink = (edge, "white") if entry.passed else ("white", edge)
        axes.add_patch(Circle((x, y), 0.22, facecolor=face, edgecolor=edge, linewidth=2.5 if entry.checks else 1))
        axes.text(x, y, exercise.number, ha="center", va="center", fontsize=9, color=ink, weight="bold")
