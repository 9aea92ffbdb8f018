import json
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from tiny_runs import tiny_values, write_config, write_csv
from tiny_tasks import language_values, tagging_config, tagging_values, trainer_of, write_conllu, write_text

from rnncli.building import build_model
from rnncli.config.language_model import LanguageModelConfig
from rnncli.config.model import ModelConfig
from rnncli.data.encoding import frozen_texts
from rnncli.data.language.word_codec import WordCodec
from rnncli.data.tagging.sentences import Sentence
from rnncli.data.tokenizers import make_tokenizer, tokenizer_rules
from rnncli.data.vocabulary import Vocabulary
from rnncli.errors import RnncliError
from rnncli.exporting import onnx_file, onnx_layers, onnx_models
from rnncli.exporting.onnx_metadata import codec_facts
from rnncli.exporting.onnx_models import build_graph
from rnncli.exporting.samples import sample_of
from rnncli.exporting.verify_onnx import (
    classifier_pairs,
    language_pairs,
    padded,
    states_of,
    tagger_pairs,
    verify,
)
from rnncli.language_models import build_language_model
from rnncli.layers.activations import softmax
from rnncli.sampling import Stepper
from rnncli.tagger_evaluation import evaluate_tagger
from rnncli.trained import load_trained

DOCS = Path(__file__).parents[1] / "docs" / "export.md"
V, CLOSE = 20, 1e-5
CELLS = [{"cell": "rnn"}, {"cell": "lstm"}, {"cell": "gru", "reset": "before"}, {"cell": "gru", "reset": "after"}]
cells = pytest.mark.parametrize("cell", CELLS, ids=lambda cell: "-".join(cell.values()))


def shaken(model, seed=3):
    """Give every weight, biases too, a value that shows where it is used."""
    rng = np.random.default_rng(seed)
    for name, array in model.params.items():
        array[...] = rng.normal(0, 1 if name == "embedding.W" else 0.6, array.shape)
    return model


def classifier(cell, directions=1, layers=1, pooling="mean", loss="softmax", classes=3):
    rnn = {**cell, "hidden": 6, "layers": layers, "bidirectional": directions == 2}
    values = {"embedding": {"dim": 5}, "rnn": rnn, "pooling": pooling, "loss": loss}
    classes = 2 if loss == "binary" else classes
    return shaken(build_model(ModelConfig.model_validate(values), V, classes, np.random.default_rng(1)))


def session_of(model):
    proto = build_graph(model, onnx).model("test")
    onnx.checker.check_model(proto, full_check=True)
    return onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])


def texts_of(lengths):
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    ids = np.random.default_rng(2).integers(0, V, offsets[-1]).astype(np.int32)
    return frozen_texts(ids, offsets, np.zeros(len(lengths), np.int64))


POOLINGS = ["last", "mean", "max", "attention", ["mean", "max"], ["attention", "last", "max", "mean"]]


def largest(pairs):
    return max(float(np.abs(ours - theirs).max()) for ours, theirs in pairs)


@cells
@pytest.mark.parametrize("pooling", POOLINGS, ids=str)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("directions", [1, 2])
def test_classifiers_agree_with_onnxruntime(cell, directions, layers, pooling, capfd):
    for loss in ("softmax", "binary"):
        model = classifier(cell, directions, layers, pooling, loss)
        session = session_of(model)
        # One session for all: neither N nor T is fixed. Lengths that differ, one text, one token.
        for lengths in ([3, 9, 1, 5, 9, 2], [7], [1], [1, 1, 1], list(range(1, 41))):
            texts = texts_of(lengths)
            probabilities = [theirs for _, theirs in classifier_pairs(session, model, texts)]
            assert sum(map(len, probabilities)) == len(lengths)
            assert largest(classifier_pairs(session, model, texts)) < CLOSE
        # The comparison means something: the texts do not all get the same.
        assert np.ptp(np.concatenate(probabilities)[:, 0]) > 0.02
    assert capfd.readouterr().err == ""  # where the runtime warns of what a graph has and does not use


def test_what_is_beyond_a_length_is_not_read_whatever_it_is():
    model = classifier(CELLS[1], directions=2, layers=2)
    session = session_of(model)
    ids = np.random.default_rng(1).integers(0, V, (3, 8))
    lengths = np.array([4, 8, 1])
    (once,) = session.run(None, {"ids": ids, "lengths": lengths})
    for padding in (0, V - 1, -1, 10**15):
        others = np.where(np.arange(12) < lengths[:, None], np.pad(ids, ((0, 0), (0, 4))), padding)
        (again,) = session.run(None, {"ids": others, "lengths": lengths})
        np.testing.assert_allclose(again, once, atol=1e-6)


@pytest.mark.parametrize("pooling", POOLINGS, ids=str)
def test_an_empty_text_is_one_unknown_token(pooling):
    session = session_of(classifier(CELLS[3], directions=2, pooling=pooling))
    ids = np.array([[7, 8, 9], [0, 8, 9]])
    (probabilities,) = session.run(None, {"ids": ids, "lengths": np.array([0, 1])})
    np.testing.assert_allclose(probabilities[0], probabilities[1], atol=1e-6)


def test_a_length_beyond_the_batch_is_refused_by_the_runtime():
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    proto = build_graph(classifier(CELLS[1]), onnx).model("test")
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options)
    with pytest.raises(Exception, match="sequence_lens"):
        session.run(None, {"ids": np.zeros((1, 3), np.int64), "lengths": np.array([4])})


@cells
@pytest.mark.parametrize("hidden", [[8], [7, 5]], ids=["one layer", "two sizes"])
@pytest.mark.parametrize("tied", [False, True])
def test_language_models_agree_and_hand_their_state_on(cell, hidden, tied, capfd):
    values = {"embedding": {"dim": hidden[-1]}, "rnn": {**cell, "hidden": hidden}, "tied": tied}
    model = shaken(build_language_model(LanguageModelConfig.model_validate(values), V, np.random.default_rng(1)))
    session = session_of(model)
    letters = "hc" if cell["cell"] == "lstm" else "h"
    assert states_of(session) == {f"{letter}{layer}": H for layer, H in enumerate(hidden) for letter in letters}
    for count in (2, 40, 300):
        ids = np.random.default_rng(2).integers(0, V, count)
        assert largest(language_pairs(session, model, ids)) < CLOSE
    assert capfd.readouterr().err == ""


def test_a_language_model_without_its_state_would_show():
    values = {"embedding": {"dim": 4}, "rnn": {"cell": "lstm", "hidden": 8}}
    model = shaken(build_language_model(LanguageModelConfig.model_validate(values), V, np.random.default_rng(1)))
    session = session_of(model)

    class Forgets:
        get_inputs = session.get_inputs

        def run(self, names, feed):
            return session.run(names, {name: value if name == "ids" else value * 0 for name, value in feed.items()})

    assert largest(language_pairs(Forgets(), model, np.random.default_rng(2).integers(0, V, 64))) > 0.01


SPELLINGS = [None, {"kind": "characters", "max_length": 3}, {"kind": "ngrams", "buckets": 50}]


@cells
@pytest.mark.parametrize("spelling", SPELLINGS, ids=["words", "characters", "ngrams"])
def test_taggers_agree(cell, spelling, workdir):
    path = write_conllu(workdir / "x.conllu")
    sizes = {None: None, "characters": {"dim": 3, "hidden": 5}, "ngrams": {"dim": 3, "hidden": None}}[
        (spelling or {}).get("kind")
    ]
    for directions, layers in ((1, 1), (2, 2)):
        rnn = {**cell, "hidden": 6, "layers": layers, "bidirectional": directions == 2}
        model = {"embedding": {"dim": 4}, "spelling": sizes, "rnn": rnn}
        trainer, data = trainer_of(tagging_config(path, data={"spelling": spelling}, model=model))
        tagger = shaken(trainer.model)
        session = session_of(tagger)
        assert len(session.get_inputs()) == (2 if spelling is None else 4)
        assert largest(tagger_pairs(session, tagger, data.valid)) < CLOSE


def test_beyond_its_sentence_a_tagger_gives_zeros(workdir):
    path = write_conllu(workdir / "x.conllu")
    trainer, _ = trainer_of(tagging_config(path, data={"spelling": None}, model={"spelling": None}))
    session = session_of(shaken(trainer.model))
    (probabilities,) = session.run(None, {"ids": np.ones((2, 4), np.int64), "lengths": np.array([4, 2])})
    sums = probabilities.sum(axis=2)
    np.testing.assert_allclose(sums, [[1, 1, 1, 1], [1, 1, 0, 0]], atol=1e-6)


def test_padding_keeps_the_order_of_the_texts():
    values, offsets = np.arange(10, 16), np.array([0, 3, 3, 4, 6])
    dense, lengths = padded(values, offsets, np.array([3, 0, 1]))
    assert dense.tolist() == [[14, 15, -1], [10, 11, 12], [-1, -1, -1]]
    assert lengths.tolist() == [2, 3, 0]


def planted(monkeypatch, name):
    """Make a mistake that an exporter may make."""
    arranged, pool = onnx_layers._arranged, onnx_layers.pool

    def without_state_bias(cell, Wx, Wh, b, *more):
        return arranged(cell, Wx, Wh, b, *(array * 0 for array in more))

    def nudged(cell, Wx, Wh, b, *more):
        Wh = Wh.copy()
        Wh[0, 0] += 0.05
        return arranged(cell, Wx, Wh, b, *more)

    def all_real(graph, kind, prefix, states, last_h, embedded, vector):
        real = graph.weight("always", np.ones((1, 1, 1), bool))
        return pool(graph, "max", prefix, states, last_h, embedded._replace(real=real))

    monkeypatch.setattr(
        *{
            "gates": (onnx_layers, "_GATES", {"lstm": (0, 1, 2, 3), "gru": (0, 1, 2), "rnn": (0,)}),
            "state bias": (onnx_layers, "_arranged", without_state_bias),
            "one weight": (onnx_layers, "_arranged", nudged),
            "another pooling": (onnx_models, "pool", all_real),
        }[name]
    )


@pytest.mark.parametrize(
    ("name", "cell"), [("gates", 1), ("gates", 2), ("state bias", 3), ("one weight", 0), ("another pooling", 1)]
)
def test_a_graph_with_a_mistake_is_refused(name, cell, monkeypatch):
    planted(monkeypatch, name)
    model = classifier(CELLS[cell])
    with pytest.raises(RnncliError, match=r"differ from the model's by .*1e-04 is allowed"):
        verify(session_of(model), model, texts_of([3, 9, 1, 5]))


def test_a_model_without_numbers_is_refused():
    model = classifier(CELLS[0])
    model.params["output.b"][0] = np.nan
    with pytest.raises(RnncliError, match="not finite"):
        verify(session_of(model), model, texts_of([3, 2]))


def test_a_graph_without_numbers_is_refused(monkeypatch):
    model = classifier(CELLS[0])
    broken = classifier(CELLS[0])
    broken.params["output.b"][0] = np.nan
    with pytest.raises(RnncliError, match="nan"):
        verify(session_of(broken), model, texts_of([3, 2]))


TEXTS = [
    "good film",
    "",
    "  ",
    "bad bad unheard-of plot isn't IT",
    "and " * 30 + "dull",
    "Fine\u2019s <br /> end n1 !!",
]


@pytest.fixture
def exported(cli, workdir):
    """Return the path of a classifier's graph, and the checkpoint."""
    data = {"tokenizer": {"lowercase": True, "min_count": 1}, "max_length": 12, "truncate": "tail"}
    values = tiny_values(write_csv(workdir / "tiny.csv", repeats=2), name="c", data=data)
    assert cli("train", write_config(workdir / "c.yaml", values)).code == 0
    done = cli("export", "runs/c/best.safetensors", "--to", "onnx")
    assert (done.code, done.err) == (0, "")
    return Path("runs/c/best.onnx")


def test_the_file_says_all_it_takes_to_use_it(exported):
    proto = onnx.load(exported)
    assert [(o.domain, o.version) for o in proto.opset_import] == [("", 17)]
    assert (proto.ir_version, proto.producer_name, proto.graph.name) == (8, "rnncli", "c")
    facts = {p.key: json.loads(p.value) for p in proto.metadata_props}
    assert (facts["task"], facts["labels"], facts["max_length"]) == ("classification", ["neg", "pos"], 12)
    assert (facts["vocabulary"][0], facts["truncate"]) == ("<unk>", "tail")
    dims = {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in proto.graph.input
    }
    assert dims == {"ids": ["N", "T"], "lengths": ["N"]}


def test_the_same_model_gives_the_same_bytes(cli, exported):
    before = exported.read_bytes()
    assert cli("export", "runs/c/best.safetensors", "--to", "onnx").code == 0
    assert exported.read_bytes() == before


def test_programs_get_every_figure(cli, exported):
    report = json.loads(cli("export", "runs/c/best.safetensors", "--to", "onnx", "--json").out)
    assert report["bytes"] == exported.stat().st_size
    assert report["inputs"][1] == {"name": "lengths", "type": "int64", "shape": ["N"]}
    assert report["outputs"] == [{"name": "probabilities", "type": "float32", "shape": ["N", 2]}]
    assert report["format"]["opset"] == 17
    assert report["checked_on"] == "15 texts of validation part (0.3) of " + str(Path("tiny.csv").resolve())
    assert 0 < report["difference"]["largest"] < CLOSE
    assert report["difference"]["allowed"] == 1e-4


def snippets():
    """Return the programs that docs/export.md shows, by their first line."""
    blocks = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    return {block.splitlines()[0].removeprefix("# "): block for block in blocks}


def run_program(source, *arguments, given=""):
    Path("program.py").write_text(source, encoding="utf-8")
    command = [sys.executable, "-X", "utf8", "program.py", *map(str, arguments)]
    done = subprocess.run(command, input=given, capture_output=True, timeout=60, encoding="utf-8")
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_the_program_of_the_docs_classifies_as_rnncli_does(cli, exported):
    program = snippets()["classify.py: the label of each text, without rnncli"]
    assert "rnncli" not in program.partition("\n")[2]
    lines = run_program(program, exported, *TEXTS)
    rows = "".join(json.dumps({"text": text, "label": "pos"}) + "\n" for text in TEXTS)
    Path("x.jsonl").write_text(rows)
    assert cli("eval", "runs/c/best.safetensors", "--data", "x.jsonl", "--predictions", "p.jsonl").code == 0
    ours = [json.loads(line) for line in Path("p.jsonl").read_text().splitlines()]
    assert len(lines) == len(ours) == len(TEXTS)
    for line, prediction in zip(lines, ours, strict=True):
        label, probability = line.split("\t")[:2]
        assert label == prediction["predicted"]
        assert float(probability) == pytest.approx(prediction["probabilities"][label], abs=6e-4)


@pytest.mark.parametrize("spelling", SPELLINGS, ids=["words", "characters", "ngrams"])
def test_the_program_of_the_docs_tags_as_rnncli_does(cli, workdir, spelling):
    sizes = None if spelling is None else {"dim": 3, "hidden": 5 if spelling["kind"] == "characters" else None}
    values = tagging_values(write_conllu(workdir / "x.conllu"), data={"spelling": spelling}, model={"spelling": sizes})
    assert cli("train", write_config(workdir / "c.yaml", values)).code == 0
    assert cli("export", "runs/tiny-tagger/best.safetensors", "--to", "onnx", "--output", "t.onnx").code == 0
    program = snippets()["tag.py: words/tags of each sentence of the input, whose words stand between spaces"]
    texts = ["the dog sees a Bird", "no", "unheard-of cats wanted x\u00e9\u4e2d"]
    lines = run_program(program, "t.onnx", given="\n".join(texts))
    trained = load_trained(Path("runs/tiny-tagger/best.safetensors"))
    sentences = [Sentence(tuple(text.split()), ("DET",) * len(text.split()), "", ()) for text in texts]
    tags = evaluate_tagger(trained, sentences).predicted
    expected = [" ".join(map("/".join, zip(s.words, own, strict=True))) for s, own in zip(sentences, tags, strict=True)]
    assert lines == expected


def test_the_program_of_the_docs_goes_on_with_a_text(cli, workdir):
    values = language_values(write_text(workdir / "x.txt"))
    assert cli("train", write_config(workdir / "c.yaml", values)).code == 0
    assert cli("export", "runs/tiny-lm/best.safetensors", "--to", "onnx", "--output", "m.onnx").code == 0
    program = snippets()["sample.py: go on with a text, for a model of characters"]
    trained = load_trained(Path("runs/tiny-lm/best.safetensors"))
    codec, stepper = trained.learned, Stepper(trained.model)
    expected, rng = codec.encode("the d").tolist(), np.random.default_rng(1)
    for token in expected:
        scores = stepper.read(token)
    for _ in range(200):
        p = softmax(scores.astype(float) / 0.8)
        p[codec.unknown] = 0
        expected.append(int(rng.choice(len(p), p=p / p.sum())))
        scores = stepper.read(expected[-1])
    assert run_program(program, "m.onnx", "the d") == codec.decode(expected).split("\n")


def test_a_tokenizer_of_subwords_travels_as_its_own_json(cli, workdir):
    tokenizer = {"kind": "bpe", "size": 280}
    values = language_values(write_text(workdir / "x.txt"), data={"tokenizer": tokenizer, "document_boundary": "line"})
    assert cli("train", write_config(workdir / "c.yaml", values)).code == 0
    assert cli("export", "runs/tiny-lm/best.safetensors", "--to", "onnx", "--output", "m.onnx").code == 0
    facts = {p.key: json.loads(p.value) for p in onnx.load("m.onnx").metadata_props}
    codec = load_trained(Path("runs/tiny-lm/best.safetensors")).learned
    text = "the dog liked x."
    assert tokenizers.Tokenizer.from_str(json.dumps(facts["tokenizer"])).encode(text).ids == codec.encode(text).tolist()
    assert (facts["unknown"], facts["end_of_text"]) == (None, codec.end_of_text)


def follow(rules, text):
    """Cut a text as docs/export.md says to."""
    if rules["lowercase"]:
        text = text.lower()
    if rules["normalize"]:
        text = unicodedata.normalize(rules["normalize"], text)
    for pattern, replacement in rules["replace"]:
        text = re.sub(pattern, replacement, text)
    return [match[0] for match in re.finditer(rules["token"], text)]


HOSTILE = (
    st.text(st.sampled_from("aZn'tTsS\u2019 <br/>\n\t.,0\u0301e!_\u00a0\x1c\u0915\u094d\u0130"), max_size=25)
    | st.text()
)


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("kind", ["word", "whitespace", "character"])
@given(text=HOSTILE)
def test_the_rules_cut_as_the_tokenizer_does(kind, lowercase, text):
    rules = json.loads(json.dumps(tokenizer_rules(kind, lowercase)))
    assert follow(rules, text) == make_tokenizer(kind, lowercase)(text)


@pytest.mark.parametrize("kind", ["word", "whitespace", "character"])
@given(text=HOSTILE)
def test_the_rules_of_a_language_model_do_too(kind, text):
    codec = WordCodec(kind, True, Vocabulary(["<unk>", "a", "\n", "n't", "."]), with_end=False)
    rules = json.loads(json.dumps(codec_facts(codec)))["tokenizer"]
    tokens = follow(rules, text)
    if rules["line_ends"]:
        lines = [follow(rules, line) for line in text.split("\n")]
        tokens = [token for line in lines for token in ["\n", *line]][1:]
    assert codec.vocabulary.encode(tokens).tolist() == codec.encode(text).tolist()


def test_what_is_too_large_for_one_file_is_refused(cli, exported, monkeypatch):
    monkeypatch.setattr(onnx_file, "MOST_BYTES", 100)
    before = exported.read_bytes()
    line = cli.refused("export", "runs/c/best.safetensors", "--to", "onnx", code=2)
    assert "GB of weights and vocabulary, an ONNX file holds 2" in line
    assert exported.read_bytes() == before


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_without_its_package_it_says_what_to_install(package, cli, exported, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    line = cli.refused("export", "runs/c/best.safetensors", "--to", "onnx")
    assert line.startswith(f"rnncli: {package}: is needed for --to onnx")
    assert line.endswith("Type: pip install 'rnncli[onnx]'")


def test_a_mistake_leaves_no_file_and_the_one_before(cli, exported, monkeypatch):
    planted(monkeypatch, "gates")
    before = exported.read_bytes()
    assert "differ from the model's" in cli.refused("export", "runs/c/best.safetensors", "--to", "onnx")
    assert "differ from the model's" in cli.refused(
        "export", "runs/c/best.safetensors", "--to", "onnx", "--output", "y"
    )
    assert exported.read_bytes() == before
    assert not [file for file in Path().rglob("*") if file.name.startswith(".rnncli") or file.name == "y"]


def test_without_its_data_it_is_compared_on_texts_made_of_the_vocabulary(cli, exported):
    Path("tiny.csv").unlink()
    report = json.loads(cli("export", "runs/c/best.safetensors", "--to", "onnx", "--json").out)
    assert report["checked_on"].startswith("64 texts made of the vocabulary (")
    assert "tiny.csv" in report["checked_on"]
    assert 0 < report["difference"]["largest"] < CLOSE


@pytest.mark.parametrize("task", ["tagging", "language_model"])
def test_so_are_taggers_and_language_models(cli, workdir, task):
    if task == "tagging":
        path = write_conllu(workdir / "x.conllu")
        values, name = tagging_values(path), "64 sentences made of the vocabulary ("
    else:
        path = write_text(workdir / "x.txt")
        values, name = language_values(path), "512 tokens drawn from the vocabulary ("
    assert cli("train", write_config(workdir / "c.yaml", values)).code == 0
    checkpoint = f"runs/{values['name']}/best.safetensors"
    own = json.loads(cli("export", checkpoint, "--to", "onnx", "--json").out)
    assert re.match(r"\d+ (sentences|tokens) of validation part \(0\.[23]\) of ", own["checked_on"])
    path.unlink()
    report = json.loads(cli("export", checkpoint, "--to", "onnx", "--json").out)
    assert report["checked_on"].startswith(name)
    assert 0 < report["difference"]["largest"] < CLOSE


def test_data_without_texts_is_as_good_as_none(cli, workdir):
    test = workdir / "none.csv"
    test.write_text("text,label\nx y,pos\n")
    data = {"test": {"format": "csv", "path": str(test)}}
    values = tiny_values(write_csv(workdir / "tiny.csv"), name="c", data=data)
    assert cli("train", write_config(workdir / "c.yaml", values)).code == 0
    for rows, name in (("x y,pos\n", "1 text of test data "), ("", "64 texts made of the vocabulary (")):
        test.write_text(f"text,label\n{rows}")
        report = json.loads(cli("export", "runs/c/best.safetensors", "--to", "onnx", "--json").out)
        assert report["checked_on"].startswith(name)


def test_texts_without_end_are_cut(cli, workdir):
    test = workdir / "long.csv"
    test.write_text(f"text,label\n{'good bad ' * 5000},pos\nbad,neg\n")
    data = {"test": {"format": "csv", "path": str(test)}, "max_length": None}
    values = tiny_values(write_csv(workdir / "tiny.csv"), data=data)
    assert cli("train", write_config(workdir / "c.yaml", values)).code == 0
    sample = sample_of(load_trained(Path("runs/tiny/best.safetensors")), 256)
    assert sample.data.lengths.tolist() == [1000, 1]

    word = "\t".join(["x" * 500, "_", "NOUN", *"______"])
    long = "".join(f"{n}\t{word}\n" for n in range(1, 2001))
    (workdir / "long.conllu").write_text(long + "\n")
    data = {"test": {"format": "conllu", "path": str(workdir / "long.conllu")}}
    values = tagging_values(write_conllu(workdir / "x.conllu"), data={**data, "spelling": {"max_length": 400}})
    assert cli("train", write_config(workdir / "c.yaml", values)).code == 0
    sample = sample_of(load_trained(Path("runs/tiny-tagger/best.safetensors")), 256)
    assert sample.data.lengths.tolist() == [1000]
    assert np.diff(sample.data.spellings.offsets).tolist() == [100]


def test_the_mean_weights_of_a_run_are_what_is_exported(cli, workdir):
    values = tiny_values(write_csv(workdir / "tiny.csv"), name="c", train={"average": 0.9})
    assert cli("train", write_config(workdir / "c.yaml", values)).code == 0
    assert "mean weights)" in cli("export", "runs/c/best.safetensors", "--to", "onnx").out
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load("runs/c/best.onnx").graph.initializer}
    trained = load_trained(Path("runs/c/best.safetensors"))
    mean = trained.use_average().model.params["embedding.W"]
    assert not np.array_equal(mean, trained.model.params["embedding.W"])
    np.testing.assert_array_equal(stored["embedding.W"], mean)
