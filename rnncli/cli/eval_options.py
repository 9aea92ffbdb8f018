"""What ``rnncli eval`` is asked for."""

from dataclasses import dataclass
from pathlib import Path

from rnncli.errors import ConfigError
from rnncli.outcomes import GivenData
from rnncli.thresholds import Goal


@dataclass(frozen=True)
class EvalOptions:
    """The options of the command; see its help.

    Attributes
    ----------
    checkpoint : Path
        What to evaluate.
    given : GivenData or None
        Data instead of the config's own.
    predictions : Path or None
        Where to write what is predicted.
    as_json : bool
        Print for programs.
    baseline : bool
        Set simple methods beside the model.
    order : int or None
        Of the n-grams among these.
    threshold : float or None
        Of the positive label's probability.
    find_threshold : {"f1", "accuracy", "balanced_accuracy"} or None
        What to choose a threshold for.
    positive : str or None
        The positive label.
    """

    checkpoint: Path
    given: GivenData | None
    predictions: Path | None
    as_json: bool
    baseline: bool
    order: int | None
    threshold: float | None
    find_threshold: Goal | None
    positive: str | None

    def refuse_for(self, task: str, *names: str) -> None:
        """Raise ConfigError if one of the options called so is given, which has no effect on a task."""
        columns = {} if self.given is None else {"format": self.given.format, **self.given.columns}
        values = {**columns, **vars(self)}
        for name in names:
            if values.get(name) is not None:
                option = f"--{name.replace('_', '-')}"
                raise ConfigError(f"has no effect on task {task}", where=option, remedy="Leave it out")
