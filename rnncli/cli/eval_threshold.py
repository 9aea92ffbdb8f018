"""``rnncli eval`` with a threshold between two labels, given or to be chosen."""

import shlex
import shutil
from collections.abc import Sequence
from typing import Any

import click

from rnncli.cli.eval_baseline import WIDEST
from rnncli.cli.eval_options import EvalOptions
from rnncli.cli.tables import table
from rnncli.config import Config
from rnncli.data.rows import short_label
from rnncli.errors import ConfigError, DataError
from rnncli.evaluation import Evaluation, evaluate, validation_rows
from rnncli.thresholds import Threshold, find_threshold, threshold_figures
from rnncli.trained import Trained

GOALS = {"f1": "F1", "accuracy": "accuracy", "balanced_accuracy": "balanced accuracy"}
HEADS = ["threshold", "accuracy", "balanced", "precision", "recall", "F1"]
USUAL = 0.5


def given_threshold(options: EvalOptions, labels: Sequence[str]) -> Threshold | None:
    """Return the threshold that is given.

    Raises
    ------
    ConfigError
        If a threshold is given or to be chosen, and there are not two labels, or the positive one is none of them.
    """
    if options.threshold is None and options.find_threshold is None:
        return None
    if len(labels) != 2:
        option = "--threshold" if options.threshold is not None else "--find-threshold"
        raise ConfigError(f"is for two labels; this classifier has {len(labels)}", where=option, remedy="Leave it out")
    positive = _positive(options, labels)
    return None if options.threshold is None else Threshold(positive, options.threshold)


def at_given(trained: Trained, evaluation: Evaluation, threshold: Threshold, options: EvalOptions) -> dict[str, Any]:
    """Print what to type to predict with a threshold, unless JSON is asked for, and return its figures."""
    if not options.as_json:
        _next(trained, threshold, options)
    label = trained.learned.labels[threshold.positive]
    return {"positive": label, "value": threshold.value, "at": [_judged(evaluation, threshold)]}


def at_found(trained: Trained, evaluation: Evaluation, name: str, options: EvalOptions) -> dict[str, Any]:
    """Choose a threshold on the validation part, print it unless JSON is asked for, and return what is found."""
    config, goal, labels = trained.config, options.find_threshold, trained.learned.labels
    assert isinstance(config, Config)
    assert goal is not None
    positive = _positive(options, labels)
    same = options.given is None and config.data.test is None
    chooser, chosen_on = evaluation, name.partition(";")[0]
    if not same:
        rows, chosen_on = validation_rows(config)
        chooser = evaluate(trained, rows)
    if len(set(chooser.labels.tolist())) < 2:
        raise DataError(
            f"all texts have the label {labels[int(chooser.labels[0])]!r}, which no threshold can be chosen by",
            where=chosen_on,
            remedy="Leave --find-threshold out",
        )
    threshold = find_threshold(chooser.labels, chooser.probabilities, positive, goal)
    tried = [_judged(evaluation, Threshold(positive, value)) for value in dict.fromkeys([USUAL, threshold.value])]
    if not options.as_json:
        label = short_label(labels[positive])
        said = f"threshold   {threshold.value} of {label}: the best {GOALS[goal]} on the {chosen_on}"
        said += "; chosen on the very texts below, it looks better than it will on others" if same else ""
        width = min(shutil.get_terminal_size().columns, WIDEST)
        click.echo(f"\n{click.wrap_text(said, width, subsequent_indent=' ' * 12)}")
        heads = [*HEADS[:3], *(f"{head} of {label}" if head == "F1" else head for head in HEADS[3:])]
        keys = ("accuracy", "balanced_accuracy", "precision", "recall", "f1")
        rows_shown = [[str(one["threshold"]), *(f"{one[key]:.2%}" for key in keys)] for one in tried]
        click.echo("")
        for line in table(heads, rows_shown, left=0):
            click.echo(line)
        _next(trained, threshold, options)
    return {
        "positive": labels[positive],
        "goal": goal,
        "chosen_on": chosen_on,
        "chosen_on_evaluated_texts": same,
        "value": threshold.value,
        "at": tried,
    }


def _judged(evaluation: Evaluation, threshold: Threshold) -> dict[str, float]:
    return threshold_figures(evaluation.labels, evaluation.probabilities, threshold)


def _positive(options: EvalOptions, labels: Sequence[str]) -> int:
    """Return the positive class."""
    if options.positive is None:
        return 1
    if options.positive not in labels:
        raise ConfigError(
            f"{options.positive!r} is not a label of this classifier",
            where="--positive",
            remedy=f"Give {' or '.join(labels)}",
        )
    return list(labels).index(options.positive)


def _next(trained: Trained, threshold: Threshold, options: EvalOptions) -> None:
    """Say how to predict with a threshold."""
    words = ["rnncli", "predict", str(options.checkpoint), "--threshold", str(threshold.value)]
    if threshold.positive != 1:
        words += ["--positive", trained.learned.labels[threshold.positive]]
    click.echo(f"\nnext: {shlex.join(words)}")
