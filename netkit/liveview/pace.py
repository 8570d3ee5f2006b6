"""When to look again: soon after something has been heard, seldom while much is heard, and never at rest. Pure."""

from __future__ import annotations

QUIET = 0.012  # seconds without another event after which what belongs together has been heard
PATIENCE = 0.06  # seconds after the first event at which it is looked in any case
LEAST, MOST = 0.08, 1.0  # seconds from one look to the next while events go on
SHARE = 2.0  # of the time that looking takes, to be left free after it
CALM = 0.4  # seconds without events after which a burst is over
# an engine says "started" before all of its tables do, and a swarm's manager hears of its tasks later still
SETTLE = (0.35, 1.2, 4.0)  # seconds after the last event at which it is looked once more


class Pace:
    """Tell it what is heard and when it was looked; ``due`` is when to look next, or None. All times in seconds, of one clock."""

    def __init__(self) -> None:
        self._first: float | None = None  # the first event that no look has seen
        self._last: float | None = None  # the last event of all
        self._settled = len(SETTLE)
        self._looked = self._pause = 0.0

    def hear(self, now: float) -> None:
        """Something has changed."""
        if self._first is None:
            self._first = now
        if self._last is None or now - self._last > CALM:
            self._pause = 0.0  # a new burst: its first events are looked at at once
        self._last, self._settled = now, 0

    def look(self, begun: float, ended: float) -> None:
        """It was looked, in this time."""
        self._first = None
        self._looked = ended
        self._pause = min(MOST, max(LEAST, self._pause * 2, (ended - begun) * SHARE))
        while self._last is not None and self._settled < len(SETTLE) and self._last + SETTLE[self._settled] <= begun:
            self._settled += 1

    @property
    def is_calm(self) -> bool:
        """Whether what was looked at last is no longer on its way: to be asked after :meth:`look`."""
        return self._settled > 0

    @property
    def due(self) -> float | None:
        """When to look."""
        if self._last is None:
            return None
        if self._first is not None:
            return max(min(self._last + QUIET, self._first + PATIENCE), self._looked + self._pause)
        return self._last + SETTLE[self._settled] if self._settled < len(SETTLE) else None
