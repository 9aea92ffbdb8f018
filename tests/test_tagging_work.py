from dataclasses import replace

import numpy as np
import pytest
from threaded_exchange import on_every_rank
from tiny_runs import Silent
from tiny_tasks import tagging_config, trainer_of, write_conllu

from rnncli.data.tagging.batches import make_tagged_batch, unpack_tags
from rnncli.run import train_run
from rnncli.run_dir import RunDir
from rnncli.sharding import deal
from rnncli.tagging import part_of_words, report_on, tag_texts
from rnncli.tasks import task_of
from rnncli.team import Member
from rnncli.trained import load_trained
from rnncli.training import StepDone, Validated

STATES = {"state_dropout": 0.2, "recurrent_dropout": 0.2}
RICH = {
    "embedding": {"dim": 5, "word_dropout": 0.2},
    "input_dropout": 0.2,
    "rnn": {"cell": "lstm", "hidden": 4, "layers": 2, "bidirectional": True, "dropout": 0.2, **STATES},
    "dropout": 0.2,
}
NGRAMS = {"kind": "ngrams", "shortest": 2, "longest": 3, "buckets": 50}


@pytest.fixture
def data(workdir):
    return write_conllu(workdir / "a.conllu", 60)


@pytest.mark.parametrize("spelling", [None, {"kind": "characters"}, NGRAMS], ids=["none", "characters", "ngrams"])
def test_it_learns(data, spelling):
    model = {"spelling": None, "rnn": {"cell": "gru", "hidden": 8, "bidirectional": True}}
    config = tagging_config(data, data={"spelling": spelling}, model=model, train={"epochs": 25})
    trainer, _ = trainer_of(config)
    figures = [event.figures for event in trainer.run() if isinstance(event, Validated)]
    assert figures[-1]["accuracy"] > 0.97
    assert 5 * figures[-1]["loss"] < figures[0]["loss"]
    assert figures[-1]["loss"] < 0.2
    assert figures[-1]["entity_f1"] is None
    if spelling is not None:
        assert figures[-1]["unseen_accuracy"] > 0.6  # made-up nouns are the only words with digits


def test_the_same_seed_gives_the_same_bits_and_a_validation_in_between_changes_nothing(data):
    runs = [trainer_of(tagging_config(data, model=RICH, train=train))[0] for train in ({}, {}, {"validate_every": 1})]
    steps = [[event for event in trainer.run() if isinstance(event, StepDone)] for trainer in runs]
    assert steps[0] == steps[1] == steps[2]
    for name, array in runs[0].model.params.items():
        assert (array == runs[1].model.params[name]).all()
        assert (array == runs[2].model.params[name]).all()
    assert sum(event.counted for event in steps[0] if event.epoch == 1) == len(runs[0].work.train.ids)


def test_the_words_of_a_part_are_found_in_the_whole(data):
    trainer, _ = trainer_of(tagging_config(data))
    train = trainer.work.train
    items = np.array([5, 2, 9, 30, 11, 0, 17])
    whole = make_tagged_batch(train, items)
    for mine in deal(train.lengths[items], 3):
        part = make_tagged_batch(train, items[mine])
        places = part_of_words(train.lengths[items], mine)
        assert places.total == len(whole.ids)
        assert (whole.ids[places.rows] == part.ids).all()
        assert (whole.y[places.rows] == part.y).all()
        ours = unpack_tags(places.rows, part.packing)
        theirs = unpack_tags(np.arange(len(whole.ids)), whole.packing)
        assert all((a == theirs[place]).all() for a, place in zip(ours, mine, strict=True))


@pytest.mark.parametrize("shares_memory", [True, False])
@pytest.mark.parametrize("size", [2, 3, 9])
@pytest.mark.parametrize("spelling", [{"kind": "characters"}, NGRAMS], ids=["characters", "ngrams"])
def test_steps_do_not_depend_on_how_many_share_them(data, size, shares_memory, spelling):
    """Seven sentences: of nine ranks two have none."""
    trainer, _ = trainer_of(tagging_config(data, model={**RICH, "spelling": None}, data={"spelling": spelling}))
    params = {name: array.astype(np.float64) for name, array in trainer.model.params.items()}
    items = np.array([5, 2, 9, 30, 11, 0, 17])

    def run(size, shares_memory):
        def work(exchange):
            lead = exchange.rank == 0
            given = {name: array.copy() for name, array in params.items()} if lead else None
            own = replace(trainer.work, model=replace(trainer.model, params=exchange.place(given)))
            optimizer = replace(trainer.optimizer, state={})
            optimizer.prepare(params)
            optimizer.state = exchange.place(optimizer.state if lead else None)
            member = Member(exchange, own, optimizer, 5, 0.5)
            outcomes = [member._step(number, items, 0.01) for number in range(3)]
            member._collect()
            return outcomes, {**own.model.params, **optimizer.state}

        return on_every_rank(size, work, shares_memory=shares_memory)[0]

    alone, expected = run(1, True)
    outcomes, found = run(size, shares_memory)
    for ours, theirs in zip(outcomes, alone, strict=True):
        assert ours.loss == pytest.approx(theirs.loss, rel=1e-12)
        assert ours.hits == theirs.hits
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-7, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("size", [2, 3, 7])
def test_tags_are_the_same_bits_for_any_team_and_batch(data, size, monkeypatch):
    trainer, _ = trainer_of(tagging_config(data))
    list(trainer.run())
    monkeypatch.setattr("rnncli.tagging.SCORING_BATCH", 4)
    work = trainer.work
    alone = tag_texts(work.model, work.valid)
    found = on_every_rank(size, lambda exchange: tag_texts(work.model, work.valid, exchange))[0]
    assert (found.tags == alone.tags).all()
    assert (found.nats == alone.nats).all()
    assert (found.confidence == alone.confidence).all()
    monkeypatch.setattr("rnncli.tagging.SCORING_BATCH", 1000)
    together = tag_texts(work.model, work.valid)
    np.testing.assert_allclose(together.nats, alone.nats, rtol=1e-4, atol=1e-5)
    for row in range(3):
        batch = make_tagged_batch(work.valid, np.array([row]))
        logits, _ = work.model.forward(batch)
        own = slice(*work.valid.offsets[row : row + 2])
        assert (logits.argmax(axis=1) == alone.tags[own]).all()


def test_a_tag_that_training_lacks_counts_in_no_loss_and_is_never_right(workdir):
    write_conllu(workdir / "a.conllu")
    text = write_conllu(workdir / "b.conllu", 12, seed=3).read_text()
    (workdir / "b.conllu").write_text(text.replace("\tVERB\t", "\tX\t"))
    data = {"valid": {"format": "conllu", "path": "b.conllu"}, "valid_fraction": None}
    values = tagging_config("a.conllu").model_dump(mode="json")
    values["data"] |= data
    del values["data"]["valid_fraction"]
    from rnncli.config import parse_config

    trainer, _ = trainer_of(parse_config(values, "x"))
    list(trainer.run())
    work = trainer.work
    assert work.valid.tags[-1] == "X"
    assert len(work.valid.tags) == 4
    tagged = tag_texts(work.model, work.valid)
    lacking = work.valid.labels == 3
    assert np.isnan(tagged.nats[lacking]).all()
    assert np.isfinite(tagged.nats[~lacking]).all()
    assert tagged.tags.max() < 3
    report = report_on(work.valid, tagged)
    assert report["loss"] == pytest.approx(tagged.nats[~lacking].mean())
    right = tagged.tags == work.valid.labels
    assert tagged.confidence[right] == pytest.approx(np.exp(-tagged.nats[right]))
    assert (tagged.confidence[~right & ~lacking] >= np.exp(-tagged.nats[~right & ~lacking])).all()
    assert report["accuracy"] <= 1 - lacking.mean()


def test_a_run_is_resumed_and_saved_with_all_it_needs(data):
    config = tagging_config(data, model=RICH, train={"average": 0.9, "epochs": 3, "checkpoint_every_steps": 1})
    straight, broken = RunDir(data.parent / "straight"), RunDir(data.parent / "broken")
    train_run(config, straight, Silent())

    class Stop(Exception):
        pass

    class Watcher(Silent):
        def step(self, event, speed):
            if event.step == 8:
                raise Stop

    with pytest.raises(Stop):
        train_run(config, broken, Watcher())
    train_run(config, broken, Silent(), resume=True)
    one, two = load_trained(straight.best), load_trained(broken.best)
    assert all((array == two.model.params[name]).all() for name, array in one.model.params.items())
    assert all((array == two.arrays[name]).all() for name, array in one.arrays.items())
    _, dataset = trainer_of(config)
    assert one.learned.tags == dataset.codec.tags
    assert one.learned.words.tokens == dataset.codec.words.tokens
    again = one.use_average()
    tagged = tag_texts(again.model, dataset.valid)
    rows = [row for row in train_metrics(straight) if row["improved"]]
    assert report_on(dataset.valid, tagged)["accuracy"] == rows[-1]["accuracy"]


def train_metrics(run_dir):
    import json

    rows = [json.loads(line) for line in run_dir.metrics.read_text().splitlines()]
    return [row for row in rows if row["kind"] == "validation"]


def test_two_processes_train(data):
    runs = {}
    for workers in (1, 2):
        run_dir = RunDir(data.parent / str(workers))
        config = tagging_config(data, model=RICH, train={"workers": workers, "max_steps": 5})
        assert train_run(config, run_dir, Silent()).processes == workers
        runs[workers] = load_trained(run_dir.last).model.params
    for name, array in runs[1].items():
        np.testing.assert_allclose(runs[2][name], array, rtol=2e-3, atol=2e-4, err_msg=name)


def test_weights_are_taken_by_word_and_character(workdir):
    write_conllu(workdir / "a.conllu", 30, seed=1)
    write_conllu(workdir / "b.conllu", 30, seed=9)
    first, second = tagging_config("a.conllu"), tagging_config("b.conllu", seed=2)
    train_run(first, RunDir(workdir / "runs/first"), Silent())
    source = load_trained(workdir / "runs/first/last.safetensors")
    trainer, data = trainer_of(second)
    before = {name: array.copy() for name, array in trainer.model.params.items()}
    task_of(second).take_weights(second, trainer.model, data, source, "first")
    params = trainer.model.params
    for name, ours, theirs in (
        ("embedding.W", data.codec.words, source.learned.words),
        ("spelling.W", data.codec.characters, source.learned.characters),
    ):
        known = [token in theirs for token in ours.tokens]
        assert any(known)
        for row, token in enumerate(ours.tokens):
            expected = source.model.params[name][theirs.encode([token])[0]] if known[row] else before[name][row]
            assert (params[name][row] == expected).all()
    for name in ("rnn0.bwd.Wh", "spelling.fwd.Wx", "output.w"):
        assert (params[name] == source.model.params[name]).all()
