"""``rnncli eval`` for a language model."""

import json
import time
from contextlib import ExitStack
from pathlib import Path

import click

from rnncli.cli.outputs import data_files, output_file, refuse_to_overwrite
from rnncli.cli.predictions import OPTION, write_lines
from rnncli.config import LanguageConfig
from rnncli.language_evaluation import evaluate_text, line_costs, text_of_config
from rnncli.trained import Trained


def evaluate(trained: Trained, checkpoint: Path, data: Path | None, predictions: Path | None, as_json: bool) -> None:
    """Evaluate a language model and print what is found."""
    config = trained.config
    assert isinstance(config, LanguageConfig)
    with ExitStack() as stack:
        file = None
        if predictions is not None:
            others = [] if data is None else [data]
            refuse_to_overwrite(OPTION, predictions, [checkpoint], data_files([config.data]) + others)
            file = stack.enter_context(output_file(OPTION, predictions))
        text, name = text_of_config(trained, data)
        start = time.perf_counter()
        evaluation = evaluate_text(trained, text, by_token=file is not None)
        seconds = time.perf_counter() - start
        if predictions is not None and file is not None:
            costs = line_costs(evaluation, trained.learned)
            lines = (json.dumps(cost._asdict(), ensure_ascii=False) + "\n" for cost in costs)
            write_lines(predictions, file, lines)
    report = evaluation.report
    if as_json:
        click.echo(json.dumps({"checkpoint": str(checkpoint), "data": name, **report, "seconds": seconds}))
        return
    click.echo(f"checkpoint  {checkpoint} ({config.model.rnn.cell}, step {trained.progress['step']})")
    click.echo(f"data        {name}")
    click.echo(f"loss        {report['loss']:.4f} nats per token")
    if report["perplexity"] is not None:
        click.echo(f"perplexity  {report['perplexity']:,.3f}")
    if report["bits_per_character"] is not None:
        click.echo(f"bits/char   {report['bits_per_character']:.4f}")
    click.echo(f"accuracy    {report['accuracy']:.2%} of the tokens were the likeliest")
    if report["unknown_tokens"]:
        click.echo(f"unknown     {report['unknown_tokens']:,} tokens, which makes the text look cheaper than it is")
    click.echo(f"\n{report['tokens']:,} tokens, {report['characters']:,} characters in {seconds:.1f} s")
