"""Where tokens lie in the text: every one of them, whatever the tokenizer makes of it."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rnncli.data.spans import token_spans
from rnncli.data.tokenizers import make_tokenizer

KINDS = ["word", "whitespace", "character"]


def found(text, kind="word", lowercase=True):
    spans = token_spans(text, make_tokenizer(kind, lowercase)(text), kind, lowercase)
    return None if spans is None else [text[start:end] for start, end in spans]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("It ISN'T 3.5 stars!!", ["It", "IS", "N'T", "3.5", "stars", "!!"]),
        ("Caf\u00e9, cafe\u0301", ["Caf\u00e9", ",", "cafe\u0301"]),  # two ways to write the same letter
        ("Don\u2019t", ["Do", "n\u2019t"]),
        ("ba<br />r <BR>b", ["ba", "r", "b"]),
        ("\u0130stanbul", ["\u0130stanbul"]),  # one character that becomes two in lower case
        ("\u039f\u0394\u039f\u03a3 \u03a3\u039f", ["\u039f\u0394\u039f\u03a3", "\u03a3\u039f"]),  # two small sigmas
        ("\u1112\u1161\u11ab", ["\u1112\u1161\u11ab"]),  # one syllable in three characters
        ("<unk> <", ["<unk>", "<"]),
        ("  \n", []),
    ],
)
def test_words_are_found_as_they_were_written(text, pieces):
    assert found(text) == pieces


@settings(max_examples=400, deadline=None)
@given(st.text(), st.sampled_from(KINDS), st.booleans())
@example("\u09c7\u09be \u3099", "word", True)
@example("a\u0301\u0323 \u212a", "word", True)
def test_every_token_of_any_text_is_found(text, kind, lowercase):
    tokenizer = make_tokenizer(kind, lowercase)
    tokens = tokenizer(text)
    spans = token_spans(text, tokens, kind, lowercase)
    assert spans is not None
    assert len(spans) == len(tokens)
    starts = [start for start, _ in spans]
    assert starts == sorted(starts)
    assert all(0 <= start < end <= len(text) for start, end in spans)
    shown = "".join(text[start:end] for start, end in dict.fromkeys(spans))
    if kind == "whitespace":
        assert "".join(shown.split()) == "".join(text.split())
    if kind == "character":
        assert shown == text


def test_tokens_of_another_text_are_not_found():
    assert token_spans("good film", ["bad"], "word", lowercase=True) is None
    assert token_spans("good", ["good", "film"], "word", lowercase=True) is None
    assert token_spans("good", [""], "word", lowercase=True) is None
