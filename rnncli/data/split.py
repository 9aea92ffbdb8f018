"""The split of one source into a training and a validation part, by a hash of what each row says.

No row's side depends on any other row: adding, removing or reordering rows moves none of the others.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from numbers import Real
from typing import Generic, NamedTuple, Protocol, TypeVar

from rnncli.errors import DataError


class Splittable(Protocol):
    """What a row needs to be split: a text, and perhaps the group that it must stay with."""

    @property
    def text(self) -> str: ...  # noqa: D102
    @property
    def group(self) -> str | None: ...  # noqa: D102


AnyRow = TypeVar("AnyRow", bound=Splittable)


class Split(NamedTuple, Generic[AnyRow]):
    """Two parts of a source, and how many rows belong to neither.

    Parameters
    ----------
    train, valid : list
        The parts, each in the order of the source.
    dropped : int
        Rows left out of the training part because their text is in the validation part, under another group.
    """

    train: list[AnyRow]
    valid: list[AnyRow]
    dropped: int


def text_key(text: str) -> bytes:
    """Return what two texts share when they count as the same: a digest that minds no difference in white space.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    bytes
        16 bytes.
    """
    return hashlib.blake2b(" ".join(text.split()).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def split_rows(rows: Sequence[AnyRow], valid_fraction: float, seed: int, where: str = "data.train") -> Split[AnyRow]:
    """Split rows into a training and a validation part.

    A row without a group goes where the hash of the seed and its text sends it, so equal texts (white space apart)
    go the same way. A row with a group goes where the hash of the seed and its group sends it, so a group stays on
    one side, and ``valid_fraction`` is a share of the groups rather than of the rows. A text that then still sits in
    both parts, because two groups share it, is dropped from the training part: the same text is never in both.

    Parameters
    ----------
    rows : sequence of Row, or of anything with a text and a group
        All rows of the source.
    valid_fraction : float
        Share that is expected in the validation part, between 0 and 1.
    seed : int
        Another seed gives another split.
    where : str
        Name of the source, for messages.

    Returns
    -------
    Split
        The parts, which share no text and no group.

    Raises
    ------
    DataError
        If one of the parts is empty.
    """
    # 64 bits of the hash, as a whole number, against the same share of 2**64.
    limit = int(valid_fraction * 2**64)
    salt = seed.to_bytes(16, "little", signed=True)
    train: list[AnyRow] = []
    valid: list[AnyRow] = []
    keys: list[bytes] = []
    held: set[bytes] = set()
    grouped = False
    for row in rows:
        key = text_key(row.text)
        unit = key
        if row.group is not None:
            grouped = True
            unit = b"group:" + row.group.encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(unit, digest_size=8, salt=salt).digest()
        if int.from_bytes(digest, "little") < limit:
            valid.append(row)
            held.add(key)
        else:
            train.append(row)
            keys.append(key)
    kept = [row for row, key in zip(train, keys, strict=True) if key not in held]
    for name, part in (("training", kept), ("validation", valid)):
        if not part:
            few = "groups" if grouped else "different texts"
            raise DataError(
                f"the {name} part is empty: valid_fraction {valid_fraction:g} of {len(rows):,} rows with few {few}",
                where=where,
                remedy="Change data.valid_fraction or data.split_seed, add rows, or name a file of its own: data.valid",
            )
    return Split(kept, valid, len(train) - len(kept))


class Labelled(Splittable, Protocol):
    """A row with a label."""

    @property
    def label(self) -> str: ...  # noqa: D102


AnyLabelled = TypeVar("AnyLabelled", bound=Labelled)


def hold_back(rows: Sequence[AnyLabelled], fraction: float, seed: int) -> tuple[list[AnyLabelled], list[AnyLabelled]]:
    """Hold a share of the different texts back, exactly so many, also of a few texts.

    Parameters
    ----------
    rows : sequence of Row
        All rows; their groups do not matter.
    fraction : float
        Share of the different texts, from 0 to below 1. Of the texts in the order of a hash, those are passed over
        without which a label would have none left to train on.
    seed : int
        Another seed holds others back.

    Returns
    -------
    train, valid : list of Row
        Which share no text. With 0 the second is empty; else it has at least one row.

    Raises
    ------
    DataError
        If the fraction is none, or nothing can be held back.
    """
    if not isinstance(fraction, Real) or isinstance(fraction, bool) or not 0 <= fraction < 1:
        raise DataError(f"validation_fraction is {fraction!r}; it must be a number from 0 to below 1")
    if fraction == 0:
        return list(rows), []
    keys = [text_key(row.text) for row in rows]
    labels: dict[bytes, Counter[str]] = {}
    for row, key in zip(rows, keys, strict=True):
        labels.setdefault(key, Counter())[row.label] += 1
    left = Counter(row.label for row in rows)
    salt = seed.to_bytes(16, "little", signed=True)
    wanted = max(1, round(fraction * len(labels)))
    held: set[bytes] = set()
    for key in sorted(labels, key=lambda key: hashlib.blake2b(key, digest_size=16, salt=salt).digest()):
        if len(held) < wanted and all(left[label] > count for label, count in labels[key].items()):
            held.add(key)
            left -= labels[key]
    if not held:
        raise DataError(
            f"{len(labels):,} different texts are too few to hold some back", remedy="Set validation_fraction to 0"
        )
    train = [row for row, key in zip(rows, keys, strict=True) if key not in held]
    return train, [row for row, key in zip(rows, keys, strict=True) if key in held]
