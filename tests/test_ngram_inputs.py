"""What n-grams say by themselves, read by the recurrent layers: counted on other texts, shared, scaled."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_runs import Silent, prepared, tiny_config, trained, write_csv

from rnncli.config import parse_config
from rnncli.data.batches import make_batch, make_part
from rnncli.data.dataset import EncodedTexts
from rnncli.errors import ConfigError
from rnncli.layers import gru_forward
from rnncli.ngram_counts import count_ngrams
from rnncli.ngram_inputs import FOLDS, cross_fitted, gathered, gathered_backward, looked_up, shared, spread
from rnncli.ngrams import packed_endings
from rnncli.packing import make_packing, pack_flat
from rnncli.run import train_run
from rnncli.run_dir import RunDir
from rnncli.scoring import score
from rnncli.tasks import ngrams as tasks_ngrams
from rnncli.tasks import task_of
from rnncli.trained import load_trained
from rnncli.wide_models import KEYS, RATIOS, SCALE
from rnncli.workers.exchange import ALONE

FED = {"ngrams": {"inputs": True, "orders": 2}}
texts_of_ids = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=7), min_size=1, max_size=6)


def laid_out(texts):
    return np.concatenate([np.array(text, np.int32) for text in texts]), np.cumsum([0, *map(len, texts)])


def some_texts(seed, texts=60, classes=2, words=7):
    rng = np.random.default_rng(seed)
    ids = [rng.integers(0, words, rng.integers(1, 12)).tolist() for _ in range(texts)]
    return ids, rng.integers(0, classes, texts)


def fitted(texts, labels, *, orders=2, min_count=2, classes=2, seed=4, most=10**6):
    ids, offsets = laid_out(texts)
    settings = {"orders": orders, "min_count": min_count}
    counts = count_ngrams(ids, offsets, labels, classes, most=most, **settings)
    found = cross_fitted(ids, offsets, labels, counts, **settings, rng=np.random.default_rng(seed))
    return [found[start:end] for start, end in pairwise(offsets.tolist())]


@pytest.fixture
def data(workdir):
    return write_csv(workdir / "texts.csv", repeats=3)


# ---- which ratios ---------------------------------------------------------------------------------------------------


@given(texts_of_ids, st.integers(1, 4), st.integers(0, 2))
def test_the_ngrams_that_end_at_each_token_however_the_texts_lie(texts, orders, some):
    ids, offsets = laid_out(texts)
    keys = count_ngrams(ids, offsets, np.zeros(len(texts), int), 2, orders=orders, min_count=1, most=10**6).keys[
        some::2
    ]
    packing = make_packing(np.diff(offsets))
    found = packed_endings(pack_flat(ids, offsets[:-1], packing), packing, orders, keys)
    for j, n in enumerate(packing.order):
        rows = found[packing.sequences == j]
        for end in range(len(texts[n])):
            for order in range(1, orders + 1):
                gram = texts[n][max(0, end - order + 1) : end + 1]
                whole = packed_endings(np.array(gram), make_packing(np.array([len(gram)])), order, keys)[-1, -1]
                assert rows[end, order - 1] == (whole if len(gram) == order else -1)


@pytest.mark.parametrize("classes", [2, 3])
def test_ratios_are_counted_on_the_other_folds_alone(classes):
    """Written out: for each text the n-grams of the texts of other folds, those that enough of them have."""
    texts, labels = some_texts(1, classes=classes)
    fold = np.random.default_rng(4).permutation(len(texts)) % FOLDS
    columns = [1] if classes == 2 else list(range(classes))
    for n, rows in enumerate(fitted(texts, labels, classes=classes)):
        counts = {c: Counter() for c in range(classes)}
        for other in np.flatnonzero(fold != fold[n]).tolist():
            grams = {tuple(texts[other][i : i + o]) for o in (1, 2) for i in range(len(texts[other]) - o + 1)}
            counts[labels[other]].update(grams)
        known = {gram for gram in sum(counts.values(), Counter()) if sum(c[gram] for c in counts.values()) >= 2}
        for end, row in enumerate(rows):
            expected = []
            for order in (1, 2):
                gram = tuple(texts[n][end - order + 1 : end + 1]) if end + 1 >= order else ()
                for c in columns:
                    p, q = ({g: 1 + sum(counts[k][g] for k in of) for g in known} for of in sides(c, classes))
                    ratio = np.log(p[gram] / sum(p.values()) / (q[gram] / sum(q.values()))) if gram in known else 0
                    expected.append(ratio)
            np.testing.assert_allclose(row, expected, rtol=1e-5, atol=1e-6)


def sides(label, classes):
    return [label], [k for k in range(classes) if k != label]


def test_a_texts_own_label_does_not_tell_on_its_inputs():
    texts, labels = some_texts(2)
    before = fitted(texts, labels)
    for n in range(0, len(texts), 7):
        turned = labels.copy()
        turned[n] = 1 - turned[n]
        after = fitted(texts, turned)
        np.testing.assert_array_equal(after[n], before[n])
        assert sum(not np.array_equal(a, b) for a, b in zip(after, before, strict=True)) > len(texts) / 2


def test_texts_that_share_no_words_are_told_nothing():
    texts = [[3 * n, 3 * n + 1, 3 * n + 2] for n in range(40)]
    found = fitted(texts, np.arange(40) % 2, min_count=1)
    assert not np.concatenate(found).any()


@pytest.mark.parametrize("texts", [1, 2, FOLDS + 1])
def test_few_texts_will_do(texts):
    found = fitted([[0, 1]] * texts, np.arange(texts) % 2, min_count=1)
    assert np.isfinite(np.concatenate(found)).all()


def test_ngrams_that_a_limit_leaves_out_are_passed_over():
    texts, labels = some_texts(3)
    many, few = (np.concatenate(fitted(texts, labels, most=most)) for most in (10**6, 3))
    assert 0 < np.count_nonzero(few) < np.count_nonzero(many)


def test_the_seed_deals(data):
    inputs = {
        seed: task_of(config).build(config, prepared(config)[1]).train.inputs
        for seed in (1, 2)
        for config in [tiny_config(data, seed=seed, data={"split_seed": 1}, model=FED)]
    }
    config = tiny_config(data, data={"split_seed": 1}, model=FED)
    np.testing.assert_array_equal(prepared(config)[0].work.train.inputs, inputs[1])
    assert not np.array_equal(inputs[1], inputs[2])


def test_columns_are_divided_by_their_spread():
    inputs = np.array([[1, 5, 0], [3, 5, 0], [1, 5, 4], [3, 5, 4]], np.float32)
    assert spread(inputs).tolist() == [1, 1, 2]
    assert spread(inputs).dtype == np.float32


def test_without_memory_for_them_it_is_said_what_takes_it(data, monkeypatch):
    def cross_fitted(*args, **settings):
        raise MemoryError

    monkeypatch.setattr(tasks_ngrams, "cross_fitted", cross_fitted)
    said = r"model.ngrams.inputs: there is no memory for 2 ratios at each of [\d,]+ tokens, .*lower model.ngrams.orders"
    with pytest.raises(ConfigError, match=said):
        prepared(tiny_config(data, model=FED))


# ---- shared among the tokens of an n-gram ---------------------------------------------------------------------------


@given(st.integers(1, 6), st.integers(1, 4), st.integers(1, 3))
def test_what_is_shared_is_gathered_again(T, orders, K):
    rng = np.random.default_rng(T)
    inputs = rng.standard_normal((T, orders, K))
    for order in range(orders):
        inputs[:order, order] = 0  # no n-gram begins before the text
    inputs = inputs.reshape(T, -1)
    shares = shared(inputs, K)
    assert shares.shape == (T, orders * (orders + 1) // 2 * K)
    np.testing.assert_allclose(gathered(shares[None], orders)[0], inputs, atol=1e-12)
    dout, many = rng.standard_normal((2, T, orders * K)), rng.standard_normal((2, *shares.shape))
    np.testing.assert_allclose((gathered(many, orders) * dout).sum(), (many * gathered_backward(dout, orders)).sum())


def test_each_token_of_an_ngram_has_the_same_part():
    pair = np.zeros((3, 2))
    pair[2, 1] = 6.0  # the pair that ends at the third token
    assert shared(pair, 1).sum(axis=1).tolist() == [0, 3, 3]


# ---- in a model -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bayes", ["weight", "start"])
def test_the_first_layer_reads_them_beside_the_embedding(data, bayes):
    """Text by text, with the cell of the courses."""
    trainer, _ = trained(tiny_config(data, model={"ngrams": {**FED["ngrams"], "naive_bayes": bayes}}))
    model, texts = trainer.model, trainer.work.valid
    params = model.params
    assert params["rnn0.fwd.Wx"].shape == (8 + 2, 3 * 8)
    assert {KEYS, RATIOS, SCALE} <= set(model.frozen)
    for row in range(3):
        batch = make_batch(texts, np.array([row]))
        rows = packed_endings(batch.ids, batch.packing, 2, model.keys)
        told = looked_up(rows, params[RATIOS]) / params[SCALE]
        assert told.any()
        x = np.concatenate([params["embedding.W"][batch.ids], told], axis=1)[None]
        h, _ = gru_forward(x, np.zeros((1, 8), np.float32), *(params[f"rnn0.fwd.{name}"] for name in ("Wx", "Wh", "b")))
        expected = h[0].mean(axis=0) @ params["output.w"] + params["output.b"]
        found, _ = model.branches(model.forward(batch)[0])
        np.testing.assert_allclose(found[0], expected, rtol=1e-4, atol=1e-6)


def test_training_reads_the_ratios_of_other_texts_and_all_else_those_of_all(data):
    trainer, texts = prepared(tiny_config(data, model=FED))
    train, valid, model = trainer.work.train, trainer.work.valid, trainer.model
    assert texts.train.inputs is None
    assert valid.inputs is None
    np.testing.assert_array_equal(model.params[SCALE], spread(train.inputs))
    batch = make_batch(train, np.arange(8))
    np.testing.assert_array_equal(batch.inputs, pack_flat(train.inputs, train.offsets[:8], batch.packing))
    part = make_part(train, np.arange(8), np.array([1, 4, 6]))
    np.testing.assert_array_equal(part.inputs, batch.inputs[part.part.rows])
    bare = EncodedTexts(train.ids, train.offsets, train.labels)
    assert not np.allclose(model.forward(batch)[0], model.forward(make_batch(bare, np.arange(8)))[0])


def test_other_processes_are_given_them(data):
    config = tiny_config(data, model=FED)
    task, (trainer, texts) = task_of(config), prepared(config)
    ready = task.ready(config, texts)
    parcel = task.pack(ready, ALONE)
    for theirs in (task.unpack(config, parcel), task.with_arrays(ready, dict(parcel.arrays))):
        np.testing.assert_array_equal(theirs.train.inputs, trainer.work.train.inputs)
        assert theirs.valid.inputs is None
    assert task.ready(config, ready) is ready  # counted once


def test_a_checkpoint_has_all_it_needs(data, tmp_path):
    config = tiny_config(data, model=FED)
    train_run(config, RunDir(tmp_path / "run"), Silent())
    loaded, (direct, _) = load_trained(tmp_path / "run" / "last.safetensors"), trained(config)
    assert (score(loaded.model, direct.work.valid) == score(direct.model, direct.work.valid)).all()


def test_the_share_is_what_part_of_the_scores_the_ngrams_have(data):
    trainer, _ = trained(tiny_config(data, model={"ngrams": {"share": 0.8}}))
    model, batch = trainer.model, make_batch(trainer.work.valid, np.arange(5))
    logits, _ = model.forward(batch)
    recurrent, sums = model.branches(logits)
    expected = 0.2 * recurrent + 0.8 * np.concatenate([0 * sums, sums], axis=1)
    np.testing.assert_allclose(model.class_scores(logits), expected, rtol=1e-5)
    dscores = np.random.default_rng(1).standard_normal(expected.shape)
    first, second = model.combined_backward(dscores)
    np.testing.assert_allclose(first, 0.2 * dscores)
    np.testing.assert_allclose(second, 0.8 * dscores[:, 1:])
    half, _ = prepared(tiny_config(data, model={"ngrams": {}}))
    scores = half.model.combined(recurrent, sums)
    both = recurrent + np.concatenate([0 * sums, sums], axis=1)
    np.testing.assert_array_equal(scores, both * np.float32(0.5))  # to the bit


def test_the_share_does_not_change_what_is_learned(data):
    one, other = (trained(tiny_config(data, model={"ngrams": {"share": share}}))[0] for share in (0.5, 0.9))
    assert all((other.model.params[name] == array).all() for name, array in one.model.params.items())


# ---- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ngrams", "said"),
    [
        ({"inputs": True, "naive_bayes": "none"}, "inputs: needs the ratios; give naive_bayes: weight or start"),
        ({"share": 0.7, "loss": "joint"}, "share: 0.7 has no effect with loss joint, .*; give loss: own"),
        ({"share": 1.0}, "share: 1.0 is .*below 1"),
        ({"share": 0}, "share: 0 is .*above 0"),
    ],
)
def test_what_has_no_effect_is_refused(ngrams, said):
    values = {"data": {"train": {"format": "csv", "path": "a.csv"}}, "model": {"ngrams": ngrams}}
    with pytest.raises(ConfigError, match=f"model.ngrams.{said}"):
        parse_config(values, "c")


def test_the_defaults_of_a_joint_loss_are_allowed_as_a_run_writes_them():
    values = {"data": {"train": {"format": "csv", "path": "a.csv"}}, "model": {"ngrams": {"loss": "joint"}}}
    written = parse_config(values, "c").model_dump(mode="json")
    assert parse_config(written, "c").model.ngrams.share == 0.5


# ---- starting from another run --------------------------------------------------------------------------------------


def started(data, tmp_path, theirs, ours, other=None):
    config = tiny_config(data, model=theirs)
    train_run(config, RunDir(tmp_path / "first"), Silent())
    source = load_trained(tmp_path / "first" / "last.safetensors")
    config = tiny_config(other or data, model=ours)
    trainer, texts = prepared(config)
    fresh = {name: array.copy() for name, array in trainer.model.params.items()}
    task_of(config).take_weights(config, trainer.model, texts, source, "first")
    return source.model.params, trainer.model.params, fresh


def test_layers_that_read_them_start_from_layers_that_do(data, tmp_path):
    theirs, ours, fresh = started(data, tmp_path, FED, FED, write_csv(tmp_path / "more.csv", repeats=5))
    np.testing.assert_array_equal(ours["rnn0.fwd.Wx"], theirs["rnn0.fwd.Wx"])
    np.testing.assert_array_equal(ours[SCALE], fresh[SCALE])
    np.testing.assert_array_equal(ours[RATIOS], fresh[RATIOS])


@pytest.mark.parametrize(
    ("theirs", "ours", "said"),
    [
        (FED, {"ngrams": {"orders": 2}}, "layers of first read the ratios of n-grams, unlike .*inputs: true"),
        ({"ngrams": {"orders": 2}}, FED, "layers of first do not read the ratios of n-grams, unlike .*inputs: false"),
        ({}, FED, "layers of first do not read the ratios of n-grams, unlike .*inputs: false"),
        (FED, {"ngrams": {"inputs": True}}, "layers of first read .* of up to 2 tokens, .* model.ngrams.orders: 2"),
    ],
)
def test_layers_that_read_them_are_not_those_that_do_not(data, tmp_path, theirs, ours, said):
    with pytest.raises(ConfigError, match=f"init_from: the {said}"):
        started(data, tmp_path, theirs, ours)


def test_what_tells_other_labels_apart_is_not_taken_over(data, tmp_path):
    other = tmp_path / "other.csv"
    other.write_text(data.read_text().replace(",pos", ",up"))
    with pytest.raises(ConfigError, match="read how n-grams tell its labels apart, and the training part has others"):
        started(data, tmp_path, FED, FED, other)
