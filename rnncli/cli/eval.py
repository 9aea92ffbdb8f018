"""``rnncli eval``."""

from importlib import import_module
from pathlib import Path
from typing import Any

import click

from rnncli.cli.completing import complete_checkpoint
from rnncli.cli.eval_options import EvalOptions
from rnncli.cli.given_data import takes_data
from rnncli.cli.numbers import NumberRange
from rnncli.cli.options import CheckpointPath
from rnncli.thresholds import GOALS
from rnncli.trained import load_trained

# Task -> the module that evaluates it, and the options that have no effect on it.
_TWO_CLASSES = ("threshold", "find_threshold", "positive")
TASKS: dict[str, tuple[str, tuple[str, ...]]] = {
    "classification": ("rnncli.cli.eval_classification", ("order",)),
    "tagging": ("rnncli.cli.eval_tagging", ("text", "label", "word_index", "order", *_TWO_CLASSES)),
    "language_model": ("rnncli.cli.eval_language", ("format", "text", "label", "word_index", *_TWO_CLASSES)),
}


@click.command("eval")
@click.argument(
    "checkpoints",
    nargs=-1,
    required=True,
    metavar="CHECKPOINT",
    type=CheckpointPath(),
    shell_complete=complete_checkpoint,
)
@takes_data
@click.option("--predictions", type=click.Path(path_type=Path), help="Write what is predicted to this file.")
@click.option("--ensemble", is_flag=True, help="Average the probabilities of several checkpoints: A B C --ensemble.")
@click.option("--baseline", is_flag=True, help="Train simple methods on the same data and set them beside it.")
@click.option(
    "--order",
    type=click.IntRange(1, 20),
    help="Tokens of the longest n-grams of a language model's --baseline.  [default: 6 of characters, else 5]",
)
@click.option("--find-threshold", type=click.Choice(GOALS), help="Choose the threshold between two labels for this.")
@click.option("--threshold", type=NumberRange(0, 1), help="Call a text positive from this probability on.")
@click.option("--positive", metavar="LABEL", help="The label that a threshold is of.  [default: the second one]")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def command(checkpoints: tuple[Path, ...], ensemble: bool, **given: Any) -> None:
    """Say how good a checkpoint is.

    CHECKPOINT is a file, or the folder of a run, of which the best one is meant. It is judged on the test data of its
    config; without any, on the validation part; or on --data.

    With --predictions a classifier writes one JSON line per text; a tagger the file of sentences with its tags; a
    language model one JSON line per line of the text with what it costs.

    With --baseline: of texts the most frequent label, and NB-SVM on words and pairs of words; of words their most
    frequent tag; of a language model n-grams with Kneser-Ney smoothing.

    With --ensemble: several checkpoints with the same labels, each by itself, and the average of their probabilities.

    A threshold is chosen on the validation part, whatever is evaluated.
    """
    options = EvalOptions(checkpoint=checkpoints[0], **given)
    if ensemble and len(checkpoints) < 2:
        raise click.UsageError("--ensemble needs two checkpoints at least.")
    if len(checkpoints) > 1 and not ensemble:
        raise click.UsageError(
            "Several checkpoints: --ensemble averages them, and rnncli compare sets them beside each other."
        )
    if options.order is not None and not options.baseline:
        raise click.UsageError("--order is of the n-grams of --baseline, which is missing.")
    if options.threshold is not None and options.find_threshold is not None:
        raise click.UsageError("--threshold gives what --find-threshold chooses: leave one of them out.")
    if options.positive is not None and options.threshold is None and options.find_threshold is None:
        raise click.UsageError("--positive is of --threshold or --find-threshold, which are missing.")
    if ensemble:
        import_module("rnncli.cli.eval_ensemble").evaluate(checkpoints, options)
        return
    trained = load_trained(options.checkpoint).use_average()
    task = trained.config.task
    module, without_effect = TASKS[task]
    options.refuse_for(task, *without_effect)
    import_module(module).evaluate(trained, options)
