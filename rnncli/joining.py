"""How processes come to work together: what rank 0 gives to the others first.

:func:`share_data` and :func:`share_weights` to train, or :func:`score_together`, on rank 0; :func:`join` on the others.
"""

import traceback
from typing import Any, NoReturn

from rnncli.assembly import averages_of, optimizer_of
from rnncli.classifiers import classifier_with
from rnncli.config import Config, RunConfig, parse_config
from rnncli.data.dataset import EncodedTexts
from rnncli.errors import RnncliError
from rnncli.models import Model
from rnncli.packing import Array
from rnncli.scoring import score
from rnncli.tasks import task_of
from rnncli.tasks.base import Parcel
from rnncli.tasks.classification import texts_of
from rnncli.team import Member
from rnncli.training import Trainer
from rnncli.work import trained_weights
from rnncli.workers.exchange import Exchange


def share_data(exchange: Exchange, config: RunConfig, data: Any) -> Any:
    """Give config and data to every rank.

    Parameters
    ----------
    exchange : Exchange
        To the others.
    config : RunConfig
        Of the run.
    data
        What rank 0 has read.

    Returns
    -------
    data
        The same, in the memory that all of them see.
    """
    task = task_of(config)
    data = task.ready(config, data)
    parcel = task.pack(data, exchange)
    exchange.broadcast({"do": "train", "config": config.model_dump(mode="json"), "facts": parcel.facts})
    return task.with_arrays(data, exchange.place(parcel.arrays))


def share_weights(exchange: Exchange, trainer: Trainer) -> None:
    """Give a trainer's weights and all that goes with them to every rank; it trains with them from here on.

    Parameters
    ----------
    exchange : Exchange
        To the others, who have the data.
    trainer : Trainer
        As it is to begin, or to go on.
    """
    model, optimizer, averages = trainer.model, trainer.optimizer, trainer.averages
    optimizer.prepare(trained_weights(model))
    exchange.broadcast({"updates": optimizer.step_count})
    model.params = exchange.place(model.params)
    optimizer.state = exchange.place(optimizer.state)
    if averages is not None:
        averages.state = exchange.place(averages.state)
    trainer.work.carried = exchange.place(trainer.work.carried)
    trainer.exchange = exchange


def score_together(exchange: Exchange, config: RunConfig, model: Model, texts: EncodedTexts) -> Array:
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
    exchange.place({f"texts.{key}": getattr(texts, key) for key in ("ids", "offsets", "labels")})
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
                _train(exchange, config, message["facts"])
            assert isinstance(config, Config)
            texts = texts_of(exchange.place(), "texts")
            score(classifier_with(config.model, exchange.place()), texts, exchange)
    except RnncliError as error:
        exchange.abort(str(error), error.exit_code)
        raise
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        exchange.abort(f"{type(error).__name__}: {error} ({last.filename}:{last.lineno})", 1)
        raise


def _train(exchange: Exchange, config: RunConfig, facts: dict[str, Any]) -> NoReturn:
    task = task_of(config)
    data = task.unpack(config, Parcel(facts, exchange.place()))
    updates = exchange.broadcast()["updates"]
    work = task.join(config, data, exchange.place())
    optimizer = optimizer_of(config, work)
    optimizer.step_count, optimizer.state = updates, exchange.place()
    averages = averages_of(config)
    if averages is not None:
        averages.state = exchange.place()
    work.carried = exchange.place()
    Member(exchange, work, optimizer, config.seed, config.optim.clip_norm, averages).serve()
