import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rnncli.data.rows import Row
from rnncli.data.split import hold_back, split_rows, text_key
from rnncli.errors import DataError


def make_rows(texts: list[str], groups: list[str] | None = None) -> list[Row]:
    return [Row(text, "x", f"f:{n}", groups[n] if groups else None) for n, text in enumerate(texts)]


MANY = make_rows([f"text number {n}" for n in range(4000)])


def keys(rows: list[Row]) -> set[bytes]:
    return {text_key(row.text) for row in rows}


def test_the_parts_are_the_rows_in_their_order():
    split = split_rows(MANY, 0.1, seed=1)
    assert sorted(split.train + split.valid) == sorted(MANY)
    assert split.dropped == 0
    for part in (split.train, split.valid):
        places = [MANY.index(row) for row in part]
        assert places == sorted(places)


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.5, 0.9])
def test_the_fraction_is_what_was_asked_for(fraction: float):
    share = len(split_rows(MANY, fraction, seed=1).valid) / len(MANY)
    assert share == pytest.approx(fraction, abs=4 * (fraction * (1 - fraction) / len(MANY)) ** 0.5)


def test_another_seed_is_another_split_and_the_same_seed_the_same():
    one, again, other = (split_rows(MANY, 0.1, seed) for seed in (1, 1, 2))
    assert one == again
    common = len(keys(one.valid) & keys(other.valid))
    assert common < 0.3 * len(one.valid)  # a tenth is expected of two independent splits


def test_the_split_is_the_one_it_has_always_been():
    # Pinned: a checkpoint's validation part is found again from its seed, by later versions too.
    assert [row.text for row in split_rows(MANY[:40], 0.1, seed=1).valid] == PINNED


def test_no_row_moves_when_rows_are_added_removed_or_reordered():
    before = split_rows(MANY[:2000], 0.2, seed=3)
    shuffled = MANY.copy()
    random.Random(1).shuffle(shuffled)
    after = split_rows(shuffled, 0.2, seed=3)
    assert keys(before.valid) <= keys(after.valid)
    assert keys(before.train) <= keys(after.train)


def test_a_larger_fraction_only_adds_to_the_validation_part():
    assert keys(split_rows(MANY, 0.1, seed=1).valid) < keys(split_rows(MANY, 0.2, seed=1).valid)


def test_texts_that_differ_in_white_space_only_are_the_same_text():
    assert text_key("a  b\n") == text_key(" a b")
    assert text_key("a b") != text_key("ab")
    assert text_key("a b") != text_key("A b")


def test_any_string_and_any_seed_can_be_hashed():
    rows = make_rows(
        ["\ud800", "\x00", "", "é"] * 3 + [str(n) for n in range(50)], ["\udfff"] * 3 + list("abcdefg") * 10
    )
    for seed in (0, 2**63 - 1, -(2**40)):
        assert split_rows(rows, 0.5, seed).valid


@given(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from([None, "A", "B", "C", "D", ""])), max_size=30),
    st.integers(0, 2**64),
)
def test_neither_a_text_nor_a_group_is_ever_on_both_sides(pairs: list[tuple[str, str | None]], seed: int):
    rows = [Row(text, "x", f"f:{n}", group) for n, (text, group) in enumerate(pairs)]
    try:
        split = split_rows(rows, 0.5, seed)
    except DataError:
        assume(False)
    assert not keys(split.train) & keys(split.valid)
    assert not {row.group for row in split.train if row.group is not None} & {row.group for row in split.valid}
    assert len(split.train) + len(split.valid) + split.dropped == len(rows)
    for row in set(rows) - set(split.train) - set(split.valid):
        assert text_key(row.text) in keys(split.valid)


def test_a_text_that_two_groups_share_is_dropped_from_the_training_part():
    texts = [f"t{n}" for n in range(200)]
    rows = make_rows(texts, [f"group {n // 2}" for n in range(200)])
    alone = split_rows(rows, 0.3, seed=1)
    held, kept = alone.valid[0], alone.train[0]
    split = split_rows([*rows, held._replace(group=kept.group, where="copy")], 0.3, seed=1)
    assert split.dropped == 1
    assert split.train == alone.train
    assert split.valid == alone.valid


@pytest.mark.parametrize(("fraction", "part"), [(1e-9, "validation"), (1 - 1e-9, "training")])
def test_an_empty_part_is_refused_with_what_to_do(fraction: float, part: str):
    with pytest.raises(DataError, match=rf"reviews.csv: the {part} part is empty: .*valid_fraction.*data\.valid$"):
        split_rows(MANY[:50], fraction, seed=1, where="reviews.csv")


def test_one_group_cannot_be_split():
    with pytest.raises(DataError, match=r"few groups"):
        split_rows(make_rows(["a", "b", "c"], ["g", "g", "g"]), 0.5, seed=1)


def test_no_rows_cannot_be_split():
    with pytest.raises(DataError, match=r"of 0 rows"):
        split_rows([], 0.5, seed=1)


PINNED = ["text number 8", "text number 14", "text number 20", "text number 23", "text number 30"]


@given(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("xyz")), min_size=2, max_size=40),
    st.floats(0.01, 0.99),
    st.integers(0, 2**63 - 1),
)
def test_a_share_of_the_different_texts_is_held_back(pairs, fraction, seed):
    rows = [Row(text, label, f"f:{n}") for n, (text, label) in enumerate(pairs)]
    try:
        train, valid = hold_back(rows, fraction, seed)
    except DataError:
        # Each text that is held back would have been the last of a label.
        for text in {row.text for row in rows}:
            left = {row.label for row in rows if row.text != text}
            assert left < {row.label for row in rows}
        return
    assert sorted(train + valid) == sorted(rows)
    assert not keys(train) & keys(valid)
    assert {row.label for row in train} == {row.label for row in rows}
    assert 1 <= len(keys(valid)) <= max(1, round(fraction * len(keys(rows))))
    assert (train, valid) == hold_back(rows, fraction, seed)


def test_exactly_a_share_is_held_back():
    for seed in (0, 1):
        train, valid = hold_back(MANY, 0.25, seed)
        assert (len(train), len(valid)) == (3000, 1000)
        assert train == [row for row in MANY if row in set(train)]
    assert hold_back(MANY, 0.25, 0)[1] != valid
    assert hold_back(MANY, 0, 0) == (MANY, [])
    for wrong in (1, -0.1, "0.1", True, float("nan")):
        with pytest.raises(DataError, match="validation_fraction"):
            hold_back(MANY, wrong, 0)
