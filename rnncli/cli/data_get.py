"""``rnncli data get``: fetch a known data set."""

import json
from pathlib import Path

import click

from rnncli.data import catalog
from rnncli.data.known_dataset import KnownDataset
from rnncli.data.obtain import obtain
from rnncli.errors import ConfigError


@click.command()
@click.argument("name", required=False)
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path),
    default=Path("data"),
    show_default=True,
    help="The folder it is put into.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def get(name: str | None, directory: Path, as_json: bool) -> None:
    """Fetch the known data set NAME, verify and unpack it; without NAME, list them.

    A download that was interrupted goes on where it stopped when the command is given again.
    """
    if name is None:
        every = catalog.DATASETS.values()
        click.echo(json.dumps([_facts(known, directory) for known in every]) if as_json else _listing())
        return
    try:
        known = catalog.find_dataset(name)
    except ConfigError:
        click.echo(_listing(), err=True)
        raise
    click.echo(f"{known.name}: {known.summary}", err=True)
    try:
        fetched = obtain(known, directory, report=lambda line: click.echo(line, err=True))
    except KeyboardInterrupt:
        click.echo("\nNothing is half made; the same command goes on from here.", err=True)
        raise
    if as_json:
        click.echo(json.dumps({**_facts(known, directory), "fetched": fetched}))
        return
    place = directory / known.target
    click.echo(f"now at       {place}" if fetched else f"there already {place}")
    click.echo(f"contents     {known.contents}")
    click.echo(f"licence      {known.licence}")
    if command := known.next_command(directory):
        click.echo(f"next         {command}")


def _listing() -> str:
    """Return the table of known data sets."""
    width = max(map(len, catalog.DATASETS))
    lines = ["Known data sets (rnncli data get NAME):"]
    for known in catalog.DATASETS.values():
        lines.append(f"  {known.name:<{width}}  {known.summary}")
        lines.append(f"  {'':<{width}}  {_megabytes(known.download_bytes)} to download; {known.licence}")
    return "\n".join(lines)


def _facts(known: KnownDataset, directory: Path) -> dict[str, object]:
    """Return what is known of a data set, for --json."""
    return {
        "name": known.name,
        "summary": known.summary,
        "contents": known.contents,
        "licence": known.licence,
        "download_bytes": known.download_bytes,
        "path": str(directory / known.target),
        "next": known.next_command(directory),
    }


def _megabytes(size: int) -> str:
    """Return a size in bytes as people read it."""
    return f"{size / 1e6:,.1f} MB" if size < 10**7 else f"{size / 1e6:,.0f} MB"
