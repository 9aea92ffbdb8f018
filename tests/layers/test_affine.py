import numpy as np
from plain_cells import complex_step_gradients

from rnncli.layers import affine_backward, affine_forward, temporal_affine_backward, temporal_affine_forward

N, T, D, M = 3, 4, 2, 5


def draw(*shapes):
    rng = np.random.default_rng(0)
    return tuple(rng.standard_normal(shape) for shape in shapes)


def plain_affine(x, w, b):
    """One output at a time, for an x of any leading shape."""
    out = np.zeros((*x.shape[:-1], len(b)), np.result_type(x, w, b))
    for place in np.ndindex(out.shape):
        *row, m = place
        out[place] = sum(x[(*row, d)] * w[d, m] for d in range(len(w))) + b[m]
    return out


def test_affine_and_its_gradients():
    inputs = draw((N, D), (D, M), (M,))
    out, cache = affine_forward(*inputs)
    np.testing.assert_allclose(out, plain_affine(*inputs), rtol=1e-13)
    (dout,) = draw((N, M))
    for got, want in zip(affine_backward(dout, cache), complex_step_gradients(plain_affine, inputs, dout), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12)


def test_temporal_affine_and_its_gradients():
    inputs = draw((N, T, D), (D, M), (M,))
    out, cache = temporal_affine_forward(*inputs)
    np.testing.assert_allclose(out, plain_affine(*inputs), rtol=1e-13)
    (dout,) = draw((N, T, M))
    expected = complex_step_gradients(plain_affine, inputs, dout)
    for got, want in zip(temporal_affine_backward(dout, cache), expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12)


def test_temporal_affine_takes_arrays_that_are_not_contiguous():
    x, w, b = draw((T, N, D), (D, M), (M,))
    (dout,) = draw((M, T, N))
    turned, dturned = x.transpose(1, 0, 2), dout.transpose(2, 1, 0)
    out, cache = temporal_affine_forward(turned, w, b)
    same, same_cache = temporal_affine_forward(turned.copy(), w, b)
    np.testing.assert_allclose(out, same, rtol=1e-13)
    grads, expected = temporal_affine_backward(dturned, cache), temporal_affine_backward(dturned.copy(), same_cache)
    for a, c in zip(grads, expected, strict=True):
        np.testing.assert_allclose(a, c, rtol=1e-12)
