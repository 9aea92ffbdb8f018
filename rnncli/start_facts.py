"""What is in the data that a config is to be made for: how much, how long, which labels."""

import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

import numpy as np

from rnncli.data.language.sources import source_files
from rnncli.data.readers import read_rows
from rnncli.data.rows import Row
from rnncli.data.tagging.readers import read_sentences
from rnncli.data.tagging.sentences import Sentence
from rnncli.data.text_files import read_lines
from rnncli.data.tokenizers import TokenizerKind, make_tokenizer
from rnncli.errors import DataError
from rnncli.start_parts import minimal, parts_beside

# Of more characters than this, every second text is cut into tokens; of twice as many, every fourth; and so on.
ENOUGH_CHARACTERS = 6_000_000
MOST_OF_A_TEXT = 50_000  # characters at its end that are cut into tokens; the rest is taken to be like them
FEWEST_CHARACTERS = 100  # of a text for a language model
MOST_READ = 50_000_000  # characters of a text for a language model; the rest is taken to be like it
MOST_KEPT = 2_000_000  # of them, for a measurement
MOST_WORDS = 500_000  # of sentences that are kept for a measurement

# Kana and Han characters: between words that are written in them there are no blanks.
_NO_BLANKS = re.compile("[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")


@dataclass
class Facts:
    """What was found in a source.

    Attributes
    ----------
    task : str
        What can be learned from it.
    source : dict
        Format, path and columns, as ``data.train`` takes them.
    texts : int
        Texts or sentences; 0 of a text for a language model.
    labels : Counter of str
        How often each label or tag is there.
    lengths : ndarray of int
        Tokens of texts; those of a part of the texts, where there are many.
    words : Counter of str
        How often each token is there, of those texts.
    characters : int
        Of a language model's text.
    tokenizer : {"word", "character"}
        What suits a classifier's texts.
    bad : int
        Rows that cannot be read.
    first_bad : str
        What is wrong with the first of them.
    others : dict
        Sources found beside this one: ``valid``, ``test``.
    rows : list of Row
        The texts of a classifier that were measured, spread evenly, with one of each label at least.
    sentences : list of Sentence
        Of a tagger, spread evenly, likewise to be measured.
    beginning : str
        Of a language model's text.
    seconds : float
        How long it took to find all this.
    """

    task: str
    source: dict[str, Any]
    texts: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    lengths: Any = field(default_factory=lambda: np.zeros(0, np.int64))
    words: Counter[str] = field(default_factory=Counter)
    characters: int = 0
    tokenizer: TokenizerKind = "word"
    bad: int = 0
    first_bad: str = ""
    others: dict[str, dict[str, Any]] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    sentences: list[Sentence] = field(default_factory=list)
    beginning: str = ""
    seconds: float = 0.0

    @property
    def unit(self) -> str:
        """What the tokens of texts are called."""
        return "characters" if self.tokenizer == "character" else "words"

    def note_bad(self, error: DataError) -> None:
        """Count a row that cannot be read."""
        self.bad += 1
        self.first_bad = self.first_bad or str(error)


def find_facts(task: str, source: dict[str, Any]) -> Facts:
    """Read a source.

    Parameters
    ----------
    task : str
        The task.
    source : dict
        As ``data.train`` takes it.

    Returns
    -------
    Facts
        What is in it.

    Raises
    ------
    DataError
        If it cannot be read at all, or has nothing to learn from.
    """
    facts, began = Facts(task, source), time.perf_counter()
    train = minimal(task, source).data.train
    if task == "classification":
        _read_texts(facts, read_rows(train, on_bad=facts.note_bad))
    elif task == "tagging":
        _read_sentences(facts, train)
    else:
        _read_text(facts, train)
    if task != "language_model" and len(facts.labels) < 2:
        name = "tag" if task == "tagging" else "label"
        if not facts.labels:
            raise DataError(f"no row of it can be read: {facts.first_bad}", where=source["path"])
        raise DataError(
            f"the only {name} is {next(iter(facts.labels))!r}; it takes two to learn from",
            where=source["path"],
            remedy=f"Add rows of another {name}, or name another column",
        )
    if task == "language_model" and facts.characters < FEWEST_CHARACTERS:
        raise DataError(f"has {facts.characters} characters, too few to learn from", where=source["path"])
    facts.others = dict(parts_beside(task, facts.source))
    facts.seconds = time.perf_counter() - began
    return facts


def _read_texts(facts: Facts, rows: Iterator[Row]) -> None:
    """Count texts and labels; lengths and tokens in as many of them as need to be known."""
    first = list(islice(rows, 200))
    beginning = "".join(row.text[:1000] for row in first)
    if len(_NO_BLANKS.findall(beginning)) > 0.3 * max(len(beginning), 1):
        facts.tokenizer = "character"
    of_labels: dict[str, tuple[int, Row]] = {}
    kept: list[tuple[int, Row]] = []
    characters, nth = 0, 1
    for number, row in enumerate(chain(first, rows)):
        facts.texts += 1
        facts.labels[row.label] += 1
        of_labels.setdefault(row.label, (number, row))
        if number % nth:
            continue
        kept.append((number, row))
        characters += min(len(row.text), MOST_OF_A_TEXT)
        while characters > ENOUGH_CHARACTERS and len(kept) > 1:
            kept, nth = kept[::2], 2 * nth
            characters = sum(min(len(row.text), MOST_OF_A_TEXT) for _, row in kept)
    facts.rows = [row for _, row in sorted({*kept, *of_labels.values()})]
    tokenize, lengths = make_tokenizer(facts.tokenizer, True), []
    for row in facts.rows:
        tokens = tokenize(row.text[-MOST_OF_A_TEXT:])
        lengths.append(max(round(len(tokens) * max(len(row.text) / MOST_OF_A_TEXT, 1)), 1))
        facts.words.update(tokens)
    facts.lengths = np.array(lengths, np.int64)


def _read_sentences(facts: Facts, train: Any) -> None:
    """Count sentences, tags, lengths and words; try the other columns of CoNLL-U where the first is not filled in."""
    columns = ("upos", "xpos", "feats") if facts.source["format"] == "conllu" else ("",)
    for column in columns:
        facts.bad, facts.first_bad = 0, ""
        if column:
            train = train.model_copy(update={"column": column})
        _count_sentences(facts, read_sentences(train, on_bad=facts.note_bad))
        if facts.texts > facts.bad:
            facts.source = {**facts.source, **({"column": column} if column else {})}
            return
        facts.labels.clear()
        facts.words.clear()


def _count_sentences(facts: Facts, sentences: Iterator[Sentence]) -> None:
    lengths, kept, words, nth = [], [], 0, 1
    for number, sentence in enumerate(sentences):
        lengths.append(len(sentence.words))
        facts.labels.update(sentence.tags)
        facts.words.update(word.lower() for word in sentence.words)
        if number % nth:
            continue
        kept.append(sentence)
        words += len(sentence.words)
        if words > MOST_WORDS and len(kept) > 1:
            kept, nth = kept[::2], 2 * nth
            words = sum(len(sentence.words) for sentence in kept)
    facts.texts, facts.lengths, facts.sentences = len(lengths), np.array(lengths, np.int64), kept


def _read_text(facts: Facts, train: Any) -> None:
    """Count characters, as far as it takes to know how many there are about."""
    files = source_files(train)
    sizes = [path.stat().st_size for path in files]
    read, kept = 0, 0  # bytes, characters
    beginning: list[str] = []
    for path, size in zip(files, sizes, strict=True):
        here = 0
        for line in read_lines(path):
            if line.problem is not None:
                raise line.problem
            here += len(line.text.encode())
            facts.characters += len(line.text)
            facts.words.update(line.text)
            if kept < MOST_KEPT:
                beginning.append(line.text)
                kept += len(line.text)
            if facts.characters > MOST_READ:
                break
        read += min(here, size)  # of a compressed file there are more than its size
        if facts.characters > MOST_READ:
            facts.characters = int(facts.characters * sum(sizes) / max(read, 1))
            break
    facts.beginning = "".join(beginning)
