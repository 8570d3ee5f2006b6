"""The lines that tell of a topology: what is said, and who is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from netkit.network.words import calc_settings, label, tell_value

# the levels of what is told of something as a whole, unless more is asked for
WHOLE = frozenset({"", "derived"})


@dataclass(frozen=True, slots=True)
class Clause:
    """Some words of a line. ``glue`` stands before them; without one, a comma does, or a colon if they are the first."""

    words: str
    level: str = ""
    glue: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """Something there is: what it is called, what is said of it, and the lines that lie inside of it.

    ``about`` says what it is, by its place; it is empty, or shared, for what has no place of its own:

    - "lan", "node1", "service hello", "service hello/task hello.1"
    - "node1/network shop", "node1/container web" (also its namespace), "node1/netns red"
    - "node1/host/docker0", "node1/container web/eth0": an interface in a namespace
    - "node1/container web/network shop": an endpoint; ".../port 8080/tcp": a published port
    - below a namespace: "route DESTINATION", "neighbour ADDRESS on INTERFACE", "fdb OWNER MAC", "masquerade SUBNET",
      "port 8080/tcp", "isolated", "internal BRIDGE", "silent BRIDGE", "policies", "rules"

    ``level`` says who is told, of a line or of a single clause:

    - nothing: every reader
    - words of :data:`netkit.network.select.SHOW`, such as "macs": who asked for all of these
    - "derived": every reader, but it is no difference, because another line or clause has the same fact
    - "hidden": nobody, unless it is different: a line, in the text, says it with others, or it goes without saying
    - "tunnels": who asked for the fdb; but a difference in it is told to every reader
    - "filled": nobody, unless it is different and what fills by itself was asked for

    ``follows`` is the place of what a line with a level comes and goes with, beside the namespace it is in: if that
    is new or gone, this is no news.
    """

    head: str
    clauses: tuple[Clause, ...] = ()
    inner: tuple[Line, ...] = ()
    about: str = ""
    level: str = ""
    follows: str = ""


def make_line(head: str, *clauses: Clause | str, inner: Iterable[Line] = (), about: str = "", level: str = "", follows: str = "") -> Line:
    """A line; clauses may be plain words, and those without any words are left out."""
    return Line(head, as_clauses(*clauses), tuple(inner), about, level, follows)


def as_clauses(*clauses: Clause | str) -> tuple[Clause, ...]:
    """Plain words as clauses, those without any words left out."""
    told = (each if isinstance(each, Clause) else Clause(each) for each in clauses)
    return tuple(each for each in told if each.words)


def subtract(some: Iterable[Clause], others: Iterable[Clause]) -> tuple[Clause, ...]:
    """The clauses whose words are not among the others', without those that are told elsewhere."""
    left = Counter(each.words for each in others if "derived" not in each.level)
    found = []
    for each in some:
        left[each.words] -= "derived" not in each.level
        found += [each] * (left[each.words] < 0 and "derived" not in each.level)
    return tuple(found)


def tell_rest(value: Any, *told: str) -> list[Clause]:
    """Hidden clauses on whatever a value of the model has that no other clause tells."""
    return [Clause(f"{label(name)} {tell_value(found)}", "hidden") for name, found in calc_settings(value, *told)]


def tell_lines(lines: Iterable[Line], wanted: Collection[str], indent: str = "") -> Iterator[str]:
    """The lines in words, for who wants these levels (see :class:`Line`); those inside of a line are indented."""
    for each in lines:
        if set(each.level.split()) <= set(wanted):
            yield indent + tell_line(each.head, each.clauses, wanted)
            yield from tell_lines(each.inner, wanted, indent + "  ")


def tell_line(head: str, clauses: Iterable[Clause], wanted: Collection[str]) -> str:
    """A line's own words, with the clauses for who wants these levels."""
    glue = ": "
    for each in clauses:
        if set(each.level.split()) <= set(wanted):
            head += (each.glue or glue) + each.words
            glue = glue if each.glue else ", "
    return head
