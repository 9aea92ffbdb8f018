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
        averages.step(w, step)
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
    for step in range(1, 5):
        w = {name: array + 1 for name, array in w.items()}
        whole.step(w, step)
        for number in range(parts):
            shared.step(w, step, (number, parts))
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
