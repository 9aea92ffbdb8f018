"""Options that several commands have."""

import click

from rnncli.cli.completing import complete_setting

set_option = click.option(
    "--set",
    "overrides",
    metavar="KEY=VALUE",
    multiple=True,
    help="Change a key of the config; any number of times.",
    shell_complete=complete_setting,
)
