"""``rnncli eval --baseline``."""

import json
import math
import random
import re
import sys
from collections import Counter
from pathlib import Path

import pytest
from tiny_runs import Cli, tiny_values, write_config, write_csv
from tiny_tasks import language_values, tagging_values, write_conllu, write_text

from rnncli import baseline_evaluation
from rnncli.baselines.kneser_ney import train_ngrams
from rnncli.baselines.ngrams import find_features
from rnncli.cli.eval_baseline import _ACCURACY, _ENTITIES, _LOSS, better


def train(cli: Cli, values: dict) -> str:
    assert cli("train", write_config(Path("c.yaml"), values)).code == 0
    return f"runs/{values['name']}/best.safetensors"


@pytest.fixture
def classifier(cli: Cli, workdir: Path) -> str:
    return train(cli, tiny_values(write_csv(workdir / "tiny.csv", repeats=3)))


@pytest.fixture
def tagger(cli: Cli, workdir: Path) -> str:
    return train(cli, tagging_values(write_conllu(workdir / "a.conllu", 60)))


@pytest.fixture
def model(cli: Cli, workdir: Path) -> str:
    return train(cli, language_values(write_text(workdir / "a.txt", 100)))


def rows_of_table(text: str) -> dict[str, list[str]]:
    """Return the cells after each name of the table."""
    lines = text[text.index("\nbaselines, ") + 1 :].split("\n\n")[0].splitlines()[1:]
    return {cells[0]: cells[1:] for cells in (re.split(r" {2,}", line) for line in lines)}


def test_a_classifier_beside_the_majority_and_nb_svm(cli: Cli, classifier):
    report = json.loads(cli("eval", classifier, "--baseline", "--json").out)
    majority, nbsvm = report["baselines"]
    largest = max(report["classes"], key=lambda one: one["support"])
    assert majority["name"] == "most frequent label"
    assert majority["accuracy"] in {one["support"] / report["rows"] for one in report["classes"]}
    assert majority["accuracy"] <= largest["support"] / report["rows"]
    texts = Counter(line.rpartition(",")[2] for line in Path("tiny.csv").read_text().splitlines()[1:])
    left = {one["label"]: texts[one["label"]] - one["support"] for one in report["classes"]}  # to train on
    p = {label: (count + 1) / (sum(left.values()) + 2) for label, count in left.items()}
    assert majority["loss"] == pytest.approx(
        -sum(one["support"] * math.log(p[one["label"]]) for one in report["classes"]) / report["rows"]
    )
    assert nbsvm["name"] == "NB-SVM, words and pairs"
    assert nbsvm["accuracy"] > 0.9  # one word tells the label
    assert nbsvm["rows"] == report["rows"]
    for one in (majority, nbsvm):
        more = round((one["accuracy"] - report["accuracy"]) * report["rows"])
        assert one["alone_right"] - one["model_alone_right"] == more
    assert majority["accuracy"] < report["accuracy"]
    shown = cli("eval", classifier, "--baseline").out
    table = rows_of_table(shown)
    assert table[""] == ["accuracy", "macro F1", "loss", "trained in"]
    figures = {"this model (gru)": report, "most frequent label": majority, "NB-SVM, words and pairs": nbsvm}
    for name, one in figures.items():
        assert table[name][:3] == [f"{one['accuracy']:.2%}", f"{one['macro_f1']:.2%}", f"{one['loss']:.4f}"]
        assert re.fullmatch(r"\d+\.\d s", table[name][3])
    assert table["this model (gru)"][3] == f"{report['training_seconds']:.1f} s"
    plain = cli("eval", classifier).out
    assert shown.startswith(plain[: plain.rindex(" in ")])
    assert "baselines" not in plain


def test_the_rows_are_those_that_are_evaluated(cli: Cli, classifier):
    Path("new.csv").write_text("text,label\nfilm good,pos\ncast dull,neg\nnothing known,neg\n")
    report = json.loads(cli("eval", classifier, "--data", "new.csv", "--baseline", "--json").out)
    assert [one["rows"] for one in report["baselines"]] == [3, 3]
    assert report["baselines"][1]["confusion"][0][0] >= 1


@pytest.mark.parametrize("kind", ["word", "whitespace", "character"])
def test_of_three_labels_and_any_tokens_it_sees_all_words(cli: Cli, workdir, kind, monkeypatch):
    rng = random.Random(1)
    rows = [f"{rng.choice('uvw')} key{label} {rng.choice('xyz')},{label}" for label in "abc" for _ in range(20)]
    (workdir / "three.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    values = tiny_values("three.csv", data={"tokenizer": {"kind": kind, "max_vocab": 3}, "max_length": 2})
    sizes = []
    monkeypatch.setattr(
        baseline_evaluation, "find_features", lambda *given: sizes.append(given[2]) or find_features(*given)
    )
    report = json.loads(cli("eval", train(cli, values), "--baseline", "--json").out)
    assert len(report["baselines"][1]["classes"]) == 3
    assert sizes == [1 + len("uvwxyzabc")]  # whatever the model sees
    assert report["baselines"][1]["accuracy"] == 1


def test_a_tagger_beside_the_most_frequent_tags(cli: Cli, tagger):
    report = json.loads(cli("eval", tagger, "--baseline", "--json").out)
    most, by_word = report["baselines"]
    (noun,) = (one for one in most["tags"] if one["recall"] == 1)
    assert most["accuracy"] == pytest.approx(noun["support"] / most["tokens"])
    assert most["accuracy"] < 0.5 < 0.9 < by_word["accuracy"]
    assert (by_word["tokens"], by_word["unseen_tokens"]) == (report["tokens"], report["unseen_tokens"])
    table = rows_of_table(cli("eval", tagger, "--baseline").out)
    assert table[""] == ["accuracy", "unseen", "macro F1", "trained in"]
    assert table["most frequent tag by word"][0] == f"{by_word['accuracy']:.2%}"
    assert table["this model (lstm)"][0] == f"{report['accuracy']:.2%}"


def test_entities_are_scored_where_the_tags_are_theirs(cli: Cli, workdir):
    lines = []
    for number in range(40):
        first, last = [("Ann", "Lee"), ("Bob", "Ray"), ("Cy", "Fox")][number % 3]
        lines += [f"{first} B-PER", f"{last} I-PER", "saw O", "old O", f"Town{number % 4} B-LOC", ""]
    (workdir / "ner.txt").write_text("\n".join(lines))
    values = tagging_values("x")
    values["data"]["train"] = {"format": "columns", "path": "ner.txt"}
    checkpoint = train(cli, values)
    table = rows_of_table(cli("eval", checkpoint, "--baseline").out)
    assert table[""][:3] == ["entity F1", "accuracy", "unseen"]
    assert table["most frequent tag by word"][:2] == ["100.00%", "100.00%"]
    assert table["most frequent tag"][:2] == ["0.00%", "40.00%"]
    found = {"name": "a", "entities": {"f1": 0.75}}
    assert better({"entities": {"f1": 0.5}}, [found], _ENTITIES, "words") == (
        "A: better than this model, 75.00% against 50.00% in entity F1."
    )


def test_a_language_model_beside_n_grams(cli: Cli, model):
    report = json.loads(cli("eval", model, "--baseline", "--json").out)
    alone, ngrams = report["baselines"]
    assert (alone["name"], ngrams["name"]) == ("frequency of each token", "6-grams, Kneser-Ney")
    assert ngrams["loss"] < report["loss"] < alone["loss"]  # the model has hardly been trained
    assert {(one["tokens"], one["characters"]) for one in report["baselines"]} == {
        (report["tokens"], report["characters"])
    }
    shown = cli("eval", model, "--baseline").out
    table = rows_of_table(shown)
    assert table[""] == ["loss", "perplexity", "bits/char", "trained in"]
    for name, one in {"this model (lstm)": report, "6-grams, Kneser-Ney": ngrams}.items():
        assert table[name][:3] == [
            f"{one['loss']:.4f}",
            f"{one['perplexity']:.3f}",
            f"{one['bits_per_character']:.4f}",
        ]
    assert shown.splitlines()[-2].startswith("6-grams, Kneser-Ney: better than this model, ")


def test_the_order_of_the_n_grams(cli: Cli, model):
    found = {}
    for order in (1, 2, 3):
        report = json.loads(cli("eval", model, "--baseline", "--order", order, "--json").out)
        found[order] = report["baselines"][-1]
    assert found[1]["name"] == "frequency of each token"
    assert [found[2]["name"], found[3]["name"]] == ["2-grams, Kneser-Ney", "3-grams, Kneser-Ney"]
    assert found[1]["loss"] > found[2]["loss"] > found[3]["loss"]


def test_words_have_a_shorter_order_and_documents_are_kept_apart(cli: Cli, workdir):
    write_text(workdir / "a.txt", 100)
    data = {"tokenizer": {"kind": "word"}, "document_boundary": "blank_line"}
    report = json.loads(cli("eval", train(cli, language_values("a.txt", data=data)), "--baseline", "--json").out)
    assert report["baselines"][1]["name"] == "5-grams, Kneser-Ney"
    assert report["baselines"][1]["loss"] < report["baselines"][0]["loss"]


def test_a_long_text_is_cut_and_the_table_says_so(cli: Cli, model, monkeypatch):
    counted = []
    monkeypatch.setattr(
        baseline_evaluation, "train_ngrams", lambda *given: counted.append(given[0]) or train_ngrams(*given)
    )
    whole = json.loads(cli("eval", model, "--baseline", "--json").out)["baselines"][1]
    monkeypatch.setattr(baseline_evaluation, "MOST_TOKENS", 1000)
    cut = json.loads(cli("eval", model, "--baseline", "--json").out)["baselines"][1]
    assert cut["name"] == "6-grams, Kneser-Ney, last 1,000 tokens"
    assert cut["loss"] > whole["loss"]
    assert counted[-1].tolist() == counted[0][-1000:].tolist() != counted[0][:1000].tolist()


def test_a_training_text_that_has_changed_is_refused(cli: Cli, model, workdir):
    (workdir / "b.txt").write_text("the dog sees a plan.\n")
    text = (workdir / "a.txt").read_text()
    (workdir / "a.txt").write_text(text.replace("dog", "zebra"))
    done = cli("eval", model, "--data", "b.txt", "--baseline")
    assert "a.txt: the training text is not the one the model was trained on" in done.failed()


def test_without_scikit_learn_it_is_refused_before_anything_is_scored(cli: Cli, classifier, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    line = cli.refused("eval", classifier, "--baseline")
    assert "pip install 'rnncli[sklearn]'" in line
    assert cli("eval", classifier).code == 0


def test_without_scikit_learn_the_other_tasks_do(cli: Cli, tagger, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert "most frequent tag by word" in cli("eval", tagger, "--baseline").out


def test_the_training_data_must_be_there(cli: Cli, classifier):
    Path("new.csv").write_text("text,label\nfilm good,pos\n")
    Path("tiny.csv").unlink()
    done = cli("eval", classifier, "--data", "new.csv", "--baseline")
    line = done.failed()
    assert "tiny.csv: there is no such file (--baseline trains on the model's training data)" in line


def test_an_order_without_use_is_refused(cli: Cli, classifier, model):
    assert "--baseline" in cli.refused("eval", model, "--order", 3, code=2)
    assert "classification" in cli.refused("eval", classifier, "--baseline", "--order", 3, code=2)
    assert "--order" in cli.refused("eval", model, "--baseline", "--order", 0, code=2)


def test_narrow_terminals_lose_figures_and_no_line_is_long(cli: Cli, classifier, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    shown = cli("eval", classifier, "--baseline").out
    lines = shown[shown.index("\nbaselines") :].splitlines()
    assert max(map(len, lines)) <= 60
    assert "loss" not in lines[2]
    assert lines[2].endswith("trained in")


@pytest.mark.parametrize(
    ("baselines", "ends"),
    [
        ([0.7, 0.79], None),
        ([0.7, 0.8], None),
        ([0.7, 0.81], "right about 5 texts that the model gets wrong, wrong about 3 that it gets right"),
    ],
)
def test_a_sentence_where_a_baseline_is_better(baselines, ends):
    found = [
        {"name": "x y", "accuracy": figure, "alone_right": 5, "model_alone_right": 3, "p": 0.7265625}
        for figure in baselines
    ]
    sentence = better({"accuracy": 0.8}, found, _ACCURACY, "texts")
    if ends is None:
        assert sentence is None
    else:
        assert (
            sentence == f"X y: better than this model, 81.00% against 80.00%; {ends} (McNemar's exact test: p = 0.73)."
        )
        assert better({"accuracy": 0.8}, found, _ACCURACY, "words").endswith("that it gets right.")


def test_less_is_better_of_a_loss():
    assert better({"loss": 1.5}, [{"name": "a", "loss": 1.6}], _LOSS, "tokens") is None
    assert better({"loss": 1.5}, [{"name": "a", "loss": 1.4}], _LOSS, "tokens") == (
        "A: better than this model, 1.4000 against 1.5000 nats per token."
    )
