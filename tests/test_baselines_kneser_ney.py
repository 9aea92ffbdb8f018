"""N-grams with Kneser-Ney smoothing: by hand, and beside a slow one made of dictionaries."""

from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest

from rnncli.baselines import kneser_ney
from rnncli.baselines.kneser_ney import find_discounts, ngram_nats, train_ngrams

A, B, C, D = range(4)


def probability(model, *tokens):
    """Return the probability of the last of some tokens after the others, which begin a text."""
    return float(np.exp(-ngram_nats(model, np.array(tokens))[-1]))


def test_a_case_by_hand():
    """ABABAC: pairs AB twice, BA twice, AC once; too few for other discounts than 0.5 of counts of 1 and 1 of 2."""
    model = train_ngrams(np.array([A, B, A, B, A, C]), 4, 2)
    # Each of A, B, C follows one token: (1 - 0.5) / 3, and 1.5 / 3 is left for all four alike.
    alone = {A: 7 / 24, B: 7 / 24, C: 7 / 24, D: 1 / 8}
    for token, p in alone.items():
        assert probability(model, C, token) == pytest.approx(p)  # nothing follows C, so that it tells nothing
    # After A come B twice and C once: 1 and 0.5 are taken off, 1.5 / 3 is left.
    after_a = {B: 1 / 3 + 7 / 48, C: 0.5 / 3 + 7 / 48, A: 7 / 48, D: 1 / 16}
    assert sum(after_a.values()) == pytest.approx(1)
    for token, p in after_a.items():
        assert probability(model, A, token) == pytest.approx(p)
    assert probability(model, B, A) == pytest.approx(1 / 2 + 7 / 48)


def test_discounts_by_hand():
    counts = np.repeat([1, 2, 3, 4, 9], [10, 5, 3, 2, 7])
    assert find_discounts(counts) == pytest.approx([0, 0.5, 2 - 1.5 * 3 / 5, 3 - 2 * 2 / 3])


@pytest.mark.parametrize(
    "counts",
    [
        *([1, 1, 2, 3], [2, 3, 4], [7]),
        [1] * 9 + [2] + [3] * 9 + [4],  # would add to counts of 2
        [1] * 4 + [2, 3, 4],  # would leave them alone
    ],
)
def test_discounts_where_there_is_too_little_to_tell(counts):
    assert find_discounts(np.array(counts)) == pytest.approx([0, 0.5, 1, 1.5])


class Slow:
    """The formulas of the module, word for word."""

    def __init__(self, tokens, size, order, end):
        self.size, self.order, self.end = size, order, end
        counts = defaultdict(Counter)
        before, first = defaultdict(set), Counter()
        for place in range(1, len(tokens)):
            history = self.history(tokens, place)
            for k in range(1, min(order, len(history) + 1) + 1):
                ngram = (*history[len(history) - k + 1 :], tokens[place])
                counts[k][ngram] += 1
                if len(history) >= k:
                    before[ngram].add(history[len(history) - k])
                else:
                    first[ngram] += 1
        self.a = {
            k: dict(found) if k == order else {ngram: len(before[ngram]) + first[ngram] for ngram in found}
            for k, found in counts.items()
        }
        self.discounts = {k: find_discounts(np.array(list(a.values()))) for k, a in self.a.items()}

    def history(self, tokens, place):
        back = []
        for token in reversed(tokens[:place]):
            back.append(token)
            if token == self.end:
                break
        return tuple(reversed(back))

    def p(self, token, history, k):
        if k == 0:
            return 1 / self.size
        context = history[len(history) - k + 1 :]
        lower = self.p(token, history, k - 1)
        following = [a for ngram, a in self.a.get(k, {}).items() if ngram[:-1] == context]
        if len(history) < k - 1 or not following:
            return lower
        off = self.discounts[k]
        own = self.a[k].get((*context, token), 0)
        return (own - off[min(own, 3)] + sum(off[min(a, 3)] for a in following) * lower) / sum(following)


def some_tokens(length, seed, end=None):
    rng = np.random.default_rng(seed)
    tokens = rng.integers(0, 6, length) ** 2 // 6
    return tokens if end is None else np.where(rng.random(length) < 0.15, end, tokens)


@pytest.mark.parametrize("end", [None, 5])
@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_the_probabilities_are_those_of_the_formulas(order, end, monkeypatch):
    monkeypatch.setattr(kneser_ney, "BLOCK", 16)  # a text is scored in several
    tokens, text = some_tokens(300, order, end), some_tokens(90, 77, end)
    text[40:44] = 6  # an id that the training text does not have
    slow = Slow(tokens.tolist(), 7, order, end)
    nats = ngram_nats(train_ngrams(tokens, 7, order, end), text)
    for place in range(1, len(text)):
        history = slow.history(text.tolist(), place)
        assert np.exp(-nats[place - 1]) == pytest.approx(slow.p(int(text[place]), history, order), rel=1e-9)


@pytest.mark.parametrize("end", [None, 5])
def test_probabilities_add_up_to_one_and_none_is_zero(end):
    model = train_ngrams(some_tokens(400, 3, end).astype(np.uint8), 9, 4, end)
    assert any(order.discounts[1] != 0.5 for order in model.orders)
    for context in ([2], [0, 1], [4, 2, 0], [8, 8, 8], [1, 8, 0], [5, 0], [0, 5], some_tokens(30, 4).tolist()):
        p = [probability(model, *context, token) for token in range(9)]
        assert sum(p) == pytest.approx(1, rel=1e-12)
        assert min(p) > 0


def test_a_context_begins_with_its_document():
    tokens = some_tokens(300, 5, end=5)
    model = train_ngrams(tokens, 6, 4, end_of_text=5)
    assert probability(model, 0, 1, 5, 2) == probability(model, 4, 4, 5, 2) == probability(model, 5, 2)
    across = train_ngrams(tokens, 6, 4)
    assert probability(across, 0, 1, 5, 2) != probability(across, 4, 4, 5, 2)


def test_a_longer_order_finds_what_repeats():
    text = np.tile(some_tokens(40, 6), 10)
    costs = [ngram_nats(train_ngrams(text, 5, order), text).mean() for order in (1, 2, 8)]
    assert costs[0] > costs[1] > costs[2]
    assert costs[2] < 0.3


def test_the_arguments_stay_as_they_are():
    tokens = some_tokens(50, 1).astype(np.uint16)
    tokens.setflags(write=False)
    first, second = (ngram_nats(train_ngrams(tokens, 5, 3), tokens) for _ in range(2))
    assert first.tobytes() == second.tobytes()
    assert train_ngrams(tokens, 5, 2).ngrams == 4 + len(set(pairwise(tokens.tolist())))


def test_documents_shorter_than_the_order_have_the_n_grams_that_fit():
    tokens = np.array([0, 1, 2, 0, 1, 0, 1, 1, 0, 2])  # with a 0 on either side the longest has four
    short, long = (train_ngrams(tokens, 3, order, end_of_text=0) for order in (4, 9))
    assert len(long.orders) == 4
    assert ngram_nats(long, tokens).tobytes() == ngram_nats(short, tokens).tobytes()
    assert len(train_ngrams(tokens[:2], 3, 5).orders) == 2


@pytest.mark.parametrize("seed", range(200))
def test_no_text_however_small_makes_anything_impossible(seed):
    rng = np.random.default_rng(seed)
    size, order = int(rng.integers(2, 6)), int(rng.integers(1, 5))
    model = train_ngrams(rng.integers(0, size, rng.integers(2, 25)), size, order, [None, 0][seed % 2])
    assert np.isfinite(ngram_nats(model, rng.integers(0, size, 30))).all()


@pytest.mark.parametrize(("tokens", "order"), [([1], 2), ([], 2), ([1, 2], 0)])
def test_too_little_is_refused(tokens, order):
    with pytest.raises(ValueError, match="at least two tokens"):
        train_ngrams(np.array(tokens, int), 3, order)
