import json
import math

import numpy as np
import pytest

from rnncli.errors import GradientError
from rnncli.language_metrics import TokenLosses, bits_per_character, language_report, perplexity


def test_perplexity_is_of_the_mean_over_tokens_not_over_windows():
    losses = TokenLosses()
    losses.add(np.full((2, 3), math.log(2)))
    losses.add([math.log(8)] * 2)
    report = language_report(losses, characters=8, unknown=1)
    assert report["tokens"] == 8
    assert report["loss"] == pytest.approx((6 * math.log(2) + 2 * math.log(8)) / 8)
    assert report["perplexity"] == pytest.approx(2**1.5)
    assert report["perplexity"] != pytest.approx((2 + 8) / 2)
    assert report["bits_per_character"] == pytest.approx(1.5)
    assert report["unknown_tokens"] == 1


def test_a_uniform_model_has_the_size_of_its_vocabulary():
    assert perplexity(math.log(65)) == pytest.approx(65)
    assert bits_per_character(100 * math.log(64), 100) == pytest.approx(6)


def test_tokens_of_two_characters_cost_half_as_much_a_character():
    losses = TokenLosses()
    losses.add([2 * math.log(2)] * 5)
    assert language_report(losses, 10, 0)["bits_per_character"] == pytest.approx(1)


def test_small_losses_are_not_lost_in_a_large_sum():
    losses = TokenLosses()
    for _ in range(3):
        losses.add(np.full(10**6, 1e-3, np.float32))
    assert losses.nats == pytest.approx(3e6 * float(np.float32(1e-3)), rel=1e-12)


def test_what_json_cannot_say_is_none():
    assert language_report(TokenLosses(), 0, 0)["loss"] is None
    losses = TokenLosses()
    losses.add([1000.0])
    assert perplexity(1000.0) is None
    losses.add([math.inf])
    report = language_report(losses, 3, 0)
    assert (report["loss"], report["perplexity"], report["bits_per_character"]) == (None, None, None)
    json.dumps(report, allow_nan=False)


def test_what_is_no_number_is_refused():
    with pytest.raises(GradientError, match="not numbers"):
        TokenLosses().add([1.0, math.nan])
