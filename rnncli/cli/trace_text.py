"""What happens inside a model step by step, on a terminal: gradients as curves, gates as a table."""

import numpy as np

from rnncli.cli.coloured_text import Look, counted, fitted
from rnncli.cli.tables import table
from rnncli.gate_traces import OPEN, SHUT, Trace
from rnncli.packing import Array

_TICKS = "▁▂▃▄▅▆▇█"


def trace_lines(trace: Trace, probability: float, look: Look) -> list[str]:
    """Lay out what happens inside a model: gradients by step, and how far the gates are open.

    Parameters
    ----------
    trace : Trace
        What to show.
    probability : float
        Of the label that is explained.
    look : Look
        On what.

    Returns
    -------
    list of str
        A curve for each layer, on a logarithmic scale of its own; and a table of gates.
    """
    T = len(trace.dx)
    curves = [("input |dx|", trace.input_gradient_norms)]
    curves += [(f"{layer.name} |dh|", layer.gradient_norms) for layer in trace.layers]
    names = max(len(name) for name, _ in curves)
    room = max(8, min(T, look.width - names - 24))
    of_loss = f"the loss's: {1 - probability:.2g} of it"
    lines = fitted(f"gradient of the log-odds, step 1 to {T:,}, logarithmic ({of_loss})", look.width, 2)
    for name, norms in curves:
        lines.append(f"{name:{names}}  {norms[0]:8.1e}  {sparkline(norms, room)}  {norms[-1]:8.1e}")
    rows = []
    for layer in trace.layers:
        for gate in layer.sigmoids:
            values = layer.values[gate]
            shut, opened = np.mean(values < SHUT), np.mean(values > OPEN)
            rows.append([f"{layer.name} {gate}", f"{values.mean():.2f}", f"{shut:.0%}", f"{opened:.0%}"])
    if rows:
        lines += ["", *table([f"gate, {counted(T, 'step')}", "mean", f"below {SHUT}", f"above {OPEN}"], rows)]
    return lines


def sparkline(values: Array, width: int) -> str:
    """Return a curve of positive values as one line of text, on a logarithmic scale.

    Parameters
    ----------
    values : ndarray of shape (T,)
        Zero is drawn as a blank.
    width : int
        Most characters; of more values each character is the geometric mean of its share.

    Returns
    -------
    str
        From the lowest bar, the smallest, to the full one, the largest.
    """
    with np.errstate(divide="ignore"):
        logs = np.log(values)
    bins = np.array_split(logs, min(width, len(logs)))
    means = np.array([part.mean() for part in bins])
    finite = means[np.isfinite(means)]
    if not len(finite):
        return " " * len(means)
    low, span = finite.min(), float(np.ptp(finite)) or 1.0
    places = np.where(np.isfinite(means), (means - low) / span * (len(_TICKS) - 1), -1).round().astype(int)
    return "".join(_TICKS[place] if place >= 0 else " " for place in places)
