"""Runs that start from word vectors, which may stay as they are."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from threaded_exchange import on_every_rank
from tiny_runs import Cli, Silent, tiny_config, tiny_values, write_config, write_csv
from tiny_tasks import language_config, tagging_config, trainer_of, write_conllu, write_text

from rnncli.config import parse_config
from rnncli.errors import ConfigError, DataError, RnncliError
from rnncli.gradcheck import TOLERANCE
from rnncli.gradcheck.checks import run_check
from rnncli.gradcheck.configured import configured_checks
from rnncli.run import train_run
from rnncli.run_dir import RunDir
from rnncli.tasks import task_of, vectors
from rnncli.tasks.vectors import count_ids
from rnncli.team import Member
from rnncli.trained import load_trained
from rnncli.work import trained_weights

WORDS = {"classification": ["film", "plot", "good", "and"], "tagging": ["the", "dog", "no", "liked"]}
WORDS["language_model"] = WORDS["tagging"]
DIMS = {"classification": 8, "tagging": 4, "language_model": 6}
every_task = pytest.mark.parametrize("task", WORDS)


def config_of(task, **changes):
    changes["model"] = {"embedding": {"vectors": "v.txt", **changes.pop("embedding", {})}}
    if task == "classification":
        return tiny_config(write_csv(Path("a.csv")), **changes)
    if task == "tagging":
        return tagging_config(write_conllu(Path("a.conllu")), **changes)
    return language_config(write_text(Path("a.txt")), data={"tokenizer": {"kind": "word"}}, **changes)


def write_vectors(task, path="v.txt", shift=0.0):
    dim = DIMS[task]
    rows = {word: np.arange(dim) + 10.0 * number + shift for number, word in enumerate(WORDS[task], start=1)}
    lines = [f"{word} {' '.join(map(str, row))}" for word, row in {**rows, "elsewhere": np.ones(dim)}.items()]
    Path(path).write_text("\n".join(lines) + "\n")
    return {word: row.astype(np.float32) for word, row in rows.items()}


class Watcher(Silent):
    """Keeps what is noted, and the embedding that training begins with."""

    def __init__(self):
        self.notes = []

    def noted(self, text):
        self.notes.append(text)

    def started(self, trainer):
        self.first = trainer.model.params["embedding.W"].copy()


@pytest.fixture(params=list(WORDS))
def task(request, workdir):
    return request.param


def tokens_of(config):
    return task_of(config).words(task_of(config).load(config, Path("cache")))


@pytest.mark.parametrize("frozen", [False, True])
def test_a_run_starts_from_the_vectors_of_its_words(task, frozen):
    rows = write_vectors(task)
    config, watcher, run_dir = config_of(task, embedding={"frozen": frozen}), Watcher(), RunDir(Path("run"))
    summary = train_run(config, run_dir, watcher)
    tokens, counts = tokens_of(config)
    drawn, _ = trainer_of(config, Path("cache"))
    for number, token in enumerate(tokens):
        expected = rows.get(token, drawn.model.params["embedding.W"][number])
        assert (watcher.first[number] == expected).all(), token
    last = load_trained(run_dir.last)
    assert (last.model.params["embedding.W"] == watcher.first).all() == frozen
    assert any(name.endswith("/embedding.W") for name in last.arrays) != frozen  # no moments either
    assert any(name.endswith("/rnn0.fwd.Wx") for name in last.arrays)
    coverage = summary.vectors
    present = [word for word in rows if word in tokens]
    assert (coverage.words, coverage.words_found, coverage.words_lowered) == (len(tokens) - 1, len(present), 0)
    assert coverage.tokens == counts.sum() > 20
    assert coverage.tokens_found == sum(counts[tokens.index(word)] for word in present)
    assert coverage.spread == pytest.approx(np.std([rows[word] for word in present]), rel=1e-6)
    assert coverage.spread_drawn == pytest.approx(0.1, rel=0.3)
    (note,) = watcher.notes
    assert note.startswith(f"v.txt: vectors for {len(present)} of {len(tokens) - 1} words (")
    assert note.splitlines()[1].startswith("their numbers have a standard deviation of ")


def test_the_vector_of_the_unknown_word_is_of_no_word(task):
    rows = write_vectors(task)
    config, watchers = config_of(task), [Watcher(), Watcher()]
    found = [train_run(config, RunDir(Path("without")), watchers[0]).vectors]
    Path("v.txt").write_text(Path("v.txt").read_text() + f"<unk>{' 0.25' * len(next(iter(rows.values())))}\n")
    found.append(train_run(config, RunDir(Path("with")), watchers[1]).vectors)
    assert (watchers[1].first[0] == 0.25).all()
    assert (watchers[1].first[1:] == watchers[0].first[1:]).all()
    assert (found[1].words_found, found[1].tokens_found) == (found[0].words_found, found[0].tokens_found)


@pytest.mark.parametrize("optimizer", [{"name": "adamw", "weight_decay": 0.5}, {"name": "sgd"}])
def test_what_is_frozen_stays_to_the_bit_with_two_processes_and_a_mean(task, optimizer):
    write_vectors(task)
    config = config_of(
        task, embedding={"frozen": True}, train={"workers": 2, "average": 0.9, "max_steps": 4}, optim=optimizer
    )
    watcher, run_dir = Watcher(), RunDir(Path("run"))
    train_run(config, run_dir, watcher)
    last = load_trained(run_dir.last)
    assert (last.model.params["embedding.W"] == watcher.first).all()
    assert (last.use_average().model.params["embedding.W"] == watcher.first).all()
    assert "average/embedding.W" not in last.arrays
    assert "average/output.w" in last.arrays
    assert (last.use_average().model.params["output.w"] != last.model.params["output.w"]).any()


class Killed(Exception):
    pass


@pytest.mark.parametrize("frozen", [False, True])
def test_a_run_is_resumed_without_the_file_to_the_bit(task, frozen):
    write_vectors(task)
    config = config_of(task, embedding={"frozen": frozen}, train={"checkpoint_every_steps": 1})
    straight, broken = RunDir(Path("straight")), RunDir(Path("broken"))
    train_run(config, straight, Silent())

    class Kill(Silent):
        def step(self, event, speed):
            if event.step == 4:
                raise Killed

    with pytest.raises(Killed):
        train_run(config, broken, Kill())
    Path("v.txt").unlink()
    summary = train_run(config, broken, Silent(), resume=True)
    assert summary.vectors is None
    one, two = load_trained(straight.last), load_trained(broken.last)
    assert one.arrays.keys() == two.arrays.keys()
    for ours, theirs in ((one.arrays, two.arrays), (one.model.params, two.model.params)):
        assert all((array == theirs[name]).all() for name, array in ours.items())


@pytest.mark.parametrize("shares_memory", [True, False])
def test_ranks_share_a_frozen_model(task, shares_memory):
    """The same steps as one process, the embedding untouched, moments collected without it."""
    write_vectors(task)
    trainer, _ = trainer_of(config_of(task, embedding={"frozen": True}), Path("cache"))
    params = {name: array.astype(np.float64) for name, array in trainer.model.params.items()}
    items = trainer.work.order(0)[0]

    def run(size):
        def work(exchange):
            lead = exchange.rank == 0
            placed = exchange.place({k: v.copy() for k, v in params.items()} if lead else None)
            own = replace(trainer.work, model=replace(trainer.model, params=placed))
            own.carried = exchange.place(
                {k: np.zeros(v.shape) for k, v in trainer.work.carried.items()} if lead else None
            )
            optimizer = replace(trainer.optimizer, state={})
            optimizer.prepare(trained_weights(own.model))
            optimizer.state = exchange.place(optimizer.state if lead else None)
            member = Member(exchange, own, optimizer, 5, 0.5)
            outcomes = [member._step(number, items, 0.01) for number in range(2)]
            member._collect()
            return outcomes, {**placed, **optimizer.state}

        return on_every_rank(size, work, shares_memory=shares_memory)[0]

    (alone, expected), (outcomes, found) = run(1), run(3)
    assert "m/embedding.W" not in found
    assert (found["embedding.W"] == params["embedding.W"]).all()
    for ours, theirs in zip(outcomes, alone, strict=True):
        assert ours.loss == pytest.approx(theirs.loss, rel=1e-12)
        assert ours.norm == pytest.approx(theirs.norm, rel=1e-9)
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-7, atol=1e-10, err_msg=name)


def test_the_gradients_of_what_is_not_frozen_are_the_same(task):
    write_vectors(task)
    trainer, _ = trainer_of(config_of(task, embedding={"frozen": True}), Path("cache"))
    items = trainer.work.order(0)[0]
    free = replace(trainer.work, model=replace(trainer.model, frozen=()))
    parts = [work.compute(items, np.random.default_rng(1), 0, 1) for work in (trainer.work, free)]
    assert parts[1].grads.keys() - parts[0].grads.keys() == {"embedding.W"}
    for name, grad in parts[0].grads.items():
        if isinstance(grad, np.ndarray):
            assert (grad == parts[1].grads[name]).all(), name


def test_weights_of_another_run_go_before_vectors(task):
    """Words that the other model has are its own, words it lacks get their vectors."""
    rows = write_vectors(task)
    first = config_of(task, name="first")
    train_run(first, RunDir(Path("first")), Silent())
    theirs = load_trained(Path("first/last.safetensors"))
    write_vectors(task, shift=0.5)
    watcher = Watcher()
    second = config_of(task, init_from="first/last.safetensors")
    train_run(second, RunDir(Path("second")), watcher)
    assert (watcher.first == theirs.model.params["embedding.W"]).all()
    assert rows


def test_an_embedding_of_another_run_can_be_frozen_without_vectors(task):
    write_vectors(task)
    train_run(config_of(task), RunDir(Path("first")), Silent())
    theirs = load_trained(Path("first/last.safetensors"))
    config = config_of(task, init_from="first/last.safetensors", embedding={"vectors": None, "frozen": True})
    train_run(config, RunDir(Path("second")), Silent())
    last = load_trained(Path("second/last.safetensors"))
    assert (last.model.params["embedding.W"] == theirs.model.params["embedding.W"]).all()
    assert (last.model.params["rnn0.fwd.Wx"] != theirs.model.params["rnn0.fwd.Wx"]).any()


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        (None, DataError, "there is no such file"),
        ("the 1 2\n", ConfigError, "have 2 numbers"),
        (f"quelquepart{' 1' * 8}\n", DataError, "has no vector for any of the"),
        (f"film{' 1' * 8}\nplot{' 1' * 7} x\n", DataError, "v.txt:2: 'x' is not a number"),
    ],
)
def test_a_file_that_does_not_do_leaves_no_run(workdir, text, error, said):
    if text is not None:
        Path("v.txt").write_text(text)
    with pytest.raises(error, match=said):
        train_run(config_of("classification"), RunDir(Path("run")), Silent())
    assert not Path("run").exists()


def test_the_file_is_looked_at_before_the_data(workdir):
    config = config_of("classification")
    Path("a.csv").unlink()
    with pytest.raises(RnncliError, match=r"v\.txt: there is no such file"):
        train_run(config, RunDir(Path("run")), Silent())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"embedding": {"frozen": True}}, "would keep random numbers"),
        ({"embedding": {"vectors": "v.txt"}, "kind": "character"}, "data.tokenizer.kind is character"),
    ],
)
def test_what_has_no_effect_is_refused(workdir, changes, said):
    for values in (
        tiny_config("a.csv").model_dump(mode="json"),
        language_config("a.txt").model_dump(mode="json"),
        tagging_config("a.conllu").model_dump(mode="json"),
    ):
        values["model"]["embedding"] |= changes["embedding"]
        if "kind" in changes:
            if values["task"] == "tagging":
                continue  # whose tokens are words
            values["data"]["tokenizer"]["kind"] = changes["kind"]
        with pytest.raises(ConfigError, match=said):
            parse_config(values, "x")


@pytest.mark.parametrize("kind", ["bpe", "file"])
def test_sub_words_are_no_words(workdir, kind):
    tokenizer = {"kind": kind, **({"path": "t.json"} if kind == "file" else {})}
    with pytest.raises(ConfigError, match=f"kind is {kind}; use word or whitespace"):
        language_config("a.txt", data={"tokenizer": tokenizer}, model={"embedding": {"vectors": "v.txt"}})


def test_a_tied_embedding_cannot_be_frozen(workdir):
    embedding = {"dim": 8, "vectors": "v.txt", "frozen": True}
    with pytest.raises(ConfigError, match=r"excludes embedding\.frozen"):
        language_config("a.txt", data={"tokenizer": {"kind": "word"}}, model={"embedding": embedding, "tied": True})


def test_a_tied_embedding_starts_from_vectors(workdir):
    rows = write_vectors("language_model")
    config = config_of("language_model", embedding={"dim": 6})
    tied = config.model_copy(
        update={"model": config.model.model_copy(update={"tied": True, "rnn": replace_hidden(config.model.rnn)})}
    )
    watcher = Watcher()
    train_run(parse_config(tied.model_dump(mode="json"), "tied"), RunDir(Path("run")), watcher)
    tokens, _ = tokens_of(config)
    assert (watcher.first[tokens.index("dog")] == rows["dog"]).all()


def replace_hidden(rnn):
    return rnn.model_copy(update={"hidden": 6})


def test_the_command_prints_the_coverage_once_and_says_what_is_frozen(workdir, monkeypatch, capsys):
    write_vectors("classification")
    values = tiny_values(write_csv(Path("a.csv")), model={"embedding": {"vectors": "v.txt", "frozen": True}})
    cli = Cli(monkeypatch, capsys)
    done = cli("train", write_config(Path("c.yaml"), values), "--json")
    assert done.code == 0
    report = json.loads(done.out)["vectors"]
    assert report["words_found"] == 4
    lines = [line for line in done.err.splitlines() if "vectors for" in line]
    assert len(lines) == 1
    assert f"{report['tokens_found'] / report['tokens']:.1%} of the tokens" in lines[0]
    V = report["words"] + 1
    assert f"parameters, {8 * V:,} of them frozen" in done.err
    again = cli("train", "--resume", "runs/tiny", "--set", "train.epochs=3", "--json")
    assert "vectors for" not in again.err
    assert json.loads(again.out)["vectors"] is None


def test_gradcheck_needs_no_vectors_and_checks_what_is_frozen(workdir):
    config = config_of("classification", embedding={"frozen": True})
    gradients, _ = configured_checks(config, task_of(config).load(config, None))
    results = run_check(gradients, 1, TOLERANCE)
    assert {result.input for result in results} >= {"embedding.W", "output.w"}
    assert all(result.passed for result in results)


def test_ids_are_counted_in_chunks(monkeypatch):
    monkeypatch.setattr(vectors, "_CHUNK", 3)
    ids, given_back = np.array([0, 1, 1, 5, 2, 1, 7], np.uint16), []
    monkeypatch.setattr(vectors, "release_pages", given_back.append)  # of a file that is mapped
    assert count_ids(ids, 3).tolist() == [1, 3, 1]
    assert len(given_back) == 3
    assert all(array is ids for array in given_back)
