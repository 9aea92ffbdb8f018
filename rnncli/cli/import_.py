"""``rnncli import``."""

import json
from pathlib import Path

import click

from rnncli.cli.facts import echo_facts
from rnncli.cli.options import set_option
from rnncli.cli.outputs import refuse_to_overwrite
from rnncli.importing import Given, import_weights
from rnncli.importing.reading import read_texts


@click.command("import")
@click.argument("weights", type=click.Path(path_type=Path))
@click.option("--output", type=click.Path(path_type=Path), required=True, help="Checkpoint to write.")
@click.option("--vocabulary", type=click.Path(path_type=Path), help="File of tokens, in the order of the embedding.")
@click.option("--labels", metavar="A,B,...", help="Labels in the order of the output layer; or a .txt or .json file.")
@click.option("--unknown", metavar="TOKEN", help="The token for unknown words.  [default: <unk>]")
@click.option("--config", type=click.Path(path_type=Path), help="Config with tokenizer, pooling and so on.")
@set_option
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
def command(
    weights: Path,
    output: Path,
    vocabulary: Path | None,
    labels: str | None,
    unknown: str | None,
    config: Path | None,
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Make a checkpoint of torch weights in .safetensors.

    A file of rnncli export --to torch needs nothing else. For a state dict of your own nn.Module, with an embedding,
    an nn.LSTM, nn.GRU or nn.RNN and a linear layer, give what weights do not say: vocabulary, labels and how texts
    are read (--config or --set). Sizes are read from the tensors.
    """
    files = [file for file in (vocabulary, config) if file is not None]
    names: tuple[str, ...] = ()
    if labels is not None:
        if Path(labels).suffix in (".txt", ".json"):
            files.append(Path(labels))
            names = tuple(read_texts(Path(labels), "list of labels"))
        else:
            names = tuple(label.strip() for label in labels.split(","))
    refuse_to_overwrite("--output", output, [], [weights, *files])
    facts = import_weights(weights, output, Given(config, overrides, vocabulary, names, unknown))
    if as_json:
        found = {fact.name: fact.value for fact in facts}
        click.echo(json.dumps({"weights": str(weights), "output": str(output), **found}))
        return
    echo_facts([("weights", str(weights)), ("wrote", str(output)), *((fact.name, fact.shown) for fact in facts)])
