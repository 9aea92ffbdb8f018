"""The command line: one file per command, each of which parses, calls one function and prints.

Commands are imported when they are run, so that ``rnncli --help`` costs no more than click.
"""

import os
import sys
from importlib import import_module
from io import TextIOWrapper
from typing import Any, NoReturn

import click

from rnncli import __version__
from rnncli.blas import default_to_one_thread
from rnncli.errors import RnncliError

# Command name -> (module, short help). The function or group in the module is called `command`.
COMMANDS = {
    "init": ("rnncli.cli.init", "Look at data and write a config that trains on it."),
    "plan": ("rnncli.cli.plan", "Say what training will take: time, memory, disk."),
    "train": ("rnncli.cli.train", "Train a model from a YAML config."),
    "sweep": ("rnncli.cli.sweep", "Try many settings and keep the best."),
    "eval": ("rnncli.cli.eval", "Say how good a checkpoint is."),
    "report": ("rnncli.cli.report", "Write an HTML page with all there is to see of runs."),
    "compare": ("rnncli.cli.compare", "Set runs beside each other, with tests of their differences."),
    "metrics": ("rnncli.cli.metrics", "Show the figures a run has recorded, or write them as CSV."),
    "explain": ("rnncli.cli.explain", "Show which words pushed a prediction."),
    "predict": ("rnncli.cli.predict", "Predict the labels of new texts."),
    "sample": ("rnncli.cli.sample", "Let a language model make up text."),
    "export": ("rnncli.cli.export", "Write a trained model for other tools."),
    "import": ("rnncli.cli.import_", "Make a checkpoint of torch weights."),
    "gradcheck": ("rnncli.cli.gradcheck", "Prove the gradients, of every layer or of a config's model."),
    "verify-resume": ("rnncli.cli.verify_resume", "Prove that a killed and resumed run ends in the same bits."),
    "layers": ("rnncli.cli.layers", "List cells, poolings, losses, optimizers, schedules, readers."),
    "data": ("rnncli.cli.data", "Fetch known data sets, check a config's data."),
    "config": ("rnncli.cli.config", "Show a config with every default and its meaning."),
}


class LazyGroup(click.Group):
    """A group that imports a command's module only when that command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, in the order people meet them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command called ``cmd_name``, or None."""
        if cmd_name not in COMMANDS:
            return None
        if "_RNNCLI_COMPLETE" in os.environ:
            from rnncli.cli.completing import stand_in

            if (quick := stand_in(cmd_name)) is not None:
                return quick
        command = import_module(COMMANDS[cmd_name][0]).command
        assert isinstance(command, click.Command)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Complete the name of a command without importing any."""
        from click.shell_completion import CompletionItem

        options = click.Command.shell_complete(self, ctx, incomplete)
        names = [name for name in COMMANDS if name.startswith(incomplete)]
        return [*(CompletionItem(name, help=COMMANDS[name][1]) for name in names), *options]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, short_help) for name, (_, short_help) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rnncli")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Train RNN, LSTM and GRU text models from one YAML file, in NumPy."""
    if os.environ.get("NO_COLOR"):  # https://no-color.org; off a terminal click leaves colours out itself
        ctx.color = False


def main() -> NoReturn:
    """Run the command line; every RnncliError becomes one line and its exit code."""
    default_to_one_thread()
    if "_RNNCLI_COMPLETE" in os.environ:
        import_module("rnncli.cli.completing")  # Bash's part of it, before click asks for that
    if isinstance(sys.stdout, TextIOWrapper):  # a path may hold what its encoding does not
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        result = cli.main(standalone_mode=False, prog_name="rnncli")
        sys.exit(result if isinstance(result, int) else 0)
    except click.exceptions.Abort:
        click.echo("rnncli: interrupted", err=True)
        sys.exit(130)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        remedy = f" See: {context.command_path} --help" if context else ""
        click.echo(f"rnncli: {' '.join(error.format_message().split())}{remedy}", err=True)
        sys.exit(error.exit_code)
    except RnncliError as error:
        click.echo(f"rnncli: {error}", err=True)
        sys.exit(error.exit_code)
    except MemoryError as error:
        _fail(f"out of memory: {error}. Choose a smaller model, batch or vocabulary")
    except OSError as error:  # what no RnncliError names: above all, output that is redirected to a full disk
        sys.stdout = None  # what is left in it would fail again on exit
        _fail(f"{error.filename or 'output'}: {error.strerror or error}")


def _fail(message: str) -> NoReturn:
    click.echo(f"rnncli: {message}", err=True)
    sys.exit(1)
