import json
from types import SimpleNamespace

import numpy as np
import pytest

from rnncli.data.tagging.codec import learn_tagging_codec
from rnncli.data.tagging.codec_json import tagging_codec_from_json, tagging_codec_to_json
from rnncli.data.tagging.sentences import Sentence

WORDS = SimpleNamespace(lowercase=True, max_vocab=99, min_count=1)
CHARACTERS = SimpleNamespace(kind="characters", min_count=1, max_length=9)
NGRAMS = SimpleNamespace(kind="ngrams", shortest=2, longest=3, buckets=9)
SENTENCES = [Sentence(("The", "caf\u00e9", "was"), ("D", "N", "V"), "x:1", (1, 2, 3))]
OTHERS = [Sentence(("the", "was"), ("D", "X"), "y:1", (1, 2))]


def made(spelling=CHARACTERS):
    return learn_tagging_codec(SENTENCES, WORDS, spelling, "x")


@pytest.mark.parametrize("spelling", [CHARACTERS, NGRAMS, None])
def test_it_comes_back_and_encodes_the_same(spelling):
    text = tagging_codec_to_json(made(spelling))
    codec = tagging_codec_from_json(text, WORDS, spelling)
    assert tagging_codec_to_json(codec) == text
    for sentences in (SENTENCES, OTHERS):
        one, other = made(spelling).encode(sentences), codec.encode(sentences)
        assert one.tags == other.tags
        for name in ("ids", "labels", "offsets", "forms", "unseen"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        assert (one.spellings is None) == (other.spellings is None)
        if one.spellings is not None:
            np.testing.assert_array_equal(one.spellings.pieces, other.spellings.pieces)
    assert codec.encode(OTHERS).unseen.tolist() == [True, False]


def test_another_spelling_than_that_of_the_config():
    with pytest.raises(ValueError, match="characters are not those of its config"):
        tagging_codec_from_json(tagging_codec_to_json(made()), WORDS, NGRAMS)
    with pytest.raises(ValueError, match="characters are not those of its config"):
        tagging_codec_from_json(tagging_codec_to_json(made(None)), WORDS, CHARACTERS)


@pytest.mark.parametrize(
    "changes",
    [
        {"words": ["a"]},
        {"words": ["<unk>", 1]},
        {"words": None},
        {"tags": ["D"]},
        {"tags": ["D", "D"]},
        {"tags": ["D", ""]},
        {"tags": ["D", "N\x1b[31m"]},
        {"tags": "DN"},
        {"characters": ["<unk>", "a", "a"]},
        {"seen": "no base64"},
        {"seen": "AAAA"},
        {"seen": 3},
    ],
)
def test_what_is_no_codec(changes):
    text = json.dumps({**json.loads(tagging_codec_to_json(made())), **changes})
    with pytest.raises(ValueError, match=r"."):
        tagging_codec_from_json(text, WORDS, CHARACTERS)


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", "[" * 100_000])
def test_what_is_not_even_close(text):
    with pytest.raises(ValueError, match=r"."):
        tagging_codec_from_json(text, WORDS, CHARACTERS)
