import bz2
import csv
import gzip
from pathlib import Path

import pytest

from rnncli.data.sight import bare_stem, bare_suffix, look
from rnncli.errors import DataError

ROOT = Path(__file__).parents[1]
POEM = "Tyger Tyger burning bright\nIn the forests of\n\nWhat immortal hand or\nCould frame thy fearful\n"
PROSE = "One day, it rained, and\nnobody, not even she, went out.\nThen, at last, the sun\ncame out, and stayed.\n"


def seen(path, content):
    path.write_text(content, encoding="utf-8", newline="")
    return look(path).format


@pytest.mark.parametrize(
    "content",
    [
        PROSE,
        POEM,
        "the dog sees a bird\nno cat is the plan\n\na bird liked no dog\nthe plan is a cat\n",
        "one line without an end",
        "roses bloom\n\nviolets bloom\n\nlilies bloom\n\ntulips bloom\n",
        "a; b\nc; d; e\nf\n",
        "# Title\n\nSome *text*, with a list:\n\n- one\n- two\n",
        "{not json}\n{nor this}\n",
        "1\n2\n3\n",
    ],
    ids=lambda text: text[:12],
)
def test_what_follows_no_pattern_is_text(tmp_path, content):
    assert seen(tmp_path / "a.txt", content) == "text"


@pytest.mark.parametrize(
    "path",
    [path for name in ("README.md", "LICENSE", "CONTRIBUTING.md", "docs/data.md") if (path := ROOT / name).exists()],
    ids=lambda path: path.name,
)
def test_documents_are_text(path):
    assert look(path).format == "text"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("text,label\nsome text,a\n", "csv"),
        ('text,label\n"some, text",a\n"more, ""quoted"" text",b\n', "csv"),
        ("text\tlabel\nsome, text\ta\n", "tsv"),
        ('text\tlabel\n"unclosed\ta\n', "tsv"),
        ('{"text": "a", "label": 1}\n\n{"text": "b", "label": 2}\n', "jsonl"),
        ("__label__a some text\n__label__b other\n", "fasttext"),
        ("some text __label__a\n", "fasttext"),
        ("# sent_id = 1\n1\tA\ta\tDET\tDT\t_\t2\tdet\t_\t_\n1.1\tx\t_\t_\t_\t_\t_\t_\t_\t_\n\n", "conllu"),
        ("-DOCSTART- -X- O O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\nit PRP B-NP O\n\nSo RB O O\n", "columns"),
        ("wer\tO\nging\tO\nnach\tO\nRom\tB-LOC\n\nja\tO\n", "columns"),
    ],
    ids=lambda text: text[:12],
)
def test_formats_are_told_by_what_is_in_them(tmp_path, content, found):
    for name in ("a.txt", "a.csv", "a"):
        assert seen(tmp_path / name, content) == found


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("word " * 40_000, "text"),  # one line, as corpora are that come without line breaks
        ('"a quote that is never closed\n' + 300 * ("word " * 100 + "\n"), "text"),
        ("some text\rwith a carriage return, in it\nand other text\n", "text"),
        (f"text,label\n{'word ' * 40_000},a\nshort,b\n", "csv"),
        ("text,label\nsome\rtext,a\nshort,b\n", "csv"),
    ],
    ids=["long line", "open quote", "carriage return", "long field", "carriage return in a row"],
)
def test_what_the_csv_module_refuses_is_looked_at_all_the_same(tmp_path, content, found):
    before = csv.field_size_limit(131_072)
    try:
        assert seen(tmp_path / "a.txt", content) == found
    finally:
        csv.field_size_limit(before)


def test_a_table_of_which_no_row_can_be_read_is_refused_as_its_reader_does(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"text,label\rsome text,a\rother text,b\r")
    with pytest.raises(DataError, match=r"a\.csv:1: a carriage return stands in the row"):
        look(path)


@pytest.mark.parametrize(("ending", "module"), [(".gz", gzip), (".bz2", bz2)])
def test_compressed_files_are_looked_into(tmp_path, ending, module):
    path = tmp_path / f"reviews.csv{ending}"
    path.write_bytes(module.compress(b"text,label\nsome text,a\n"))
    assert look(path).format == "csv"
    assert (bare_suffix(path), bare_stem(path)) == (".csv", "reviews")


def test_folders(tmp_path):
    for label in ("pos", "neg", "unsup"):
        (tmp_path / "set" / "train" / label).mkdir(parents=True)
        (tmp_path / "set" / "train" / label / "1.txt").write_text("text")
    assert look(tmp_path / "set").path == tmp_path / "set" / "train"
    assert look(tmp_path / "set" / "train").format == "aclimdb"
    assert look(tmp_path / "set" / "train" / "pos").format == "text"
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="holds neither"):
        look(tmp_path / "none")
