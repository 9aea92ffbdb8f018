import csv

import pytest

from rnncli.data.table_columns import label_columns, read_columns_of, text_columns
from rnncli.errors import DataError

LONG = "a review of some length that says what it has to say and number"


def columns_of(path, **columns):
    """Write columns to a file and look at them."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return read_columns_of(path, "csv")


def guesses(columns):
    text = text_columns(columns)[0]
    return text, label_columns(columns, text)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.csv"


def many(make, count=60):
    return [make(i) for i in range(count)]


@pytest.mark.parametrize(
    ("more", "text", "labels", "certain"),
    [
        ({"sentiment": many(lambda i: "ab"[i % 2])}, "review", ["sentiment"], True),
        ({"x": many(lambda i: "ab"[i % 2])}, "review", ["x"], True),
        ({"x": many(lambda i: i % 2), "y1": many(lambda i: i % 3)}, "review", ["x", "y1"], False),
        ({"x": many(lambda i: i % 2), "Stars": many(lambda i: i % 5)}, "review", ["Stars", "x"], True),
        ({"lang": many(lambda i: i % 2), "stars": many(lambda i: i % 5)}, "review", ["lang", "stars"], False),
        ({"title": many(lambda i: f"title {i}"), "label": many(lambda i: i % 2)}, "review", ["label"], True),
        ({"score": many(lambda i: i / 7), "class": many(lambda i: i % 2)}, "review", ["class"], True),
        ({"score": many(lambda i: i / 7)}, "review", [], False),
        ({"label": many(lambda i: "same")}, "review", ["label"], True),
        ({"": many(lambda i: i % 2), "label": many(lambda i: i % 2)}, "review", ["label"], True),
    ],
    ids=lambda value: str(value)[:20],
)
def test_text_and_label_are_told_by_names_and_values(path, more, text, labels, certain):
    columns = columns_of(path, id=many(str), review=many(lambda i: f"{LONG} {i}"), **more)
    assert guesses(columns) == (text, (labels, certain))


def test_the_longest_column_is_the_text_where_no_name_says_so(path):
    assert guesses(columns_of(path, c=many(lambda i: i % 2), d=many(lambda i: f"{LONG} {i}")))[0] == "d"


def test_a_short_text_is_found_by_its_name(path):
    columns = columns_of(path, label=many(lambda i: f"a long label {i % 2}"), text=many(lambda i: f"t {i}"))
    assert guesses(columns) == ("text", (["label"], True))


def test_what_gathers_rows_may_be_a_group(path):
    columns = columns_of(
        path,
        text=many(lambda i: f"{LONG} {i}"),
        label=many(lambda i: i % 2),
        author=many(lambda i: f"author {i % 20}"),
        id=many(str),
        year=many(lambda i: 1990 + i % 20),
    )
    assert [column.name for column in columns if column.may_be_group] == ["author"]


def test_values_of_json_are_counted_as_labels_are_spelled(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": true, "b": "x y", "c": 1.5, "d": null}\n' * 3 + '{"a": false, "b": "z"}\nnonsense\n')
    columns = {column.name: column for column in read_columns_of(path, "jsonl")}
    assert columns["a"].values == {"true": 3, "false": 1}
    assert not columns["a"].words
    assert columns["b"].words
    assert columns["c"].values is None


def test_joined_files_have_a_header_all_the_same(path):
    path.write_text("text,label\n" + f"{LONG},a\n{LONG},b\ntext,label\n" * 3)
    assert [column.name for column in read_columns_of(path, "csv")] == ["text", "label"]


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("".join(f"film number {i},{'np'[i % 2]}os\n" for i in range(9)), "text,label"),
        ("".join(f"{'np'[i % 2]}os,film number {i}\n" for i in range(9)), "label,text"),
        ("".join(f"{i},film number {i},{'np'[i % 2]}os\n" for i in range(9)), "column1,text,label"),
        (f"{LONG} one,pos\n{LONG} again,neg\n", "text,column2"),
    ],
    ids=range(4),
)
def test_a_missing_header_is_noticed_and_names_are_proposed(path, content, named):
    path.write_text(content)
    with pytest.raises(DataError, match=f"echo '{named}'"):
        read_columns_of(path, "csv")
