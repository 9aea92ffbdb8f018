"""Runs beside each other."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from finished_runs import ENTITIES, GRU, LANGUAGE, RNN, TAGGER, THREE

from rnncli.comparing import bootstrap, holm, mcnemar, percentiles
from rnncli.errors import ConfigError, DataError
from rnncli.judging import evaluated_on, judge, run_figures, summary
from rnncli.outcomes import GivenData, Reader
from rnncli.run_records import load_records
from rnncli.side_by_side import config_differences, differences


def judged(*paths, given=None):
    return judge(load_records(paths), Reader(given), draws=500)


def with_right(run, right):
    """Return a run that is right about other texts."""
    report = {**run.outcome.report, "accuracy": right.mean()}
    return replace(run, outcome=replace(run.outcome, right=right, counted=right.astype(float), report=report))


def test_the_interval_is_that_of_the_bootstrap(finished):
    (run,) = judged(GRU)
    figures = run_figures(run)
    assert figures["interval"] == list(percentiles(bootstrap(run.outcome.counted, run.outcome.sizes, draws=500)[0]))
    assert figures["figures"]["accuracy"] == run.outcome.report["accuracy"]
    assert (figures["unit"], figures["units"]) == ("texts", len(run.outcome.counted))
    assert figures["not_evaluated"] is None


def test_classifiers_are_tested_by_mcnemar(finished):
    gru, rnn = judged(GRU, RNN)
    (pair,) = differences([gru, rnn])
    assert pair["test"] == "McNemar"
    assert pair["mcnemar"] == mcnemar(gru.outcome.right, rnn.outcome.right)._asdict()
    assert pair["p"] == pair["p_holm"] == pair["mcnemar"]["p"]
    assert pair["difference"] == rnn.outcome.report["accuracy"] - gru.outcome.report["accuracy"]
    before, after = bootstrap([gru.outcome.counted, rnn.outcome.counted], np.ones((2, len(gru.outcome.counted))))
    assert pair["interval"] == list(percentiles(after - before))


def test_an_interval_does_not_depend_on_the_company(finished):
    (alone,) = judged(GRU)
    assert judged(RNN, GRU)[1].interval == alone.interval
    pairs = differences(judged(GRU, GRU / "last.safetensors", RNN), draws=300)
    (pair,) = differences(judged(GRU, RNN), draws=300)
    assert (pairs[1]["interval"], pairs[1]["p"]) == (pair["interval"], pair["p"])


def test_verdicts(finished):
    (gru,) = judged(GRU)
    right = np.arange(len(gru.outcome.counted)) % 2 == 0
    first = with_right(gru, right)
    assert [pair["verdict"] for pair in differences([first, first])] == ["no clear difference"]
    better, worse = with_right(gru, np.ones_like(right)), with_right(gru, np.zeros_like(right))
    pairs = differences([first, better, worse, first])
    assert [pair["verdict"] for pair in pairs] == ["better", "worse", "no clear difference"]
    assert [pair["p_holm"] for pair in pairs] == holm([pair["p"] for pair in pairs])
    assert max(pairs[0]["p_holm"], pairs[1]["p_holm"]) >= 2 * pairs[0]["p"]


def test_a_verdict_goes_by_the_corrected_chance(finished):
    (gru,) = judged(GRU)
    right = np.zeros(len(gru.outcome.counted), bool)
    right[:6] = True  # against none: p = 2 / 2**6
    first, other = with_right(gru, np.zeros_like(right)), with_right(gru, right)
    assert [pair["verdict"] for pair in differences([first, other])] == ["better"]
    pairs = differences([first, other, other])
    assert [pair["p_holm"] for pair in pairs] == pytest.approx([0.0625, 0.0625])
    assert [pair["verdict"] for pair in pairs] == ["no clear difference"] * 2


def test_of_a_language_model_less_is_better(finished):
    (run,) = judged(LANGUAGE)
    report = {**run.outcome.report, "bits_per_character": run.outcome.report["bits_per_character"] / 2}
    cheaper = replace(run, outcome=replace(run.outcome, counted=run.outcome.counted / 2, report=report))
    (pair,) = differences([run, cheaper])
    assert (pair["verdict"], pair["test"], pair["mcnemar"]) == ("better", "paired bootstrap", None)
    assert pair["p"] < 0.01


def test_taggers_are_tested_by_word_and_by_sentence(finished):
    (run,) = judged(TAGGER)
    (pair,) = differences([run, run])
    assert (pair["test"], pair["p"], pair["verdict"]) == ("paired bootstrap", 1.0, "no clear difference")
    assert pair["mcnemar"] == {"first_only": 0, "second_only": 0, "p": 1.0}


def test_other_data_is_not_compared(finished):
    (pair,) = differences(judged(GRU, THREE))
    assert pair == {"run": "three", "with": "gru", "not_compared": "they were evaluated on different data"}


def test_a_run_whose_data_is_gone_has_what_it_recorded(finished):
    Path("tiny.csv").unlink()
    gru, three = judged(GRU, THREE)
    assert "tiny.csv" in gru.why
    assert gru.figures["accuracy"] == gru.record.recorded["accuracy"]
    assert run_figures(gru)["interval"] is None
    assert summary(gru)["95% interval"] == "-"
    assert summary(gru)["accuracy"] == f"{gru.record.recorded['accuracy']:.2%}"
    assert three.outcome is not None
    assert differences([three, gru])[0]["not_compared"] == "gru could not be evaluated"


def test_what_several_were_evaluated_on_is_said_once(finished):
    assert [line.partition(": ")[0] for line in evaluated_on(judged(GRU, THREE, RNN))] == ["gru, rnn", "three"]
    (line,) = evaluated_on(judged(GRU, RNN))
    assert line.startswith("validation part (0.3) of tiny.csv; ")
    Path("three.csv").unlink()
    lines = evaluated_on(judged(THREE, GRU))
    assert lines[0].startswith("three: not evaluated, these are the figures of its training: three.csv: ")


def test_given_data_that_cannot_be_read_is_an_error(finished):
    with pytest.raises(DataError, match="none"):
        judged(GRU, given=GivenData(Path("none.csv"), None, {}))


def test_tasks_are_not_mixed(finished):
    with pytest.raises(ConfigError, match=r"several tasks \(classification, tagging\)"):
        judged(GRU, TAGGER)


@pytest.mark.parametrize(
    ("path", "headings"),
    [
        (GRU, ["accuracy", "95% interval", "macro F1", "loss, nats"]),
        (TAGGER, ["accuracy", "95% interval", "unseen", "entities", "macro F1", "loss, nats"]),
        (LANGUAGE, ["bits/char", "95% interval", "perplexity", "accuracy", "loss, nats"]),
    ],
)
def test_a_summary_of_each_task(finished, path, headings):
    (run,) = judged(path)
    found = summary(run)
    assert list(found) == [*headings, "parameters", "tokens/s", "whole run", "peak memory", "epoch"]
    assert found["epoch"] == f"{run.record.recorded['epoch']} of 2"
    assert found["peak memory"].endswith(" MB")


def test_entities_are_in_the_summary(finished):
    (run,) = judged(ENTITIES)
    assert summary(run)["entity F1"] == f"{run.outcome.report['entities']['f1']:.2%}"
    assert list(summary(run))[:3] == ["entity F1", "95% interval", "accuracy"]
    low, high = run.interval
    assert low <= run.outcome.report["entities"]["f1"] <= high


def test_taggers_of_entities_are_compared_by_these(finished):
    first, other = judged(ENTITIES, ENTITIES / "last.safetensors")
    nothing = np.zeros(len(first.outcome.counted))
    report = {**first.outcome.report, "entities": {**first.outcome.report["entities"], "f1": 0.0}}
    worse = replace(first, outcome=replace(first.outcome, report=report, entities=(nothing, first.outcome.entities[1])))
    (pair,) = differences([first, worse])
    assert pair["difference"] == -first.outcome.report["entities"]["f1"] < 0
    before, after = bootstrap(*zip(first.outcome.entities, worse.outcome.entities, strict=True))
    assert pair["interval"] == list(percentiles(after - before))
    assert (pair["test"], pair["verdict"], first.headline.key) == ("paired bootstrap", "worse", "entity_f1")
    assert other.headline == first.headline
    # Beside a tagger of another kind there is only accuracy.
    assert [run.headline.key for run in judged(ENTITIES, TAGGER)] == ["accuracy", "accuracy"]
    Path("tiny.columns").unlink()
    (gone,) = judged(ENTITIES)
    assert (gone.outcome, gone.headline.key) == (None, "entity_f1")


def test_the_memory_of_one_process_of_several_is_called_so(finished):
    (run,) = judged(GRU)
    run.record.trained.progress["environment"]["processes"] = 2
    assert summary(run)["peak memory"].endswith(" MB, first of 2")


def test_config_differences_leave_out_the_name(finished):
    found = config_differences(load_records([GRU, RNN]))
    assert found["model.rnn.cell"] == ["gru", "rnn"]
    assert found["train.epochs"] == [2, 1]
    assert "name" not in found
    shutil.copytree(GRU, "runs/again")
    assert config_differences(load_records([GRU, Path("runs/again")])) == {}
