import numpy as np
import pytest

from rnncli.averaging import Averages, averaged


class Model:
    def __init__(self, params):
        self.params = params


def test_the_mean_is_that_of_its_definition():
    rng = np.random.default_rng(1)
    averages, w = Averages(0.8), {"a": rng.normal(size=(3, 2)), "b": rng.normal(size=4)}
    averages.prepare(w)
    expected = {name: array.copy() for name, array in w.items()}
    for step in range(1, 40):
        for array in w.values():
            array += rng.normal(size=array.shape)
        averages.move(w, averages.weight(step))
        averages.count += 1
        decay = min(0.8, (1 + step) / (10 + step))
        expected = {name: decay * mean + (1 - decay) * w[name] for name, mean in expected.items()}
    for name, mean in expected.items():
        np.testing.assert_allclose(averages.state[f"average/{name}"], mean, rtol=1e-12)


@pytest.mark.parametrize("parts", [2, 3, 9])
def test_several_can_average_a_part_each(parts):
    rng = np.random.default_rng(1)
    whole, shared = Averages(0.9), Averages(0.9)
    w = {"a": rng.normal(size=(3, 2)).astype(np.float32), "b": rng.normal(size=4).astype(np.float32)}
    for averages in (whole, shared):
        averages.prepare(w)
    for weight in (1.0, 0.5, 0.3):
        w = {name: array + 1 for name, array in w.items()}
        whole.move(w, weight)
        for number in range(parts):
            shared.move(w, weight, (number, parts))
    for name, mean in whole.state.items():
        assert (mean == shared.state[name]).all()
        assert (mean != w[name.removeprefix("average/")]).all()


def test_a_model_has_the_mean_for_a_while():
    averages, w = Averages(0.9), {"a": np.zeros(2)}
    averages.prepare({"a": np.ones(2)})
    model = Model(w)
    with averaged(model, averages):
        assert model.params["a"].tolist() == [1, 1]
    assert model.params is w
    with averaged(model, None):
        assert model.params is w


def test_a_plain_mean_is_that_of_the_steps_from_its_first_on():
    rng = np.random.default_rng(1)
    averages, w = Averages(first=3), {"a": rng.normal(size=5)}
    averages.prepare(w)
    seen = []
    for step in range(10):
        w["a"] += rng.normal(size=5)
        weight = averages.weight(step)
        assert averages.begun == (step > 3)
        if weight:
            averages.move(w, weight)
            averages.count += 1
            seen.append(w["a"].copy())
    assert len(seen) == 7
    np.testing.assert_allclose(averages.of(w)["a"], np.mean(seen, axis=0), rtol=1e-12)


def test_the_first_step_of_a_plain_mean_is_taken_to_the_bit():
    averages, w = Averages(), {"a": np.array([1e-8, 3], np.float32)}
    averages.prepare({"a": np.array([1e8, -1], np.float32)})
    averages.move(w, averages.weight(0))
    assert (averages.of(w)["a"] == w["a"]).all()


@pytest.mark.parametrize(("first", "step", "expected"), [(10, 20, 7), (10, 10, 0), (30, 20, 0)])
def test_a_run_that_now_ends_later_begins_its_mean_anew(first, step, expected):
    averages = Averages(first=first)
    averages.go_on(7, step)
    assert averages.count == expected
    assert averages.begun == bool(expected)


def test_a_weight_that_is_not_trained_is_its_own_mean():
    averages, w = Averages(0.9), {"a": np.zeros(2), "still": np.ones(2)}
    averages.prepare({"a": np.ones(2)})
    model = Model(w)
    with averaged(model, averages):
        assert model.params["still"] is w["still"]
        assert model.params["a"].tolist() == [1, 1]
