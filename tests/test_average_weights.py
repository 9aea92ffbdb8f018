"""The mean of the weights in whole runs: what it is of, that it is resumed to the bit, and who uses it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from tiny_runs import Silent, jsonl, tiny_config, write_csv
from tiny_tasks import language_config, tagging_config, trainer_of, write_conllu, write_text

from rnncli.averaging import PREFIX
from rnncli.config import parse_config
from rnncli.data.dataset import load_dataset
from rnncli.errors import CheckpointError, ConfigError
from rnncli.first_weights import take_first_weights
from rnncli.metrics import classification_report
from rnncli.resuming import restore_trainer
from rnncli.run import train_run
from rnncli.run_dir import RunDir
from rnncli.scoring import score
from rnncli.tasks import task_of
from rnncli.trained import load_trained
from rnncli.training import StepDone
from rnncli.workers.exchange import ALONE

CONFIGS = {
    "classification": lambda folder, **train: tiny_config(write_csv(folder / "a.csv"), train={"epochs": 4, **train}),
    "tagging": lambda folder, **train: tagging_config(write_conllu(folder / "a.conllu"), train={"epochs": 4, **train}),
    "language_model": lambda folder, **train: language_config(
        write_text(folder / "a.txt"), train={"epochs": 4, **train}
    ),
}
MEANS = {"running": {"average": 0.9}, "last": {"average_last": 2}}
every_task = pytest.mark.parametrize("task", CONFIGS)
every_mean = pytest.mark.parametrize("mean", MEANS)


class Killed(Exception):
    pass


class Kill(Silent):
    """Ends a run after some steps, as a signal that cannot be caught would."""

    def __init__(self, at):
        self.at = at

    def step(self, event, speed):
        if event.step == self.at:
            raise Killed


def weights_after_each_step(config, cache):
    trainer, _ = trainer_of(config, cache)
    seen = [{name: w.copy() for name, w in trainer.model.params.items()}]
    for event in trainer.run():
        if isinstance(event, StepDone):
            seen.append({name: w.copy() for name, w in trainer.model.params.items()})
    return seen, trainer


@every_task
def test_a_running_mean_is_that_of_the_weights_of_every_step_also_of_rows_that_do_not_occur(task, tmp_path):
    seen, trainer = weights_after_each_step(CONFIGS[task](tmp_path, average=0.9), tmp_path)
    W = [weights["embedding.W"] for weights in seen]
    if task == "classification":  # some rows stay where they are, while the mean goes on towards them
        still = (W[-1] == W[-2]).all(axis=1) & (W[-1] != W[0]).any(axis=1)
        assert still.any()
    for name, w in seen[0].items():
        expected = w.astype(np.float64)
        for number, weights in enumerate(seen[1:], start=1):
            decay = min(0.9, (1 + number) / (10 + number))
            expected = decay * expected + (1 - decay) * weights[name]
        np.testing.assert_allclose(trainer.averages.of(trainer.model.params)[name], expected, rtol=1e-4, atol=1e-6)


@every_task
def test_the_mean_of_the_last_epochs_is_that_of_the_weights_of_their_steps(task, tmp_path):
    seen, trainer = weights_after_each_step(CONFIGS[task](tmp_path, average_last=2), tmp_path)
    last = 2 * trainer.steps_per_epoch
    assert len(seen) == 1 + 2 * last
    assert trainer.averages.count == last
    for name in seen[0]:
        expected = np.mean([weights[name].astype(np.float64) for weights in seen[-last:]], axis=0)
        np.testing.assert_allclose(trainer.averages.of(trainer.model.params)[name], expected, rtol=1e-4, atol=1e-6)


@every_task
def test_validations_are_of_the_weights_before_there_is_a_mean_and_of_the_mean_then(task, tmp_path):
    plain, _ = trainer_of(CONFIGS[task](tmp_path), tmp_path)
    mean, _ = trainer_of(CONFIGS[task](tmp_path, average_last=2), tmp_path)
    ours, theirs = (
        [event.figures["loss"] for event in trainer.run() if not isinstance(event, StepDone)]
        for trainer in (mean, plain)
    )
    assert ours[:2] == theirs[:2]
    assert ours[2] != theirs[2]
    assert ours[3] != theirs[3]


def test_max_steps_shifts_the_last_epochs(tmp_path):
    trainer, _ = trainer_of(CONFIGS["classification"](tmp_path, average_last=1, max_steps=7), tmp_path)
    assert trainer.averages.first == 7 - trainer.steps_per_epoch
    trainer, _ = trainer_of(CONFIGS["classification"](tmp_path, average_last=2, max_steps=7), tmp_path)
    assert trainer.averages.first == 0


@every_mean
@every_task
def test_a_run_that_is_killed_and_resumed_has_the_same_mean_to_the_bit(task, mean, tmp_path):
    config = CONFIGS[task](tmp_path, **MEANS[mean], checkpoint_every_steps=1)
    straight, broken = RunDir(tmp_path / "straight"), RunDir(tmp_path / "broken")
    trainer, _ = trainer_of(config, tmp_path)
    per_epoch = trainer.steps_per_epoch
    train_run(config, straight, Silent())
    with pytest.raises(Killed):
        train_run(config, broken, Kill(2 * per_epoch - 1))  # before the mean of the last epochs begins
    for at in (2 * per_epoch + 2, 3 * per_epoch):
        with pytest.raises(Killed):
            train_run(config, broken, Kill(at), resume=True)
    train_run(config, broken, Silent(), resume=True)
    for name in ("last", "best"):
        one, two = (load_trained(getattr(folder, name)) for folder in (straight, broken))
        assert {name for name in one.arrays if name.startswith(PREFIX)} or one.progress["step"] <= 2 * per_epoch
        assert one.arrays.keys() == two.arrays.keys()
        assert all((array == two.arrays[name]).all() for name, array in one.arrays.items())
        assert all((array == two.model.params[name]).all() for name, array in one.model.params.items())
        assert one.progress["averaged"] == two.progress["averaged"]


@every_mean
def test_what_is_used_later_is_what_validations_saw(mean, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = CONFIGS["classification"](tmp_path, **MEANS[mean])
    run_dir = RunDir(tmp_path / "run")
    train_run(config, run_dir, Silent())
    data = load_dataset(config.data, config.seed, None)
    validations = [row for row in jsonl(run_dir.metrics) if row["kind"] == "validation"]
    for path, row in ((run_dir.last, validations[-1]), (run_dir.best, [r for r in validations if r["improved"]][-1])):
        saved = load_trained(path)
        used = saved.use_average()
        scores = score(used.model, data.valid)
        assert classification_report(data.valid.labels, scores, data.labels)["loss"] == row["loss"]
        if path == run_dir.last:
            assert any((array != saved.model.params[name]).any() for name, array in used.model.params.items())


def test_a_checkpoint_of_before_the_last_epochs_has_no_mean(tmp_path):
    config = CONFIGS["classification"](tmp_path, average_last=1, checkpoint_every_steps=1)
    run_dir = RunDir(tmp_path / "run")
    with pytest.raises(Killed):
        train_run(config, run_dir, Kill(3))
    saved = load_trained(run_dir.last)
    assert not [name for name in saved.arrays if name.startswith(PREFIX)]
    assert saved.use_average() is saved


def test_a_run_that_is_to_end_later_begins_its_mean_anew(tmp_path):
    """It ends in the bits of a run that was to end then from the beginning."""
    config = CONFIGS["classification"](tmp_path, average_last=1)
    longer = CONFIGS["classification"](tmp_path, average_last=1, epochs=6)
    run_dir, straight = RunDir(tmp_path / "run"), RunDir(tmp_path / "straight")
    train_run(config, run_dir, Silent())
    assert load_trained(run_dir.last).progress["averaged"] > 0
    train_run(longer, run_dir, Silent(), resume=True, given=("train.epochs=6",))
    train_run(longer, straight, Silent())
    one, two = load_trained(run_dir.last), load_trained(straight.last)
    assert one.arrays.keys() == two.arrays.keys()
    assert all((array == two.arrays[name]).all() for name, array in one.arrays.items())


@every_mean
def test_two_processes_have_the_mean_in_common(mean, tmp_path):
    found = {}
    for workers in (1, 2):
        config = CONFIGS["classification"](tmp_path, **MEANS[mean], workers=workers)
        run_dir = RunDir(tmp_path / str(workers))
        assert train_run(config, run_dir, Silent()).processes == workers
        found[workers] = load_trained(run_dir.last)
        losses = [row["loss"] for row in jsonl(run_dir.metrics) if row["kind"] == "validation"]
        used = found[workers].use_average()
        data = task_of(config).load(config, None)
        work = replace(task_of(config).build(config, data), model=used.model)
        assert work.evaluate(ALONE)["loss"] == losses[-1]
    for name, array in found[1].arrays.items():
        if name.startswith(PREFIX):
            np.testing.assert_allclose(found[2].arrays[name], array, rtol=2e-3, atol=2e-4, err_msg=name)


def test_a_skipped_step_counts_in_no_mean(tmp_path):
    trainer, _ = trainer_of(CONFIGS["classification"](tmp_path, average_last=4, on_nonfinite="skip"), tmp_path)
    W = trainer.model.params["output.w"]
    kept = W.copy()
    for event in trainer.run():
        if isinstance(event, StepDone) and event.step == 2:
            kept[...], W[...] = W, np.nan
        if isinstance(event, StepDone) and event.step == 3:
            assert event.skipped
            W[...] = kept
            assert trainer.averages.count == 2
    assert trainer.averages.count == trainer.total_steps - 1
    assert np.isfinite(trainer.averages.of(trainer.model.params)["output.w"]).all()


@pytest.mark.parametrize(
    ("train", "said"),
    [
        ({"average": 0.9, "average_last": 1}, "excludes train.average"),
        ({"average_last": 3, "epochs": 2}, "3 is more than train.epochs, 2"),
    ],
)
@every_task
def test_two_means_or_more_epochs_than_there_are_are_refused(task, train, said, tmp_path):
    values = json.loads(json.dumps(CONFIGS[task](tmp_path).model_dump(mode="json")))
    values["train"] |= train
    with pytest.raises(ConfigError, match=said):
        parse_config(values, "x")


def test_a_checkpoint_that_does_not_count_its_steps_goes_on(tmp_path):
    """As those of earlier versions do not, which had a running mean alone."""
    config = CONFIGS["tagging"](tmp_path, average=0.9)
    first, _ = trainer_of(config, tmp_path)
    for event in first.run():
        if event.step == 5:
            break
    counters = {key: value for key, value in first.counters().items() if key != "averaged"}
    second, _ = trainer_of(config, tmp_path)
    second.restore(counters, first.model.params, first.arrays())
    assert second.averages.count == 5
    list(first.run())
    list(second.run())
    assert all((array == second.arrays()[name]).all() for name, array in first.arrays().items())


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"arrays": "average/output.w"}, "the array 'average/output.w' is missing"),
        ({"averaged": 0}, "the array 'average/.*' is not one it has"),
        ({"averaged": -1}, "progress.averaged"),
    ],
    ids=str,
)
def test_a_checkpoint_whose_mean_is_not_whole_is_refused(changed, said, tmp_path):
    config = CONFIGS["classification"](tmp_path, average_last=2)
    run_dir = RunDir(tmp_path / "run")
    train_run(config, run_dir, Silent())
    saved = load_trained(run_dir.last)
    arrays = {name: array for name, array in saved.arrays.items() if name != changed.get("arrays")}
    progress = saved.progress | {key: value for key, value in changed.items() if key != "arrays"}
    trainer, data = trainer_of(config, tmp_path)
    with pytest.raises(CheckpointError, match=said):
        restore_trainer(trainer, replace(saved, arrays=arrays, progress=progress), data, "last")


def test_another_run_begins_with_the_mean_and_not_where_the_weights_ended(workdir):
    config = CONFIGS["classification"](workdir, average=0.9)
    train_run(config, RunDir(workdir / "first"), Silent())
    theirs = load_trained(workdir / "first/last.safetensors")
    second = config.model_copy(update={"init_from": str(workdir / "first/last.safetensors")})
    trainer, data = trainer_of(second, None)
    take_first_weights(trainer, second, data)
    for name, mean in theirs.use_average().model.params.items():
        assert (trainer.model.params[name] == mean).all()
        assert (trainer.averages.of(trainer.model.params)[name] == mean).all()
        assert (mean != theirs.model.params[name]).any()


def test_a_run_of_another_task_gives_no_weights(workdir):
    train_run(CONFIGS["tagging"](workdir), RunDir(workdir / "first"), Silent())
    config = CONFIGS["classification"](workdir).model_copy(
        update={"init_from": str(workdir / "first/last.safetensors")}
    )
    with pytest.raises(ConfigError, match="is of task tagging, this config of classification"):
        train_run(config, RunDir(workdir / "second"), Silent())
    assert not (workdir / "second").exists()
