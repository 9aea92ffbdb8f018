from dataclasses import replace
from itertools import pairwise

import pytest
from made_facts import character_facts, sentence_facts, text_facts

import rnncli.start_choices
from rnncli.config import parse_config
from rnncli.recipes import CLASSIFIERS, LANGUAGE_MODELS, TAGGER
from rnncli.start_choices import start_choices

EVERY = {
    "texts": text_facts(25_000, [100, 300, 900]),
    "few texts": text_facts(60),
    "long texts": text_facts(3000, 50_000),
    "many labels": text_facts(5000, 50, 200),
    "uneven labels": text_facts(500, 20, {"a": 490, "b": 10}),
    "characters": text_facts(500, tokenizer="character"),
    "a million texts": text_facts(1_000_000),
    "sentences": sentence_facts(12_000),
    "entities": sentence_facts(100, ("B-PER", "I-PER", "O")),
    "a short text": character_facts(2000),
    "a play": character_facts(175_000),
    "plays": character_facts(1_100_000),
    "a library": character_facts(14_000_000),
}


def config_of(facts, start):
    """Return the config that a start is written as."""
    data = {"train": facts.source, **start.values["data"]}
    return parse_config({"task": facts.task, **start.values, "data": data}, "start")


def runs(facts):
    """Return kept tokens and epochs, or steps, of what could be recommended."""
    return [[(one.recipe, one.length) for one in variants] for variants in start_choices(facts)]


@pytest.mark.parametrize("name", EVERY)
def test_whatever_could_be_recommended_is_a_config_with_the_steps_that_are_reckoned_with(name):
    facts = EVERY[name]
    for variants in start_choices(facts):
        for start in variants:
            train = config_of(facts, start).train
            assert start.steps == min(train.epochs * start.steps_per_epoch, train.max_steps or 10**9)
            assert start.train_tokens > start.valid_tokens > 0
            assert set(start.why) >= {"train.epochs"}


@pytest.mark.parametrize("name", EVERY)
def test_of_one_recipe_each_variant_is_less_work_than_the_one_before(name):
    for variants in start_choices(EVERY[name]):
        work = [start.train_tokens * start.steps / start.steps_per_epoch for start in variants]
        assert all(more > less for more, less in pairwise(work)), work


def test_the_dearest_recipe_of_a_classifier_comes_first():
    names = [variants[0].recipe for variants in start_choices(EVERY["texts"])]
    assert names == [recipe.name for recipe in reversed(CLASSIFIERS)]


def test_a_tagger_has_fewer_epochs(monkeypatch):
    monkeypatch.setattr(rnncli.start_choices, "TAGGER", replace(TAGGER, steps=2350))
    assert [length for _, length in runs(sentence_facts(12_544))[0]] == ["7 epochs", "4 epochs", "2 epochs", "1 epoch"]
    assert config_of(EVERY["entities"], next(start_choices(EVERY["entities"]))[0]).train.best_metric == "entity_f1"
    assert "best_metric" not in next(start_choices(EVERY["sentences"]))[0].values["train"]


def test_a_language_model_suits_the_size_of_the_text_and_then_has_half_of_it():
    assert runs(character_facts(175_000)) == [
        [("gru of 192", "15 epochs"), ("gru of 192", "8 epochs")],
        [("gru of 96", "15 epochs"), ("gru of 96", "8 epochs"), ("gru of 96", "4 epochs"), ("gru of 96", "2 epochs")],
    ]
    whole = [next(start_choices(EVERY[name]))[0].values["model"]["rnn"]["hidden"] for name in ("plays", "a library")]
    assert whole == [recipe.hidden for recipe in LANGUAGE_MODELS[1:]]


def test_a_large_text_is_read_as_far_as_there_is_time_and_once_at_most():
    first, half = runs(EVERY["a library"])
    assert first == [("lstm of 320", "6,000 steps"), ("lstm of 320", "3,000 steps")]  # an epoch has 6,152
    assert half[0] == ("lstm of 160", "6,000 steps")
    (first, _) = runs(character_facts(60_000_000))
    assert [steps for _, steps in first] == ["24,000 steps", "12,000 steps", "6,000 steps", "3,000 steps"]


def test_a_short_text_is_read_in_few_parts():
    for variants in start_choices(EVERY["a short text"]):
        train = variants[0].values["train"]
        assert 20 <= 1800 / (train["batch_size"] * train["window"]) < 80


def test_only_files_of_a_folder_are_documents(workdir):
    (workdir / "plays").mkdir()
    facts = character_facts(175_000, source={"format": "text", "path": "plays"})
    assert next(start_choices(facts))[0].values["data"]["document_boundary"] == "file"
    assert "document_boundary" not in next(start_choices(EVERY["a play"]))[0].values["data"]


def test_seeds_of_language_models_are_not_averaged():
    averaged = {name: next(start_choices(EVERY[name]))[0].averages for name in ("texts", "sentences", "plays")}
    assert averaged == {"texts": True, "sentences": True, "plays": False}
