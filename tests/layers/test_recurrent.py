"""The packed engine: distinct tokens, final states, halves of a bidirectional layer, scoring."""

import numpy as np
import pytest
from plain_cells import complex_step_gradients
from variants import both_types, both_ways

from rnncli.layers import CELLS, GRU_RESET_AFTER
from rnncli.layers.recurrent import AHEAD_PROJECTED, gate_scale, recurrent_backward, recurrent_forward
from rnncli.packing import group_rows, make_packing

N, D, H = 5, 3, 4
LENGTHS = np.array([3, 6, 1, 6, 2])
every_cell = pytest.mark.parametrize(
    "cell", [*CELLS.values(), GRU_RESET_AFTER], ids=["rnn", "lstm", "gru", "gru, reset after"]
)


def draw(cell, dtype=np.float64, rows=None):
    rng = np.random.default_rng(0)
    columns = cell.gates * H
    packing = make_packing(LENGTHS)
    shapes = [(rows or packing.rows, D), (N, H), (D, columns), (H, columns), (columns,)]
    if cell is GRU_RESET_AFTER:
        shapes.append((H,))
    x, h0, *weights = (0.7 * rng.standard_normal(shape).astype(dtype) for shape in shapes)
    c0 = rng.standard_normal((N, H)).astype(dtype) if cell.has_cell_state else None
    return packing, x, h0, weights, c0


def gradients(result):
    """All seven results of recurrent_backward as one flat list."""
    *arrays, more = result
    return [*arrays, *more]


def test_the_table_of_cells_is_keyed_by_name():
    assert {name: cell.name for name, cell in CELLS.items()} == {"rnn": "rnn", "lstm": "lstm", "gru": "gru"}


def test_only_sigmoid_gates_are_halved():
    np.testing.assert_array_equal(gate_scale(CELLS["lstm"], 2, np.dtype(np.float32)), [0.5] * 6 + [1] * 2)
    np.testing.assert_array_equal(gate_scale(CELLS["gru"], 2, np.dtype(np.float64)), [0.5] * 4 + [1] * 2)
    np.testing.assert_array_equal(gate_scale(CELLS["rnn"], 2, np.dtype(np.float64)), [1] * 2)
    assert gate_scale(CELLS["lstm"], 2, np.dtype(np.float32)).dtype == np.float32


@both_ways
@every_cell
def test_a_batch_of_many_rows_is_its_sequences_one_by_one(cell, reverse):
    """Many enough that inputs are projected in several parts, and products cut into pieces."""
    packing = make_packing(np.random.default_rng(0).integers(1, 40, 72))
    assert packing.rows > AHEAD_PROJECTED
    rng, width = np.random.default_rng(1), 128
    shapes = [(packing.rows, D), (72, width), (D, cell.gates * width), (width, cell.gates * width), cell.gates * width]
    _, h0, *weights = (0.05 * rng.standard_normal(shape) for shape in shapes)
    if cell is GRU_RESET_AFTER:
        weights.append(rng.standard_normal(width))
    groups = group_rows(rng.integers(0, 50, packing.rows))
    table = rng.standard_normal((len(groups.values), D))
    x = table[groups.index]
    dh = rng.standard_normal((packing.rows, width))
    h, final_h, final_c, cache = recurrent_forward(cell, x, packing, h0, *weights, reverse=reverse)
    dx, dh0, dc0, *dweights = gradients(recurrent_backward(dh, cache))
    looked_up, *_ = recurrent_forward(cell, table, packing, h0, *weights, reverse=reverse, groups=groups)
    np.testing.assert_allclose(looked_up, h, rtol=1e-9, atol=1e-11)
    totals = [np.zeros_like(dweight) for dweight in dweights]
    for j in range(72):
        rows, alone = packing.sequences == j, make_packing(packing.lengths[j : j + 1])
        one_h, one_final_h, one_final_c, one_cache = recurrent_forward(
            cell, x[rows], alone, h0[j : j + 1], *weights, reverse=reverse
        )
        one_dx, one_dh0, one_dc0, *one_dweights = gradients(recurrent_backward(dh[rows], one_cache))
        pairs = [(h[rows], one_h), (final_h[j], one_final_h[0]), (dx[rows], one_dx), (dh0[j], one_dh0[0])]
        if cell.has_cell_state:
            pairs += [(final_c[j], one_final_c[0]), (dc0[j], one_dc0[0])]
        for got, want in pairs:
            np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-11)
        for total, part in zip(totals, one_dweights, strict=True):
            total += part
    for got, want in zip(dweights, totals, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-9)


@both_types
@both_ways
@every_cell
def test_a_spent_cache_gives_the_same_gradients_and_serves_no_second_time(cell, reverse, dtype):
    packing, x, h0, weights, c0 = draw(cell, dtype)
    h, _, _, cache = recurrent_forward(cell, x, packing, h0, *weights, c0=c0, reverse=reverse)
    h_before = h.copy()
    dh = np.random.default_rng(1).standard_normal(h.shape).astype(dtype)
    kept = gradients(recurrent_backward(dh, cache))
    for got, want in zip(gradients(recurrent_backward(dh, cache, spend=True)), kept, strict=True):
        np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(h, h_before)
    with pytest.raises(ValueError, match="spent"):
        recurrent_backward(dh, cache)


@both_types
@both_ways
@every_cell
def test_projecting_distinct_tokens_once_changes_nothing(cell, reverse, dtype):
    packing, _, h0, weights, c0 = draw(cell, dtype)
    tokens = np.random.default_rng(1).choice([2, 9, 4, 7], packing.rows)
    tokens[:6] = 4  # a shared row, more often than the rest
    groups = group_rows(tokens)
    table = np.random.default_rng(2).standard_normal((len(groups.values), D)).astype(dtype)
    dh = np.random.default_rng(3).standard_normal((packing.rows, H)).astype(dtype)
    options = {"c0": c0, "reverse": reverse}
    h, final_h, final_c, cache = recurrent_forward(cell, table, packing, h0, *weights, groups=groups, **options)
    dtable, *grads = gradients(recurrent_backward(dh, cache))

    looked_up = table[groups.index]
    h_plain, final_h_plain, final_c_plain, cache_plain = recurrent_forward(
        cell, looked_up, packing, h0, *weights, **options
    )
    dx, *grads_plain = gradients(recurrent_backward(dh, cache_plain))
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(h, h_plain, rtol=0, atol=8 * eps)
    np.testing.assert_allclose(final_h, final_h_plain, rtol=0, atol=8 * eps)
    if cell.has_cell_state:
        np.testing.assert_allclose(final_c, final_c_plain, rtol=0, atol=16 * eps)
    expected = np.zeros_like(table)
    np.add.at(expected, groups.index, dx)
    for got, want in zip([dtable, *grads], [expected, *grads_plain], strict=True):
        assert got.dtype == dtype
        np.testing.assert_allclose(got, want, rtol=0, atol=40 * eps * max(np.abs(want).max(), 1))


@both_ways
@every_cell
def test_scoring_keeps_nothing_and_gives_the_same_states(cell, reverse):
    packing, x, h0, weights, c0 = draw(cell, np.float32)
    h, final_h, final_c, _ = recurrent_forward(cell, x, packing, h0, *weights, c0=c0, reverse=reverse)
    scored = recurrent_forward(cell, x, packing, h0, *weights, c0=c0, reverse=reverse, keep=False)
    assert scored[3] is None
    np.testing.assert_array_equal(scored[0], h)
    np.testing.assert_array_equal(scored[1], final_h)
    if cell.has_cell_state:
        np.testing.assert_array_equal(scored[2], final_c)
    else:
        assert scored[2] is None
        assert final_c is None


@both_ways
@every_cell
def test_the_states_are_written_where_asked(cell, reverse):
    packing, x, h0, weights, c0 = draw(cell, np.float32)
    h, _, _, cache = recurrent_forward(cell, x, packing, h0, *weights, c0=c0, reverse=reverse)
    both = np.full((packing.rows, 2 * H), np.float32(7))
    written, _, _, cache_written = recurrent_forward(
        cell, x, packing, h0, *weights, c0=c0, reverse=reverse, out=both[:, H:]
    )
    assert np.shares_memory(written, both)
    np.testing.assert_array_equal(both[:, H:], h)
    np.testing.assert_array_equal(both[:, :H], 7)
    dboth = np.random.default_rng(1).standard_normal(both.shape).astype(np.float32)
    both[:, :H] = np.nan  # the other direction's
    for a, b in zip(
        gradients(recurrent_backward(dboth[:, H:], cache_written)),
        gradients(recurrent_backward(dboth[:, H:].copy(), cache)),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


@both_ways
@every_cell
def test_the_final_state_is_the_state_at_its_row_and_so_is_its_gradient(cell, reverse):
    packing, x, h0, weights, c0 = draw(cell)
    h, final_h, _, cache = recurrent_forward(cell, x, packing, h0, *weights, c0=c0, reverse=reverse)
    rows = np.arange(N) if reverse else packing.last_rows
    np.testing.assert_array_equal(final_h, h[rows])
    dh = np.random.default_rng(1).standard_normal(h.shape)
    dfinal_h = np.random.default_rng(2).standard_normal(final_h.shape)
    through_rows = dh.copy()
    through_rows[rows] += dfinal_h
    for a, b in zip(
        gradients(recurrent_backward(dh, cache, dfinal_h=dfinal_h)),
        gradients(recurrent_backward(through_rows, cache)),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


@both_ways
def test_the_final_cell_state_has_the_gradient_of_its_formula(reverse):
    cell = CELLS["lstm"]
    packing, x, h0, weights, c0 = draw(cell)

    def final_cell_states(x, h0, Wx, Wh, b, c0):
        """Straight from the definition, for packed rows and complex numbers."""
        out = []
        for j in range(N):
            h, c = h0[j], c0[j]
            times = range(packing.lengths[j])
            for t in reversed(times) if reverse else times:
                a = x[packing.offsets[t] + j] @ Wx + h @ Wh + b
                i, f, o = (1 / (1 + np.exp(-a[k * H : (k + 1) * H])) for k in range(3))
                c = f * c + i * np.tanh(a[3 * H :])
                h = o * np.tanh(c)
            out.append(c)
        return np.stack(out)

    inputs = (x, h0, *weights, c0)
    h, _, final_c, cache = recurrent_forward(cell, x, packing, h0, *weights, c0=c0, reverse=reverse)
    np.testing.assert_allclose(final_c, final_cell_states(*inputs), rtol=1e-12)
    dfinal_c = np.random.default_rng(1).standard_normal(final_c.shape)
    dx, dh0, dc0, dWx, dWh, db, _ = recurrent_backward(np.zeros_like(h), cache, dfinal_c=dfinal_c)
    expected = complex_step_gradients(final_cell_states, inputs, dfinal_c)
    for got, want in zip((dx, dh0, dWx, dWh, db, dc0), expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-13)


@both_types
@every_cell
def test_nothing_given_is_changed_and_the_same_call_gives_the_same_bits(cell, dtype):
    packing, x, h0, weights, c0 = draw(cell, dtype)
    given = [a for a in (x, h0, *weights, c0) if a is not None]
    before = [a.copy() for a in given]
    for a in given:
        a.flags.writeable = False
    results = [recurrent_forward(cell, x, packing, h0, *weights, c0=c0) for _ in range(2)]
    np.testing.assert_array_equal(results[0][0], results[1][0])
    dh, dfinal_h, dfinal_c = (
        np.random.default_rng(1).standard_normal(shape).astype(dtype) for shape in [(packing.rows, H), (N, H), (N, H)]
    )
    douts = [dh, dfinal_h, dfinal_c]
    douts_before = [a.copy() for a in douts]
    for a in douts:
        a.flags.writeable = False
    cache = results[0][3]
    first, second = (
        gradients(recurrent_backward(dh, cache, dfinal_h=dfinal_h, dfinal_c=dfinal_c if c0 is not None else None))
        for _ in range(2)
    )
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == dtype
    for a, b in zip([*given, *douts], [*before, *douts_before], strict=True):
        np.testing.assert_array_equal(a, b)
