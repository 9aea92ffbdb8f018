"""The trials of a sweep, in an SQLite file that several processes share: drawing one, ending one, the best one.

Optuna draws, prunes and stores. What it stores are numbers and JSON. Nothing is unpickled: of Optuna only its sampler
for CMA-ES and its journals with snapshots do that, and these are not used.
"""

import json
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from rnncli.config import dump_config, parse_config
from rnncli.differing import differing_keys
from rnncli.errors import ConfigError, RnncliError
from rnncli.extras import require
from rnncli.run_dir import cannot_write
from rnncli.sweeping.folder import SweepDir
from rnncli.sweeping.records import Drawn, TrialRecord
from rnncli.sweeping.space import Numbers, Sweep
from rnncli.worded import setting

NAME = "sweep"
SECONDS_TO_WAIT = 60  # for another process that writes to the file
MOST_TRIES = 2  # of a trial whose process ends in the middle; more would stop a sweep that runs out of memory for ever
FEWEST_FOR_IMPORTANCE = 10
_EXTRA = {"extra": "sweep", "purpose": "sweeps"}


class SweepStudy:
    """The trials of a sweep.

    Parameters
    ----------
    sweep : Sweep
        What to sweep over.
    folder : SweepDir
        Where the trials are kept. The file is made if it is not there.

    Raises
    ------
    ConfigError
        If there are trials of another sweep in the folder.
    RnncliError
        If Optuna is not installed, or the file cannot be used.
    """

    def __init__(self, sweep: Sweep, folder: SweepDir) -> None:
        self.sweep, self.folder = sweep, folder
        self._optuna: Any = require("optuna", **_EXTRA)
        self._optuna.logging.set_verbosity(self._optuna.logging.ERROR)
        pool = require("sqlalchemy.pool", **_EXTRA)
        path = str(folder.storage)
        # A connection is opened when it is needed and closed at once: none is left behind in another process.
        engine = {"creator": lambda: sqlite3.connect(path, timeout=SECONDS_TO_WAIT), "poolclass": pool.NullPool}
        direction = "maximize" if sweep.more_is_better else "minimize"
        settings = sweep.settings
        pruners = self._optuna.pruners
        pruner = pruners.MedianPruner() if settings.pruner == "median" else pruners.NopPruner()
        with folder.locked(), self._telling():
            storage = self._optuna.storages.RDBStorage("sqlite://", engine_kwargs=engine)
            self._storage = storage
            self.study = self._optuna.create_study(
                storage=storage, study_name=NAME, direction=direction, load_if_exists=True, pruner=pruner
            )
            found = self.study.user_attrs.get("of")
            if found is None:
                self.study.set_user_attr("of", self._identity())
        if found is not None:
            self._refuse_another(found)

    def draw(self) -> Drawn | None:
        """Claim a trial and draw its values; None if there are as many as were asked for.

        A trial whose process has ended in the middle is noted first, and made again.
        """
        with self.folder.locked(), self._telling():
            trials = self._trials()
            for one in trials:
                if one.state.name == "RUNNING" and not self.folder.is_claimed(one.number):
                    self._stopped(one.number, "its process was killed", killed=True)
            counted = [one for one in self._trials() if one.state.name != "WAITING" and not _is_repeated(one)]
            if len(counted) >= self.sweep.settings.trials:
                self._keep_best()  # the process of the last one may have been killed before it did
                return None
            trial = self.study.ask()
            claim = self.folder.claim(trial.number)
            # By the number of the trial: no two processes draw the same, and nothing is drawn twice after a pause.
            self.study.sampler = self._sampler(trial.number)
            values = {key: self._draw(trial, key, entry) for key, entry in self.sweep.space.items()}
            trial.set_user_attr("values", values)
            return Drawn(trial.number, values, trial, claim)

    def report(self, drawn: Drawn, value: float, validation: int) -> bool:
        """Note a validation of a trial, and return whether it is better ended there."""
        with self._telling():
            drawn.trial.report(value, validation)
            return bool(drawn.trial.should_prune())

    def finish(self, drawn: Drawn, state: str, value: float | None, **facts: Any) -> None:
        """Note how a trial has ended, and keep its run if it is the best.

        Parameters
        ----------
        drawn : Drawn
            The trial.
        state : {"finished", "pruned", "failed"}
            How.
        value : float or None
            Its best value of the metric.
        **facts
            ``epoch``, ``seconds``, ``why``; see :class:`TrialRecord`.
        """
        states = self._optuna.trial.TrialState
        with self.folder.locked(), self._telling():
            for key, fact in {**facts, "value": value}.items():
                drawn.trial.set_user_attr(key, fact)
            if state == "finished":
                self.study.tell(drawn.number, value)
            else:
                self.study.tell(drawn.number, state=states.PRUNED if state == "pruned" else states.FAIL)
            self.folder.release(drawn.number, drawn.claim)
            self._keep_best()

    def stop(self, drawn: Drawn) -> None:
        """Note that a trial was stopped in the middle; it will be made again under another number."""
        with self.folder.locked(), self._telling():
            try:
                self._stopped(drawn.number, "stopped", killed=False)
            finally:
                self.folder.release(drawn.number, drawn.claim)
            self._keep_best()

    def records(self) -> list[TrialRecord]:
        """Return all trials, by their numbers."""
        with self._telling():
            return [self._record(one) for one in self._trials()]

    def best(self) -> TrialRecord | None:
        """Return the best trial of those that came to their end, the first of several alike."""
        finished = [one for one in self.records() if one.state == "finished"]
        sign = -1 if self.sweep.more_is_better else 1
        return min(finished, key=lambda one: (sign * float(one.value or 0), one.number), default=None)

    def importance(self) -> dict[str, float]:
        """Return how much of the differences between trials each key explains, the greatest first; empty for few.

        By functional ANOVA of a random forest (Hutter, Hoos and Leyton-Brown 2014), Optuna's default.
        """
        finished = [one for one in self.records() if one.state == "finished"]
        if len(finished) < FEWEST_FOR_IMPORTANCE or len({one.value for one in finished}) < 2:
            return {}
        tools = require("optuna.importance", **_EXTRA)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                found = tools.get_param_importances(self.study, evaluator=tools.FanovaImportanceEvaluator(seed=0))
            except (ImportError, ValueError, RuntimeError):  # without scikit-learn, or where trials differ in nothing
                return {}
        return {key: float(value) for key, value in found.items()}

    def _keep_best(self) -> None:
        """Bring the folder to what the trials say: the best config, its run, and of others only those being made."""
        best = self.best()
        try:
            if best is not None:
                self.folder.keep_best(best.number)
                config = self.sweep.config_with(best.values, f"{self.sweep.config.name}-best")
                self.folder.write_best_config(dump_config(config))
            self.folder.remove_trials(keep=[one.number for one in self._trials() if one.state.name == "RUNNING"])
        except OSError as error:
            raise cannot_write(self.folder.root, error) from error

    def _stopped(self, number: int, why: str, *, killed: bool) -> None:
        """Mark a trial that was begun and not ended, and have its values tried again unless they seem to kill."""
        trial = self._trials()[number]
        tries = int(trial.user_attrs.get("tries", 1))
        repeated = not killed or tries < MOST_TRIES
        study_id = self._storage.get_study_id_from_name(NAME)
        trial_id = self._storage.get_trial_id_from_study_id_trial_number(study_id, number)
        self._storage.set_trial_user_attr(trial_id, "why", why if repeated else f"{why}, {tries} times")
        self._storage.set_trial_user_attr(trial_id, "repeated", repeated)
        self.study.tell(number, state=self._optuna.trial.TrialState.FAIL)
        if repeated and "values" in trial.user_attrs:  # else it was not drawn yet
            self.study.enqueue_trial(dict(trial.params), user_attrs={"tries": tries + killed})

    def _draw(self, trial: Any, key: str, entry: Any) -> Any:
        if not isinstance(entry, Numbers):
            return entry.by_text[trial.suggest_categorical(key, list(entry.by_text))]
        suggest = trial.suggest_int if entry.whole else trial.suggest_float
        step = {} if entry.step is None else {"step": entry.step}
        return entry.tidy(suggest(key, entry.low, entry.high, log=entry.log, **step))

    def _sampler(self, number: int) -> Any:
        seed = int(np.random.SeedSequence([self.sweep.settings.seed, number]).generate_state(1)[0])
        samplers = self._optuna.samplers
        kind = samplers.TPESampler if self.sweep.settings.sampler == "tpe" else samplers.RandomSampler
        return kind(seed=seed)

    def _trials(self) -> list[Any]:
        found: list[Any] = self.study.get_trials(deepcopy=False)
        return sorted(found, key=lambda one: one.number)

    def _record(self, trial: Any) -> TrialRecord:
        attrs = trial.user_attrs
        names = {"COMPLETE": "finished", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running"}
        state = "stopped" if _is_repeated(trial) else names.get(trial.state.name, "waiting")
        value = trial.value if state == "finished" else attrs.get("value")
        values = attrs.get("values")
        facts = (attrs.get(key) for key in ("seconds", "why"))
        return TrialRecord(
            trial.number, state, value, attrs.get("epoch"), values if isinstance(values, dict) else {}, *facts
        )

    def _identity(self) -> dict[str, Any]:
        """Return what must be the same for trials to be of one sweep."""
        settings = self.sweep.settings
        return {
            "config": self.sweep.config.model_dump(mode="json"),
            "space": settings.space.model_dump(mode="json"),  # type: ignore[attr-defined]
            **{key: getattr(settings, key) for key in ("sampler", "pruner", "seed")},
        }

    def _refuse_another(self, found: Any) -> None:
        found = dict(found) if isinstance(found, dict) else {}
        with suppress(ConfigError):  # of another version: what has been added since has its default
            found["config"] = parse_config(found.get("config", {}), "the sweep").model_dump(mode="json")
        mine = json.loads(json.dumps(self._identity()))
        different = differing_keys([_flat(found), _flat(mine)])
        lines = [
            f"{key}: the sweep has {setting(before)}, now it is {setting(now)}"
            for key, (before, now) in different.items()
        ]
        if lines:
            where = str(self.folder.root)
            remedy = "Add --overwrite to replace it, or --run-dir OTHER to keep both"
            raise ConfigError(f"holds another sweep: {'; '.join(lines[:5])}", where=where, remedy=remedy)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Say of a file that cannot be used which it is."""
        problems = require("sqlalchemy.exc", **_EXTRA)
        try:
            yield
        except (problems.SQLAlchemyError, sqlite3.Error, self._optuna.exceptions.OptunaError) as error:
            cause = str(getattr(error.__cause__ or error, "orig", None) or error.__cause__ or error).splitlines()[0]
            raise RnncliError(
                f"cannot be used: {cause}",
                where=str(self.folder.storage),
                remedy="Is there space, and did rnncli sweep write it? --overwrite begins anew",
            ) from error


def _is_repeated(trial: Any) -> bool:
    return bool(trial.user_attrs.get("repeated"))


def _flat(values: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(values, dict):
        return {prefix: values}
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= _flat(value, f"{prefix}.{key}" if prefix else key)
    return found
