"""Classifiers and taggers that start from a language model."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import NOUNS, Silent, tiny_config, tiny_values, write_config, write_csv
from tiny_tasks import (
    language_config,
    language_values,
    tagging_config,
    tagging_values,
    trainer_of,
    write_conllu,
    write_text,
)

from rnncli.data.batches import make_batch
from rnncli.errors import ConfigError
from rnncli.first_weights import take_first_weights
from rnncli.run import train_run
from rnncli.run_dir import RunDir
from rnncli.tasks.weights import Taken
from rnncli.trained import load_trained
from rnncli.wide_models import BIAS, KEYS, TABLE

LM = "runs/lm"
WORDS = {"kind": "word", "min_count": 1}
GRU = {"cell": "gru", "hidden": 8}
LSTM_4 = {"cell": "lstm", "hidden": 4}


def write_prose(path="prose.txt"):
    """Write lines with the words of the classifiers' texts, but for some, and with others."""
    lines = [f"the {noun} is good and {noun} is bad , not dull" for noun in NOUNS[:4]]
    Path(path).write_text("\n".join(lines * 8) + "\n")
    return path


def train_lm(path=None, *, tokenizer=WORDS, rnn=GRU, dim=8, **changes):
    """Train a language model of words into ``LM``, and return it."""
    config = language_config(
        path or write_prose(),
        **changes,
        data={"tokenizer": tokenizer},
        model={"embedding": {"dim": dim}, "rnn": rnn},
    )
    train_run(config, RunDir(Path(LM)), Silent(), overwrite=True)
    return load_trained(Path(LM, "best.safetensors"))


def started(config):
    """Return the weights of a new model before and after it took those of the language model, and the rest."""
    trainer, data = trainer_of(config)
    before = {name: array.copy() for name, array in trainer.model.params.items()}
    taken = take_first_weights(trainer, config, data).taken
    return before, trainer, data, taken


def classifier(**changes):
    return tiny_config(write_csv(Path("a.csv"), repeats=2), init_from=LM, **changes)


def same(params, others, *names):
    return [bool((params[name] == others[name]).all()) for name in names]


LAYER = ("rnn0.fwd.Wx", "rnn0.fwd.Wh", "rnn0.fwd.b")


@pytest.mark.parametrize(
    "rnn",
    [
        GRU,
        {**GRU, "reset": "after"},
        {"cell": "rnn", "hidden": 8},
        {"cell": "lstm", "hidden": 8, "layers": 2},
    ],
    ids=str,
)
def test_rows_are_taken_by_token_and_layers_whole(workdir, rnn):
    theirs = train_lm(rnn=rnn)
    before, trainer, data, taken = started(classifier(model={"rnn": rnn}))
    params, source = trainer.model.params, theirs.model.params
    ours, others = data.vocabulary, theirs.learned.vocabulary
    known = [token for token in ours.tokens if token in others]
    assert {"<unk>", "film", "good", "and"} <= set(known) < set(ours.tokens)
    places = [(row, int(others.encode([token])[0])) for row, token in enumerate(ours.tokens) if token in known]
    assert any(row != place for row, place in places)
    for row, place in places:
        assert (params["embedding.W"][row] == source["embedding.W"][place]).all()
    for row in set(range(len(ours))) - {row for row, _ in places}:
        assert (params["embedding.W"][row] == before["embedding.W"][row]).all()
    layers = [name for name in params if name.startswith("rnn")]
    assert layers == [name for name in source if name.startswith("rnn")]
    assert all(same(params, source, *layers))
    assert not any(same(params, before, *(name for name in layers if not name.endswith("b") or rnn["cell"] != "lstm")))
    assert all(same(params, before, "output.w", "output.b"))
    assert (taken.tokens, taken.tokens_found) == (len(ours), len(known))
    assert taken.taken == ("embedding.W", *layers)
    assert taken.fresh == ("output.w", "output.b")


def test_the_model_computes_otherwise(workdir):
    train_lm()
    config = classifier()
    trainer, data = trainer_of(config)
    batch = make_batch(data.valid, np.arange(len(data.valid)))
    before, _ = trainer.model.forward(batch)
    take_first_weights(trainer, config, data)
    after, _ = trainer.model.forward(batch)
    assert np.abs(after - before).max() > 1e-3


def test_the_mean_of_the_weights_is_taken_where_the_run_keeps_one(workdir):
    theirs = train_lm(train={"average": 0.9})
    mean = theirs.use_average().model.params
    _, trainer, *_ = started(classifier())
    assert all(same(trainer.model.params, mean, *LAYER))
    assert not any(same(trainer.model.params, theirs.model.params, *LAYER))


def test_a_model_that_is_tied_has_an_embedding_too(workdir):
    values = language_values(write_prose(), data={"tokenizer": WORDS}, model={"rnn": GRU, "tied": True})
    values["model"]["embedding"]["dim"] = 8
    train_run(language_config("prose.txt", **values), RunDir(Path(LM)), Silent())
    assert "output.w" not in load_trained(Path(LM, "best.safetensors")).model.params
    assert started(classifier())[3].taken == ("embedding.W", *LAYER)


# ---- depth and direction -------------------------------------------------------------------------------------------

TWO = {"cell": "lstm", "hidden": 8, "layers": 2}
SECOND = tuple(name.replace("0", "1") for name in LAYER)


@pytest.mark.parametrize(
    ("theirs", "ours", "shown"),
    [
        (TWO, {"layers": 1}, "rnn0; fresh: output"),
        (TWO, {"layers": 2}, "rnn0, rnn1; fresh: output"),
        (TWO, {"layers": 3}, "rnn0, rnn1; fresh: rnn2, output"),
        (TWO, {"layers": 2, "bidirectional": True}, "rnn0.fwd; fresh: rnn0.bwd, rnn1, output"),
        ({"cell": "lstm", "hidden": [8, 4]}, {"layers": 2}, "rnn0; fresh: rnn1, output"),
        ({"cell": "lstm", "hidden": [8, 4, 8]}, {"layers": 3}, "rnn0; fresh: rnn1, rnn2, output"),
    ],
    ids=str,
)
def test_layers_are_taken_from_the_input_on_as_far_as_they_fit(workdir, theirs, ours, shown):
    source = train_lm(rnn=theirs).model.params
    before, trainer, _, taken = started(classifier(model={"rnn": {"cell": "lstm", "hidden": 8, **ours}}))
    params = trainer.model.params
    assert str(taken).endswith(f"%), {shown}")
    layers = [name for name in taken.taken if name != "embedding.W"]
    assert all(same(params, source, *layers))
    assert all(same(params, before, *taken.fresh))
    assert {*taken.taken, *taken.fresh} == set(params)
    assert all(name.split(".")[1] == "fwd" for name in layers)


def test_what_stands_beside_the_layers_stays_fresh(workdir):
    train_lm()
    model = {"ngrams": {"min_count": 2, "naive_bayes": "start"}, "pooling": ["mean", "attention"]}
    before, trainer, _, taken = started(classifier(model=model))
    assert all(same(trainer.model.params, before, KEYS, TABLE, BIAS, "attention.w", "output.w"))
    assert str(taken).endswith("rnn0; fresh: attention, output, ngrams")


def test_what_the_first_layer_reads_of_ngrams_stays_fresh(workdir):
    source = train_lm().model.params["rnn0.fwd.Wx"]
    before, trainer, _, taken = started(classifier(model={"ngrams": {"inputs": True}}))
    found, fresh = trainer.model.params["rnn0.fwd.Wx"], before["rnn0.fwd.Wx"]
    assert len(found) == len(source) + 3
    np.testing.assert_array_equal(found[:-3], source)
    np.testing.assert_array_equal(found[-3:], fresh[-3:])
    assert "rnn0.fwd.Wx" in taken.taken


# ---- tokens --------------------------------------------------------------------------------------------------------


def test_characters_are_matched_by_character(workdir):
    tokenizer = {"kind": "character", "lowercase": True}
    theirs = train_lm(tokenizer=tokenizer)
    _, trainer, data, taken = started(classifier(data={"tokenizer": {**tokenizer, "min_count": 1}}))
    codec = theirs.learned.vocabulary
    for character in "film goodbad":
        ours, others = (int(one.encode([character])[0]) for one in (data.vocabulary, codec))
        assert ours
        assert (trainer.model.params["embedding.W"][ours] == theirs.model.params["embedding.W"][others]).all()
    assert 2 * taken.tokens_found > taken.tokens


def test_white_space_separates_what_both_read(workdir):
    tokenizer = {"kind": "whitespace", "lowercase": False, "min_count": 1}
    train_lm(tokenizer=tokenizer)
    assert started(classifier(data={"tokenizer": tokenizer}))[3].tokens_found > 8


@pytest.mark.parametrize(
    ("theirs", "ours", "said"),
    [
        (
            {**WORDS, "lowercase": False},
            {},
            "reads words as they are written, this config words in lower case. "
            "Give data.tokenizer: {kind: word, lowercase: false}",
        ),
        (
            WORDS,
            {"lowercase": False},
            "reads words in lower case, this config words as they are written. "
            "Give data.tokenizer: {kind: word, lowercase: true}",
        ),
        (
            {**WORDS, "kind": "whitespace"},
            {},
            "reads what white space separates in lower case, this config words in lower case. "
            "Give data.tokenizer: {kind: whitespace, lowercase: true}",
        ),
        (
            {"kind": "character"},
            {},
            "reads characters as they are written, this config words in lower case. "
            "Give data.tokenizer: {kind: character, lowercase: false}",
        ),
        (
            {"kind": "bpe", "size": 260},
            {},
            "reads sub-words, this config words. Name a language model whose data.tokenizer.kind is word",
        ),
        (
            WORDS,
            {"kind": "character"},
            "reads words in lower case, this config characters in lower case. "
            "Give data.tokenizer: {kind: word, lowercase: true}",
        ),
    ],
    ids=str,
)
def test_tokens_of_another_kind_are_refused(workdir, theirs, ours, said):
    train_lm(tokenizer=theirs)
    assert refused(classifier(data={"tokenizer": ours})) == f"init_from: {LM}/best.safetensors {said}"


def refused(config):
    with pytest.raises(ConfigError) as caught:
        train_run(config, RunDir(Path("run")), Silent())
    assert not Path("run").exists()
    return str(caught.value)


def test_a_model_without_one_of_the_tokens_is_refused(workdir):
    Path("other.txt").write_text("le chat dort sur la table\n" * 20)
    train_lm("other.txt")
    text = refused(classifier())
    assert text.startswith(f"init_from: {LM}/best.safetensors has none of the ")
    assert text.endswith("tokens of the training part. Name a language model of the same language and script")


@pytest.mark.parametrize(
    ("found", "tokens", "said"),
    [
        (10, 10, "all 10 tokens"),
        (5000, 10000, "5,000 of 10,000 tokens (50.0%)"),
        (4999, 10000, "only 4,999 of 10,000 tokens (50.0%)"),
        (120, 1000, "only 120 of 1,000 tokens (12.0%)"),
    ],
)
def test_few_tokens_are_said_to_be_few(found, tokens, said):
    taken = Taken("x", tokens, found, ("embedding.W", *LAYER), ("output.w", "output.b"))
    assert str(taken) == f"started from x: {said}, rnn0; fresh: output"


# ---- sizes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rnn", "dim", "ours", "said"),
    [
        (GRU, 6, {}, "has model.embedding: {dim: 6}, this config {dim: 8}. Give model.embedding: {dim: 6}"),
        (
            {"cell": "lstm", "hidden": 8},
            8,
            {},
            "has model.rnn: {cell: lstm, hidden: 8}, this config {cell: gru, reset: before, hidden: 8}. "
            "Give model.rnn: {cell: lstm, hidden: 8}",
        ),
        (
            {**GRU, "reset": "after"},
            8,
            {},
            "has model.rnn: {cell: gru, reset: after, hidden: 8}, this config {cell: gru, reset: before, hidden: 8}. "
            "Give model.rnn: {cell: gru, reset: after, hidden: 8}",
        ),
        (
            {"cell": "rnn", "hidden": [5, 3]},
            6,
            {"rnn": {"cell": "rnn", "hidden": 3, "bidirectional": True}},
            "has model.embedding: {dim: 6} and model.rnn: {cell: rnn, hidden: 5}, this config {dim: 8} and "
            "{cell: rnn, hidden: 3}. Give model.embedding: {dim: 6} and model.rnn: {cell: rnn, hidden: 5}",
        ),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused_with_what_to_set(workdir, rnn, dim, ours, said):
    train_lm(rnn=rnn, dim=dim)
    assert refused(classifier(model=ours)) == f"init_from: {LM}/best.safetensors {said}"


# ---- taggers -------------------------------------------------------------------------------------------------------


def tagger(**changes):
    write_conllu(Path("a.conllu"))
    return tagging_config("a.conllu", init_from=LM, **changes)


@pytest.mark.parametrize(
    ("data", "model"),
    [
        (None, None),
        ({"kind": "characters"}, {"dim": 3, "hidden": 3}),
        ({"kind": "ngrams", "buckets": 50}, {"dim": 3, "hidden": None}),
    ],
    ids=["unspelled", "characters", "ngrams"],
)
@pytest.mark.parametrize("both", [True, False])
def test_a_tagger_starts_with_its_words_and_the_forward_half(workdir, data, model, both):
    source = train_lm(write_text(Path("a.txt")), rnn=LSTM_4, dim=4).model.params
    config = tagger(data={"spelling": data}, model={"spelling": model, "rnn": {"bidirectional": both}})
    before, trainer, _, taken = started(config)
    params = trainer.model.params
    Wx = params["rnn0.fwd.Wx"]
    assert (len(Wx) > 4) == (data is not None)
    assert (Wx[:4] == source["rnn0.fwd.Wx"]).all()
    assert (Wx[4:] == before["rnn0.fwd.Wx"][4:]).all()
    assert all(same(params, source, "rnn0.fwd.Wh", "rnn0.fwd.b"))
    assert all(same(params, before, *taken.fresh))
    layer = ["rnn0.fwd", "rnn0.bwd"] if both else ["rnn0"]
    fresh = [*(["spelling"] if data else []), *layer[1:], "output"]
    assert str(taken).endswith(f"%), {layer[0]}; fresh: {', '.join(fresh)}")


@pytest.mark.parametrize(
    ("tokenizer", "words", "said"),
    [
        (
            {"kind": "character"},
            {},
            "reads characters, this config words. "
            "Name a language model whose data.tokenizer.kind is word or whitespace",
        ),
        (
            {**WORDS, "lowercase": False},
            {},
            "reads words as they are written, this config words in lower case. Give data.words: {lowercase: false}",
        ),
        (
            {**WORDS, "kind": "whitespace"},
            {"lowercase": False},
            "reads what white space separates in lower case, this config words as they are written. "
            "Give data.words: {lowercase: true}",
        ),
    ],
    ids=str,
)
def test_a_tagger_refuses_other_tokens(workdir, tokenizer, words, said):
    train_lm(write_text(Path("a.txt")), tokenizer=tokenizer, rnn=LSTM_4, dim=4)
    assert refused(tagger(data={"words": words})) == f"init_from: {LM}/best.safetensors {said}"


def test_a_tagger_learns_from_there(workdir):
    train_lm(write_text(Path("a.txt")), tokenizer={**WORDS, "kind": "whitespace"}, rnn=LSTM_4, dim=4)
    fresh = tagger().model_copy(update={"init_from": None})
    ends = [train_run(config, RunDir(Path(name)), Silent()) for name, config in (("a", tagger()), ("b", fresh))]
    assert ends[0].validations != ends[1].validations
    assert ends[0].taken is not None
    assert ends[1].taken is None


# ---- with other keys -----------------------------------------------------------------------------------------------


def test_a_frozen_embedding_keeps_the_rows_of_the_language_model(workdir):
    theirs = train_lm()
    config = classifier(model={"embedding": {"frozen": True}})
    before, _, data, _ = started(config)
    train_run(config, RunDir(Path("run")), Silent())
    last = load_trained(Path("run/last.safetensors")).model.params
    for row, token in enumerate(data.vocabulary.tokens):
        known = token in theirs.learned.vocabulary
        first = theirs.model.params if known else before
        place = int(theirs.learned.vocabulary.encode([token])[0]) if known else row
        assert (last["embedding.W"][row] == first["embedding.W"][place]).all(), token
    assert not any(same(last, theirs.model.params, *LAYER))


def test_words_that_the_language_model_lacks_start_from_vectors(workdir):
    theirs = train_lm()
    Path("v.txt").write_text(f"film{' 7' * 8}\nn0{' 9' * 8}\n")
    _, trainer, data, _ = started(classifier(model={"embedding": {"vectors": "v.txt"}}))
    film, number = (trainer.model.params["embedding.W"][row] for row in data.vocabulary.encode(["film", "n0"]))
    place = theirs.learned.vocabulary.encode(["film"])[0]
    assert (film == theirs.model.params["embedding.W"][place]).all()
    assert (number == 9).all()


def test_ranks_begin_with_the_same_weights(workdir):
    theirs = train_lm()
    ends = []
    for workers in (1, 2):
        config = classifier(train={"workers": workers, "max_steps": 1}, optim={"lr": 1e-9})
        run_dir = RunDir(Path(f"run{workers}"))
        assert train_run(config, run_dir, Silent()).processes == workers
        ends.append(load_trained(run_dir.last).model.params)
    for name in LAYER:
        np.testing.assert_allclose(ends[0][name], theirs.model.params[name], atol=1e-7)
        np.testing.assert_allclose(ends[1][name], theirs.model.params[name], atol=1e-7)


# ---- the command ---------------------------------------------------------------------------------------------------


@pytest.fixture
def lm(cli):
    values = language_values(write_prose(), name="lm", data={"tokenizer": WORDS}, model={"rnn": GRU})
    values["model"]["embedding"]["dim"] = 8
    assert cli("train", write_config(Path("lm.yaml"), values)).code == 0
    return LM


@pytest.fixture
def config(lm):
    return write_config(Path("c.yaml"), tiny_values(write_csv(Path("a.csv")), name="c", init_from=lm))


def test_a_run_says_what_it_started_from(cli, lm, config):
    done = cli("train", config)
    assert done.code == 0, done
    vocabularies = [load_trained(Path(f"runs/{name}/best.safetensors")).learned.vocabulary for name in ("c", "lm")]
    found = sum(token in vocabularies[1] for token in vocabularies[0].tokens)
    expected = Taken(
        f"{lm}/best.safetensors",
        len(vocabularies[0]),
        found,
        ("embedding.W", *LAYER),
        ("output.w", "output.b"),
    )
    assert done.err.splitlines()[0] == str(expected)
    assert f"{found} of {len(vocabularies[0])} tokens (" in done.err
    report = json.loads(cli("train", config, "--json", "--overwrite").out)
    assert report["taken"] == json.loads(json.dumps(asdict(expected)))
    assert json.loads(cli("train", "lm.yaml", "--json", "--overwrite").out)["taken"] is None


def test_a_run_from_a_language_model_is_resumed_in_the_same_bits(cli, lm, config):
    assert cli("train", config).code == 0
    whole = Path("runs/c/last.safetensors").read_bytes()
    assert cli("train", config, "--overwrite", "--set", "train.epochs=1").code == 0
    done = cli("train", "--resume", "runs/c", "--set", "train.epochs=2")
    assert done.code == 0, done
    assert "started from" not in done.err  # it goes on with its own weights
    params = load_trained(Path("runs/c/last.safetensors")).model.params
    Path("whole.safetensors").write_bytes(whole)
    assert all(same(params, load_trained(Path("whole.safetensors")).model.params, *params))


def test_a_run_of_the_same_task_says_so_in_the_same_way(cli, lm, config):
    assert cli("train", config).code == 0
    from_it = ("--set", "name=d", "--set", "init_from=runs/c")
    assert cli("train", config, *from_it).err.splitlines()[0].endswith(" tokens, rnn0, output")
    values = tiny_values(write_csv(Path("b.csv"), repeats=2), name="e", init_from="runs/c/last.safetensors")
    first = cli("train", write_config(Path("e.yaml"), values)).err.splitlines()[0]
    assert first.startswith("started from runs/c/last.safetensors: ")
    assert first.endswith("%), rnn0, output")
    values = language_values("prose.txt", name="f", init_from=lm, data={"tokenizer": WORDS}, model={"rnn": GRU})
    values["model"]["embedding"]["dim"] = 8
    first = cli("train", write_config(Path("f.yaml"), values)).err.splitlines()[0]
    assert first.startswith("started from runs/lm/best.safetensors: all ")
    assert first.endswith(" tokens, rnn0, output")


def test_what_is_no_beginning_is_refused(cli, lm, config):
    Path("empty").mkdir()
    other = ("train", config, "--set", "name=other", "--set")
    assert cli.refused(*other, "init_from=empty").startswith("rnncli: empty: holds no checkpoint")
    assert cli.refused(*other, "init_from=runs/none").startswith("rnncli: runs/none: there is no such file")
    line = cli.refused(*other, "model.rnn.hidden=9", code=2)
    assert line == (
        f"rnncli: init_from: {lm}/best.safetensors has model.rnn: {{cell: gru, reset: before, hidden: 8}}, this config "
        "{cell: gru, reset: before, hidden: 9}. Give model.rnn: {cell: gru, reset: before, hidden: 8}"
    )
    assert cli("train", config).code == 0
    line = cli.refused("train", "lm.yaml", "--set", "name=other", "--set", "init_from=runs/c", code=2)
    assert line.endswith("is of task classification, this config of language_model. Name a checkpoint of the same task")
    write_config(Path("t.yaml"), tagging_values(write_conllu(Path("a.conllu")), name="other", init_from="runs/c"))
    line = cli.refused("train", "t.yaml", code=2)
    assert line.endswith("this config of tagging. Name a checkpoint of the same task or of a language model")
    assert not Path("runs/other").exists()
