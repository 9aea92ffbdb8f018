"""``rnncli eval`` for a tagger."""

import json
import time
from typing import Any

import click

from rnncli.cli import eval_baseline
from rnncli.cli.eval_options import EvalOptions
from rnncli.cli.outputs import data_files
from rnncli.cli.predictions import predictions_file, write_lines
from rnncli.config import TaggingConfig
from rnncli.data.rows import short_label
from rnncli.errors import ConfigError
from rnncli.tagger_evaluation import evaluate_tagger, sentences_of_config, tagged_lines, with_test_data
from rnncli.trained import Trained

ENTITY_SCORES = (("precision", "precision"), ("recall", "recall"), ("F1", "f1"))
MOST_TAGS = 60  # listed; of more the most frequent


def evaluate(trained: Trained, options: EvalOptions) -> None:
    """Evaluate a tagger and print what is found."""
    config, checkpoint, predictions = trained.config, options.checkpoint, options.predictions
    assert isinstance(config, TaggingConfig)
    sections = [config.data]
    if options.given is not None:
        config = with_test_data(config, options.given.path, options.given.format)
        sections.append(config.data)
    if predictions is not None and config.data.test is None:
        raise ConfigError(
            "needs a file to write back, and the config has no test data",
            where="--predictions",
            remedy="Name one with --data",
        )
    sentences, name = sentences_of_config(config)
    with predictions_file(predictions, [checkpoint], data_files(sections)) as file:
        start = time.perf_counter()
        evaluation = evaluate_tagger(trained, sentences)
        seconds = time.perf_counter() - start
        if predictions is not None and file is not None:
            write_lines(predictions, file, tagged_lines(config, evaluation))
    report = evaluation.report
    found: dict[str, Any] = {"checkpoint": str(checkpoint), "data": name, **report, "seconds": seconds}
    if not options.as_json:
        click.echo(f"checkpoint  {checkpoint} ({config.model.rnn.cell}, step {trained.progress['step']})")
        click.echo(f"data        {name}")
        for line in report_lines(report):
            click.echo(line)
        click.echo(f"\n{report['sentences']:,} sentences, {report['tokens']:,} words in {seconds:.1f} s")
    if options.baseline:
        found |= eval_baseline.of_tagger(trained, report, sentences, evaluation.predicted, options)
    if options.as_json:
        click.echo(json.dumps(found))


def report_lines(report: dict[str, Any]) -> list[str]:
    """Lay out the figures of a tagger.

    Parameters
    ----------
    report : dict
        From :func:`rnncli.tagging.report_on`.

    Returns
    -------
    list of str
        Lines for people.
    """
    lines = [] if report["loss"] is None else [f"loss        {report['loss']:.4f} nats"]
    lines.append(f"accuracy    {report['accuracy']:.2%}")
    if report["unseen_accuracy"] is not None:
        lines.append(f"unseen      {report['unseen_accuracy']:.2%} of {report['unseen_tokens']:,} words")
    lines.append(f"sentences   {report['sentence_accuracy']:.2%} right as a whole")
    tables = [("tag", report["tags"])]
    if report["entities"] is not None:
        entities = report["entities"]
        scores = (f"{name} {entities[key]:.2%}" for name, key in ENTITY_SCORES)
        lines.append(f"entities    {'  '.join(scores)}")
        tables.append(("kind", entities["kinds"]))
    for key, rows in tables:
        shown = sorted(rows, key=lambda row: -row["support"])[:MOST_TAGS]
        width = max(10, *(len(short_label(row[key])) for row in shown)) if shown else 10
        lines += ["", f"{key:{width}}  precision   recall       F1   count"]
        lines += [
            f"{short_label(row[key]):{width}}  {row['precision']:>9.2%} {row['recall']:>8.2%} {row['f1']:>8.2%} "
            f"{row['support']:>7,}"
            for row in shown
        ]
        if len(rows) > len(shown):
            lines.append(f"and {len(rows) - len(shown)} more; --json lists all")
    return lines
