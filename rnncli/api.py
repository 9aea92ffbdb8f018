"""The package from Python: load a trained model and ask it, or train one; what ``rnncli.load`` and ``rnncli.train`` do.

Nothing is printed by what is loaded. Errors are :class:`rnncli.errors.RnncliError`, with a line that says what to do.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from rnncli.config import AnyConfig, load_config, parse_config
from rnncli.errors import ConfigError, DataError
from rnncli.explaining import explain as explain_text
from rnncli.explanations import Explanation
from rnncli.packing import Array
from rnncli.predicting import Cost, in_blocks, line_costs, probabilities, tag_words
from rnncli.progress import ConsoleProgress
from rnncli.run import Interrupted, train_run
from rnncli.run_dir import CACHE, RunDir, find_checkpoint
from rnncli.sampling import Stepper, continuation, generate, prompt_ids
from rnncli.trained import Trained, load_trained


class LoadedModel:
    """What models of all tasks have.

    Attributes
    ----------
    trained : Trained
        The network, its vocabulary and its config, for the functions of the package.
    config : Config, TaggingConfig or LanguageConfig
        The resolved config it was trained with; ``config.model_dump()`` is a dict.
    metrics : dict
        The figures of the validation it was saved at: ``loss``, those of its task, ``step``, ``epoch``.
    history : list of dict
        Those of all validations, for a model that :func:`train` returns; empty for one that was loaded.
    """

    def __init__(self, trained: Trained, history: Sequence[dict[str, Any]] = ()) -> None:
        self.trained, self.history = trained, list(history)

    @property
    def config(self) -> AnyConfig:
        """The resolved config."""
        return self.trained.config

    @property
    def metrics(self) -> dict[str, Any]:
        """The figures of the validation that the checkpoint was saved at; empty without one."""
        row = self.trained.progress.get("metrics") or {}
        return {key: value for key, value in row.items() if key not in ("kind", "improved")}

    def explain(
        self, text: str, label: str | None = None, *, word: int | None = None, leave_one_out: bool = False
    ) -> Explanation:
        """Work out which words of a text pushed the model's prediction, and how far.

        Parameters
        ----------
        text : str
            Any text.
        label : str, optional
            What is explained; what is predicted when not given.
        word : int, optional
            Of a tagger, the word whose tag is explained, from 1.
        leave_one_out : bool
            Also score the text without each of its words.

        Returns
        -------
        Explanation
            See :func:`rnncli.explaining.explain`.
        """
        _check_text(text)
        return explain_text(self.trained, text, label=label, word=word, leave_one_out=leave_one_out)

    def __repr__(self) -> str:
        """Return a line with the kind of model."""
        return f"<{type(self).__name__} {self.config.name}: {self.config.model.rnn.cell}>"


class TextClassifier(LoadedModel):
    """A trained classifier."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The label of each column of :meth:`predict_proba`."""
        return tuple(self.trained.learned.labels)

    def predict(self, texts: Iterable[str]) -> list[str]:
        """Return the likeliest label of each text.

        Parameters
        ----------
        texts : iterable of str
            Any number of texts; a generator is read a block at a time.

        Returns
        -------
        list of str
            In order.
        """
        return [self.labels[best] for best in self.predict_proba(texts).argmax(axis=1).tolist()]

    def predict_proba(self, texts: Iterable[str]) -> Array:
        """Return how likely each label is for each text.

        Parameters
        ----------
        texts : iterable of str
            Any number of texts.

        Returns
        -------
        ndarray of shape (texts, C), float32
            The columns are :attr:`labels`.
        """
        blocks = in_blocks(_checked(texts, str, "text", 'Give a list, such as ["a text"]'))
        parts = [probabilities(self.trained, block) for block in blocks]
        return np.concatenate([np.zeros((0, len(self.labels)), np.float32), *parts])


class SentenceTagger(LoadedModel):
    """A trained tagger."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The tags."""
        return tuple(self.trained.learned.tags)

    def predict(self, sentences: Iterable[Sequence[str]]) -> list[list[str]]:
        """Return a tag for each word.

        Parameters
        ----------
        sentences : iterable of sequence of str
            The words of each sentence.

        Returns
        -------
        list of list of str
            As many tags as words, in order.
        """
        remedy = 'Give the words of each sentence, such as [["Dogs", "bark"]]'
        words = (
            _words(sentence, remedy) for sentence in _checked(sentences, (list, tuple, np.ndarray), "sentence", remedy)
        )
        return [tagged.tags for block in in_blocks(words) for tagged in tag_words(self.trained, block)]


class LanguageModel(LoadedModel):
    """A trained language model."""

    def predict(self, lines: Iterable[str]) -> list[Cost]:
        """Return what each line costs, read by itself.

        Parameters
        ----------
        lines : iterable of str
            Without line ends.

        Returns
        -------
        list of Cost
            ``tokens``, ``nats`` and ``perplexity`` of each.
        """
        blocks = in_blocks(_checked(lines, str, "line", 'Give a list, such as ["a line"]'))
        return [cost for block in blocks for cost in line_costs(self.trained, block)]

    def sample(
        self,
        prompt: str = "",
        length: int = 500,
        *,
        temperature: float = 0.8,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 1,
    ) -> str:
        """Go on with a text, as ``rnncli sample`` does.

        Parameters
        ----------
        prompt : str
            What to go on with.
        length : int
            Most tokens to make.
        temperature : float
            Below 1 likely tokens get likelier; at 0 the likeliest is always taken.
        top_k, top_p : int, float, optional
            Draw from so many of the likeliest tokens only; from the fewest that are this likely.
        seed : int
            Decides what is drawn.

        Returns
        -------
        str
            What comes after the prompt.

        Raises
        ------
        ConfigError
            If a number is none that ``rnncli sample`` takes.
        """
        _check_text(prompt)
        for name, value, fits, allowed in (
            ("length", length, length >= 0, "0 or more"),
            ("temperature", temperature, 0 <= temperature <= 100, "from 0 to 100"),
            ("top_k", top_k, top_k is None or top_k >= 1, "1 or more"),
            ("top_p", top_p, top_p is None or 0 < top_p <= 1, "above 0, at most 1"),
            ("seed", seed, seed >= 0, "0 or more"),
        ):
            if not fits:
                raise ConfigError(f"{value!r} is not allowed ({allowed})", where=name)
        codec, rng = self.trained.learned, np.random.default_rng([seed, 0])
        ids = prompt_ids(codec, prompt)
        tokens = generate(Stepper(self.trained.model), codec, ids, length, rng, temperature, top_k, top_p)
        return "".join(continuation(codec, ids, tokens))


KINDS: dict[str, type[TextClassifier] | type[SentenceTagger] | type[LanguageModel]] = {
    "classification": TextClassifier,
    "tagging": SentenceTagger,
    "language_model": LanguageModel,
}


def load(path: str | Path) -> TextClassifier | SentenceTagger | LanguageModel:
    """Load a trained model.

    Parameters
    ----------
    path : str or Path
        A checkpoint, such as ``runs/imdb-lstm/best.safetensors``, or the folder of a run, whose best one is meant.

    Returns
    -------
    TextClassifier, SentenceTagger or LanguageModel
        By the task it was trained for.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged or of another format.
    RnncliError
        If the folder holds none.
    """
    return _loaded(find_checkpoint(Path(path)), ())


def train(
    config: Mapping[str, Any] | str | Path,
    run_dir: str | Path | None = None,
    *,
    overwrite: bool = False,
    quiet: bool = False,
) -> TextClassifier | SentenceTagger | LanguageModel:
    """Train a model and return the best one.

    Parameters
    ----------
    config : mapping, str or Path
        The keys of a config, or the YAML file that has them.
    run_dir : str or Path, optional
        Where to keep the run, as ``rnncli train`` does; without it nothing is kept on disk.
    overwrite : bool
        Replace an earlier run in that folder.
    quiet : bool
        Print nothing; otherwise what ``rnncli train`` prints on standard error.

    Returns
    -------
    TextClassifier, SentenceTagger or LanguageModel
        The model of the best validation, with the figures of all of them in ``history``.

    Raises
    ------
    RnncliError
        If the config or the data cannot be used, or a loss is not finite. An interrupted run that is kept raises one
        too, which says how to go on; one that is not kept raises KeyboardInterrupt.
    """
    settings = parse_config(config, "config") if isinstance(config, Mapping) else load_config(config)
    progress = _Silent() if quiet else ConsoleProgress(settings.train.log_every)
    if run_dir is not None:
        return _train_in(RunDir(Path(run_dir)), settings, progress, overwrite, CACHE)
    with TemporaryDirectory(prefix="rnncli-") as folder:
        try:
            return _train_in(RunDir(Path(folder) / "run"), settings, progress, False, Path(folder) / "cache")
        except Interrupted as error:
            raise KeyboardInterrupt(error.what) from None


def _train_in(
    folder: RunDir, config: AnyConfig, progress: Any, overwrite: bool, cache: Path
) -> TextClassifier | SentenceTagger | LanguageModel:
    summary = train_run(config, folder, progress, overwrite=overwrite, cache=cache)
    return _loaded(folder.best, summary.validations)


def _loaded(path: Path, history: Sequence[dict[str, Any]]) -> TextClassifier | SentenceTagger | LanguageModel:
    trained = replace(load_trained(path).use_average(), arrays={})  # what only training goes on with
    return KINDS[trained.config.task](trained, history)


def _check_text(text: Any) -> None:
    if not isinstance(text, str):
        raise DataError(f"{type(text).__name__} was given where a text is expected", remedy="Give one string")


def _words(sentence: Iterable[Any], remedy: str) -> list[str]:
    """Return the words of a sentence, none of which may be empty."""
    words = list(_checked(sentence, str, "word", remedy))
    if "" in words:
        raise DataError("is empty", where=f"word {words.index('')}", remedy=remedy)
    return words


def _checked(items: Iterable[Any], kind: type | tuple[type, ...], name: str, remedy: str) -> Iterable[Any]:
    """Return items of which each is of a kind as it is asked for; a string in the place of a list is refused."""
    if isinstance(items, str | bytes):
        raise DataError(f"one string was given where {name}s are expected", remedy=remedy)

    def each() -> Iterable[Any]:
        for number, item in enumerate(items):
            if not isinstance(item, kind):
                raise DataError(f"is {type(item).__name__}, not a {name}", where=f"{name} {number}", remedy=remedy)
            yield item

    return each()


class _Silent:
    """Watches a run and says nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None
