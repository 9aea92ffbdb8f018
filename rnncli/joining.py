"""How a team comes together: what rank 0 gives to the other processes before the first step.

:func:`share_data` and :func:`share_weights` on rank 0, :func:`join` on the others. In one process both only pass on
what they are given.
"""

import traceback
from dataclasses import replace
from typing import NoReturn

from rnncli.assembly import update_rule
from rnncli.config import Config, parse_config
from rnncli.data.dataset import Dataset, EncodedTexts
from rnncli.errors import RnncliError
from rnncli.models import model_with
from rnncli.optim import Optimizer
from rnncli.team import Team
from rnncli.training import Trainer
from rnncli.workers.exchange import Anything, Exchange

_TEXTS = ("ids", "offsets", "labels")


def share_data(exchange: Exchange, config: Config, data: Dataset) -> Dataset:
    """Give config and texts to every rank.

    Parameters
    ----------
    exchange : Exchange
        To the others.
    config : Config
        Of the run.
    data : Dataset
        What rank 0 has read.

    Returns
    -------
    Dataset
        The same, in the memory that all of them see.
    """
    exchange.broadcast({"config": config.model_dump(mode="json")})
    parts = {"train": data.train, "valid": data.valid}
    placed = exchange.place({f"{name}.{key}": getattr(part, key) for name, part in parts.items() for key in _TEXTS})
    return replace(data, train=_texts(placed, "train"), valid=_texts(placed, "valid"))


def share_weights(exchange: Exchange, trainer: Trainer) -> None:
    """Give a trainer's weights and moments to every rank; it trains with them from here on.

    Parameters
    ----------
    exchange : Exchange
        To the others, who have the data.
    trainer : Trainer
        As it is to begin, or to go on.
    """
    model, optimizer = trainer.model, trainer.optimizer
    optimizer.prepare(model.params)
    weights = trainer.class_weights
    exchange.broadcast({"updates": optimizer.step_count})
    model.params = exchange.place(model.params)
    optimizer.state = exchange.place(optimizer.state)
    exchange.place({} if weights is None else {"class_weights": weights})
    trainer.exchange = exchange


def join(exchange: Exchange) -> NoReturn:
    """Do a rank's part of a run, until rank 0 lets go of it.

    Parameters
    ----------
    exchange : Exchange
        To the others; not rank 0's.
    """
    try:
        config = parse_config(exchange.broadcast()["config"], "the config")
        placed = exchange.place()
        train, valid = _texts(placed, "train"), _texts(placed, "valid")
        updates = exchange.broadcast()["updates"]
        model = model_with(config.model, exchange.place())
        optimizer = Optimizer(update_rule(config.optim), updates, exchange.place())
        weights = exchange.place().get("class_weights")
        Team(exchange, model, optimizer, train, valid, config.seed, config.optim.clip_norm, weights).serve()
    except RnncliError as error:
        exchange.abort(str(error), error.exit_code)
        raise
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        exchange.abort(f"{type(error).__name__}: {error} ({last.filename}:{last.lineno})", 1)
        raise


def _texts(placed: dict[str, Anything], name: str) -> EncodedTexts:
    return EncodedTexts(*(placed[f"{name}.{key}"] for key in _TEXTS))
