"""What a config's data is like before a model is trained on it: sizes, balance, lengths, repeats, leaks, bad rows."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from rnncli.data.dataset import find_labels, source_name
from rnncli.data.encoding import Ids, classes_of, encode_texts, learn_vocabulary
from rnncli.data.readers import Source, read_rows
from rnncli.data.rows import Row, short_label
from rnncli.data.settings import DataSettings
from rnncli.data.split import split_rows, text_key
from rnncli.data.tokenizers import Tokenizer, make_tokenizer
from rnncli.data.vocabulary import UNKNOWN_ID
from rnncli.errors import DataError

PERCENTILES = (10, 50, 90, 99)
EXAMPLES = 5

Fault = dict[str, str | None]


@dataclass
class PartReport:
    """One part of the data.

    Parameters
    ----------
    rows : int
        Its good rows.
    labels : dict of str to int
        Rows of each label, by name.
    groups : int or None
        Different groups, where the rows have any.
    lengths : dict of str to float
        Tokens of a text before any are cut off: ``least``, ``p10`` and other percentiles, ``mean``, ``most``.
    cut : int
        Texts with more than ``max_length`` tokens.
    known_tokens : float or None
        Share of the tokens kept that have an id of their own, 0 to 1; None where there is no vocabulary or no token.
    empty : int
        Texts without a token.
    repeats : int
        Rows whose text an earlier row of the part has too.
    contradictions : int
        Different texts that occur under more than one label.
    examples : list of dict
        The first few contradictions, each with the places and labels of two rows.
    """

    rows: int
    labels: dict[str, int]
    groups: int | None
    lengths: dict[str, float]
    cut: int
    known_tokens: float | None
    empty: int
    repeats: int
    contradictions: int
    examples: list[dict[str, str]]


@dataclass
class DataReport:
    """All that :func:`check_data` finds.

    Parameters
    ----------
    parts : dict of str to PartReport
        ``train``, ``valid``, and ``test`` where the config has one; only those that have good rows.
    vocabulary : dict of str to int, or None
        Its ``size``, the unknown token included, and the ``different_tokens`` of the training part.
    overlap : dict of str to int
        Rows whose text an earlier part has too: ``valid_in_train``, ``test_in_train``, ``test_in_valid``.
    dropped : int
        Rows left out of the training part because a group of the validation part has their text.
    warnings : list of dict
        What stops nothing and is likely to be unwanted, each with ``where``, ``what`` and ``remedy``: a part
        without a row of some label.
    problems : list of dict
        What would stop training or evaluation, likewise.
    bad_rows : list of dict
        Every row that cannot be read, likewise.
    """

    parts: dict[str, PartReport] = field(default_factory=dict)
    vocabulary: dict[str, int] | None = None
    overlap: dict[str, int] = field(default_factory=dict)
    dropped: int = 0
    warnings: list[Fault] = field(default_factory=list)
    problems: list[Fault] = field(default_factory=list)
    bad_rows: list[Fault] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Return whether nothing is in the way of training and evaluation."""
        return not self.problems and not self.bad_rows


def check_data(data: DataSettings, seed: int) -> DataReport:
    """Read all parts of a config's data and report on them.

    Parameters
    ----------
    data : DataSettings
        The ``data`` section of a config.
    seed : int
        Seed of the split; without effect beside ``data.valid``.

    Returns
    -------
    DataReport
        Whatever could be found out. A DataError is listed in it, none is raised.
    """
    report = DataReport()
    parts = _read_parts(data, seed, report)
    _check_labels(data, parts, report)
    tokenizer = make_tokenizer(data.tokenizer.kind, data.tokenizer.lowercase)
    lengths, ids = _encode_parts(data, parts, tokenizer, report)
    keys = {name: [text_key(row.text) for row in rows] for name, rows in parts.items()}
    for name, rows in parts.items():
        report.parts[name] = _describe(rows, keys[name], lengths[name], ids.get(name), data.max_length)
    for earlier, later in (("train", "valid"), ("train", "test"), ("valid", "test")):
        if earlier in keys and later in keys:
            known = set(keys[earlier])
            report.overlap[f"{later}_in_{earlier}"] = sum(key in known for key in keys[later])
    return report


def _read_parts(data: DataSettings, seed: int, report: DataReport) -> dict[str, list[Row]]:
    """Return the good rows of each part that has any."""
    parts = {"train": _read(data.train, data.group_by, report)}
    if data.valid is not None:
        parts["valid"] = _read(data.valid, None, report)
    elif parts["train"]:
        try:
            split = split_rows(parts["train"], data.valid_fraction, seed, source_name(data.train))
        except DataError as error:
            report.problems.append(_fault(error))
        else:
            parts["train"], parts["valid"], report.dropped = split
    if data.test is not None:
        parts["test"] = _read(data.test, None, report)
    return {name: rows for name, rows in parts.items() if rows}


def _read(source: Source, group_by: str | None, report: DataReport) -> list[Row]:
    """Return the good rows of a source, up to what ends it."""
    rows = []
    try:
        for row in read_rows(source, group_by, lambda error: report.bad_rows.append(_fault(error))):
            rows.append(row)
    except DataError as error:
        report.problems.append(_fault(error))
    return rows


def _check_labels(data: DataSettings, parts: dict[str, list[Row]], report: DataReport) -> None:
    """Report too few labels, those without a row in train or valid, and those that only valid or test has."""
    if "train" not in parts:
        return
    try:
        labels = find_labels(data, parts["train"], parts.get("valid", []))
    except DataError as error:
        report.problems.append(_fault(error))
        return
    for name, so in (("train", "it cannot be learned"), ("valid", "how well it is learned is not measured")):
        missing = sorted(set(labels) - {row.label for row in parts[name]}) if name in parts else []
        if missing:
            shown = ", ".join(repr(short_label(label)) for label in missing[:EXAMPLES])
            more = f" and {len(missing) - EXAMPLES:,} more" if len(missing) > EXAMPLES else ""
            what = f"no row has the label {shown}{more}, so {so}"
            report.warnings.append({"where": name, "what": what, "remedy": "Add rows, or leave the label out"})
    for name in ("valid", "test"):
        firsts = {row.label: row for row in reversed(parts.get(name, [])) if row.label not in labels}
        for label in sorted(firsts):
            try:
                classes_of([firsts[label]], labels)
            except DataError as error:
                report.problems.append(_fault(error))


def _encode_parts(
    data: DataSettings, parts: dict[str, list[Row]], tokenizer: Tokenizer, report: DataReport
) -> tuple[dict[str, list[int]], dict[str, Ids]]:
    """Return the tokens of each text before any are cut off, and the ids of each part if there is a vocabulary."""
    lengths: dict[str, list[int]] = {name: [] for name in parts}
    different: set[str] = set()
    now = "train"

    def measuring(text: str) -> list[str]:
        tokens = tokenizer(text)
        lengths[now].append(len(tokens))
        if now == "train":
            different.update(tokens)
        return tokens

    ids: dict[str, Ids] = {}
    vocabulary = None
    if "train" in parts:
        cut = (data.max_length, data.truncate)
        try:
            vocabulary, ids["train"], _ = learn_vocabulary(
                parts["train"], measuring, data.tokenizer, *cut, source_name(data.train)
            )
        except DataError as error:
            report.problems.append(_fault(error))
        else:
            report.vocabulary = {"size": len(vocabulary), "different_tokens": len(different)}
    for now in [name for name in parts if name != "train"]:
        if vocabulary is None:
            lengths[now] = [len(tokenizer(row.text)) for row in parts[now]]
        else:
            ids[now], _ = encode_texts(parts[now], measuring, vocabulary.encode, data.max_length, data.truncate)
    return lengths, ids


def _describe(
    rows: Sequence[Row], keys: Sequence[bytes], lengths: Sequence[int], ids: Ids | None, max_length: int | None
) -> PartReport:
    """Return the report on one part."""
    counts = np.array(lengths)
    empty = int((counts == 0).sum())
    known = None
    if ids is not None and len(ids) > empty:
        # Every empty text stands as one unknown id, which is no token of its own.
        known = float((ids != UNKNOWN_ID).sum() / (len(ids) - empty))
    percentiles = np.percentile(counts, PERCENTILES, method="inverted_cdf")
    examples = list(_contradictions(rows, keys))
    return PartReport(
        rows=len(rows),
        labels=dict(sorted(Counter(row.label for row in rows).items())),
        groups=len({row.group for row in rows if row.group is not None}) or None,
        lengths={
            "least": int(counts.min()),
            **{f"p{percent}": int(value) for percent, value in zip(PERCENTILES, percentiles, strict=True)},
            "mean": round(float(counts.mean()), 1),
            "most": int(counts.max()),
        },
        cut=0 if max_length is None else int((counts > max_length).sum()),
        known_tokens=known,
        empty=empty,
        repeats=len(keys) - len(set(keys)),
        contradictions=len(examples),
        examples=examples[:EXAMPLES],
    )


def _contradictions(rows: Sequence[Row], keys: Sequence[bytes]) -> Iterator[dict[str, str]]:
    """Yield, for each text with more than one label, its first row and the first one that disagrees."""
    firsts: dict[bytes, Row] = {}
    told: set[bytes] = set()
    for row, key in zip(rows, keys, strict=True):
        first = firsts.setdefault(key, row)
        if first.label != row.label and key not in told:
            told.add(key)
            yield {"first": first.where, "first_label": first.label, "second": row.where, "second_label": row.label}


def _fault(error: DataError) -> Fault:
    """Return an error as what --json prints."""
    return {"where": error.where, "what": error.what, "remedy": error.remedy}
