from types import SimpleNamespace

import pytest
from made_facts import SOURCES, character_facts, sentence_facts, text_facts

from rnncli import start_sizes
from rnncli.budgets import Start
from rnncli.start_sizes import batch_and_steps, counted, halves, sized, tokens_of, valid_fraction, why_epochs

START = Start("best", "1 epoch", {"train": {}})


@pytest.mark.parametrize(
    ("facts", "fraction"),
    [
        (text_facts(999), 0.2),
        (text_facts(1000), 0.1),
        (text_facts(200_000), 0.1),
        (text_facts(1_000_000), 0.02),
        (sentence_facts(999), 0.2),
        (character_facts(500), 0.1),
        (text_facts(999, others={"valid": SOURCES["classification"]}), 0.0),
    ],
)
def test_the_part_for_validation_is_large_enough_and_no_larger_than_helps(facts, fraction):
    assert valid_fraction(facts) == fraction


@pytest.mark.parametrize(
    ("texts", "batch", "steps"), [(100, 16, 5), (600, 16, 30), (640, 32, 16), (2220, 32, 63), (2223, 64, 32)]
)
def test_few_texts_have_small_batches(texts, batch, steps):
    assert batch_and_steps(text_facts(texts), (64, 32, 16)) == (batch, steps)


@pytest.mark.parametrize(("epochs", "expected"), [(1, [1]), (2, [2, 1]), (3, [3, 2, 1]), (30, [30, 15, 8, 4, 2, 1])])
def test_halves_end_at_one(epochs, expected):
    assert list(halves(epochs)) == expected


def test_tokens_are_those_that_are_kept_of_all_texts():
    facts = text_facts(10_000, [100, 300])
    assert tokens_of(facts, None) == 2_000_000
    assert tokens_of(facts, 200) == 1_500_000
    assert tokens_of(facts, 50) == 500_000


def test_a_start_is_sized_by_its_parts():
    start = sized(text_facts(10_000, 200), START, 2, 141, None)
    assert (start.steps, start.steps_per_epoch) == (282, 141)
    assert (start.train_tokens, start.valid_tokens) == (1_800_000, 200_000)
    own = sized(text_facts(10_000, 200, others={"valid": SOURCES["classification"]}), START, 2, 157, 100)
    assert own.train_tokens == 1_000_000
    assert own.valid_tokens == 100_000


@pytest.mark.parametrize(
    ("facts", "steps", "every"),
    [
        (text_facts(9000), 2100, None),
        (text_facts(9000), 2101, 1050),
        (text_facts(9000), 16_000, 4000),
        (sentence_facts(9000), 4700, None),
        (sentence_facts(9000), 4701, 2350),
    ],
)
def test_long_epochs_are_validated_within(facts, steps, every, monkeypatch):
    monkeypatch.setattr(start_sizes, "CLASSIFIERS", [SimpleNamespace(steps=1050)])
    monkeypatch.setattr(start_sizes, "TAGGER", SimpleNamespace(steps=2350))
    assert sized(facts, START, 1, steps, None).values["train"].get("validate_every") == every


def test_epochs_are_said_with_their_steps():
    assert why_epochs(3, 1352) == {"train.epochs": "of some 1,352 steps, 4,056 in all"}
    assert why_epochs(1, 1352) == {"train.epochs": "of some 1,352 steps"}
    assert (counted(1), counted(2)) == ("1 epoch", "2 epochs")
