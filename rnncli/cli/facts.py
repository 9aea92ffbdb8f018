"""Facts for people: the name of each, and beside it what it is."""

from collections.abc import Iterable

import click

from rnncli.errors import shown_on_one_line


def echo_facts(facts: Iterable[tuple[str, str]]) -> None:
    """Print facts, what they are in one column.

    Parameters
    ----------
    facts : iterable of (str, str)
        The name of each and what it is, which may have several lines.
    """
    facts = list(facts)
    width = max(len(name) for name, _ in facts)
    for name, text in facts:
        for number, line in enumerate(text.split("\n")):
            click.echo(f"{'' if number else name:{width}}  {shown_on_one_line(line)}")
