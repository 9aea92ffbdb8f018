"""The commands, on language models and taggers."""

import json
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import Cli, tiny_values, write_config, write_csv
from tiny_tasks import language_values, tagging_values, write_columns, write_conllu, write_text


@pytest.fixture
def tagger(workdir: Path, cli: Cli) -> str:
    write_conllu(workdir / "a.conllu", 60)
    write_config(workdir / "t.yaml", tagging_values("a.conllu", train={"epochs": 10}))
    done = cli("train", "t.yaml")
    assert done.code == 0, done
    assert "sentences to train on" in done.err
    assert "unseen" in done.out
    assert "entities" not in done.out  # there are none
    return "runs/tiny-tagger/best.safetensors"


@pytest.fixture
def model(workdir: Path, cli: Cli) -> str:
    write_text(workdir / "a.txt", 100)
    write_config(workdir / "m.yaml", language_values("a.txt", train={"epochs": 4}))
    done = cli("train", "m.yaml")
    assert done.code == 0, done
    assert "tokens to train on" in done.err
    for heading in ("perplexity", "bits/char", "accuracy"):
        assert heading in done.out
        assert heading in done.err
    return "runs/tiny-lm/best.safetensors"


def test_a_tagger_is_evaluated(cli: Cli, tagger):
    report = json.loads(cli("eval", tagger, "--json").out)
    best = max(row["accuracy"] for row in metrics("tiny-tagger"))
    assert report["accuracy"] == best
    shown = cli("eval", tagger).out
    assert f"accuracy    {best:.2%}" in shown
    assert "NOUN" in shown
    assert "validation part (0.3) of a.conllu" in shown


def metrics(name):
    rows = [json.loads(line) for line in Path(f"runs/{name}/metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if row["kind"] == "validation"]


def test_a_tagger_writes_the_file_back_with_its_tags(cli: Cli, tagger, workdir):
    text = write_conllu(workdir / "b.conllu", 10, seed=7).read_text()
    text = "# a comment\n1-2\tdont\t_\t_" + "\t_" * 6 + "\n" + text
    (workdir / "b.conllu").write_text(text)
    done = cli("eval", tagger, "--data", "b.conllu", "--predictions", "out.conllu", "--json")
    assert done.code == 0, done
    lines, tagged = text.splitlines(), (workdir / "out.conllu").read_text().splitlines()
    assert len(lines) == len(tagged)
    words = [(line.split("\t"), other.split("\t")) for line, other in zip(lines, tagged, strict=True)]
    words = [pair for pair in words if pair[0][0].isdigit()]
    right = [one[3] == other[3] for one, other in words]
    assert np.mean(right) == pytest.approx(json.loads(done.out)["accuracy"])
    assert all(one[:3] + one[4:] == other[:3] + other[4:] for one, other in words)
    assert [line for line in lines if not line[:1].isdigit() or "-" in line.split("\t")[0]] == [
        line for line in tagged if not line[:1].isdigit() or "-" in line.split("\t")[0]
    ]


def test_entities_are_counted_and_written(cli: Cli, workdir):
    write_columns(workdir / "ner.txt")
    source = {"format": "columns", "path": "ner.txt", "scheme": "iob1", "convert_to": "iob2"}
    values = tagging_values("x", train={"epochs": 12, "best_metric": "entity_f1"})
    values["data"]["train"] = source
    write_config(workdir / "t.yaml", values)
    done = cli("train", "t.yaml")
    assert done.code == 0, done
    assert "entities" in done.out
    assert metrics("tiny-tagger")[-1]["entity_f1"] > 0.9
    checkpoint = "runs/tiny-tagger/best.safetensors"
    shown = cli("eval", checkpoint, "--data", "ner.txt", "--predictions", "out.txt")
    assert shown.code == 0, shown
    assert "PER" in shown.out
    lines = [line.split() for line in (workdir / "out.txt").read_text().splitlines()]
    words = [line for line in lines if line and line[0] != "-DOCSTART-"]
    assert {len(line) for line in words} == {4}
    assert {line[3] for line in words} <= {"O", "I-PER", "B-PER", "I-LOC", "B-LOC"}
    assert np.mean([line[2] == line[3] for line in words]) > 0.9  # in the scheme of the file


def test_predictions_need_a_file_and_do_not_replace_it(cli: Cli, tagger):
    assert "Name one with --data" in cli.refused("eval", tagger, "--predictions", "x", code=2)
    line = cli.refused("eval", tagger, "--data", "a.conllu", "--predictions", "a.conllu", code=2)
    assert "which it would replace" in line


def test_a_language_model_is_evaluated(cli: Cli, model, workdir):
    report = json.loads(cli("eval", model, "--json").out)
    assert report["loss"] == pytest.approx(min(row["loss"] for row in metrics("tiny-lm")), rel=1e-6)
    assert f"loss        {report['loss']:.4f} nats" in cli("eval", model).out
    (workdir / "b.txt").write_text("the dog sees a plan.\n\na cats is no Bird.\nZZ\n")
    done = cli("eval", model, "--data", "b.txt", "--predictions", "lines.jsonl", "--json")
    assert done.code == 0, done
    total = json.loads(done.out)
    assert total["unknown_tokens"] == 2
    lines = [json.loads(line) for line in (workdir / "lines.jsonl").read_text().splitlines()]
    assert [(line["line"], line["tokens"]) for line in lines] == [(1, 20), (2, 1), (3, 19), (4, 3)]
    assert lines[0]["text"] == "the dog sees a plan."
    assert sum(line["nats"] for line in lines) == pytest.approx(total["loss"] * total["tokens"], rel=1e-5)
    assert sum(line["tokens"] for line in lines) == total["tokens"]
    assert "2 tokens, which makes the text look cheaper" in cli("eval", model, "--data", "b.txt").out


def test_options_of_other_tasks_are_refused(cli: Cli, model, tagger):
    assert "--text" in cli.refused("eval", model, "--data", "a.txt", "--text", "x", code=2)
    assert "--format" in cli.refused("eval", model, "--data", "a.txt", "--format", "conllu", code=2)
    assert "--format" in cli.refused("eval", tagger, "--data", "a.txt", "--format", "csv", code=2)
    assert "tagging" in cli.refused("sample", tagger, code=2)
    assert "of task language_model" in cli.refused("data", "check", "m.yaml", code=2)


def test_a_tagger_is_no_beginning_of_a_classifier(cli: Cli, tagger, workdir):
    write_csv(workdir / "a.csv")
    write_config(workdir / "c.yaml", tiny_values("a.csv", init_from=tagger))
    assert "is of task tagging" in cli.refused("train", "c.yaml", code=2)


@pytest.mark.parametrize("task", ["m", "t"])
def test_gradients_of_a_configured_model_are_proven(cli: Cli, workdir, task):
    if task == "m":
        write_text(workdir / "a.txt")
        rnn = {"cell": "gru", "hidden": [5, 4], "dropout": 0.2, "state_dropout": 0.1}
        section = {"embedding": {"dim": 4}, "rnn": rnn, "tied": True, "variational": True}
        values = language_values("a.txt", model=section, data={"document_boundary": "line"})
    else:
        write_conllu(workdir / "a.conllu")
        values = tagging_values("a.conllu", model={"embedding": {"word_dropout": 0.3}})
    done = cli("gradcheck", write_config(workdir / "c.yaml", values))
    assert done.code == 0, done
    assert "all passed" in done.out


def test_configs_that_ship_are_valid():
    from rnncli.config import load_config

    folder = Path(__file__).parents[1] / "configs"
    tasks = {path.stem: load_config(path).task for path in folder.glob("*.yaml")}
    assert tasks["shakespeare_char_lstm"] == tasks["hamlet_char_gru"] == tasks["python_stdlib_char"] == "language_model"
    assert tasks["ewt_upos_bilstm"] == "tagging"


def test_a_damaged_codec_is_refused(cli: Cli, model, workdir):
    from rnncli.checkpoint import load_checkpoint, save_checkpoint

    whole = load_checkpoint(model)
    for tokens in (
        (),
        ("{}",),
        ("not json",),
        (whole.vocabulary[0], "x"),
        (whole.vocabulary[0].replace("character", "x"),),
    ):
        save_checkpoint("bad.safetensors", whole.tensors, whole.metadata, tokens)
        assert "bad.safetensors" in cli.refused("eval", "bad.safetensors")
    tensors = {**whole.tensors, "average/output.b": np.zeros(3, np.float32)}
    save_checkpoint("bad.safetensors", tensors, whole.metadata, whole.vocabulary)
    assert "average/output.b" in cli.refused("sample", "bad.safetensors")
    tensors = {name: array for name, array in whole.tensors.items() if name != "carried/h0"}
    save_checkpoint("runs/tiny-lm/last.safetensors", tensors, whole.metadata, whole.vocabulary)
    assert "carried/h0" in cli.refused("train", "--resume", "m.yaml")
