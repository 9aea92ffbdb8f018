"""``rnncli sample``."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np

from rnncli.cli.numbers import NumberRange
from rnncli.cli.options import checkpoint_argument
from rnncli.config import LanguageConfig
from rnncli.errors import ConfigError
from rnncli.sampling import Stepper, continuation, generate, prompt_ids, until
from rnncli.trained import load_trained


@click.command("sample")
@checkpoint_argument
@click.option("--prompt", default="", help="Text to go on with.")
@click.option("--length", type=click.IntRange(1), default=500, show_default=True, help="Most tokens to make.")
@click.option(
    "--temperature",
    type=NumberRange(0, 100),
    default=0.8,
    show_default=True,
    help="Below 1 likely tokens get likelier; at 0 the likeliest is always taken.",
)
@click.option("--top-k", type=click.IntRange(1), help="Draw from so many of the likeliest tokens only.")
@click.option(
    "--top-p", type=NumberRange(0, 1, min_open=True), help="Draw from the fewest tokens that are this likely."
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Decides what is drawn.")
@click.option("--stop", help="Text that ends a sample, and is left out.")
@click.option("--num", type=click.IntRange(1), default=1, show_default=True, help="How many samples to make.")
@click.option("--json", "as_json", is_flag=True, help="Print the samples as JSON.")
def command(
    checkpoint: Path,
    prompt: str,
    length: int,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    seed: int,
    stop: str | None,
    num: int,
    as_json: bool,
) -> None:
    """Let a language model go on with a text.

    The text is printed as it is made, after the prompt. The same seed gives the same samples.
    """
    trained = load_trained(checkpoint).use_average()
    if not isinstance(trained.config, LanguageConfig):
        raise ConfigError(
            f"is of task {trained.config.task}; only a language model makes text",
            where=str(checkpoint),
            remedy="Name the checkpoint of a language model",
        )
    codec = trained.learned
    ids = prompt_ids(codec, prompt)
    unknown = 0 if codec.unknown is None else int((ids == codec.unknown).sum())
    if unknown:
        click.echo(f"{unknown} tokens of the prompt are unknown to the model", err=True)
    stepper = Stepper(trained.model)
    samples = []
    for number in range(num):
        made = 0

        def counted(tokens: Iterator[int]) -> Iterator[int]:
            nonlocal made
            for token in tokens:
                made += 1
                yield token

        start = time.perf_counter()
        rng = np.random.default_rng([seed, number])
        tokens = generate(stepper, codec, ids, length, rng, temperature, top_k, top_p)
        pieces = until(continuation(codec, ids, counted(tokens)), stop)
        if as_json:
            samples.append({"text": "".join(pieces), "tokens": made, "seconds": time.perf_counter() - start})
            continue
        if num > 1:
            click.echo(f"--- {number + 1} of {num}")
        click.echo(prompt, nl=False)
        for piece in pieces:
            click.echo(piece, nl=False)
        click.echo("")
    if as_json:
        click.echo(
            json.dumps({"checkpoint": str(checkpoint), "prompt": prompt, "samples": samples}, ensure_ascii=False)
        )
