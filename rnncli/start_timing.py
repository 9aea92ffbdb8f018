"""How fast this machine is with settings that may be recommended: some steps on a part of the data, thrown away."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from rnncli.budgets import Pace, Start
from rnncli.config import AnyConfig, Config, TaggingConfig, parse_config
from rnncli.data.dataset import encode_parts
from rnncli.data.tagging.codec import learn_tagging_codec
from rnncli.data.tagging.dataset import TaggingDataset
from rnncli.planning import Plan, plan_loaded
from rnncli.run import worker_count
from rnncli.start_facts import Facts
from rnncli.tasks import task_of

SECONDS = 1.0  # of steps that are timed
WORTH_SHARING = 0.015  # seconds of a step; shorter ones have little to give to another process
SLOWER = 0.9  # times as many tokens a second: other programs have the other cores, and that may not last


def pace_on(facts: Facts) -> Callable[[Start], Pace]:
    """Return what measures settings on some data.

    Parameters
    ----------
    facts : Facts
        What is in the data.

    Returns
    -------
    callable
        From settings to their pace: with ``workers: auto`` where a step is long enough to be shared.
    """

    def measure(start: Start) -> Pace:
        alone = _config_of(facts, start)
        began = perf_counter()
        data, share = _load(facts, alone)
        data = task_of(alone).ready(alone, data)
        loading = facts.seconds + (perf_counter() - began) / share
        pace = _pace(plan_loaded(alone, data, SECONDS), loading)
        shared = _config_of(facts, start.with_values("train", {}, workers="auto"))
        if pace.step >= WORTH_SHARING and worker_count(shared) > 1:
            together = _pace(plan_loaded(shared, data, SECONDS), loading, pace.step)
            return together if together.training > SLOWER * pace.training else pace
        return pace

    return measure


def _config_of(facts: Facts, start: Start) -> AnyConfig:
    values = start.values
    data = {**values["data"], "train": facts.source}
    return parse_config({"task": facts.task, **values, "data": data}, "rnncli init")


def _load(facts: Facts, config: AnyConfig) -> tuple[Any, float]:
    """Return data to measure on, and how much of it there is for each of all the data.

    What is scored is trained on too: nothing of this is kept, and no label is in one part alone.
    """
    if isinstance(config, Config):
        valid = facts.rows[::10]
        return encode_parts(config.data, facts.rows, valid), (len(facts.rows) + len(valid)) / facts.texts
    if isinstance(config, TaggingConfig):
        train, where = facts.sentences, facts.source["path"]
        codec = learn_tagging_codec(train, config.data.words, config.data.spelling, where)
        data = TaggingDataset(codec.encode(train), codec.encode(train[::10]), codec)
        return data, 1.1 * len(train) / facts.texts
    with tempfile.TemporaryDirectory(prefix="rnncli-init-") as folder:
        path = Path(folder) / "text.txt"
        path.write_text(facts.beginning, encoding="utf-8", newline="")
        source = config.data.train.model_copy(update={"path": str(path)})
        section = config.data.model_copy(update={"train": source, "document_boundary": None})
        corpus = task_of(config).load(config.model_copy(update={"data": section}), Path(folder))
        # Into memory: other processes would look for the files, which are gone by then.
        train, valid = (replace(part, tokens=np.array(part.tokens)) for part in (corpus.train, corpus.valid))
        return replace(corpus, train=train, valid=valid), len(facts.beginning) / facts.characters


def _pace(plan: Plan, loading: float, step: float | None = None) -> Pace:
    """Return the pace that a plan tells of."""
    scoring = plan.data["valid_tokens"] / plan.seconds["validation"]
    if plan.task == "language_model":
        # One that has learned for a second forgets slowly and is scored in many sweeps, later in few: faster than this.
        scoring = max(scoring, plan.tokens_per_second)
    return Pace(
        start=loading + plan.seconds["start"],
        training=plan.tokens_per_second,
        scoring=scoring,
        save=plan.seconds["save"],
        processes=plan.processes,
        step=step or plan.step_seconds["median"] * min(plan.cpu_share, 1.0),
        cpu_share=plan.cpu_share if plan.processes == 1 else None,
    )
