#!/usr/bin/env python3
"""Restart kernel and run all, again and again: every notebook, in random order, several at once.

    .venv/bin/python tools/soak_notebooks.py [--rounds 20] [--jobs 2] [--seed N] [NOTEBOOK...]

Each run is a fresh kernel under nbval, its outputs compared strictly. Prints the seed of the order, and
what failed; ends with status 1 if anything did.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.validating import validate_notebook  # noqa: E402


def validate(path: Path) -> tuple[Path, float, str]:
    """One run: the notebook, its seconds, and what nbval said if it failed."""
    begun = time.monotonic()
    done = validate_notebook(path, timeout=600)
    return path, time.monotonic() - begun, done.stdout if done.returncode else ""


def main() -> int:
    """Run them all; returns 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("notebooks", nargs="*", type=Path, help="all of notebooks/ unless given")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=2, help="how many at once")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options = parser.parse_args()
    paths = (options.notebooks or sorted((ROOT / "notebooks").glob("*.ipynb"))) * options.rounds
    random.Random(options.seed).shuffle(paths)
    print(f"seed {options.seed}: {len(paths)} runs, {options.jobs} at once", flush=True)
    failed, slowest = 0, 0.0
    with ThreadPoolExecutor(options.jobs) as pool:
        for path, seconds, said in pool.map(validate, paths):
            slowest = max(slowest, seconds)
            failed += bool(said)
            print(f"{path.name}: {'FAILED' if said else 'passed'}, {seconds:.1f} s", flush=True)
            print(said[-4000:], end="", flush=True)
    print(f"{len(paths) - failed} of {len(paths)} passed, the slowest in {slowest:.1f} s")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
