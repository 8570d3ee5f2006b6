"""Typical mistakes in the exercises of notebook 04."""

from __future__ import annotations

ATTEMPTS: dict[str, dict] = {}
