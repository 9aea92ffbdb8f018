"""``rnncli eval --ensemble``."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from rnncli.cli.eval_classification import with_given_data
from rnncli.cli.eval_options import EvalOptions
from rnncli.cli.outputs import data_files
from rnncli.cli.predictions import OPTION, predictions_file, write_lines, write_predictions
from rnncli.cli.tables import table
from rnncli.config import Config, TaggingConfig
from rnncli.data.rows import short_label
from rnncli.ensembles import Ensemble, make_ensemble, refuse_seen
from rnncli.errors import ConfigError
from rnncli.evaluation import rows_of_config
from rnncli.figures import Figure
from rnncli.run_records import load_records
from rnncli.tagger_evaluation import sentences_of_config, tagged_lines, with_test_data

NO_EFFECT = ("baseline", "order", "threshold", "find_threshold", "positive")
LOSS = Figure("loss", "loss", ".4f")
ACCURACY = Figure("accuracy", "accuracy", ".2%")
MACRO = Figure("macro_f1", "macro F1", ".2%")
COLUMNS: dict[str, tuple[Figure, ...]] = {
    "classification": (LOSS, ACCURACY, MACRO),
    "tagging": (LOSS, ACCURACY, Figure("unseen_accuracy", "unseen", ".2%"), Figure("f1", "entity F1", ".2%"), MACRO),
}


def evaluate(checkpoints: Sequence[Path], options: EvalOptions) -> None:
    """Evaluate several models and their average, and print what is found."""
    for name in NO_EFFECT:
        value = getattr(options, name)
        if value is not None and value is not False:
            option = f"--{name.replace('_', '-')}"
            raise ConfigError("is for one checkpoint, not for --ensemble", where=option, remedy="Leave it out")
    records = load_records(checkpoints)
    paths = [str(record.checkpoint) for record in records]
    ensemble = make_ensemble([record.trained for record in records], paths)
    if options.given is None:
        refuse_seen(ensemble.members, paths)
    start = time.perf_counter()
    data, unit, count, reports = _reports(ensemble, options, [record.checkpoint for record in records])
    seconds = time.perf_counter() - start
    *alone, together = reports
    if options.as_json:
        members = [
            {"name": record.name, "checkpoint": path, **report}
            for record, path, report in zip(records, paths, alone, strict=True)
        ]
        found = {"data": data, "members": members, "ensemble": together, "seconds": seconds}
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    click.echo(f"data  {data}\n")
    names = [*(short_label(record.name) for record in records), f"ensemble of {len(records)}"]
    shown = [one for one in COLUMNS[records[0].trained.config.task] if _figures(together).get(one.key) is not None]
    rows = [
        [name, *(figure.show(_figures(report)) for figure in shown)]
        for name, report in zip(names, reports, strict=True)
    ]
    click.echo("\n".join(table(["", *(figure.heading for figure in shown)], rows)))
    click.echo(f"\n{count:,} {unit} in {seconds:.1f} s")


def _reports(
    ensemble: Ensemble, options: EvalOptions, checkpoints: Sequence[Path]
) -> tuple[str, str, int, list[dict[str, Any]]]:
    """Return what the data is, what its units are called, how many there are, and the figures, the average's last."""
    config, given, predictions = ensemble.members[0].config, options.given, options.predictions
    sections = [member.config.data for member in ensemble.members]
    if isinstance(config, Config):
        config = with_given_data(config, given)
        rows, name = rows_of_config(config)
        with predictions_file(predictions, checkpoints, data_files([*sections, config.data])) as file:
            alone, together = ensemble.evaluate(rows)
            if predictions is not None and file is not None:
                write_predictions(predictions, file, together, ensemble.labels)
        return name, "texts", len(rows), [one.report for one in (*alone, together)]
    assert isinstance(config, TaggingConfig)
    options.refuse_for(config.task, "text", "label", "word_index")
    if given is not None:
        config = with_test_data(config, given.path, given.format)
    if predictions is not None and config.data.test is None:
        raise ConfigError(
            "needs a file to write back, and the config has no test data",
            where=OPTION,
            remedy="Name one with --data",
        )
    sentences, name = sentences_of_config(config)
    with predictions_file(predictions, checkpoints, data_files([*sections, config.data])) as file:
        tagged, best = ensemble.evaluate_tagger(sentences)
        if predictions is not None and file is not None:
            write_lines(predictions, file, tagged_lines(config, best))
    return name, "sentences", len(sentences), [one.report for one in (*tagged, best)]


def _figures(report: dict[str, Any]) -> dict[str, Any]:
    """Return a report with the F1 of entities, where there are some, beside the other figures."""
    return {**report, **({"f1": report["entities"]["f1"]} if report.get("entities") else {})}
