import json
import os
from pathlib import Path

import pytest
from jsonschema import Draft7Validator
from tiny_runs import write_csv
from tiny_tasks import write_conllu, write_text

import rnncli.cli.init
from rnncli import start_facts
from rnncli.budgets import Pace
from rnncli.config import load_config
from rnncli.config.schema import SCHEMA_FILE, config_schema
from rnncli.config.yaml_text import parse
from rnncli.start_facts import find_facts
from rnncli.starting import schema_reference

ROWS = [(f"a {word} film about number {i}", label) for i in range(20) for word, label in (("good", "1"), ("bad", "5"))]
TWO_STEPS = ("--set", "train.max_steps=2", "--set", "model.rnn.hidden=4", "--set", "model.embedding.dim=4")


def write_rows(path, separator=",", head="review,stars", encoding="utf-8", end="\n"):
    lines = [*([head.replace(",", separator)] if head else []), *(separator.join(row) for row in ROWS)]
    path.write_text(end.join(lines) + end, encoding=encoding, newline="")
    return path


def write_index(path):
    """Write what pandas does: a column of numbers without a name."""
    lines = [",review,stars", *(f"{i},{text},{label}" for i, (text, label) in enumerate(ROWS))]
    path.write_text("\n".join(lines) + "\n")
    return path


def write_jsonl(path):
    rows = [json.dumps({"id": i, "stars": int(label), "body": text}) for i, (text, label) in enumerate(ROWS)]
    path.write_text("\n".join(rows) + "\n")
    return path


def write_tree(path):
    for number, (text, label) in enumerate(ROWS):
        folder = path / "train" / {"1": "neg", "5": "pos"}[label]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.txt").write_text(text)
    return path


def write_columns(path):
    sentence = "Anna B-PER\nsaw O\nNew B-LOC\nYork{0} I-LOC\n\nit O\nrains O\n{0} O\n\n"
    path.write_text("".join(map(sentence.format, range(20))))
    return path


MAKERS = {
    "reviews.csv": write_rows,
    "reviews.tsv": lambda path: write_rows(path, "\t"),
    "tabs.csv": lambda path: write_rows(path, "\t"),
    "commas.txt": write_rows,
    "index.csv": lambda path: write_index(path),
    "bom.csv": lambda path: write_rows(path, encoding="utf-8-sig"),
    "windows.csv": lambda path: write_rows(path, end="\r\n"),
    "rows.jsonl": write_jsonl,
    "rows.json": write_jsonl,
    "lines.txt": lambda path: (
        path.write_text("".join(f"__label__{label} {text}\n" for text, label in ROWS)),
        path,
    )[1],
    "tree": write_tree,
    "words.conllu": write_conllu,
    "entities.txt": write_columns,
    "play.txt": lambda path: write_text(path, 200),
}
FORMATS = {
    "reviews.csv": "csv",
    "reviews.tsv": "tsv",
    "tabs.csv": "tsv",
    "commas.txt": "csv",
    "index.csv": "csv",
    "bom.csv": "csv",
    "windows.csv": "csv",
    "rows.jsonl": "jsonl",
    "rows.json": "jsonl",
    "lines.txt": "fasttext",
    "tree": "aclimdb",
    "words.conllu": "conllu",
    "entities.txt": "columns",
    "play.txt": "text",
}


@pytest.mark.parametrize("name", MAKERS)
def test_what_init_writes_trains(cli, workdir, name):
    MAKERS[name](workdir / name)
    done = cli("init", "--data", name, "--output", "c.yaml")
    assert (done.code, done.err) == (0, ""), done
    config = load_config("c.yaml")
    assert config.data.train.format == FORMATS[name]
    assert list(Draft7Validator(config_schema()).iter_errors(parse(Path("c.yaml").read_text()).value)) == []
    assert "next: rnncli plan c.yaml" in done.out
    trained = cli("train", "c.yaml", *TWO_STEPS[: 2 if FORMATS[name] == "conllu" else None])
    assert trained.code == 0, trained.err
    assert Path("runs/c/best.safetensors").exists()


def test_columns_are_found_by_what_is_in_them(cli, workdir):
    write_jsonl(workdir / "rows.jsonl")
    done = cli("init", "--data", "rows.jsonl")
    assert "text: column body; label: column stars\n" in done.out
    assert "labels: 1 20, 5 20\n" in done.out
    train = load_config("rows.yaml").data.train
    assert (train.text, train.label) == ("body", "stars")


def test_columns_that_are_given_are_taken(cli, workdir):
    lines = ["a,b,c", *(f"some text {i},{i % 2},{i % 3}" for i in range(30))]
    (workdir / "d.csv").write_text("\n".join(lines) + "\n")
    refused = cli.refused("init", "--data", "d.csv", code=2)
    assert "several columns may be the label: b, c. Name it with --label" in refused
    assert not Path("d.yaml").exists()
    assert cli("init", "--data", "d.csv", "--label", "c").code == 0
    assert load_config("d.yaml").data.train.label == "c"
    assert "'x' is no column (a, b, c)" in cli.refused(
        "init", "--data", "d.csv", "--label", "x", "--output", "e.yaml", code=2
    )
    both = cli("init", "--data", "d.csv", "--label", "a", "--text", "a", "--output", "e.yaml")
    assert "both text and label" in both.failed(2)


def test_a_column_that_gathers_rows_is_proposed_for_the_split(cli, workdir):
    lines = ["text,label,author", *(f"text number {i},{'ab'[i % 2]},author{i % 15}" for i in range(60))]
    (workdir / "d.csv").write_text("\n".join(lines) + "\n")
    assert cli("init", "--data", "d.csv").code == 0
    assert "# group_by: author" in Path("d.yaml").read_text()
    uncommented = Path("d.yaml").read_text().replace("# group_by", "group_by")
    Path("d.yaml").write_text(uncommented)
    assert load_config("d.yaml").data.group_by == "author"


def test_a_column_of_names_that_hardly_repeat_gathers_nothing(cli, workdir):
    lines = ["text,label,title", *(f"text number {i},{'ab'[i % 2]},title{i % 50}" for i in range(60))]
    (workdir / "d.csv").write_text("\n".join(lines) + "\n")
    assert cli("init", "--data", "d.csv").code == 0
    assert "group_by" not in Path("d.yaml").read_text()


def test_much_data_is_measured_in_part(cli, workdir, monkeypatch):
    monkeypatch.setattr(start_facts, "ENOUGH_CHARACTERS", 300)
    write_rows(workdir / "d.csv")
    done = cli("init", "--data", "d.csv")
    assert "d.csv" in done.out
    measured = int(done.out.partition("(of ")[2].partition(" that were measured)")[0])
    assert 10 < measured < 40
    assert f"there twice or more, in {measured} texts" in Path("d.yaml").read_text()
    (workdir / "plays").mkdir()
    (workdir / "plays" / "a.txt").write_text("abc\n" * 100)
    (workdir / "plays" / "b.txt").write_text("\u00e9" * 200)  # two bytes each
    assert "600 characters" in cli("init", "--data", "plays", "--output", "whole.yaml").out
    monkeypatch.setattr(start_facts, "MOST_READ", 10)
    assert "800 characters" in cli("init", "--data", "plays", "--output", "some.yaml").out


def test_of_one_large_file_only_the_beginning_is_read(workdir, monkeypatch):
    Path("play.txt").write_bytes(b"abc\n" * 100 + b"\xff")
    monkeypatch.setattr(start_facts, "MOST_READ", 10)
    facts = start_facts.find_facts("language_model", {"format": "text", "path": "play.txt"})
    assert (facts.beginning, facts.characters) == ("abc\n" * 3, 401)


def test_a_short_text_is_read_in_few_parts(cli, workdir):
    write_text(workdir / "play.txt", 200)
    assert cli("init", "--data", "play.txt").code == 0
    train = load_config("play.yaml").train
    assert 1 < train.batch_size < 16
    assert 20 <= 0.9 * (workdir / "play.txt").stat().st_size / (train.batch_size * train.window) < 80


def test_parts_named_as_such_are_used(cli, workdir):
    for part in ("train", "dev", "test"):
        write_conllu(workdir / f"my-{part}.conllu")
    (workdir / "other-dev.conllu").write_text("x\n")
    assert cli("init", "--data", "my-train.conllu", "--output", "c.yaml").code == 0
    data = load_config("c.yaml").data
    assert (data.valid.path, data.test.path) == ("my-dev.conllu", "my-test.conllu")


def test_a_part_of_another_format_is_not_used(cli, workdir):
    write_csv(workdir / "train.csv")
    (workdir / "test.csv").write_text("id,text\n1,what is to be guessed\n2,and this\n")  # without labels
    assert cli("init", "--data", "train.csv").code == 0
    assert load_config("train.yaml").data.test is None


def test_settings_follow_from_the_data(cli, workdir):
    lines = [f"__label__{'rare' if i % 20 == 0 else 'often'} {'word ' * (i % 90)}" for i in range(400)]
    (workdir / "long.txt").write_text("\n".join(lines) + "\n")
    assert cli("init", "--data", "long.txt").code == 0
    config = load_config("long.yaml")
    assert config.train.best_metric == "macro_f1"
    assert config.train.batch_size == 16
    assert config.train.epochs == 30
    assert config.data.valid_fraction == 0.2
    assert config.data.max_length is None
    assert (config.model.loss, config.model.ngrams) == ("binary", None)  # one word in several texts is too few
    (workdir / "chinese.jsonl").write_text(
        "".join(json.dumps({"text": "这部电影很好看" + "好" * i, "label": i % 2}) + "\n" for i in range(40))
    )
    assert cli("init", "--data", "chinese.jsonl").code == 0
    assert load_config("chinese.yaml").data.tokenizer.kind == "character"
    write_columns(workdir / "entities.txt")
    assert cli("init", "--data", "entities.txt").code == 0
    assert load_config("entities.yaml").train.best_metric == "entity_f1"


def test_xpos_is_taken_where_there_is_no_upos(cli, workdir):
    write_conllu(workdir / "a.conllu")
    rows = [line.split("\t") for line in (workdir / "a.conllu").read_text().splitlines()]
    lines = ["\t".join([*row[:3], "_", row[3], *row[5:]]) if len(row) > 1 else "" for row in rows]
    (workdir / "a.conllu").write_text("\n".join(lines) + "\n")
    assert cli("init", "--data", "a.conllu").code == 0
    assert load_config("a.yaml").data.train.column == "xpos"


def test_bad_rows_are_told_of(cli, workdir):
    path = write_rows(workdir / "d.csv")
    with path.open("a") as file:
        file.write("one,two,three\n")
    done = cli("init", "--data", "d.csv")
    assert done.code == 0
    assert "1 row cannot be read, and training stops at the first: d.csv:42: the row has 3 fields" in done.err


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "x;y\nsome text;1\nother text;2\nsome text;1\n", 'delimiter=";"'),
        ("a.csv", "some text,pos\nother text,neg\nthird text,pos\nfourth,neg\n" * 3, "(echo 'text,label'; cat a.csv)"),
        ("a.csv", "text,label\n" + "some text,pos\n" * 9, "the only label is 'pos'"),
        ("a.json", '[{"text": "a", "label": 1}]', "json.load(sys.stdin)"),
        (
            "a.csv",
            "text,score\n" + "".join(f"some text {i},{i / 7}\n" for i in range(300)),
            "no column is like a label",
        ),
        ("a.csv", 'text,label\n"unclosed,a\n' + "b,b\n" * 9, "a double quote is opened in this row and never closed"),
        ("a.csv", "text,text,label\n" + "a b,c,1\n" * 4 + "a c,c,2\n" * 4, "there are 2 columns 'text'"),
        ("a.csv", "text,label\na b,x\nc d,y\na b,x\nc d,y\n", "validation"),
        ("a.csv", "text,label\na b,x\nc d,y\ne f,x\n", "validation part is empty"),
        ("a.csv", "text,score\n" + "".join(f"some text {i},{i / 7}\n" for i in range(9)), "no column is like a label"),
        ("a.jsonl", "{}\n{}\n", "no column is like a text (there is none)"),
        ("a.txt", "too short", "too few to learn from"),
        ("a.txt", "", "the file is empty"),
        ("a.txt", "\n\n", "no text"),
        ("a.txt", "some\0text\n", "NUL byte"),
        ("a.txt", b"\xff\xfea\x00", "UTF-16"),
        ("a.txt", b"caf\xe9 au lait\n", "not valid UTF-8"),
        ("a.npz", b"PK\x03\x04", "imdb_word_index.json"),
        ("folder", None, "holds neither"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_data_that_cannot_be_used_is_one_line_with_what_to_do(cli, workdir, name, content, said):
    if content is None:
        (workdir / name).mkdir()
    else:
        (workdir / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    line = cli("init", "--data", name).failed(2 if "no column" in said else 1)
    assert said in line
    assert list(workdir.glob("*.yaml")) == []


def test_the_command_for_a_missing_header_mends_it(cli, workdir):
    write_rows(workdir / "a b.csv", head="")
    command = cli("init", "--data", "a b.csv").failed().partition("Type: ")[2]
    assert os.system(command) == 0
    assert cli("init", "--data", "a b-named.csv").code == 0


def test_the_command_for_semicolons_mends_them(cli, workdir):
    write_rows(workdir / "a.csv", ";")
    command = cli("init", "--data", "a.csv").failed().partition("Type: ")[2].replace("python -c", "python3 -c")
    assert os.system(command) == 0
    assert cli("init", "--data", "a-commas.csv").code == 0


def test_a_file_that_is_there_stays(cli, workdir):
    write_rows(workdir / "a.csv")
    Path("a.yaml").write_text("mine")
    assert "is there already" in cli.refused("init", "--data", "a.csv")
    assert Path("a.yaml").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--data: is missing"),
        (["--yes"], "--data: is missing"),
        (["--data", "a.csv", "--task", "tagging"], "is read as csv"),
        (["--data", "play.txt", "--label", "x"], "--label: names a column, and text has none"),
    ],
)
def test_what_is_missing_or_does_not_fit_is_named(cli, workdir, arguments, said):
    write_rows(workdir / "a.csv")
    write_text(workdir / "play.txt")
    assert said in cli.refused("init", *arguments, code=2)


def test_what_cannot_be_written_is_one_line(cli, workdir):
    write_rows(workdir / "a.csv")
    done = cli("init", "--data", "a.csv", "--output", "none/c.yaml")
    assert "none/c.yaml: cannot be written" in done.failed()


def test_odd_names_break_nothing(cli, workdir):
    write_rows(workdir / "a\nb c.csv")
    done = cli("init", "--data", "a\nb c.csv", "--output", "x\ny z.yaml")
    assert done.code == 0
    assert "next: rnncli plan 'x\ny z.yaml'" in done.out
    assert load_config("x\ny z.yaml").data.train.path == "a\nb c.csv"


def test_a_missing_file_is_one_line(cli):
    assert "there is no such file" in cli.refused("init", "--data", "none.csv")


# ---- the time there is ----------------------------------------------------------------------------------------------


@pytest.fixture
def slow(workdir, monkeypatch):
    """Return a csv file, on a machine whose steps take as many seconds as a text has words."""
    pace = Pace(start=4, training=1, scoring=1e9, save=0, processes=1, step=1, cpu_share=0.4)
    monkeypatch.setattr(rnncli.cli.init, "pace_on", lambda facts: lambda start: pace)
    return write_rows(workdir / "d.csv")  # 40 texts of 6 words, four fifths to train on: 192 s


def test_the_default_budget_is_said_and_used(cli, slow):
    done = cli("init", "--data", "d.csv")
    assert "[default: 5m]" in cli("init", "--help").out
    assert "recipe: best" not in done.out
    assert "training: about 3 min 20 s on this machine (measured: 1 words/s, with 40% of a core)" in done.out
    assert "with --budget 2h: best, 30 epochs of whole texts, about 1 h 36 min\n" in done.out
    assert load_config("d.yaml").train.epochs == 1


def test_a_budget_that_does_for_all_leaves_time_for_seeds(cli, slow):
    done = cli("init", "--data", "d.csv", "--budget", "24h")
    assert "recipe: best, 30 epochs of whole texts\n" in done.out
    assert "with --budget" not in done.out
    assert "      rnncli train d.yaml --seeds 5    in the budget too; their average is better\n" in done.out
    assert "# recipe: best, 30 epochs of whole texts; see docs/recipes.md" in Path("d.yaml").read_text()
    assert load_config("d.yaml").train.max_steps is None


def test_a_budget_too_small_for_anything_is_told_of(cli, slow):
    done = cli("init", "--data", "d.csv", "--budget", "10s")
    assert "longer than --budget, even so: about 4.0 s until the first step, and no fewer than 2 steps\n" in done.out
    train = load_config("d.yaml").train
    assert (train.epochs, train.max_steps) == (1, None)  # whose two steps are fewer than the fewest


def test_long_steps_are_shared(cli, workdir, monkeypatch):
    pace = Pace(start=1, training=1e6, scoring=1e6, save=0, processes=2, step=0.0421, cpu_share=None)
    monkeypatch.setattr(rnncli.cli.init, "pace_on", lambda facts: lambda start: pace)
    write_rows(workdir / "d.csv")
    assert "(measured: 1,000,000 words/s by 2 processes)" in cli("init", "--data", "d.csv").out
    assert load_config("d.yaml").train.workers == "auto"
    assert "# a step takes 42 ms, which is worth sharing" in Path("d.yaml").read_text()


def test_a_budget_without_a_unit_is_refused_with_what_to_type(cli, workdir):
    write_rows(workdir / "d.csv")
    said = cli.refused("init", "--data", "d.csv", "--budget", "5", code=2)
    assert "type 5s for seconds, 5m for minutes or 5h for hours" in said
    assert not Path("d.yaml").exists()


def test_a_sentence_that_cannot_be_read_is_told_of_and_the_others_are_measured(cli, workdir):
    path = write_conllu(workdir / "a.conllu", 60)
    with path.open("a") as file:
        file.write("1\tbroken" + "\t_" * 8 + "\n\n")
    done = cli("init", "--data", "a.conllu")
    assert done.code == 0
    assert "1 row cannot be read" in done.err
    assert "training: about " in done.out


def test_texts_are_measured_evenly_with_one_of_each_label(workdir, monkeypatch):
    lines = ["text,label", *(f"{'w ' * 10}n{number},{'ab'[number % 2]}" for number in range(64)), "once,rare"]
    lines.insert(40, "once,rarer")
    (workdir / "d.csv").write_text("\n".join(lines) + "\n")
    monkeypatch.setattr(start_facts, "ENOUGH_CHARACTERS", 400)
    facts = find_facts("classification", {"format": "csv", "path": "d.csv"})
    assert {row.label for row in facts.rows} == {"a", "b", "rare", "rarer"}
    places = [int(row.where.partition(":")[2]) - 2 for row in facts.rows if row.label in "ab"]
    assert places == [0, 1, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60, 64][: len(places)]
    assert len(facts.lengths) == len(facts.rows) < facts.texts == 66


def test_of_a_very_long_text_the_end_stands_for_all(workdir, monkeypatch):
    monkeypatch.setattr(start_facts, "MOST_OF_A_TEXT", 100)
    (workdir / "d.csv").write_text(f"text,label\n{'long ' * 100},a\nshort,b\n")
    facts = find_facts("classification", {"format": "csv", "path": "d.csv"})
    assert facts.lengths.tolist() == [100, 1]
    assert facts.words["long"] == 20


def test_sentences_are_kept_evenly(workdir, monkeypatch):
    write_conllu(workdir / "a.conllu", 60)
    monkeypatch.setattr(start_facts, "MOST_WORDS", 60)
    facts = find_facts("tagging", {"format": "conllu", "path": "a.conllu"})
    assert len(facts.lengths) == facts.texts == 60
    assert 5 < len(facts.sentences) < 30
    assert sum(len(sentence.words) for sentence in facts.sentences) <= 60


# ---- asked on a terminal ---------------------------------------------------------------------------------------------


@pytest.fixture
def answering(workdir, monkeypatch):
    """Run the command as if on a terminal, with these answers."""
    from click.testing import CliRunner

    monkeypatch.setattr(rnncli.cli.init, "on_terminal", lambda: True)
    return lambda answers, *given: CliRunner().invoke(
        rnncli.cli.init.command, list(given), input="\n".join(answers) + "\n"
    )


def test_what_is_not_given_is_asked_for(answering, workdir):
    lines = ["a,b,c", *(f"some text {i},{i % 2},{i % 3}" for i in range(30))]
    (workdir / "d.csv").write_text("\n".join(lines) + "\n")
    result = answering(["d.csv", "mine.yaml", "", "c", "5", "30s", "y"])
    assert result.exit_code == 0, result.output
    train = load_config("mine.yaml").data.train
    assert (train.text, train.label) == ("a", "c")
    assert "5 has no unit: type 5s for seconds, 5m for minutes or 5h for hours." in result.output


def test_no_writes_nothing(answering, workdir):
    write_rows(workdir / "d.csv")
    assert answering(["", "", "", "", "n"], "--data", "d.csv").exit_code == 1
    assert not Path("d.yaml").exists()


def test_yes_asks_nothing(answering, workdir):
    write_rows(workdir / "d.csv")
    assert answering([], "--data", "d.csv", "--yes").exit_code == 0
    assert Path("d.yaml").exists()


def test_the_schema_is_named_so_that_an_editor_finds_it(tmp_path):
    assert schema_reference(tmp_path / "c.yaml") == SCHEMA_FILE.as_uri()
    above = SCHEMA_FILE.parents[2]
    assert schema_reference(above / "c.yaml") == "rnncli/config/schema.json"
