"""Progress over all notebooks, as a picture and as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from netkit.exercises.book import CHAPTERS
from netkit.exercises.model import Exercise
from netkit.exercises.progress import Entry, find_loss, read_progress

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEP = 0.62  # inches from one exercise's circle to the next
DONE, TRIED, OPEN = "#006d4e", "#8a5a00", "#8a8f98"


def progress() -> Overview:
    """What has been solved so far, in all notebooks, on this machine."""
    return Overview(read_progress(), find_loss())


@dataclass(frozen=True)
class Overview:
    """Progress at one moment: a picture in a notebook, ``text()`` everywhere; ``loss`` says why it is not kept, "" where it is."""

    entries: dict[str, Entry]
    loss: str = ""

    def entry(self, exercise: Exercise) -> Entry:
        """What is recorded of an exercise."""
        return self.entries.get(exercise.number, Entry())

    def text(self) -> str:
        """One line a notebook, one an exercise."""
        lines = []
        for title, exercises in CHAPTERS.items():
            passed = sum(self.entry(each).passed for each in exercises)
            lines.append(f"{title}: {passed} of {len(exercises)} solved")
            lines += [f"  {each.number} {each.title}: {self._tell(each)}" for each in exercises]
        return "\n".join([*lines, *([f"not kept: {self.loss}"] if self.loss else [])])

    def _tell(self, exercise: Exercise) -> str:
        entry = self.entry(exercise)
        return "solved" if entry.passed else "tried" if entry.checks else "not tried yet"

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

        entry = self.entry(exercise)
        edge = DONE if entry.passed else TRIED if entry.checks else OPEN
        axes.add_patch(
            Circle((x, y), 0.22, facecolor=edge if entry.passed else "white", edgecolor=edge, linewidth=2.5 if entry.checks else 1)
        )
        axes.text(x, y, exercise.number, ha="center", va="center", fontsize=9, color="white" if entry.passed else edge, weight="bold")

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        from netkit.figure.draw import make_bundle

        return make_bundle(self.text(), self.draw())
