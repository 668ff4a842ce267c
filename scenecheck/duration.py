"""Durations as people write them: ``15``, ``1.5``, ``15s``, ``2m``."""

from __future__ import annotations

import re

EXPECTED = "seconds as 15, 1.5, 15s or 2m, more than 0 and at most an hour"

_DURATION = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)\s*([sm]?)", re.ASCII | re.IGNORECASE)


def seconds(text: str) -> float:
    """Seconds of ``15``, ``1.5``, ``15s`` or ``2m``. Raises ValueError outside of 0 (excluded) to 3600."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"expected {EXPECTED}")
    value = round(float(match[1]) * (60.0 if match[2].lower() == "m" else 1.0), 6)
    if not 0.0 < value <= 3600.0:
        raise ValueError(f"expected {EXPECTED}")
    return value
