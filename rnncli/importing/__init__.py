"""Checkpoints from torch weights: files of ``rnncli export --to torch``, and of people's own modules."""

from pathlib import Path

from rnncli import __version__
from rnncli.checkpoint import save_checkpoint
from rnncli.config import AnyConfig, Config, LanguageConfig, TaggingConfig
from rnncli.errors import ConfigError, RnncliError
from rnncli.exporting import Fact
from rnncli.exporting.learned import facts_of
from rnncli.exporting.places import usable_place
from rnncli.exporting.torch_weights import KEY
from rnncli.importing.exported import read_exported
from rnncli.importing.foreign import Given, read_foreign
from rnncli.importing.reading import read_weights
from rnncli.tasks import task_of
from rnncli.trained import Trained

__all__ = ["Given", "import_weights"]

_OPTIONS = {
    "config": "--config",
    "overrides": "--set",
    "vocabulary": "--vocabulary",
    "labels": "--labels",
    "unknown": "--unknown",
}


def import_weights(path: Path, output: Path, given: Given) -> list[Fact]:
    """Write a checkpoint with weights from a state dict.

    Parameters
    ----------
    path : Path
        A .safetensors file.
    output : Path
        The checkpoint; replaced as a whole or not at all.
    given : Given
        What the file does not say of itself. A file of ``rnncli export`` says everything.

    Returns
    -------
    list of Fact
        What the checkpoint has.

    Raises
    ------
    RnncliError
        If the file cannot be read, is no model that rnncli has, or does not fit what is given.
    """
    place = usable_place(output)
    if not place.parent.is_dir():
        raise RnncliError(
            f"cannot be written: there is no folder {place.parent}",
            where=str(output),
            remedy="Make it, or name a file in another one with --output",
        )
    tensors, metadata = read_weights(path)
    if KEY in metadata:
        for key, option in _OPTIONS.items():
            if getattr(given, key):
                raise ConfigError(
                    f"has no effect: {path} was written by rnncli export and says it itself",
                    where=option,
                    remedy="Leave it out",
                )
        config, stored, params, step = read_exported(path, tensors, metadata[KEY])
    else:
        config, stored, params, step = read_foreign(path, tensors, given)
    task = task_of(config)
    learned = task.restore(config, stored.metadata, stored.tokens)
    # What a run goes on from is missing: moments, generators, the place in the data. See rnncli.resuming.
    progress = {"step": step, "imported": path.name}
    about = {"rnncli_version": __version__, "config": config.model_dump(mode="json"), **stored.metadata}
    save_checkpoint(place, params, {**about, "progress": progress}, vocabulary=stored.tokens)
    parameters = sum(array.size for array in params.values())
    return [
        Fact("model", config.model.model_dump(mode="json"), _model(config)),
        Fact("texts", config.data.model_dump(mode="json"), _reading(config)),
        *facts_of(Trained(task.network(config, params), learned, config, progress, {})),
        Fact("parameters", parameters, f"{parameters:,}"),
    ]


def _model(config: AnyConfig) -> str:
    """Return what a model is, on a line."""
    model = config.model
    if isinstance(config, LanguageConfig):
        sizes, both = list(config.model.rnn.sizes), False
    else:
        sizes, both = [config.model.rnn.hidden] * config.model.rnn.layers, config.model.rnn.bidirectional
    parts = [model.rnn.cell, "+".join(map(str, sizes)) + " each way" * both]
    if isinstance(config, Config):
        parts += [f"pooling {' and '.join(config.model.poolings)}", f"loss {config.model.loss}"]
    return ", ".join([*parts, "tied"] if getattr(model, "tied", False) else parts)


def _reading(config: AnyConfig) -> str:
    """Return how texts become tokens, on a line."""
    if isinstance(config, TaggingConfig):
        return f"words as they come, looked up {'in lower case' if config.data.words.lowercase else 'as written'}"
    tokenizer = config.data.tokenizer
    parts = [tokenizer.kind, *(["lower case"] if getattr(tokenizer, "lowercase", False) else [])]
    if isinstance(config, Config) and config.data.max_length is not None:
        end = "first" if config.data.truncate == "head" else "last"
        parts.append(f"the {end} {config.data.max_length:,} tokens")
    return ", ".join(parts)
