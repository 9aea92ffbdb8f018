import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncli.data.tagging.schemes import (
    SCHEMES,
    Entity,
    convert_tags,
    first_fault,
    is_entity_tag,
    read_entities,
    read_strictly,
    write_entities,
)


@st.composite
def sentences_of_entities(draw):
    """Draw a length and entities in it, some of which touch."""
    entities, place = [], 0
    for gap, size, kind in draw(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4), st.sampled_from("XYZ_")))):
        entities.append(Entity(kind, place + gap, place + gap + size))
        place += gap + size
    return place + draw(st.integers(0, 2)), entities


ROWS = {
    "iob1": "O I-X O I-X I-X B-X I-X I-Y B-Y O",
    "iob2": "O B-X O B-X I-X B-X I-X B-Y B-Y O",
    "iobes": "O S-X O B-X E-X B-X E-X S-Y S-Y O",
}


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("other", SCHEMES)
def test_each_scheme_becomes_each_other(scheme, other):
    assert convert_tags(ROWS[scheme].split(), other) == ROWS[other].split()


def test_the_entities_of_the_rows():
    expected = [("X", 1, 2), ("X", 3, 5), ("X", 5, 7), ("Y", 7, 8), ("Y", 8, 9)]
    for scheme, row in ROWS.items():
        assert read_entities(row.split()) == expected
        assert read_strictly(row.split(), scheme) == expected


@given(sentences_of_entities(), st.sampled_from(SCHEMES))
def test_what_is_written_is_read_again_and_has_no_fault(drawn, scheme):
    length, entities = drawn
    tags = write_entities(entities, length, scheme)
    assert len(tags) == length
    assert read_entities(tags) == entities
    assert read_strictly(tags, scheme) == entities
    assert first_fault(tags, scheme) is None


@given(sentences_of_entities())
def test_a_sequence_with_an_entity_is_right_in_one_scheme_alone(drawn):
    length, entities = drawn
    for scheme in SCHEMES:
        tags = write_entities(entities, length, scheme)
        others = [other for other in SCHEMES if other != scheme and first_fault(tags, other) is None]
        assert bool(others) == (not entities)


@given(
    st.lists(st.sampled_from(["O", "B-X", "I-X", "E-X", "S-X", "B-Y", "I-Y", "E-Y", "S-Y", "B", "I", "E", "S"])),
    st.sampled_from(SCHEMES),
)
def test_converting_mends_any_sequence_and_changes_no_right_one(tags, scheme):
    mended = convert_tags(tags, scheme)
    assert first_fault(mended, scheme) is None
    assert read_entities(mended) == read_entities(tags)
    assert (first_fault(tags, scheme) is None) == (mended == tags)


@pytest.mark.parametrize(
    ("tags", "scheme", "place"),
    [
        ("O I-X", "iob2", 1),
        ("B-X I-Y", "iob2", 1),
        ("O B-X", "iob1", 1),
        ("I-X B-Y", "iob1", 1),
        ("B-X O", "iobes", 0),
        ("B-X I-X O", "iobes", 1),
        ("I-X B-X I-X", "iob1", None),
    ],
)
def test_the_first_fault(tags, scheme, place):
    assert first_fault(tags.split(), scheme) == place


def test_what_is_a_tag_of_an_entity():
    assert all(map(is_entity_tag, ["O", "B", "I-PER", "S-a b", "E-x-y"]))
    assert not any(map(is_entity_tag, ["", "NOUN", "B-", "X-PER", "OO", "I_PER"]))


def test_a_type_may_hold_a_hyphen():
    assert convert_tags(["I-a-b", "I-a-b"], "iobes") == ["B-a-b", "E-a-b"]


def test_a_letter_that_a_scheme_does_not_have():
    with pytest.raises(ValueError, match="'S-X' is not a tag of iob2"):
        read_strictly(["O", "S-X"], "iob2")
