"""Typical mistakes in the exercises of notebook 05."""

from __future__ import annotations

ATTEMPTS: dict[str, dict] = {}
