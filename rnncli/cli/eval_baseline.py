"""What ``rnncli eval --baseline`` prints: the model and simple methods, one below the other."""

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import click
import numpy as np
from numpy.typing import NDArray

from rnncli.baseline_evaluation import Baseline, classifier_baselines, language_baselines, tagger_baselines
from rnncli.cli.eval_options import EvalOptions
from rnncli.cli.tables import table
from rnncli.comparing import mcnemar
from rnncli.data.language.encoding import EncodedText
from rnncli.data.tagging.sentences import Sentence
from rnncli.errors import DataError
from rnncli.evaluation import Evaluation
from rnncli.extras import require
from rnncli.trained import Trained
from rnncli.worded import chance, duration

WAITING = "training the baselines ..."
WIDEST = 110  # columns of a sentence


class _Column(NamedTuple):
    """A figure of the table."""

    head: str
    key: str
    form: str
    within: str | None = None  # the part of a report that has it
    unit: str = ""
    sign: int = 1  # -1: less is better

    def of(self, report: dict[str, Any]) -> float | None:
        """Return the figure; None where there is nothing to count."""
        part = report if self.within is None else report[self.within]
        value: float | None = None if part is None else part[self.key]
        return value


_ACCURACY, _MACRO_F1 = _Column("accuracy", "accuracy", ".2%"), _Column("macro F1", "macro_f1", ".2%")
_LOSS = _Column("loss", "loss", ".4f", unit=" nats per token", sign=-1)
_UNSEEN = _Column("unseen", "unseen_accuracy", ".2%")
_ENTITIES = _Column("entity F1", "f1", ".2%", within="entities", unit=" in entity F1")
_OF_LANGUAGE = (_LOSS, _Column("perplexity", "perplexity", ",.3f"), _Column("bits/char", "bits_per_character", ".4f"))


def need_packages() -> None:
    """Raise RnncliError now rather than after the evaluation if a classifier's baselines cannot be trained."""
    require("sklearn.linear_model", extra="sklearn", purpose="the baselines of a classifier")


def of_classifier(trained: Trained, evaluation: Evaluation, options: EvalOptions) -> dict[str, Any]:
    """Train the baselines of a classifier, print them unless JSON is asked for, and return their figures."""
    with _waiting():
        found = classifier_baselines(trained, evaluation.rows)
    right = evaluation.predicted == evaluation.labels
    return _show(trained, evaluation.report, right, found, (_ACCURACY, _MACRO_F1, _LOSS), "texts", options)


def of_tagger(
    trained: Trained,
    report: dict[str, Any],
    sentences: Sequence[Sentence],
    predicted: Sequence[Sequence[str]],
    options: EvalOptions,
) -> dict[str, Any]:
    """Train the baselines of a tagger, print them unless JSON is asked for, and return their figures."""
    with _waiting():
        found = tagger_baselines(trained, sentences)
    pairs = (
        (tag, true)
        for ours, s in zip(predicted, sentences, strict=True)
        for tag, true in zip(ours, s.tags, strict=True)
    )
    right = np.array([tag == true for tag, true in pairs])
    # Where most words are outside of any entity, a tagger that finds none has a high accuracy.
    columns = (_ACCURACY, _UNSEEN, _MACRO_F1) if report["entities"] is None else (_ENTITIES, _ACCURACY, _UNSEEN)
    return _show(trained, report, right, found, columns, "words", options)


def of_language_model(
    trained: Trained, report: dict[str, Any], text: EncodedText, options: EvalOptions
) -> dict[str, Any]:
    """Count the n-grams that a language model is set beside, print them unless JSON is asked for, and return them."""
    with _waiting():
        found = language_baselines(trained, text, options.order)
    return _show(trained, report, None, found, _OF_LANGUAGE, "tokens", options)


def _show(
    trained: Trained,
    report: dict[str, Any],
    right: NDArray[np.bool_] | None,
    found: Sequence[Baseline],
    columns: Sequence[_Column],
    unit: str,
    options: EvalOptions,
) -> dict[str, Any]:
    """Print the baselines below the model unless JSON is asked for, and return all figures."""
    figures = [_figures(right, baseline) for baseline in found]
    spent = trained.progress.get("sums", {}).get("seconds")
    if not options.as_json:
        name = f"this model ({trained.config.model.rnn.cell})"
        methods = [(name, report, spent), *((one.name, one.report, one.seconds) for one in found)]
        width = shutil.get_terminal_size().columns
        click.echo("\nbaselines, trained on the model's training part")
        for line in _table(methods, columns, width):
            click.echo(line)
        if sentence := better(report, figures, columns[0], unit):
            click.echo(f"\n{click.wrap_text(sentence, min(width, WIDEST))}")
    return {"training_seconds": spent, "baselines": figures}


def _figures(right: NDArray[np.bool_] | None, baseline: Baseline) -> dict[str, Any]:
    """Return all that is known of a baseline, ready for JSON."""
    figures = {"name": baseline.name, **baseline.report, "seconds": baseline.seconds}
    if right is not None and baseline.right is not None:
        test = mcnemar(baseline.right, right)
        figures |= {"alone_right": test.first_only, "model_alone_right": test.second_only, "p": test.p}
    return figures


def _table(
    methods: Sequence[tuple[str, dict[str, Any], float | None]], columns: Sequence[_Column], width: int
) -> list[str]:
    """Lay out the figures; the last ones are left out where a line would be longer than ``width``."""
    lines = table(["", *(column.head for column in columns), "trained in"], [_row(*m, columns) for m in methods])
    if len(columns) > 1 and max(map(len, lines)) > width:
        return _table(methods, columns[:-1], width)
    return lines


def _row(name: str, report: dict[str, Any], seconds: float | None, columns: Sequence[_Column]) -> list[str]:
    values = [column.of(report) for column in columns]
    cells = [
        "-" if value is None else format(value, column.form) for value, column in zip(values, columns, strict=True)
    ]
    return [name, *cells, duration(seconds)]


def better(report: dict[str, Any], found: Sequence[dict[str, Any]], column: _Column, unit: str) -> str | None:
    """Return a sentence about the best baseline if it is better than the model.

    Parameters
    ----------
    report : dict
        The model's figures.
    found : sequence of dict
        The baselines' figures.
    column : _Column
        What to judge by.
    unit : str
        What is right or wrong, in the plural.

    Returns
    -------
    str or None
        Of an accuracy with how often only one of the two is right; of texts, which are independent of each other, with
        the chance of that where both are equally good.
    """
    own = column.of(report)
    judged = [(figure, one) for one in found if (figure := column.of(one)) is not None]
    if own is None or not judged:
        return None
    figure, best = max(judged, key=lambda pair: column.sign * pair[0])
    if column.sign * figure <= column.sign * own:
        return None
    name = best["name"][0].upper() + best["name"][1:]
    said = f"{name}: better than this model, {figure:{column.form}} against {own:{column.form}}{column.unit}"
    if column != _ACCURACY:
        return f"{said}."
    said += (
        f"; right about {best['alone_right']:,} {unit} that the model gets wrong, "
        f"wrong about {best['model_alone_right']:,} that it gets right"
    )
    if unit != "texts":
        return f"{said}."
    p = chance(best["p"])
    return f"{said} (McNemar's exact test: p {p if p.startswith('<') else f'= {p}'})."


@contextmanager
def _waiting() -> Iterator[None]:
    """Say on a terminal that this takes a while, and take it back; say of an error what the data was read for."""
    shown = sys.stderr.isatty()
    if shown:
        click.echo(WAITING, err=True, nl=False)
    try:
        yield
    except DataError as error:
        what = f"{error.what} (--baseline trains on the model's training data)"
        raise DataError(what, where=error.where, remedy=error.remedy) from error
    finally:
        if shown:
            click.echo("\r" + " " * len(WAITING) + "\r", err=True, nl=False)
