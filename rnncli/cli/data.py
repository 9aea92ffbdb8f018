"""``rnncli data``: fetch known data sets, and look at a config's data before training on it."""

import json
from pathlib import Path

import click

from rnncli.cli.options import set_option
from rnncli.errors import ConfigError


class _DataGroup(click.Group):
    """A group that imports the downloader only when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, in the order people meet them."""
        return ["get", *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command called ``cmd_name``, or None."""
        if cmd_name != "get":
            return super().get_command(ctx, cmd_name)
        from rnncli.cli.data_get import get

        return get


@click.group(name="data", cls=_DataGroup)
def command() -> None:
    """Fetch known data sets, check a config's data."""


@command.command(short_help="Say what the data of a config is like.")
@click.argument("path", metavar="CONFIG", type=click.Path(path_type=Path))
@set_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@click.pass_context
def check(ctx: click.Context, path: Path, overrides: tuple[str, ...], as_json: bool) -> None:
    """Read the data that CONFIG names and say what it is like: rows, labels, lengths, vocabulary, repeats, overlaps.

    Each bad row is listed with its file, its line and what to do. The exit code is 1 if there is any, or if anything
    else would stop training or evaluation.
    """
    from dataclasses import asdict

    from rnncli.config import Config, load_config
    from rnncli.data.check import check_data
    from rnncli.data.check_text import report_lines

    config = load_config(path, overrides)
    if not isinstance(config, Config):
        raise ConfigError(
            f"looks at the texts of a classifier; this config is of task {config.task}",
            where="rnncli data check",
            remedy=f"What is wrong with the data is also said by: rnncli train {path}",
        )
    report = check_data(config.data, config.split_seed)
    if as_json:
        click.echo(json.dumps({"ok": report.ok, **asdict(report)}, indent=2))
    else:
        for line in report_lines(report, config.data):
            click.echo(line)
    if not report.ok:
        ctx.exit(1)
