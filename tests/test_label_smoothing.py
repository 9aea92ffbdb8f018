"""Label smoothing is for the training loss of every task and for nothing else."""

import math

import pytest
from tiny_runs import tiny_config, write_csv
from tiny_tasks import language_config, tagging_config, trainer_of, write_conllu, write_text

from rnncli.training import StepDone

STILL = {"optim": {"name": "sgd", "lr": 1e-30}}  # the weights stay as they are drawn
TASKS = {
    "softmax": lambda folder, **changes: tiny_config(write_csv(folder / "a.csv"), **STILL, **changes),
    "binary": lambda folder, **changes: tiny_config(
        write_csv(folder / "a.csv"), **STILL, model={"loss": "binary"}, **changes
    ),
    "tagging": lambda folder, **changes: tagging_config(write_conllu(folder / "a.conllu"), **STILL, **changes),
    "language_model": lambda folder, **changes: language_config(write_text(folder / "a.txt"), **STILL, **changes),
}


def losses(config, cache):
    trainer, _ = trainer_of(config, cache)
    events = list(trainer.run())
    steps = [event.loss for event in events if isinstance(event, StepDone)]
    return steps, [event.figures for event in events if not isinstance(event, StepDone)], trainer


@pytest.mark.parametrize("task", TASKS)
def test_it_changes_the_training_loss_alone(task, tmp_path):
    plain, figures, _ = losses(TASKS[task](tmp_path), tmp_path / "cache")
    smoothed, figures_smoothed, _ = losses(TASKS[task](tmp_path, train={"label_smoothing": 0.5}), tmp_path / "cache")
    assert figures == figures_smoothed
    assert all(a != b for a, b in zip(plain, smoothed, strict=True))


@pytest.mark.parametrize("task", TASKS)
def test_a_smoothed_loss_cannot_fall_below_the_entropy_of_its_labels(task, tmp_path):
    config = TASKS[task](tmp_path, train={"label_smoothing": 0.5, "epochs": 3, "max_steps": 40})
    learning = config.model_copy(update={"optim": config.optim.model_copy(update={"lr": 1.0})})
    steps, _, trainer = losses(learning, tmp_path / "cache")
    C = len(trainer.model.params["output.b"])
    C = 2 if task == "binary" else C
    parts = [0.5 + 0.5 / C, *[0.5 / C] * (C - 1)]
    floor = -sum(part * math.log(part) for part in parts)
    assert floor < min(steps) < steps[0]


def test_a_weight_is_of_the_whole_smoothed_loss_of_a_text(tmp_path):
    """A text that counts three times is three texts, smoothed or not."""
    weights = {"neg": 3.0, "pos": 1.0}
    config = TASKS["softmax"](tmp_path, train={"label_smoothing": 0.3, "class_weights": weights})
    trainer, _ = trainer_of(config, tmp_path / "cache")
    from rnncli.data.batches import make_batch

    work = trainer.work
    rows = work.order(0)[0]
    batch = make_batch(work.train, rows)
    logits, _ = trainer.model.forward(batch)
    loss, dlogits = trainer.model.loss(logits, batch.y, work.class_weights, 0.3)
    own = [trainer.model.loss(logits[n : n + 1], batch.y[n : n + 1], None, 0.3) for n in range(len(rows))]
    counts = [weights[work.labels[label]] for label in batch.y]
    assert set(counts) == {1.0, 3.0}
    expected = sum(count * value for count, (value, _) in zip(counts, own, strict=True)) / sum(counts)
    assert loss == pytest.approx(expected, rel=1e-6)
    for n, (count, (_, d)) in enumerate(zip(counts, own, strict=True)):
        assert dlogits[n] == pytest.approx(d[0] * count / sum(counts), rel=1e-5)


def test_what_each_label_counts_is_said_before_training(tmp_path):
    config = TASKS["binary"](tmp_path, train={"class_weights": {"neg": 2.5, "pos": 1.0}})
    trainer, _ = trainer_of(config, tmp_path / "cache")
    assert "labels neg (counts 2.5), pos (counts 1); " in trainer.work.summary()
    config = TASKS["softmax"](tmp_path)
    trainer, _ = trainer_of(config, tmp_path / "cache")
    assert "labels neg, pos; " in trainer.work.summary()
