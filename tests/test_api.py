"""The package from Python: load, train, ask."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import Cli, tiny_values, write_config, write_csv
from tiny_tasks import language_values, tagging_values, write_conllu, write_text

import rnncli
from rnncli import predicting, run
from rnncli.api import LanguageModel, SentenceTagger, TextClassifier
from rnncli.errors import CheckpointError, ConfigError, DataError, RnncliError

TEXTS = ["film good", "", "the plot dull and and and", "end bad"]


@pytest.fixture
def values(workdir) -> dict:
    write_csv(workdir / "a.csv")
    return tiny_values("a.csv", train={"epochs": 12})


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_model_is_trained_and_nothing_is_left(values, workdir, capsys):
    model = rnncli.train(values, quiet=True)
    assert files(workdir) == {"a.csv"}
    assert capsys.readouterr() == ("", "")
    assert isinstance(model, TextClassifier)
    assert model.labels == ("neg", "pos")
    assert model.config.train.epochs == len(model.history) == 12
    assert model.metrics["accuracy"] == max(row["accuracy"] for row in model.history)
    assert model.metrics["epoch"] in range(1, 13)
    assert not {"kind", "improved"} & model.metrics.keys()
    found = model.predict_proba(TEXTS)
    assert found.shape == (4, 2)
    assert model.predict(TEXTS) == [model.labels[best] for best in found.argmax(axis=1)]
    assert [model.predict(TEXTS)[i] for i in (0, 3)] == ["pos", "neg"]
    assert "TextClassifier tiny" in repr(model)


def test_the_command_line_and_python_give_the_same(cli: Cli, values, workdir):
    done = cli("train", write_config(workdir / "c.yaml", values))
    assert done.code == 0, done
    model = rnncli.load("runs/tiny/best.safetensors")
    assert model.history == []
    again = rnncli.train("c.yaml", "kept", quiet=True)
    np.testing.assert_array_equal(model.predict_proba(TEXTS), again.predict_proba(TEXTS))
    assert {key: value for key, value in model.metrics.items() if key not in ("seconds", "peak_memory_mb")} == {
        key: value for key, value in again.metrics.items() if key not in ("seconds", "peak_memory_mb")
    }
    assert rnncli.load("kept").predict(TEXTS) == model.predict(TEXTS)
    with pytest.raises(RnncliError, match="holds an earlier run"):
        rnncli.train("c.yaml", "kept", quiet=True)
    rnncli.train("c.yaml", "kept", quiet=True, overwrite=True)


def test_progress_is_printed_unless_it_is_quiet(values, capsys):
    rnncli.train(values)
    out, err = capsys.readouterr()
    assert out == ""
    assert "texts to train on" in err
    assert err.count("validation: ") == 12


def test_any_number_of_texts_is_answered(values, monkeypatch):
    model = rnncli.train(values, quiet=True)
    whole = model.predict_proba(TEXTS)
    monkeypatch.setattr(predicting, "BLOCK", 3)
    np.testing.assert_allclose(model.predict_proba(text for text in TEXTS), whole, atol=2e-6)
    assert model.predict_proba([]).shape == (0, 2)
    assert model.predict([]) == []
    np.testing.assert_array_equal(model.predict_proba(np.array(TEXTS)), model.predict_proba(tuple(TEXTS)))


def test_a_prediction_is_explained(values):
    model = rnncli.train(values, quiet=True)
    explanation = model.explain("film good")
    assert explanation.predicted == 1
    assert explanation.leave_one_out is None
    other = model.explain("film good", "neg", leave_one_out=True)
    assert other.label == 0
    assert other.leave_one_out is not None
    with pytest.raises(ConfigError):
        model.explain("film good", "other")


def test_a_tagger_is_asked(workdir):
    write_conllu(workdir / "a.conllu", 60)
    model = rnncli.train(tagging_values("a.conllu", train={"epochs": 10}), quiet=True)
    assert isinstance(model, SentenceTagger)
    assert model.labels == ("DET", "NOUN", "VERB")
    (first, none) = model.predict([["the", "dog", "sees"], ()])
    assert first[0] == "DET"
    assert len(first) == 3
    assert none == []
    assert model.explain("the dog", word=1).label == 0
    for wrong in (["the dog"], "the dog", [[1]], [["the", ""]]):
        with pytest.raises(DataError, match="the words of each sentence"):
            model.predict(wrong)


def test_a_language_model_is_asked(workdir):
    write_text(workdir / "a.txt", 60)
    model = rnncli.train(language_values("a.txt"), quiet=True)
    assert isinstance(model, LanguageModel)
    assert files(workdir) == {"a.txt"}
    likely, strange = model.predict(["the dog sees", "qqqq"])
    assert likely.perplexity < strange.perplexity
    assert model.sample("the", 30) == model.sample("the", 30)
    assert model.sample("the", 30) != model.sample("the", 30, seed=2)
    assert 0 < len(model.sample(length=7, temperature=0)) <= 7
    assert model.sample("the", 0) == ""
    nan = float("nan")
    for name, wrong in (
        ("length", -1),
        ("temperature", nan),
        ("temperature", -1),
        ("top_k", 0),
        ("top_p", 0),
        ("seed", -1),
    ):
        with pytest.raises(ConfigError, match=rf"{name}: {wrong} is not allowed"):
            model.sample("the", **{name: wrong})


def test_what_python_gives_wrong_is_named(values, workdir):
    model = rnncli.train(values, quiet=True)
    with pytest.raises(DataError, match="one string was given where texts are expected"):
        model.predict("film good")
    with pytest.raises(DataError, match="text 1: is float, not a text"):
        model.predict(["a", float("nan")])
    with pytest.raises(DataError, match="list was given where a text is expected"):
        model.explain(["film good"])
    with pytest.raises(CheckpointError, match="no such file"):
        rnncli.load("none.safetensors")
    with pytest.raises(ConfigError, match=r"config: train\.epoch"):
        rnncli.train({**values, "train": {"epoch": 1}})
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        rnncli.train("none.yaml")


def test_the_package_has_two_names_that_cost_nothing():
    assert {"load", "train"} <= set(dir(rnncli))
    assert rnncli.load is rnncli.api.load
    with pytest.raises(AttributeError, match="laod"):
        rnncli.laod  # noqa: B018
    code = "import sys, rnncli; print([name for name in sys.modules if name.split('.')[0] in ('numpy', 'pydantic')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"


def test_an_interrupt_of_a_run_that_is_not_kept_is_one_of_python(values, monkeypatch):
    def interrupted(*args, **more):
        error = run.Interrupted("interrupted at step 3 of 9", remedy="To go on: ...")
        error.exit_code = 128 + signal.SIGINT
        raise error

    monkeypatch.setattr(rnncli.api, "train_run", interrupted)
    with pytest.raises(KeyboardInterrupt, match="step 3 of 9"):
        rnncli.train(values, quiet=True)
    with pytest.raises(run.Interrupted, match="To go on"):
        rnncli.train(values, "kept", quiet=True)
