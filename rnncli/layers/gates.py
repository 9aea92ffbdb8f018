"""The gates of a step: how they lie in memory, and the product that fills them.

Weights and gradients have rows of G*H numbers, gate beside gate, as in every textbook. What is computed element by
element within a step is (G, n, H) instead, each gate contiguous: on slices out of rows of G*H the same passes take two
to three times as long.

Letters: n rows, G gates, K inputs of a product, S pieces.
"""

import numpy as np

from rnncli.packing import Array

# OpenBLAS multiplies matrices without first copying them into a layout of its own where M * N * K is at most this
# (its "small matrix" kernels for AVX-512; others have no such bound, and there the pieces cost nothing).
SMALL_PRODUCT = 1_000_000

# As arrays: NumPy converts a Python number anew at each call, a quarter of a microsecond.
HALF, ONE = np.array(0.5, np.float32), np.array(1, np.float32)


def split_gates(a: Array, gates: int) -> Array:
    """View rows of G*H as (G, n, H)."""
    n, GH = a.shape
    return a.reshape(n, gates, GH // gates).transpose(1, 0, 2)


def step_gates(rows: Array, gates: int) -> Array:
    """View the rows of one step, which hold its gates one after the other, as (G, n, H)."""
    n, GH = rows.shape
    return rows.reshape(gates, n, GH // gates)


def cut_columns(W: Array, gates: int, n: int) -> Array:
    """Copy W (K, G*H) into pieces (G, S, K, H/S) that :func:`multiply` multiplies n rows with, one after the other.

    Where a gate is one piece, they are (G, K, H), of one gate (K, H). For a single row all gates are one piece,
    (K, G*H): they lie one after the other anyhow.
    """
    K, columns = W.shape
    H = columns // gates
    width = H
    while width % 64 == 0 and n * K * width > SMALL_PRODUCT:
        width //= 2
    if n * K * width > SMALL_PRODUCT:
        width = H  # out of reach
    if n == 1 or columns == width:
        return np.ascontiguousarray(W)
    pieces = np.ascontiguousarray(W.reshape(K, gates, H // width, width).transpose(1, 2, 0, 3))
    return pieces[:, 0] if width == H else pieces


def multiply(a: Array, pieces: Array, out: Array) -> None:
    """Compute out = a W gate by gate: a (n, K), W from :func:`cut_columns`, out (G, n, H) or, of one gate, (n, H)."""
    if pieces.ndim == 4:
        G, S, _, width = pieces.shape
        out = out.reshape(G, len(a), S, width).transpose(0, 2, 1, 3)
    elif pieces.ndim < out.ndim:
        out = out.reshape(len(a), pieces.shape[1])
    np.matmul(a, pieces, out=out)
