"""A learner's progress over all notebooks: one small file, which never stops anyone."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from netkit.errors import NetkitError
from netkit.laboratory.inside import covers, mounts
from netkit.places import data_dir, ensure_dirs


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
        if not ensure_dirs([str(path.parent)]) or (number and not read_progress(path).get(number, Entry()).passed):
            return f"{path} cannot be written: set NETKIT_PROGRESS to a file that can"
        own = {os.stat(place).st_dev for place in (*mounts.LAYERED, "/run", covers.STORE) if mounts.is_inside()}
        if os.stat(path.parent).st_dev in own:
            return f"{path.parent} is the lab's own and ends with it: set NETKIT_PROGRESS to a file elsewhere"
        return ""
    except NetkitError as error:  # a user without a home
        return str(error)


def read_progress(path: Path | None = None) -> dict[str, Entry]:
    """What is recorded, by exercise; nothing for a file that is missing, unreadable or corrupt."""
    try:
        rows = json.loads((path or progress_file()).read_bytes())
        return {str(number): _read_entry(row) for number, row in rows.items()}
    except (NetkitError, OSError, ValueError, AttributeError, TypeError, RecursionError):
        return {}


def _read_entry(row: dict) -> Entry:
    checks = row.get("checks", 0)
    if type(checks) is not int:
        raise TypeError("a count is a whole number")
    return Entry(checks, row.get("passed") is True)


def record(number: str, passed: bool, path: Path | None = None) -> Entry:
    """Note the result of a check; returns the exercise's entry. What cannot be written is let go.

    A corrupt file is put aside, not overwritten. Several notebooks may record at once.
    """
    with contextlib.suppress(NetkitError, OSError), _locked(path := path or progress_file()):
        if path.exists() and not read_progress(path) and path.read_bytes().strip() not in (b"", b"{}"):
            os.replace(path, path.with_suffix(".broken"))
        entries = read_progress(path)
        entry = _after(entries.get(number, Entry()), passed)
        _write(path, entries | {number: entry})
        return entry
    return _after(read_progress(path).get(number, Entry()), passed)


def _after(entry: Entry, passed: bool) -> Entry:
    return Entry(entry.checks + 1, entry.passed or passed)


@contextlib.contextmanager
def _locked(path: Path):
    ensure_dirs([str(path.parent)])
    with open(path.with_suffix(".lock"), "a", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write(path: Path, entries: dict[str, Entry]) -> None:
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_text(json.dumps({number: asdict(entry) for number, entry in sorted(entries.items())}, indent=1), encoding="utf-8")
    os.replace(part, path)
