"""How far runs that were evaluated on the same data differ, and in which settings."""

from collections.abc import Sequence
from typing import Any

from rnncli.comparing import DRAWS, bootstrap, chance_of_difference, holm, mcnemar, percentiles
from rnncli.differing import differing_keys
from rnncli.judging import Judged
from rnncli.resuming import flattened
from rnncli.run_records import RunRecord

LIKELY = 0.05  # chance below which a difference is called one


def differences(runs: Sequence[Judged], *, draws: int = DRAWS) -> list[dict[str, Any]]:
    """Compare each run with the first, as far as they were evaluated on the same data.

    Parameters
    ----------
    runs : sequence of Judged
        At least one.
    draws : int
        Samples of the bootstrap.

    Returns
    -------
    list of dict
        One for each run but the first: ``run``, ``with``, ``difference`` (of the headline, this run's less the
        first's), ``interval`` of it, ``mcnemar`` (``first_only``, ``second_only``, ``p``: the first run's, this run's;
        of sentences for a tagger, None for a language model), ``test`` (what ``p`` is of), ``p``, ``p_holm`` (corrected
        for the number of runs) and ``verdict``. Where the data is not the same only ``run``, ``with`` and
        ``not_compared``, which says why.
    """
    first = runs[0]
    found: list[dict[str, Any]] = []
    for run in runs[1:]:
        pair: dict[str, Any] = {"run": run.record.name, "with": first.record.name}
        why = _not_comparable(first, run)
        found.append({**pair, "not_compared": why} if why else {**pair, **_difference(first, run, draws)})
    tested = [pair for pair in found if "p" in pair]
    for pair, corrected in zip(tested, holm([pair["p"] for pair in tested]), strict=True):
        better = (pair["difference"] > 0) == first.headline.more_is_better
        told_apart = corrected < LIKELY and pair["difference"] != 0
        pair["p_holm"] = corrected
        pair["verdict"] = ("better" if better else "worse") if told_apart else "no clear difference"
    return found


def _not_comparable(first: Judged, run: Judged) -> str | None:
    for judged in (first, run):
        if judged.outcome is None:
            return f"{judged.record.name} could not be evaluated"
    assert first.outcome is not None
    assert run.outcome is not None
    if (first.outcome.key, len(first.outcome.counted)) != (run.outcome.key, len(run.outcome.counted)):
        return "they were evaluated on different data"
    return None


def _difference(first: Judged, run: Judged, draws: int) -> dict[str, Any]:
    assert first.outcome is not None
    assert run.outcome is not None
    head = first.headline
    above, below = zip(first.outcome.sums(head), run.outcome.sums(head), strict=True)
    before, after = bootstrap(above, below, draws=draws)
    drawn = after - before
    test, p, whole = "paired bootstrap", chance_of_difference(drawn), None
    if first.outcome.right is not None and run.outcome.right is not None:
        whole = mcnemar(first.outcome.right, run.outcome.right)
        if first.outcome.unit == "texts":  # of sentences the headline is not how many are right
            test, p = "McNemar", whole.p
    return {
        "difference": run.figures[head.key] - first.figures[head.key],
        "interval": list(percentiles(drawn)),
        "mcnemar": whole and whole._asdict(),
        "test": test,
        "p": p,
    }


def config_differences(records: Sequence[RunRecord]) -> dict[str, list[Any]]:
    """Return the config keys in which runs differ, besides their names.

    Parameters
    ----------
    records : sequence of RunRecord
        The runs.

    Returns
    -------
    dict of str to list
        The value of each run, None where it has no such key.
    """
    return differing_keys([flattened(record.trained.config) for record in records], ("name",))
