"""``rnncli export``."""

import json
from pathlib import Path

import click

from rnncli.cli.facts import echo_facts
from rnncli.cli.options import checkpoint_argument
from rnncli.cli.outputs import data_files, refuse_to_overwrite
from rnncli.exporting import FORMATS, export_as
from rnncli.exporting.places import OPTION
from rnncli.trained import load_trained

_LIST = "\n".join(f"{name:<10} {form.summary}" for name, form in FORMATS.items())


@click.command(
    "export",
    help=f"""Write a trained model for other tools.

    \b
    {_LIST.replace(chr(10), chr(10) + "    ")}

    Vocabulary, labels and tokenizer travel with the weights. What a format cannot express is refused.
    """,
)
@checkpoint_argument
@click.option("--to", "name", type=click.Choice(list(FORMATS)), required=True, help="Format.")
@click.option(
    OPTION, type=click.Path(path_type=Path), help="File or folder to write.  [default: beside the checkpoint]"
)
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
def command(checkpoint: Path, name: str, output: Path | None, as_json: bool) -> None:
    """Load, export, print."""
    loaded = load_trained(checkpoint)
    trained = loaded.use_average()
    if output is None:
        output = checkpoint.with_name(checkpoint.stem + FORMATS[name].ending)
    refuse_to_overwrite(OPTION, output, [checkpoint], data_files([trained.config.data]))
    facts = export_as(name, trained, output)
    step = trained.progress["step"]
    if as_json:
        found = {fact.name.replace(" ", "_"): fact.value for fact in facts}
        click.echo(
            json.dumps({"checkpoint": str(checkpoint), "step": step, "to": name, "output": str(output), **found})
        )
        return
    size, *others = facts
    average = "" if trained is loaded else ", its mean weights"
    echo_facts(
        [
            ("checkpoint", f"{checkpoint} ({trained.config.model.rnn.cell}, step {step}{average})"),
            ("wrote", f"{output} ({size.shown})"),
            *((fact.name, fact.shown) for fact in others),
        ]
    )
