import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import classification_report
from seqeval.scheme import IOB1, IOB2, IOBES

from rnncli.tagging_metrics import entity_scores, sentence_accuracy, tag_scores, tagging_report, token_accuracy

ORACLES = {"iob1": IOB1, "iob2": IOB2, "iobes": IOBES}
LETTERS = {"iob1": "BI", "iob2": "BI", "iobes": "BIES", None: "BIES"}


@st.composite
def tagged(draw, letters):
    """Draw the true and the predicted tags of some sentences; the two often agree."""
    tags = st.sampled_from(["O", *letters, *(f"{letter}-{kind}" for letter in letters for kind in ("X", "Y", "a-b"))])
    lengths = draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    true = [draw(st.lists(tags, min_size=n, max_size=n)) for n in lengths]
    predicted = [[draw(st.one_of(st.just(tag), tags)) for tag in sentence] for sentence in true]
    return true, predicted


def assert_as_seqeval(true, predicted, scheme):
    ours = entity_scores(true, predicted, scheme)
    if not ours.kinds:
        return  # seqeval's means over no types fail
    strict = {} if scheme is None else {"mode": "strict", "scheme": ORACLES[scheme]}
    theirs = classification_report(true, predicted, output_dict=True, zero_division=0, **strict)
    averages = {f"{name} avg": getattr(ours, name) for name in ("micro", "macro", "weighted")}
    assert set(theirs) == {*ours.kinds, *averages}
    for name, score in {**ours.kinds, **averages}.items():
        expected = [theirs[name][key] for key in ("precision", "recall", "f1-score", "support")]
        assert list(score) == pytest.approx(expected, abs=1e-12), name


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_entities_are_counted_as_seqeval_counts_them(data):
    assert_as_seqeval(*data.draw(tagged(LETTERS[None])), None)


@pytest.mark.parametrize("scheme", ORACLES)
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_strictly_too(scheme, data):
    assert_as_seqeval(*data.draw(tagged(LETTERS[scheme])), scheme)


def test_a_longer_text_as_seqeval_counts_it():
    rng = np.random.default_rng(3)
    tags = np.array(["O", "O", "O", "B-PER", "I-PER", "B-LOC", "I-LOC"])
    true = [rng.choice(tags, 20).tolist() for _ in range(200)]
    predicted = [[tag if rng.random() < 0.8 else str(rng.choice(tags)) for tag in sentence] for sentence in true]
    assert_as_seqeval(true, predicted, None)
    assert_as_seqeval(true, predicted, "iob2")
    assert entity_scores(true, predicted) != entity_scores(true, predicted, "iob2")


def test_entities_counted_by_hand():
    true = [["B-PER", "I-PER", "O", "B-LOC"], ["O", "B-PER"]]
    predicted = [["B-PER", "O", "O", "B-LOC"], ["I-LOC", "B-PER"]]
    scores = entity_scores(true, predicted)
    assert scores.kinds["PER"] == (0.5, 0.5, 0.5, 2)
    assert scores.kinds["LOC"] == (0.5, 1.0, pytest.approx(2 / 3), 1)
    assert scores.micro == (0.5, pytest.approx(2 / 3), pytest.approx(4 / 7), 3)
    strictly = entity_scores(true, predicted, "iob2")
    assert strictly.kinds["LOC"] == (1.0, 1.0, 1.0, 1)  # the lone I-LOC marks nothing


@pytest.mark.parametrize(
    ("true", "predicted", "scheme", "message"),
    [
        ([["O"]], [["O", "O"]], None, "1 words has 2"),
        ([["NOUN"]], [["O"]], None, "'NOUN' is not a tag of an entity"),
        ([["S-X"]], [["O"]], "iob2", "'S-X' is not a tag of iob2"),
        ([["O"], ["O"]], [["O"]], None, "shorter"),
    ],
)
def test_what_does_not_fit(true, predicted, scheme, message):
    with pytest.raises(ValueError, match=message):
        entity_scores(true, predicted, scheme)


def test_words_sentences_and_unseen_words():
    true, predicted, offsets = [0, 1, 2, 2, 1], [0, 1, 1, 2, 1], [0, 2, 3, 5]
    assert token_accuracy(true, predicted) == 0.8
    assert token_accuracy(true, predicted, [False, False, True, True, False]) == 0.5
    assert token_accuracy(true, predicted, [False] * 5) is None
    assert sentence_accuracy(true, predicted, offsets) == pytest.approx(2 / 3)
    assert sentence_accuracy([], [], [0]) is None
    with pytest.raises(ValueError, match="as many"):
        token_accuracy([0], [0, 1])
    for bad in ([0, 2], [1, 5], [0, 2, 2, 5], []):
        with pytest.raises(ValueError, match="offsets"):
            sentence_accuracy(true, predicted, bad)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1))
def test_scores_of_tags_as_scikit_learn_has_them(pairs):
    from sklearn.metrics import precision_recall_fscore_support

    true, predicted = zip(*pairs, strict=True)
    scores = tag_scores(true, predicted, ["a", "b", "c", "d", "never"])
    present = sorted({*true, *predicted})
    expected = precision_recall_fscore_support(true, predicted, labels=present, zero_division=0)
    assert list(scores) == ["abcd"[place] for place in present]
    np.testing.assert_allclose(np.array(list(scores.values())).T, np.array(expected))


def test_a_tag_that_only_the_test_data_has_is_never_right():
    scores = tag_scores([0, 2], [0, 0], ["a", "b", "new"])
    assert scores["new"] == (0.0, 0.0, 0.0, 1)


def test_the_report():
    true = [["NOUN", "VERB"], ["X"]]
    predicted = [["NOUN", "NOUN"], ["X"]]
    report = json.loads(json.dumps(tagging_report(true, predicted, [False, True, True])))
    assert report["tokens"] == 3
    assert report["accuracy"] == pytest.approx(2 / 3)
    assert report["sentence_accuracy"] == 0.5
    assert (report["unseen_tokens"], report["unseen_accuracy"]) == (2, 0.5)
    assert [tag["tag"] for tag in report["tags"]] == ["NOUN", "VERB", "X"]
    assert report["macro_f1"] == pytest.approx((2 / 3 + 0 + 1) / 3)
    assert report["entities"] is None


def test_the_report_of_entities():
    true, predicted = [["B-X", "I-X", "O"]], [["B-X", "I-X", "B-Y"]]
    report = json.loads(json.dumps(tagging_report(true, predicted, scheme="iob2")))
    assert report["entities"]["precision"] == 0.5
    assert report["entities"]["recall"] == 1.0
    assert [kind["kind"] for kind in report["entities"]["kinds"]] == ["X", "Y"]
    assert report["macro_f1"] == pytest.approx((1 + 1 + 0) / 3)  # B-Y does not occur
    assert report["unseen_accuracy"] is None


def test_a_report_needs_sentences():
    for true, predicted in (([], []), ([["A"]], [["A", "B"]])):
        with pytest.raises(ValueError, match="at least one sentence"):
            tagging_report(true, predicted)
