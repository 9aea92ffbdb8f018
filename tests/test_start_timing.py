from types import SimpleNamespace

import pytest
from tiny_runs import write_csv
from tiny_tasks import write_conllu, write_text

from rnncli import start_timing
from rnncli.start_choices import start_choices
from rnncli.start_facts import find_facts
from rnncli.start_timing import pace_on

SOURCES = {
    "classification": {"format": "csv", "path": "tiny.csv"},
    "tagging": {"format": "conllu", "path": "a.conllu", "column": "upos"},
    "language_model": {"format": "text", "path": "a.txt"},
}


@pytest.fixture(autouse=True)
def data(workdir, monkeypatch):
    write_csv(workdir / "tiny.csv", repeats=3)
    write_conllu(workdir / "a.conllu", 60)
    write_text(workdir / "a.txt", 100)
    monkeypatch.setattr(start_timing, "SECONDS", 0.02)


@pytest.mark.parametrize("task", SOURCES)
def test_every_task_is_measured_and_nothing_is_written(task, workdir, monkeypatch):
    monkeypatch.setattr(start_timing, "WORTH_SHARING", float("inf"))  # whatever else this machine does
    facts = find_facts(task, SOURCES[task])
    before = sorted(workdir.rglob("*"))
    pace = pace_on(facts)(next(start_choices(facts))[0])
    assert sorted(workdir.rglob("*")) == before
    assert pace.start >= facts.seconds > 0
    assert min(pace.training, pace.scoring, pace.save, pace.step) > 0
    assert pace.processes == 1
    assert pace.cpu_share is not None


@pytest.mark.parametrize(("slower", "processes"), [(0.0, 2), (float("inf"), 1)])
def test_long_steps_are_shared_unless_that_is_slower(slower, processes, monkeypatch):
    """Batches of 16 texts are for one process; of 32, for two."""
    monkeypatch.setattr(start_timing, "WORTH_SHARING", 0.0)
    monkeypatch.setattr(start_timing, "SLOWER", slower)
    monkeypatch.setattr("rnncli.run.physical_cores", lambda: 2)
    facts = find_facts("classification", SOURCES["classification"])
    start = next(start_choices(facts))[0]
    assert pace_on(facts)(start).processes == 1
    pace = pace_on(facts)(start.with_values("train", {}, batch_size=32))
    assert pace.processes == processes
    assert (pace.cpu_share is None) == (processes == 2)


@pytest.mark.parametrize("task", SOURCES)
def test_every_task_is_measured_with_two_processes(task, monkeypatch):
    monkeypatch.setattr(start_timing, "WORTH_SHARING", 0.0)
    monkeypatch.setattr(start_timing, "SLOWER", 0.0)
    monkeypatch.setattr("rnncli.run.physical_cores", lambda: 2)
    facts = find_facts(task, SOURCES[task])
    start = next(start_choices(facts))[0].with_values("train", {}, batch_size=32)
    assert pace_on(facts)(start).processes == 2


def test_a_part_of_the_data_stands_for_all_of_it(monkeypatch):
    """Reading takes as long as it did; what is done with each text is done with so many more."""
    monkeypatch.setattr(start_timing, "plan_loaded", lambda config, data, seconds: planned(data))
    monkeypatch.setattr(start_timing, "perf_counter", iter(range(100)).__next__)
    monkeypatch.setattr(start_timing, "WORTH_SHARING", float("inf"))
    facts = find_facts("classification", SOURCES["classification"])
    start = next(start_choices(facts))[0]
    facts.seconds = 5.0
    whole = pace_on(facts)(start).start
    assert whole == pytest.approx(5 + 1 * 72 / 80 + 0.25)  # every tenth text is there twice
    facts.texts *= 10
    assert pace_on(facts)(start).start == pytest.approx(5 + 1 * 720 / 80 + 0.25)


def planned(data):
    """Return a plan with the little that is read of it."""
    return SimpleNamespace(
        task="classification",
        seconds={"start": 0.25, "validation": 1.0, "save": 0.1},
        data={"valid_tokens": 10},
        tokens_per_second=1.0,
        processes=1,
        step_seconds={"median": 1.0},
        cpu_share=0.5,
    )


def test_a_step_is_reckoned_in_time_of_a_core():
    plan = SimpleNamespace(**{**vars(planned(None)), "cpu_share": 0.25})
    assert start_timing._pace(plan, 0.0).step == 0.25


@pytest.mark.parametrize(("task", "scoring"), [("classification", 10.0), ("language_model", 25.0)])
def test_a_language_model_that_has_hardly_learned_is_scored_slower_than_one_that_has(task, scoring):
    plan = SimpleNamespace(**{**vars(planned(None)), "task": task, "tokens_per_second": 25.0})
    assert start_timing._pace(plan, 0.0).scoring == scoring
    plan.data["valid_tokens"] = 40
    assert start_timing._pace(plan, 0.0).scoring == 40.0
