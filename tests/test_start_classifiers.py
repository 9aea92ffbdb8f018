from dataclasses import replace

import pytest
from made_facts import text_facts

from rnncli.data.rows import Row
from rnncli.recipes import CLASSIFIERS
from rnncli.start_classifiers import INPUT_NUMBERS, TABLE_NUMBERS, classifier_starts

# With figures of their own, as those of the table change with what is found to be better.
BEST = replace(CLASSIFIERS[-1], epochs=3, steps=1050, limits=(None, 1000, 400))
QUICK = replace(CLASSIFIERS[0], epochs=2, steps=700, limits=(400, 200, 100))


def variants(facts, recipe):
    return [
        (start.values["train"]["epochs"], start.values["data"]["max_length"])
        for start in classifier_starts(facts, recipe, recipe is QUICK)
    ]


def model(facts, recipe=BEST):
    return classifier_starts(facts, recipe, False)[0].values["model"]


def test_texts_are_cut_before_the_recipe_is_given_up():
    assert variants(text_facts(25_000, [100, 300, 1900]), BEST) == [(3, None), (3, 1000), (3, 400)]
    assert variants(text_facts(25_000, [100, 300, 900]), BEST) == [(3, None), (3, 400)]
    assert variants(text_facts(25_000, [100, 300]), BEST) == [(3, None)]


def test_texts_so_long_that_a_batch_takes_much_memory_are_never_whole():
    assert variants(text_facts(25_000, 3000), BEST) == [(3, 1000), (3, 400)]
    assert variants(text_facts(500, 3000), BEST)[0] == (30, None)  # in batches of 16


def test_the_cheapest_recipe_has_fewer_epochs_and_then_shorter_texts():
    assert variants(text_facts(25_000, [100, 900]), QUICK) == [(2, 400), (1, 400), (1, 200), (1, 100)]
    assert variants(text_facts(25_000, [50, 150]), QUICK) == [(2, 400), (1, 400), (1, 100)]


@pytest.mark.parametrize(("texts", "epochs"), [(60, 30), (1000, 30), (9595, 8), (25_000, 3), (1_000_000, 3)])
def test_few_texts_have_more_epochs(texts, epochs):
    assert variants(text_facts(texts), BEST)[0][0] == epochs


def test_two_labels_have_one_logit():
    assert model(text_facts(100))["loss"] == "binary"
    assert "loss" not in model(text_facts(100, labels=3))


def test_ngrams_of_many_labels_are_kept_within_the_memory():
    assert model(text_facts(10_000))["ngrams"] == BEST.model["ngrams"]
    many = model(text_facts(10_000, 50, 200))["ngrams"]
    assert many.pop("max_ngrams") == TABLE_NUMBERS // 200
    assert many == {key: value for key, value in BEST.model["ngrams"].items() if key != "inputs"}  # 600 numbers a word
    some = classifier_starts(text_facts(100_000, 200, 20), BEST, False)[0]
    assert "inputs" not in some.values["model"]["ngrams"]
    assert INPUT_NUMBERS < 3 * 20 * 20_000_000
    said = "a linear model of phrases; inputs: true would take 4.8 GB, and each has 20 numbers"
    assert some.why["model.ngrams"] == said
    assert model(text_facts(10_000), QUICK)["ngrams"] == QUICK.model["ngrams"]


def test_texts_without_a_word_in_common_have_no_ngrams():
    rows = [Row(f"this{n} is{n} unlike{n} any{n} other{n}", "ab"[n % 2], "a.csv:1") for n in range(100)]
    start = classifier_starts(text_facts(100, rows=rows), BEST, False)[0]
    assert "ngrams" not in start.values["model"]
    assert start.why["model.embedding"] == ""  # what it says elsewhere is of n-grams
    rows = [row._replace(text=f"{row.text} one two three four five six seven eight nine ten") for row in rows]
    assert "ngrams" in model(text_facts(100, rows=rows))


def test_uneven_labels_are_judged_by_the_rare_ones_too():
    uneven = classifier_starts(text_facts(606, labels={"a": 505, "b": 101}), BEST, False)
    assert "best_metric" not in uneven[0].values["train"]
    uneven = classifier_starts(text_facts(606, labels={"a": 506, "b": 100}), BEST, False)
    assert {start.values["train"]["best_metric"] for start in uneven} == {"macro_f1"}


def test_what_is_cut_is_said():
    whole, cut, shorter = classifier_starts(text_facts(25_000, [100, 300, 500, 1900]), BEST, False)
    assert whole.why["data.max_length"] == "null keeps whole texts; the longest seen has 1,900 words"
    assert cut.why["data.max_length"] == "words; 25.0% of the texts are longer"
    assert shorter.why["data.max_length"] == "words; 50.0% of the texts are longer"
    assert (whole.brief, cut.brief) == (
        f"{BEST.name}, 3 epochs of whole texts",
        f"{BEST.name}, 3 epochs of 1,000 words a text",
    )
    kept = classifier_starts(text_facts(25_000, 20), QUICK, True)[0]
    assert kept.why["data.max_length"] == "words; no text is longer"
    assert kept.values["data"]["truncate"] == "tail"
