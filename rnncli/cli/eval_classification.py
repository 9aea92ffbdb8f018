"""``rnncli eval`` for a classifier."""

import json
import time
from typing import Any

import click

from rnncli.cli import eval_baseline, eval_threshold
from rnncli.cli.eval_options import EvalOptions
from rnncli.cli.outputs import data_files
from rnncli.cli.predictions import predictions_file, write_predictions
from rnncli.config import Config
from rnncli.data.rows import short_label
from rnncli.errors import ConfigError
from rnncli.evaluation import evaluate as evaluate_classifier
from rnncli.evaluation import rows_of_config, source_for_file
from rnncli.outcomes import GivenData
from rnncli.trained import Trained

MAX_MATRIX = 20
MAX_CONFUSIONS = 20
FORMATS = ["csv", "tsv", "jsonl", "fasttext", "aclimdb", "keras_imdb"]


def evaluate(trained: Trained, options: EvalOptions) -> None:
    """Evaluate a classifier and print what is found."""
    config = trained.config
    assert isinstance(config, Config)
    threshold = eval_threshold.given_threshold(options, trained.learned.labels)
    if options.baseline:
        eval_baseline.need_packages()
    config = with_given_data(config, options.given)
    rows, name = rows_of_config(config)
    predictions = options.predictions
    with predictions_file(predictions, [options.checkpoint], data_files([trained.config.data, config.data])) as file:
        start = time.perf_counter()
        evaluation = evaluate_classifier(trained, rows, threshold)
        seconds = time.perf_counter() - start
        if predictions is not None and file is not None:
            write_predictions(predictions, file, evaluation, trained.learned.labels)
    report: dict[str, Any] = {"checkpoint": str(options.checkpoint), "data": name, **evaluation.report}
    report |= {"tokens": evaluation.tokens, "seconds": seconds}
    if not options.as_json:
        click.echo(f"checkpoint  {options.checkpoint} ({config.model.rnn.cell}, step {trained.progress['step']})")
        click.echo(f"data        {name}")
        if threshold is not None:
            label = short_label(trained.learned.labels[threshold.positive])
            click.echo(f"threshold   {label} from probability {threshold.value} on")
        for line in report_lines(evaluation.report):
            click.echo(line)
        click.echo(f"\n{len(rows):,} texts, {evaluation.tokens:,} tokens in {seconds:.1f} s")
    if options.baseline:
        report |= eval_baseline.of_classifier(trained, evaluation, options)
    if threshold is not None:
        report["threshold"] = eval_threshold.at_given(trained, evaluation, threshold, options)
    elif options.find_threshold is not None:
        report["threshold"] = eval_threshold.at_found(trained, evaluation, name, options)
    if options.as_json:
        click.echo(json.dumps(report))


def with_given_data(config: Config, given: GivenData | None) -> Config:
    """Return the config with the data of the command line, where there is some, as its test data."""
    if given is None:
        return config
    if given.format is not None and given.format not in FORMATS:
        raise ConfigError(f"{given.format} is for taggers", where="--format", remedy=f"Give {', '.join(FORMATS)}")
    data = source_for_file(config, given.path, given.format, given.columns)
    return config.model_copy(update={"data": data})


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
