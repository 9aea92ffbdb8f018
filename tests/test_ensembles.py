from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from finished_runs import ENTITIES, GRU, LANGUAGE, RNN, TAGGER, THREE
from tiny_runs import Silent, tiny_config, tiny_values
from tiny_tasks import tagging_values

from rnncli.config import parse_config
from rnncli.data.vocabulary import Vocabulary
from rnncli.ensembles import make_ensemble, refuse_seen
from rnncli.errors import CheckpointError, DataError
from rnncli.evaluation import evaluate, rows_of_config
from rnncli.metrics import accuracy
from rnncli.predicting import likeliest_tags, probabilities, tag_words, word_probabilities
from rnncli.run import train_run
from rnncli.run_dir import RunDir
from rnncli.tagger_evaluation import evaluate_tagger, sentences_of_config
from rnncli.trained import load_trained

TEXTS = ["film good", "", "the plot dull and and and", "end bad", "a word never seen"]


def loaded(folder):
    return load_trained(RunDir(Path(folder)).best)


def relabelled(trained):
    """Return the same classifier with its two labels, and their columns, the other way round."""
    params = {**trained.model.params}
    for name in ("output.w", "output.W", "output.b"):
        if name in params:
            params[name] = params[name][..., ::-1].copy()
    learned = trained.learned._replace(labels=trained.learned.labels[::-1])
    return replace(trained, model=replace(trained.model, params=params), learned=learned)


def test_probabilities_are_averaged(finished):
    members = [loaded(GRU), loaded(RNN)]
    ensemble = make_ensemble(members, ["gru", "rnn"])
    both = [probabilities(member, TEXTS).astype(float) for member in members]
    np.testing.assert_allclose(ensemble.probabilities(TEXTS), (both[0] + both[1]) / 2, rtol=1e-6)
    assert ensemble.predict(TEXTS).tobytes() == ensemble.probabilities(TEXTS).tobytes()


def test_each_member_reads_with_its_own_vocabulary(finished):
    member = loaded(GRU)
    tokens = member.learned.vocabulary.tokens
    order = [0, *range(len(tokens) - 1, 0, -1)]
    table = member.model.params["embedding.W"][order]
    turned = replace(
        member,
        model=replace(member.model, params={**member.model.params, "embedding.W": table}),
        learned=member.learned._replace(vocabulary=Vocabulary([tokens[place] for place in order])),
    )
    found = make_ensemble([member, turned], ["a", "b"]).probabilities(TEXTS)
    np.testing.assert_allclose(found, probabilities(member, TEXTS), rtol=1e-5)


def test_labels_are_matched_by_name(finished):
    member = loaded(GRU)
    turned = relabelled(member)
    assert turned.learned.labels == member.learned.labels[::-1]
    alone = probabilities(member, TEXTS)
    assert np.ptp(alone[:, 0]) > 0.01
    np.testing.assert_allclose(probabilities(turned, TEXTS), alone[:, ::-1], rtol=1e-5)
    np.testing.assert_allclose(make_ensemble([member, turned], ["a", "b"]).probabilities(TEXTS), alone, rtol=1e-5)
    rows, _ = rows_of_config(member.config)
    _, together = make_ensemble([member, turned], ["a", "b"]).evaluate(rows)
    assert together.report["accuracy"] == evaluate(member, rows).report["accuracy"]


def test_the_figures_are_those_of_the_average(finished):
    members = [loaded(GRU), loaded(RNN)]
    rows, _ = rows_of_config(members[0].config)
    alone, together = make_ensemble(members, ["gru", "rnn"]).evaluate(rows)
    assert [one.report for one in alone] == [evaluate(member, rows).report for member in members]
    mean = (alone[0].probabilities.astype(float) + alone[1].probabilities) / 2
    labels = members[0].learned.labels
    true = [labels.index(row.label) for row in rows]
    assert together.report["accuracy"] == accuracy(true, mean.argmax(axis=1))
    nats = -np.log(mean[np.arange(len(rows)), true])
    assert together.report["loss"] == pytest.approx(nats.mean(), rel=1e-5)
    assert min(one.report["loss"] for one in alone) != together.report["loss"]


def test_a_probability_of_zero_everywhere_is_no_loss_without_end(finished, monkeypatch):
    member = loaded(GRU)
    rows, _ = rows_of_config(member.config)
    sure = replace(member, model=replace(member.model, params={**member.model.params}))
    for name in ("output.w", "output.W"):
        if name in sure.model.params:
            sure.model.params[name] = sure.model.params[name] * np.float32(1e6)
    _, together = make_ensemble([sure, sure], ["a", "b"]).evaluate(rows)
    assert np.isfinite(together.report["loss"])


@pytest.fixture
def taggers(finished):
    values = tagging_values("tiny.conllu", name="second", seed=2, data={"split_seed": 1})
    train_run(parse_config(values, "second"), RunDir(Path("runs/second")), Silent())
    return [loaded(TAGGER), loaded("runs/second")]


def test_tags_are_those_likeliest_on_average(taggers):
    sentences, _ = sentences_of_config(taggers[0].config)
    words = [list(sentence.words) for sentence in sentences] + [[]]
    ensemble = make_ensemble(taggers, ["a", "b"])
    assert set(taggers[0].learned.tags) == set(taggers[1].learned.tags)
    order = [taggers[1].learned.tags.index(tag) for tag in taggers[0].learned.tags]
    first, second = (word_probabilities(one, words).astype(float) for one in taggers)
    mean = (first + second[:, order]) / 2
    expected = likeliest_tags(mean, taggers[0].learned.tags, words)
    found = ensemble.tag_words(words)
    assert [one.tags for one in found] == [one.tags for one in expected]
    assert found[-1].tags == []
    np.testing.assert_allclose(np.concatenate([one.probabilities for one in found]), mean.max(axis=1), rtol=1e-6)
    alone, together = ensemble.evaluate_tagger(sentences)
    assert [one.report for one in alone] == [evaluate_tagger(one, sentences).report for one in taggers]
    assert together.predicted == [one.tags for one in expected[:-1]]
    true = [taggers[0].learned.tags.index(tag) for sentence in sentences for tag in sentence.tags]
    assert together.report["accuracy"] == accuracy(true, mean.argmax(axis=1))
    assert together.report["loss"] == pytest.approx(-np.log(mean[np.arange(len(mean)), true]).mean(), rel=1e-5)


def test_one_tagger_twice_is_that_tagger(finished):
    tagger = loaded(TAGGER)
    sentences = [["the", "dog", "sees"], [], ["a", "plan"]]
    found = make_ensemble([tagger, tagger], ["a", "b"]).tag_words(sentences)
    assert [one.tags for one in found] == [one.tags for one in tag_words(tagger, sentences)]


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (GRU, TAGGER, r"b: is of task tagging, a of task classification"),
        (GRU, THREE, r"b: has not the same labels: only b has 'poor'"),
        (THREE, GRU, r"b: has not the same labels: only a has 'poor'"),
        (TAGGER, ENTITIES, r"only b has 'I-LOC', 'I-PER', 'O'; only a has 'DET', 'NOUN', 'VERB'"),
        (LANGUAGE, LANGUAGE, r"a: is a language model; only classifiers and taggers"),
    ],
)
def test_what_does_not_go_together_is_refused_with_what_differs(finished, first, second, said):
    with pytest.raises(CheckpointError, match=said):
        make_ensemble([loaded(first), loaded(second)], ["a", "b"])


def test_a_member_named_twice_is_refused(finished):
    with pytest.raises(CheckpointError, match="a: is named twice"):
        make_ensemble([loaded(GRU), loaded(GRU)], ["a", "a"])


def test_texts_that_a_member_has_seen_are_no_test(finished):
    def with_config(**changes):
        return replace(loaded(GRU), config=tiny_config("tiny.csv", **changes))

    same = with_config(seed=2, data={"split_seed": 1})
    refuse_seen([with_config(), same], ["a", "b"])
    with pytest.raises(
        DataError, match=r"b: may have been trained on what a is validated on: their splits have seeds 1"
    ):
        refuse_seen([with_config(), with_config(seed=2)], ["a", "b"])
    with pytest.raises(DataError, match=r"validated on\. Give other texts with --data"):
        refuse_seen([with_config(), with_config(data={"valid_fraction": 0.2})], ["a", "b"])
    test = {"test": {"format": "csv", "path": "tiny.csv"}}
    refuse_seen([with_config(data=test), with_config(seed=2)], ["a", "b"])
    values = tiny_values("tiny.csv")
    values["data"] |= {"valid": values["data"]["train"]}
    del values["data"]["valid_fraction"]
    given = replace(loaded(GRU), config=parse_config(values, "given"))
    refuse_seen([given, with_config(seed=2)], ["a", "b"])
