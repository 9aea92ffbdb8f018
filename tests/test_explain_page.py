"""The page of explanations."""

import re

import pytest
from made_models import CELLS, classifier, tagger
from test_pages import read

from rnncli.explain_page import explain_page
from rnncli.explaining import explain
from rnncli.explanations import Method

TEXT = "GOOD film,<br /><br />isn't  bad!! <script>alert(1)</script>"


def page_of(*texts, top=3, traced=False, trained=None, **options):
    trained = trained or classifier(CELLS[1])
    found = [explain(trained, text, **options) for text in texts]
    return explain_page("runs/a/best.safetensors", [(one, one.trace() if traced else None) for one in found], top)


def plain(html):
    return re.sub(r"\s+", " ", re.sub(r"<style>.*?</style>|<[^>]+>", "", html, flags=re.DOTALL))


def test_it_has_the_text_the_figures_and_the_strongest_words():
    html = page_of(TEXT, leave_one_out=True)
    read(html)
    explanation = explain(classifier(CELLS[1]), TEXT, leave_one_out=True)
    text = plain(html)
    found = explanation.attribution
    for shown in (
        "runs/a/best.safetensors",
        f"Log-odds of {explanation.subject.labels[explanation.label]}: {found.score:+.3f}",
        f"add up to {explanation.scores.sum():+.3f}",
        f"integrated gradients at {found.steps} points",
        f"leaving each word out: {explanation.rank_correlation:+.3f}",
        "are unknown to the model",
        "GOOD film,",
    ):
        assert shown in text
    assert html.count('<td class="bar">') == 3
    place = explanation.strongest(1)[0]
    assert f"{explanation.scores[place]:+.3f}" in text
    assert f"{explanation.leave_one_out[place]:+.3f}" in text
    assert "<script>" not in html
    assert "<svg" not in html


def test_bars_have_the_side_and_the_size_of_the_pushes():
    bars = re.findall(r'<td class="bar"><div class="(\w+)" style="width: ([\d.]+)%">', page_of(TEXT, top=99))
    explanation = explain(classifier(CELLS[1]), TEXT)
    pushes = explanation.scores[explanation.strongest()]
    assert [side for side, _ in bars] == ["for" if push > 0 else "against" for push in pushes]
    assert [float(width) for _, width in bars] == pytest.approx(100 * abs(pushes / pushes[0]), abs=0.06)
    assert {side for side, _ in bars} == {"for", "against"}


def test_several_texts_have_a_way_to_each():
    html = page_of(TEXT, "bad film", "good")
    tags = read(html).tags
    targets = [attrs["href"] for tag, attrs in tags if tag == "a"]
    assert targets == ["#text1", "#text2", "#text3"]
    assert [attrs["id"] for tag, attrs in tags if tag == "section"] == ["text1", "text2", "text3"]
    assert "<nav>" not in page_of(TEXT)


def test_the_gates_are_pictures_with_titles_of_their_own():
    html = page_of("good film", "bad film", traced=True)
    labels = [attrs["aria-label"] for tag, attrs in read(html).tags if tag == "svg"]
    assert labels == [
        f"{what}, text {number}" for number in (1, 2) for what in ("Gradient by step", "Gates of rnn0.fwd")
    ]
    ids = re.findall(r' id="([^"]+)"', html)
    figures = [name for name in ids if not name.startswith(("text", "figure", "axes", "patch", "matplotlib", "xtick"))]
    assert figures
    assert not re.search(r'(?:src|href)="(?!#|data:)', html)


def test_what_is_asked_for_and_what_was_not_read_are_said():
    trained = classifier(CELLS[1], data={"max_length": 2})
    labels, p = explain(trained, TEXT).subject.labels, explain(trained, TEXT).probabilities
    first, second = p.argsort()[::-1][:2]
    html = plain(page_of(TEXT, trained=trained, label=labels[second]))
    assert f"Predicted: {labels[first]}, probability {p[first]:.4f}. " in html
    assert f"Explained: {labels[second]}, probability {p[second]:.4f}. " in html
    unread = explain(trained, TEXT).subject.unread
    assert unread > 2
    assert f"{unread} words beyond data.max_length were not read" in html
    assert "Explained:" not in plain(page_of(TEXT))
    assert "not read" not in plain(page_of(TEXT))


def test_a_label_a_method_and_a_baseline_are_told():
    html = plain(page_of(TEXT, label="fine", method=Method("gradient", "mean")))
    assert "Log-odds of fine" in html
    assert "gradient times input, which need not add up" in html
    assert "where every word is the mean word" in html
    assert "pushes away from fine" in html


def test_a_tag_is_of_a_word():
    html = page_of("good film", trained=tagger(CELLS[1], None), word=2, leave_one_out=True)
    assert "The tag of word 2, film: " in plain(html)


@pytest.mark.parametrize("top", [1, 5])
def test_the_table_is_as_long_as_asked(top):
    assert page_of(TEXT, top=top).count('<td class="bar">') == top


def test_attention_is_said_of_each_word():
    trained = classifier(CELLS[1], pooling=["mean", "attention"])
    html = page_of("good film is bad", trained=trained)
    weights = explain(trained, "good film is bad").subject.attention
    for weight in weights:
        assert f'attention {weight:.1%}"' in html
    half, order = explain(trained, "good film is bad").attended()
    assert f"Half of the model's attention is on {half} of 4 words, the most, {weights[order[0]]:.1%}, on " in plain(
        html
    )
    assert "attention" not in plain(page_of("good film"))
