"""A classifier or a tagger that starts from a language model (``init_from``)."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from rnncli.data.language.text_codec import TextCodec
from rnncli.data.language.word_codec import WordCodec
from rnncli.data.vocabulary import Vocabulary
from rnncli.errors import ConfigError
from rnncli.stacks import layer_names
from rnncli.tasks.weights import Source, Taken, match_tokens

_NAMES = {"word": "words", "whitespace": "what white space separates", "character": "characters"}


class Reading(NamedTuple):
    """What a model reads.

    Attributes
    ----------
    vocabulary : Vocabulary
        The tokens with a row of the embedding.
    kinds : tuple of str
        The tokenizers of a language model that makes tokens like these.
    lowercase : bool
        Whether tokens are in lower case.
    section : str
        The section of the config that says so.
    """

    vocabulary: Vocabulary
    kinds: tuple[str, ...]
    lowercase: bool
    section: str


def take_language_model(network: Any, config: Any, reading: Reading, source: Source, where: str) -> Taken:
    """Start a classifier or a tagger from the embedding and the layers of a language model.

    As in Dai and Le 2015, *Semi-supervised Sequence Learning*, and Howard and Ruder 2018, *Universal Language Model
    Fine-tuning for Text Classification*. A row of the embedding is taken where both have the token. Layers are taken
    from the input on, as far as they fit; a language model reads forward only, so of layers that read in both
    directions only the first can have one half of its weights, and those above, which read both halves, have none.
    What a tagger sees of the spelling of words stays fresh, with the weights that it meets in the first layer.

    Parameters
    ----------
    network : Model or Tagger
        Changed in place.
    config : Config or TaggingConfig
        What it was made of.
    reading : Reading
        What it reads.
    source : Source
        A checkpoint of a language model.
    where : str
        Its name, for messages.

    Returns
    -------
    Taken
        What was taken.

    Raises
    ------
    ConfigError
        If the two read different tokens, or their cells or sizes differ.
    """
    codec = source.learned
    _refuse_other_tokens(reading, codec, where)
    _refuse_other_sizes(config.model, source.config.model, where)
    ours, others = match_tokens(reading.vocabulary, codec.vocabulary)
    if len(ours) == 1:  # the unknown one
        raise ConfigError(
            f"{where} has none of the {len(reading.vocabulary) - 1:,} tokens of the training part",
            where="init_from",
            remedy="Name a language model of the same language and script",
        )
    params, theirs = network.params, source.model.params
    params["embedding.W"][ours] = theirs["embedding.W"][others]
    taken = {"embedding.W"}
    for layer in range(min(network.layers, source.model.layers)):
        names = layer_names(network.cell, f"rnn{layer}.fwd")
        if layer and any(params[name].shape != theirs[name].shape for name in names):
            break
        for name in names:  # a tagger's first layer also reads, in further rows, how words are spelled
            params[name][: len(theirs[name])] = theirs[name]
        taken.update(names)
    of = tuple(name for name in params if name in taken), tuple(name for name in params if name not in taken)
    return Taken(where, len(reading.vocabulary), len(ours), *of)


def _refuse_other_tokens(reading: Reading, codec: TextCodec, where: str) -> None:
    """Raise ConfigError if a language model reads tokens of another kind, of which few or none would be found."""
    kind = reading.kinds[0]
    if not isinstance(codec, WordCodec) or (codec.kind not in reading.kinds and len(reading.kinds) > 1):
        theirs = _NAMES[codec.kind] if isinstance(codec, WordCodec) else "sub-words"
        raise ConfigError(
            f"{where} reads {theirs}, this config {_NAMES[kind]}",
            where="init_from",
            remedy=f"Name a language model whose data.tokenizer.kind is {' or '.join(reading.kinds)}",
        )
    if codec.kind in reading.kinds and codec.lowercase == reading.lowercase:
        return
    lowercase = f"lowercase: {str(codec.lowercase).lower()}"
    settings = lowercase if len(reading.kinds) > 1 else f"kind: {codec.kind}, {lowercase}"
    raise ConfigError(
        f"{where} reads {_described(codec.kind, codec.lowercase)}, this config {_described(kind, reading.lowercase)}",
        where="init_from",
        remedy=f"Give {reading.section}: {{{settings}}}",
    )


def _refuse_other_sizes(ours: Any, theirs: Any, where: str) -> None:
    """Raise ConfigError if the embeddings or the first layers of two ``model`` sections differ, with what to set."""
    pairs = [
        ("model.embedding", {"dim": theirs.embedding.dim}, {"dim": ours.embedding.dim}),
        ("model.rnn", _layer(theirs.rnn, theirs.rnn.sizes[0]), _layer(ours.rnn, ours.rnn.hidden)),
    ]
    differ = [(key, _flow(their), _flow(our)) for key, their, our in pairs if their != our]
    if differ:
        raise ConfigError(
            f"{where} has {' and '.join(f'{key}: {their}' for key, their, _ in differ)}, "
            f"this config {' and '.join(our for *_, our in differ)}",
            where="init_from",
            remedy=f"Give {' and '.join(f'{key}: {their}' for key, their, _ in differ)}",
        )


def _layer(rnn: Any, hidden: int) -> dict[str, Any]:
    """Return the keys of a ``model.rnn`` section that the weights of its first layer depend on."""
    reset = {"reset": rnn.reset} if rnn.cell == "gru" else {}
    return {"cell": rnn.cell, **reset, "hidden": hidden}


def _flow(settings: Mapping[str, Any]) -> str:
    """Return settings as YAML has them on one line."""
    return f"{{{', '.join(f'{key}: {value}' for key, value in settings.items())}}}"


def _described(kind: str, lowercase: bool) -> str:
    return f"{_NAMES[kind]} {'in lower case' if lowercase else 'as they are written'}"
