"""The figure of a trace: its way on the topology's picture, numbered, and below it what happened at which number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from netkit.figure.layout import calc_layout
from netkit.figure.picture import BASELINE, LINE, Line, Mark, Measure, Picture, Shape, Text
from netkit.tracing.steps import Step, calc_drawn, calc_steps
from netkit.tracing.values import TraceData
from netkit.tracing.verdict import tell_losses, tell_verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NUMBER, NOTE, BADGE, EDGE = 8.0, 10.0, 13.0, 14.0
TOLD = ("change", "dropped", "tunnel")
CROSS = 24.0


def draw(trace: TraceData, *, width: float | None = None, **options) -> Figure:
    """The figure; ``width`` in inches, other ``options`` as for :func:`netkit.figure.layout.calc_layout`."""
    from netkit.figure.draw import paint
    from netkit.figure.fonts import measure

    return paint(calc_picture(trace, measure=measure, **options), width=width)


def calc_picture(trace: TraceData, *, measure: Measure, **options) -> Picture:
    """The topology's picture with the packets' way on it."""
    picture = calc_layout(trace.topology, measure=measure, **options)
    steps = calc_steps(trace, picture, calc_drawn(trace))
    roles = {"dropped": "way-dropped"}
    ways = [Line(points=step.points, role=roles.get(step.kind, "way"), about=step.about) for step in steps if step.points]
    # the way lies below every text, as a highlighter's stroke would
    first = next((number for number, shape in enumerate(picture.shapes) if isinstance(shape, Text)), len(picture.shapes))
    shapes: list[Shape] = [*picture.shapes[:first], *ways, *picture.shapes[first:]]
    shapes += [shape for step in _spread(steps) for shape in _badge(step)]
    notes = _calc_notes(trace, steps, picture.width - 2 * EDGE, measure)
    top = picture.height + 4
    shapes += [
        Text(x=EDGE, y=top + number * NOTE * LINE + NOTE * BASELINE, text=text, size=NOTE, role=role, bold=role == "trouble")
        for number, (text, role) in enumerate(notes)
    ]
    return replace(picture, height=round(top + len(notes) * NOTE * LINE + EDGE / 2, 2), shapes=tuple(shapes))


def _spread(steps: Sequence[Step]) -> list[Step]:
    """Badges that would cover each other stand side by side."""
    placed: list[Step] = []
    for step in steps:
        x = step.x
        while any(abs(x - other.x) < BADGE - 1 and abs(step.y - other.y) < BADGE - 1 for other in placed):
            x += BADGE
        placed.append(replace(step, x=x))
    return placed


def _badge(step: Step) -> list[Shape]:
    if step.kind == "dropped":
        label = Text(x=step.x + CROSS / 2 + 4, y=step.y + 4, text="dropped", size=11.0, role="trouble", bold=True, about=step.about)
        return [Mark(x=step.x, y=step.y, size=CROSS, role="cross", about=step.about), label]
    role = {"change": "step-change", "tunnel": "step-tunnel"}.get(step.kind, "step")
    text = Text(
        x=step.x, y=step.y + NUMBER * 0.36, text=str(step.number), size=NUMBER, role="number", anchor="middle", bold=True, about=step.about
    )
    return [Mark(x=step.x, y=step.y, size=BADGE, role=role, about=step.about), text]


def _calc_notes(trace: TraceData, steps: Sequence[Step], room: float, measure: Measure) -> list[tuple[str, str]]:
    """What happened where, and the verdict; where a packet was dropped, that says it already, and what was not seen is told."""
    notes: list[tuple[str, str]] = []
    told: set[str] = set()
    for step in steps:
        if step.kind in TOLD and step.detail not in told:
            told.add(step.detail)
            text = f"✗ {step.detail}" if step.kind == "dropped" else f"{step.number}  {step.detail}"
            notes += [(line, "trouble" if step.kind == "dropped" else "detail") for line in _wrap(text, room, measure)]
    rest = " ".join(tell_losses(trace)) if any(step.kind == "dropped" for step in steps) else tell_verdict(trace)
    return [*notes, *((line, "detail") for line in _wrap(rest, room, measure) if line)]


def _wrap(text: str, room: float, measure: Measure) -> list[str]:
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and measure(longer, NOTE, bold=True) > room:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
