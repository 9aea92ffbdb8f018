import gzip
import json

import numpy as np
import pytest
from tiny_runs import tiny_config, write_csv

from rnncli.assembly import build_trainer
from rnncli.data.dataset import load_dataset, read_parts
from rnncli.data.rows import Row
from rnncli.errors import ConfigError, DataError
from rnncli.evaluation import evaluate, rows_of_config, source_for_file
from rnncli.tasks.classification import Labelled
from rnncli.trained import Trained


@pytest.fixture
def config(workdir):
    return tiny_config(write_csv(workdir / "tiny.csv"))


@pytest.fixture
def trained(config):
    data = load_dataset(config.data, config.seed, None)
    learned = Labelled(data.vocabulary, data.labels)
    return Trained(build_trainer(config, data).model, learned, config, {"step": 0}, {})


def rows(*pairs):
    return [Row(text, label, f"f.csv:{line}") for line, (text, label) in enumerate(pairs, start=2)]


def test_probabilities_come_in_the_order_of_the_rows(trained):
    given = rows(("film good", "pos"), ("a much longer text about a bad plot", "neg"), ("", "pos"), ("zzz", "neg"))
    together = evaluate(trained, given)
    assert together.rows == given
    assert together.probabilities.shape == (4, 2)
    np.testing.assert_allclose(together.probabilities.sum(axis=1), 1, rtol=1e-6)
    for row, expected in zip(given, together.probabilities, strict=True):
        np.testing.assert_allclose(evaluate(trained, [row]).probabilities[0], expected, rtol=1e-5)
    assert together.tokens == 2 + 8 + 1 + 1  # an empty text is one unknown token
    assert together.report["rows"] == 4


def test_the_figures_are_those_of_the_probabilities(trained):
    given = rows(*[(f"film {word}", label) for word in ("good", "bad", "dull") for label in ("pos", "neg")])
    got = evaluate(trained, given)
    classes = np.array([trained.learned.labels.index(row.label) for row in given])
    picked = got.probabilities[np.arange(len(given)), classes]
    assert got.report["loss"] == pytest.approx(-np.log(picked).mean(), rel=1e-5)
    assert got.report["accuracy"] == np.mean(got.probabilities.argmax(axis=1) == classes)


def test_a_label_the_model_does_not_know(trained):
    with pytest.raises(DataError, match=r"^f.csv:3: label 'odd'"):
        evaluate(trained, rows(("film good", "pos"), ("film odd", "odd")))


def test_no_texts(trained):
    with pytest.raises(DataError, match="no texts"):
        evaluate(trained, [])


def test_the_test_data_comes_first_then_the_validation_data_then_the_validation_part(workdir, config):
    write_csv(workdir / "valid.csv", repeats=2)
    write_csv(workdir / "test.csv", repeats=3)
    part, name = rows_of_config(config)
    assert part == read_parts(config.data, config.seed)[1]
    assert "validation part (0.3)" in name
    valid = {"format": "csv", "path": "valid.csv"}
    data = {"train": {"format": "csv", "path": "tiny.csv"}, "valid": valid}
    values = config.model_dump(mode="json")
    values["data"] = data
    from rnncli.config import parse_config

    found, name = rows_of_config(parse_config(values, "x"))
    assert (len(found), "validation data valid.csv" in name) == (48, True)
    values["data"]["test"] = {"format": "csv", "path": "test.csv"}
    found, name = rows_of_config(parse_config(values, "x"))
    assert (len(found), name) == (72, "test data test.csv")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.csv", "csv"),
        ("a.tsv", "tsv"),
        ("a.jsonl", "jsonl"),
        ("a.ndjson", "jsonl"),
        ("a.b.csv.gz", "csv"),
        ("a.jsonl.xz", "jsonl"),
        ("a.tsv.bz2", "tsv"),
    ],
)
def test_the_format_is_told_by_the_ending(config, workdir, name, expected):
    test = source_for_file(config, workdir / name, None, {}).test
    assert (test.format, test.path) == (expected, str(workdir / name))


def test_a_folder_is_one_of_labels(config, workdir):
    assert source_for_file(config, workdir, None, {}).test.format == "aclimdb"


@pytest.mark.parametrize("name", ["a", "a.txt", "a.gz", "a.safetensors"])
def test_an_ending_that_tells_nothing(config, workdir, name):
    with pytest.raises(ConfigError, match=r"--data .*its ending does not tell the format. Add --format"):
        source_for_file(config, workdir / name, None, {})
    assert source_for_file(config, workdir / name, "fasttext", {}).test.format == "fasttext"


def test_columns_are_taken_over_where_the_format_is_the_same(workdir):
    path = write_csv(workdir / "t.csv", columns=("review", "stars"))
    train = {"format": "csv", "path": str(path), "text": "review", "label": "stars", "skip_labels": ["odd"]}
    config = tiny_config(path, data={"train": train})
    same = source_for_file(config, workdir / "x.csv", None, {}).test
    assert (same.text, same.label, same.skip_labels) == ("review", "stars", ["odd"])
    other = source_for_file(config, workdir / "x.jsonl", None, {}).test
    assert (other.text, other.label, other.skip_labels) == ("text", "label", [])
    mine = source_for_file(config, workdir / "x.csv", None, {"label": "rating"}).test
    assert (mine.text, mine.label) == ("review", "rating")


def test_columns_for_a_format_without_them(config, workdir):
    for key, option in (("text", "--text"), ("label", "--label"), ("word_index", "--word-index")):
        with pytest.raises(ConfigError, match=f"^{option}: belongs to format .*; --data is aclimdb") as caught:
            source_for_file(config, workdir, None, {key: "review"})
        assert "\n" not in str(caught.value)
        assert "data.test" not in str(caught.value)
    with pytest.raises(ConfigError, match=r"^--word-index: belongs to format keras_imdb; --data is csv"):
        source_for_file(config, workdir / "a.csv", None, {"word_index": "review"})
    with pytest.raises(ConfigError, match=r"^--label: is empty"):
        source_for_file(config, workdir / "a.csv", None, {"label": ""})


def test_kerass_file_needs_its_words(config, workdir):
    with pytest.raises(ConfigError, match=r"^--word-index: is needed .*Add --word-index"):
        source_for_file(config, workdir / "imdb.npz", None, {})
    test = source_for_file(config, workdir / "imdb.npz", None, {"word_index": "words.json"}).test
    assert (test.format, test.word_index, test.part) == ("keras_imdb", "words.json", "test")


def test_a_compressed_file_is_read(trained, workdir):
    lines = [json.dumps({"text": "film good", "label": "pos"})] * 3
    (workdir / "more.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    data = source_for_file(trained.config, workdir / "more.jsonl.gz", None, {})
    found, _ = rows_of_config(trained.config.model_copy(update={"data": data}))
    assert evaluate(trained, found).report["rows"] == 3


def test_of_kerass_file_the_test_half_is_meant(workdir):
    source = {"format": "keras_imdb", "path": "imdb.npz", "word_index": "words.json"}
    config = tiny_config("tiny.csv", data={"train": source})
    assert config.data.train.part == "train"
    assert source_for_file(config, workdir / "imdb.npz", None, {}).test.part == "test"
