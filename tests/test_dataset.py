from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncli.config import DataConfig
from rnncli.data.dataset import EncodedTexts, encode_parts, encode_rows, load_dataset, read_parts
from rnncli.data.rows import Row
from rnncli.data.split import text_key
from rnncli.data.tokenizers import make_tokenizer
from rnncli.data.vocabulary import Vocabulary
from rnncli.errors import DataError

SAMPLE = {"format": "csv", "path": str(Path(__file__).parents[1] / "data" / "sample.csv")}
VOCABULARY = Vocabulary(["<unk>", "a", "b", "c"])


def config(**keys: Any) -> DataConfig:
    return DataConfig.model_validate({"train": SAMPLE, **keys})


def tokenizer(**keys: Any) -> dict[str, Any]:
    return {"tokenizer": {"kind": "whitespace", "min_count": 1, **keys}}


def rows(*pairs: tuple[str, str]) -> list[Row]:
    return [Row(text, label, f"f.csv:{line}") for line, (text, label) in enumerate(pairs, start=2)]


def texts(part: EncodedTexts) -> list[list[int]]:
    return [part.ids[a:b].tolist() for a, b in zip(part.offsets, part.offsets[1:], strict=False)]


def encode(*pairs: tuple[str, str], max_length: int | None = None, truncate: Any = "tail") -> EncodedTexts:
    split = make_tokenizer("whitespace", lowercase=False)
    return encode_rows(rows(*pairs), split, VOCABULARY, ("neg", "pos"), max_length, truncate)


def test_rows_become_ids_offsets_and_classes():
    part = encode(("a c never", "pos"), ("b", "neg"), ("", "pos"), (" \n ", "neg"))
    assert texts(part) == [[1, 3, 0], [2], [0], [0]]
    assert part.offsets.tolist() == [0, 3, 4, 5, 6]
    assert part.lengths.tolist() == [3, 1, 1, 1]
    assert part.labels.tolist() == [1, 0, 1, 0]
    assert len(part) == 4
    assert (part.ids.dtype, part.offsets.dtype, part.labels.dtype) == (np.int32, np.int64, np.int64)
    assert not any(array.flags.writeable for array in (part.ids, part.offsets, part.labels))


def test_truncate_names_the_end_that_is_kept():
    long = ("a b c", "pos")
    assert texts(encode(long, max_length=2, truncate="tail")) == [[2, 3]]
    assert texts(encode(long, max_length=2, truncate="head")) == [[1, 2]]
    assert texts(encode(long, max_length=3)) == texts(encode(long)) == [[1, 2, 3]]


def test_no_rows_are_no_texts():
    part = encode()
    assert len(part) == 0
    assert part.offsets.tolist() == [0]


def test_a_label_the_model_does_not_know_is_refused_by_its_row():
    with pytest.raises(DataError, match=r"^f\.csv:3: label 'POS' is not one .*\('neg', 'pos'\)\. Correct"):
        encode(("a", "pos"), ("b", "POS"), ("c", "other"))


def test_many_known_labels_are_not_all_listed():
    with pytest.raises(DataError, match=r"'l18', 'l19', \.\.\.\)") as caught:
        encode_rows(rows(("a", "x")), str.split, VOCABULARY, [f"l{n}" for n in range(99)], None, "tail")
    assert "l20" not in str(caught.value)


def test_the_vocabulary_comes_from_the_training_part_alone():
    data = config(**tokenizer())
    dataset = encode_parts(data, rows(("a a b", "x"), ("c a", "y")), rows(("z z z z a", "x"), ("b", "y")))
    assert dataset.vocabulary.tokens == ("<unk>", "a", "b", "c")
    assert texts(dataset.train) == [[1, 1, 2], [3, 1]]
    assert texts(dataset.valid) == [[0, 0, 0, 0, 1], [2]]
    assert dataset.labels == ("x", "y")


def test_the_vocabulary_counts_only_tokens_that_are_kept():
    data = config(**tokenizer(), max_length=1, truncate="head")
    dataset = encode_parts(data, rows(("a b b b", "x"), ("c b", "y")), [])
    assert dataset.vocabulary.tokens == ("<unk>", "a", "c")


def test_min_count_max_vocab_lowercase_and_kind_shape_the_vocabulary():
    train = rows(("A a b don't", "x"), ("b b c", "y"))

    def tokens(**keys: Any) -> tuple[str, ...]:
        return encode_parts(config(**tokenizer(**keys)), train, []).vocabulary.tokens[1:]

    assert tokens() == ("b", "a", "c", "don't")
    assert tokens(min_count=2) == ("b", "a")
    assert tokens(max_vocab=2) == ("b",)
    assert tokens(lowercase=False) == ("b", "A", "a", "c", "don't")
    assert tokens(kind="word") == ("b", "a", "c", "do", "n't")
    assert tokens(kind="character")[:2] == (" ", "b")


@given(
    st.lists(st.tuples(st.text("abc \u00e9\ud800"), st.sampled_from(["x", "y"])), min_size=1, max_size=8),
    st.sampled_from(["word", "whitespace", "character"]),
    st.sampled_from([None, 1, 3]),
    st.sampled_from(["head", "tail"]),
)
def test_the_training_part_is_encoded_as_any_rows_are(
    pairs: list[tuple[str, str]], kind: str, max_length: int | None, truncate: Any
):
    train = rows(("a", "x"), ("b", "y"), *pairs)
    data = config(**tokenizer(kind=kind), max_length=max_length, truncate=truncate)
    dataset = encode_parts(data, train, train)
    assert texts(dataset.train) == texts(dataset.valid)
    assert dataset.train.labels.tolist() == dataset.valid.labels.tolist()
    assert dataset.train.lengths.min() >= 1


def test_a_label_that_only_the_split_off_part_has_is_a_class():
    assert encode_parts(config(), rows(("a a", "x"), ("a", "y")), rows(("a", "z"))).labels == ("x", "y", "z")


def test_a_label_that_only_a_validation_file_has_is_refused():
    with pytest.raises(DataError, match=r"f\.csv:2: label 'z'"):
        encode_parts(config(valid=SAMPLE), rows(("a a", "x"), ("a", "y")), rows(("a", "z")))


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (rows(("a a", "x"), ("b b", "x")), "the only label is 'x'"),
        (rows(("", "x"), (" \n", "y")), "no text of the training part has a token"),
        (rows(("a b", "x"), ("c", "y")), "no token occurs 2 times"),
    ],
)
def test_data_that_nothing_can_be_learned_from_is_refused(train: list[Row], message: str):
    with pytest.raises(DataError, match=rf"sample\.csv: {message}.*\. \w+"):
        encode_parts(config(), train, [])


def test_the_sample_is_split_and_encoded(tmp_path: Path):
    data = config()
    dataset = load_dataset(data, 1, tmp_path)
    train, valid = read_parts(data, 1)
    assert (len(dataset.train), len(dataset.valid)) == (len(train), len(valid))
    assert len(train) + len(valid) == 400
    assert dataset.labels == ("negative", "positive")
    split = make_tokenizer("word", lowercase=True)
    for row, ids in zip([*train, *valid], texts(dataset.train) + texts(dataset.valid), strict=True):
        assert dataset.vocabulary.encode(split(row.text)).tolist() == ids
    for part, encoded in ((train, dataset.train), (valid, dataset.valid)):
        assert [dataset.labels[n] for n in encoded.labels] == [row.label for row in part]


def test_group_by_keeps_authors_apart_and_the_seed_chooses_them():
    train, valid = read_parts(config(group_by="author", valid_fraction=0.3), 1)
    assert {row.group for row in train}.isdisjoint(row.group for row in valid)
    _, other = read_parts(config(group_by="author", valid_fraction=0.3), 2)
    assert {row.group for row in valid} != {row.group for row in other}


def test_a_validation_file_replaces_the_split(tmp_path: Path):
    file = tmp_path / "valid.csv"
    file.write_text("text,label\nThe plot is good,positive\n", encoding="utf-8")
    train, valid = read_parts(config(valid={"format": "csv", "path": str(file)}), 1)
    assert (len(train), len(valid)) == (400, 1)
    assert not {text_key(row.text) for row in train} & {text_key(row.text) for row in valid}


def test_a_missing_file_is_an_error_with_and_without_the_cache(tmp_path: Path):
    data = config(train={"format": "csv", "path": str(tmp_path / "none.csv")})
    for cache_dir in (tmp_path, None):
        with pytest.raises(DataError, match=r"none\.csv"):
            load_dataset(data, 1, cache_dir)


def test_the_remedy_for_an_unknown_label_is_true_without_a_config_too():
    with pytest.raises(DataError, match="Correct the label or remove its rows; a config can leave them out with skip"):
        encode_rows(rows(("a", "odd")), str.split, VOCABULARY, ("x", "y"), None, "head")
