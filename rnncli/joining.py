"""How processes come to work together: what rank 0 gives to the others first.

:func:`share_data` and :func:`share_weights` to train, or :func:`score_together`, on rank 0; :func:`join` on the others.
"""

import traceback
from dataclasses import replace
from typing import NoReturn

from rnncli.assembly import update_rule
from rnncli.config import Config, parse_config
from rnncli.data.dataset import Dataset, EncodedTexts
from rnncli.errors import RnncliError
from rnncli.models import Model, model_with
from rnncli.optim import Optimizer
from rnncli.packing import Array
from rnncli.scoring import score
from rnncli.team import Member
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
    exchange.broadcast({"do": "train", "config": config.model_dump(mode="json")})
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


def score_together(exchange: Exchange, config: Config, model: Model, texts: EncodedTexts) -> Array:
    """Score texts with the help of every rank.

    Parameters
    ----------
    exchange : Exchange
        To the others.
    config : Config
        Of the model.
    model : Model
        With the weights to score with.
    texts : EncodedTexts
        The corpus.

    Returns
    -------
    ndarray of shape (rows, C)
        As from :func:`rnncli.scoring.score`.
    """
    exchange.broadcast({"do": "score", "config": config.model_dump(mode="json")})
    exchange.place({f"texts.{key}": getattr(texts, key) for key in _TEXTS})
    exchange.place(model.params)
    return score(model, texts, exchange)


def join(exchange: Exchange) -> NoReturn:
    """Do a rank's part of what rank 0 has in mind, until it lets go of this one.

    Parameters
    ----------
    exchange : Exchange
        To the others; not rank 0's.
    """
    try:
        while True:
            message = exchange.broadcast()
            config = parse_config(message["config"], "the config")
            if message["do"] == "train":
                _train(exchange, config)
            texts = _texts(exchange.place(), "texts")
            score(model_with(config.model, exchange.place()), texts, exchange)
    except RnncliError as error:
        exchange.abort(str(error), error.exit_code)
        raise
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        exchange.abort(f"{type(error).__name__}: {error} ({last.filename}:{last.lineno})", 1)
        raise


def _train(exchange: Exchange, config: Config) -> NoReturn:
    placed = exchange.place()
    train, valid = _texts(placed, "train"), _texts(placed, "valid")
    updates = exchange.broadcast()["updates"]
    model = model_with(config.model, exchange.place())
    optimizer = Optimizer(update_rule(config.optim), updates, exchange.place())
    weights = exchange.place().get("class_weights")
    Member(exchange, model, optimizer, train, valid, config.seed, config.optim.clip_norm, weights).serve()


def _texts(placed: dict[str, Anything], name: str) -> EncodedTexts:
    return EncodedTexts(*(placed[f"{name}.{key}"] for key in _TEXTS))
