import importlib.util
import io
import itertools
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from made_models import CELLS, WORDS, classifier, language_model, made, probabilities_of, tagger
from tiny_tasks import language_values

from rnncli.data.tagging.batches import make_tagged_batch
from rnncli.data.tagging.sentences import Sentence
from rnncli.data.tokenizers import make_tokenizer
from rnncli.errors import ConfigError, RnncliError
from rnncli.exporting import export_as, numpy_folder
from rnncli.exporting.numpy_folder import predict_source, select, write_folder
from rnncli.layers.activations import softmax
from rnncli.sampling import Stepper
from rnncli.tagging import tag_texts
from rnncli.tasks.base import Stored

cells = pytest.mark.parametrize("cell", CELLS, ids=lambda cell: "-".join(cell.values()))
any_text = st.text(st.characters(exclude_categories=[]))
near_tokens = st.lists(
    st.sampled_from(
        ["do", "n't", "N'T", "'s", "'LL", "1,5", "o'neil", "..", "!", "\u00e9", "\u2019", "<unk>", "<br / >", " "]
    )
).map("".join)


def exported(trained, path):
    """Write a model's folder, without comparing, and return its predict.py as a module."""
    write_folder(trained, path)
    return load(path)


def load(path):
    spec = importlib.util.spec_from_file_location(f"predict_{path.name}", path / "predict.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ---- what it computes -----------------------------------------------------------------------------------------------

POOLINGS = ["last", "mean", "max", "attention", ["max", "mean"], ["attention", "last", "mean", "max"]]
TEXTS = ["film", "good film !!", "caf\u00e9 isn't 3.5 bad bad bad unheard", "", "FILM. " * 30]


def ids_of(trained, texts):
    data = trained.config.data
    tokenize = make_tokenizer(data.tokenizer.kind, data.tokenizer.lowercase)
    end = slice(data.max_length) if data.truncate == "head" else slice(-data.max_length, None)
    return [trained.learned.vocabulary.encode(tokenize(text)[end]).tolist() or [0] for text in texts]


@cells
@pytest.mark.parametrize("directions", [1, 2])
def test_a_classifier_says_the_same(tmp_path, cell, directions):
    for layers, pooling, loss in itertools.product([1, 2], POOLINGS, ["softmax", "binary"]):
        trained = classifier(cell, directions, layers, pooling=pooling, loss=loss)
        module = exported(trained, tmp_path / f"{layers}{pooling}{loss}")
        found = np.array([module.probabilities(text) for text in TEXTS])
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, probabilities_of(trained, ids_of(trained, TEXTS)), atol=1e-5, rtol=0)
        assert np.ptp(found[:, 0]) > 0.001  # texts that differ are not all the same to it


@pytest.mark.parametrize("end", ["head", "tail"])
def test_long_texts_keep_the_end_that_the_model_was_trained_on(tmp_path, end):
    trained = classifier(CELLS[1], data={"max_length": 3, "truncate": end})
    module = exported(trained, tmp_path / "f")
    texts = ["good good good bad bad bad", "bad film . film good !!"]
    found = np.array([module.probabilities(text) for text in texts])
    np.testing.assert_allclose(found, probabilities_of(trained, ids_of(trained, texts)), atol=1e-6)
    assert "[:3]" in predict_source(trained) or "[-3:]" in predict_source(trained)


def test_predict_names_the_labels_from_the_likeliest_on(tmp_path):
    module = exported(classifier(CELLS[0]), tmp_path / "f")
    found = module.predict("good film")
    assert set(found) == {"bad", "fine", "good"}
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert sum(found.values()) == pytest.approx(1)
    assert found["fine"] == module.probabilities("good film")[1]


SPELLINGS = [None, {"kind": "characters", "max_length": 5}, {"kind": "ngrams", "buckets": 31}]


@cells
@pytest.mark.parametrize("spelling", SPELLINGS, ids=["words", "characters", "ngrams"])
def test_a_tagger_says_the_same(tmp_path, cell, spelling):
    trained = tagger(cell, spelling)
    module = exported(trained, tmp_path / "f")
    sentence = ["a", "good", "caf\u00e9", "FILM", "is", "incomprehensible", "\ud800x", "."]
    for words in (["Film"], sentence, ["\u0939\u093f"] * 9):
        texts = trained.learned.encode([Sentence(tuple(words), ("DET",) * len(words), "x", "1")])
        tags = [trained.learned.tags[tag] for tag in tag_texts(trained.model, texts).tags]
        found = module.predict(words)
        assert [tag for tag, _ in found] == tags
        logits, _ = trained.model.forward(make_tagged_batch(texts, np.array([0])))  # of one sentence, in its order
        np.testing.assert_allclose(module.probabilities(words), softmax(logits), atol=1e-5)
    assert module.predict([]) == []


@cells
@pytest.mark.parametrize(("kind", "ends", "tied"), [("character", False, False), ("word", True, True)])
def test_a_language_model_says_the_same(tmp_path, cell, kind, ends, tied):
    trained = language_model(cell, kind, ends, tied=tied)
    module = exported(trained, tmp_path / "f")
    text = "abc\n de" if kind == "character" else "Film isn't\n bad."
    stepper = Stepper(trained.model)
    stepper.reset()
    ids = trained.learned.encode(text).tolist()
    for token in [trained.learned.end_of_text, *ids] if ends else ids:
        expected = stepper.read(token)
    scores, states = module.read(text, None)
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    again, _ = module.read(text[-1], states)  # it goes on from there
    np.testing.assert_allclose(again, stepper.read(trained.learned.encode(text[-1]).tolist()[0]), atol=1e-5)
    greedy = list(itertools.islice(module.generate(text, 5, 0, np.random.default_rng(1)), 5))
    assert "<unk>" not in greedy
    assert greedy


# ---- its tokenizer --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory):
    """Return ours and that of predict.py, of each kind."""
    found = []
    for kind, lowercase in itertools.product(["word", "whitespace", "character"], [True, False]):
        trained = classifier(CELLS[0], data={"tokenizer": {"kind": kind, "lowercase": lowercase}})
        module = exported(trained, tmp_path_factory.mktemp("tokenizers") / f"{kind}{lowercase}")
        found.append((make_tokenizer(kind, lowercase), module.tokenize))
    return found


@given(any_text | near_tokens)
@example("DON'T don\u2019t <BR/> e\u0301te\u0301 1,000,000 rock'n'roll \ud800 \x00\x85\u2028")
def test_texts_are_cut_as_rnncli_cuts_them(tokenizers, text):
    for ours, theirs in tokenizers:
        assert theirs(text) == ours(text)


@given(any_text)
@example("\n\n film\n")
def test_texts_of_a_language_model_too(codecs, text):
    for codec, encode in codecs:
        assert encode(text) == codec.encode(text).tolist()


@pytest.fixture(scope="module")
def codecs(tmp_path_factory):
    found = []
    for kind in ("word", "whitespace", "character"):
        trained = language_model(CELLS[0], kind)
        found.append((trained.learned, exported(trained, tmp_path_factory.mktemp("codecs") / kind).encode))
    return found


# ---- the folder -----------------------------------------------------------------------------------------------------


def every_variant():
    for cell, directions, pooling in itertools.product(CELLS, [1, 2], POOLINGS):
        yield classifier(cell, directions, pooling=pooling, data={"max_length": None})
    for kind in ("whitespace", "character"):
        yield classifier(CELLS[1], loss="binary", data={"tokenizer": {"kind": kind, "lowercase": False}})
    yield from (tagger(cell, spelling) for cell in CELLS for spelling in SPELLINGS)
    yield tagger(CELLS[1], None, lowercase=False)
    for kind, ends, tied in itertools.product(["word", "whitespace", "character"], [True, False], [True, False]):
        yield language_model(CELLS[1], kind, ends, tied=tied)


def test_every_variant_is_code_as_ruff_would_have_it(tmp_path):
    sources = {predict_source(trained) for trained in every_variant()}
    assert len(sources) > 40
    for number, source in enumerate(sorted(sources)):
        (tmp_path / f"predict{number}.py").write_text(source, encoding="utf-8")
        assert "#:" not in source
        assert "$" not in source
    config = Path(__file__).parents[1] / "pyproject.toml"
    for command in (["check", "--ignore", "D103"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--no-cache", "--config", config, tmp_path],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout


def test_nothing_of_other_variants_is_left_in_it():
    source = predict_source(classifier(CELLS[1], pooling="mean"))
    for other in (
        "GRU",
        "r, z",
        ".max(axis=0)",
        "attention",
        "concatenate",
        "backward",
        "argparse",
        "zlib",
        "spelling",
    ):
        assert other not in source, other
    assert len(source.splitlines()) < 140


def test_what_the_folder_has(tmp_path):
    facts = export_as("numpy", classifier(CELLS[1]), tmp_path / "f")
    assert [fact.name for fact in facts] == ["bytes", "files", "vocabulary", "labels", "checked on", "difference"]
    assert sorted(file.name for file in (tmp_path / "f").iterdir()) == facts[1].value
    assert facts[4].value.startswith("32 texts made of the vocabulary (")
    assert facts[5].value["largest"] < 1e-6
    assert json.loads((tmp_path / "f" / "vocabulary.json").read_text(encoding="utf-8")) == WORDS
    assert json.loads((tmp_path / "f" / "config.json").read_text(encoding="utf-8"))["step"] == 7
    with np.load(tmp_path / "f" / "weights.npz", allow_pickle=False) as arrays:
        assert arrays["rnn0.fwd.Wx"].shape == (4, 20)


def test_equal_models_give_equal_bytes(tmp_path):
    for name in ("a", "b"):
        export_as("numpy", classifier(CELLS[1]), tmp_path / name)
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_sub_words_are_refused_and_leave_nothing(tmp_path, monkeypatch):
    from rnncli.data.language.bpe import train_bpe

    codec = train_bpe(["the film is good"] * 9, 260, 2, False)
    trained = made(language_values("t.txt", data={"tokenizer": {"kind": "bpe"}}), Stored({}, (codec.to_json(),)))
    with pytest.raises(ConfigError, match=r"--to numpy: cuts no sub-words.*--to torch"):
        export_as("numpy", trained, tmp_path / "f")
    assert list(tmp_path.iterdir()) == []


MODELS = {
    "classifier": lambda: classifier(CELLS[2], 2, pooling=["max", "attention"]),
    "of one output": lambda: classifier(CELLS[0], loss="binary"),
    "of characters": lambda: classifier(CELLS[3], data={"tokenizer": {"kind": "character", "lowercase": False}}),
    "tagger": lambda: tagger(CELLS[1], SPELLINGS[1]),
    "language model": lambda: language_model(CELLS[1], "word", ends=True),
}


MISTAKES = [
    ("np.tanh(", "np.sin(", "differ from the model's by"),
    ("enumerate(VOCABULARY)", "enumerate(VOCABULARY[::-1])", "differ from the model's by"),
    ("np.exp(", "np.nan * np.exp(", "differ from the model's by nan"),
    ("import json", "import json, not_there", r"failed \(ModuleNotFoundError: No module named 'not_there'\)"),
]


@pytest.mark.parametrize("name", MODELS)
def test_the_program_is_run_before_it_takes_its_place(tmp_path, monkeypatch, name):
    """A mistake in it, of any kind, leaves nothing."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    trained = MODELS[name]()
    assert export_as("numpy", trained, tmp_path / "f")[-1].value["largest"] < 1e-6
    assert "__pycache__" not in [file.name for file in (tmp_path / "f").iterdir()]
    source = predict_source(trained)
    for right, wrong, message in MISTAKES if name == "classifier" else MISTAKES[:1]:
        assert right in source
        monkeypatch.setattr(numpy_folder, "predict_source", lambda _, r=right, w=wrong: source.replace(r, w))
        with pytest.raises(RnncliError, match=rf"nothing was written: predict.py.*{message}.*report it"):
            export_as("numpy", trained, tmp_path / "g")
        assert [file.name for file in tmp_path.iterdir()] == ["f"]


def test_it_is_run_as_a_users_would_be(tmp_path, monkeypatch):
    """What lies in the folder that rnncli runs in is no part of it."""
    monkeypatch.chdir(tmp_path)
    Path("json.py").write_text("raise RuntimeError")
    export_as("numpy", classifier(CELLS[1]), tmp_path / "f")


# ---- as a program ---------------------------------------------------------------------------------------------------


def run(folder, *arguments, given=b"", isolated=True):
    """Run predict.py where nothing but the standard library and NumPy can be imported."""
    blocked = "import sys; sys.modules.update(dict.fromkeys(['rnncli', 'safetensors', 'yaml', 'click', 'pydantic']))"
    code = f"{blocked}; import runpy; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    return subprocess.run(
        [sys.executable, "-c", code, str(folder / "predict.py"), *arguments], input=given, capture_output=True
    )


def test_lines_of_standard_input_become_lines(tmp_path):
    module = exported(classifier(CELLS[2]), tmp_path / "f")
    lines = ["good film", "", "a\x00b \u2028 caf\u00e9", "bad"]
    done = run(tmp_path / "f", given="\n".join(lines).encode() + b"\r\n\xff\xfe no UTF-8")
    assert done.stderr == b""
    rows = [line.split("\t") for line in done.stdout.decode().splitlines()]
    assert len(rows) == 5
    for row, text in zip(rows, lines, strict=False):
        expected = module.predict(text)
        assert row[::2] == list(expected)
        assert row[1::2] == [f"{p:.6f}" for p in expected.values()]


def test_a_line_ends_where_its_line_feed_is_and_nowhere_else(tmp_path):
    tokenizer = {"kind": "character", "lowercase": False}
    values = classifier(CELLS[1], data={"tokenizer": tokenizer}).config.model_dump(mode="json")
    trained = made(values, Stored({"labels": ["a", "b", "c"]}, ("<unk>", "\r", "\u2028", "x", "\x85")))
    module = exported(trained, tmp_path / "f")
    done = run(tmp_path / "f", given="x\r\r\u2028x\x85x\r\nx".encode())
    rows = [line.split("\t") for line in done.stdout.decode().splitlines()]
    assert [row[::2] for row in rows] == [list(module.predict(text)) for text in ("x\r\r\u2028x\x85x", "x")]
    assert float(rows[0][1]) == pytest.approx(max(module.probabilities("x\r\r\u2028x\x85x")), abs=1e-6)
    assert abs(float(rows[1][1]) - float(rows[0][1])) > 1e-4


def test_texts_may_be_arguments(tmp_path):
    export_as("numpy", tagger(CELLS[1], SPELLINGS[1]), tmp_path / "f")
    done = run(tmp_path / "f", "a good film", "is")
    assert [line.split("\t")[0] for line in done.stdout.decode().splitlines()] == ["a", "good", "film", "", "is", ""]


def test_a_language_model_goes_on_with_a_text_the_same_way_each_time(tmp_path):
    export_as("numpy", language_model(CELLS[1]), tmp_path / "f")
    first, again, other = (run(tmp_path / "f", "abc", "--length", "40", "--seed", seed).stdout for seed in "112")
    assert first == again != other
    assert first.startswith(b"abc")
    assert len(first.decode().rstrip("\n")) <= 43
    for wrong, named in (
        ([""], b"no token"),
        (["abc", "--temperature", "-1"], b"--temperature and --seed are at least"),
    ):
        refused = run(tmp_path / "f", *wrong)
        assert refused.returncode == 2
        assert named in refused.stderr
    bytes_of_no_text = run(tmp_path / "f", b"abc\xff", "--length", "1")
    assert (bytes_of_no_text.returncode, bytes_of_no_text.stderr) == (0, b"")
    assert bytes_of_no_text.stdout.startswith(b"abc\\udcff")


def test_a_document_ends_where_the_model_ends_it(tmp_path):
    trained = language_model(CELLS[1], ends=True)
    trained.model.params["output.b"][-1] = 50
    module = exported(trained, tmp_path / "f")
    assert list(module.generate("abc", 40, 1.0, np.random.default_rng(1))) == []


def test_help_and_a_reader_that_leaves(tmp_path):
    export_as("numpy", classifier(CELLS[0]), tmp_path / "f")
    done = run(tmp_path / "f", "--help")
    assert done.returncode == 0
    assert b"python predict.py" in done.stdout
    command = f"{sys.executable} {tmp_path / 'f' / 'predict.py'} | head -1"
    done = subprocess.run(command, shell=True, input=b"good film\n" * 3000, capture_output=True)
    assert done.stderr == b""
    assert done.stdout.count(b"\n") == 1


# ---- the template ---------------------------------------------------------------------------------------------------


def test_select_keeps_what_its_flags_are_for():
    template = "a\n#: if x\nb\n#: if y or z\nc\n#: end\n#: elif y\nd\n#: else\ne\n#: end\n#: if not y\nf\n#: end\n"
    for flags, kept in {"x": "abf", "xy": "abc", "xz": "abcf", "y": "ad", "": "aef"}.items():
        assert select(template, flags).split() == list(kept)
    assert select("a\n\n\n\n\n\nb", "") == "a\n\n\nb"


def test_the_weights_are_an_archive_of_plain_arrays(tmp_path):
    export_as("numpy", classifier(CELLS[1]), tmp_path / "f")
    with zipfile.ZipFile(tmp_path / "f" / "weights.npz") as archive:
        for name in archive.namelist():
            assert np.lib.format.read_magic(io.BytesIO(archive.read(name))) == (1, 0)
