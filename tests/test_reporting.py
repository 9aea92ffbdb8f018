"""The parts of a report."""

import re
import shutil
import sys
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from finished_runs import ENTITIES, GRU, LANGUAGE, RNN, TAGGER, THREE
from tiny_runs import write_config

from rnncli.calibration import roc_curve
from rnncli.judging import judge
from rnncli.outcomes import Reader
from rnncli.reporting import report_page, sections_of
from rnncli.reporting.calibration import calibration
from rnncli.reporting.classes import MOST_CLASSES, scores
from rnncli.reporting.curves import learning_curves
from rnncli.reporting.lengths import accuracies, length_bins
from rnncli.reporting.mistakes import mistakes
from rnncli.reporting.plots import MOST_POINTS, axes_of, curve, few_points, legend, look
from rnncli.reporting.results import results
from rnncli.reporting.settings import environment
from rnncli.run_records import load_records

VOID = {"meta", "br", "link"}
OF_ALL = ["Results", "Learning curves", "Learning rate and gradient"]
LAST = ["Environment and timings", "Config"]
OF_TASK = {
    GRU: ["Confusion", "Scores by label", "ROC and calibration", "Length and accuracy", "Most confident mistakes"],
    THREE: ["Confusion", "Scores by label", "Calibration", "Length and accuracy", "Most confident mistakes"],
    TAGGER: ["Confusion", "Scores by label", "Calibration", "Length and accuracy", "Costliest tags"],
    ENTITIES: ["Confusion", "Scores by label", "Calibration", "Length and accuracy", "Costliest tags"],
    LANGUAGE: ["Cost along the text", "Costliest lines"],
}


class Page(HTMLParser):
    """What a page holds; its elements must be closed in order."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.text = [], [], []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.text.append(data)

    @property
    def ids(self):
        return [attrs["id"] for _, attrs in self.tags if "id" in attrs]


def judged(*paths):
    return judge(load_records(paths), Reader(), draws=200)


def page_of(*paths):
    runs = judged(*paths)
    sections = sections_of(runs)
    return [part.title for part in sections], report_page(runs, sections)


@pytest.mark.parametrize("path", OF_TASK, ids=lambda path: path.name)
def test_every_task_has_its_parts(finished, path):
    titles, html = page_of(path)
    assert titles == [*OF_ALL, *OF_TASK[path], *LAST]
    page = Page(html)
    for part in titles:
        assert part.lower().replace(" ", "-") in page.ids
    links = [attrs["href"].removeprefix("#") for tag, attrs in page.tags if tag == "a"]
    assert links == [attrs["id"] for tag, attrs in page.tags if tag == "section"]
    assert [name for name, times in Counter(page.ids).items() if times > 1] == []
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', html))
    assert used <= set(page.ids)
    assert "#ffffff" not in html.partition("</style>")[2]


def test_several_runs_lie_over_each_other(finished):
    titles, html = page_of(GRU, RNN)
    assert titles == [*OF_ALL, *OF_TASK[GRU], *LAST]
    page = Page(html)
    assert [name for name, times in Counter(page.ids).items() if times > 1] == []
    text = " ".join(page.text)
    for wanted in (
        "against gru",
        "Settings that differ",
        "model.rnn.cell",
        "McNemar's exact test",
        "gru, ECE",
        "F1, rnn",
    ):
        assert wanted in text
    assert html.count("<details>") == 2


@pytest.mark.parametrize("path", [TAGGER, LANGUAGE], ids=lambda path: path.name)
def test_several_runs_of_the_other_tasks(finished, path):
    _, html = page_of(path, path / "last.safetensors")
    assert "the paired bootstrap" in " ".join(Page(html).text)


def test_the_same_runs_give_the_same_page(finished):
    assert page_of(GRU, RNN) == page_of(GRU, RNN)


def test_the_figures_are_those_of_the_run(finished):
    (run,) = judged(GRU)
    _, html = page_of(GRU)
    text = " ".join(Page(html).text)
    for value in (
        f"{run.outcome.report['accuracy']:.2%}",
        f"AUC {run.outcome.report['roc_auc']:.4f}",
        f"{run.record.parameters:,}",
        np.__version__,
        "# * (default lstm)",
    ):
        assert value in text
    counts = [str(count) for row in run.outcome.report["confusion"] for count in row if count]
    cells = re.findall(r'title="[\d.]+% of the row">([\d,]+)<', html)
    assert cells == counts


def test_mistakes_come_with_the_most_confident_first(finished):
    (run,) = judged(RNN)
    wrong = ~run.outcome.right
    assert wrong.any()
    confidence = np.sort(run.outcome.details.probabilities.max(axis=1)[wrong])[::-1][:10]
    html = mistakes([run]).html
    shown = re.findall(r"</b> at ([\d.]+%)", html)
    assert shown == [f"{p:.1%}" for p in confidence]
    assert '<div class="words">' in html


def test_a_run_without_mistakes_says_so(finished):
    (run,) = judged(GRU)
    best = replace(run, outcome=replace(run.outcome, right=np.ones(len(run.outcome.right), bool)))
    assert "None." in mistakes([best]).html
    assert mistakes([best]).html.count('class="mistake"') == 0


def test_entities_have_a_table_of_their_own(finished):
    html = scores(judged(ENTITIES)).html
    assert "<h3>Entities</h3>" in html
    assert '<th scope="row">PER</th>' in html


def test_data_that_is_gone_leaves_curves_and_config(finished):
    Path("tiny.csv").unlink()
    titles, html = page_of(GRU)
    assert titles == [*OF_ALL, *LAST]
    assert "not evaluated, these are the figures of its training" in html
    assert "tiny.csv" in html


def test_a_checkpoint_alone_has_no_curves(finished):
    shutil.copy(GRU / "best.safetensors", "model.safetensors")
    titles, html = page_of(Path("model.safetensors"))
    assert titles == ["Results", "Learning curves", *OF_TASK[GRU], *LAST]
    assert "there is no metrics.jsonl beside the checkpoint" in html
    both = learning_curves(judged(GRU, Path("model.safetensors"))).html
    assert "Without model: no metrics.jsonl" in both
    assert "<svg" in both


def test_an_environment_that_is_not_recorded_is_said_to_be_so(finished):
    runs = judged(GRU)
    assert "Not recorded" not in environment(runs).html
    del runs[0].record.trained.progress["environment"]
    html = environment(runs).html
    assert "Not recorded by the version that trained gru" in html


def test_hostile_labels_texts_and_names_are_shown_as_text(cli, finished):
    labels = [
        "<script>alert(1)</script>",
        'a $x^2$ "b" & $',
        "\N{CJK UNIFIED IDEOGRAPH-4E2D}\N{CJK UNIFIED IDEOGRAPH-6587}",
    ]
    lines = [
        f'"<b onclick=alert(1)>word{number % 7}</b> &amp; $ {number % 3}","{labels[number % 3]}"'
        for number in range(90)
    ]
    Path("hostile.csv").write_text("text,label\n" + "\n".join(line.replace('"b"', '""b""') for line in lines) + "\n")
    values = {
        "name": "$a$ & 'b'",
        "data": {"train": {"format": "csv", "path": "hostile.csv"}, "tokenizer": {"min_count": 1}},
        "model": {"embedding": {"dim": 4}, "rnn": {"hidden": 4}},
        "train": {"epochs": 1},
    }
    assert cli("train", write_config(Path("hostile.yaml"), values)).code == 0
    _, html = page_of(Path("runs/$a$ & 'b'"), Path("runs/$a$ & 'b'/last.safetensors"))
    page = Page(html)
    assert not {"script", "b onclick"} & {tag for tag, _ in page.tags}
    assert not any("onclick" in attrs for _, attrs in page.tags)
    assert "$a$ & 'b'" in page.text
    assert any("alert(1)" in text for text in page.text)


def test_many_labels_are_listed_by_their_confusions(cli, finished):
    rows = [f"word{number % 40} and so,label{number % 40 if number % 5 else 0}" for number in range(400)]
    Path("many.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    values = {"name": "many", "data": {"train": {"format": "csv", "path": "many.csv"}}, "train": {"epochs": 1}}
    assert cli("train", write_config(Path("many.yaml"), values)).code == 0
    _, html = page_of(Path("runs/many"))
    assert re.search(r"most frequent of \d+ pairs of (\d+) labels", html)
    assert int(re.search(r"pairs of (\d+) labels", html)[1]) > MOST_CLASSES
    assert "Shading" not in html


def test_long_curves_are_means_of_pieces():
    points = [(step, float(step % 2)) for step in range(3000)]
    steps, values = few_points(points)
    assert len(steps) == MOST_POINTS
    assert values == pytest.approx(0.5)
    assert steps[0] == 4.5
    short = few_points(points[:5])
    assert (short[0].tolist(), short[1].tolist()) == ([0, 1, 2, 3, 4], [0, 1, 0, 1, 0])
    assert [len(part) for part in few_points([])] == [0, 0]


def test_an_accuracy_of_one_is_no_more_than_100_percent(finished):
    run = judged(GRU)[0]
    for row in run.record.rows:
        if row["kind"] == "validation":
            row |= {"accuracy": 1.0, "macro_f1": 0.9 if row["epoch"] == 1 else 1.0}
    texts = re.findall(r">([\d.]+)%</text>", learning_curves([run]).html)
    assert "100" in texts
    assert max(map(float, texts)) == 100


def test_many_names_are_below_the_picture(finished):
    few, many = (axes_of("", "", "") for _ in range(2))
    for (figure, axes), count in ((few, 2), (many, 7)):
        for number in range(count):
            curve(axes, ([0, 1], [0, 1]), label=f"run {number}")
        legend(axes)
        figure.draw_without_rendering()
    assert few[1].get_legend() is not None
    assert few[0].legends == []
    assert many[1].get_legend() is None
    (below,) = many[0].legends
    assert below.get_window_extent().y1 < many[1].get_window_extent().y0
    assert many[1].get_window_extent().height > 0.9 * few[1].get_window_extent().height


def test_a_single_point_is_seen():
    _, axes = axes_of("", "", "")
    curve(axes, (np.array([5.0]), np.array([1.0])))
    curve(axes, (np.array([5.0, 6.0]), np.array([1.0, 2.0])))
    assert [line.get_marker() for line in axes.lines] == [".", "None"]


def test_ten_runs_look_different():
    assert len({look(place) for place in range(25)}) == 25


def test_words_of_a_sentence_are_not_taken_for_independent():
    # Sentences of ten words, each right or wrong as a whole, are no more to go by than sentences of one word.
    right = np.arange(100) % 5 > 0
    ranges, sizes = [(10, 10)], np.full(100, 10)
    _, low, high, _ = accuracies(sizes, ranges, 10.0 * right, 10.0 * np.ones(100))
    _, alike, above, _ = accuracies(sizes, ranges, right.astype(float), np.ones(100))
    assert (low[0], high[0]) == pytest.approx((alike[0], above[0]), abs=0.02)
    middle, _, _, there = accuracies(sizes, [(1, 9), (10, 10)], 10.0 * right, 10.0 * np.ones(100))
    assert (middle.tolist(), there.tolist()) == ([0.8], [False, True])


def test_ranges_of_lengths_hold_about_as_many_each():
    sizes = np.random.default_rng(1).integers(1, 200, 700)
    ranges = length_bins(sizes, 7)
    counts = [((sizes >= start) & (sizes <= end)).sum() for start, end in ranges]
    assert sum(counts) == 700
    assert all(abs(count - 100) < 15 for count in counts)
    assert length_bins(np.full(9, 4)) == [(4, 4)]
    assert length_bins(np.array([1, 400, 400, 400]), 4) == [(1, 1), (2, 400)]


def test_the_worst_come_first(finished):
    given = [float(p) for p in re.findall(r"given probability ([\d.e-]+)\)", mistakes(judged(TAGGER)).html)]
    assert len(set(given)) > 1
    assert given == sorted(given)
    costs = [float(bits) for bits in re.findall(r'<td class="number">([\d.]+)</td>', mistakes(judged(LANGUAGE)).html)]
    assert len(set(costs)) > 1
    assert costs == sorted(costs, reverse=True)


def test_the_roc_curve_is_that_of_the_second_label(finished, monkeypatch):
    areas = []

    def watched(positive, values):
        x, y = roc_curve(positive, values)
        areas.append(np.trapezoid(y, x))
        return x, y

    monkeypatch.setattr(sys.modules["rnncli.reporting.calibration"], "roc_curve", watched)
    (run,) = judged(RNN)
    assert calibration([run]) is not None
    assert areas == [pytest.approx(run.outcome.report["roc_auc"])]


def test_a_difference_has_its_sign(finished):
    first, run = judged(GRU, RNN)
    difference = run.outcome.report["accuracy"] - first.outcome.report["accuracy"]
    assert difference != 0
    assert f'<td class="number">{100 * difference:+.2f}</td>' in results([first, run]).html
