"""HTML of a report: sections, tables, grids of figures. Texts are escaped here; arguments called html are not."""

from collections.abc import Container, Iterable, Sequence
from html import escape
from typing import NamedTuple

STYLE = """
.figures { display: grid; gap: 0.5rem 1.5rem; grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr)); }
.figures figure { margin: 0.5rem 0; }
details { margin: 0.5rem 0; } summary { cursor: pointer; }
section { scroll-margin-top: 1rem; }
.heat th, .heat td { padding: 0.2rem 0.4rem; }
.heat thead th { font-size: 0.85rem; vertical-align: bottom; }
.beside { display: flex; flex-wrap: wrap; gap: 0 3rem; } .beside > div { max-width: 100%; }
.mistake { border-left: 3px solid var(--line); padding-left: 0.8rem; margin: 1.2rem 0; }
.mistake > div { max-height: 14rem; overflow-y: auto; }
.mistake p { margin: 0.2rem 0; }
mark { background: none; color: inherit; font-weight: 700; border-bottom: 3px solid rgb(var(--against)); }
.tag { font-size: 0.85em; color: var(--faint); white-space: nowrap; }
.key { display: inline-block; padding: 0 0.3em; border-radius: 0.2em; }
.config i { font-style: normal; color: var(--faint); }
@media (max-width: 40rem) { .config i { display: block; white-space: normal; padding-left: 3rem; } }
td.number, .tight td { white-space: nowrap; }
.many { font-size: 0.8rem; } .many th, .many td { padding: 0.15rem 0.3rem; } .heat.many thead th { font-size: 0.7rem; }
th[scope="row"] { position: sticky; left: 0; background: var(--paper); max-width: 20rem; }
@media (max-width: 40rem) { th[scope="row"] { max-width: 45vw; } }
.heat th { white-space: nowrap; }
"""


class Section(NamedTuple):
    """A part of a report.

    Attributes
    ----------
    title : str
        Its heading, by which it is found in the list at the top.
    html : str
        What is in it.
    """

    title: str
    html: str

    @property
    def anchor(self) -> str:
        """The id that the list at the top leads to."""
        return self.title.lower().replace(" ", "-")


def sections_html(sections: Sequence[Section]) -> str:
    """Return sections with a list of them before."""
    links = "".join(f'<li><a href="#{part.anchor}">{escape(part.title)}</a></li>' for part in sections)
    bodies = "".join(
        f'<section id="{part.anchor}"><h2>{escape(part.title)}</h2>\n{part.html}</section>\n' for part in sections
    )
    return f"<nav><ul>{links}</ul></nav>\n{bodies}"


def table_html(
    heads: Sequence[str], rows: Iterable[Sequence[str]], *, words: Container[int] = (0,), kind: str = ""
) -> str:
    """Return a table of texts whose first column names the rows.

    Parameters
    ----------
    heads : sequence of str
        The name of each column.
    rows : iterable of sequence of str
        The cells.
    words : container of int
        The columns that are words; the others are numbers, which end at the same place.
    kind : str
        A class for the table.

    Returns
    -------
    str
        It scrolls by itself where it is wider than the page.
    """
    classes = ["" if place in words else ' class="number"' for place in range(len(heads))]
    head = "".join(f"<th{form}>{escape(text)}</th>" for text, form in zip(heads, classes, strict=True))
    lines = []
    for first, *others in rows:
        cells = "".join(f"<td{form}>{escape(text)}</td>" for text, form in zip(others, classes[1:], strict=True))
        lines.append(f'<tr><th scope="row">{escape(first)}</th>{cells}</tr>')
    return scrolled(f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody>", kind)


def scrolled(html: str, kind: str = "") -> str:
    """Return rows as a table that scrolls by itself; the keyboard reaches it too."""
    name = f' class="{kind}"' if kind else ""
    return f'<div class="scroll" tabindex="0"><table{name}>{html}</table></div>'


def figures_html(figures: Iterable[tuple[str, str]]) -> str:
    """Return pictures, given as SVG with a caption each, beside each other where there is room."""
    found = "".join(
        f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>" for svg, caption in figures if svg
    )
    return f'<div class="figures">{found}</div>\n'


def note(text: str) -> str:
    """Return a remark."""
    return f'<p class="faint">{escape(text)}</p>\n'
