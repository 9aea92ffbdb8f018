import math
import statistics
from pathlib import Path

import pytest
from tiny_runs import Silent, prepared, tiny_config, tiny_values, write_csv
from tiny_tasks import language_values, tagging_values, write_conllu, write_text

from rnncli import seeds
from rnncli.assembly import build_trainer
from rnncli.config import parse_config
from rnncli.errors import ConfigError, GradientError, RnncliError
from rnncli.evaluation import rows_of_config
from rnncli.run_dir import RunDir
from rnncli.seeds import SeedRun, parse_seeds, spread, spreads, train_seeds, with_seed
from rnncli.tasks import task_of
from rnncli.verifying import digests_of


@pytest.fixture
def config(workdir):
    return tiny_config(write_csv(workdir / "tiny.csv"), name="c", seed=5)


@pytest.mark.parametrize(
    ("text", "expected"), [("3", (5, 6, 7)), ("1,2", (1, 2)), (" 9 , 4", (9, 4)), ("7,0,8", (7, 0, 8))]
)
def test_how_many_or_which(text, expected):
    assert parse_seeds(text, 5) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must be how many"),
        ("x", "must be how many"),
        ("1,,2", "must be how many"),
        ("-1,2", "must be how many"),
        ("1.5", "must be how many"),
        ("²", "must be how many"),
        ("9" * 5000, "must be how many"),
        ("1", "from 2 to 1000"),
        ("0", "from 2 to 1000"),
        ("1001", "from 2 to 1000"),
        ("3,4,3", "names a seed twice"),
    ],
)
def test_what_are_no_seeds_is_refused(text, said):
    with pytest.raises(ConfigError, match=said) as caught:
        parse_seeds(text, 1)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_the_spread_is_that_of_a_sample():
    values = [0.71, 0.74, 0.78, 0.72]
    found = spread(values)
    assert found.mean == pytest.approx(statistics.mean(values), rel=1e-15)
    assert found.deviation == pytest.approx(statistics.stdev(values), rel=1e-12)
    assert (found.low, found.high, found.size) == (0.71, 0.78, 4)
    assert spread([0.5]) == (0.5, None, 0.5, 0.5, 1)


def texts_of(config):
    return [row.text for row in rows_of_config(config)[0]]


def test_the_split_stays_and_all_else_is_drawn_anew(config):
    first, second = (with_seed(config, seed) for seed in (5, 6))
    assert (first.seed, first.name, second.seed, second.name) == (5, "c-seed5", 6, "c-seed6")
    assert texts_of(first) == texts_of(second) == texts_of(config)
    assert [len(task_of(one).load(one, None).valid) for one in (first, second)] == [len(texts_of(config))] * 2
    trainers = [build_trainer(one, task_of(one).load(one, None)) for one in (first, second)]
    weights = [trainer.model.params["embedding.W"] for trainer in trainers]
    assert (weights[0] != weights[1]).any()
    orders = [[batch.tolist() for batch in trainer.work.order(0)] for trainer in trainers]
    assert orders[0] != orders[1]


def test_the_seed_of_the_config_trains_as_it_would_alone(config):
    alone, _ = prepared(config)
    first = with_seed(config, config.seed)
    trainer = build_trainer(first, task_of(first).load(first, None))
    for one in (alone, trainer):
        list(one.run())
    for name, array in alone.model.params.items():
        assert array.tobytes() == trainer.model.params[name].tobytes()


def test_the_split_may_be_drawn_anew_too(config):
    other = with_seed(config, 6, vary_split=True)
    assert other.data.split_seed is None
    assert texts_of(other) != texts_of(config)
    assert texts_of(other) == texts_of(tiny_config("tiny.csv", seed=6))


def test_where_no_split_depends_on_a_seed_there_is_none_to_hold_or_vary(workdir):
    write_csv(workdir / "tiny.csv")
    write_text(workdir / "t.txt")
    values = tiny_values("tiny.csv")
    values["data"] |= {"valid": values["data"]["train"]}
    del values["data"]["valid_fraction"]
    given, text = parse_config(values, "given"), parse_config(language_values("t.txt"), "text")
    held = tiny_config("tiny.csv", data={"split_seed": 3})
    for one, why in ((given, "data.valid names"), (text, "end of the text"), (held, "data.split_seed 3 holds")):
        assert with_seed(one, 8).seed == 8
        with pytest.raises(ConfigError, match=why):
            with_seed(one, 8, vary_split=True)
    assert with_seed(held, 8).data.split_seed == 3


def test_a_tagger_keeps_its_split(workdir):
    config = parse_config(tagging_values(write_conllu(workdir / "t.conllu")), "tags")
    parts = [task_of(one).load(one, None).valid for one in (with_seed(config, 1), with_seed(config, 2))]
    assert parts[0].ids.tolist() == parts[1].ids.tolist()
    anew = with_seed(config, 2, vary_split=True)
    assert task_of(anew).load(anew, None).valid.ids.tolist() != parts[0].ids.tolist()


def train(config, *which, **options):
    return list(train_seeds(config, which, Path("runs/c"), lambda seed: Silent(), **options))


def test_each_seed_is_a_run_of_its_own(config):
    done = train(config, 5, 6)
    assert [one.run_dir for one in done] == [Path("runs/c-seed5"), Path("runs/c-seed6")]
    found = spreads(done, "last", ["accuracy", "loss", "entity_f1"])
    assert set(found) == {"accuracy", "loss"}
    losses = [one.summary.validations[-1]["loss"] for one in done]
    assert losses[0] != losses[1]
    assert found["loss"].mean == math.fsum(losses) / 2
    best = [max(row["accuracy"] for row in one.summary.validations) for one in done]
    assert spreads(done, "best", ["accuracy"])["accuracy"][2:4] == (min(best), max(best))


def test_earlier_runs_are_refused_before_anything_is_trained(config):
    train(config, 6)
    with pytest.raises(RnncliError, match=r"runs/c-seed6: holds an earlier run\. Add --resume"):
        train(config, 5, 6)
    assert not Path("runs/c-seed5").exists()
    assert len(train(config, 5, 6, overwrite=True)) == 2


def test_what_is_finished_is_not_trained_again_and_what_is_missing_is(config):
    train(config, 5)
    before = digests_of(RunDir(Path("runs/c-seed5")))
    Path("runs/c-seed6").mkdir()
    Path("runs/c-seed6/config.yaml").write_text("a run that was killed before its first checkpoint")
    done = train(config, 5, 6, 7, resume=True)
    assert [one.summary.steps > 0 for one in done] == [False, True, True]
    assert digests_of(RunDir(Path("runs/c-seed5"))) == before
    assert [len(one.summary.validations) for one in done] == [2, 2, 2]


def test_a_seed_that_fails_does_not_keep_the_others_from_it(config, monkeypatch):
    whole = seeds.train_run

    def failing(settings, *arguments, **options):
        if settings.seed == 6:
            raise GradientError("the loss is nan")
        return whole(settings, *arguments, **options)

    monkeypatch.setattr(seeds, "train_run", failing)
    done = train(config, 5, 6, 7)
    assert [one.why for one in done] == [None, "the loss is nan", None]
    assert done[1] == SeedRun(6, Path("runs/c-seed6"), None, "the loss is nan")
    assert done[1].figures("best") == {}
    assert spreads(done, "best", ["loss"])["loss"].size == 2


def test_several_processes_train_each_seed(config):
    values = config.model_dump(mode="json")
    values["train"]["workers"] = 2
    done = train(parse_config(values, "two"), 1, 2)
    assert [one.summary.processes for one in done] == [2, 2]
