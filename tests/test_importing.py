# ruff: noqa: E501 (each message stands on one line, as it is printed)
import json
import os
import re
import shlex
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from made_models import CELLS, WORDS, classifier, language_model, probabilities_of, tagger
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from tiny_runs import tiny_values, write_config, write_csv

from rnncli.exporting import export_as
from rnncli.exporting.learned import stored_of
from rnncli.sampling import Stepper
from rnncli.trained import load_trained

DOCS = Path(__file__).parents[1] / "docs" / "import.md"
HAS_AFTER = [cell for cell in CELLS if cell.get("reset") != "before"]


def mine(folder, tensors, tokens=("<pad>", "<unk>", "film", "good"), name="mine.safetensors"):
    """Write somebody's own weights and vocabulary."""
    save_file({key: np.ascontiguousarray(array, np.float32) for key, array in tensors.items()}, folder / name)
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in tokens), encoding="utf-8")


def lstm(D=3, H=4, layers=1, both=False, prefix="encoder.lstm.", bias=True, gates=4):
    """Return the tensors of an nn.LSTM, or of another cell by its gates."""
    rng = np.random.default_rng(1)
    tensors = {}
    for layer in range(layers):
        inputs = D if layer == 0 else H * (1 + both)
        for ending in ("", "_reverse")[: 1 + both]:
            for part, width in (("weight_ih", inputs), ("weight_hh", H), ("bias_ih", 0), ("bias_hh", 0)):
                shape = (gates * H, width) if width else (gates * H,)
                if width or bias:
                    tensors[f"{prefix}{part}_l{layer}{ending}"] = rng.normal(0, 0.5, shape).astype(np.float32)
    return tensors


def whole(V=4, D=3, H=4, C=2, both=False, **options):
    rng = np.random.default_rng(2)
    return {
        "embed.weight": rng.normal(0, 1, (V, D)),
        **lstm(D, H, both=both, **options),
        "fc.weight": rng.normal(0, 1, (C, H * (1 + both))),
        "fc.bias": rng.normal(0, 1, C),
    }


ASK = ("--output", "c.safetensors", "--vocabulary", "vocab.txt", "--labels", "neg,pos", "--set", "model.pooling=last")

# ---- what rnncli exported -------------------------------------------------------------------------------------------


def models():
    for cell in HAS_AFTER:
        yield classifier(cell, 2, 2, pooling="max")
        yield classifier(cell, loss="binary")
        yield classifier(cell, 2, pooling=["attention", "mean"])
        yield tagger(cell, {"kind": "characters"})
        yield tagger(cell, {"kind": "ngrams", "buckets": 31})
        yield tagger(cell, None)
        yield language_model(cell)
        yield language_model(cell, "word", True, tied=True)
    yield language_model(CELLS[1], rnn={"cell": "lstm", "hidden": [6, 3]})


def test_a_file_of_an_export_comes_back_to_the_bit(cli, workdir):
    for trained in models():
        export_as("torch", trained, workdir / "w.safetensors")
        done = cli("import", "w.safetensors", "--output", "c.safetensors")
        assert (done.code, done.err) == (0, "")
        back = load_trained(workdir / "c.safetensors")
        assert back.config == trained.config
        assert stored_of(back) == stored_of(trained)
        assert list(back.model.params) == list(trained.model.params)
        assert [a.tobytes() for a in back.model.params.values()] == [a.tobytes() for a in trained.model.params.values()]
        assert back.progress == {"step": 7, "imported": "w.safetensors"}
        assert back.arrays == {}


def test_weights_that_were_trained_on_elsewhere_come_back_too(cli, workdir):
    """Both biases are of use to torch, and its metadata is kept by whoever passes it on."""
    export_as("torch", classifier(CELLS[1], 1), workdir / "w.safetensors")
    with safe_open(workdir / "w.safetensors", "np") as file:
        metadata = file.metadata()
    tensors = load_file(workdir / "w.safetensors")
    tensors["rnn.bias_hh_l0"] += 0.25
    save_file(tensors, workdir / "w.safetensors", metadata)
    assert cli("import", "w.safetensors", "--output", "c.safetensors").code == 0
    back = load_trained(workdir / "c.safetensors").model.params["rnn0.fwd.b"]
    np.testing.assert_array_equal(back, classifier(CELLS[1], 1).model.params["rnn0.fwd.b"] + np.float32(0.25))


@pytest.mark.parametrize(
    "option", ["--labels a,b", "--vocabulary v.txt", "--set a=b", "--config c.yaml", "--unknown x"]
)
def test_an_export_needs_nothing_else(cli, workdir, option):
    export_as("torch", classifier(CELLS[1]), workdir / "w.safetensors")
    line = cli.refused("import", "w.safetensors", "--output", "c.safetensors", *option.split(), code=2)
    assert line.startswith(f"rnncli: {option.split()[0]}: has no effect: w.safetensors was written by rnncli export")
    assert not Path("c.safetensors").exists()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda tensors, about: tensors.pop("rnn.bias_hh_l0"), "tensor rnn.bias_hh_l0 is missing; its config makes it (20,)"),
        (lambda tensors, about: tensors.update({"output.bias": np.zeros(4, np.float32)}), "tensor output.bias is (4,); its config"),
        (lambda tensors, about: tensors.update({"x": np.zeros(4, np.float32)}), "has a tensor x, which its config does not"),
        (lambda tensors, about: about.update(format=9), "has the format '9'; this rnncli reads 1"),
        (lambda tensors, about: about.pop("step"), "holds no usable 'step'"),
        (lambda tensors, about: about.update(step=-1), "holds no usable step"),
        (lambda tensors, about: about.update(step=True), "holds no usable step"),
        (lambda tensors, about: about.update(labels=["a"]), "holds no usable labels"),
        (lambda tensors, about: about.update(vocabulary=["a"]), "holds no usable"),
        (lambda tensors, about: about["vocabulary"].append(3), "holds no usable vocabulary"),
        (lambda tensors, about: about["config"]["model"].update(depth=3), "model.depth"),
    ],
)  # fmt: skip
def test_an_export_that_does_not_fit_itself(cli, workdir, change, named):
    export_as("torch", classifier(CELLS[1]), workdir / "w.safetensors")
    with safe_open(workdir / "w.safetensors", "np") as file:
        about = json.loads(file.metadata()["rnncli_weights"])
    tensors = load_file(workdir / "w.safetensors")
    change(tensors, about)
    save_file(tensors, workdir / "w.safetensors", {"rnncli_weights": json.dumps(about)})
    assert named in cli.refused("import", "w.safetensors", "--output", "c.safetensors")
    assert not Path("c.safetensors").exists()


def test_exports_of_other_kinds_that_do_not_fit_themselves(cli, workdir):
    export_as("torch", language_model(CELLS[1], tied=True), workdir / "w.safetensors")
    with safe_open(workdir / "w.safetensors", "np") as file:
        metadata = file.metadata()
    tensors = load_file(workdir / "w.safetensors")
    tensors["output.weight"][0] += 1
    save_file(tensors, workdir / "w.safetensors", metadata)
    line = cli.refused("import", "w.safetensors", "--output", "c.safetensors")
    assert "output.weight is not embedding.weight, and its config ties them" in line
    export_as("torch", classifier(CELLS[3]), workdir / "w.safetensors")
    with safe_open(workdir / "w.safetensors", "np") as file:
        about = json.loads(file.metadata()["rnncli_weights"])
    tensors = load_file(workdir / "w.safetensors")
    about["config"]["model"]["rnn"]["reset"] = "before"
    save_file(tensors, workdir / "w.safetensors", {"rnncli_weights": json.dumps(about)})
    line = cli.refused("import", "w.safetensors", "--output", "c.safetensors")
    assert "its config has no rnn0.fwd.bhn, which its tensors make" in line
    save_file(tensors, workdir / "w.safetensors", {"rnncli_weights": "[" * 100_000})
    assert "holds no usable" in cli.refused("import", "w.safetensors", "--output", "c.safetensors")


# ---- what people bring ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gates", [1, 3, 4])
@pytest.mark.parametrize("both", [False, True])
def test_somebodys_own_module_computes_the_same(cli, workdir, gates, both):
    """The export of an import is what was imported, with the unknown token first."""
    tensors = whole(both=both, layers=2, gates=gates)
    mine(workdir, tensors)
    assert cli("import", "mine.safetensors", *ASK).code == 0
    trained = load_trained(workdir / "c.safetensors")
    assert trained.learned.vocabulary.tokens == ("<unk>", "<pad>", "film", "good")
    assert trained.learned.labels == ("neg", "pos")
    rnn = trained.config.model.rnn
    assert (rnn.cell, rnn.hidden, rnn.layers, rnn.bidirectional) == ({1: "rnn", 3: "gru", 4: "lstm"}[gates], 4, 2, both)
    assert trained.config.model.loss == "softmax"
    assert cli("export", "c.safetensors", "--to", "torch", "--output", "again.safetensors").code == 0
    again = load_file(workdir / "again.safetensors")
    np.testing.assert_array_equal(again["embedding.weight"][[1, 0, 2, 3]], tensors["embed.weight"].astype(np.float32))
    np.testing.assert_array_equal(again["output.weight"], tensors["fc.weight"].astype(np.float32))
    for name, array in again.items():
        theirs = tensors.get(name.replace("rnn.", "encoder.lstm."))
        if "weight_" in name:
            np.testing.assert_array_equal(array, theirs)
        elif "bias_ih" in name:
            both_biases = array + again[name.replace("ih", "hh")]
            np.testing.assert_allclose(
                both_biases, theirs + tensors[name.replace("rnn.", "encoder.lstm.").replace("ih", "hh")], rtol=1e-6
            )


@pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed")
def test_the_module_of_the_docs_says_the_same(cli, workdir):
    """Its program, and the commands after it."""
    text = DOCS.read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    Path("mine.py").write_text(program, encoding="utf-8")
    done = subprocess.run([sys.executable, "mine.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    Path("mine").mkdir()
    (command,) = re.findall(r"^\$ rnncli (import mine\..*)$", text, re.M)
    assert cli(*shlex.split(command)).code == 0
    (command,) = re.findall(r"^\$ rnncli (predict mine/.*) \| cat$", text, re.M)
    row = cli(*shlex.split(command)).out.splitlines()[1].split("\t")
    np.testing.assert_allclose([float(p) for p in row[1:]], json.loads(done.stdout)[0], atol=1e-6)


def test_biases_that_are_not_there_are_zero(cli, workdir):
    tensors = whole(bias=False)
    del tensors["fc.bias"]
    mine(workdir, tensors)
    assert cli("import", "mine.safetensors", *ASK).code == 0
    params = load_trained(workdir / "c.safetensors").model.params
    assert not params["rnn0.fwd.b"].any()
    assert not params["output.b"].any()


def test_weights_of_a_classifier_that_are_equal_are_not_tied(cli, workdir):
    tensors = whole(V=2, D=4)
    tensors["fc.weight"] = tensors["embed.weight"]
    mine(workdir, tensors, tokens=("<unk>", "film"))
    assert cli("import", "mine.safetensors", *ASK).code == 0
    params = load_trained(workdir / "c.safetensors").model.params
    np.testing.assert_array_equal(params["output.w"], params["embedding.W"].T)


def test_one_output_for_two_labels_is_the_binary_loss(cli, workdir):
    mine(workdir, whole(C=1))
    done = cli("import", "mine.safetensors", *ASK)
    assert "model       lstm, 4, pooling last, loss binary" in done.out.splitlines()
    assert load_trained(workdir / "c.safetensors").config.model.loss == "binary"


def test_what_is_printed_is_in_the_json(cli, workdir):
    mine(workdir, whole())
    lines = cli("import", "mine.safetensors", *ASK).out.splitlines()
    assert [line.split()[0] for line in lines] == [
        "weights",
        "wrote",
        "model",
        "texts",
        "vocabulary",
        "labels",
        "parameters",
    ]
    found = json.loads(cli("import", "mine.safetensors", *ASK, "--json").out)
    assert found["labels"] == ["neg", "pos"]
    assert found["parameters"] == 4 * 3 + 16 * (3 + 4 + 1) + 2 * 5
    assert found["model"]["rnn"]["hidden"] == 4
    assert found["texts"]["train"] == {"format": "imported", "path": "mine.safetensors"}


@pytest.mark.parametrize("bias", [False, True])
def test_attention_and_poolings_side_by_side_of_ones_own(cli, workdir, bias):
    tensors = whole(both=True)
    rng = np.random.default_rng(5)
    tensors["attention.weight"] = rng.normal(0, 1, (1, 8))
    if bias:  # which the softmax takes out again
        tensors["attention.bias"] = rng.normal(0, 1, 1)
    tensors["fc.weight"] = rng.normal(0, 1, (2, 16))
    mine(workdir, tensors)
    ask = (*ASK[:-1], "model.pooling=[max,attention]")
    done = cli("import", "mine.safetensors", *ask)
    assert "model       lstm, 4 each way, pooling max and attention, loss softmax" in done.out.splitlines()
    params = load_trained(workdir / "c.safetensors").model.params
    np.testing.assert_array_equal(params["attention.w"], tensors["attention.weight"][0].astype(np.float32))
    np.testing.assert_array_equal(params["output.w"], tensors["fc.weight"].T.astype(np.float32))
    line = cli.refused("import", "mine.safetensors", *ASK[:-1], "model.pooling=[max,mean]")
    assert "has tensors that no model of rnncli has (attention." in line
    mine(workdir, whole(both=True))
    line = cli.refused("import", "mine.safetensors", *ASK[:-1], "model.pooling=attention")
    assert "model.pooling has attention, whose vector is of shape (1, 8); it has nothing with att in its key" in line
    assert "Call its key attention.weight" in line


def test_a_vocabulary_may_be_json_and_the_unknown_token_have_any_name(cli, workdir):
    mine(workdir, whole())
    for content in (["", "[UNK]", "film", "\n"], {"film": 2, "\n": 3, "[UNK]": 1, "": 0}):
        (workdir / "v.json").write_text(json.dumps(content))
        (workdir / "labels.json").write_text('["neg", "no, really"]')
        ask = ("--vocabulary", "v.json", "--labels", "labels.json", "--unknown", "[UNK]", "--set", "model.pooling=max")
        assert cli("import", "mine.safetensors", "--output", "c.safetensors", *ask).code == 0
        trained = load_trained(workdir / "c.safetensors")
        assert trained.learned.vocabulary.tokens == ("<unk>", "", "film", "\n")
        assert trained.learned.labels == ("neg", "no, really")


def test_a_config_says_how_texts_are_read_and_the_tensors_how_large_it_is(cli, workdir):
    mine(workdir, whole(both=True))
    changes = {"data": {"tokenizer": {"kind": "whitespace"}, "max_length": 9}}
    values = tiny_values(write_csv(workdir / "tiny.csv"), **changes)
    values["model"] = {"pooling": "max", "rnn": {"cell": "lstm", "dropout": 0.0}}
    config = write_config(workdir / "c.yaml", values)
    ask = ("--output", "c.safetensors", "--vocabulary", "vocab.txt", "--labels", "neg,pos", "--config", config)
    assert cli("import", "mine.safetensors", *ask).code == 0
    trained = load_trained(workdir / "c.safetensors")
    assert trained.config.data.tokenizer.kind == "whitespace"
    assert trained.config.data.max_length == 9
    assert trained.config.model.rnn.bidirectional
    assert cli("eval", "c.safetensors").code == 0  # the data of the config
    values["model"]["rnn"]["hidden"] = 8
    write_config(workdir / "c.yaml", values)
    line = cli.refused("import", "mine.safetensors", *ask, code=2)
    assert line.startswith("rnncli: model.rnn.hidden: ")
    assert "says 8, the tensors of mine.safetensors say 4" in line


def test_taggers_and_language_models_of_ones_own(cli, workdir):
    mine(workdir, whole(C=3))
    base = {"name": "t", "task": "tagging", "data": {"train": {"format": "conllu", "path": "x.conllu"}}}
    config = write_config(workdir / "t.yaml", base)
    ask = ("--output", "c.safetensors", "--vocabulary", "vocab.txt", "--config", config)
    assert cli("import", "mine.safetensors", *ask, "--labels", "A,B,C").code == 0
    assert load_trained(workdir / "c.safetensors").learned.tags == ("A", "B", "C")
    spelled = ("--labels", "A,B,C", "--set", "data.spelling.kind=characters")
    line = cli.refused("import", "mine.safetensors", *ask, *spelled, code=2)
    assert "data.spelling: words seen by their characters can be imported from files of rnncli export alone" in line
    mine(workdir, whole(C=4, D=4), tokens=("a", "<unk>", "b", "c"))
    base = {"name": "t", "task": "language_model", "data": {"train": {"format": "text", "path": "x.txt"}}}
    write_config(workdir / "t.yaml", base)
    assert cli("import", "mine.safetensors", *ask).code == 0
    trained = load_trained(workdir / "c.safetensors")
    assert not trained.model.tied
    theirs = load_file(workdir / "mine.safetensors")
    for ours, name in (("output.b", "fc.bias"), ("embedding.W", "embed.weight")):
        np.testing.assert_array_equal(trained.model.params[ours], theirs[name][[1, 0, 2, 3]])
    np.testing.assert_array_equal(trained.model.params["output.w"].T, theirs["fc.weight"][[1, 0, 2, 3]])
    before = Stepper(trained.model).read(2)
    tensors = whole(C=4, D=4)
    del tensors["fc.bias"]  # which leaves their names alone to tell the two tables apart
    mine(workdir, tensors, tokens=("a", "<unk>", "b", "c"))
    assert cli("import", "mine.safetensors", *ask).code == 0
    again = load_trained(workdir / "c.safetensors").model.params
    np.testing.assert_array_equal(again["output.w"], trained.model.params["output.w"])
    tensors = whole(C=4, D=4)
    tensors["fc.weight"] = tensors["embed.weight"]
    mine(workdir, tensors, tokens=("a", "<unk>", "b", "c"))
    assert cli("import", "mine.safetensors", *ask).code == 0
    assert load_trained(workdir / "c.safetensors").model.tied
    del tensors["fc.weight"]  # as safetensors saves what is tied
    mine(workdir, tensors, tokens=("a", "<unk>", "b", "c"))
    assert cli("import", "mine.safetensors", *ask).code == 0
    trained = load_trained(workdir / "c.safetensors")
    assert trained.model.tied
    assert not np.array_equal(Stepper(trained.model).read(2), before)
    mine(workdir, whole(V=5, C=5, D=4), tokens=("a", "<unk>", "b", "c"))  # and the end of a text
    assert cli("import", "mine.safetensors", *ask, "--set", "data.document_boundary=line").code == 0
    assert load_trained(workdir / "c.safetensors").learned.end_of_text == 4
    mine(workdir, tensors, tokens=("a", "<unk>", "b", "c"))
    for wrong in (("--labels", "a,b"), ("--set", "data.tokenizer.kind=bpe")):
        cli.refused("import", "mine.safetensors", *ask, *wrong, code=2)
    mine(workdir, whole(C=4, layers=2), tokens=("a", "<unk>", "b", "c"))
    del base["name"]
    write_config(workdir / "t.yaml", {**base, "model": {"rnn": {"cell": "lstm", "hidden": [4, 4]}}})
    assert cli("import", "mine.safetensors", *ask).code == 0
    config = load_trained(workdir / "c.safetensors").config
    assert (config.name, config.model.rnn.sizes) == ("t", (4, 4))
    mine(workdir, whole(C=4, both=True), tokens=("a", "<unk>", "b", "c"))
    assert "both directions" in cli.refused("import", "mine.safetensors", *ask)


# ---- what it is good for --------------------------------------------------------------------------------------------


def test_the_checkpoint_is_one(cli, workdir):
    mine(workdir, whole())
    assert cli("import", "mine.safetensors", *ASK).code == 0
    line = cli.refused("eval", "c.safetensors")
    assert line == (
        "rnncli: mine.safetensors: holds the weights that a model was imported from; the texts it was trained on are not "
        "known. Give texts: to rnncli eval with --data, in a config as data.train"
    )
    (workdir / "t.csv").write_text("text,label\ngood film,pos\nfilm,neg\n")
    report = json.loads(cli("eval", "c.safetensors", "--data", "t.csv", "--json").out)
    assert report["rows"] == 2
    for form in ("numpy", "keras-npz", "torch"):
        assert cli("export", "c.safetensors", "--to", form).code == 0
    assert "--output" in cli.refused("export", "c.safetensors", "--to", "torch", "--output", "mine.safetensors", code=2)


def test_a_run_can_start_from_it_but_not_go_on_with_it(cli, workdir):
    path = write_csv(workdir / "tiny.csv")
    values = tiny_values(path, model={"pooling": "last"})
    values["model"] = {"embedding": {"dim": 3}, "rnn": {"cell": "lstm", "hidden": 4}, "pooling": "last"}
    mine(workdir, whole())
    assert cli("import", "mine.safetensors", *ASK).code == 0
    config = write_config(workdir / "new.yaml", {**values, "init_from": "c.safetensors", "name": "new"})
    assert cli("train", config).code == 0
    theirs = load_trained(Path("c.safetensors")).model.params["embedding.W"]
    new = load_trained(Path("runs/new/last.safetensors"))
    assert new.model.params["embedding.W"].shape[0] > len(theirs)
    Path("runs/new/last.safetensors").write_bytes(Path("c.safetensors").read_bytes())
    assert "was imported from mine.safetensors" in cli("train", "--resume", "runs/new").failed()


def test_a_resumed_run_says_that_its_checkpoint_was_imported(cli, workdir):
    path = write_csv(workdir / "tiny.csv")
    values = tiny_values(path, model={"rnn": {"cell": "lstm", "hidden": 4}})
    assert cli("train", write_config(workdir / "tiny.yaml", values)).code == 0
    last = "runs/tiny/last.safetensors"
    assert cli("export", last, "--to", "torch", "--output", "w.safetensors").code == 0
    assert cli("import", "w.safetensors", "--output", last).code == 0
    line = cli("train", "--resume", "runs/tiny").failed()
    assert line == (
        f"rnncli: {last}: was imported from w.safetensors, which has weights alone: there is no run to go on with. "
        f"Start one from its weights: --set init_from={last}"
    )


# ---- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda t: t.pop("encoder.lstm.weight_hh_l0"), "mine.safetensors: has no tensor encoder.lstm.weight_hh_l0. Save"),
        (lambda t: t.pop("encoder.lstm.bias_hh_l0"), "has no tensor encoder.lstm.bias_hh_l0"),
        (lambda t: t.update({"encoder.lstm.weight_ih_l0": np.zeros((12, 3))}), "encoder.lstm.weight_ih_l0 is (12, 3); beside the other tensors it would be (16, any)"),
        (lambda t: t.update({"encoder.lstm.weight_hh_l0": np.zeros((8, 4))}), "is of no cell"),
        (lambda t: t.update({"encoder.lstm.weight_hh_l0": np.zeros((16, 0))}), "is of no cell"),
        (lambda t: t.update({f"encoder.lstm.weight_hh_l{'9' * 5000}": np.zeros((16, 4))}), "has tensors that no model of rnncli has"),
        (lambda t: t.update({"encoder.lstm.weight_hr_l0": np.zeros((2, 4))}), "proj_size"),
        (lambda t: t.update(lstm(prefix="second.")), "has several recurrent modules (encoder.lstm., second.)"),
        (lambda t: [t.pop(name) for name in [*t] if "lstm" in name], "has no recurrent layer"),
        (lambda t: t.update({"embed.weight": np.zeros((5, 3))}), "has no embedding of shape (4, 3), which is what the vocabulary"),
        (lambda t: t.update({"fc.weight": np.zeros((3, 4))}), "has no output layer of shape (1, 4) or (2, 4), which is what the labels and"),
        (lambda t: t.update({"norm.weight": np.zeros(4), "norm.bias": np.zeros(4)}), "has tensors that no model of rnncli has (norm.bias, norm.weight)"),
        (lambda t: t.update({"word.weight": np.zeros((4, 3)), "other.weight": t.pop("embed.weight")}), "other.weight, word.weight could each be the embedding, of shape (4, 3). Call the embedding's key embedding.weight"),
        (lambda t: t.update({"fc.bias": np.zeros(3)}), "fc.bias is (3,), fc.weight (2, 4)"),
        (lambda t: t.update({"fc.bias": np.array([0, np.nan])}), "tensor fc.bias has numbers that are not finite in float32"),
    ],
)  # fmt: skip
def test_modules_that_do_not_fit(cli, workdir, change, named):
    tensors = whole()
    change(tensors)
    mine(workdir, tensors)
    assert named in cli.refused("import", "mine.safetensors", *ASK)
    assert not Path("c.safetensors").exists()


def without(option):
    place = ASK.index(option)
    return ASK[:place] + ASK[place + 2 :]


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (without("--vocabulary"), 2, "--vocabulary: is missing"),
        (without("--labels"), 2, "--labels: is missing"),
        (without("--set"), 2, "model.pooling: is what weights do not say"),
        ((*without("--labels"), "--labels", "a"), 2, "--labels: gives a: two or more different labels"),
        ((*without("--labels"), "--labels", "a,a"), 2, "two or more different"),
        ((*without("--labels"), "--labels", "a,b\x1b"), 2, "two or more different"),
        ((*ASK, "--unknown", "film"), 1, "vocab.txt: has both 'film' and <unk>"),
        ((*ASK, "--unknown", "nil"), 1, "vocab.txt: has no token 'nil'"),
        ((*ASK, "--set", "model.depth=3"), 2, "model.depth"),
        ((*without("--set"), "--set", "model=3"), 2, "command line: model: 3 is not allowed"),
        ((*ASK, "--config", "nothing.yaml"), 2, "nothing.yaml: there is no such file"),
    ],
)  # fmt: skip
def test_what_is_given_must_do(cli, workdir, arguments, code, named):
    mine(workdir, whole())
    assert named in cli.refused("import", "mine.safetensors", *arguments, code=code)


@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        ("v.txt", "<unk>\nfilm\nfilm\nx\n", "v.txt: has 'film' twice, as rows 1 and 2"),
        ("v.txt", "a\nb\nc\nd\n", "v.txt: has no token <unk> for words that are not in it. Name the one"),
        ("v.txt", "<unk>\na\0\n", "v.txt:2"),
        ("v.txt", "", "v.txt"),
        ("v.json", "{", "v.json: is not JSON"),
        ("v.json", "[" * 100_000, "v.json: is not JSON"),
        ("v.json", "3", "v.json: is no list of texts"),
        ("v.json", '["a", 3]', "v.json: is no list of texts"),
        ("v.json", '{"<unk>": 1, "a": 2}', "v.json: does not number its vocabulary from 0 to 1"),
        ("none.txt", None, "none.txt: there is no such file"),
    ],
)
def test_vocabularies_that_are_none(cli, workdir, name, content, named):
    mine(workdir, whole())
    if content is not None:
        (workdir / name).write_text(content)
    assert named in cli.refused("import", "mine.safetensors", *ASK, "--vocabulary", name)


def test_pickles_are_never_opened(cli, workdir):
    with zipfile.ZipFile("w.pt", "w") as archive:
        archive.writestr("archive/data.pkl", b"cos\nsystem\n(S'touch harm'\ntR.")
    Path("old.pt").write_bytes(b"\x80\x02cos\nsystem\n")
    for name, kind in (("w.pt", "zip archive"), ("old.pt", "pickle")):
        line = cli.refused("import", name, *ASK)
        assert f"{name}: is a {kind}, as torch.save writes it, which rnncli never opens" in line
        assert f"torch.load('{name}', weights_only=True)" in line
    assert not Path("harm").exists()


@pytest.mark.parametrize("start", [b"\x80", b"PK"])
def test_a_header_of_any_length_is_no_pickle(cli, workdir, start):
    """The first bytes of a safetensors file are the length of its header."""
    mine(workdir, whole())
    raw = Path("mine.safetensors").read_bytes()
    length = int.from_bytes(raw[:8], "little")
    wanted = int.from_bytes(start.ljust(2, b"\x04"), "little")
    blanks = b" " * (wanted - length)  # what safetensors pads with
    Path("padded.safetensors").write_bytes(
        wanted.to_bytes(8, "little") + raw[8 : 8 + length] + blanks + raw[8 + length :]
    )
    assert cli("import", "padded.safetensors", *ASK).code == 0


def test_other_files(cli, workdir):
    mine(workdir, whole())
    good = Path("mine.safetensors").read_bytes()
    for content in (b"", b"text", good[:50], good[:-1], good[:8] + b"\x00" * 20):
        Path("bad.safetensors").write_bytes(content)
        assert "bad.safetensors: is not a whole safetensors file" in cli.refused("import", "bad.safetensors", *ASK)
    assert "no such file" in cli.refused("import", "none.safetensors", *ASK)
    assert "is a folder" in cli.refused("import", ".", *ASK)
    save_file({"a": np.array([1e300])}, "large.safetensors")
    assert "tensor a has numbers that are not finite in float32" in cli.refused("import", "large.safetensors", *ASK)
    save_file({"a": np.zeros(3, np.int64)}, "ints.safetensors")
    assert "tensor a is I64" in cli.refused("import", "ints.safetensors", *ASK)


def test_checkpoints_and_inputs_are_safe(cli, workdir):
    mine(workdir, whole())
    assert cli("import", "mine.safetensors", *ASK).code == 0
    assert "is a checkpoint of rnncli already" in cli.refused("import", "c.safetensors", "--output", "d.safetensors")
    for name in ("mine.safetensors", "vocab.txt"):
        before = Path(name).read_bytes()
        line = cli.refused("import", "mine.safetensors", *ASK, "--output", name, code=2)
        assert re.search(rf"--output {name}: is .* it would replace", line)
        assert Path(name).read_bytes() == before
    line = cli.refused("import", "mine.safetensors", *ASK, "--output", "no/such/c.safetensors")
    assert f"no/such/c.safetensors: cannot be written: there is no folder {workdir / 'no/such'}. Make it" in line
    Path("folder").mkdir()
    line = cli.refused("import", "mine.safetensors", *ASK, "--output", "folder", code=2)
    assert line == "rnncli: --output folder: is a folder. Name a file, which may be one in it"
    Path("link").symlink_to("folder/c.safetensors")
    assert cli("import", "mine.safetensors", *ASK, "--output", "link").code == 0
    assert Path("link").is_symlink()
    assert Path("folder/c.safetensors").is_file()
    os.mkfifo("pipe")  # as a device, which root could replace
    line = cli.refused("import", "mine.safetensors", *ASK, "--output", "pipe", code=2)
    assert "--output pipe: is neither a file nor a folder" in line
    assert Path("pipe").is_fifo()
    Path("c.safetensors").unlink()
    assert "rnncli import" in cli.refused("eval", "mine.safetensors")


def test_half_precision_is_read(cli, workdir):
    mine(workdir, whole())
    save_file({k: v.astype(np.float16) for k, v in load_file("mine.safetensors").items()}, "half.safetensors")
    assert cli("import", "half.safetensors", *ASK).code == 0
    a = probabilities_of(load_trained(Path("c.safetensors")), [[1, 2]])
    assert cli("import", "mine.safetensors", *ASK).code == 0
    np.testing.assert_allclose(a, probabilities_of(load_trained(Path("c.safetensors")), [[1, 2]]), atol=1e-2)
    assert WORDS[0] == "<unk>"
