"""Files of tagged words: read, refused where they are bad, written back with other tags."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncli.data.tagging.columns import read_columns, write_columns
from rnncli.data.tagging.conllu import read_conllu, write_conllu
from rnncli.data.tagging.readers import read_sentences
from rnncli.errors import DataError


def token(number, form="dogs", upos="NOUN", xpos="NNS", feats="Number=Plur"):
    return f"{number}\t{form}\tlemma\t{upos}\t{xpos}\t{feats}\t0\troot\t_\t_"


CONLLU = "\n".join(
    [
        "# newdoc id = a",
        "# text = We don't",
        token(1, "We", "PRON", "PRP", "_"),
        "2-3\tdon't\t_\t_\t_\t_\t_\t_\t_\t_",
        token(2, "do", "AUX", "VBP"),
        token(3, "n't", "PART", "RB"),
        "3.1\tgo\tgo\tVERB\tVB\t_\t_\t_\t0:root\t_",
        "",
        "# newdoc id = b",
        token(1, "New York", "PROPN", "NNP"),
        "",
    ]
)
NER = "-DOCSTART- -X- O\n\nU.N. NNP I-ORG\nofficial NN O\n\n# , I-MISC\nEkeus\tNNP  I-PER\nRolf NNP B-PER\n"


class Source(dict):
    def model_dump(self):
        return dict(self)


@pytest.fixture
def write(tmp_path):
    def put(text, name="a.txt"):
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return put


def refused(sentences):
    with pytest.raises(DataError) as caught:
        list(sentences)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- CoNLL-U --------------------------------------------------------------------------------------------------------


def test_conllu_words_tags_and_places(write):
    path = write(CONLLU)
    first, second = read_conllu(path)
    assert first.words == ("We", "do", "n't")
    assert first.tags == ("PRON", "AUX", "PART")
    assert first.where == f"{path}:3"
    assert first.lines == (3, 5, 6)
    assert first.place(1) == f"{path}:5"
    assert (second.words, second.text, second.group) == (("New York",), "New York", None)


@pytest.mark.parametrize(
    ("column", "tags"), [("upos", ("PRON", "AUX", "PART")), ("xpos", ("PRP", "VBP", "RB")), ("feats", ("_",))]
)
def test_conllu_columns(write, column, tags):
    assert next(read_conllu(write(CONLLU), column)).tags[: len(tags)] == tags


def test_conllu_documents(write):
    assert [sentence.group for sentence in read_conllu(write(CONLLU), by_document=True)] == ["document 1", "document 2"]


def test_conllu_line_ends_byte_order_mark_compression_and_no_blank_line_at_the_end(write):
    plain = [sentence[:2] for sentence in read_conllu(write(CONLLU))]
    for text in (CONLLU.replace("\n", "\r\n"), "\ufeff" + CONLLU, CONLLU.rstrip("\n"), "\n\n" + CONLLU):
        assert [sentence[:2] for sentence in read_conllu(write(text))] == plain
    packed = write(gzip.compress(CONLLU.encode()), "a.conllu.gz")
    assert [sentence[:2] for sentence in read_conllu(packed)] == plain


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1\tdogs\tNOUN", "3 columns, a word of CoNLL-U has 10"),
        ("dogs NOUN", "1 column, a word"),
        (token("x"), "'x' is not the number of a word"),
        (token("2"), "the number 2 where 1 is expected"),
        (token("1", form=""), "a word or its tag is empty"),
        (token("1", upos="_"), "the word has no upos (_). Choose another column (xpos, feats)"),
        (token("1", form="a\x1bb"), "control character"),
        (token("1", upos="A\u2028B"), "'A\\u2028B' holds a control character or a line end"),
    ],
)
def test_a_bad_line_of_conllu(write, line, message):
    path = write(f"{token(1)}\n\n{line}\n\n{token(1, 'cats')}\n")
    shown = refused(read_conllu(path))
    assert message in shown
    assert shown.startswith(f"{path}:3: ")
    problems = []
    kept = list(read_conllu(path, on_bad=problems.append))
    assert [sentence.words for sentence in kept] == [("dogs",), ("cats",)]
    assert [str(problem) for problem in problems] == [shown]


def test_a_missing_blank_line_is_found_by_the_numbers(write):
    path = write(f"{token(1)}\n{token(2)}\n{token(1)}\n")
    assert refused(read_conllu(path)).startswith(f"{path}:3: the word has the number 1 where 3 is expected")


def test_conllu_that_is_not_utf8(write):
    path = write(token(1).encode() + b"\n" + token(2, "caf\xe9").encode("latin-1") + b"\n")
    assert "byte 0xe9" in refused(read_conllu(path))


def test_conllu_written_back(write):
    lines = CONLLU.splitlines(keepends=True)
    sentences = list(read_conllu(write(CONLLU)))
    same = [tag for sentence in sentences for tag in sentence.tags]
    assert list(write_conllu(lines, same, "upos")) == lines
    changed = list(write_conllu(lines, ["A", "B", "C", "D"], "upos"))
    assert [sentence.tags for sentence in read_conllu(write("".join(changed)))] == [("A", "B", "C"), ("D",)]
    unlike = [number for number, (old, new) in enumerate(zip(lines, changed, strict=True), start=1) if old != new]
    assert unlike == [3, 5, 6, 10]
    for tags in (same[:-1], [*same, "X"]):
        with pytest.raises(ValueError, match="tags than words"):
            list(write_conllu(lines, tags, "upos"))


# ---- columns --------------------------------------------------------------------------------------------------------


def test_columns_words_tags_and_places(write):
    path = write(NER)
    first, second = read_columns(path)
    assert first[:3] == (("U.N.", "official"), ("I-ORG", "O"), f"{path}:3")
    assert second[:2] == (("#", "Ekeus", "Rolf"), ("I-MISC", "I-PER", "B-PER"))
    assert second.lines == (6, 7, 8)


def test_columns_are_chosen(write):
    path = write("NN|cat|x\nVB|sat|y\n")
    assert next(read_columns(path, word=2, tag=1, separator="|"))[:2] == (("cat", "sat"), ("NN", "VB"))
    assert next(read_columns(path, word=-2, tag=3, separator="|"))[:2] == (("cat", "sat"), ("x", "y"))
    tabs = write("New York\tB-LOC\n", "b.txt")
    assert next(read_columns(tabs, separator="\t")).words == ("New York",)
    assert next(read_columns(tabs, tag=3)).words == ("New",)


def test_comments_only_where_asked_for(write):
    path = write("# a comment\ncat NN\n")
    assert next(read_columns(path, comment="# ")).words == ("cat",)
    assert "the first word of the file 3" in refused(read_columns(path))


def test_documents_of_columns(write):
    path = write(f"{NER}\n-DOCSTART- -X- O\nend NN O\n")
    groups = [sentence.group for sentence in read_columns(path, by_document=True)]
    assert groups == ["document 1", "document 1", "document 2"]


@pytest.mark.parametrize(
    ("scheme", "text"),
    [("iob1", "I-X B-X I-Y O"), ("iob2", "B-X B-X B-Y O"), ("iobes", "S-X S-X S-Y O"), (None, "NN O VB B-X")],
)
def test_schemes_are_found_and_converted(write, scheme, text):
    path = write("".join(f"w {tag}\n" for tag in text.split()))
    assert next(read_columns(path)).tags == tuple(text.split())
    expected = {None: text, "iob1": "I-X B-X I-Y O", "iob2": "B-X B-X B-Y O", "iobes": "S-X S-X S-Y O"}
    for target in ("iob1", "iob2", "iobes"):
        wanted = text if scheme is None else expected[target]
        assert next(read_columns(path, convert_to=target)).tags == tuple(wanted.split())


def test_a_tag_that_breaks_the_scheme(write):
    path = write("a B-X\nb I-X\n\nc O\nd I-X\n\ne B-X\n")
    shown = refused(read_columns(path))
    assert shown.startswith(f"{path}:5: the tag 'I-X' cannot stand here in iob2, which most of the file follows")
    problems = []
    assert len(list(read_columns(path, on_bad=problems.append))) == 2
    assert len(problems) == 1
    assert len(list(read_columns(path, scheme="none"))) == 3
    assert next(read_columns(path, scheme="none", convert_to="iobes")).tags == ("B-X", "I-X")
    assert f"{path}:1: the tag 'B-X' cannot stand here in iob1." in refused(read_columns(path, scheme="iob1"))


@pytest.mark.parametrize(
    ("line", "keys", "message"),
    [
        ("cat", {}, "the line has 1 column, the first word of the file 2"),
        ("cat NN x", {}, "3 columns"),
        ("cat NN", {"tag": 3}, "there is no column 3, the line has 2"),
        ("cat NN", {"word": -3}, "there is no column -3"),
        ("cat NN", {"word": 2}, "word 2 and tag -1 are the same column"),
        ("cat\x01 NN", {}, "control character"),
    ],
)
def test_a_bad_line_of_columns(write, line, keys, message):
    before = "" if keys else "a B\n\n"
    path = write(f"{before}{line}\n")
    shown = refused(read_columns(path, **keys))
    assert message in shown
    assert shown.startswith(f"{path}:{1 if keys else 3}: ")


def test_columns_written_back(write):
    lines = NER.splitlines(keepends=True)
    tags = ["A", "B", "C", "D", "E"]
    changed = list(write_columns(lines, tags))
    assert changed[0] == "-DOCSTART- -X- O\n"
    assert changed[2] == "U.N. NNP I-ORG A\n"
    assert changed[6] == "Ekeus\tNNP  I-PER\tD\n"
    assert [tag for s in read_columns(write("".join(changed)), scheme="none") for tag in s.tags] == tags
    assert list(write_columns(["a|b \r\n", "#x\n", "\n"], ["T"], separator="|", comment="#")) == [
        "a|b |T\r\n",
        "#x\n",
        "\n",
    ]
    assert list(write_columns(["a b \n"], ["T"])) == ["a b T\n"]
    for wrong in (tags[:-1], [*tags, "X"]):
        with pytest.raises(ValueError, match="tags than words"):
            list(write_columns(lines, wrong))


# ---- sources --------------------------------------------------------------------------------------------------------


def test_a_source_is_read_by_its_format(write):
    (first, _) = read_sentences(Source(format="conllu", path=str(write(CONLLU)), column="xpos"), by_document=True)
    assert first.tags == ("PRP", "VBP", "RB")
    assert first.group == "document 1"
    assert len(list(read_sentences(Source(format="columns", path=str(write(NER)))))) == 2


def test_a_source_without_sentences(write):
    source = Source(format="conllu", path=str(write("# only a comment\n")))
    assert "there are no sentences" in refused(read_sentences(source))
    bad = Source(format="conllu", path=str(write("x\n")))
    problems = []
    assert list(read_sentences(bad, on_bad=problems.append)) == []
    assert len(problems) == 1
    assert "there is no such file" in refused(read_sentences(Source(format="conllu", path="none.conllu")))


@pytest.mark.parametrize("read", [read_conllu, read_columns])
@given(
    st.lists(st.sampled_from([b"1\ta", b"\t_" * 8, b"\t", b" ", b"\n", b"\r\n", b"B-X", b"O", b"#", b"1-2", b"\xff"]))
)
def test_whatever_is_in_the_file_there_are_sentences_or_errors(read, tmp_path_factory, pieces):
    path = tmp_path_factory.mktemp("any") / "a.txt"
    path.write_bytes(b"".join(pieces))
    problems = []
    try:
        sentences = list(read(path, on_bad=problems.append))
    except DataError:
        return
    for sentence in sentences:
        assert len(sentence.words) == len(sentence.tags) == len(sentence.lines) > 0
        assert all(sentence.words)
        assert all(sentence.tags)
    assert all("\n" not in str(problem) for problem in problems)
