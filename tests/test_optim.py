import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncli.optim import SGD, Adam, Optimizer, SparseRows, clip_by_global_norm, squared_norm

LR = 0.03


def rng(seed=0):
    return np.random.default_rng(seed)


def adam_of_the_paper(theta, gradients, alpha, beta1, beta2, eps, decay=0.0):
    """Algorithm 1 of Kingma and Ba 2015, number by number; with decay, algorithm 2 of Loshchilov and Hutter 2019."""
    out = []
    for start, of_one in zip(theta, np.transpose(gradients), strict=True):
        value, m, v = float(start), 0.0, 0.0
        for t, g in enumerate(of_one, start=1):
            m = beta1 * m + (1 - beta1) * g
            v = beta2 * v + (1 - beta2) * g**2
            m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
            value = value - alpha * (m_hat / (v_hat**0.5 + eps) + decay * value)
        out.append(value)
    return np.array(out)


def run(rule, w, gradients, lr=LR):
    """Return the weights after one update for each gradient."""
    params, optimizer = {"w": w.copy()}, Optimizer(rule)
    for grad in gradients:
        optimizer.step(params, {"w": grad}, lr)
    return params["w"], optimizer


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_adam_is_the_papers(decay):
    w, grads = rng().normal(size=5), rng(1).normal(size=(7, 5))
    got, _ = run(Adam(0.8, 0.95, 1e-3, decay), w, grads)
    np.testing.assert_allclose(got, adam_of_the_paper(w, grads, LR, 0.8, 0.95, 1e-3, decay), rtol=1e-12)


def test_epsilon_is_outside_the_root():
    # A gradient as small as epsilon: outside the root the step is lr / 2, inside it would be lr * 1e-4.
    eps = 1e-8
    got, _ = run(Adam(eps=eps), np.zeros(1), [np.array([eps])])
    assert got[0] == pytest.approx(-LR / 2, rel=1e-6)


def test_the_first_step_of_adam_is_lr_whatever_the_size_of_the_gradient():
    got, _ = run(Adam(), np.zeros(3), [np.array([1e-3, -1.0, 1e3])])
    np.testing.assert_allclose(got, [-LR, LR, -LR], rtol=1e-4)


def test_sgd_adds_up_its_velocity():
    w, grads = rng().normal(size=4), rng(1).normal(size=(5, 4))
    value, velocity = w.copy(), 0.0
    for grad in grads:
        velocity = 0.7 * velocity + grad
        value = value - LR * velocity
    np.testing.assert_allclose(run(SGD(0.7), w, grads)[0], value, rtol=1e-12)
    np.testing.assert_allclose(run(SGD(0.0), w, grads)[0], w - LR * grads.sum(axis=0), rtol=1e-12)


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_frameworks_agree(name):
    torch = pytest.importorskip("torch")
    rule, theirs = {
        "adam": (Adam(0.8, 0.95, 1e-3), lambda p: torch.optim.Adam(p, LR, betas=(0.8, 0.95), eps=1e-3)),
        "adamw": (
            Adam(0.8, 0.95, 1e-3, 0.1),
            lambda p: torch.optim.AdamW(p, LR, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1),
        ),
        "sgd": (SGD(0.7), lambda p: torch.optim.SGD(p, LR, momentum=0.7)),
    }[name]
    w, grads = rng().normal(size=(3, 4)), rng(1).normal(size=(6, 3, 4))
    weight = torch.nn.Parameter(torch.tensor(w))
    optimizer = theirs([weight])
    for grad in grads:
        weight.grad = torch.tensor(grad)
        optimizer.step()
    np.testing.assert_allclose(run(rule, w, grads)[0], weight.detach().numpy(), rtol=1e-10)


def test_sparse_rows_are_those_of_sparse_adam():
    torch = pytest.importorskip("torch")
    w, draws = rng().normal(size=(6, 3)), rng(1)
    weight = torch.nn.Parameter(torch.tensor(w))
    # SparseAdam adds epsilon before its correction of the second moment, the paper after it: one too small to count.
    theirs = torch.optim.SparseAdam([weight], LR, betas=(0.8, 0.95), eps=1e-14)
    params, ours = {"w": w.copy()}, Optimizer(Adam(0.8, 0.95, 1e-14))
    for _ in range(8):
        rows = draws.choice(6, size=3, replace=False)
        values = draws.normal(size=(3, 3))
        index = torch.tensor(rows[None])
        weight.grad = torch.sparse_coo_tensor(index, torch.tensor(values), (6, 3), check_invariants=True)
        theirs.step()
        ours.step(params, {"w": SparseRows(rows, values)}, LR)
    np.testing.assert_allclose(params["w"], weight.detach().numpy(), rtol=1e-10)


RULES = [Adam(), Adam(weight_decay=0.1), SGD()]


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_rows_that_do_not_occur_stay_as_they_are_to_the_bit(rule):
    w, draws = rng().normal(size=(8, 3)).astype(np.float32), rng(1)
    params, optimizer = {"w": w.copy()}, Optimizer(rule)
    optimizer.step(params, {"w": draws.normal(size=(8, 3)).astype(np.float32)}, LR)  # every moment is non-zero now
    before = {"w": params["w"].copy(), **{name: a.copy() for name, a in optimizer.state.items()}}
    rows = np.array([5, 2])
    optimizer.step(params, {"w": SparseRows(rows, draws.normal(size=(2, 3)).astype(np.float32))}, LR)
    after = {"w": params["w"], **optimizer.state}
    assert len(before) == 1 + len(rule.moments)
    others = np.setdiff1d(np.arange(8), rows)
    for name, array in after.items():
        assert array[others].tobytes() == before[name][others].tobytes(), name
        assert (array[rows] != before[name][rows]).all(), name


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_rows_that_occur_move_as_in_a_dense_update(rule):
    w, draws = rng().normal(size=(6, 3)), rng(1)
    rows = np.array([4, 0, 3])
    sparse, dense = {"w": w.copy()}, {"w": w.copy()}
    ours, plain = Optimizer(rule), Optimizer(rule)
    for _ in range(4):
        values = draws.normal(size=(3, 3))
        whole = np.zeros_like(w)
        whole[rows] = values
        ours.step(sparse, {"w": SparseRows(rows, values)}, LR)
        plain.step(dense, {"w": whole}, LR)
    np.testing.assert_array_equal(sparse["w"][rows], dense["w"][rows])
    for name in ours.state:
        np.testing.assert_array_equal(ours.state[name][rows], plain.state[name][rows])


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_an_update_changes_no_argument_and_keeps_float32(rule):
    arrays = [rng(i).normal(size=(3, 2)).astype(np.float32) for i in range(2 + len(rule.moments))]
    arrays = [np.abs(a) for a in arrays]
    copies = [a.copy() for a in arrays]
    w, dw, *moments = arrays
    new_w, new_moments = rule.update(w, dw, moments, 3, LR)
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)
    assert [a.dtype for a in (new_w, *new_moments)] == [np.float32] * (1 + len(moments))
    assert len(new_moments) == len(moments)


def test_state_is_named_by_moment_and_parameter():
    params = {"a": np.zeros(2, np.float32), "b": np.zeros((2, 2), np.float32)}
    optimizer = Optimizer(Adam())
    optimizer.step(params, {"a": np.ones(2, np.float32)}, LR)
    assert set(optimizer.state) == {"m/a", "v/a"}
    assert optimizer.step_count == 1
    assert not params["b"].any()


def test_an_array_that_starts_late_moves_as_one_that_starts_then():
    """Its updates are numbered from its own first; by the run's number, Adam's first step would be 3.2 lr long."""
    w, grads = rng().normal(size=5), rng(1).normal(size=(7, 5))
    params, optimizer = {"late": w.copy(), "early": w.copy()}, Optimizer(Adam(0.8, 0.95, 1e-3), delays={"late": 3})
    for number, grad in enumerate(grads):
        assert optimizer.resting == ({"late"} if number < 3 else set())
        optimizer.step(params, {name: grad for name in params if name not in optimizer.resting}, LR)
    expected = adam_of_the_paper(w, grads[3:], LR, 0.8, 0.95, 1e-3)
    np.testing.assert_allclose(params["late"], expected, rtol=1e-12)
    np.testing.assert_allclose(params["early"], adam_of_the_paper(w, grads, LR, 0.8, 0.95, 1e-3), rtol=1e-12)


def test_each_array_has_its_part_of_the_rate():
    w, grad = np.ones(3), np.array([1.0, -2.0, 3.0])
    params, optimizer = {"a": w.copy(), "b": w.copy()}, Optimizer(SGD(0.0), factors={"b": 0.25})
    optimizer.step(params, {"a": grad, "b": grad}, LR)
    np.testing.assert_array_equal(params["a"], w - LR * grad)
    np.testing.assert_array_equal(params["b"], w - LR * 0.25 * grad)


def test_the_norm_counts_sparse_rows():
    grads = {"a": np.array([3.0, 0.0]), "w": SparseRows(np.array([7]), np.array([[0.0, 4.0]]))}
    assert squared_norm(grads) == pytest.approx(25.0)
    clipped, norm = clip_by_global_norm(grads, 1.0)
    assert norm == pytest.approx(5.0)
    np.testing.assert_allclose(clipped["a"], [0.6, 0.0])
    np.testing.assert_allclose(clipped["w"].values, [[0.0, 0.8]])
    assert clipped["w"].rows.tolist() == [7]
    assert grads["a"].tolist() == [3.0, 0.0]
    assert grads["w"].values.tolist() == [[0.0, 4.0]]


@pytest.mark.parametrize("limit", [5.0, 6.0, None])
def test_what_is_within_the_limit_is_let_through_as_it_is(limit):
    grads = {"a": np.array([3.0, 4.0])}
    clipped, norm = clip_by_global_norm(grads, limit)
    assert clipped["a"] is grads["a"]
    assert norm == pytest.approx(5.0)


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=6), st.floats(0.01, 10))
def test_clipping_keeps_the_direction_and_never_exceeds_the_limit(values, limit):
    grads = {"a": np.array(values), "w": SparseRows(np.array([0]), np.array([values[::-1]]))}
    clipped, norm = clip_by_global_norm(grads, limit)
    assert norm == pytest.approx(np.linalg.norm(values) * 2**0.5)
    assert squared_norm(clipped) ** 0.5 <= limit * (1 + 1e-9) or norm <= limit
    factor = min(1.0, limit / norm) if norm else 1.0
    np.testing.assert_allclose(clipped["a"], np.array(values) * factor, rtol=1e-9, atol=1e-300)
    np.testing.assert_allclose(clipped["w"].values[0], np.array(values[::-1]) * factor, rtol=1e-9, atol=1e-300)
