"""``rnncli report``."""

import json
from pathlib import Path

import click

from rnncli.cli.completing import complete_run
from rnncli.cli.given_data import takes_data
from rnncli.cli.outputs import data_files, output_file, refuse_to_overwrite
from rnncli.errors import told
from rnncli.extras import require
from rnncli.judging import judge, run_figures
from rnncli.outcomes import GivenData, Reader
from rnncli.run_dir import RunDir
from rnncli.run_records import load_records

OPTION = "--html"


@click.command("report")
@click.argument(
    "runs",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path),
    metavar="RUN [RUN...]",
    shell_complete=complete_run,
)
@click.option(
    "-o",
    OPTION,
    "html",
    type=click.Path(path_type=Path),
    help="File to write.  [default: report.html in the run's folder; of several runs, here]",
)
@takes_data
@click.option("--json", "as_json", is_flag=True, help="Print what was written, and the figures, as JSON.")
def command(runs: tuple[Path, ...], html: Path | None, given: GivenData | None, as_json: bool) -> None:
    """Write all there is to see of a run, or of several, into one HTML page.

    RUN is a run's folder, of which the best checkpoint is meant, or a checkpoint. Each is evaluated on the test data of
    its config; without any, on its validation part; or on --data. Where the data is gone the page has what training
    recorded.

    The page needs no other file and no network.
    """
    require("matplotlib", extra="report", purpose="the pictures of a report")
    from rnncli.reporting import report_page, sections_of

    records = load_records(runs)
    if html is None:
        html = RunDir(records[0].checkpoint.parent if len(records) == 1 else Path()).report
    checkpoints = [record.checkpoint for record in records]
    sections = [record.trained.config.data for record in records]
    others = [] if given is None else [given.path]
    refuse_to_overwrite(OPTION, html, checkpoints, [*data_files(sections), *others])
    with output_file(OPTION, html) as file:
        judged = judge(records, Reader(given))
        parts = sections_of(judged)
        text = report_page(judged, parts)
        with told(OPTION, html):
            file.write(text)
    size = len(text.encode("utf-8", "replace"))
    if as_json:
        found = {"report": str(html), "bytes": size, "sections": [part.title for part in parts]}
        click.echo(json.dumps({**found, "runs": [run_figures(run) for run in judged]}, ensure_ascii=False))
        return
    for run in judged:
        if run.why:
            click.echo(f"{run.record.name}: without evaluation, {run.why}", err=True)
    click.echo(f"wrote {html} ({len(parts)} sections, {size / 1000:,.0f} kB)")
