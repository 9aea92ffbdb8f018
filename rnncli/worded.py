"""Figures as people read them, with their units."""

import json
import math
from typing import Any


def duration(seconds: float | None) -> str:
    """Return a time in words: ``7.1 s``, ``1 min 13 s``, ``2 h 05 min``; ``-`` where there is none."""
    if seconds is None:
        return "-"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min"


def setting(value: Any) -> str:
    """Return the value of a config key as YAML has it, ``-`` where there is none."""
    if value is None:
        return "-"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def count(value: float | None, unit: str = "") -> str:
    """Return a whole number with its unit, ``-`` where there is none."""
    return "-" if value is None else f"{value:,.0f}{unit and ' ' + unit}"


def chance(p: float) -> str:
    """Return a p-value with two digits that mean something."""
    if p < 0.001:
        return "<0.001"
    return f"{p:.2f}" if p >= 0.0995 else f"{p:.3f}"


def compact(value: float) -> str:
    """Return a number with as many digits as tell something, such as ``0.6931`` or ``3.1e-05``."""
    if not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e15:
        return f"{value:,.0f}"
    return f"{value:.1e}" if abs(value) < 0.001 else f"{value:,.4f}" if abs(value) < 100 else f"{value:,.1f}"
