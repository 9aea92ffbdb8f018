"""The wide branch: what it computes, how it is trained, what of it is kept."""

import numpy as np
import pytest
from tiny_runs import Silent, digest_of, prepared, tiny_config, tiny_values, trained, write_config, write_csv

from rnncli.checkpoint import load_checkpoint, save_checkpoint
from rnncli.classifiers import START_SCALE
from rnncli.config import parse_config
from rnncli.data.batches import make_batch
from rnncli.errors import CheckpointError, ConfigError
from rnncli.layers import softmax, softmax_loss
from rnncli.ngram_counts import log_count_ratios
from rnncli.randomness import generator
from rnncli.run import train_run
from rnncli.run_dir import RunDir
from rnncli.scoring import score
from rnncli.tasks.ngrams import with_ngrams
from rnncli.trained import load_trained
from rnncli.wide_models import BIAS, KEYS, RATIOS, TABLE, WideModel
from rnncli.work import trained_weights

OWN = {"orders": 2, "dropout": 0.3}


@pytest.fixture
def data(workdir):
    return write_csv(workdir / "texts.csv", repeats=3)


@pytest.fixture
def three(tmp_path):
    """Write texts of three labels, each known by its pair of words."""
    lines = ["text,label"]
    for number in range(12):
        lines += [f"a b n{number % 4},ab", f"b a n{number % 4},ba", f"a a n{number % 4},aa"]
    path = tmp_path / "three.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def batch_of(trainer, rows=8):
    return make_batch(trainer.work.train, np.arange(rows))


def test_off_by_default(data):
    trainer, _ = prepared(tiny_config(data))
    assert not isinstance(trainer.model, WideModel)
    assert not any(name.startswith("ngrams") for name in trainer.model.params)


@pytest.mark.parametrize("bayes", ["weight", "start", "none"])
def test_the_first_weights_and_what_is_kept_with_them(data, bayes):
    config = tiny_config(data, model={"ngrams": {"naive_bayes": bayes}})
    trainer, texts = prepared(config)
    params, counts = trainer.model.params, with_ngrams(config, texts).ngrams
    ratios = log_count_ratios(counts.texts)
    assert params[KEYS].dtype == np.int32
    assert len(params[KEYS]) == len(counts.keys) > 20
    assert params[BIAS].tolist() == [0]
    assert (RATIOS in params) == (bayes == "weight")
    if bayes == "weight":
        np.testing.assert_allclose(params[RATIOS], ratios, rtol=1e-6)
    np.testing.assert_allclose(params[TABLE], START_SCALE * ratios if bayes == "start" else 0 * ratios, rtol=1e-6)


def test_keys_and_ratios_stay_as_they_are(data):
    trainer, _ = prepared(tiny_config(data, model={"ngrams": OWN}, train={"average": 0.9}))
    before = {name: array.copy() for name, array in trainer.model.params.items()}
    list(trainer.run())
    moved = {name for name, array in trainer.model.params.items() if not (array == before[name]).all()}
    assert moved == set(before) - {KEYS, RATIOS} == set(trained_weights(trainer.model))
    assert not {name for name in trainer.optimizer.state if KEYS in name or RATIOS in name}


def test_ngrams_that_are_not_in_a_batch_are_left_alone(data):
    trainer, _ = prepared(tiny_config(data, model={"ngrams": OWN}, train={"max_steps": 1, "batch_size": 2}))
    before = trainer.model.params[TABLE].copy()
    next(trainer.run())
    moved = (trainer.model.params[TABLE] != before).any(axis=1)
    assert 0 < moved.sum() < 20


def test_own_losses_leave_the_recurrent_branch_as_if_it_were_alone(data):
    """With an optimizer to which the scale of a gradient makes no difference."""
    same = {"optim": {"name": "adam", "lr": 0.01, "clip_norm": None, "eps": 1e-12}}
    alone, _ = trained(tiny_config(data, **same))
    wide, _ = trained(tiny_config(data, **same, model={"ngrams": {"dropout": 0.0}}))
    for name, array in alone.model.params.items():
        np.testing.assert_allclose(wide.model.params[name], array, atol=2e-3, err_msg=name)
    joint, _ = trained(tiny_config(data, **same, model={"ngrams": {"dropout": 0.0, "loss": "joint"}}))
    assert max(np.abs(joint.model.params[name] - array).max() for name, array in alone.model.params.items()) > 0.02


@pytest.mark.parametrize("loss", ["softmax", "binary"])
def test_scores_are_the_mean_of_both_or_their_sum(data, loss):
    for branches, factor in (("own", 0.5), ("joint", 1.0)):
        trainer, _ = trained(tiny_config(data, model={"ngrams": {**OWN, "loss": branches}, "loss": loss}))
        model, batch = trainer.model, batch_of(trainer)
        logits, _ = model.forward(batch)
        assert logits.shape == (8, model.logits) == (8, 2 if loss == "binary" else 3)
        recurrent = model.recurrent
        alone = recurrent.class_scores(recurrent.forward(batch)[0])
        both = model.class_scores(logits)
        np.testing.assert_allclose(both[:, 0], factor * alone[:, 0], rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(both[:, 1], factor * (alone[:, 1] + logits[:, -1]), rtol=1e-5, atol=1e-6)


def test_a_joint_loss_is_that_of_what_is_predicted(data):
    trainer, _ = trained(tiny_config(data, model={"ngrams": {**OWN, "loss": "joint"}}))
    model, batch = trainer.model, batch_of(trainer)
    logits, _ = model.forward(batch)
    assert model.loss(logits, batch.y)[0] == pytest.approx(softmax_loss(model.class_scores(logits), batch.y)[0])


def test_class_weights_and_smoothing_reach_both_branches(data):
    trainer, _ = trained(tiny_config(data, model={"ngrams": OWN}))
    model, batch = trainer.model, batch_of(trainer)
    logits, _ = model.forward(batch)
    plain, plain_gradient = model.loss(logits, batch.y)
    for given in ({"class_weights": np.array([0.2, 3.0], np.float32)}, {"smoothing": 0.3}):
        loss, gradient = model.loss(logits, batch.y, **given)
        assert loss != pytest.approx(plain)
        assert all(not np.allclose(new, old) for new, old in zip(gradient.T, plain_gradient.T, strict=True))


def test_three_labels_that_only_word_order_tells_apart(three):
    model = {"ngrams": {"orders": 2, "dropout": 0.0}, "rnn": {"cell": "rnn", "hidden": 1}}
    trainer, _ = trained(tiny_config(three, model=model, optim={"lr": 1e-5}, train={"epochs": 12}))
    assert trainer.model.params[TABLE].shape[1] == 3
    assert np.mean(score(trainer.model, trainer.work.valid).argmax(axis=1) == trainer.work.valid.labels) == 1
    # Nothing but the n-grams learned: the rest had a learning rate of nearly nothing.
    recurrent = score(trainer.model.recurrent, trainer.work.valid)
    assert np.mean(recurrent.argmax(axis=1) == trainer.work.valid.labels) < 1


def test_the_learning_rate_is_its_own(data):
    """What Adam moves by in the first step is the learning rate, whatever the gradient."""
    optim = {"name": "adam", "lr": 0.002, "eps": 1e-12}
    config = tiny_config(data, model={"ngrams": {"lr": 0.03, "dropout": 0.0}}, optim=optim, train={"max_steps": 1})
    trainer, _ = prepared(config)
    before = {name: array.copy() for name, array in trainer.model.params.items()}
    next(trainer.run())
    moves = {name: np.abs(array - before[name]) for name, array in trainer.model.params.items()}
    assert moves[TABLE].max() == pytest.approx(0.03, rel=1e-3)
    assert moves["output.w"].max() == pytest.approx(0.002, rel=1e-3)


def test_dropout_takes_ngrams_out_of_training_alone(data):
    trainer, _ = trained(tiny_config(data, model={"ngrams": {"dropout": 0.6}}))
    batch, model = batch_of(trainer, 30), trainer.model
    evaluated = model.forward(batch)[0][:, -1]
    dropped = np.stack([model.forward(batch, generator(1, "dropout", n))[0][:, -1] for n in range(400)])
    assert np.std(dropped, axis=0).min() > 0
    off = dropped.mean(axis=0) - evaluated
    assert (np.abs(off) < 5 * dropped.std(axis=0) / np.sqrt(400)).all()  # the mean is what is evaluated


@pytest.mark.parametrize("bayes", ["weight", "none"])
def test_shares_add_up_to_the_logits(data, bayes):
    trainer, _ = trained(tiny_config(data, model={"ngrams": {"naive_bayes": bayes}}))
    model, texts = trainer.model, trainer.work.train
    for row in range(0, len(texts), 7):
        batch = make_batch(texts, np.array([row]))
        shares = model.shares(batch.ids)
        np.testing.assert_allclose(shares.sum(axis=0) + model.params[BIAS], model.forward(batch)[0][0, -1:], atol=1e-6)


def test_shares_are_equal_parts_by_hand(data):
    trainer, _ = prepared(tiny_config(data, model={"ngrams": {"orders": 2, "naive_bayes": "none", "min_count": 1}}))
    model, ids = trainer.model, batch_of(trainer, 1).ids
    model.params[TABLE][:] = 1.0
    once = model.shares(ids[:2])  # two words and a pair
    np.testing.assert_allclose(once[:, 0], [1.5, 1.5])
    again = model.shares(np.array([ids[0], ids[1], ids[0], ids[1]]))  # each word twice; the pair twice, its turn never
    np.testing.assert_allclose(again.sum(), 3 if len(set(ids[:2])) == 2 else 2)
    np.testing.assert_allclose(again[:, 0], [0.75] * 4)


def test_a_checkpoint_has_all_it_needs(data, tmp_path):
    config = tiny_config(data, model={"ngrams": OWN})
    train_run(config, RunDir(tmp_path / "run"), Silent())
    loaded = load_trained(tmp_path / "run" / "last.safetensors")
    assert isinstance(loaded.model, WideModel)
    direct, _ = trained(config)
    assert (score(loaded.model, direct.work.valid) == score(direct.model, direct.work.valid)).all()


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        (
            KEYS,
            lambda a: a.astype(np.float32),
            r"tensor ngrams.keys is float32 \(\d+,\), its config says int32 \(\d+,\)",
        ),
        (KEYS, lambda a: a[:-1], r"tensor ngrams.ratios is float32 \(\d+, 1\), its config says float32 \(\d+, 1\)"),
        (TABLE, lambda a: a[:-1], "tensor ngrams.W is float32"),
        (TABLE, lambda a: np.concatenate([a, a], axis=1), "tensor ngrams.W is float32"),
        (RATIOS, lambda a: None, "tensor ngrams.ratios is missing"),
        (KEYS, lambda a: None, "tensor ngrams.keys is missing"),
        (KEYS, lambda a: np.array(3, np.int32), "tensor ngrams.keys is int32"),
        (KEYS, lambda a: a[::-1], "tensor ngrams.keys does not rise from 0 or more, each number once"),
        (KEYS, lambda a: np.concatenate([a[:1], a[:-1]]), "tensor ngrams.keys does not rise"),
        (KEYS, lambda a: np.concatenate([np.array([-5], np.int32), a[1:]]), "tensor ngrams.keys does not rise"),
    ],
)
def test_a_checkpoint_whose_tables_do_not_fit_is_refused(data, tmp_path, name, change, said):
    train_run(tiny_config(data, model={"ngrams": OWN}), RunDir(tmp_path / "run"), Silent())
    found = load_checkpoint(tmp_path / "run" / "last.safetensors")
    tensors = {**found.tensors, name: change(found.tensors[name])}
    tensors = {key: array for key, array in tensors.items() if array is not None}
    save_checkpoint(tmp_path / "bad.safetensors", tensors, found.metadata, found.vocabulary)
    with pytest.raises(CheckpointError, match=said):
        load_trained(tmp_path / "bad.safetensors")


def test_ngrams_none_of_which_is_frequent_enough(data):
    with pytest.raises(ConfigError, match=r"model.ngrams.min_count: 1,000 is more than any n-gram has: .* Lower it"):
        prepared(tiny_config(data, model={"ngrams": {"min_count": 1000}}))


def starting_from(tmp_path, first, second):
    """Train a config, and return its model and one of the other config that starts from it."""
    train_run(first, RunDir(tmp_path / "first"), Silent())
    path = tmp_path / "first" / "last.safetensors"
    config = second.model_copy(
        update={"init_from": str(path), "train": second.train.model_copy(update={"max_steps": 1})}
    )
    config = config.model_copy(update={"optim": config.optim.model_copy(update={"lr": 1e-9})})
    train_run(config, RunDir(tmp_path / "second"), Silent())
    return load_trained(path).model.params, load_trained(tmp_path / "second" / "last.safetensors").model.params


def test_a_run_that_starts_from_another_takes_its_ngrams_over_by_what_they_are(data, tmp_path):
    most = {"model": {"ngrams": {**OWN, "max_ngrams": 20, "lr": 1e-6}}}
    first, second = tiny_config(data, model={"ngrams": OWN}), tiny_config(data, **most)
    theirs, ours = starting_from(tmp_path, first, second)
    assert len(ours[KEYS]) == 20 < len(theirs[KEYS])
    places = np.searchsorted(theirs[KEYS], ours[KEYS])
    np.testing.assert_allclose(ours[TABLE], theirs[TABLE][places], atol=1e-4)
    assert np.abs(ours[TABLE]).max() > 0.01


def test_ngrams_of_another_vocabulary_are_not_taken_over(data, tmp_path):
    other = write_csv(tmp_path / "other.csv", repeats=2)
    first = tiny_config(data, model={"ngrams": OWN})
    theirs, ours = starting_from(tmp_path, first, tiny_config(other, model={"ngrams": {**OWN, "lr": 1e-6}}))
    assert np.abs(theirs[TABLE]).max() > 0.01
    assert np.abs(ours[TABLE]).max() < 1e-4


@pytest.mark.parametrize(
    ("theirs", "ours", "said"),
    [
        ("none", "weight", "are not multiplied by anything, unlike those of this config. .*naive_bayes: none"),
        ("start", "weight", "are not multiplied by anything, unlike those of this config. .*naive_bayes: start"),
        ("weight", "none", "are multiplied by log-count ratios, unlike those of this config. .*naive_bayes: weight"),
        ("none", None, "has n-grams and the model of this config has none. Give model.ngrams"),
    ],
)
def test_weights_of_ngrams_are_not_taken_for_what_they_are_not(data, tmp_path, theirs, ours, said):
    first = tiny_config(data, model={"ngrams": {**OWN, "naive_bayes": theirs}})
    second = tiny_config(data, model={"ngrams": ours and {**OWN, "naive_bayes": ours}})
    with pytest.raises(ConfigError, match=f"init_from: .*{said}"):
        starting_from(tmp_path, first, second)


def test_a_run_with_ngrams_starts_from_one_without(data, tmp_path):
    theirs, ours = starting_from(tmp_path, tiny_config(data), tiny_config(data, model={"ngrams": OWN}))
    np.testing.assert_allclose(ours["output.w"], theirs["output.w"], atol=1e-6)
    assert KEYS in ours
    assert KEYS not in theirs


def test_the_command_line_turns_it_on_with_one_key(data, tmp_path, cli):
    config = write_config(tmp_path / "c.yaml", tiny_values(data))
    done = cli("train", config, "--set", "model.ngrams={}", "--run-dir", tmp_path / "run")
    assert done.code == 0
    assert load_trained(tmp_path / "run" / "best.safetensors").config.model.ngrams.orders == 3
    plan = cli("plan", config, "--set", "model.ngrams={}", "--json", "--seconds", "0.2")
    assert plan.code == 0
    assert "ngrams.W" in plan.out


def test_it_is_for_classifiers():
    with pytest.raises(ConfigError, match="ngrams"):
        parse_config({"task": "tagging", "data": {}, "model": {"ngrams": {}}}, "c")


def test_probabilities_of_own_losses_are_the_normalized_geometric_mean(data):
    trainer, _ = trained(tiny_config(data, model={"ngrams": OWN}))
    model, batch = trainer.model, batch_of(trainer)
    logits, _ = model.forward(batch)
    recurrent, sums = model.branches(logits)
    p, q = softmax(recurrent), softmax(np.concatenate([0 * sums, sums], axis=1))
    mean = np.sqrt(p * q)
    np.testing.assert_allclose(
        softmax(model.class_scores(logits)), mean / mean.sum(axis=1, keepdims=True), rtol=1e-4, atol=1e-7
    )


def test_two_runs_are_the_same_bits(data):
    config = tiny_config(data, model={"ngrams": OWN})
    assert digest_of(trained(config)[0]) == digest_of(trained(config)[0])
