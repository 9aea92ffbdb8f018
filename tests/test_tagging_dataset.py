from types import SimpleNamespace

import numpy as np
import pytest

from rnncli.data.tagging.codec import learn_tagging_codec, word_keys
from rnncli.data.tagging.dataset import load_tagging_dataset, read_tagged_parts
from rnncli.data.tagging.sentences import Sentence
from rnncli.data.tagging.spelling import kept_characters, ngram_buckets, spell
from rnncli.data.vocabulary import Vocabulary
from rnncli.errors import DataError


class Source(dict):
    def model_dump(self):
        return dict(self)


def settings(train="train.txt", **changes):
    words = {"lowercase": True, "max_vocab": 100, "min_count": 1, **changes.pop("words", {})}
    plain = {"valid": None, "valid_fraction": 0.4, "split_by": "sentence", "spelling": None}
    source = Source(format="columns", path=str(train))
    return SimpleNamespace(train=source, words=SimpleNamespace(**words), **{**plain, **changes})


def characters(min_count=1, max_length=10):
    return SimpleNamespace(kind="characters", min_count=min_count, max_length=max_length)


def sentence(text, tags):
    words = tuple(text.split())
    return Sentence(words, tuple(tags.split()), "x:1", tuple(range(1, len(words) + 1)))


def learn(train, data):
    return learn_tagging_codec(train, data.words, data.spelling, "train.txt")


TRAIN = [sentence("The cat sat", "D N V"), sentence("the Cat", "D N")]


def test_words_tags_and_lengths():
    texts = learn(TRAIN, settings()).encode(TRAIN)
    codec = learn(TRAIN, settings())
    assert codec.words.tokens == ("<unk>", "cat", "the", "sat")
    assert codec.tags == texts.tags == ("D", "N", "V")
    assert texts.ids.tolist() == [2, 1, 3, 2, 1]
    assert texts.labels.tolist() == [0, 1, 2, 0, 1]
    assert texts.offsets.tolist() == [0, 3, 5]
    assert texts.lengths.tolist() == [3, 2]
    assert len(texts) == 2
    assert texts.forms.tolist() == [0, 1, 2, 3, 4]
    assert not texts.unseen.any()
    assert texts.spellings is None
    assert not any(getattr(texts, name).flags.writeable for name in ("ids", "labels", "offsets", "forms", "unseen"))


def test_case_matters_where_asked():
    codec = learn(TRAIN, settings(words={"lowercase": False}))
    assert codec.words.tokens == ("<unk>", "Cat", "The", "cat", "sat", "the")


def test_other_sentences_may_have_other_words_and_tags():
    codec = learn(TRAIN, settings())
    other = codec.encode([sentence("the CAT ran", "D X V"), sentence("ran", "Y")])
    assert other.ids.tolist() == [2, 1, 0, 0]
    assert other.unseen.tolist() == [False, True, True, True]  # as it is written
    assert other.tags == ("D", "N", "V", "X", "Y")
    assert other.labels.tolist() == [0, 3, 2, 4]
    assert codec.tags == ("D", "N", "V")
    assert len(codec.encode([])) == 0


def test_characters_of_each_form_once():
    codec = learn(TRAIN, settings(spelling=characters()))
    texts = codec.encode([sentence("cat cat Q hat", "N N N N")])
    assert texts.forms.tolist() == [0, 0, 1, 2]
    assert len(texts.spellings) == 3
    names = [
        "".join(codec.characters.tokens[i] for i in texts.spellings.pieces[a:b])
        for a, b in zip(texts.spellings.offsets[:-1], texts.spellings.offsets[1:], strict=True)
    ]
    assert names == ["cat", "<unk>", "hat"]
    often = learn(TRAIN, settings(spelling=characters(min_count=3)))
    assert often.characters.tokens == ("<unk>", "t", "a")


def test_a_long_word_keeps_both_ends():
    assert kept_characters("abcdefgh", 5) == "abcgh"
    assert kept_characters("abcdefgh", 1) == "a"
    assert kept_characters("abcdefgh", 8) == "abcdefgh"


def test_ngrams_are_hashed_the_same_everywhere():
    buckets = ngram_buckets("ab", 2, 3, 1000)
    assert buckets.tolist() == [6, 885, 729, 444, 843]
    assert ngram_buckets("a", 5, 6, 1000).tolist() == ngram_buckets("a", 3, 3, 1000).tolist()  # <a> as a whole
    assert buckets.dtype == np.int32
    ngrams = SimpleNamespace(kind="ngrams", shortest=2, longest=3, buckets=1000)
    assert spell(["ab", "ab"], ngrams).pieces.tolist() == 2 * buckets.tolist()
    assert learn(TRAIN, settings(spelling=ngrams)).characters is None


def test_no_forms_have_no_pieces():
    assert len(spell([], characters(), Vocabulary(["<unk>"]))) == 0


def test_keys_of_words():
    keys = word_keys(["cat", "dog", "cat"])
    assert keys[0] == keys[2] == 0x2F989D7B2CDD2733 != keys[1]
    assert keys.dtype == np.uint64
    assert word_keys([]).shape == (0,)


@pytest.mark.parametrize(
    ("train", "data", "message"),
    [
        ([sentence("a b", "X X")], settings(), "the only tag is 'X'"),
        (TRAIN, settings(words={"min_count": 9}), "no word occurs 9 times"),
    ],
)
def test_what_cannot_be_learned_from(train, data, message):
    with pytest.raises(DataError, match=message):
        learn(train, data)


@pytest.fixture
def files(tmp_path):
    def put(name, documents):
        blocks = []
        for document, count in enumerate(documents):
            blocks.append("-DOCSTART- O")
            blocks += [f"the D\nword{document} N\nn{i} N" for i in range(count)]
        path = tmp_path / name
        path.write_text("\n\n".join(blocks) + "\n")
        return path

    return put


def test_the_split_is_by_sentence_or_by_document(files):
    path = files("train.txt", [5] * 20)
    for split_by in ("sentence", "document"):
        train, valid = read_tagged_parts(settings(path, split_by=split_by), 1)
        assert len(train) + len(valid) == 100
        sides = [{s.words[1] for s in part} for part in (train, valid)]
        assert bool(sides[0] & sides[1]) == (split_by == "sentence")
        assert 10 < len(valid) < 60


def test_a_validation_file_of_its_own(files):
    path, other = files("train.txt", [3]), files("valid.txt", [1, 1])
    data = load_tagging_dataset(settings(path, valid=Source(format="columns", path=str(other))), 1)
    assert (len(data.train), len(data.valid)) == (3, 2)
    assert data.train.tags == data.codec.tags
    assert data.valid.unseen.tolist() == [False, False, False, False, True, False]


def test_the_same_seed_gives_the_same_parts(files):
    path = files("train.txt", [9, 9])
    one, same, other = (read_tagged_parts(settings(path), seed) for seed in (1, 1, 2))
    assert one == same != other


def test_two_schemes_do_not_go_together(tmp_path):
    (tmp_path / "a.txt").write_text("x I-A\ny I-A\nz B-A\n")
    (tmp_path / "b.txt").write_text("x B-A\ny I-A\n")
    (tmp_path / "c.txt").write_text("x O\ny O\n")
    data = settings(tmp_path / "a.txt", valid=Source(format="columns", path=str(tmp_path / "b.txt")))
    with pytest.raises(DataError, match=r"b\.txt: marks entities in iob2, the training part in iob1\. Give both"):
        load_tagging_dataset(data, 1)
    data.valid["path"] = str(tmp_path / "c.txt")
    assert len(load_tagging_dataset(data, 1).valid) == 1
    data.valid["path"] = str(tmp_path / "b.txt")
    data.train["convert_to"] = data.valid["convert_to"] = "iob2"
    assert load_tagging_dataset(data, 1).codec.tags == ("B-A", "I-A")
