"""Gates and states are those of the public step functions, gradients by a state those of changing it."""

from dataclasses import replace

import numpy as np
import pytest
from made_models import CELLS, classifier

from rnncli.attributions import log_odds
from rnncli.layers import gru_step_forward, lstm_step_forward, rnn_step_forward, sigmoid
from rnncli.readings import classifier_reader
from rnncli.score_functions import trace_of

T, D, H = 6, 4, 5


def model_of(cell, directions=1, layers=1, pooling="mean"):
    model = classifier(cell, directions, layers, pooling=pooling).model
    return replace(model, params={name: array.astype(np.float64) for name, array in model.params.items()})


def inputs():
    return np.random.default_rng(1).normal(0, 1, (T, D))


def traced(model, x, label=2):
    names = [f"rnn{layer}.{direction}" for layer in range(model.layers) for direction in model.directions]
    return trace_of(classifier_reader(model), x, label, names)


def step(cell, params, name, x, h, c):
    """Do one step with the public functions; return the gates, h and c after it."""
    Wx, Wh, b = (params[f"{name}.{key}"] for key in ("Wx", "Wh", "b"))
    if cell["cell"] == "rnn":
        return {}, rnn_step_forward(x, h, Wx, Wh, b)[0], c
    if cell["cell"] == "lstm":
        a = x @ Wx + h @ Wh + b
        i, f, o = sigmoid(a[:, : 3 * H]).reshape(3, H)
        next_h, next_c, _ = lstm_step_forward(x, h, c, Wx, Wh, b)
        return {"i": i, "f": f, "o": o, "g": np.tanh(a[0, 3 * H :]), "c": next_c[0]}, next_h, next_c
    after = cell["reset"] == "after"
    more = {"reset": "after", "bhn": params[f"{name}.bhn"]} if after else {}
    r, z = sigmoid(x @ Wx + h @ Wh + b)[0, : 2 * H].reshape(2, H)
    reset = r * (h @ Wh[:, 2 * H :] + more["bhn"]) if after else (r * h) @ Wh[:, 2 * H :]
    n = np.tanh(x @ Wx[:, 2 * H :] + b[2 * H :] + reset)[0]
    return {"r": r, "z": z, "n": n}, gru_step_forward(x, h, Wx, Wh, b, **more)[0], c


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_gates_and_states_are_those_of_the_step_functions(cell, directions, layers):
    model, x = model_of(cell, directions, layers), inputs()
    trace = traced(model, x)
    assert [layer.name for layer in trace.layers] == [
        f"rnn{n}.{direction}" for n in range(layers) for direction in ("fwd", "bwd")[:directions]
    ]
    below = x
    for number in range(layers):
        states = []
        for layer in trace.layers[number * directions : (number + 1) * directions]:
            h, c = np.zeros((2, 1, H))
            for t in reversed(range(T)) if layer.name.endswith("bwd") else range(T):
                expected, h, c = step(cell, model.params, layer.name, below[t : t + 1], h, c)
                expected["h"] = h[0]
                assert list(layer.values) == list(expected)
                for gate, values in expected.items():
                    np.testing.assert_allclose(layer.values[gate][t], values, atol=1e-6, err_msg=gate)
            states.append(layer.values["h"])
        below = np.concatenate(states, axis=1)


@pytest.mark.parametrize("pooling", ["last", "mean"])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_the_gradient_by_a_state_counts_all_that_follows_from_it(cell, backwards, pooling):
    model, x = model_of(cell, 2 if backwards else 1, pooling=pooling), inputs()
    trace = traced(model, x)
    layer = trace.layers[-1]
    order = list(reversed(range(T))) if backwards else list(range(T))
    other = trace.layers[0].values["h"]

    def odds(place, moved):
        """Run the layer anew with a state that is moved after one of its steps."""
        h, c = np.zeros((2, 1, H))
        states = np.empty((T, H))
        for t in order:
            _, h, c = step(cell, model.params, layer.name, x[t : t + 1], h, c)
            if t == place:
                h = h + moved
            states[t] = h[0]
        halves = [other, states] if backwards else [states]
        ends = [half[T - 1] if n == 0 else half[0] for n, half in enumerate(halves)]
        pooled = np.concatenate(ends if pooling == "last" else [half.mean(axis=0) for half in halves])
        scores = pooled @ model.params["output.w"] + model.params["output.b"]
        return log_odds(scores[None], 2)[0][0]

    for place in (0, 2, T - 1):
        for unit in (0, 3):
            moved = np.zeros(H)
            moved[unit] = 1e-6
            numeric = (odds(place, moved) - odds(place, -moved)) / 2e-6
            assert layer.dh[place, unit] == pytest.approx(numeric, rel=1e-5, abs=1e-8)


def test_norms_and_the_order_of_units():
    model, x = model_of(CELLS[1]), inputs()
    trace = traced(model, x)
    layer = trace.layers[0]
    np.testing.assert_allclose(layer.gradient_norms, np.sqrt((layer.dh**2).sum(axis=1)))
    np.testing.assert_allclose(trace.input_gradient_norms, np.sqrt((trace.dx**2).sum(axis=1)))
    pushes = (layer.dh * layer.values["h"]).sum(axis=0)[layer.unit_order]
    assert sorted(pushes, reverse=True) == pushes.tolist()
    assert layer.sigmoids == ("i", "f", "o")


def test_as_json_has_means_and_what_is_saturated():
    layer = traced(model_of(CELLS[2]), inputs()).layers[0]
    values = layer.values["z"]
    facts = traced(model_of(CELLS[2]), inputs()).as_json()["layers"]["rnn0.fwd"]
    assert sorted(facts["gates"]) == ["r", "z"]
    found = facts["gates"]["z"]
    assert found["mean"] == pytest.approx(values.mean())
    assert found["shut"] == np.mean(values < 0.1)
    assert found["open"] == np.mean(values > 0.9)
    assert found["by_step"] == pytest.approx(values.mean(axis=1).tolist())
    assert len(facts["gradient_norms"]) == T
