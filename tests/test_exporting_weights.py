"""Weights in the layouts of torch and Keras, against the formulas that their documentation gives.

Where torch and Keras are installed, the programs of docs/export-weights.md are run too.
"""

import importlib.util
import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from made_models import CELLS, TAGS, WORDS, classifier, language_model, made, probabilities_of, tagger
from safetensors import safe_open
from safetensors.numpy import load_file
from tiny_tasks import language_values

from rnncli.data.tagging.batches import make_tagged_batch
from rnncli.data.tagging.sentences import Sentence
from rnncli.data.tagging.spelling import ngram_buckets
from rnncli.errors import ConfigError
from rnncli.exporting import export_as, keras_npz
from rnncli.exporting.torch_layout import from_torch, to_torch, torch_names
from rnncli.layers.activations import sigmoid, softmax
from rnncli.sampling import Stepper
from rnncli.tasks.base import Stored

DOCS = Path(__file__).parents[1] / "docs" / "export-weights.md"
IDS = [[1], [2, 5, 3], [4, 4, 10, 0, 7, 9], [8, 2], [6] * 12]
POOLINGS = ["last", "mean", "max", "attention", ["attention", "last", "max"]]
VARIANTS = [
    {"cell": cell, "directions": directions, "layers": layers, "pooling": pooling, "loss": loss}
    for cell, directions, layers, pooling, loss in itertools.product(
        CELLS, [1, 2], [1, 2], POOLINGS, ["softmax", "binary"]
    )
]
cells = pytest.mark.parametrize("cell", CELLS, ids=lambda cell: "-".join(cell.values()))


def variants(cell):
    return [variant for variant in VARIANTS if variant["cell"] == cell]


# ---- a layer as the documentation of each has it --------------------------------------------------------------------


def torch_layer(cell, x, w_ih, w_hh, b_ih, b_hh):
    """Run nn.RNN, nn.LSTM or nn.GRU over x (T, D), in the words of their documentation."""
    H = w_hh.shape[1]
    h, c, out = np.zeros(H, np.float32), np.zeros(H, np.float32), []
    for x_t in x:
        a, q = w_ih @ x_t + b_ih, w_hh @ h + b_hh
        if cell == "rnn":
            h = np.tanh(a + q)
        elif cell == "lstm":
            i, f, g, o = np.split(a + q, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        else:
            (a_r, a_z, a_n), (q_r, q_z, q_n) = np.split(a, 3), np.split(q, 3)
            r, z = sigmoid(a_r + q_r), sigmoid(a_z + q_z)
            h = (1 - z) * np.tanh(a_n + r * q_n) + z * h
        out.append(h)
    return np.array(out)


def keras_layer(cell, x, kernel, recurrent, bias):
    """Run SimpleRNN, LSTM or GRU over x (T, D); whether a GRU is one with reset_after shows in its bias."""
    H = len(recurrent)
    h, c, out = np.zeros(H, np.float32), np.zeros(H, np.float32), []
    for x_t in x:
        if cell == "rnn":
            h = np.tanh(x_t @ kernel + h @ recurrent + bias)
        elif cell == "lstm":
            i, f, g, o = np.split(x_t @ kernel + h @ recurrent + bias, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        elif bias.ndim == 2:
            (a_z, a_r, a_h), (q_z, q_r, q_h) = np.split(x_t @ kernel + bias[0], 3), np.split(h @ recurrent + bias[1], 3)
            z, r = sigmoid(a_z + q_z), sigmoid(a_r + q_r)
            h = z * h + (1 - z) * np.tanh(a_h + r * q_h)
        else:
            (a_z, a_r, a_h), (u_z, u_r, u_h) = np.split(x_t @ kernel + bias, 3), np.split(recurrent, 3, axis=1)
            z, r = sigmoid(a_z + h @ u_z), sigmoid(a_r + h @ u_r)
            h = z * h + (1 - z) * np.tanh(a_h + (r * h) @ u_h)
        out.append(h)
    return np.array(out)


def classify(x, layers, pooling, attention, w, b):
    """Run layers, each a function for each direction, over x (T, D); pool; return the probabilities."""
    for directions in layers:
        x = np.concatenate([layer(x[::step])[::step] for layer, step in zip(directions, (1, -1), strict=False)], axis=1)
    H = x.shape[1] // len(layers[0])
    ends = np.concatenate([x[-1, :H], x[0, H:]])
    pooled = {"mean": x.mean(axis=0), "max": x.max(axis=0), "last": ends}
    if attention is not None:
        pooled["attention"] = softmax(x @ attention) @ x
    scores = np.concatenate([pooled[name] for name in ([pooling] if isinstance(pooling, str) else pooling)]) @ w + b
    return softmax(scores) if len(scores) > 1 else np.concatenate([1 - sigmoid(scores), sigmoid(scores)])


# ---- torch ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell.get("reset") != "before"], ids=str)
def test_a_state_dict_computes_the_same_by_the_formulas_of_torch(tmp_path, cell):
    for variant in variants(cell):
        trained = classifier(**variant)
        export_as("torch", trained, tmp_path / "w.safetensors")
        tensors = load_file(tmp_path / "w.safetensors")

        def run(layer, backward, tensors=tensors):
            arrays = [tensors.pop(f"rnn.{name}") for name in torch_names(layer, backward)]
            return lambda x: torch_layer(cell["cell"], x, *arrays)

        layers = [[run(k, d == 1) for d in range(variant["directions"])] for k in range(variant["layers"])]
        vector = tensors.pop("attention.weight", None)
        head = None if vector is None else vector[0], tensors.pop("output.weight").T, tensors.pop("output.bias")
        W = tensors.pop("embedding.weight")
        assert not tensors
        found = np.array([classify(W[ids], layers, variant["pooling"], *head) for ids in IDS])
        np.testing.assert_allclose(found, probabilities_of(trained, IDS), atol=1e-5, rtol=0, err_msg=str(variant))


def test_a_gru_that_resets_before_the_product_has_no_equal(tmp_path):
    with pytest.raises(
        ConfigError, match=r"--to torch: has no GRU whose reset.*--to onnx, keras-npz or numpy, or train"
    ):
        export_as("torch", classifier({"cell": "gru", "reset": "before"}), tmp_path / "w.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_what_travels_is_json_in_the_metadata(tmp_path):
    facts = export_as("torch", classifier(CELLS[1], 2), tmp_path / "w.safetensors")
    with safe_open(tmp_path / "w.safetensors", "np") as file:
        about = json.loads(file.metadata()["rnncli_weights"])
    assert about["vocabulary"] == WORDS
    assert about["labels"] == ["bad", "fine", "good"]
    assert about["config"]["model"]["rnn"]["cell"] == "lstm"
    assert about["step"] == 7
    shown = {fact.name: fact.shown for fact in facts}
    assert shown["rnn"] == "nn.LSTM(4, 5, bidirectional=True)"
    assert shown["output layer"] == "nn.Linear(10, 3)"


def test_equal_models_give_equal_bytes(tmp_path):
    for form, ending in (("torch", ".safetensors"), ("keras-npz", ".npz")):
        for name in "ab":
            export_as(form, classifier(CELLS[1]), tmp_path / f"{name}{ending}")
        assert (tmp_path / f"a{ending}").read_bytes() == (tmp_path / f"b{ending}").read_bytes()


def test_a_vocabulary_too_large_for_a_header_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("rnncli.exporting.torch_weights.MOST_METADATA", 100)
    with pytest.raises(ConfigError, match="max_vocab"):
        export_as("torch", classifier(CELLS[1]), tmp_path / "w.safetensors")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("spelling", [None, {"kind": "characters"}, {"kind": "ngrams", "buckets": 31}], ids=str)
def test_the_keys_of_a_tagger(tmp_path, spelling):
    facts = export_as("torch", tagger(CELLS[1], spelling), tmp_path / "w.safetensors")
    shapes = {name: array.shape for name, array in load_file(tmp_path / "w.safetensors").items()}
    kind = spelling and spelling["kind"]
    inputs = {None: 4, "characters": 10, "ngrams": 7}[kind]
    assert shapes["rnn.weight_ih_l0"] == (20, inputs)
    assert shapes["rnn.weight_ih_l1_reverse"] == (20, 10)
    assert shapes["output.weight"] == (3, 10)
    assert shapes.get("spelling.weight") == {None: None, "characters": (11, 3), "ngrams": (31, 3)}[kind]
    assert shapes.get("spelling_rnn.weight_hh_l0_reverse") == ((12, 3) if kind == "characters" else None)
    shown = {fact.name: fact.shown for fact in facts}
    assert shown["tags"] == ", ".join(TAGS)
    modules = {None: None, "characters": "nn.Embedding(11, 3)", "ngrams": "nn.EmbeddingBag(31, 3)"}
    assert shown.get("spelling") == modules[kind]


@pytest.mark.parametrize("kind", ["characters", "ngrams"])
def test_a_tagger_goes_together_as_the_docs_say(tmp_path, kind):
    trained = tagger(CELLS[1], {"kind": kind})
    export_as("torch", trained, tmp_path / "w.safetensors")
    tensors = load_file(tmp_path / "w.safetensors")

    def run(module, layer, x):
        ways = [[tensors[f"{module}.{name}"] for name in torch_names(layer, back)] for back in (False, True)]
        return torch_layer("lstm", x, *ways[0]), torch_layer("lstm", x[::-1], *ways[1])[::-1]

    def seen(word):
        if kind == "ngrams":
            return tensors["spelling.weight"][ngram_buckets(word, 2, 4, 20000)].mean(axis=0)
        forward, backward = run("spelling_rnn", 0, tensors["spelling.weight"][trained.learned.characters.encode(word)])
        return np.concatenate([forward[-1], backward[0]])

    words = ["film", "is", "incomprehensible", "."]
    x = np.array([[*tensors["embedding.weight"][i], *seen(w)] for i, w in zip([1, 5, 0, 10], words, strict=True)])
    for layer in range(2):
        x = np.concatenate(run("rnn", layer, x), axis=1)
    scores = x @ tensors["output.weight"].T + tensors["output.bias"]
    texts = trained.learned.encode([Sentence(tuple(words), ("DET",) * 4, "x", "1")])
    logits, _ = trained.model.forward(make_tagged_batch(texts, np.array([0])))  # of one sentence the order is its own
    np.testing.assert_allclose(scores, logits, atol=1e-5)


@pytest.mark.parametrize("tied", [False, True])
def test_a_language_model_goes_together_as_the_docs_say(tmp_path, tied):
    trained = language_model(CELLS[3], tied=tied)
    export_as("torch", trained, tmp_path / "w.safetensors")
    tensors = load_file(tmp_path / "w.safetensors")
    ids = [3, 1, 7, 7, 2]
    x = tensors["embedding.weight"][ids]
    for layer in range(2):
        x = torch_layer("gru", x, *[tensors[f"rnn.{name}"] for name in torch_names(layer)])
    stepper = Stepper(trained.model)
    stepper.reset()
    expected = [stepper.read(token) for token in ids]
    np.testing.assert_allclose(x @ tensors["output.weight"].T + tensors["output.bias"], expected, atol=1e-5)


def test_the_keys_of_a_language_model(tmp_path):
    facts = export_as("torch", language_model(CELLS[3], tied=True), tmp_path / "w.safetensors")
    tensors = load_file(tmp_path / "w.safetensors")
    np.testing.assert_array_equal(tensors["output.weight"], tensors["embedding.weight"])
    shown = {fact.name: fact.shown for fact in facts}
    assert shown["rnn"] == "nn.GRU(5, 5, 2)"
    assert shown["output layer"] == "nn.Linear(5, 10), its weight that of the embedding"
    rnn = {"cell": "lstm", "hidden": [6, 3]}
    facts = export_as("torch", language_model(CELLS[1], rnn=rnn), tmp_path / "w.safetensors")
    tensors = load_file(tmp_path / "w.safetensors")
    assert tensors["rnn.0.weight_hh_l0"].shape == (24, 6)
    assert tensors["rnn.1.weight_ih_l0"].shape == (12, 6)
    assert {fact.name: fact.shown for fact in facts}["rnn.1"] == "nn.LSTM(6, 3)"


def test_of_many_labels_the_first_are_shown_whole(tmp_path):
    labels = [f"label number {number}" for number in range(9)]
    trained = made(classifier(CELLS[0]).config.model_dump(mode="json"), Stored({"labels": labels}, tuple(WORDS)))
    fact = export_as("torch", trained, tmp_path / "w.safetensors")[-1]
    assert fact.value == labels
    assert fact.shown == "9: label number 0, label number 1, label number 2, ..."


@pytest.mark.parametrize(("cell", "gates", "more"), [("rnn", 1, 0), ("lstm", 4, 0), ("gru", 3, 1)])
def test_there_and_back_gives_the_same_bits(cell, gates, more):
    rng = np.random.default_rng(1)
    shapes = [(3, gates * 2), (2, gates * 2), (gates * 2,), *[(2,)] * more]
    weights = [rng.normal(0, 1, shape).astype(np.float32) for shape in shapes]
    weights[2][:2] = [-0.0, 0.0]
    back = from_torch(cell, to_torch(cell, weights))
    assert [array.tobytes() for array in back] == [array.tobytes() for array in weights]


# ---- Keras ----------------------------------------------------------------------------------------------------------


@cells
def test_arrays_compute_the_same_by_the_formulas_of_keras(tmp_path, cell):
    for variant in variants(cell):
        trained = classifier(**variant)
        export_as("keras-npz", trained, tmp_path / "w.npz")
        with np.load(tmp_path / "w.npz", allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        texts = {name: arrays.pop(name) for name in ("vocabulary", "labels", "config")}
        assert texts["vocabulary"].tolist() == ["", *WORDS]
        assert texts["labels"].tolist() == list(trained.learned.labels)
        assert json.loads(str(texts["config"]))["config"]["model"]["pooling"] == variant["pooling"]
        order = list(arrays)
        W = arrays.pop("embedding.embeddings")
        assert not W[0].any()
        vector = arrays.pop("attention.kernel", None)
        head = None if vector is None else vector[:, 0], arrays.pop("output.kernel"), arrays.pop("output.bias")
        layers = []
        for number in range(variant["layers"]):
            own = [name for name in order if name.startswith(f"rnn{number}.")]  # what set_weights is given, in order
            triples = [[arrays.pop(name) for name in own[start : start + 3]] for start in range(0, len(own), 3)]
            layers.append([lambda x, triple=triple: keras_layer(cell["cell"], x, *triple) for triple in triples])
            assert [name.split(".")[1] for name in own] == (
                ["kernel", "recurrent_kernel", "bias"]
                if variant["directions"] == 1
                else [
                    f"{way}_{name}"
                    for way in ("forward", "backward")
                    for name in ("kernel", "recurrent_kernel", "bias")
                ]
            )
        assert not arrays
        found = [classify(W[np.array(ids) + 1], layers, variant["pooling"], *head) for ids in IDS]
        np.testing.assert_allclose(found, probabilities_of(trained, IDS), atol=1e-5, rtol=0, err_msg=str(variant))


def test_the_layers_are_printed_as_python_makes_them(tmp_path):
    facts = export_as("keras-npz", classifier(CELLS[2], 2, pooling="max", loss="binary"), tmp_path / "w.npz")
    assert {fact.name: fact.shown for fact in facts[1:]} == {
        "embedding": "Embedding(12, 4, mask_zero=True)",
        "rnn0": "Bidirectional(GRU(5, return_sequences=True, reset_after=False))",
        "pooling": "GlobalMaxPooling1D(), of texts without padding",
        "output layer": 'Dense(1, activation="sigmoid")',
        "vocabulary": "11 tokens",
        "labels": "neg, pos",
    }


def test_taggers_and_language_models_have_arrays_too(tmp_path):
    export_as("keras-npz", tagger(CELLS[1], {"kind": "characters"}), tmp_path / "w.npz")
    with np.load(tmp_path / "w.npz", allow_pickle=False) as arrays:
        assert arrays["tags"].tolist() == TAGS
        assert len(arrays["characters"]) == len(arrays["spelling.embeddings"]) == 12
        assert "spelling_rnn.backward_kernel" in arrays
    export_as("keras-npz", language_model(CELLS[1], "word", True, tied=True), tmp_path / "w.npz")
    with np.load(tmp_path / "w.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["output.kernel"].T, arrays["embedding.embeddings"][1:])


def test_a_tokenizer_of_sub_words_travels_as_it_is(tmp_path):
    from rnncli.data.language.bpe import train_bpe

    codec = train_bpe(["the film is good"] * 9, 260, 2, False)
    trained = made(language_values("t.txt", data={"tokenizer": {"kind": "bpe"}}), Stored({}, (codec.to_json(),)))
    export_as("keras-npz", trained, tmp_path / "w.npz")
    with np.load(tmp_path / "w.npz", allow_pickle=False) as arrays:
        assert str(arrays["tokenizer"]) == json.loads(codec.to_json())["tokenizer"]


def test_a_token_that_numpy_would_change_is_refused(tmp_path):
    trained = classifier(CELLS[0])
    values = trained.config.model_dump(mode="json")
    trained = made(values, Stored({"labels": ["a", "b"]}, ("<unk>", "film", "x\0")))
    with pytest.raises(ConfigError, match=r"--to keras-npz: cannot keep the vocabulary.*NUL"):
        export_as("keras-npz", trained, tmp_path / "w.npz")
    assert list(tmp_path.iterdir()) == []


def test_a_token_that_would_make_all_others_as_large_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(keras_npz, "MOST_TEXTS", 4 * 3 * 33)
    values = classifier(CELLS[0]).config.model_dump(mode="json")
    fits, too_long = (made(values, Stored({"labels": ["a", "b"]}, ("<unk>", "x" * length))) for length in (33, 34))
    export_as("keras-npz", fits, tmp_path / "w.npz")
    with pytest.raises(ConfigError, match=r"one of its texts is of 34 characters.*Use --to torch or numpy"):
        export_as("keras-npz", too_long, tmp_path / "w.npz")


# ---- the programs of the docs ---------------------------------------------------------------------------------------

# Runs a program of the docs in each of some folders, and then the model that it made; one process, as torch is slow.
CHECK = """
import json, os, runpy, sys
import numpy as np
program, texts, *folders = sys.argv[1:]
texts = json.loads(texts)
for folder in folders:
    os.chdir(folder)
    model = runpy.run_path(program)["model"]
    np.save("found.npy", run(model, texts))
"""
RUN_TORCH = """
import torch
def run(model, texts):
    with torch.no_grad():
        return model([torch.tensor(ids) for ids in texts]).numpy()
"""
RUN_KERAS = """
import keras
def run(model, texts):
    padded = np.zeros((len(texts), max(map(len, texts))), np.int32)
    for row, ids in zip(padded, texts):
        row[: len(ids)] = np.array(ids) + 1
    return keras.ops.convert_to_numpy(model(padded))
"""


def outcomes(folder, form, file, word, run, kinds):
    """Yield each variant, what the program of the docs that has this word in it says, and what rnncli says."""
    blocks = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    program = folder / "program.py"
    program.write_text(next(block for block in blocks if word in block), encoding="utf-8")
    models = [classifier(**variant) for variant in kinds]
    folders = [folder / str(number) for number in range(len(models))]
    for inner, trained in zip(folders, models, strict=True):
        inner.mkdir()
        export_as(form, trained, inner / file)
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            CHECK.replace("import numpy as np\n", "import numpy as np\n" + run),
            program,
            json.dumps(IDS),
            *folders,
        ],
        env={**os.environ, "KERAS_BACKEND": "torch", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    for inner, trained, variant in zip(folders, models, kinds, strict=True):
        yield variant, np.load(inner / "found.npy", allow_pickle=False), probabilities_of(trained, IDS)


def missing(*names):
    return pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in names), reason=f"{' or '.join(names)} is not installed"
    )


@missing("torch")
def test_the_module_of_the_docs_is_the_classifier(tmp_path):
    kinds = [variant for variant in VARIANTS if variant["cell"].get("reset") != "before"]
    for variant, scores, ours in outcomes(tmp_path, "torch", "best-torch.safetensors", "nn.Module", RUN_TORCH, kinds):
        if variant["loss"] == "binary":
            scores = np.concatenate([np.zeros_like(scores), scores], axis=1)
        np.testing.assert_allclose(softmax(scores), ours, atol=1e-5, rtol=0, err_msg=str(variant))


@missing("keras", "torch")
def test_the_keras_model_of_the_docs_is_the_classifier(tmp_path):
    for variant, found, ours in outcomes(tmp_path, "keras-npz", "best-keras.npz", "import keras", RUN_KERAS, VARIANTS):
        if variant["loss"] == "binary":
            found = np.concatenate([1 - found, found], axis=1)
        np.testing.assert_allclose(found, ours, atol=1e-5, rtol=0, err_msg=str(variant))
