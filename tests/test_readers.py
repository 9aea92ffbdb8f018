import csv
import gzip
import json
import os
from io import StringIO

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rnncli.config import DataConfig
from rnncli.data.readers import READERS, aclimdb, delimited, read_rows
from rnncli.data.rows import Row, report_bad, short_label
from rnncli.errors import DataError, shown_on_one_line

FILES = settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, derandomize=True
)
UTF8 = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
LABELS = UTF8.map(str.strip).filter(lambda label: label and shown_on_one_line(label) == label)


CONTENTS = {
    "csv": "text,label\nhi,x\n",
    "tsv": "text\tlabel\nhi\tx\n",
    "jsonl": '{"text": "hi", "label": "x"}\n',
    "fasttext": "__label__x hi\n",
}


class Keys(dict):
    def model_dump(self):
        return dict(self)


def rows(source_format, path, group_by=None, on_bad=None, **keys):
    return list(read_rows(Keys(format=source_format, path=str(path), **keys), group_by, on_bad))


def rows_and_bad(source_format, path, **keys):
    bad = []
    found = rows(source_format, path, on_bad=bad.append, **keys)
    assert all(isinstance(error, DataError) and "\n" not in str(error) for error in bad)
    return found, [str(error).removeprefix(str(path)) for error in bad]


def refusal(source_format, path, **keys):
    """The one line with which reading for training stops."""
    with pytest.raises(DataError) as caught:
        rows(source_format, path, **keys)
    message = str(caught.value)
    assert "\n" not in message
    message.encode()  # no lone surrogates: it can be printed anywhere
    return message.removeprefix(str(path))


@pytest.fixture
def file(tmp_path):
    def write(data):
        path = tmp_path / "data.file"
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    return write


# ---- all formats ----------------------------------------------------------------------------------------------------


def test_every_source_of_the_config_is_read_with_its_own_keys(tmp_path, file):
    for name, content in CONTENTS.items():
        config = DataConfig.model_validate({"train": {"format": name, "path": str(file(content))}})
        assert [row[:2] for row in read_rows(config.train)] == [("hi", "x")]
    assert set(READERS) - set(CONTENTS) == {"aclimdb", "keras_imdb", "imported"}
    imdb_tree(tmp_path, {"x/1_1.txt": "hi"})
    config = DataConfig.model_validate({"train": {"format": "aclimdb", "path": str(tmp_path)}})
    assert [row[:2] for row in read_rows(config.train)] == [("hi", "x")]
    path, index = keras_files(tmp_path, [[1, 4]], [1])
    source = {"format": "keras_imdb", "path": str(path), "word_index": str(index)}
    assert [row[:2] for row in read_rows(DataConfig.model_validate({"train": source}).train)] == [("the", "pos")]


@pytest.mark.parametrize("name", ["csv", "tsv", "jsonl", "fasttext"])
def test_files_of_every_format_that_cannot_be_read(tmp_path, file, name):
    assert refusal(name, tmp_path / "none").startswith(": there is no such file")
    assert refusal(name, tmp_path).startswith(": is a folder")
    assert refusal(name, file("")) == ": the file is empty"
    assert ": the compressed file ends too early" in refusal(name, file(gzip.compress(CONTENTS[name].encode())[:-8]))


@pytest.mark.parametrize("name", ["fasttext", "aclimdb", "keras_imdb"])
def test_formats_without_columns_cannot_be_grouped(name):
    assert f"format {name} has no columns" in refusal(name, "a", group_by="film")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("csv", "text,label\n"),
        ("csv", "text,label\n\n\n"),
        ("tsv", "text\tlabel"),
        ("jsonl", "\n \n"),
        ("fasttext", "\n"),
    ],
)
def test_a_file_without_rows(file, name, content):
    assert refusal(name, file(content)) == ": there are no rows"


def test_a_file_of_skipped_rows_only(file):
    path = file("__label__plot a\n")
    assert refusal("fasttext", path, skip_labels=["plot"]) == ": there are no rows outside skip_labels ['plot']"


def test_bad_rows_alone_are_reported_and_not_called_none(file):
    assert rows_and_bad("fasttext", file("no label\n"))[0] == []


def test_nothing_is_opened_before_the_first_row():
    stream = read_rows(Keys(format="csv", path="none"))
    with pytest.raises(DataError):
        next(stream)


def test_report_bad_raises_without_anyone_to_tell():
    error, told = DataError("x"), []
    with pytest.raises(DataError, match="x"):
        report_bad(error, None)
    report_bad(error, told.append)
    assert told == [error]


# ---- csv and tsv ----------------------------------------------------------------------------------------------------


def test_csv_columns_are_found_by_name(file):
    path = file('id,film,review,verdict\n1,Up,"good, ""very""\ngood", pos \n2,,5" disk,neg\n3,Up,plot,none\n')
    assert rows("csv", path, text="review", label="verdict", skip_labels=["none"], group_by="film") == [
        Row('good, "very"\ngood', "pos", f"{path}:2", "Up"),
        Row('5" disk', "neg", f"{path}:4", None),
    ]


def test_csv_with_byte_order_mark_and_windows_line_ends(file):
    path = file(b'\xef\xbb\xbf"text",label\r\n"a\r\nb",x\r\n\r\n,y')
    assert rows("csv", path) == [Row("a\r\nb", "x", f"{path}:2"), Row("", "y", f"{path}:5")]


def test_tsv_has_no_quoting(file):
    path = file('label\ttext\nx\t"a" said, "b\ny\t"\n')
    assert rows("tsv", path) == [Row('"a" said, "b', "x", f"{path}:2"), Row('"', "y", f"{path}:3")]


@FILES
@given(st.lists(st.tuples(UTF8, LABELS, UTF8), min_size=1, max_size=5))
def test_csv_gives_back_what_python_writes(tmp_path, contents):
    out = StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerows([("text", "label", "g"), *contents])
    path = tmp_path / "a.csv"
    path.write_bytes(out.getvalue().encode())
    assert [(r.text, r.label, r.group or "") for r in rows("csv", path, group_by="g")] == contents


def test_a_missing_column_lists_those_there_are_and_the_nearest(file):
    path = file("Review,label,film\nx,y,z\n")
    message = ":1: there is no column 'revew' (there is 'Review', 'label', 'film'). "
    hint = "Did you mean 'Review'? Name one of them with the key text (--text of rnncli eval)"
    assert refusal("csv", path, text="revew") == message + hint
    assert refusal("csv", path, text="Review", label="zzz").endswith(
        "'film'). Name one of them with the key label (--label of rnncli eval)"
    )
    assert refusal("csv", path, text="Review", group_by="flim").endswith(
        "mean 'film'? Name one of them with the key data.group_by"
    )
    assert refusal("csv", file("text,label,text\na,b,c\n")) == ":1: there are 2 columns 'text'. Rename all but one"


def test_thousands_of_columns_are_not_all_listed(file):
    message = refusal("csv", file(",".join(f"c{i}" + "x" * 500 for i in range(5000)) + "\n"))
    assert "and 4980 more" in message
    assert len(message) < 2000


@pytest.mark.parametrize(
    ("name", "header", "said"),
    [
        ("csv", "text\tlabel", "looks tab-separated. Set format: tsv"),
        ("tsv", "text,label", "looks comma-separated. Set format: csv"),
        ("csv", "text;label", "looks semicolon-separated. Save it with commas as csv"),
    ],
)
def test_the_wrong_separator_is_named(file, name, header, said):
    assert refusal(name, file(f"{header}\na{header[4]}b\n")) == f":1: the header {said}"


@pytest.mark.parametrize("name", ["csv", "tsv"])
def test_only_a_mark_is_a_header_without_columns(file, name):
    assert ":1: there is no column 'text' (there is none)" in refusal(name, file(b"\xef\xbb\xbf"))


def test_a_header_that_is_not_utf8_ends_reading(file):
    path = file(b"t\xffxt,label\na,b\n")
    with pytest.raises(DataError, match=":1: byte 0xff"):
        rows_and_bad("csv", path)


BAD_CSV_ROWS = {
    "only one": "the row has 1 field, the header 2. Put a text that holds commas or line breaks in double quotes",
    "a,b,c": "the row has 3 fields, the header 2",
    "text,  ": "the label is empty",
    '"a" b,x': "a closing double quote is followed by something other than a comma",
    "a\rb,x": "a carriage return stands in the row outside quotes",
}


@pytest.mark.parametrize(("line", "said"), BAD_CSV_ROWS.items())
def test_each_bad_csv_row_is_refused_with_its_line(file, line, said):
    assert refusal("csv", file(f"text,label\n\ngood,x\n{line}\ngood,x\n")).startswith(f":4: {said}")


def test_every_bad_csv_row_is_reported_and_reading_goes_on(file):
    lines = [part for line in BAD_CSV_ROWS for part in (line, "good,x")]
    path = file("text,label\n" + "\n".join(lines) + "\n")
    found, bad = rows_and_bad("csv", path)
    assert [row.where for row in found] == [f"{path}:{n}" for n in range(3, 13, 2)]
    assert [error.split(": ", 1)[0] for error in bad] == [f":{n}" for n in range(2, 12, 2)]
    assert [error.split(": ", 1)[1].startswith(said) for error, said in zip(bad, BAD_CSV_ROWS.values(), strict=True)]


def test_an_unclosed_quote_names_the_line_that_opens_it(file):
    found, bad = rows_and_bad("csv", file('text,label\na,x\n"b,x\nc,x\n'))
    assert [row.text for row in found] == ["a"]
    assert bad == [
        ":3: a double quote is opened in this row and never closed. Close it, or double it if it belongs to the text"
    ]


def test_a_row_with_an_unreadable_byte_is_left_out_whole(file):
    path = file(b'text,label\n"a\nb\xff\nc",x\nd,\0x\ne,x\n')
    found, bad = rows_and_bad("csv", path)
    assert found == [Row("e", "x", f"{path}:6")]
    assert [error[:16] for error in bad] == [":3: byte 0xff at", ":5: NUL byte at "]


def test_a_long_field_is_read_and_a_huge_one_refused(file, monkeypatch):
    long = "a" * 200_000
    before = csv.field_size_limit(131_072)
    try:
        assert rows("csv", file(f"text,label\n{long},x\n"))[0].text == long
        assert csv.field_size_limit() == delimited.MAX_FIELD_CHARS
        csv.field_size_limit(1000)
        monkeypatch.setattr(delimited, "MAX_FIELD_CHARS", 1000)
        found, bad = rows_and_bad("csv", file(f'text,label\n"{long}",x\nb,x\n'))
    finally:
        csv.field_size_limit(before)
    assert [row.text for row in found] == ["b"]
    assert bad[0].startswith(":2: a field is longer than 1,000 characters")


def test_a_tsv_row_with_a_tab_too_many(file):
    assert "3 fields, the header 2. A text in a tsv file can hold neither" in refusal(
        "tsv", file("text\tlabel\na\tb\tc\n")
    )


@pytest.mark.parametrize("name", ["csv", "tsv", "jsonl", "fasttext"])
@FILES
@example(b'"')
@example(b"\r")
@given(st.binary(max_size=60) | st.text('text,label"\t\n\r{}[]:_\\u', max_size=60).map(str.encode))
def test_hostile_bytes_give_rows_or_data_errors(file, name, data):
    for row in rows_and_bad(name, file(CONTENTS[name].encode() + data))[0]:
        assert row.label == row.label.strip() != ""
        assert "\0" not in row.text + row.label
        (row.text + row.label).encode()


# ---- jsonl ----------------------------------------------------------------------------------------------------------


def test_jsonl_values(file):
    path = file(
        '{"text": "caf\\u00e9 \\ud83d\\ude00", "label": " pos ", "film": 7, "more": [1.5, null, {"a": 1}]}\n  \n'
        '{"text": "", "label": 1, "film": null}\r\n{"label": true, "text": "b", "film": ""}\n'
        '{"label": "plot", "text": "c", "film": "x"}'
    )
    assert rows("jsonl", path, skip_labels=["plot"], group_by="film") == [
        Row("café 😀", "pos", f"{path}:1", "7"),
        Row("", "1", f"{path}:3", None),
        Row("b", "true", f"{path}:4", None),
    ]


BAD_JSON_LINES = {
    '{"text": "a", "label": "x"': "column 27 is not valid JSON (Expecting ',' delimiter)",
    '{"text": "a", "label": "x"}, ': "column 28 is not valid JSON (Extra data)",
    "text,label": "column 1 is not valid JSON",
    '[{"text": "a", ': "column 16 is not valid JSON",
    '["a", "x"]': "the line is an array, not an object",
    "3": "the line is a number, not an object",
    "null": "the line is null, not an object",
    '{"text": "a", "text": "b", "label": "x"}': "the JSON cannot be used (the key 'text' is there twice)",
    '{"text": "a", "label": "x", "n": NaN}': "the JSON cannot be used (NaN is not JSON; write null)",
    '{"text": "a", "label": "x", "n": -Infinity}': "the JSON cannot be used (-Infinity is not JSON; write null)",
    '{"text": "a\\ud800", "label": "x"}': "'text' holds \\ud800, half of a surrogate pair",
    '{"text": "a", "label": "\\udfff"}': "'label' holds \\udfff, half of a surrogate pair",
    '{"text": "a\\u0000", "label": "x"}': "'text' holds a NUL character (\\u0000)",
    '{"text": 5, "label": "x"}': "'text' is a number, not a string",
    '{"text": null, "label": "x"}': "'text' is null, not a string",
    '{"text": ["a"], "label": "x"}': "'text' is an array, not a string",
    '{"text": "a", "label": 0.5}': "'label' is a number, not a string, an integer, true or false",
    '{"text": "a", "label": ["x", "y"]}': "'label' is an array, not a string",
    '{"text": "a", "label": {}}': "'label' is an object, not a string",
    '{"text": "a", "label": ""}': "the label is empty",
    '{"text": "a", "lable": "x"}': "there is no column 'label' (there is 'text', 'lable'). Did you mean 'lable'? Name",
    "{}": "there is no column 'text' (there is none)",
    '{"n": ' + "9" * 5000 + "}": "the JSON cannot be used (Exceeds the limit",
    "[" * 100_000: "",
    '{"text": "a\tb", "label": "x"}': "column 12 is not valid JSON (Invalid control character at)",
}


@pytest.mark.parametrize(("line", "said"), BAD_JSON_LINES.items(), ids=range(len(BAD_JSON_LINES)))
def test_each_bad_json_line_is_refused_with_its_number(file, line, said):
    message = refusal("jsonl", file(f'{{"text": "a", "label": "x"}}\n{line}\n'))
    assert message.startswith(f":2: {said}")
    assert len(message) < 400


def test_every_bad_json_line_is_reported_and_reading_goes_on(file):
    lines = [part for line in BAD_JSON_LINES for part in (line, '{"text": "a", "label": "x"}')]
    found, bad = rows_and_bad("jsonl", file("\n".join(lines)))
    assert len(found) == len(bad) == len(BAD_JSON_LINES)


def test_a_json_array_is_told_how_to_become_jsonl(file):
    assert "looks like one JSON array" in refusal("jsonl", file('[\n{"text": "a", "label": "x"}\n]\n'))


def test_a_json_row_without_the_group_is_bad(file):
    message = refusal("jsonl", file('{"text": "a", "label": "x"}\n'), group_by="film")
    assert message.startswith(":1: there is no column 'film'")


@FILES
@given(st.lists(st.tuples(UTF8, LABELS), min_size=1, max_size=5), st.booleans())
def test_jsonl_gives_back_what_python_writes(tmp_path, contents, escaped):
    path = tmp_path / "a.jsonl"
    lines = (json.dumps({"text": text, "label": label}, ensure_ascii=escaped) for text, label in contents)
    path.write_bytes("\n".join(lines).encode())
    assert [row[:2] for row in rows("jsonl", path)] == contents


# ---- fastText -------------------------------------------------------------------------------------------------------


def test_fasttext_lines(file):
    path = file(
        "__label__pos  a film , good \r\n\n__label__neg\nbad film __label__neg indeed\n__label__plot\tx__label__y z\n"
    )
    assert rows("fasttext", path, skip_labels=[]) == [
        Row("a film , good", "pos", f"{path}:1"),
        Row("", "neg", f"{path}:3"),
        Row("bad film indeed", "neg", f"{path}:4"),
        Row("x__label__y z", "plot", f"{path}:5"),
    ]
    assert len(rows("fasttext", path, skip_labels=["neg"])) == 2


BAD_FASTTEXT_LINES = {
    "some text": "the line has no label. Begin it with __label__ and the label: __label__pos some text",
    "__label__a __label__b text": "the line has 2 labels ('a', 'b'), only one is allowed. Keep one, or write one line",
    "__label__a text __label__a": "the line has 2 labels ('a', 'a')",
    "__label__ text": "nothing follows __label__",
    "__label__\u00a0 text": "nothing follows __label__",
    " ".join(f"__label__{'x' * 500}{n}" for n in range(500)): "the line has 500 labels",
}


@pytest.mark.parametrize(("line", "said"), BAD_FASTTEXT_LINES.items(), ids=range(len(BAD_FASTTEXT_LINES)))
def test_each_bad_fasttext_line_is_refused_with_its_number(file, line, said):
    message = refusal("fasttext", file(f"__label__x a\n{line}\n"))
    assert message.startswith(f":2: {said}")
    assert len(message) < 600


def test_every_bad_fasttext_line_is_reported_and_reading_goes_on(file):
    found, bad = rows_and_bad("fasttext", file("\n__label__x a\n".join([*BAD_FASTTEXT_LINES, "\0", ""]).encode()))
    assert (len(found), len(bad)) == (len(BAD_FASTTEXT_LINES) + 1, len(BAD_FASTTEXT_LINES) + 1)


# ---- aclImdb --------------------------------------------------------------------------------------------------------


def imdb_tree(root, files):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def test_aclimdb_order_and_what_is_passed_over(tmp_path):
    imdb_tree(
        tmp_path,
        {
            "pos/10_8.txt": "p10\n",
            "pos/9_10.txt": "\ufeffp9",
            "pos/9_2.txt": "p9b",
            "pos/about.txt": "no number",
            "neg/0_3.txt": "",
            "unsup/0_0.txt": "unlabelled",
            ".cache/0_0.txt": "hidden",
            "__MACOSX/0_0.txt": "left by an archiver",
            "pos/notes.md": "not a text",
            "labeledBow.feat": "0:1",
        },
    )
    (tmp_path / "pos" / "folder.txt").mkdir()
    assert [(row.label, row.text, row.where) for row in rows("aclimdb", tmp_path)] == [
        ("neg", "", str(tmp_path / "neg/0_3.txt")),
        ("pos", "p9", str(tmp_path / "pos/9_10.txt")),
        ("pos", "p9b", str(tmp_path / "pos/9_2.txt")),
        ("pos", "p10\n", str(tmp_path / "pos/10_8.txt")),
        ("pos", "no number", str(tmp_path / "pos/about.txt")),
    ]


def test_every_bad_text_is_reported_and_reading_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(aclimdb, "MAX_TEXT_BYTES", 20)
    bad = {"1_1": b"a\nb\xff", "2_1": b"\0", "3_1": b"a" * 21, "5_1": "é".encode("utf-16")}
    imdb_tree(tmp_path, {"pos/4_1.txt": "a" * 20} | {f"neg/{name}.txt": data for name, data in bad.items()})
    found, said = rows_and_bad("aclimdb", tmp_path)
    assert [row.label for row in found] == ["pos"]
    assert [error.split(". ")[0] for error in said] == [
        "/neg/1_1.txt:2: byte 0xff at offset 3 (byte 2 of the line) is not valid UTF-8",
        "/neg/2_1.txt:1: NUL byte at offset 0 (byte 1 of the line)",
        "/neg/3_1.txt: is larger than the 20 bytes allowed",
        "/neg/5_1.txt: is UTF-16 text, not UTF-8",
    ]
    assert "/neg/1_1.txt:2: byte 0xff" in refusal("aclimdb", tmp_path)


def test_a_text_that_may_not_be_read_is_bad(tmp_path, monkeypatch):
    imdb_tree(tmp_path, {"pos/1_1.txt": "a"})

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(aclimdb, "open", refuse, raising=False)
    assert "/pos/1_1.txt: may not be read" in refusal("aclimdb", tmp_path)


def test_folders_that_are_not_aclimdb_trees(tmp_path):
    expected = ": expected one sub-folder per label, such as pos and neg, with .txt files in it"
    assert ": there is no such folder" in refusal("aclimdb", tmp_path / "none")
    assert refusal("aclimdb", tmp_path) == f"{expected}; there is none"
    imdb_tree(tmp_path, {"imdb.vocab": "the", "train/pos/1_1.txt": "a", "train/neg/1_1.txt": "b", "test/x/1.txt": "c"})
    assert refusal("aclimdb", tmp_path) == f"{expected}. Did you mean {tmp_path / 'train'}?"
    assert "is a file where a folder is expected" in refusal("aclimdb", tmp_path / "imdb.vocab")
    imdb_tree(tmp_path, {"train/empty/a.md": "a"})
    assert "sub-folder 'empty' would be a label but holds no .txt" in refusal("aclimdb", tmp_path / "train")
    assert "is not a usable path" in refusal("aclimdb", "a\0b")


def test_a_folder_whose_name_is_not_text_is_no_label(tmp_path):
    imdb_tree(tmp_path, {"pos/1.txt": "a", os.fsdecode(b"n\xffg") + "/1.txt": "b"})
    assert "the sub-folder 'n\\udcffg' is not a usable label" in refusal("aclimdb", tmp_path)


def test_a_folder_with_white_space_around_its_name_is_no_label(tmp_path):
    imdb_tree(tmp_path, {"pos/1.txt": "a", "pos /1.txt": "b"})
    assert "the sub-folder 'pos ' is not a usable label" in refusal("aclimdb", tmp_path)


# ---- Keras's imdb.npz -----------------------------------------------------------------------------------------------

WORDS = {"the": 1, "and": 2, "a": 3, "of": 4, "film": 5}


def keras_files(folder, reviews, labels, words=WORDS, part="train"):
    array = np.empty(len(reviews), object)
    for i, review in enumerate(reviews):
        array[i] = review
    np.savez_compressed(folder / "imdb.npz", **{f"x_{part}": array, f"y_{part}": np.array(labels, int)})
    (folder / "index.json").write_text(json.dumps(words))
    return folder / "imdb.npz", folder / "index.json"


def test_keras_published_numbers(tmp_path):
    path, index = keras_files(tmp_path, [[1, 5, 4], [3, 5], [], [2]], [1, 0, 1, 0])
    assert rows("keras_imdb", path, word_index=str(index), part="train") == [
        Row("the film of", "pos", f"{path}:x_train[0]"),
        Row("a film", "neg", f"{path}:x_train[1]"),
        Row("", "pos", f"{path}:x_train[2]"),
        Row("and", "neg", f"{path}:x_train[3]"),
    ]


@pytest.mark.parametrize("padding", [[], [0, 0]])
def test_keras_numbers_as_load_data_gives_them(tmp_path, padding):
    path, index = keras_files(tmp_path, [[*padding, 1, 4, 8, 2, 7], [1, 6, *padding], [1]], [1, 0, 0], part="test")
    assert [row[:2] for row in rows("keras_imdb", path, word_index=str(index), part="test")] == [
        ("the film <unk> of", "pos"),
        ("a", "neg"),
        ("", "neg"),
    ]


def test_keras_reviews_cut_at_their_start_are_known_by_their_padding(tmp_path):
    path, index = keras_files(tmp_path, [[4, 8, 6], [0, 1, 8]], [1, 0])
    assert [row.text for row in rows("keras_imdb", path, word_index=str(index))] == ["the film a", "film"]


def test_keras_bad_reviews_are_reported_and_reading_goes_on(tmp_path):
    path, index = keras_files(tmp_path, [[3, 9], [3, 0], [3], [3, 6], [3]], [1, 0, 2, 1, 1], WORDS | {"x": 7})
    found, bad = rows_and_bad("keras_imdb", path, word_index=str(index))
    assert [row.text for row in found] == ["a"]
    assert [error.split(" in ")[0] for error in bad] == [
        ":x_train[0]: the number 9 has no word",
        ":x_train[1]: the number 0 has no word",
        ":x_train[2]: label 2, expected 0 or 1",
        ":x_train[3]: the number 6 has no word",
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("[1, 2]", "expected an object that gives each word a number"),
        ('{"a": 0}', "expected an object"),
        ('{"a": true}', "expected an object"),
        ('{"a": 1e3}', "expected an object"),
        ('{"a": 5000001}', "expected an object"),
        ("{}", "the word index is empty"),
        ('{"a": 1, "b": 1}', "the number 1 is given to two words"),
        ('{"\\ud800": 1}', "holds half of a surrogate pair"),
        ('{"a": 1', "is not valid JSON"),
        ("[" * 100_000, "is not valid JSON"),
        ('{"": 1}', "the number 1 has no word"),
    ],
)
def test_word_indexes_that_cannot_be_used(tmp_path, words, said):
    path, index = keras_files(tmp_path, [[1], [2, 1]], [1, 0])
    index.write_text(words)
    assert said in refusal("keras_imdb", path, word_index=str(index))


def test_keras_halves_that_do_not_fit(tmp_path):
    path, index = keras_files(tmp_path, [[1], [2, 1]], [1, 0, 1])
    assert refusal("keras_imdb", path, word_index=str(index)) == ": x_train has 2 reviews but y_train 3 labels"
    assert "there is no array 'x_test'" in refusal("keras_imdb", path, word_index=str(index), part="test")


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("it's caf\u00e9", "it's caf\u00e9"),
        ("a\nb\u2028c\u202e\u00a0", r"a\nb\u2028c\u202e\xa0"),
        ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"),  # Persian is written with it
        ("x" * 41, "x" * 39 + "\u2026"),
    ],
)
def test_a_label_is_shown_on_one_line_with_nothing_hidden_in_it(label, shown):
    assert short_label(label) == shown
