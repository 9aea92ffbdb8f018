"""How tags mark entities of several words: IOB1, IOB2 and IOBES, told apart, checked and converted.

All three write ``O`` for a word outside. For the words of an entity of type X, each row one entity, ``|`` between two
that touch::

    iob1    I-X   I-X I-X   I-X I-X I-X   I-X I-X | B-X I-X     B- only where an entity touches one of its own type
    iob2    B-X   B-X I-X   B-X I-X I-X   B-X I-X | B-X I-X     B- begins every entity
    iobes   S-X   B-X E-X   B-X I-X E-X   B-X E-X | B-X E-X     E- ends an entity, S- is one of a single word

A sequence that is right in two of them has no entity at all, so a file tells which one it is in.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

Scheme = Literal["iob1", "iob2", "iobes"]
SCHEMES: tuple[Scheme, ...] = ("iob2", "iob1", "iobes")
OUTSIDE = "O"
NO_TYPE = "_"

_ENTITY_TAG = re.compile(r"O|[BIES](?:-.+)?", re.DOTALL)


class Entity(NamedTuple):
    """A run of words under one name.

    Parameters
    ----------
    kind : str
        Its type; ``_`` where the tags are the bare letters.
    start, stop : int
        Its words are ``words[start:stop]``.
    """

    kind: str
    start: int
    stop: int


def is_entity_tag(tag: str) -> bool:
    """Return whether a tag is ``O``, one of the letters B, I, E, S, or such a letter with a type: ``B-PER``."""
    return _ENTITY_TAG.fullmatch(tag) is not None


def read_entities(tags: Sequence[str]) -> list[Entity]:
    """Return the entities of a sequence in whatever scheme, forgiving what no scheme allows, as conlleval does.

    An entity begins at B or S, at I or E that follow an entity's end or another type, and ends before the next
    beginning or O, or after E or S.

    Parameters
    ----------
    tags : sequence of str
        The tags of one sentence. Their first letter is what counts; the type is what follows it and a hyphen.

    Returns
    -------
    list of Entity
        In order; they don't overlap.
    """
    found: list[Entity] = []
    start, open_kind, last = 0, NO_TYPE, "O"
    for place, tag in enumerate([*tags, OUTSIDE]):
        letter, kind = tag[0], tag[1:].split("-", maxsplit=1)[-1] or NO_TYPE
        changed = kind != open_kind
        ends = last in "ES" or (last in "BI" and letter in "BSO") or (last not in "O." and changed)
        begins = letter in "BS" or (letter in "IE" and last in "ESO") or (letter not in "O." and changed)
        if ends:
            found.append(Entity(open_kind, start, place))
        if begins:
            start = place
        last, open_kind = letter, kind
    return found


def read_strictly(tags: Sequence[str], scheme: Scheme) -> list[Entity]:
    """Return the entities that a sequence marks by the letter of a scheme; what breaks its rules marks none.

    Parameters
    ----------
    tags : sequence of str
        The tags of one sentence.
    scheme : {"iob1", "iob2", "iobes"}
        The scheme.

    Returns
    -------
    list of Entity
        In order.

    Raises
    ------
    ValueError
        A tag whose first letter the scheme does not have.
    """
    letters = "BIESO" if scheme == "iobes" else "BIO"
    marks = [(tag[:1], tag[1:].strip("-") or NO_TYPE) for tag in [*tags, OUTSIDE]]
    if wrong := [tag for tag, mark in zip(tags, marks, strict=False) if mark[0] not in letters or not tag]:
        raise ValueError(f"{wrong[0]!r} is not a tag of {scheme}")
    found: list[Entity] = []
    place, before = 0, (OUTSIDE, NO_TYPE)
    while place < len(marks):
        start = place
        place += 1
        if _starts(before, marks[start], scheme):
            while _goes_on(marks[place - 1], marks[place], scheme):
                place += 1
            if _may_end(marks[place - 1], marks[place], scheme):
                found.append(Entity(marks[start][1], start, place))
        before = marks[place - 1]
    return found


def write_entities(entities: Iterable[Entity], length: int, scheme: Scheme) -> list[str]:
    """Return the tags that mark entities in a scheme.

    Parameters
    ----------
    entities : iterable of Entity
        In order, not overlapping.
    length : int
        Words of the sentence.
    scheme : {"iob1", "iob2", "iobes"}
        The scheme.

    Returns
    -------
    list of str
        A tag for each word.
    """
    tags = [OUTSIDE] * length
    before: Entity | None = None
    for entity in entities:
        letters = ["I"] * (entity.stop - entity.start)
        touches = before is not None and before.stop == entity.start and before.kind == entity.kind
        if scheme != "iob1" or touches:
            letters[0] = "B"
        if scheme == "iobes":
            letters[-1] = "S" if len(letters) == 1 else "E"
        suffix = "" if entity.kind == NO_TYPE else f"-{entity.kind}"
        tags[entity.start : entity.stop] = [letter + suffix for letter in letters]
        before = entity
    return tags


def convert_tags(tags: Sequence[str], scheme: Scheme) -> list[str]:
    """Return a sequence in another scheme; a prediction that breaks its own scheme's rules becomes one that does not.

    Parameters
    ----------
    tags : sequence of str
        The tags of one sentence, in any scheme.
    scheme : {"iob1", "iob2", "iobes"}
        The scheme to convert to.

    Returns
    -------
    list of str
        As many tags, marking the same entities.
    """
    return write_entities(read_entities(tags), len(tags), scheme)


def first_fault(tags: Sequence[str], scheme: Scheme) -> int | None:
    """Return the place of the first tag that is wrong in a scheme, None where the whole sequence is right.

    Parameters
    ----------
    tags : sequence of str
        The tags of one sentence.
    scheme : {"iob1", "iob2", "iobes"}
        The scheme.

    Returns
    -------
    int or None
        Counted from 0.
    """
    for place, (tag, right) in enumerate(zip(tags, convert_tags(tags, scheme), strict=True)):
        if tag != right:
            return place
    return None


def _starts(before: tuple[str, str], mark: tuple[str, str], scheme: Scheme) -> bool:
    """Whether an entity begins at a mark that is not inside one already."""
    if scheme == "iob2":
        return mark[0] == "B"
    if scheme == "iobes":
        return mark[0] in "BS"
    same = before[1] == mark[1]
    if mark[0] == "I":
        return before[0] in "OB" or not same
    return mark[0] == "B" and before[0] in "IB" and same


def _goes_on(before: tuple[str, str], mark: tuple[str, str], scheme: Scheme) -> bool:
    """Whether a mark is inside the entity that the one before it belongs to."""
    return before[0] in "BI" and mark[0] in ("IE" if scheme == "iobes" else "I") and before[1] == mark[1]


def _may_end(last: tuple[str, str], after: tuple[str, str], scheme: Scheme) -> bool:
    """Whether an entity may end with one mark before the other."""
    if scheme == "iobes":
        return last[0] in "ES"
    # In IOB1 a B- must touch an entity of its own type, so two of different types in a row end nothing.
    return scheme == "iob2" or not (last[0] == after[0] == "B" and last[1] != after[1])
