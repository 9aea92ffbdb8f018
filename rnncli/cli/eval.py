"""``rnncli eval``."""

import json
import time
from pathlib import Path
from typing import Any

import click

from rnncli.errors import RnncliError
from rnncli.evaluation import Evaluation, evaluate, rows_of_config, source_for_file
from rnncli.trained import load_trained

FORMATS = ["csv", "tsv", "jsonl", "fasttext", "aclimdb", "keras_imdb"]


@click.command("eval")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), help="Evaluate on this file or folder instead.")
@click.option("--format", "data_format", type=click.Choice(FORMATS), help="Format of --data.  [default: by its ending]")
@click.option("--text", "text_column", metavar="COLUMN", help="Column of --data that holds the text.")
@click.option("--label", "label_column", metavar="COLUMN", help="Column of --data that holds the label.")
@click.option("--predictions", type=click.Path(path_type=Path), help="Write one JSON line per text to this file.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def command(
    checkpoint: Path,
    data: Path | None,
    data_format: str | None,
    text_column: str | None,
    label_column: str | None,
    predictions: Path | None,
    as_json: bool,
) -> None:
    """Say how good a checkpoint is.

    On the test data of its config; without any, on the validation part; or on --data.
    """
    columns = {key: value for key, value in (("text", text_column), ("label", label_column)) if value is not None}
    if data is None and (data_format or columns):
        raise click.UsageError("--format, --text and --label describe --data, which is missing.")
    trained = load_trained(checkpoint)
    config = trained.config
    if data is not None:
        config = config.model_copy(update={"data": source_for_file(config, data, data_format, columns)})
    rows, name = rows_of_config(config)
    start = time.perf_counter()
    evaluation = evaluate(trained, rows)
    seconds = time.perf_counter() - start
    if predictions is not None:
        _write_predictions(predictions, evaluation, trained.labels)
    if as_json:
        click.echo(json.dumps({"checkpoint": str(checkpoint), "data": name, **evaluation.report}))
        return
    click.echo(f"checkpoint  {checkpoint} ({config.model.rnn.cell}, step {trained.progress['step']})")
    click.echo(f"data        {name}")
    for line in report_lines(evaluation.report):
        click.echo(line)
    click.echo(f"\n{len(rows):,} texts, {evaluation.tokens:,} tokens in {seconds:.1f} s")


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
    width = max(10, *(len(label) for label in labels))
    lines = [f"loss        {report['loss']:.4f} nats", f"accuracy    {report['accuracy']:.2%}"]
    if report["roc_auc"] is not None:
        lines.append(f"ROC AUC     {report['roc_auc']:.4f}")
    lines += ["", f"{'':{width}}  precision   recall       F1   texts"]
    macro = {key: report[f"macro_{key}"] for key in ("precision", "recall", "f1")}
    for scores in [*report["classes"], {"label": "macro", **macro, "support": report["rows"]}]:
        lines.append(
            f"{scores['label']:{width}}  {scores['precision']:>9.2%} {scores['recall']:>8.2%} "
            f"{scores['f1']:>8.2%} {scores['support']:>7,}"
        )
    lines += ["", "confusion: a row for each true label, a column for each predicted one"]
    cell = max(8, *(len(label) + 2 for label in labels))
    lines.append(" " * width + "".join(f"{label:>{cell}}" for label in labels))
    for label, counts in zip(labels, report["confusion"], strict=True):
        lines.append(f"{label:{width}}" + "".join(f"{count:>{cell},}" for count in counts))
    return lines


def _write_predictions(path: Path, evaluation: Evaluation, labels: tuple[str, ...]) -> None:
    try:
        # The name of a file may hold bytes that are not UTF-8; escaped this way they are JSON.
        with path.open("w", encoding="utf-8", errors="backslashreplace") as file:
            for row, probabilities in zip(evaluation.rows, evaluation.probabilities, strict=True):
                prediction = {
                    "where": row.where,
                    "text": row.text,
                    "label": row.label,
                    "predicted": labels[int(probabilities.argmax())],
                    "probabilities": {
                        label: round(float(p), 6) for label, p in zip(labels, probabilities, strict=True)
                    },
                }
                file.write(json.dumps(prediction, ensure_ascii=False) + "\n")
    except OSError as error:
        raise RnncliError(
            f"cannot be written: {error.strerror or error}",
            where=str(path),
            remedy="Choose another place for --predictions",
        ) from error
