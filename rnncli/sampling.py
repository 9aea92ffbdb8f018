"""Text that a language model makes up, token by token."""

from collections.abc import Iterator
from itertools import chain

import numpy as np

from rnncli.data.language.text_codec import TextCodec
from rnncli.errors import ConfigError
from rnncli.language_models import LanguageModel
from rnncli.layers.gates import split_gates, step_gates
from rnncli.layers.recurrent import gate_scale
from rnncli.packing import Array, IntArray
from rnncli.stacks import layer_names

MOST_TABLE = 2**26  # numbers in a table of projected embeddings, beyond which they are projected one by one


class Stepper:
    """A language model that reads one token at a time, with everything prepared that is the same at every step.

    It begins with a state of zero, as after :meth:`reset`.

    Parameters
    ----------
    model : LanguageModel
        Not changed.
    """

    def __init__(self, model: LanguageModel) -> None:
        self.model = model
        cell, params = model.cell, model.params
        self._layers = []
        for layer in range(model.layers):
            Wx, Wh, b, *more = (params[name] for name in layer_names(cell, f"rnn{layer}.fwd"))
            H = len(Wh)
            scale = gate_scale(cell, H, Wh.dtype)
            buffers = np.empty((1, cell.gates * H), Wh.dtype), np.zeros((1, H), Wh.dtype), np.zeros((1, H), Wh.dtype)
            self._layers.append((Wx * scale, b * scale, cell.prepare(Wh * scale, 1, *more), buffers))
        W, (Wx, b, *_) = params["embedding.W"], self._layers[0]
        self._table = W @ Wx + b if len(W) * Wx.shape[1] <= MOST_TABLE else None
        tied = "output.w" not in params
        self._output = np.ascontiguousarray(W.T) if tied else params["output.w"]
        self._states = [np.zeros((2, 1, H), W.dtype) for H in model.sizes]  # the state, and room for the next

    def reset(self) -> None:
        """Begin anew with a state of zero."""
        for states, (*_, buffers) in zip(self._states, self._layers, strict=True):
            states[...] = 0
            buffers[1][...] = 0

    def read(self, token: int) -> Array:
        """Read a token and return the scores of what comes next, shape (V,)."""
        cell, params = self.model.cell, self.model.params
        x: Array = np.empty(0)
        for layer, (Wx, b, prepared, (gates, extra, tmp)) in enumerate(self._layers):
            if layer == 0 and self._table is not None:
                projected = self._table[token : token + 1]
            else:
                projected = (params["embedding.W"][token : token + 1] if layer == 0 else x) @ Wx + b
            states = self._states[layer]
            before, after = states
            carried = extra if cell.has_cell_state else None
            cell.step(
                prepared,
                split_gates(projected, cell.gates),
                before,
                carried,
                step_gates(gates, cell.gates),
                extra,
                after,
                tmp,
            )
            before[...] = after
            x = after
        scores: Array = (x @ self._output)[0] + params["output.b"]
        return scores


def choose(
    scores: Array,
    rng: np.random.Generator,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> int:
    """Draw a token.

    Parameters
    ----------
    scores : ndarray of shape (V,)
        Logits; minus infinity for what must not be drawn.
    rng : numpy.random.Generator
        Moved on by one number, unless the temperature is 0.
    temperature : float
        What the logits are divided by; at 0 the likeliest token is taken.
    top_k : int, optional
        Draw from so many of the likeliest only.
    top_p : float, optional
        Draw from the fewest likeliest that are together at least so likely.

    Returns
    -------
    int
        Its id.
    """
    if temperature == 0:
        return int(scores.argmax())
    p = scores.astype(np.float64)
    p -= p.max()
    p /= temperature
    np.exp(p, out=p)
    if top_k is not None and top_k < len(p):
        p[np.argpartition(p, -top_k)[:-top_k]] = 0
    if top_p is not None and top_p < 1:
        order = np.argsort(-p, kind="stable")
        sums = np.cumsum(p[order])
        p[order[int(np.searchsorted(sums, top_p * sums[-1])) + 1 :]] = 0
    sums = np.cumsum(p)
    return min(int(np.searchsorted(sums, rng.random() * sums[-1], side="right")), int(np.flatnonzero(p)[-1]))


def prompt_ids(codec: TextCodec, prompt: str) -> IntArray:
    """Return what a model reads before it goes on with a prompt.

    Parameters
    ----------
    codec : TextCodec
        The model's.
    prompt : str
        Any text; may be empty.

    Returns
    -------
    ndarray of int, shape (n,)
        At least one: where documents are separated the end-of-text token, after which one begins; for an empty prompt
        otherwise a line end.

    Raises
    ------
    ConfigError
        If the prompt is empty and the model knows neither.
    """
    ids = codec.encode(prompt)
    if codec.end_of_text is not None:
        return np.concatenate([np.array([codec.end_of_text], np.int64), ids])
    if not len(ids):
        ids = codec.encode("\n")
        if not len(ids) or codec.unknown in ids:
            raise ConfigError(
                "has no token the model could begin with", where="--prompt", remedy="Give a text to go on with"
            )
    return ids


def start_ids(codec: TextCodec, tokens: IntArray) -> IntArray:
    """Return what a model reads to begin with where there is no prompt; the first token of a text if need be."""
    try:
        return prompt_ids(codec, "")
    except ConfigError:
        return np.asarray(tokens[:1], np.int64)


def generate(
    stepper: Stepper,
    codec: TextCodec,
    prompt: IntArray,
    length: int,
    rng: np.random.Generator,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> Iterator[int]:
    """Yield token after token.

    Parameters
    ----------
    stepper : Stepper
        The model; it begins anew.
    codec : TextCodec
        Its codec; the unknown token is never drawn.
    prompt : ndarray of int, shape (n,)
        From :func:`prompt_ids`.
    length : int
        Most tokens to make.
    rng : numpy.random.Generator
        Decides which.
    temperature, top_k, top_p
        As for :func:`choose`.

    Yields
    ------
    int
        Ids; the end-of-text token is not among them, but ends the text.
    """
    stepper.reset()
    for token in prompt.tolist():
        scores = stepper.read(token)
    for made in range(length):
        if codec.unknown is not None:
            scores[codec.unknown] = -np.inf
        token = choose(scores, rng, temperature, top_k, top_p)
        if token == codec.end_of_text:
            return
        yield token
        if made + 1 < length:
            scores = stepper.read(token)


def continuation(codec: TextCodec, prompt: IntArray, tokens: Iterator[int]) -> Iterator[str]:
    """Yield the text of tokens as it goes on after a prompt: a word after a word begins with a space.

    Parameters
    ----------
    codec : TextCodec
        The model's.
    prompt : ndarray of int, shape (n,)
        What was read before.
    tokens : iterator of int
        What comes after it.

    Yields
    ------
    str
        Pieces as they come, without the prompt.
    """
    left = len(codec.decode(prompt.tolist()))
    for piece in codec.stream(chain(prompt.tolist(), tokens)):
        if len(piece) > left:
            yield piece[left:]
        left = max(left - len(piece), 0)


def until(pieces: Iterator[str], stop: str | None) -> Iterator[str]:
    """Yield a text that comes in pieces up to where a given text begins in it, and no further.

    Parameters
    ----------
    pieces : iterator of str
        The text.
    stop : str or None
        What ends it; None lets all through.

    Yields
    ------
    str
        Pieces as soon as it is sure that they do not belong to the end.
    """
    if not stop:
        yield from pieces
        return
    held = ""
    for piece in pieces:
        held += piece
        place = held.find(stop)
        if place >= 0:
            if place:
                yield held[:place]
            return
        sure = len(held) - max((n for n in range(1, len(stop)) if held.endswith(stop[:n])), default=0)
        if sure:
            yield held[:sure]
            held = held[sure:]
    if held:
        yield held
