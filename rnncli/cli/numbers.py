"""Numbers that options take."""

import math
from typing import Any

import click


class NumberRange(click.FloatRange):
    """A range of numbers without nan, which click takes for a part of every range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number; of anything else click says what is allowed."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"nan is not in the range {self._describe_range()}.", param, ctx)
        return number
