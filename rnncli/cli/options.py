"""Arguments and options that several commands have."""

from pathlib import Path
from typing import Any

import click

from rnncli.cli.completing import complete_checkpoint, complete_setting


class CheckpointPath(click.Path):
    """A checkpoint, or the folder of a run, of which the best one is meant."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the checkpoint."""
        from rnncli.run_dir import find_checkpoint  # with all of the config, which completing does not need

        path = super().convert(value, param, ctx)
        assert isinstance(path, Path)
        return find_checkpoint(path)


checkpoint_argument = click.argument("checkpoint", type=CheckpointPath(), shell_complete=complete_checkpoint)

set_option = click.option(
    "--set",
    "overrides",
    metavar="KEY=VALUE",
    multiple=True,
    help="Change a key of the config; any number of times.",
    shell_complete=complete_setting,
)
