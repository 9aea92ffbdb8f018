"""``rnncli eval`` for a language model."""

import json
import time
from typing import Any

import click

from rnncli.cli import eval_baseline
from rnncli.cli.eval_options import EvalOptions
from rnncli.cli.outputs import data_files
from rnncli.cli.predictions import predictions_file, write_lines
from rnncli.config import LanguageConfig
from rnncli.language_evaluation import evaluate_text, line_costs, text_of_config
from rnncli.trained import Trained


def evaluate(trained: Trained, options: EvalOptions) -> None:
    """Evaluate a language model and print what is found."""
    config, checkpoint, predictions = trained.config, options.checkpoint, options.predictions
    assert isinstance(config, LanguageConfig)
    data = None if options.given is None else options.given.path
    files = data_files([config.data]) + ([] if data is None else [data])
    with predictions_file(predictions, [checkpoint], files) as file:
        text, name = text_of_config(trained, data)
        start = time.perf_counter()
        evaluation = evaluate_text(trained, text, by_token=file is not None)
        seconds = time.perf_counter() - start
        if predictions is not None and file is not None:
            costs = line_costs(evaluation, trained.learned)
            lines = (json.dumps(cost._asdict(), ensure_ascii=False) + "\n" for cost in costs)
            write_lines(predictions, file, lines)
    report = evaluation.report
    found: dict[str, Any] = {"checkpoint": str(checkpoint), "data": name, **report, "seconds": seconds}
    if not options.as_json:
        click.echo(f"checkpoint  {checkpoint} ({config.model.rnn.cell}, step {trained.progress['step']})")
        click.echo(f"data        {name}")
        for line in report_lines(report):
            click.echo(line)
        click.echo(f"\n{report['tokens']:,} tokens, {report['characters']:,} characters in {seconds:.1f} s")
    if options.baseline:
        found |= eval_baseline.of_language_model(trained, report, text, options)
    if options.as_json:
        click.echo(json.dumps(found))


def report_lines(report: dict[str, Any]) -> list[str]:
    """Lay out the figures of a language model.

    Parameters
    ----------
    report : dict
        From :func:`rnncli.language_evaluation.evaluate_text`.

    Returns
    -------
    list of str
        Lines for people.
    """
    lines = [f"loss        {report['loss']:.4f} nats per token"]
    if report["perplexity"] is not None:
        lines.append(f"perplexity  {report['perplexity']:,.3f}")
    if report["bits_per_character"] is not None:
        lines.append(f"bits/char   {report['bits_per_character']:.4f}")
    lines.append(f"accuracy    {report['accuracy']:.2%} of the tokens were the likeliest")
    if report["unknown_tokens"]:
        hidden = f"{report['unknown_tokens']:,} tokens"
        lines.append(f"unknown     {hidden}, which makes the text look cheaper than it is")
    return lines
