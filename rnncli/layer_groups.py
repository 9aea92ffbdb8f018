"""The weights of a model by the layer they are of, from the output down, and what training does to each layer.

Lower layers learn what a language is like, upper ones what a task is about: those who train a model that has learned
before let the lower ones change less and later (Howard and Ruder 2018, sections 3.2 and 3.3).
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

APART = "ngrams"  # weights beside the recurrent layers, which have a rate of their own


class LayerGroup(NamedTuple):
    """A layer's weights.

    Attributes
    ----------
    layer : str
        ``output``, ``rnn1``, ``rnn0``, ``embedding``.
    names : tuple of str
        Of its weights.
    """

    layer: str
    names: tuple[str, ...]


def layer_groups(names: Iterable[str]) -> list[LayerGroup]:
    """Sort weights by layer.

    Parameters
    ----------
    names : iterable of str
        The weights of a model that are trained, such as ``rnn0.fwd.Wx``.

    Returns
    -------
    list of LayerGroup
        From the output down; layers of which no weight is given are left out, and n-grams, which are beside them. What
        is on top of the recurrent layers (``attention.w``) is of the output, what is seen of a word's spelling of the
        embedding. An embedding whose weights are the output layer's too is of the output.
    """
    names = list(names)
    tied = not any(name == "output.w" for name in names)
    found: dict[str, list[str]] = {}
    for name in names:
        first = name.split(".")[0]
        if first == APART:
            continue
        if first in ("embedding", "spelling") and not tied:
            layer = "embedding"
        else:
            layer = first if _number(first) is not None else "output"
        found.setdefault(layer, []).append(name)
    return [LayerGroup(layer, tuple(found[layer])) for layer in sorted(found, key=_depth)]


def layer_rates(groups: list[LayerGroup], decay: float) -> dict[str, float]:
    """Return what the learning rate of each weight is multiplied by: of each layer that of the one above by ``decay``.

    Parameters
    ----------
    groups : list of LayerGroup
        From the output down.
    decay : float
        1 for the same everywhere.

    Returns
    -------
    dict of str to float
        1 for the weights of the output.
    """
    return {name: decay**depth for depth, group in enumerate(groups) for name in group.names}


def layer_delays(groups: list[LayerGroup], every: int) -> dict[str, int]:
    """Return how many updates each weight sits out: one layer more takes part every so many, from the output down.

    Parameters
    ----------
    groups : list of LayerGroup
        From the output down.
    every : int
        Updates.

    Returns
    -------
    dict of str to int
        Without the weights of the output, which sit out none.
    """
    return {name: depth * every for depth, group in enumerate(groups) if depth for name in group.names}


def layer_plan(
    names: Iterable[str], factors: Mapping[str, float], delays: Mapping[str, int], lr: float
) -> list[dict[str, Any]]:
    """Return when and how fast each layer is trained, ready for JSON.

    Parameters
    ----------
    names : iterable of str
        The weights that are trained.
    factors : mapping of str to float
        What the learning rate is multiplied by for each.
    delays : mapping of str to int
        Updates that they sit out.
    lr : float
        Learning rate before any schedule.

    Returns
    -------
    list of dict
        From the output down ``layer``, its ``lr`` and ``first_step``, from 1; empty if all layers are trained alike.
    """
    plan = [
        {"layer": layer, "lr": lr * factors.get(own[0], 1.0), "first_step": delays.get(own[0], 0) + 1}
        for layer, own in layer_groups(names)
    ]
    return plan if any({**one, "layer": ""} != {**plan[0], "layer": ""} for one in plan) else []


def lowest_layer(names: Iterable[str], layers: int) -> int:
    """Return the recurrent layer that gradients must go down to.

    Parameters
    ----------
    names : iterable of str
        The weights whose gradients are asked for.
    layers : int
        How many recurrent layers there are.

    Returns
    -------
    int
        The number of the lowest layer that has one of these weights, 0 if one is below all of them; ``layers`` if they
        all are above or beside.
    """
    reached = [layers]
    for name in names:
        first = name.split(".")[0]
        number = 0 if first in ("embedding", "spelling") else _number(first)
        reached += [] if number is None else [number]
    return min(reached)


def _number(layer: str) -> int | None:
    """Return the number of a recurrent layer."""
    number = layer.removeprefix("rnn")
    return int(number) if number != layer and number.isdecimal() else None


def _depth(layer: str) -> float:
    """Return what sorts layers from the output down."""
    number = _number(layer)
    return {"output": -float("inf"), "embedding": 1.0}.get(layer, 0.0 if number is None else -number)
