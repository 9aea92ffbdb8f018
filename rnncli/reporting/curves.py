"""The course of training: losses, figures of the validations, learning rate and norm of the gradient."""

from collections.abc import Sequence
from typing import Any

from rnncli.figures import FIGURES
from rnncli.judging import Judged
from rnncli.metrics_file import numbers
from rnncli.pictures import ORANGE, RED, drawing, inline_svg
from rnncli.reporting.markup import Section, figures_html, note
from rnncli.reporting.plots import axes_of, curve, few_points, legend, look, named, numbers_on, shares_on


def learning_curves(runs: Sequence[Judged]) -> Section:
    """Draw the losses and figures of the validations.

    Parameters
    ----------
    runs : sequence of Judged
        Curves of several lie over each other.

    Returns
    -------
    Section
        Says so where there is nothing to draw.
    """
    title = "Learning curves"
    known = [run for run in runs if numbers(run.record.rows, "validation", "loss")]
    if not known:
        return Section(title, note("No validation is recorded: there is no metrics.jsonl beside the checkpoint."))
    with drawing():
        figures = [_losses(runs), _figures(runs)]
    left_out = [run.record.name for run in runs if run not in known]
    remark = note(f"Without {', '.join(left_out)}: no metrics.jsonl beside the checkpoint.") if left_out else ""
    return Section(title, figures_html(figures) + remark)


def optimisation(runs: Sequence[Judged]) -> Section | None:
    """Draw the learning rate and the norm of the gradient.

    Parameters
    ----------
    runs : sequence of Judged
        The runs.

    Returns
    -------
    Section or None
        None where no step is recorded.
    """
    if not any(numbers(run.record.rows, "step", "lr") for run in runs):
        return None
    with drawing():
        figures = [_learning_rate(runs), _gradient_norm(runs)]
    return Section("Learning rate and gradient", figures_html(figures))


def _losses(runs: Sequence[Judged]) -> tuple[str, str]:
    figure, axes = axes_of("Loss", "step", "nats")
    alone = len(runs) == 1
    for place, run in enumerate(runs):
        rows, style = run.record.rows, look(place)
        if alone:
            curve(axes, few_points(numbers(rows, "step", "loss")), color=ORANGE, alpha=0.35, linewidth=0.8)
        train = few_points(numbers(rows, "validation", "train_loss"))
        valid = few_points(numbers(rows, "validation", "loss"))
        colour, name = (ORANGE, "training") if alone else (style.colour, None)
        mark = {"marker": "s"} if alone else {}
        curve(axes, train, color=colour, linestyle=(0, (4, 2)), linewidth=1.2, markersize=4, label=name, **mark)
        name = "validation" if alone else named(run)
        axes.plot(*valid, color=style.colour, marker=style.marker, markersize=4.5, label=name)
    _from_zero(axes)
    legend(axes)
    caption = (
        "Training loss: the mean since the validation before; pale, single steps."
        if alone
        else "Solid with marks: validation. Dashed: training, the mean since the validation before."
    )
    return inline_svg(figure, "Loss in training and validation by step"), caption


def _figures(runs: Sequence[Judged]) -> tuple[str, str]:
    task, head = runs[0].record.trained.config.task, runs[0].headline
    shares = [figure for figure in FIGURES[task] if figure.form.endswith("%")]
    several = len(runs) > 1 or not head.form.endswith("%")
    keys = [(head.key, head.heading)]
    if not several:  # the ring is on the first
        keys += [(figure.key, figure.heading) for figure in shares if figure.key != head.key]
    figure, axes = axes_of(
        head.heading[0].upper() + head.heading[1:] if several else "Validation", "step", head.heading if several else ""
    )
    for place, run in enumerate(runs):
        for number, (key, heading) in enumerate(keys):
            points = numbers(run.record.rows, "validation", key)
            style = look(place + number)
            name = named(run) if len(runs) > 1 else heading if len(keys) > 1 else None
            dash = "-" if len(runs) > 1 else style.dash
            if points:
                axes.plot(
                    *few_points(points),
                    color=style.colour,
                    marker=style.marker,
                    markersize=4.5,
                    linestyle=dash,
                    label=name,
                    zorder=3 - 0.1 * number,
                )
        best = [value for step, value in numbers(run.record.rows, "validation", head.key) if step == run.record.step]
        if best:
            axes.plot(
                [run.record.step],
                best[-1:],
                marker="o",
                markersize=11,
                markerfacecolor="none",
                color=look(place).colour,
                clip_on=False,
            )
    _from_zero(axes)
    if head.form.endswith("%"):
        shares_on(axes)
    legend(axes)
    which = "the checkpoint of this report" if len(runs) == 1 else "the checkpoints of this report"
    return inline_svg(
        figure, f"{head.heading} of the validations by step"
    ), f"On the validation part. The ring: {which}."


def _learning_rate(runs: Sequence[Judged]) -> tuple[str, str]:
    figure, axes = axes_of("Learning rate", "step", "")
    for place, run in enumerate(runs):
        style = look(place)
        name = named(run) if len(runs) > 1 else None
        points = few_points(numbers(run.record.rows, "step", "lr"))
        curve(axes, points, color=style.colour, linestyle=style.dash, label=name)
    axes.set_ylim(bottom=0)
    _from_zero(axes)
    numbers_on(axes.yaxis, "g")
    legend(axes)
    return inline_svg(figure, "Learning rate by step"), "As recorded, every train.log_every steps."


def _gradient_norm(runs: Sequence[Judged]) -> tuple[str, str]:
    figure, axes = axes_of("Norm of the gradient", "step", "")
    clips = {_clip_norm(run) for run in runs}
    for place, run in enumerate(runs):
        style = look(place)
        name = named(run) if len(runs) > 1 else None
        points = few_points([point for point in numbers(run.record.rows, "step", "grad_norm") if point[1] > 0])
        curve(axes, points, color=style.colour, linestyle=style.dash, linewidth=1.1, label=name)
    caption = "Before clipping."
    if len(clips) == 1 and (clip := clips.pop()) is not None:
        axes.axhline(clip, color=RED, linewidth=1, linestyle=(0, (6, 2)))
        caption = f"Before clipping to {clip:g}, the dashed line."
    if any(line.get_ydata().size for line in axes.lines):
        axes.set_yscale("log", subs=[])
        low, high = axes.get_ylim()
        if high < 300 * low:  # of more decades each has room for its own number only
            axes.yaxis.get_major_locator().set_params(subs=(1, 2, 5))
    _from_zero(axes)
    numbers_on(axes.yaxis, "g")
    legend(axes)
    return inline_svg(figure, "Norm of the gradient by step"), caption


def _from_zero(axes: Any) -> None:
    """Begin at the first step, so that figures beside each other have steps below each other."""
    axes.set_xlim(left=0)
    numbers_on(axes.xaxis)


def _clip_norm(run: Judged) -> Any:
    optim = run.record.trained.config.optim
    return getattr(optim, "clip_norm", None)
