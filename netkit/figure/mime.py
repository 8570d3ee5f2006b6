"""How a notebook gets a figure: with its text, for those who cannot see it, and for nbval."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def make_bundle(text: str, figure: Figure) -> tuple[dict, dict]:
    """What ``_repr_mimebundle_`` returns: data and metadata by MIME type."""
    from netkit.figure.draw import to_png

    png = base64.b64encode(to_png(figure)).decode()
    return {"text/plain": text, "image/png": png}, {"image/png": {"alt": text}}
