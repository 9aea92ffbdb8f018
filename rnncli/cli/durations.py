"""Times that options take."""

import re
from typing import Any

import click

SECONDS = {"s": 1, "m": 60, "h": 3600}
MOST = 30 * 24 * 3600
_WHOLE = re.compile(r"(?:\d+(?:\.\d+)?\s*[smh]\s*)+", re.ASCII)
_PART = re.compile(r"([\d.]+)\s*([smh])", re.ASCII)


class Duration(click.ParamType):  # type: ignore[type-arg]
    """A time with its unit, such as ``90s``, ``5m``, ``1.5h`` or ``1h30m``; given as seconds."""

    name = "time"

    @staticmethod
    def of(text: str) -> float:
        """Return the seconds of a text that is a time."""
        return sum(float(number) * SECONDS[unit] for number, unit in _PART.findall(text))

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds; of anything else say what is allowed."""
        if isinstance(value, int | float):
            return float(value)
        text = str(value).strip().lower()
        if re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII):
            self.fail(f"{text} has no unit: type {text}s for seconds, {text}m for minutes or {text}h for hours.")
        if not _WHOLE.fullmatch(text):
            self.fail(f"{value!r} is no time; type a number and s, m or h, such as 90s, 5m or 2h.")
        seconds = self.of(text)
        if not 1 <= seconds <= MOST:
            self.fail(f"{text[:20]} is not between 1s and {MOST // 3600}h.")
        return seconds
