import numpy as np
import pytest
from tiny_runs import ADJECTIVES, SAMPLE, tiny_config, write_csv

from rnncli.assembly import build_trainer
from rnncli.checkpoint import load_checkpoint, save_checkpoint
from rnncli.data.dataset import load_dataset
from rnncli.errors import CheckpointError, ConfigError
from rnncli.scoring import score
from rnncli.tasks import TASKS
from rnncli.trained import load_trained, save_trained

MODELS = [
    {"rnn": {"cell": "rnn", "hidden": 4}},
    {"rnn": {"cell": "lstm", "hidden": 4, "layers": 2, "bidirectional": True}, "pooling": "max"},
    {"rnn": {"cell": "gru", "hidden": 4, "reset": "after"}, "pooling": "last", "loss": "binary"},
]


def saved_run(folder, **changes):
    """Train one epoch and save it."""
    config = tiny_config(write_csv(folder / "tiny.csv"), train={"epochs": 1}, **changes)
    data = load_dataset(config.data, config.seed, None)
    trainer = build_trainer(config, data)
    list(trainer.run())
    path = folder / "best.safetensors"
    save_trained(path, trainer, config, data, {**trainer.counters(), "metrics": {"accuracy": 0.5}})
    return path, trainer, config, data


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_all_comes_back(tmp_path, model):
    path, trainer, config, data = saved_run(tmp_path, model=model)
    loaded = load_trained(path)
    assert loaded.config == config
    assert loaded.learned.labels == data.labels
    assert loaded.learned.vocabulary.tokens == data.vocabulary.tokens
    assert loaded.progress["step"] == trainer.step
    assert loaded.progress["updates"] == trainer.optimizer.step_count == trainer.step
    assert loaded.progress["metrics"] == {"accuracy": 0.5}
    assert {name: array.tobytes() for name, array in loaded.model.params.items()} == {
        name: array.tobytes() for name, array in trainer.model.params.items()
    }
    np.testing.assert_array_equal(score(loaded.model, data.valid), score(trainer.model, data.valid))


def test_the_moments_are_kept_too(tmp_path):
    path, trainer, *_ = saved_run(tmp_path)
    tensors = load_checkpoint(path).tensors
    assert set(trainer.optimizer.state) | set(trainer.model.params) == set(tensors)
    for name, array in trainer.optimizer.state.items():
        assert tensors[name].tobytes() == array.tobytes()


def test_equal_runs_give_equal_bytes(tmp_path):
    paths = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        paths.append(saved_run(tmp_path / name, data={"train": {"format": "csv", "path": str(SAMPLE)}})[0])
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_path_with_a_config_of_another_version(tmp_path):
    path, *_ = saved_run(tmp_path)
    rewritten(path, lambda metadata, _: metadata["config"]["model"].update(attention=True, depth=3))
    text = refused(path)
    assert "model.attention" in text
    assert "model.depth" in text
    assert "version" in text


def rewritten(path, change):
    """Change what a checkpoint holds and sign it again, as a damaged file could not."""
    checkpoint = load_checkpoint(path)
    change(checkpoint.metadata, checkpoint.tensors)
    save_checkpoint(path, checkpoint.tensors, checkpoint.metadata, checkpoint.vocabulary)


def refused(path):
    with pytest.raises(CheckpointError) as caught:
        load_trained(path)
    text = str(caught.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda metadata, _: metadata.pop("config"), "config"),
        (lambda metadata, _: metadata.update(config=[1]), "config"),
        (lambda metadata, _: metadata.pop("labels"), "labels"),
        (lambda metadata, _: metadata.update(labels=3), ""),
        (lambda metadata, _: metadata.update(labels=["neg"]), "labels"),
        (lambda metadata, _: metadata.update(labels=[1, 2]), "labels"),
        (lambda metadata, _: metadata.update(labels=["neg", "neg"]), "labels"),
        (lambda metadata, _: metadata.update(labels=[["neg"], ["pos"]]), ""),
        (lambda metadata, _: metadata.pop("progress"), "progress"),
        (lambda metadata, _: metadata.update(progress=None), ""),
        (lambda metadata, _: metadata["progress"].pop("step"), "step"),
        (lambda metadata, _: metadata["config"]["model"]["rnn"].update(hidden=5), "rnn0.fwd.Wx"),
        (lambda metadata, _: metadata["config"]["model"]["rnn"].update(layers=2), "rnn1.fwd.Wx"),
        (lambda _, tensors: tensors.pop("output.b"), "output.b is missing"),
        (lambda _, tensors: tensors.update({"output.b": np.zeros(9, np.float32)}), "output.b"),
        (lambda _, tensors: tensors.update({"output.b": np.zeros(2, np.int32)}), "output.b"),
    ],
)
def test_a_checkpoint_that_does_not_fit_itself_is_refused(tmp_path, change, named):
    path, *_ = saved_run(tmp_path)
    load_trained(path)
    rewritten(path, change)
    assert named in refused(path)


def test_a_vocabulary_that_is_none_is_refused(tmp_path):
    path, *_ = saved_run(tmp_path)
    checkpoint = load_checkpoint(path)
    for vocabulary in ((), ("a", "b"), ("<unk>", "a", "a"), ("<unk>", "a")):
        save_checkpoint(path, checkpoint.tensors, checkpoint.metadata, vocabulary)
        refused(path)


def test_damage_is_refused(tmp_path):
    path, *_ = saved_run(tmp_path)
    whole = path.read_bytes()
    for place in (0, 8, 100, len(whole) // 2, len(whole) - 1):
        changed = bytearray(whole)
        changed[place] ^= 1
        path.write_bytes(changed)
        refused(path)
    for length in (0, 7, 100, len(whole) - 1):
        path.write_bytes(whole[:length])
        refused(path)
    path.unlink()
    assert "no such file" in refused(path)


# ---- init_from ------------------------------------------------------------------------------------------------------


def started(folder, source, rows, **changes):
    """Return a new model on other texts, before and after it took the weights of a saved run."""
    path = folder / "other.csv"
    path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    changes = {"data": {"valid_fraction": 0.25}, **changes}
    config = tiny_config(path, seed=7, **changes)
    data = load_dataset(config.data, config.seed, None)
    trainer = build_trainer(config, data)
    before = {name: array.copy() for name, array in trainer.model.params.items()}
    TASKS["classification"].take_weights(config, trainer.model, data, load_trained(source), str(source))
    return trainer.model.params, before, data


OTHER_TEXTS = [(f"{noun} was {word}", label) for noun in ("film", "book") for word, label in ADJECTIVES.items()]


def test_weights_are_taken_by_token_and_what_is_new_stays_fresh(tmp_path):
    path, trainer, _, data = saved_run(tmp_path)
    params, before, other = started(tmp_path, path, OTHER_TEXTS)
    assert other.labels == data.labels
    assert other.vocabulary.tokens != data.vocabulary.tokens
    known, new = [], []
    for number, token in enumerate(other.vocabulary.tokens):
        row = params["embedding.W"][number]
        if token in data.vocabulary:
            known.append(number)
            theirs = data.vocabulary.encode([token])[0]
            assert row.tobytes() == trainer.model.params["embedding.W"][theirs].tobytes(), token
        else:
            new.append(number)
            assert row.tobytes() == before["embedding.W"][number].tobytes(), token
    assert 0 in known
    assert {other.vocabulary.tokens[number] for number in new} >= {"was"}
    assert known != [int(data.vocabulary.encode([other.vocabulary.tokens[number]])[0]) for number in known]
    for name, array in trainer.model.params.items():
        if name != "embedding.W":
            assert params[name].tobytes() == array.tobytes() != before[name].tobytes(), name


@pytest.mark.parametrize("labels", [{"pos": "good", "neg": "bad"}, {"pos": "pos", "neg": "mixed"}])
def test_the_output_layer_is_fresh_where_the_labels_differ(tmp_path, labels):
    path, trainer, *_ = saved_run(tmp_path)
    params, before, _ = started(tmp_path, path, [(text, labels[label]) for text, label in OTHER_TEXTS])
    for name in ("output.w", "output.b"):
        assert params[name].tobytes() == before[name].tobytes()
    assert params["rnn0.fwd.Wh"].tobytes() == trainer.model.params["rnn0.fwd.Wh"].tobytes()


def test_more_labels_are_no_hindrance(tmp_path):
    path, *_ = saved_run(tmp_path)
    params, before, data = started(tmp_path, path, [*OTHER_TEXTS, ("film was so", "so"), ("end was so", "so")])
    assert len(data.labels) == 3
    assert params["output.w"].tobytes() == before["output.w"].tobytes()


@pytest.mark.parametrize(
    ("model", "named"),
    [
        ({"embedding": {"dim": 9}}, "embedding.W"),
        ({"rnn": {"cell": "gru", "hidden": 9}}, "rnn0.fwd.Wx"),
        ({"rnn": {"cell": "gru", "hidden": 8, "layers": 2}}, "rnn1.fwd.Wx"),
        ({"rnn": {"cell": "gru", "hidden": 8, "bidirectional": True}}, "rnn0.bwd.Wx"),
        ({"rnn": {"cell": "lstm", "hidden": 8}}, "(gru)"),
        ({"rnn": {"cell": "gru", "hidden": 8, "reset": "after"}}, "(gru)"),
        ({"loss": "binary"}, "output.w"),
    ],
    ids=str,
)
@pytest.mark.parametrize("labels", ["same labels", "other labels"])
def test_a_model_of_other_sizes_is_refused_both_ways(tmp_path, model, named, labels):
    rows = [(text, label if labels == "same labels" else f"{label}2") for text, label in OTHER_TEXTS]
    for theirs, ours in ((model, {}), ({}, model)):
        (tmp_path / f"{len(theirs)}").mkdir()
        path, *_ = saved_run(tmp_path / f"{len(theirs)}", model=theirs)
        if labels == "other labels" and "loss" in model:
            started(tmp_path, path, rows, model=ours)  # the output layer is not taken, so that it need not fit
            continue
        with pytest.raises(ConfigError) as caught:
            started(tmp_path, path, rows, model=ours)
        text = str(caught.value)
        assert text.startswith((f"init_from: {path} has", f"init_from: {path} does not have "))
        assert "\n" not in text
        assert named in text or "(lstm)" in text
        assert caught.value.exit_code == 2


def test_init_from_with_poolings_in_another_order_is_refused(tmp_path):
    """The output layer has as many rows for each: nothing else would tell."""
    path, *_ = saved_run(tmp_path, model={"pooling": ["max", "mean"]})
    started(tmp_path, path, OTHER_TEXTS, model={"pooling": ["max", "mean"]})
    for ours in (["mean", "max"], ["max", "last"]):
        with pytest.raises(ConfigError, match=r"pools by max, mean, in this order.* Give model.pooling: \[max, mean\]"):
            started(tmp_path, path, OTHER_TEXTS, model={"pooling": ours})
    others = [(text, f"very {label}") for text, label in OTHER_TEXTS]
    started(tmp_path, path, others, model={"pooling": ["mean", "max"]})  # the output layer is fresh


def test_init_from_starts_a_new_run_where_resume_goes_on(tmp_path):
    """Step, moments, schedule and the order of the batches begin anew: the same weights do not make the same run."""
    path, trainer, config, data = saved_run(tmp_path)
    fresh = build_trainer(config, data)
    TASKS["classification"].take_weights(config, fresh.model, data, load_trained(path), str(path))
    assert all(array.tobytes() == fresh.model.params[name].tobytes() for name, array in trainer.model.params.items())
    assert (fresh.step, fresh.optimizer.step_count, fresh.optimizer.state) == (0, 0, {})
    first = next(fresh.run())
    assert first.step == 1
    assert load_trained(path).model.params["output.w"].tobytes() == trainer.model.params["output.w"].tobytes()
