"""gradcheck can fail: errors that people make are planted in the source, one at a time, and each must be found.

A plant replaces a snippet of a function's source and gives the running function the code compiled from that, so that
it is in force wherever the function is held: in a Cell, in another module, in a row of the table. Rows are those of
the whole command, ``rnncli gradcheck``; only the ones that concern the error are run.
"""

import inspect
import json
import textwrap
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner
from tiny_runs import tiny_values, write_config, write_csv

from rnncli import embedded, language_models, ngrams, packing, pooled, stacks
from rnncli.cli.gradcheck import command
from rnncli.data.language import steps
from rnncli.gradcheck import check_names, run_checks
from rnncli.language_models import LanguageModel
from rnncli.layers import (
    activations,
    affine,
    attention,
    bags,
    dropout,
    dropping,
    embedding,
    gru,
    losses,
    lstm,
    output,
    penalties,
    pooling,
    recurrent,
    rnn,
    sampled,
    sequence,
)
from rnncli.models import Model
from rnncli.taggers import Tagger
from rnncli.wide_models import WideModel


class Edit(NamedTuple):
    function: Callable[..., Any]
    old: str
    new: str


class Plant(NamedTuple):
    what: str
    edits: tuple[Edit, ...]
    rows: tuple[str, ...]
    inputs: tuple[str, ...] = ()  # inputs that must be among those that fail


def apply(monkeypatch: pytest.MonkeyPatch, edits: Iterable[Edit]) -> None:
    """Replace the one occurrence of each snippet in its function's source, for the duration of a test."""
    sources: dict[Any, str] = {}
    for function, old, new in edits:
        source = sources.get(function) or textwrap.dedent(inspect.getsource(function))
        assert source.count(old) == 1, f"{old!r} occurs {source.count(old)} times in {function.__qualname__}"
        sources[function] = source.replace(old, new)
    for function, source in sources.items():
        names = dict(function.__globals__)
        exec(compile(source, inspect.getfile(function), "exec"), names)
        edited = names[function.__name__]
        edited = edited.fget if isinstance(edited, property) else edited
        monkeypatch.setattr(function, "__code__", edited.__code__)


def edit(monkeypatch: pytest.MonkeyPatch, function: Any, old: str, new: str) -> None:
    apply(monkeypatch, [Edit(function, old, new)])


def plant(what: str, function: Any, old: str, new: str, *rows: str, inputs: str = "") -> Plant:
    function = function.fget if isinstance(function, property) else function
    return Plant(what, (Edit(function, old, new),), rows, tuple(inputs.split()))


RNN, LSTM, GRU, AFTER = "rnn: sequence", "lstm: sequence", "gru: sequence", "gru reset after: sequence"
BHN = "gru reset after, bhn: sequence"
RAGGED_LSTM = "lstm: sequence, ragged, initial states"
PACKED_LSTM = "lstm: packed, distinct tokens, final states"
MODEL = "model: lstm, 1 layer, dropout, weights"
BI_MODEL = "model: lstm, 1 layer, bidirectional, dropout, weights"
DEEP_MODEL = "model: lstm, 2 layers, dropout, weights"
WIDE_MODEL = "model: n-grams, naive Bayes weight, own loss, softmax"
FED_MODEL = "model: n-grams as inputs, naive Bayes weight, binary"
SAME = ": same by other ways"
CARRIED = "language model: lstm, carried state"
DOCUMENTS = "language model: lstm, two sizes, every dropout, documents"
BLOCKS = "output layer, in blocks, tied"

PLANTS = [
    # ---- the simple cell
    plant("tanh derivative missing", rnn._step_backward, "np.subtract(ONE, tmp, out=tmp)", "tmp.fill(1)", RNN),
    plant("Wh not transposed", rnn._prepare_backward, "Wh.T", "Wh", RNN, "rnn: step"),
    plant("no gradient through time", rnn._step_backward, "multiply(da, WhT, out=dprev_h)", "dprev_h.fill(0)", RNN),
    plant(
        "h of the wrong step in dWh",
        rnn._weight_grads,
        "prev_h.T",
        "np.roll(prev_h, 1, axis=0).T",
        RNN,
        inputs="Wh",
    ),
    plant(
        "bias added after the tanh",
        rnn._step,
        "np.tanh(next_h, out=next_h)",
        "next_h[...] = np.tanh(next_h) + x[0]",
        RNN,
    ),
    # ---- LSTM
    plant(
        "forget gate's gradient from the new c",
        lstm._step_backward,
        "np.subtract(next_c, left[0], out=left[1])",
        "np.multiply(f, next_c, out=left[1])",
        RAGGED_LSTM,
        inputs="Wx Wh b",
    ),
    plant(
        "output gate's slope missing",
        lstm._step_backward,
        "right[3] = dc",
        "right[3] = dc; right[2] = 1",
        LSTM,
        "lstm: step",
    ),
    plant("dc not multiplied by f", lstm._step_backward, "np.multiply(dc, f, out=dc)", "pass", LSTM, RAGGED_LSTM),
    plant(
        "candidate's tanh derivative missing",
        lstm._step_backward,
        "np.subtract(i, left[3], out=left[3])",
        "left[3] = i",
        LSTM,
    ),
    plant("derivative of tanh(c) missing", lstm._step_backward, "np.subtract(o, tmp, out=tmp)", "tmp[...] = o", LSTM),
    plant(
        "input gate's gradient from itself",
        lstm._step_backward,
        "np.multiply(dc, left[:2], out=left[:2])",
        "left[0] = i * i; np.multiply(dc, left[:2], out=left[:2])",
        LSTM,
    ),
    plant(
        "output gate's gradient from c, not tanh(c)",
        lstm._step_backward,
        "np.multiply(dh, next_h, out=left[2])",
        "np.multiply(dh, o * next_c, out=left[2])",
        LSTM,
    ),
    plant("dc of later steps lost", lstm._step_backward, "np.add(dc, tmp, out=dc)", "dc[...] = tmp", LSTM),
    plant(
        "c not carried forward", lstm._step, "np.multiply(f, c, out=next_c)", "np.multiply(f, 0 * c, out=next_c)", LSTM
    ),
    plant("sigmoid without its half", lstm._step, "np.add(i_f_o, HALF, out=i_f_o)", "pass", LSTM),
    plant(
        "dc0 is dc of the end",
        lstm.lstm_backward,
        "(dx, dh0, dWx, dWh, db, dc0)",
        "(dx, dh0, dWx, dWh, db, 0 * dc0)",
        RAGGED_LSTM,
        inputs="c0",
    ),
    plant(
        "gradient of the next cell state ignored",
        lstm.lstm_step_backward,
        "dfinal_c=dnext_c",
        "dfinal_c=None",
        "lstm: step",
    ),
    Plant(
        "input and forget gate exchanged, forward and backward alike",
        (
            Edit(lstm._step, "i, f, o, g = gates", "f, i, o, g = gates"),
            Edit(lstm._step_backward, "i, f, o, g = gates", "f, i, o, g = gates"),
            Edit(lstm._step_backward, "np.multiply(i, g, out=left[0])", "np.multiply(i, g, out=left[1])"),
            Edit(lstm._step_backward, "next_c, left[0], out=left[1]", "next_c, left[1], out=left[0]"),
            Edit(lstm._step_backward, "np.multiply(left[0], g,", "np.multiply(left[1], g,"),
        ),
        ("lstm: concatenated form = split form",),
    ),
    # ---- GRU
    plant(
        "dh not passed back through the reset gate",
        gru._step_backward_before,
        "np.add(drh, dh, out=dh)",
        "pass",
        GRU,
        "gru: step",
        inputs="prev_h",
    ),
    plant(
        "z where 1 - z belongs, backward",
        gru._update_and_candidate,
        "np.multiply(dn, slope[1], out=dn)",
        "np.multiply(dn, z, out=dn)",
        GRU,
        AFTER,
    ),
    plant(
        "z and 1 - z exchanged, forward",
        gru._mix,
        "np.add(n, tmp, out=next_h)",
        "np.subtract(h, tmp, out=next_h)",
        GRU,
    ),
    Plant(
        "z and 1 - z exchanged, forward and backward alike",
        (
            Edit(gru._mix, "np.add(n, tmp, out=next_h)", "np.subtract(h, tmp, out=next_h)"),
            Edit(gru._update_and_candidate, "np.multiply(dz, slope[1], out=dz)", "np.multiply(dz, -z, out=dz)"),
            Edit(gru._update_and_candidate, "np.multiply(dn, slope[1], out=dn)", "np.multiply(dn, z, out=dn)"),
            Edit(gru._step_backward_before, "np.multiply(dh, z, out=dh)", "np.multiply(dh, 1 - z, out=dh)"),
        ),
        ("gru: concatenated form = split form",),
    ),
    plant("z * dh missing", gru._step_backward_before, "np.multiply(dh, z, out=dh)", "dh.fill(0)", GRU),
    plant(
        "reset gate's gradient from r * h",
        gru._step_backward_before,
        "np.multiply(drh, rh, out=dr)",
        "np.multiply(drh, rh * r, out=dr)",
        GRU,
    ),
    plant("n's tanh derivative missing", gru._update_and_candidate, "np.subtract(ONE, dn, out=dn)", "dn.fill(1)", GRU),
    plant(
        "update gate's slope missing",
        gru._update_and_candidate,
        "np.multiply(dz, slope[1], out=dz)",
        "np.divide(dz, z, out=dz)",
        GRU,
    ),
    plant("dWhn from h, not r * h", gru._weight_grads_before, "rh.T", "prev_h.T", GRU, inputs="Wh"),
    plant(
        "after: reset gate's gradient from h",
        gru._step_backward_after,
        "np.multiply(slope[0], q, out=dr)",
        "np.multiply(slope[0], next_h, out=dr)",
        AFTER,
    ),
    plant(
        "after: r missing on the way back",
        gru._step_backward_after,
        "np.multiply(dn, r, out=dq)",
        "dq[...] = dn",
        AFTER,
    ),
    plant("after: dWhn without r", gru._weight_grads_after, "prev_h.T, dq", "prev_h.T, da[:, 2 * H :]", AFTER),
    plant("bhn's gradient missing", gru._weight_grads_after, "dq.sum(axis=0)", "0 * dq[0]", BHN, inputs="bhn"),
    plant(
        "bhn's gradient is bn's",
        gru._weight_grads_after,
        "dq.sum(axis=0)",
        "da[:, 2 * H :].sum(axis=0)",
        BHN,
        inputs="bhn",
    ),
    # ---- the loop
    plant(
        "Wx not transposed",
        recurrent.recurrent_backward,
        "dprojected @ Wx.T",
        "dprojected @ Wx",
        "rnn: sequence, square Wx",
        inputs="x",
    ),
    plant(
        "bias gradient summed over the wrong axis",
        recurrent.recurrent_backward,
        "dprojected.sum(axis=0)",
        "dprojected.sum(axis=1)",
        RNN,
        LSTM,
        GRU,
        inputs="b",
    ),
    plant(
        "bias gradient a mean",
        recurrent.recurrent_backward,
        "dprojected.sum(axis=0)",
        "dprojected.mean(axis=0)",
        RNN,
        inputs="b",
    ),
    plant(
        "h0's gradient dropped",
        recurrent.recurrent_backward,
        "Wx.T, dstate,",
        "Wx.T, 0 * dstate,",
        RNN,
        inputs="h0",
    ),
    plant(
        "final h's gradient ignored",
        recurrent.recurrent_backward,
        "dfinal_h.astype(dtype)",
        "np.zeros((N, H), dtype)",
        PACKED_LSTM,
    ),
    plant(
        "final c's gradient ignored",
        recurrent.recurrent_backward,
        "dfinal_c.astype(dtype)",
        "np.zeros((N, H), dtype)",
        PACKED_LSTM,
    ),
    plant(
        "gradient of h overwritten, not added to",
        recurrent.recurrent_backward,
        "np.add(dh[start:end], dstate_t, out=dh_t)",
        "dh_t[...] = dh[start:end]",
        RNN,
    ),
    plant(
        "reverse direction's gradient run forward",
        recurrent.recurrent_backward,
        "reverse=not cache.reverse",
        "reverse=True",
        "rnn: sequence, ragged, initial states, reverse",
    ),
    Plant(
        "reverse direction run forward, both ways alike",
        (
            Edit(
                recurrent.recurrent_forward,
                "steps = list(packing.steps(reverse=reverse))",
                "reverse = False; steps = list(packing.steps())",
            ),
        ),
        ("lstm: reverse = forward on reversed sequences", BI_MODEL + SAME),
    ),
    plant(
        "sigmoid's halves applied twice",
        recurrent.gate_scale,
        "= 0.5",
        "= 0.25",
        LSTM,
        GRU,
        "lstm: concatenated form = split form",
    ),
    plant(
        "initial states not read",
        recurrent.recurrent_forward,
        "h0.astype(dtype)",
        "np.zeros_like(h0)",
        "rnn: sequence, ragged, initial states",
        "rnn: concatenated form = split form",
    ),
    plant(
        "distinct tokens of the wrong rows",
        recurrent.recurrent_forward,
        "index[low:high]",
        "np.roll(index[low:high], 1)",
        PACKED_LSTM,
        "lstm: distinct tokens = looked-up rows",
    ),
    plant(
        "scoring does not move the state",
        recurrent.recurrent_forward,
        "h_prev = carry(h_t, h0, n, h_buffer)",
        "h_prev = carry(h_t if keep else h0, h0, n, h_buffer)",
        "gru: scoring = training forward",
    ),
    plant(
        "sequences that begin later, in reverse, begin at zero",
        recurrent.carry,
        "initial[m:n]",
        "0",
        "rnn: sequence, ragged, initial states, reverse",
    ),
    plant(
        "dWh from the rows of a step of another size",
        recurrent.states_before,
        "h[start - earlier : start - earlier + n]",
        "h[start - n : start]",
        RAGGED_LSTM,
        inputs="Wh",
    ),
    plant(
        "dWh without the initial states, in reverse",
        recurrent.states_before,
        "h0[m:n]",
        "0",
        "rnn: sequence, ragged, initial states, reverse",
        inputs="Wh",
    ),
    plant("states left in packed order", sequence._unsort, "out[order] = a", "out[...] = a", RAGGED_LSTM, inputs="h0"),
    Plant(
        "recurrent dropout of the state that a GRU carries on, both ways alike",
        (
            Edit(recurrent.recurrent_forward, "c_prev = c_prev if cell.has_cell_state else h_prev", "pass"),
            Edit(
                gru._step_backward_before,
                "np.multiply(dh, z, out=dh)",
                "np.multiply(dh, z, out=dh); dh *= 1 if mask is None else mask",
            ),
        ),
        ("gru: masked states = masked weights",),
    ),
    plant(
        "the mask of another sequence",
        recurrent.recurrent_forward,
        "state_mask[:n]",
        "state_mask[::-1][:n]",
        "lstm: masked states = masked weights",
        "rnn: packed, recurrent dropout",
    ),
    plant(
        "dWh from states that are not masked",
        recurrent.recurrent_backward,
        "prev_h *= cache.state_mask[packing.sequences]",
        "pass",
        "lstm: packed, recurrent dropout",
        "model: recurrent dropout, gru",
        inputs="Wh",
    ),
    plant(
        "recurrent dropout not undone",
        lstm._step_backward,
        "np.multiply(dprev_h, mask, out=dprev_h)",
        "pass",
        "lstm: packed, recurrent dropout",
        "model: recurrent dropout, lstm",
    ),
    plant(
        "recurrent dropout not undone at the reset gate",
        gru._step_backward_before,
        "np.multiply(drh, mask, out=drh)",
        "pass",
        "gru: packed, recurrent dropout",
    ),
    plant(
        "after: recurrent dropout not undone in the candidate",
        gru._step_backward_after,
        "np.multiply(tmp, mask, out=tmp)",
        "pass",
        "gru reset after: packed, recurrent dropout",
    ),
    # ---- the wide branch
    plant(
        "values of features forgotten going back",
        bags.bag_backward_rows,
        "dout[sequences] * values",
        "dout[sequences]",
        "bag of features, each with a value",
        WIDE_MODEL,
        inputs="W ngrams.W",
    ),
    plant(
        "every feature of the first sequence",
        bags.bag_backward_rows,
        "dout[sequences] if",
        "dout[0 * sequences] if",
        "bag of features",
        inputs="W",
    ),
    plant(
        "the sum's gradient of the other class",
        WideModel.combined_backward,
        "wide[:, 1:] if",
        "wide[:, :1] if",
        "model: n-grams, naive Bayes weight, joint loss, binary",
        inputs="ngrams.W ngrams.b",
    ),
    plant(
        "n-grams of two texts",
        ngrams._ways,
        "np.repeat(packing.sizes, packing.sizes)",
        "np.maximum(np.repeat(packing.sizes, packing.sizes) - 1, 1)",
        WIDE_MODEL + SAME,
    ),
    plant(
        "the gradient of what stands beside the embedding taken for its own",
        embedded.embed_backward,
        "dx[:, :D]",
        "dx[:, -D:]",
        FED_MODEL,
        inputs="embedding.W",
    ),
    plant(
        "ratios where an n-gram begins",
        ngrams.endings,
        "for order, found, _, last in",
        "for order, found, last, _ in",
        FED_MODEL + SAME,
    ),
    plant(
        "an n-gram counted as often as it occurs",
        ngrams._distinct,
        "sorted_once(",
        "np.sort(",
        WIDE_MODEL + SAME,
    ),
    # ---- packing
    plant(
        "last steps dropped",
        packing.make_packing,
        "np.arange(ordered[0])",
        "np.arange(1, ordered[0] + 1)",
        "rnn: concatenated form = split form",
        "packing: unpacked = packed, zero beyond each length",
    ),
    plant(
        "one step too many",
        packing.make_packing,
        'side="right"',
        'side="left"',
        "rnn: each sequence alone = ragged batch",
    ),
    plant(
        "unpacked in packed order",
        packing.unpack,
        "x[packing.order[packing.sequences], packing.times] = rows",
        "x[packing.sequences, packing.times] = rows",
        RAGGED_LSTM,
        "packing: unpacked = packed, zero beyond each length",
    ),
    plant(
        "shared row counted twice",
        packing.sum_by_group,
        "range(1, LARGE_GROUP)",
        "range(LARGE_GROUP)",
        "embedding, frequent and absent tokens",
        PACKED_LSTM,
        MODEL,
    ),
    plant(
        "shared rows not added up",
        packing.sum_by_group,
        "out[large:end] += ",
        "out[large:end] = ",
        "embedding, frequent and absent tokens",
        MODEL,
    ),
    plant(
        "large groups cut at LARGE_GROUP",
        packing.sum_by_group,
        "for k in range(1, LARGE_GROUP)",
        "large = 0\n    for k in range(1, LARGE_GROUP)",
        "embedding, frequent and absent tokens",
    ),
    plant(
        "groups of exactly LARGE_GROUP cut by one",
        packing.sum_by_group,
        "range(1, LARGE_GROUP)",
        "range(1, LARGE_GROUP - 1)",
        "embedding, frequent and absent tokens",
    ),
    # ---- embedding, affine, dropout
    plant(
        "a token's last row alone counted",
        embedding.word_embedding_backward,
        "dW[groups.values] = sum_by_group(dout.reshape(-1, shape[1]), groups)",
        "dW[x.reshape(-1)] = dout.reshape(-1, shape[1])",
        "embedding, frequent and absent tokens",
    ),
    plant("affine bias averaged", affine.affine_backward, "dout.sum", "dout.mean", "affine", "temporal affine"),
    plant("affine weights averaged", affine.affine_backward, "x.T @ dout", "x.T @ dout / len(x)", "affine"),
    plant("dropout backward without the mask", dropout.dropout_backward, "dout * cache", "dout + 0", MODEL),
    plant(
        "dropout backward scaled twice",
        dropout.dropout_backward,
        "dout * cache",
        "dout * cache * cache.max()",
        "dropout, mask fixed",
        DEEP_MODEL,
    ),
    plant(
        "dropout mask not scaled",
        dropout.dropout_mask,
        "np.multiply(keep, 1 / (1 - rate)",
        "np.multiply(keep, 1.0",
        "dropout: kept elements divided by 1 - rate",
    ),
    # ---- pooling
    plant(
        "mean pooling's gradient divided by T",
        pooling.mean_pooling_backward,
        "packing.lengths[:, None].astype(dout.dtype)",
        "len(packing.sizes)",
        "pooling, ragged: mean",
        MODEL,
    ),
    Plant(
        "mean pooling divided by T, both ways alike",
        (
            Edit(pooling.mean_pooling_forward, "packing.lengths[:, None].astype(h.dtype)", "len(packing.sizes)"),
            Edit(pooling.mean_pooling_backward, "packing.lengths[:, None].astype(dout.dtype)", "len(packing.sizes)"),
        ),
        ("pooling: packed = each sequence alone", MODEL + SAME),
    ),
    plant(
        "max pooling's gradient to every unit of a row",
        pooling.max_pooling_backward,
        "dh[row, np.arange(shape[1])] = dout",
        "dh[row.ravel()] = np.repeat(dout, shape[1], axis=0)",
        "pooling, ragged: max",
    ),
    plant(
        "max pooling takes the least",
        pooling.max_pooling_forward,
        "h[start:end] > out[:n]",
        "h[start:end] < out[:n]",
        "pooling: packed = each sequence alone",
    ),
    plant(
        "last pooling takes the longest text's last step",
        packing.Packing.last_rows,
        "self.lengths - 1",
        "len(self.sizes) - 1 + 0 * self.lengths",
        "pooling: packed = each sequence alone",
        "model: lstm, last pooling, softmax loss",
    ),
    plant(
        "last pooling of a reverse layer takes the last step",
        pooling.last_pooling_forward,
        "np.arange(len(packing.order)) if reverse else packing.last_rows",
        "packing.last_rows",
        "pooling: packed = each sequence alone",
        "model: lstm, bidirectional, last pooling, softmax loss" + SAME,
    ),
    plant(
        "attention's gradient without the softmax",
        attention.attention_pooling_backward,
        "dscores = weights * (dweights - _sums(weights * dweights, sequences)[sequences])",
        "dscores = weights * dweights",
        "pooling, ragged: attention",
        "model: lstm, attention pooling, softmax loss",
        inputs="w",
    ),
    plant(
        "attention's weights taken as given",
        attention.attention_pooling_backward,
        "dh += dscores[:, None] * w",
        "pass",
        "pooling, ragged: attention",
        inputs="h",
    ),
    Plant(
        "attention over the batch, not the text, both ways alike",
        (
            Edit(
                attention._sums,
                "np.bincount(sequences, x).astype(x.dtype)",
                "np.full(sequences.max() + 1, x.sum(), x.dtype)",
            ),
        ),
        ("pooling: packed = each sequence alone", "model: lstm, attention pooling, softmax loss" + SAME),
    ),
    plant(
        "poolings side by side, gradients of the last alone",
        pooled.pool_backward,
        "dh if total is None else np.add(total, dh, out=total)",
        "dh",
        "model: lstm, attention and last pooling, softmax loss",
    ),
    plant(
        "poolings side by side in another order on the way back",
        pooled.pool_backward,
        "np.split(dpooled, len(names), axis=1), caches",
        "np.split(dpooled, len(names), axis=1)[::-1], caches",
        "model: lstm, bidirectional, max and mean and attention pooling, binary loss",
    ),
    # ---- penalties
    plant(
        "the penalty's gradient without its two",
        penalties.activation_penalty_backward,
        "2 * dout",
        "dout",
        "activation penalty",
        "model: activation penalty",
    ),
    plant(
        "a state's change felt by the later state alone",
        penalties.slowness_penalty_backward,
        "dh[start - back : end - back] -= dchange[start - first : end - first]",
        "pass",
        "slowness penalty, ragged",
        "model: slowness penalty",
    ),
    plant(
        "a change from the row above, of another sequence",
        penalties._stretches,
        "int(sizes[start - 1])",
        "1",
        "penalties: packed = written out",
    ),
    plant(
        "penalties of a part over its own rows",
        penalties.activation_penalty_backward,
        "2 * dout / count",
        "2 * dout / h.size",
        "activation penalty, a part of a batch",
    ),
    plant(
        "a penalty in the loss that has no gradient",
        Model.backward,
        "dh if more is None else np.add(dh, more, out=dh)",
        "dh",
        "model: activation penalty",
        "model: slowness penalty",
    ),
    # ---- losses
    plant(
        "softmax gradient without the one-hot",
        losses.softmax_loss,
        "dx[picked] -= 1 - smoothing",
        "pass",
        "softmax loss",
    ),
    plant(
        "smoothed labels add up to more than 1",
        losses.softmax_loss,
        "dx[picked] -= 1 - smoothing",
        "dx[picked] -= 1",
        "softmax loss, smoothed, weighted",
    ),
    plant(
        "smoothing spread over the other classes alone",
        losses.softmax_loss,
        "smoothing / x.shape[1]",
        "smoothing / (x.shape[1] - 1)",
        "softmax loss, smoothed, weighted",
    ),
    plant(
        "smoothed loss of the true class twice",
        losses.softmax_loss,
        "(1 - smoothing) * rows",
        "rows",
        "softmax loss, smoothed, weighted",
        "losses: stable form = written out",
    ),
    plant(
        "a binary label smoothed towards 1",
        losses.binary_loss,
        "smoothing / 2",
        "smoothing",
        "losses: stable form = written out",
    ),
    plant(
        "smoothing forgotten in the output layer's gradient",
        output.affine_softmax_loss,
        "scores -= smoothing / V",
        "pass",
        "output layer, smoothed",
    ),
    plant(
        "smoothing forgotten in the output layer's loss",
        output._to_probabilities,
        "smoothing * scores.mean(axis=1)",
        "smoothing * scores.max(axis=1)",
        "output layer, smoothed",
        "losses: stable form = written out",
    ),
    plant(
        "weights ignored in the gradient",
        losses.softmax_loss,
        "dx * share[:, None]",
        "dx / len(y)",
        "softmax loss, class and row weights",
        MODEL,
    ),
    plant(
        "weighted sum divided by N",
        losses._shares,
        "w / w.sum()",
        "w / N",
        "losses: stable form = written out",
        MODEL + SAME,
    ),
    plant(
        "binary loss's sign",
        losses.binary_loss,
        "sigmoid(z) - y_float",
        "y_float - sigmoid(z)",
        "binary loss",
        "model: lstm, mean pooling, binary loss",
    ),
    plant(
        "temporal gradient not divided",
        losses.masked_softmax_loss,
        "dmean * np.asarray(scale, x.dtype)",
        "dmean * len(rows)",
        "temporal loss, per sequence, masked",
        "temporal loss, per token, masked",
    ),
    plant(
        "loss averaged over padding",
        losses.temporal_softmax_loss,
        'N if average == "batch" else None',
        'N if average == "batch" else N * T',
        "losses: stable form = written out",
    ),
    plant(
        "softmax over the batch",
        activations.log_softmax,
        ".sum(axis=-1, keepdims=True)",
        ".sum(axis=0, keepdims=True)",
        "softmax loss",
        "losses: stable form = written out",
    ),
    # ---- the model
    plant(
        "one direction's input gradient dropped",
        stacks.stack_backward,
        "sum(dinputs[1:], start=dinputs[0])",
        "dinputs[0]",
        BI_MODEL,
        inputs="embedding.W",
    ),
    plant(
        "sparse rows in another order than their gradients",
        embedded.embed_backward,
        "tokens = groups.values",
        "tokens = np.sort(groups.values)",
        MODEL,
        inputs="embedding.W",
    ),
    plant(
        "a sparse row named twice",
        embedded.embed_backward,
        "return tokens, undrop(sum_by_group(dx, groups) if by_row else dx, mask)",
        "return np.repeat(tokens, 2), np.repeat(undrop(dx, mask) / 2, 2, axis=0)",
        MODEL,
    ),
    plant(
        "embedding dropout not undone",
        embedded.embed_backward,
        "undrop(sum_by_group(dx, groups) if by_row else dx, mask)",
        "(sum_by_group(dx, groups) if by_row else dx)",
        MODEL,
        FED_MODEL,
        inputs="embedding.W",
    ),
    plant(
        "variational dropout of the embedding not undone",
        embedded.embed_backward,
        "undrop(dx, mask), groups",
        "dx, groups",
        "model: variational dropout",
        "language model: lstm, variational dropout",
        inputs="embedding.W",
    ),
    plant(
        "what a word is hidden as gets no gradient",
        embedded.embed_backward,
        "else dx",
        "else dx * (groups.values != 0)[:, None]",
        "model: word dropout",
        inputs="embedding.W",
    ),
    plant(
        "a token's gradient in one text alone",
        embedded.embed_backward,
        "sum_by_group(undrop(dx, mask), groups)",
        "undrop(dx, mask)[groups.rows[groups.starts]]",
        "model: variational dropout",
        inputs="embedding.W",
    ),
    plant(
        "a token's gradient at one place alone",
        embedded.embed_backward,
        "sum_by_group(dx, groups) if by_row",
        "dx[groups.rows[groups.starts]] if by_row",
        FED_MODEL,
        inputs="embedding.W",
    ),
    plant(
        "pooled dropout not undone",
        Model.backward,
        "undrop(dpooled, pooled_drop)",
        "dpooled",
        MODEL,
    ),
    plant(
        "directions exchanged in the gradient",
        stacks.stack_backward,
        "dout[:, d * H : (d + 1) * H]",
        "dout[:, dout.shape[1] - (d + 1) * H : dout.shape[1] - d * H]",
        BI_MODEL,
    ),
    plant(
        "both directions pooled at the last token",
        pooled._forward,
        "reverse=d == 1",
        "reverse=False",
        "model: lstm, bidirectional, last pooling, binary loss" + SAME,
    ),
    plant("class weights not used", Model.loss, "class_weights[y]", "None", MODEL + SAME),
    # ---- language models
    plant(
        "the state that is carried not read",
        language_models._begin,
        "state[steps.streams]",
        "np.zeros_like(state[steps.streams])",
        CARRIED + SAME,
    ),
    plant(
        "another stream's state read",
        language_models._begin,
        "state[steps.streams]",
        "state[np.arange(len(steps.streams)) % len(state)]",
        DOCUMENTS + SAME,
    ),
    plant("no reset where a document begins", language_models._begin, "out[steps.fresh] = 0", "pass", DOCUMENTS + SAME),
    plant(
        "the state of a stream's first document carried on",
        steps.make_steps,
        "np.cumsum(np.bincount(streams, minlength=N)) - 1",
        "np.searchsorted(streams, np.arange(N))",
        DOCUMENTS + SAME,
    ),
    plant(
        "tied weights without the output layer's share",
        LanguageModel.backward,
        "np.ascontiguousarray(loss.dw.T)",
        "np.zeros_like(loss.dw.T)",
        "language model: lstm, tied",
        inputs="embedding.W",
    ),
    plant(
        "tied weights without the embedding's share",
        LanguageModel.backward,
        "dW[tokens] += rows",
        "pass",
        "language model: lstm, tied",
        inputs="embedding.W",
    ),
    plant(
        "gradient of state weights that were dropped",
        dropping.undrop_state_weights,
        "own[1] * mask",
        "own[1]",
        "language model: lstm, state dropout",
        "model: state dropout, lstm",
        "tagger: lstm, 2 layers, characters, every dropout",
        inputs="rnn0.fwd.Wh rnn1.fwd.Wh",
    ),
    plant(
        "output dropout not undone",
        LanguageModel.backward,
        "undrop(loss.dx if more is None else loss.dx + more, mask)",
        "loss.dx",
        DOCUMENTS,
    ),
    plant(
        "the penalty of what the output layer gets felt by the states before dropout",
        LanguageModel.backward,
        "undrop(loss.dx if more is None else loss.dx + more, mask)",
        "undrop(loss.dx, mask) if more is None else undrop(loss.dx, mask) + more",
        "language model: lstm, penalties",
    ),
    plant(
        "changes of the states penalized without a gradient",
        LanguageModel.backward,
        "dh if more is None else dh + more",
        "dh",
        "language model: lstm, penalties",
    ),
    plant("output blocks overwrite dw", output.affine_softmax_loss, "dw += rows.T", "dw = rows.T", BLOCKS),
    plant("a block's scores not scaled", output.affine_softmax_loss, "scores *= scale", "pass", BLOCKS),
    plant(
        "what was drawn counted once, not for all it stands for",
        sampled.sampled_softmax_loss,
        ", shift=shift.astype(b.dtype)",
        "",
        "sampled softmax: of all classes = full, of some = written out",
    ),
    plant(
        "columns of other tokens for those that were scored",
        LanguageModel._output_gradients,
        "dw[:, loss.classes]",
        "dw[:, : len(loss.classes)]",
        "language model: lstm, some tokens scored",
        inputs="output.w",
    ),
    plant(
        "a token that is read and scored has one of two gradients",
        language_models._joined,
        "+= rows",
        "= rows",
        "language model: lstm, some tokens scored, tied",
        inputs="embedding.W",
    ),
    # ---- taggers
    plant(
        "words of one form not added up",
        Tagger._unspell,
        "sum_by_group(np.ascontiguousarray(dseen), words)",
        "dseen[words.rows[words.starts]]",
        "tagger: lstm, bidirectional, characters",
        "tagger: gru, bidirectional, ngrams",
    ),
    plant(
        "input dropout not undone",
        Tagger.backward,
        "undrop(dx, dropped)",
        "dx",
        "tagger: lstm, 2 layers, characters, every dropout",
    ),
    plant(
        "tags that the model lacks counted",
        losses.masked_softmax_loss,
        "count or len(rows)",
        "count or len(y)",
        "tagger: lstm, bidirectional, words alone" + SAME,
    ),
    # ---- purity
    plant(
        "backward writes into dout",
        dropout.dropout_backward,
        "return dout * cache",
        "dout *= cache; return dout",
        "dropout, mask fixed",
    ),
    plant(
        "backward writes into its cache",
        rnn._step_backward,
        "np.multiply(next_h, next_h, out=tmp)",
        "tmp = next_h; np.multiply(tmp, tmp, out=tmp)",
        RNN,
    ),
    plant(
        "forward writes into its input",
        pooling.max_pooling_forward,
        "out = h[:N].copy()",
        "out = h[:N]",
        "pooling, ragged: max",
    ),
    plant("gradient is not a number", losses.binary_loss, "sigmoid(z) -", "np.nan * sigmoid(z) -", "binary loss"),
]


def failed(rows: tuple[str, ...]) -> list[Any]:
    return [result for result in run_checks(rows) if not result.passed]


@pytest.mark.parametrize("planted", PLANTS, ids=lambda planted: planted.what.replace(" ", "-"))
def test_a_planted_error_is_found(planted, monkeypatch):
    assert set(planted.rows) <= set(check_names()), "rows of the whole command"
    apply(monkeypatch, planted.edits)
    found = failed(planted.rows)
    # Every row named finds it by itself, so none of them is there in vain.
    assert {result.name for result in found} == set(planted.rows)
    assert set(planted.inputs) <= {result.input for result in found}


def test_there_are_many_and_no_two_are_the_same():
    assert len(PLANTS) >= 60
    assert len({p.edits for p in PLANTS}) == len(PLANTS)
    assert len({p.what for p in PLANTS}) == len(PLANTS)


def test_the_rows_named_pass_when_nothing_is_planted():
    assert failed(tuple({row for planted in PLANTS for row in planted.rows})) == []


def test_a_change_that_is_none_is_not_found(monkeypatch):
    edit(monkeypatch, lstm._step_backward, "np.multiply(dc, f, out=dc)", "dc[...] = f * dc")
    edit(monkeypatch, recurrent.recurrent_backward, "dprojected.sum(axis=0)", "np.ones(len(da)) @ da")
    assert failed((LSTM, RAGGED_LSTM)) == []


def test_the_command_fails_and_names_tensor_coordinate_and_both_values(monkeypatch):
    edit(monkeypatch, rnn._weight_grads, "prev_h.T @ da", "1.001 * (prev_h.T @ da)")
    done = CliRunner().invoke(command, [])
    assert done.exit_code == 1
    lines = done.output.splitlines()
    first = next(line for line in lines if line.startswith("FAILED"))
    assert first.startswith("FAILED rnn: step: Wh[")
    analytic, numeric = (float(first.split(word)[1].split(",")[0]) for word in ("analytic ", "numeric "))
    assert analytic / numeric == pytest.approx(1.001, rel=1e-6)
    assert "FAILED" in lines[-1]
    assert sum(line.endswith("FAILED") for line in lines) > 10  # rows with an rnn, models included
    assert any(line.startswith("lstm: step ") and line.endswith("ok") for line in lines)


def test_the_command_on_a_config_fails_likewise(monkeypatch, workdir):
    config = write_config(workdir / "c.yaml", tiny_values(write_csv(workdir / "t.csv")))
    edit(monkeypatch, gru._step_backward_before, "np.multiply(drh, rh, out=dr)", "np.multiply(drh, rh * r, out=dr)")
    done = CliRunner().invoke(command, [str(config), "--json"])
    assert done.exit_code == 1
    report = json.loads(done.output)
    assert report["passed"] is False
    bad = [result for result in report["results"] if not result["passed"]]
    assert {result["input"] for result in bad} >= {"rnn0.fwd.Wx", "rnn0.fwd.Wh", "rnn0.fwd.b"}
    for result in bad:
        assert result["worst"]["analytic"] != pytest.approx(result["worst"]["numeric"], rel=1e-6)
        assert result["worst"]["coordinate"]
