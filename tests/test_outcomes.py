"""What models make of their data, unit by unit."""

import math
from pathlib import Path

import numpy as np
import pytest
from finished_runs import ENTITIES, GRU, LANGUAGE, RNN, TAGGER, THREE
from tiny_tasks import write_text

from rnncli import outcomes
from rnncli.errors import ConfigError, DataError
from rnncli.outcomes import ENTITY_F1, HEADLINES, GivenData, Reader
from rnncli.run_records import load_records


def outcome_of(path, given=None):
    return Reader(given).outcome(load_records([path])[0].trained)


@pytest.mark.parametrize(
    ("path", "unit"),
    [(GRU, "texts"), (THREE, "texts"), (TAGGER, "sentences"), (ENTITIES, "sentences"), (LANGUAGE, "lines")],
)
def test_the_units_add_up_to_the_figures_of_the_run(finished, path, unit):
    (record,) = load_records([path])
    found = Reader().outcome(record.trained)
    head = HEADLINES[record.trained.config.task]
    assert found.unit == unit
    assert found.counted.sum() / found.sizes.sum() == pytest.approx(found.report[head.key], rel=1e-12)
    assert found.report[head.key] == pytest.approx(record.recorded[head.key], rel=1e-9)
    assert found.sizes.shape == found.counted.shape


def test_a_sentence_is_right_as_a_whole(finished):
    found = outcome_of(TAGGER)
    assert found.right.mean() == found.report["sentence_accuracy"]
    assert found.sizes.sum() == found.report["tokens"]


def test_entities_add_up_to_their_f1(finished):
    found = outcome_of(ENTITIES)
    above, below = found.sums(ENTITY_F1)
    assert above.sum() > 0
    assert above.sum() / below.sum() == pytest.approx(found.report["entities"]["f1"], rel=1e-12)
    assert found.sums(HEADLINES["tagging"])[0] is found.counted
    assert outcome_of(TAGGER).entities is None


def test_long_texts_are_cut_into_blocks_of_lines(finished, monkeypatch):
    by_line = outcome_of(LANGUAGE)
    monkeypatch.setattr(outcomes, "MOST_BLOCKS", 5)
    found = outcome_of(LANGUAGE)
    assert (found.unit, len(found.counted)) == ("blocks of lines", 5)
    assert found.counted.sum() == pytest.approx(by_line.counted.sum())
    assert found.key == by_line.key
    bits = sum(line.nats for line in found.details) / math.log(2)
    assert found.counted.sum() == pytest.approx(bits)


def test_the_same_data_has_the_same_key(finished):
    assert outcome_of(GRU).key == outcome_of(RNN).key
    assert outcome_of(GRU).key != outcome_of(THREE).key
    given = GivenData(Path("tiny.csv"), None, {})
    assert outcome_of(GRU, given).key == outcome_of(RNN, given).key != outcome_of(GRU).key


def test_one_label_makes_other_data(finished):
    given = GivenData(Path("tiny.csv"), None, {})
    before = outcome_of(GRU, given)
    lines = Path("tiny.csv").read_text().splitlines()
    Path("tiny.csv").write_text("\n".join([*lines[:-1], lines[-1].replace(",neg", ",pos")]) + "\n")
    after = outcome_of(GRU, given)
    assert after.key != before.key
    assert after.right[:-1].tolist() == before.right[:-1].tolist()
    assert after.right[-1] != before.right[-1]


def test_data_that_several_share_is_read_once(finished, monkeypatch):
    calls = []
    read = outcomes.rows_of_config
    monkeypatch.setattr(outcomes, "rows_of_config", lambda config: calls.append(config) or read(config))
    reader = Reader()
    for record in load_records([GRU, RNN, THREE]):
        reader.outcome(record.trained)
    assert len(calls) == 2


def test_given_data_of_each_task(finished):
    write_text(Path("new.txt"), 20)
    assert outcome_of(LANGUAGE, GivenData(Path("new.txt"), None, {})).data == "text new.txt"
    assert outcome_of(TAGGER, GivenData(Path("tiny.conllu"), None, {})).data == "test data tiny.conllu"
    with pytest.raises(ConfigError, match="no format of sentences"):
        outcome_of(TAGGER, GivenData(Path("tiny.csv"), "csv", {}))
    with pytest.raises(DataError):
        outcome_of(GRU, GivenData(Path("none.csv"), None, {}))


def test_truth_is_compared_by_name(finished):
    found = outcome_of(THREE)
    (record,) = load_records([THREE])
    labels = record.trained.learned.labels
    best = found.details.probabilities.argmax(axis=1)
    expected = [row.label == labels[place] for row, place in zip(found.details.rows, best, strict=True)]
    assert np.array_equal(found.right, expected)
