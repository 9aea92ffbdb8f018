"""Texts that a language model reads one by one: reviews in folders, rows of tables."""

import gzip
import json
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import Silent, write_config
from tiny_tasks import language_config, language_values

from rnncli.config.language import LanguageDataConfig
from rnncli.data.language.corpus import corpus_key, load_corpus
from rnncli.data.language.sources import read_documents
from rnncli.data.tokenizers import make_tokenizer
from rnncli.errors import DataError
from rnncli.run import train_run
from rnncli.run_dir import RunDir

TEXTS = ["A <br /><br />fine, film.", "It isn't \u00e9t\u00e9", "two\nlines", "the last one of them"]
REVIEWS = {"format": "aclimdb", "path": "reviews"}


@pytest.fixture(autouse=True)
def folder(workdir):
    for name in ("pos/2_9.txt", "neg/10_1.txt", "neg/9_1.txt", "unsup/0_0.txt", "urls_neg.txt"):
        path = Path("reviews", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"of {name}")
    Path("a.csv").write_text("text,label\n" + "".join(f'"{text}",x\n' for text in TEXTS))
    flat = [text.replace("\n", " ") for text in TEXTS]
    Path("a.tsv").write_text("label\ttext\n" + "".join(f"x\t{text}\n" for text in flat))
    Path("a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    Path("a.fasttext").write_text("__label__a __label__b {}\n\n{}\n{} __label__c\n{}\n".format(*flat))
    return workdir


def section(source, **changes):
    return LanguageDataConfig(train=source, **changes)


def texts_of(source):
    blocks = list(read_documents(section(source).train, "file"))
    assert all(block.ends for block in blocks)
    return [block.text for block in blocks]


def cut_by_ends(tokens, codec):
    ends = np.flatnonzero(tokens == codec.end_of_text)
    assert (ends[0], ends[-1]) == (0, len(tokens) - 1)
    return [tokens[one + 1 : other].tolist() for one, other in pairwise(ends)]


def test_reviews_come_folder_by_folder_and_by_number():
    every = ["neg/9_1.txt", "neg/10_1.txt", "pos/2_9.txt", "unsup/0_0.txt"]
    assert texts_of(REVIEWS) == [f"of {name}" for name in every]
    assert texts_of({**REVIEWS, "path": "reviews/unsup"}) == ["of unsup/0_0.txt"]


@pytest.mark.parametrize("name", ["csv", "tsv", "jsonl", "fasttext"])
def test_rows_are_texts_whatever_their_labels(name):
    found = texts_of({"format": name, "path": f"a.{name}"})
    assert found == (TEXTS if name in ("csv", "jsonl") else [text.replace("\n", " ") for text in TEXTS])
    packed = Path(f"a.{name}.gz")
    packed.write_bytes(gzip.compress(Path(f"a.{name}").read_bytes()))
    assert texts_of({"format": name, "path": str(packed)}) == found


def test_words_are_those_of_a_classifier_with_line_ends_between():
    source = {"format": "csv", "path": "a.csv"}
    corpus = load_corpus(section(source, valid=source, tokenizer={"kind": "word", "min_count": 1}), Path("cache"))
    words, tokens = make_tokenizer("word", True), corpus.codec.vocabulary.tokens
    found = [[tokens[i] for i in ids] for ids in cut_by_ends(corpus.train.tokens, corpus.codec)]
    assert found == [[*words("two"), "\n", *words("lines")] if "\n" in text else words(text) for text in TEXTS]
    assert corpus.train.characters == sum(map(len, TEXTS))


@pytest.mark.parametrize(("fraction", "held"), [(0.01, 1), (0.3, 1), (0.4, 2), (0.99, 4)])
def test_whole_texts_are_held_back(fraction, held):
    texts = ["x" * 10, "y" * 20, "z" * 30, "v" * 20, "w" * 20]
    Path("b.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    corpus = load_corpus(section({"format": "jsonl", "path": "b.jsonl"}, valid_fraction=fraction), Path("cache"))
    train, valid = (cut_by_ends(part.tokens, corpus.codec) for part in (corpus.train, corpus.valid))
    assert [len(ids) for ids in train + valid] == [len(text) for text in texts]
    assert len(valid) == held


def test_one_text_alone_cannot_be_split():
    Path("b.jsonl").write_text('{"text": "there is but one"}\n')
    with pytest.raises(DataError, match=r"there is one text only.* in data\.valid"):
        load_corpus(section({"format": "jsonl", "path": "b.jsonl"}), Path("cache"))


def test_texts_without_anything_are_no_documents():
    Path("b.csv").write_text('text\n" "\nsome\n""\nmore\n')
    assert texts_of({"format": "csv", "path": "b.csv"}) == ["some", "more"]


def test_what_is_in_the_cache_depends_on_how_it_is_read():
    Path("a.csv").write_text("text,title\nlong text,short\n" * 9)
    sources = [{"format": "csv", "path": "a.csv"}, {"format": "csv", "path": "a.csv", "text": "title"}]
    sources += [{"format": "text", "path": "a.csv"}, {"format": "text", "path": "reviews"}, REVIEWS]
    keys = [corpus_key(section(source, document_boundary="file")) for source in sources]
    assert len({*keys}) == len(keys)
    Path("moved").mkdir()
    Path("a.csv").rename("moved/b.csv")
    assert corpus_key(section({"format": "csv", "path": "moved/b.csv"})) == keys[0]
    Path("reviews/unsup/0_0.txt").write_text("another")
    assert corpus_key(section(REVIEWS)) != keys[-1]


def test_which_part_is_the_table_tells_in_the_cache_too():
    table, text = {"format": "csv", "path": "a.csv"}, {"format": "text", "path": "b.csv"}
    Path("b.csv").write_text("text\none\n")
    keys = {
        corpus_key(section({**table, "format": one}, valid={**text, "format": other}, document_boundary="file"))
        for one, other in (("csv", "text"), ("text", "csv"), ("csv", "csv"), ("text", "text"))
    }
    assert len(keys) == 4


def test_a_label_amid_a_line_leaves_one_space():
    Path("c.fasttext").write_text("__label__a one __label__b  __label__c two\n__label__a\nthree __label__d\n")
    assert texts_of({"format": "fasttext", "path": "c.fasttext"}) == ["one two", "three"]


def test_of_two_folders_of_folders_the_one_to_train_on_is_meant():
    for name in ("test", "train"):
        Path("both", name, "pos").mkdir(parents=True)
        Path("both", name, "pos", "0_1.txt").write_text("a film")
    with pytest.raises(DataError, match=r"Did you mean both/train\?"):
        texts_of({"format": "aclimdb", "path": "both"})


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"format": "aclimdb", "path": "nowhere"}, "nowhere: there is no such folder"),
        ({"format": "aclimdb", "path": "a.csv"}, "is a file where a folder is expected"),
        ({"format": "aclimdb", "path": "."}, r"its texts are two folders down\. Did you mean \./reviews\?"),
        ({"format": "aclimdb", "path": "reviews/empty"}, "there is no .txt file in the folder"),
        ({"format": "aclimdb", "path": "reviews/bad"}, r"0\.txt:1: byte 0xff"),
        (
            {"format": "csv", "path": "a.csv", "text": "txet"},
            "no column 'txet' .*Did you mean 'text'.* with the key text",
        ),
        ({"format": "jsonl", "path": "a.jsonl", "text": "body"}, "no column 'body' .* with the key text"),
        ({"format": "csv", "path": "empty"}, "the file is empty"),
        ({"format": "fasttext", "path": "nul"}, "nul:1: NUL byte"),
        ({"format": "csv", "path": "head.csv"}, "there is no text"),
    ],
)
def test_what_cannot_be_read_is_said(source, message):
    Path("reviews/empty").mkdir()
    Path("reviews/bad").mkdir()
    Path("reviews/bad/0.txt").write_bytes(b"\xff")
    Path("empty").touch()
    Path("nul").write_bytes(b"a\0b\n")
    Path("head.csv").write_text("text,label\n")
    with pytest.raises(DataError, match=message):
        load_corpus(section(source), Path("cache"))


def test_a_model_of_rows_is_trained_and_evaluated_on_rows(cli):
    row = '"the film, it was {}",x\n'
    Path("a.csv").write_text("body,label\n" + "".join(row.format(n) for n in range(40)))
    Path("b.csv").write_text("label,body\nx,the film was 7\nx,it was\n")
    source = {"format": "csv", "path": "a.csv", "text": "body"}
    config = language_config("-", data={"train": source}, train={"sampled_softmax": 3})
    assert config.data.document_boundary == "file"
    train_run(config, RunDir(Path("runs/x")), Silent())
    report = json.loads(cli("eval", "runs/x/best.safetensors", "--data", "b.csv", "--json").out)
    assert report["characters"] == len("the film was 7") + len("it was")
    Path("b.tsv").write_text("label\tbody\nx\tthe film was 7\nx\tit was\n")
    assert json.loads(cli("eval", "runs/x/best.safetensors", "--data", "b.tsv", "--json").out)["loss"] == report["loss"]
    Path("b.csv").rename("b.txt")  # by its name no table: a text like any other
    report = json.loads(cli("eval", "runs/x/best.safetensors", "--data", "b.txt", "--json").out)
    assert report["characters"] == Path("b.txt").stat().st_size


def test_gradients_of_a_model_of_texts_of_a_few_words_are_proven(cli):
    Path("a.csv").write_text("text\n" + "".join(f"the film {'it ' * (n % 3)}\n" for n in range(40)))
    source = {"format": "csv", "path": "a.csv"}
    values = language_values("-", data={"train": source, "tokenizer": {"kind": "word"}}, train={"sampled_softmax": 1})
    done = cli("gradcheck", write_config(Path("c.yaml"), values))
    assert re.search(r"document at \d, [1-4] alone", done.out)  # and the next begins in the same steps
    assert "all passed" in done.out
