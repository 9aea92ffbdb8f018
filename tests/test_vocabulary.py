import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncli.data.vocabulary import UNKNOWN, Vocabulary, build_vocabulary

COUNTS = {"the": 9, "b": 3, "a": 3, "rare": 1, "c": 2}


def test_ids_follow_frequency_and_then_the_name():
    vocabulary = build_vocabulary(COUNTS, min_count=1, max_vocab=100)
    assert vocabulary.tokens == (UNKNOWN, "the", "a", "b", "c", "rare")
    assert len(vocabulary) == 6
    assert build_vocabulary(dict(reversed(COUNTS.items())), 1, 100).tokens == vocabulary.tokens


def test_rare_tokens_and_those_beyond_the_limit_are_left_out():
    assert build_vocabulary(COUNTS, min_count=2, max_vocab=100).tokens == (UNKNOWN, "the", "a", "b", "c")
    assert build_vocabulary(COUNTS, min_count=1, max_vocab=3).tokens == (UNKNOWN, "the", "a")
    assert build_vocabulary(COUNTS, min_count=10, max_vocab=100).tokens == (UNKNOWN,)


def test_encode_gives_unknown_tokens_id_0():
    vocabulary = build_vocabulary(COUNTS, min_count=2, max_vocab=100)
    ids = vocabulary.encode(["a", "rare", "the", "never", UNKNOWN])
    assert ids.dtype == np.int32
    assert ids.tolist() == [2, 0, 1, 0, 0]
    assert vocabulary.encode([]).shape == (0,)
    assert "the" in vocabulary
    assert "rare" not in vocabulary


def test_a_text_that_says_unk_means_the_unknown_token():
    vocabulary = build_vocabulary({UNKNOWN: 50, "a": 2}, min_count=1, max_vocab=10)
    assert vocabulary.tokens == (UNKNOWN, "a")


@pytest.mark.parametrize("tokens", [[], ["a"], ["a", UNKNOWN], [UNKNOWN, "a", "a"], [UNKNOWN, UNKNOWN]])
def test_a_list_that_is_no_vocabulary_is_refused(tokens: list[str]):
    with pytest.raises(ValueError, match=r"vocabulary"):
        Vocabulary(tokens)


@given(st.dictionaries(st.text(), st.integers(1, 5)), st.integers(1, 4), st.integers(2, 8))
def test_every_vocabulary_keeps_its_promises(counts: dict[str, int], min_count: int, max_vocab: int):
    vocabulary = build_vocabulary(counts, min_count, max_vocab)
    known = vocabulary.tokens[1:]
    assert len(vocabulary) <= max_vocab
    assert all(counts[token] >= min_count for token in known)
    assert vocabulary.encode(vocabulary.tokens).tolist() == list(range(len(vocabulary)))
    left_out = [count for token, count in counts.items() if token not in vocabulary]
    if len(vocabulary) == max_vocab and left_out:
        assert max(left_out) <= min(counts[token] for token in known)
    else:
        assert all(count < min_count for count in left_out)
    assert Vocabulary(vocabulary.tokens).tokens == vocabulary.tokens
