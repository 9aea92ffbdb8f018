"""What a model says of new texts: like its evaluation, in order, whatever stands beside a text."""

from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import Silent, tiny_config, write_csv
from tiny_tasks import language_config, tagging_config, write_conllu, write_text

from rnncli import predicting
from rnncli.data.readers import read_rows
from rnncli.data.tagging.readers import read_sentences
from rnncli.errors import GradientError
from rnncli.evaluation import evaluate
from rnncli.language_scoring import score_text
from rnncli.predicting import (
    BLOCK,
    Cost,
    Tags,
    in_blocks,
    line_costs,
    predict,
    probabilities,
    tag_words,
)
from rnncli.run import train_run
from rnncli.run_dir import RunDir
from rnncli.tagger_evaluation import evaluate_tagger
from rnncli.trained import Trained, load_trained


def trained_on(config) -> Trained:
    train_run(config, RunDir(Path(config.task)), Silent())
    return load_trained(Path(config.task, "best.safetensors")).use_average()


@pytest.fixture
def classifier(workdir) -> Trained:
    return trained_on(tiny_config(write_csv(workdir / "a.csv"), model={"rnn": {"cell": "lstm", "hidden": 8}}))


@pytest.fixture
def tagger(workdir) -> Trained:
    return trained_on(tagging_config(write_conllu(workdir / "a.conllu")))


@pytest.fixture
def language_model(workdir) -> Trained:
    return trained_on(language_config(write_text(workdir / "a.txt")))


def test_probabilities_are_those_of_an_evaluation(classifier):
    rows = list(read_rows(classifier.config.data.train))
    expected = evaluate(classifier, rows).probabilities
    found = probabilities(classifier, [row.text for row in rows])
    assert found.shape == (24, 2)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
    assert len(np.unique(found[:, 0])) > 5


def test_a_text_without_a_token_is_one_unknown_token(classifier):
    none, unknown, other = probabilities(classifier, ["", "neverseen", "good film"])
    np.testing.assert_array_equal(none, unknown)
    assert not np.allclose(none, other)


def test_no_texts_are_no_rows(classifier, tagger, language_model):
    assert probabilities(classifier, []).shape == (0, 2)
    assert tag_words(tagger, []) == []
    assert line_costs(language_model, []) == []


def test_an_answer_does_not_depend_on_what_stands_beside_a_text(classifier, tagger, language_model):
    texts = ["film good", "", "the dull plot and and and", "end bad"] * 40
    together = probabilities(classifier, texts)
    np.testing.assert_allclose(together, [probabilities(classifier, [text])[0] for text in texts], atol=2e-6)
    sentences = [text.split() for text in texts]
    for words, many in zip(sentences, tag_words(tagger, sentences), strict=True):
        (one,) = tag_words(tagger, [words])
        assert one.tags == many.tags
        np.testing.assert_allclose(one.probabilities, many.probabilities, atol=2e-6)
    for text, many in zip(texts, line_costs(language_model, texts), strict=True):
        assert line_costs(language_model, [text])[0].nats == pytest.approx(many.nats, rel=1e-5)


def test_tags_are_those_of_an_evaluation(tagger):
    sentences = list(read_sentences(tagger.config.data.train))
    expected = evaluate_tagger(tagger, sentences).predicted
    found = tag_words(tagger, [sentence.words for sentence in sentences])
    assert [tagged.tags for tagged in found] == expected
    certain = np.concatenate([tagged.probabilities for tagged in found])
    assert ((certain > 1 / len(tagger.learned.tags)) & (certain <= 1)).all()


def test_a_sentence_without_words_has_no_tags(tagger):
    first, none, last = tag_words(tagger, [["the", "dog"], [], ["no", "plan", "is"]])
    assert len(first.tags) == 2
    assert (none.tags, len(none.probabilities)) == ([], 0)
    assert len(last.tags) == len(last.probabilities) == 3


def test_lines_cost_what_the_text_of_each_does(language_model):
    codec = language_model.learned
    lines = ["the dog sees a plan.", "", "ZZ", "no cats"]
    for line, cost in zip(lines, line_costs(language_model, lines), strict=True):
        text = codec.encode("\n" + line)
        assert cost.tokens == len(line)
        expected = score_text(language_model.model, text, None).nats if line else 0
        assert cost.nats == pytest.approx(expected, rel=1e-6)
        assert cost.unknown == (2 if line == "ZZ" else 0)
    likely, _, strange, _ = line_costs(language_model, lines)
    assert likely.perplexity < strange.perplexity
    assert Cost(0, 0.0, 0).perplexity is None
    assert Cost(1, 1e6, 0).perplexity is None


def test_a_long_line_is_read_piece_by_piece(language_model, monkeypatch):
    lines = ["the dog sees no plan." * 40, "a dog"]
    whole = line_costs(language_model, lines)
    monkeypatch.setattr(predicting, "LONG_LINE", 100)
    pieces = line_costs(language_model, lines)
    assert [cost.tokens for cost in pieces] == [cost.tokens for cost in whole]
    assert [cost.nats for cost in pieces] == pytest.approx([cost.nats for cost in whole], rel=1e-5)


def test_a_model_of_documents_begins_with_the_end_of_the_one_before(workdir):
    path = write_text(workdir / "a.txt")
    model = trained_on(language_config(path, data={"document_boundary": "line"}))
    codec = model.learned
    (cost,) = line_costs(model, ["the dog."])
    text = np.concatenate([[codec.end_of_text], codec.encode("the dog.")])
    assert (cost.tokens, cost.nats) == (8, pytest.approx(score_text(model.model, text, codec.end_of_text).nats))


def test_a_model_that_knows_no_line_end_counts_from_the_second_token(workdir):
    (workdir / "a.txt").write_text("the dog sees a cat and " * 40)
    model = trained_on(language_config("a.txt"))
    cost, first_unknown = line_costs(model, ["the dog", "The dog"])
    assert (cost.tokens, cost.unknown, first_unknown.unknown) == (6, 0, 0)
    assert cost.nats == pytest.approx(score_text(model.model, model.learned.encode("the dog"), None).nats, rel=1e-6)


def test_no_more_than_a_block_is_read_ahead():
    read = []
    blocks = in_blocks(read.append(n) or "a text" for n in count())
    assert [len(next(blocks)), len(next(blocks)), len(read)] == [BLOCK, BLOCK, 2 * BLOCK]


def test_of_a_long_text_only_the_end_that_is_kept_is_cut_into_tokens(workdir):
    for end in ("head", "tail"):
        config = tiny_config(write_csv(workdir / "a.csv"), data={"max_length": 3, "truncate": end})
        train_run(config, RunDir(Path(end)), Silent())
        model = load_trained(Path(end, "best.safetensors"))
        (short, long) = probabilities(model, ["bad end", "good film bad end " + "and plot " * 100 + "bad end"])
        words = ["good film bad", "plot bad end"][end == "tail"]
        np.testing.assert_allclose(long, probabilities(model, [words])[0], atol=2e-6)
        assert abs(long - short).max() > 1e-3


def test_blocks_end_by_number_or_by_characters(monkeypatch):
    monkeypatch.setattr(predicting, "BLOCK", 3)
    monkeypatch.setattr(predicting, "BLOCK_CHARACTERS", 10)
    assert list(in_blocks(["a", "b", "c", "d"])) == [["a", "b", "c"], ["d"]]
    assert list(in_blocks(["x" * 9, "yy", "z"])) == [["x" * 9, "yy"], ["z"]]
    assert list(in_blocks([["five5", "five5"], ["a"]])) == [[["five5", "five5"]], [["a"]]]
    assert list(in_blocks([])) == []


def test_every_task_predicts(classifier, tagger, language_model):
    assert predict(classifier, ["good"])[0].shape == (2,)
    assert isinstance(predict(tagger, [["dog"]])[0], Tags)
    assert isinstance(predict(language_model, ["dog"])[0], Cost)


def test_outputs_that_are_not_finite_are_refused(classifier, tagger, language_model):
    for model, inputs in ((classifier, ["good"]), (tagger, [["dog"]]), (language_model, ["dog"])):
        params = {name: np.full_like(array, np.nan) for name, array in model.model.params.items()}
        broken = replace(model, model=replace(model.model, params=params))
        with pytest.raises(GradientError, match="not finite"):
            predict(broken, inputs)
