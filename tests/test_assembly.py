import numpy as np
import pytest
from tiny_runs import prepared, tiny_config, write_csv

from rnncli.data.dataset import EncodedTexts
from rnncli.errors import ConfigError
from rnncli.optim import SGD, Adam
from rnncli.schedules import Plateau
from rnncli.tasks.classification import class_weights


@pytest.fixture
def data(tmp_path):
    return write_csv(tmp_path / "tiny.csv", repeats=2)


def three_labels(tmp_path):
    path = tmp_path / "three.csv"
    lines = ["text,label", *(f"word{i} word{i % 4},{'abc'[i % 3]}" for i in range(40))]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("optim", "rule"),
    [
        ({"name": "adam", "beta1": 0.8, "beta2": 0.9, "eps": 1e-6}, Adam(0.8, 0.9, 1e-6, 0.0)),
        ({"name": "adamw", "weight_decay": 0.2}, Adam(0.9, 0.999, 1e-8, 0.2)),
        ({"name": "sgd", "momentum": 0.3}, SGD(0.3)),
    ],
)
def test_the_rule_is_the_one_named(data, optim, rule):
    assert prepared(tiny_config(data, optim=optim))[0].optimizer.rule == rule


def rates(data, schedule, **train):
    trainer, _ = prepared(tiny_config(data, optim={"name": "adam", "schedule": schedule}, train=train))
    return trainer, [trainer.settings.schedule(step) for step in range(trainer.total_steps)]


def test_schedules_span_the_run(data):
    for name in ("linear", "cosine"):
        _, factors = rates(data, {"name": name, "final": 0.25, "warmup_steps": 2})
        assert (factors[0], factors[2], factors[-1]) == pytest.approx((1 / 3, 1, 0.25)), name
    assert set(rates(data, {"name": "constant"})[1]) == {1}


def test_the_step_schedule_counts_epochs(data):
    trainer, factors = rates(data, {"name": "step", "every_epochs": 2, "factor": 0.1}, epochs=4)
    per_epoch = trainer.steps_per_epoch
    assert factors == pytest.approx([1] * 2 * per_epoch + [0.1] * 2 * per_epoch)


def test_the_plateau_schedule_is_watched_by_the_trainer(data):
    trainer, factors = rates(data, {"name": "plateau", "patience": 3, "factor": 0.2, "warmup_steps": 1})
    assert trainer.plateau == Plateau(3, 0.2)
    assert factors[:2] == [0.5, 1]
    assert rates(data, {"name": "constant"})[0].plateau is None


def test_a_binary_loss_is_for_two_labels(tmp_path):
    with pytest.raises(ConfigError, match=r"model.loss: 'binary' is for two labels and the data has 3 \(a, b, c\)"):
        prepared(tiny_config(three_labels(tmp_path), model={"loss": "binary"}))


def test_more_than_two_labels(tmp_path):
    trainer, data = prepared(tiny_config(three_labels(tmp_path)))
    assert data.labels == ("a", "b", "c")
    list(trainer.run())
    assert trainer.model.params["output.b"].shape == (3,)


def encoded(labels):
    return EncodedTexts(np.zeros(len(labels), np.int32), np.arange(len(labels) + 1), np.array(labels))


def test_balanced_weights_are_those_of_scikit_learn():
    sklearn = pytest.importorskip("sklearn.utils.class_weight")
    labels = [0] * 6 + [1] * 3 + [2]
    got = class_weights("balanced", encoded(labels), ("a", "b", "c"))
    expected = sklearn.compute_class_weight("balanced", classes=np.arange(3), y=labels)
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_weights_are_put_in_the_order_of_the_labels():
    assert class_weights({"b": 2.0, "a": 1.0}, encoded([0, 1]), ("a", "b")).tolist() == [1, 2]
    assert class_weights(None, encoded([0, 1]), ("a", "b")) is None


@pytest.mark.parametrize("given", [{"pos": 1.0}, {"pos": 1.0, "neg": 1.0, "other": 1.0}, {"pos": 1.0, "Neg": 1.0}])
def test_weights_for_other_labels_are_refused(data, given):
    with pytest.raises(ConfigError, match=r"^train.class_weights: is for .* and the data has neg, pos") as caught:
        prepared(tiny_config(data, train={"class_weights": given}))
    assert "\n" not in str(caught.value)
