import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnncli.data.language.bpe import SubwordCodec, _short_pieces, train_bpe
from rnncli.data.language.codecs import codec_from_json, learn_codec
from rnncli.errors import ConfigError, DataError

STORY = 5 * (
    "Once upon a time there was a cat.\nThe cat wasn't fat, it was (very) thin!\n\nIt sat; \u201cyes\u201d: caf\xe9\n"
)
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def words(kind, **changes):
    return SimpleNamespace(kind=kind, **{"lowercase": False, "max_vocab": 1000, "min_count": 1, **changes})


def learn(kind, text=STORY, with_end=False, **changes):
    if kind == "bpe":
        chosen = SimpleNamespace(kind="bpe", size=changes.pop("size", 300), min_count=2)
    elif kind == "file":
        chosen = SimpleNamespace(kind="file", **changes)
    else:
        chosen = words(kind, **changes)
    return learn_codec(chosen, [text], with_end, "story")


KINDS = ["character", "word", "whitespace", "bpe"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("with_end", [False, True])
def test_it_travels_as_json(kind, with_end):
    codec = learn(kind, with_end=with_end)
    other = codec_from_json(json.loads(json.dumps(codec.to_json())))
    assert other.to_json() == codec.to_json()
    assert (other.size, other.end_of_text, other.unknown) == (codec.size, codec.end_of_text, codec.unknown)
    text = "The cat sat \u2603\n"
    ids = codec.encode(text)
    assert ids.tolist() == other.encode(text).tolist()
    assert codec.decode(ids) == other.decode(ids)


@pytest.mark.parametrize("kind", KINDS)
def test_the_end_of_text_is_the_last_id_and_no_text_has_it(kind):
    plain, ended = learn(kind), learn(kind, with_end=True)
    assert plain.end_of_text is None
    assert ended.size == plain.size + 1
    assert ended.end_of_text == plain.size
    for text in (STORY, "<eot> <|endoftext|> <unk> </s> \0 \U0010ffff"):
        ids = ended.encode(text)
        assert ids.dtype == np.int64
        assert ids.max() < plain.size
        assert ids.tolist() == plain.encode(text).tolist()
    ids = ended.encode("The cat\n").tolist()
    end = [ended.end_of_text]
    assert ended.decode([*end, *ids, *end, *ids]) == 2 * plain.decode(ids)


@given(ANY_TEXT)
def test_characters_come_back_but_for_unknown_ones(text):
    codec = learn("character")
    assert codec.decode(codec.encode(text)) == "".join(c if c in STORY else "\ufffd" for c in text)
    assert len(codec.encode(text)) == len(text)
    assert codec.unknown == 0


@pytest.fixture(scope="module")
def bpe():
    return learn("bpe")


@given(ANY_TEXT)
@settings(deadline=None)
def test_any_text_comes_back_from_sub_words(bpe, text):
    assert bpe.unknown is None
    assert bpe.decode(bpe.encode(text)) == text


@pytest.mark.parametrize("kind", KINDS)
@given(st.data())
@settings(deadline=None)
def test_a_stream_makes_up_the_text(kind, data):
    codec = codecs_with_end()[kind]
    ids = data.draw(st.lists(st.integers(0, codec.size - 1), max_size=30))
    pieces = list(codec.stream(iter(ids)))
    assert "".join(pieces) == codec.decode(ids)
    assert all(pieces)


def codecs_with_end(made={}):  # noqa: B006 - made once
    made.update({} if made else {kind: learn(kind, with_end=True) for kind in KINDS})
    return made


def test_a_stream_shows_a_character_as_soon_as_it_is_whole(bpe):
    ids = bpe.encode("a\u2603b").tolist()
    assert list(bpe.stream(ids)) == ["a", "\u2603", "b"]
    assert list(bpe.stream(ids[:-2])) == ["a", "\ufffd"]


def test_words_are_put_together_as_english_is_written():
    codec = learn("word")
    text = "The cat wasn't fat, it was (very) thin!\nIt sat; \u201cyes\u201d.\n"
    assert codec.decode(codec.encode(text)) == text
    assert codec.decode(codec.encode("a  cat dog")) == "a cat <unk>"
    assert learn("word", lowercase=True).decode(codec.encode("time")) != ""


def test_what_white_space_separates_and_line_ends():
    codec = learn("whitespace")
    assert codec.decode(codec.encode("a time\n\n  The  cat.\n")) == "a time\n\nThe cat.\n"


def test_case_is_folded_where_asked():
    for kind in ("character", "word", "whitespace"):
        codec = learn(kind, lowercase=True)
        assert codec.decode(codec.encode("THE Cat")) == "the cat"


def test_rare_and_too_many_tokens_share_an_id():
    assert learn("character", min_count=20).size < learn("character").size
    assert learn("word", max_vocab=5).size == 5
    with pytest.raises(DataError, match="story: no token occurs 1000 times"):
        learn("word", min_count=1000)


def test_bpe_learns_to_its_size_and_the_same_every_time():
    assert learn("bpe", size=280).size == 280
    assert learn("bpe", size=10**6).size < 500
    assert learn("bpe").to_json() == learn("bpe").to_json()
    assert len(learn("bpe").encode(STORY)) < 0.6 * len(STORY)
    assert train_bpe([STORY[:99], STORY[99:]], 300, 2, False).size == 300


def test_bpe_learns_from_small_pieces_of_large_texts(monkeypatch):
    monkeypatch.setattr("rnncli.data.language.bpe._PIECE", 10)
    pieces = list(_short_pieces([STORY, "no line end" * 3]))
    assert "".join(pieces) == STORY + "no line end" * 3
    assert max(map(len, pieces[:-1])) < 60
    assert all(piece.endswith("\n") for piece in pieces[:-1])


def test_a_tokenizer_of_others_is_read_without_its_special_tokens(tmp_path):
    import tokenizers
    from tokenizers import models, pre_tokenizers

    made = tokenizers.Tokenizer(models.WordLevel({"[UNK]": 0, "cat": 1, "sat": 2, "[CLS]": 3}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.add_special_tokens(["[CLS]"])
    made.enable_truncation(2)
    made.enable_padding(length=9)
    path = tmp_path / "tokenizer.json"
    made.save(str(path))
    codec = learn("file", path=str(path), with_end=True)
    assert (codec.size, codec.end_of_text, codec.unknown) == (5, 4, 0)
    assert codec.encode("cat sat cat dog").tolist() == [1, 2, 1, 0]
    assert 3 not in codec.encode("[CLS] cat")
    assert codec_from_json(codec.to_json()).encode("sat cat cat").tolist() == [2, 1, 1]


def test_a_file_that_is_no_tokenizer(tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text("{}")
    with pytest.raises(DataError, match=r"tokenizer\.json: is not a tokenizer"):
        learn("file", path=str(path))
    with pytest.raises(DataError, match="no such file"):
        learn("file", path="none.json")
    with pytest.raises(ValueError, match="not a tokenizer"):
        SubwordCodec("", False)


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "null", "{}", '{"kind": "word"}'),
        '{"kind": "other", "with_end": false, "lowercase": false, "tokens": ["<unk>"]}',
        '{"kind": "word", "with_end": 1, "lowercase": false, "tokens": ["<unk>"]}',
        '{"kind": "word", "with_end": false, "lowercase": "no", "tokens": ["<unk>"]}',
        '{"kind": "word", "with_end": false, "lowercase": false, "tokens": ["a"]}',
        '{"kind": "word", "with_end": false, "lowercase": false, "tokens": ["<unk>", 3]}',
        '{"kind": "word", "with_end": false, "lowercase": false, "tokens": 3}',
        '{"kind": ["word"], "with_end": false, "lowercase": false, "tokens": []}',
        '{"kind": "subwords", "with_end": false, "tokenizer": "{}"}',
        '{"kind": "subwords", "with_end": false, "tokenizer": 3}',
        "[" * 100_000,
    ],
)
def test_what_is_no_codec(text):
    with pytest.raises(ValueError, match=r"."):
        codec_from_json(text)


def test_without_the_package_it_says_what_to_type(monkeypatch, bpe):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    for make in (lambda: learn("bpe"), lambda: codec_from_json(bpe.to_json())):
        with pytest.raises(ConfigError, match="Type: python -m pip install 'tokenizers") as caught:
            make()
        assert "\n" not in str(caught.value)
    assert learn("word").size > 5


def test_the_package_is_imported_for_sub_words_alone():
    program = (
        "import sys; from rnncli.data.language import bpe, corpus; from rnncli.data.language.codecs import *;"
        'codec_from_json(\'{"kind": "word", "lowercase": true, "tokens": ["<unk>"], "with_end": false}\');'
        "print('tokenizers' in sys.modules, 'rnncli.data.language.bpe' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False True\n"
