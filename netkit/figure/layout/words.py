"""Texts made fit for a figure: one line, no invisible characters, no longer than there is room."""

from __future__ import annotations

import re
import unicodedata

from netkit.figure.layout.picture import Measure

LONGEST = 400  # characters of a text that are looked at: no figure has room for more
INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
ELLIPSIS = "…"


def calc_clean(text: str) -> str:
    """The text with control characters, bidi overrides and the like told as escapes; spaces alone are told, too."""
    if text.isascii() and text.isprintable() and text.strip():
        return text[:LONGEST]
    text = unicodedata.normalize("NFC", text[: 4 * LONGEST])
    if not text.strip():
        return repr(text)
    shown, marks = [], 0
    for character in text:
        category = unicodedata.category(character)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        # more than two marks on one letter climb into the line above
        shown.append(_escape(character) if category in INVISIBLE or marks > 2 else character)
    return "".join(shown)[:LONGEST]


def _escape(character: str) -> str:
    short = {"\n": r"\n", "\t": r"\t", "\r": r"\r", "\x1b": r"\e"}
    code = ord(character)
    return short.get(character) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")


def elide(text: str, width: float, size: float, measure: Measure, *, bold: bool = False, mono: bool = False, tail: bool = True) -> str:
    """The text, or as much of its beginning and (with ``tail``) its end as fits ``width`` around an ellipsis."""
    if measure(text, size, bold=bold, mono=mono) <= width:
        return text
    low, high = 0, len(text) - 1
    while low < high:
        middle = (low + high + 1) // 2
        if measure(_cut(text, middle, tail), size, bold=bold, mono=mono) <= width:
            low = middle
        else:
            high = middle - 1
    return _cut(text, low, tail)


def _cut(text: str, kept: int, tail: bool) -> str:
    head = (kept + 1) // 2 if tail else kept
    return text[:head] + ELLIPSIS + (text[len(text) - (kept - head) :] if kept > head else "")


def wrap(text: str, width: float, size: float, measure: Measure, lines: int) -> list[str]:
    """The text in at most so many lines of ``width`` points, elided if it is longer."""
    wrapped = [""]
    for word in text.split():
        longer = f"{wrapped[-1]} {word}".strip()
        if wrapped[-1] and measure(longer, size) > width:
            wrapped.append(word)
        else:
            wrapped[-1] = longer
    if len(wrapped) > lines:
        wrapped[lines - 1 :] = [" ".join(wrapped[lines - 1 :])]
    return [elide(line, width, size, measure) for line in wrapped]


def natural(name: str) -> list:
    """A key that sorts web2 before web10."""
    return [(not part.isdigit(), int(part) if part.isdigit() and part.isascii() else 0, part) for part in re.split(r"(\d+)", name)]
