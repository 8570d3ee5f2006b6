"""Typical mistakes in the exercises of notebook 02."""

from __future__ import annotations

ATTEMPTS: dict[str, dict] = {}
