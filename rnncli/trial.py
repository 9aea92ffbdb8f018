"""A few steps and a validation of a run, for what they take: nothing of them is kept."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rnncli.data.dataset import EncodedTexts
from rnncli.data.tagging.codec import TaggedTexts
from rnncli.packing import IntArray
from rnncli.plan_figures import distinct_tokens
from rnncli.team import Member
from rnncli.training import Trainer
from rnncli.workers.exchange import ALONE

WARM_UP = 3  # steps before those that are timed; the first is on the largest batch, for the memory it takes
FEWEST = 5  # steps to time, however long they take


@dataclass(frozen=True)
class Steps:
    """What steps took.

    Attributes
    ----------
    seconds : list of float
        Of each.
    tokens, distinct : list of int
        Real tokens of each, and different ones.
    cpu_seconds : float
        Of a core, that this process had in all of them.
    finite : bool
        Whether every loss and gradient was.
    tokens_of_epoch : int
        Of a whole epoch.
    """

    seconds: list[float]
    tokens: list[int]
    distinct: list[int]
    cpu_seconds: float
    finite: bool
    tokens_of_epoch: int

    @property
    def speed(self) -> float:
        """Tokens a second."""
        return sum(self.tokens) / sum(self.seconds)


def try_steps(trainer: Trainer, seconds: float) -> Steps:
    """Train on batches of an epoch, from the smallest to the largest alike.

    Parameters
    ----------
    trainer : Trainer
        Changed by it.
    seconds : float
        For about how long; at most as many steps as the run has.

    Returns
    -------
    Steps
        Without those it took to warm up.
    """
    member, work, settings = member_of(trainer), trainer.work, trainer.settings
    order = work.order(0)
    sizes = np.array([work.amount(items).tokens for items in order])
    by_size = np.argsort(sizes, kind="stable").tolist()
    steps = Steps([], [], [], 0.0, True, int(sizes.sum()))
    finite, cpu_seconds = True, 0.0
    for number, place in enumerate(_places(by_size)):
        average = 0.0 if trainer.averages is None else trainer.averages.weight(number)
        before, cpu_before = time.perf_counter(), time.process_time()
        finite &= member.step(number, order[place], settings.lr * settings.schedule(number), average).finite
        passed, cpu_passed = time.perf_counter() - before, time.process_time() - cpu_before
        if number < WARM_UP:
            continue
        steps.seconds.append(passed)
        cpu_seconds += cpu_passed
        steps.tokens.append(int(sizes[place]))
        steps.distinct.append(distinct_tokens(work, order[place]))
        timed = len(steps.seconds)
        if timed >= FEWEST and (sum(steps.seconds) >= seconds or timed >= trainer.total_steps):
            return replace(steps, cpu_seconds=cpu_seconds, finite=finite)
    raise AssertionError("there is always another place")


def try_validation(trainer: Trainer, speed: float, seconds: float) -> tuple[float, float]:
    """Score the validation part, or some of it where it is large.

    Parameters
    ----------
    trainer : Trainer
        Not changed.
    speed : float
        Tokens a second in training.
    seconds : float
        How long the training steps took; this takes at most some three times that.

    Returns
    -------
    seconds : float
        Of a whole validation.
    share : float
        The part of it that was made.
    """
    member = member_of(trainer)
    work: Any = trainer.work
    whole, start = work.valid, time.perf_counter()
    # Scoring is some three times as fast as training.
    nth = max(1, int(_tokens(whole) / speed / (9 * seconds)))
    if nth == 1:
        member.evaluate(average=trainer.means is not None)
        return time.perf_counter() - start, 1.0
    work.valid = every_nth(whole, nth)
    share = _tokens(work.valid) / _tokens(whole)
    try:  # by this process alone: the others have the whole
        work.evaluate(ALONE)
    finally:
        work.valid = whole
    return (time.perf_counter() - start) / share / trainer.exchange.size, share


def member_of(trainer: Trainer) -> Member:
    """Return what makes a trainer's steps, without what counts them."""
    settings = trainer.settings
    return Member(
        trainer.exchange, trainer.work, trainer.optimizer, settings.seed, settings.clip_norm, trainer.averages
    )


def spread(count: int) -> Iterator[int]:
    """Yield the numbers below ``count``, each once, so that those up to any point are spread evenly over all.

    Bits are read from the right as those of a fraction (van der Corput 1935): 0, 1/2, 1/4, 3/4, 1/8, ...
    """
    bits = max(1, (count - 1).bit_length())
    for number in range(2**bits):
        mirrored = int(f"{number:0{bits}b}"[::-1], 2)
        if mirrored < count:
            yield mirrored


def _places(by_size: list[int]) -> Iterator[int]:
    """Yield places of steps: the largest and a middling one twice, to warm up, then all of them over and over."""
    yield from [by_size[-1], *[by_size[len(by_size) // 2]] * (WARM_UP - 1)]
    while True:
        yield from (by_size[place] for place in spread(len(by_size)))


def _tokens(texts: Any) -> int:
    return len(texts.ids) if isinstance(texts, EncodedTexts | TaggedTexts) else len(texts)


def every_nth(texts: Any, nth: int) -> Any:
    """Return each n-th text of a part, or the first n-th of one that is a single text."""
    if not isinstance(texts, EncodedTexts | TaggedTexts):
        count = max(2, len(texts) // nth)
        return replace(texts, tokens=texts.tokens[:count], characters=max(1, texts.characters // nth))
    rows = np.arange(0, len(texts), nth)
    lengths = texts.lengths[rows]
    words = np.concatenate([np.arange(texts.offsets[row], texts.offsets[row + 1]) for row in rows.tolist()])
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    if isinstance(texts, EncodedTexts):
        return EncodedTexts(texts.ids[words], offsets, texts.labels[rows])
    by_word: dict[str, IntArray] = {name: getattr(texts, name)[words] for name in ("ids", "labels", "forms", "unseen")}
    return replace(texts, offsets=offsets, **by_word)  # type: ignore[arg-type]
