import doctest
import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rnncli.data import tokenizers
from rnncli.data.tokenizers import end_tokenizer, make_tokenizer

words = make_tokenizer("word", lowercase=True)
any_text = st.text(st.characters(exclude_categories=[]))  # lone surrogates and control characters included


def test_the_examples_of_the_docstring_hold():
    results = doctest.testmod(tokenizers)
    assert results.attempted >= 6
    assert results.failed == 0


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", []),
        (" \t\r\n\x0b\x0c\x1c\x85\u00a0\u3000", []),
        ("can't've", ["ca", "n't", "'ve"]),
        ("he'd they're I'm you'll who's", ["he", "'d", "they", "'re", "i", "'m", "you", "'ll", "who", "'s"]),
        ("rock'n'roll o'brien's y'all", ["rock'n'roll", "o'brien", "'s", "y'all"]),
        ("n'though isn'tx", ["n'though", "isn'tx"]),
        ("'tis 'quoted' dogs'", ["'", "tis", "'", "quoted", "'", "dogs", "'"]),
        ("don\u2019t", ["do", "n't"]),
        ("a<br>b<BR/>c<Br  / >d<bra>", ["a", "b", "c", "d", "<", "bra", ">"]),
        ("1,000,000 3.14. 2,5, v1.2", ["1,000,000", "3.14", ".", "2,5", ",", "v1", ".", "2"]),
        ("3.5mm 2nd", ["3.5", "mm", "2nd"]),
        ("wow!!! a--b ?! ''", ["wow", "!!!", "a", "--", "b", "?", "!", "''"]),
        ("isn't_ it's_", ["is", "n't", "_", "it", "'s", "_"]),
        ("__init__ snake_case", ["__", "init", "__", "snake", "_", "case"]),
        ("e\u0301te\u0301 \u00e9t\u00e9", ["\u00e9t\u00e9", "\u00e9t\u00e9"]),
        ("\u0939\u093f\u0928\u094d \u092e\u0947\u0964", ["\u0939\u093f\u0928\u094d", "\u092e\u0947", "\u0964"]),
        ("\U0001f600\U0001f600\U0001f3ac", ["\U0001f600\U0001f600", "\U0001f3ac"]),
        ("a\x00b\x96c", ["a", "\x00", "b", "\x96", "c"]),
        ("the <unk> <UNK> <unk", ["the", "<unk>", "<unk>", "<", "unk"]),
    ],
)  # fmt: skip
def test_word_tokens(text: str, tokens: list[str]):
    assert words(text) == tokens


def test_case_is_kept_unless_asked_otherwise():
    text = "IT'S A<BR/>DON'T; We'LL"
    assert make_tokenizer("word", lowercase=False)(text) == ["IT", "'S", "A", "DO", "N'T", ";", "We", "'LL"]
    assert words(text) == ["it", "'s", "a", "do", "n't", ";", "we", "'ll"]
    assert make_tokenizer("whitespace", lowercase=False)("A b") == ["A", "b"]
    assert make_tokenizer("whitespace", lowercase=True)("A b") == ["a", "b"]
    assert make_tokenizer("character", lowercase=True)("A b") == ["a", " ", "b"]


def test_a_word_of_marked_letters_is_one_token_in_every_script():
    for code in range(0x10000):
        mark = chr(code)
        if unicodedata.category(mark).startswith("M"):
            text = unicodedata.normalize("NFC", f"a{mark}b")
            assert make_tokenizer("word", lowercase=False)(text) == [text], f"U+{code:04X}"


@given(any_text)
def test_word_tokens_are_the_text_without_white_space(text: str):
    normal = _LINE_BREAKS.sub("", unicodedata.normalize("NFC", text).replace("\u2019", "'"))
    assert "".join(make_tokenizer("word", lowercase=False)(text)) == "".join(normal.split())


@given(any_text, st.sampled_from(["word", "whitespace", "character"]), st.booleans())
def test_any_string_is_cut_into_tokens_that_are_not_empty(text: str, kind: str, lowercase: bool):
    tokens = make_tokenizer(kind, lowercase)(text)
    assert all(tokens)
    assert tokens == make_tokenizer(kind, lowercase)(text)
    if kind != "character":
        assert not any(re.search(r"\s", token) for token in tokens)
    else:
        assert "".join(tokens) == (text.lower() if lowercase else text)


@given(st.lists(st.sampled_from(["do", "n't", "'s", "'ll", "1,5", "o'neil", "...", "!", "\u00e9", "(", "<unk>"])))
def test_tokens_set_apart_by_spaces_stay_as_they_are(tokens: list[str]):
    assert words(" ".join(tokens)) == tokens


def test_a_long_run_takes_no_more_than_linear_time():
    for hostile in (
        "a" * 200_000,
        "'" * 200_000,
        "a'" * 100_000,
        "1." * 100_000,
        "<br" * 70_000,
        "<br" + " " * 200_000,
    ):
        assert words(hostile)


_LINE_BREAKS = re.compile(r"<br\s*(?:/\s*)?>", re.IGNORECASE)


PIECES = [*"aB\u03a3\u0301'.>\n\u2000t_1,/", "<br", "<br /", " ", "n't "]


@example("a<br />", 1)
@example("<br /> a", 1)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join), st.integers(1, 6))
def test_the_tokens_of_one_end_are_those_of_the_whole(text: str, most: int):
    for kind in ("word", "whitespace", "character"):
        tokenizer = make_tokenizer(kind, lowercase=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tokenizers, "CHARACTERS_A_TOKEN", 1)
            head, tail = (end_tokenizer(tokenizer, most, end)(text) for end in ("head", "tail"))
        assert head[:most] == tokenizer(text)[:most]
        assert tail[-most:] == tokenizer(text)[-most:]


def test_the_other_end_of_a_long_text_is_not_cut_into_tokens():
    text = "one two <br /> " * 10_000
    assert len(end_tokenizer(words, 10, "head")(text)) < 50
    assert end_tokenizer(words, 10, "tail")(text)[-10:] == ["one", "two"] * 5
    assert len(end_tokenizer(words, 10, "tail")(text)) < 50
    assert len(end_tokenizer(words, None, "tail")(text)) == 20_000
    assert end_tokenizer(words, 2, "tail")("a b" + " " * 100_000 + ">") == ["a", "b", ">"]
