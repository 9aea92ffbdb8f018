"""Tokens as numbers, with masks by token or by text."""

import numpy as np
import pytest

from rnncli.embedded import embed, embed_backward
from rnncli.layers.dropping import Places

IDS = np.array([3, 1, 3, 3, 0, 1, 3])
TEXTS = np.array([0, 1, 2, 0, 1, 2, 0])
W = np.random.default_rng(1).standard_normal((5, 40)) + 10


def rng():
    return np.random.default_rng(0)


def rows_of(found):
    """Return the numbers of each row, whether they are by token or by row."""
    x, groups, _ = found
    return x if groups is None else x[groups.index]


def test_without_dropout_each_token_is_looked_up_once():
    x, groups, cache = embed(W, IDS, 0.0, rng(), streams=Places(TEXTS, 3))
    assert x.shape == (3, 40)
    np.testing.assert_array_equal(x[groups.index], W[IDS])
    tokens, dW = embed_backward(np.ones_like(x), cache)
    assert sorted(tokens.tolist()) == [0, 1, 3]
    assert dW.shape == (3, 40)


def test_a_mask_holds_for_a_token_wherever_it_stands_or_for_a_text():
    def kept(found):
        return rows_of(found) != 0

    by_token, by_text = kept(embed(W, IDS, 0.5, rng())), kept(embed(W, IDS, 0.5, rng(), streams=Places(TEXTS, 3)))
    for masks, same in ((by_token, IDS), (by_text, TEXTS)):
        for a in range(len(IDS)):
            for b in range(a):
                assert np.array_equal(masks[a], masks[b]) == (same[a] == same[b])


@pytest.mark.parametrize("by_text", [False, True])
def test_a_part_has_the_masks_of_the_whole(by_text):
    mine = np.flatnonzero(TEXTS != 1)
    tokens, streams = np.unique(IDS), Places(TEXTS, 3) if by_text else None
    whole = rows_of(embed(W, IDS, 0.5, rng(), tokens=tokens, streams=streams))
    streams = Places(TEXTS[mine], 3) if by_text else None
    np.testing.assert_array_equal(rows_of(embed(W, IDS[mine], 0.5, rng(), tokens=tokens, streams=streams)), whole[mine])


@pytest.mark.parametrize("by_text", [False, True])
def test_the_gradient_of_a_token_is_the_sum_over_its_rows(by_text):
    streams = Places(TEXTS, 3) if by_text else None
    x, groups, cache = embed(W, IDS, 0.5, rng(), streams=streams)
    drows = np.random.default_rng(2).standard_normal((len(IDS), 40))
    dx = drows if groups is None else np.stack([drows[groups.index == u].sum(axis=0) for u in range(len(x))])
    mask = rows_of((x, groups, cache)) / W[IDS]
    tokens, dW = embed_backward(dx, cache)
    for token, row in zip(tokens, dW, strict=True):
        np.testing.assert_allclose(row, (drows * mask)[token == IDS].sum(axis=0), rtol=1e-12)
