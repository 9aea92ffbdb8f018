import csv
import subprocess
import sys
from collections import Counter
from pathlib import Path

DATA = Path(__file__).parents[1] / "data"


def read() -> list[dict[str, str]]:
    with (DATA / "sample.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def test_the_script_writes_the_sample_to_the_byte(tmp_path: Path):
    target = tmp_path / "again.csv"
    done = subprocess.run(
        [sys.executable, str(DATA / "make_sample.py"), str(target)], capture_output=True, text=True, check=True
    )
    assert target.read_bytes() == (DATA / "sample.csv").read_bytes()
    assert "synthetic" in done.stdout


def test_the_sample_is_called_synthetic_where_it_is_shown():
    assert "**synthetic**" in (DATA / "README.md").read_text(encoding="utf-8")


def test_the_sample_is_small_balanced_and_without_repeats():
    rows = read()
    assert (DATA / "sample.csv").stat().st_size < 64 * 1024
    assert Counter(row["label"] for row in rows) == {"positive": 200, "negative": 200}
    assert len({" ".join(row["text"].split()) for row in rows}) == 400
    assert len({row["author"] for row in rows}) >= 20


def test_the_sample_exercises_the_csv_reader():
    texts = "".join(row["text"] for row in read())
    for part in (",", '"', "\n", "<br /><br />", "\u2019", "\U0001f3ac", "é"):
        assert part in texts
    assert any("," in row["author"] for row in read())


def test_no_single_word_gives_the_label_away():
    seen: dict[str, Counter[str]] = {}
    for row in read():
        for word in set(row["text"].lower().split()):
            seen.setdefault(word.strip('.,;!"'), Counter())[row["label"]] += 1
    for word, labels in seen.items():
        if labels.total() >= 40:
            assert max(labels.values()) / labels.total() < 0.8, word
