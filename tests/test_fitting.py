"""Training on texts in memory: like a run, without its folder."""

import numpy as np
import pytest
from tiny_runs import Silent, tiny_config, tiny_values, write_csv

import rnncli
from rnncli import fitting
from rnncli.config import parse_config
from rnncli.data.dataset import Dataset, encode_parts, load_dataset, read_parts
from rnncli.errors import ConfigError, GradientError
from rnncli.fitting import fit
from rnncli.predicting import probabilities


def all_to_train_on(config) -> Dataset:
    train, valid = read_parts(config.data, config.seed)
    return encode_parts(config.data, [*train, *valid], [])


def test_fitting_in_memory_is_a_run_without_its_folder(workdir):
    write_csv(workdir / "a.csv")
    values = tiny_values("a.csv", train={"epochs": 5, "average": 0.9})
    config = parse_config(values, "tiny")
    fitted = fit(config, load_dataset(config.data, config.seed, None))
    model = rnncli.train(values, quiet=True)
    for name, array in model.trained.model.params.items():
        np.testing.assert_array_equal(fitted.trained.model.params[name], array)
    figures = ("step", "epoch", "loss", "accuracy", "macro_f1", "improved")
    assert [[row[key] for key in figures] for row in fitted.history] == [
        [row[key] for key in figures] for row in model.history
    ]


def test_without_a_validation_part_the_last_step_counts(workdir):
    config = tiny_config(write_csv(workdir / "a.csv"), train={"epochs": 3})
    fitted = fit(config, all_to_train_on(config))
    assert (fitted.history, fitted.epochs) == ([], 3)
    assert fitted.trained.progress == {"step": 18, "metrics": None}
    longer = config.model_copy(update={"train": config.train.model_copy(update={"epochs": 4})})
    texts = ["good film", "bad end"]
    assert (
        probabilities(fitted.trained, texts) != probabilities(fit(longer, all_to_train_on(config)).trained, texts)
    ).any()


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"train": {"patience": 2}}, "train.patience"),
        ({"train": {"validate_every": 2}}, "train.validate_every"),
        ({"train": {"best_metric": "loss"}}, "train.best_metric"),
        ({"data": {"split_seed": 2}}, "data.split_seed"),
        ({"optim": {"name": "adam", "lr": 0.1, "schedule": {"name": "plateau"}}}, "optim.schedule: plateau"),
    ],
)
def test_what_needs_validations_is_refused_without_any(workdir, changes, key):
    config = tiny_config(write_csv(workdir / "a.csv"), **changes)
    with pytest.raises(ConfigError, match=f"{key}: has no effect without a validation part"):
        fit(config, all_to_train_on(config))
    assert fit(config, load_dataset(config.data, config.seed, None)).history


def test_another_runs_weights_are_a_beginning(workdir):
    values = tiny_values(write_csv(workdir / "a.csv"))
    rnncli.train(values, "runs/first", quiet=True)
    config = parse_config({**values, "init_from": "runs/first/best.safetensors"}, "tiny")
    data = load_dataset(config.data, config.seed, None)
    anew = fit(config.model_copy(update={"init_from": None}), data)
    further = fit(config, data)
    assert further.history[0]["loss"] < anew.history[0]["loss"]


def test_weights_that_are_not_finite_are_not_given_back(workdir, monkeypatch):
    config = tiny_config(write_csv(workdir / "a.csv"))
    monkeypatch.setattr(fitting, "not_finite", lambda params: "output.w")
    with pytest.raises(GradientError, match=r"the weights output\.w are not finite after step \d+\. Lower optim\.lr"):
        fit(config, load_dataset(config.data, config.seed, None))


def test_a_watcher_is_told(workdir):
    class Counting(Silent):
        def __init__(self) -> None:
            self.calls: list[str] = []

        def __getattr__(self, name):
            return lambda *_: self.calls.append(name)

    config = tiny_config(write_csv(workdir / "a.csv"))
    data = load_dataset(config.data, config.seed, None)
    watcher = Counting()
    fit(config, data, watcher)
    assert watcher.calls[0] == "started"
    assert watcher.calls[-1] == "finished"
    assert watcher.calls.count("validated") == 2
    steps = watcher.calls.count("step")
    assert steps == 2 * -(-len(data.train) // 4)
