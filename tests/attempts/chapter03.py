"""Typical mistakes in the exercises of notebook 03."""

from __future__ import annotations

ATTEMPTS: dict[str, dict] = {}
