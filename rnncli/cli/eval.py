"""``rnncli eval``."""

import json
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from rnncli.cli.outputs import data_files, output_file, refuse_to_overwrite
from rnncli.cli.predictions import OPTION, write_predictions
from rnncli.config import Config
from rnncli.data.rows import short_label
from rnncli.errors import ConfigError
from rnncli.evaluation import evaluate, rows_of_config, source_for_file
from rnncli.trained import load_trained

MAX_MATRIX = 20
MAX_CONFUSIONS = 20
FORMATS = ["csv", "tsv", "jsonl", "fasttext", "aclimdb", "keras_imdb"]
SENTENCE_FORMATS = ["conllu", "columns"]


@click.command("eval")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), help="Evaluate on this file or folder instead.")
@click.option(
    "--format",
    "data_format",
    type=click.Choice(FORMATS + SENTENCE_FORMATS),
    help="Format of --data.  [default: by its ending]",
)
@click.option("--text", "text_column", metavar="COLUMN", help="Column of --data that holds the text.")
@click.option("--label", "label_column", metavar="COLUMN", help="Column of --data that holds the label.")
@click.option("--word-index", type=click.Path(path_type=Path), help="imdb_word_index.json, for --data in keras_imdb.")
@click.option("--predictions", type=click.Path(path_type=Path), help="Write what is predicted to this file.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def command(
    checkpoint: Path,
    data: Path | None,
    data_format: str | None,
    text_column: str | None,
    label_column: str | None,
    word_index: Path | None,
    predictions: Path | None,
    as_json: bool,
) -> None:
    """Say how good a checkpoint is.

    On the test data of its config; without any, on the validation part; or on --data.

    With --predictions a classifier writes one JSON line per text; a tagger the file of sentences with its tags; a
    language model one JSON line per line of the text with what it costs.
    """
    options = {"text": text_column, "label": label_column, "word_index": word_index}
    given = {key: str(value) for key, value in options.items() if value is not None}
    if data is None and (data_format or given):
        raise click.UsageError("--format, --text, --label and --word-index describe --data, which is missing.")
    trained = load_trained(checkpoint).use_average()
    config = trained.config
    if not isinstance(config, Config):
        _refuse_options({**given, "format": data_format} if config.task == "language_model" else given, config.task)
        if config.task == "tagging":
            from rnncli.cli import eval_tagging

            eval_tagging.evaluate(trained, checkpoint, data, data_format, predictions, as_json)
        else:
            from rnncli.cli import eval_language

            eval_language.evaluate(trained, checkpoint, data, predictions, as_json)
        return
    if data_format in SENTENCE_FORMATS:
        raise ConfigError(f"{data_format} is for taggers", where="--format", remedy=f"Give {', '.join(FORMATS)}")
    if data is not None:
        config = config.model_copy(update={"data": source_for_file(config, data, data_format, given)})
    rows, name = rows_of_config(config)
    with ExitStack() as stack:
        file = None
        if predictions is not None:  # opened first: scoring may take long, and be for nothing
            refuse_to_overwrite(OPTION, predictions, [checkpoint], data_files([trained.config.data, config.data]))
            file = stack.enter_context(output_file(OPTION, predictions))
        start = time.perf_counter()
        evaluation = evaluate(trained, rows)
        seconds = time.perf_counter() - start
        if predictions is not None and file is not None:
            write_predictions(predictions, file, evaluation, trained.learned.labels)
    if as_json:
        speed = {"tokens": evaluation.tokens, "seconds": seconds}
        click.echo(json.dumps({"checkpoint": str(checkpoint), "data": name, **evaluation.report, **speed}))
        return
    click.echo(f"checkpoint  {checkpoint} ({config.model.rnn.cell}, step {trained.progress['step']})")
    click.echo(f"data        {name}")
    for line in report_lines(evaluation.report):
        click.echo(line)
    click.echo(f"\n{len(rows):,} texts, {evaluation.tokens:,} tokens in {seconds:.1f} s")


def _refuse_options(given: Mapping[str, str | None], task: str) -> None:
    """Raise for what only a classifier's data is described by."""
    for key, value in given.items():
        if value is not None:
            option = f"--{key.replace('_', '-')}"
            raise ConfigError(f"has no effect on task {task}", where=option, remedy="Leave it out")


def report_lines(report: dict[str, Any]) -> list[str]:
    """Lay out the figures of an evaluation.

    Parameters
    ----------
    report : dict
        From :func:`rnncli.metrics.classification_report`.

    Returns
    -------
    list of str
        Lines for people.
    """
    labels = [scores["label"] for scores in report["classes"]]
    names = [short_label(label) for label in labels]
    width = max(10, *(len(name) for name in names))
    lines = [f"loss        {report['loss']:.4f} nats", f"accuracy    {report['accuracy']:.2%}"]
    if report["roc_auc"] is not None:
        lines.append(f"ROC AUC     {report['roc_auc']:.4f}")
    lines += ["", f"{'':{width}}  precision   recall       F1   texts"]
    macro = {key: report[f"macro_{key}"] for key in ("precision", "recall", "f1")}
    for scores in [*report["classes"], {"label": "macro", **macro, "support": report["rows"]}]:
        lines.append(
            f"{short_label(scores['label']):{width}}  {scores['precision']:>9.2%} {scores['recall']:>8.2%} "
            f"{scores['f1']:>8.2%} {scores['support']:>7,}"
        )
    if len(labels) > MAX_MATRIX:
        return [*lines, "", *_frequent_confusions(names, width, report["confusion"])]
    lines += ["", "confusion: a row for each true label, a column for each predicted one"]
    heads = [short_label(label, 16) for label in labels]
    cell = max(8, *(len(head) + 2 for head in heads))
    lines.append(" " * width + "".join(f"{head:>{cell}}" for head in heads))
    for name, counts in zip(names, report["confusion"], strict=True):
        lines.append(f"{name:{width}}" + "".join(f"{count:>{cell},}" for count in counts))
    return lines


def _frequent_confusions(names: list[str], width: int, confusion: list[list[int]]) -> list[str]:
    """Return the pairs of labels that are taken for each other most often, where a matrix would be too wide."""
    wrong = [
        (-count, true, predicted)
        for true, counts in enumerate(confusion)
        for predicted, count in enumerate(counts)
        if count and true != predicted
    ]
    shown = sorted(wrong)[:MAX_CONFUSIONS]
    lines = [f"most frequent confusions: {len(shown)} of {len(wrong):,} pairs"]
    if shown:
        lines.append(f"{'true':{width}}  {'predicted':{width}}   texts")
    return lines + [
        f"{names[true]:{width}}  {names[predicted]:{width}} {-count:>7,}" for count, true, predicted in shown
    ]
