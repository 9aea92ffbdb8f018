"""The gradient checks: differences, rows, the command. That they can fail is in test_planted_errors.py."""

import copy
import dataclasses
import json
import math
import sys
from types import CodeType
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from tiny_runs import tiny_values, write_config, write_csv

import rnncli.layers
from rnncli.cli.gradcheck import command
from rnncli.data.dataset import EncodedTexts
from rnncli.gradcheck import ALL_CHECKS, check_names, run_checks
from rnncli.gradcheck.checks import Case, GradientCheck, IdentityCheck, run_check
from rnncli.gradcheck.configured import LENGTHS, short_texts
from rnncli.gradcheck.numeric import (
    RESOLUTION,
    SMALLER_STEPS,
    STEP,
    central_difference,
    compare,
    relative_error,
    sample_coordinates,
)

GRADIENTS = [check for check in ALL_CHECKS if isinstance(check, GradientCheck)]


# ---- differences ----------------------------------------------------------------------------------------------------


def test_the_difference_is_exact_up_to_the_fourth_power():
    x = np.array([[0.5, -1.5]])
    for power, slope in enumerate([0.0, 1.0, -3.0, 6.75, -13.5]):  # of w ** power at -1.5
        n = central_difference(lambda power=power: [x**power], x, (0, 1), [np.ones((1, 2))], step=0.25)
        assert n == pytest.approx(slope, abs=1e-13)
    fifth = central_difference(lambda: [x**5], x, (0, 1), [np.ones((1, 2))], step=0.25)
    assert fifth != pytest.approx(5 * 1.5**4, rel=1e-4)


def test_outputs_count_as_the_douts_say():
    x = np.array([2.0, 3.0])
    n = central_difference(lambda: [x * x, x[:1]], x, (0,), [np.array([10.0, 1.0]), np.array([-5.0])])
    assert n == pytest.approx(10 * 4 - 5)


def test_x_is_put_back_even_when_the_function_raises():
    x = np.array([1 / 3, 2.0])
    before = x.copy()
    central_difference(lambda: [x], x, (0,), [np.ones(2)])
    np.testing.assert_array_equal(x, before)
    with pytest.raises(ZeroDivisionError):
        central_difference(lambda: 1 / 0, x, (0,), [np.ones(2)])
    np.testing.assert_array_equal(x, before)


def test_relative_error_has_a_floor_that_follows_the_step():
    assert relative_error(1.0, 1.0) == 0
    assert relative_error(1.0, 3.0) == 0.5
    assert relative_error(1.0, -1.0) == 1
    assert relative_error(0.0, 0.0) == 0
    assert relative_error(1e-9, 0.0) == pytest.approx(1e-9 / (RESOLUTION / STEP))
    assert relative_error(1e-9, 0.0, step=1e-6) == pytest.approx(1e-9 / (RESOLUTION / 1e-6))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_never_right(bad):
    assert relative_error(bad, 1.0) == math.inf
    assert relative_error(1.0, bad) == math.inf
    assert relative_error(bad, bad) == math.inf


@pytest.mark.parametrize("distance", [STEP / 3, 3 * SMALLER_STEPS[0], 3 * SMALLER_STEPS[1]])
def test_a_kink_within_a_step_is_got_away_from(distance):
    x = np.array([distance])

    def error(slope: float) -> float:
        return compare(lambda: [np.abs(x)], x, lambda _: slope, [(0,)], [np.ones(1)])[0].error

    assert error(1.0) < 1e-6
    for wrong in (-1.0, 0.0, 0.5, 1.00001, 0.99999):  # smaller steps do not excuse a wrong one
        assert error(wrong) > 1e-6


@given(st.lists(st.integers(0, 7), max_size=3).map(tuple), st.integers(1, 30), st.integers(0, 2**32))
def test_sampled_coordinates_cover_the_array(shape, limit, seed):
    size = math.prod(shape)
    coordinates = sample_coordinates(shape, np.random.default_rng(seed), limit)
    assert len(coordinates) == len(set(coordinates)) == min(size, limit)
    flat = [int(np.ravel_multi_index(c, shape)) if shape else 0 for c in coordinates]
    assert all(type(i) is int for c in coordinates for i in c)
    if size > limit:  # one of each equal stretch
        assert all(math.floor(k * size / limit) <= f <= math.ceil((k + 1) * size / limit) for k, f in enumerate(flat))


# ---- carrying out a row ---------------------------------------------------------------------------------------------


def square_case(**changes: Any) -> Case:
    def forward(inputs):
        return [inputs["x"] ** 2], inputs["x"].copy()

    case = Case({"x": np.array([0.5, -2.0, 3.0])}, forward, lambda douts, cache: {"x": 2 * cache * douts[0]})
    return dataclasses.replace(case, **changes)


def outcome(case: Case, **keywords: Any) -> list[Any]:
    return run_check(GradientCheck("row", lambda _: case, **keywords), seed=1, tolerance=1e-6)


def test_a_right_gradient_passes():
    (result,) = outcome(square_case())
    assert result.passed
    assert (result.kind, result.name, result.input, result.coordinates) == ("gradient", "row", "x", 3)
    assert result.error == result.worst.error < 1e-9


def test_the_worst_coordinate_is_named_with_both_values():
    factors = np.array([1, 1.5, 1.001])
    (result,) = outcome(square_case(backward=lambda douts, cache: {"x": 2 * cache * douts[0] * factors}))
    assert not result.passed
    assert result.worst.coordinate == (1,)
    assert result.worst.analytic / result.worst.numeric == pytest.approx(1.5)
    assert result.error == pytest.approx(0.2)


def _used_up(douts, cache):
    cache *= 2
    return {"x": cache * douts[0]}


def _in_place(douts, cache):
    douts[0] *= 2 * cache
    return {"x": douts[0]}


@pytest.mark.parametrize(
    ("backward", "problem"),
    [
        (lambda douts, cache: {}, "the gradient is missing"),
        (lambda douts, cache: {"x": (2 * cache * douts[0])[:, None]}, r"has shape (3, 1), the input (3,)"),
        (lambda douts, cache: {"x": 1 / 0}, "raised ZeroDivisionError"),
        (_used_up, "a second backward pass"),
        (_in_place, "wrote into its argument"),
    ],
)
def test_other_ways_to_be_wrong_are_failures_too(backward, problem):
    (result,) = outcome(square_case(backward=backward))
    assert not result.passed
    assert problem in result.problem
    assert result.error == math.inf
    assert result.worst is None


def test_a_forward_pass_that_changes_its_input_fails():
    def forward(inputs):
        inputs["x"] *= 1
        inputs["x"][0] += 1
        return [inputs["x"] ** 2], inputs["x"].copy()

    (result,) = outcome(square_case(forward=forward))
    assert result.problem == "an input was written to"


def test_a_gradient_that_is_not_a_number_fails():
    (result,) = outcome(square_case(backward=lambda douts, cache: {"x": np.nan * cache}))
    assert not result.passed
    assert result.error == math.inf


def table_case(wrong: float = 0.0, unused: float = 0.0) -> Case:
    """A table of 1000 rows of which two are read."""
    rows = np.array([3, 700])

    def backward(douts, cache):
        dW = np.full((1000, 4), unused)
        dW[rows] = douts[0] + wrong
        return {"W": dW}

    return Case({"W": np.ones((1000, 4))}, lambda inputs: ([inputs["W"][rows]], None), backward, {"W": rows})


def test_of_a_sparse_input_used_rows_are_checked_and_unused_ones_must_be_zero():
    (result,) = outcome(table_case())
    assert result.passed
    assert result.coordinates == 8 + 4
    assert outcome(table_case(wrong=0.01))[0].worst.coordinate[0] in (3, 700)
    assert outcome(table_case(unused=0.01))[0].worst.coordinate[0] not in (3, 700)


def test_identities_compare_values_shapes_and_finiteness():
    def pairs(_):
        yield "same", np.ones(3), np.ones(3)
        yield "scalar", 2.0, 2.0 + 1e-9
        yield "other", np.array([1.0, 2.0]), np.array([1.0, 2.5])
        yield "shape", np.ones(3), np.ones((3, 1))
        yield "nan", np.array([1.0, np.nan]), np.array([1.0, np.nan])

    results = {r.input: r for r in run_check(IdentityCheck("row", pairs), seed=1, tolerance=1e-6)}
    assert [name for name, result in results.items() if result.passed] == ["same"]
    assert results["other"].worst[:3] == ((1,), 2.0, 2.5)
    assert results["scalar"].worst.coordinate == ()
    assert "shape (3,), the other (3, 1)" in results["shape"].problem


# ---- the table ------------------------------------------------------------------------------------------------------


def test_rows_have_names_of_their_own():
    names = check_names()
    assert len(set(names)) == len(names) == len(ALL_CHECKS)


def test_only_known_rows_can_be_asked_for():
    assert {result.name for result in run_checks(["rnn: step", "affine"])} == {"rnn: step", "affine"}
    with pytest.raises(ValueError, match="no rows called rnn: stpe"):
        run_checks(["rnn: stpe"])


def test_a_row_does_not_depend_on_the_others_but_on_the_seed():
    alone = run_checks(["lstm: step"])
    assert [r for r in run_checks(["rnn: step", "lstm: step"]) if r.name == "lstm: step"] == alone
    assert run_checks(["lstm: step"], seed=2) != alone


def called_code(action) -> set[CodeType]:
    codes: set[CodeType] = set()
    before = sys.getprofile()
    sys.setprofile(lambda frame, event, _: codes.add(frame.f_code) if event == "call" else None)
    try:
        action()
    finally:
        sys.setprofile(before)
    return codes


def test_every_backward_function_and_every_loss_has_a_row():
    functions = {
        name: getattr(rnncli.layers, name)
        for name in rnncli.layers.__all__
        if name.endswith(("_backward", "_forward", "_loss"))
    }
    assert len(functions) > 25
    quick = [dataclasses.replace(check, limit=1) for check in GRADIENTS if not check.name.startswith("model")]
    called = called_code(lambda: run_checks(checks=quick))
    assert [name for name, function in functions.items() if function.__code__ not in called] == []


CELLS = ("rnn", "lstm", "gru", "gru reset after, bhn")
COMPOSITIONS = (
    "step",
    "sequence",
    "sequence, ragged",
    "sequence, ragged, initial states",
    "sequence, ragged, initial states, reverse",
    "packed, distinct tokens, final states",
    "two layers",
    "bidirectional",
    "two layers, bidirectional",
    "concatenated form = split form",
    "step by step = sequence",
    "each sequence alone = ragged batch",
)


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_has_every_composition(cell):
    assert {f"{cell}: {what}" for what in COMPOSITIONS} <= set(check_names())


@pytest.mark.parametrize("seed", [2])
def test_all_rows_pass_with_other_numbers(seed):
    checks = [dataclasses.replace(c, limit=2) if isinstance(c, GradientCheck) else c for c in ALL_CHECKS]
    assert [result for result in run_checks(checks=checks, seed=seed) if not result.passed] == []


def same(a: Any, b: Any) -> bool:
    """Compare caches: arrays by their bits, containers and data classes by what is in them."""
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if dataclasses.is_dataclass(a):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a is b or bool(a == b)


@pytest.mark.parametrize("check", GRADIENTS, ids=lambda check: check.name)
def test_backward_changes_neither_dout_nor_cache_and_repeats_itself(check):
    rng = np.random.default_rng(4)
    case = check.build(rng)
    outputs, cache = case.forward(case.inputs)
    kept_outputs, kept_cache = copy.deepcopy((outputs, cache))
    douts = [np.asarray(rng.standard_normal(np.shape(out))) for out in outputs]
    for dout in douts:
        dout.setflags(write=False)  # writing raises, even of what is already there
    first = copy.deepcopy(case.backward(douts, cache))
    second = case.backward(douts, cache)
    assert same(kept_cache, cache)
    assert same(kept_outputs, outputs)
    assert set(first) == set(second) == set(case.inputs)
    assert all(same(first[name], second[name]) for name in first)
    assert any(np.any(grad) for grad in first.values())


def test_gradients_of_every_row_are_not_all_zero():
    """An input whose gradients are all zero proves little; only dropped units may have them."""
    for check in GRADIENTS:
        case = check.build(np.random.default_rng(8))
        outputs, cache = case.forward(case.inputs)
        grads = case.backward([np.ones(np.shape(out)) for out in outputs], cache)
        if "model" not in check.name:
            assert all(np.any(grad) for grad in grads.values()), check.name


# ---- the command ----------------------------------------------------------------------------------------------------


def run(*arguments: Any) -> Any:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def whole() -> Any:
    return run("--json")


def test_the_whole_command_passes(whole):
    assert whole.exit_code == 0
    report = json.loads(whole.output)
    assert report["passed"] is True
    assert report["checks"] == len(ALL_CHECKS)
    assert report["tensors"] == len(report["results"]) > 800
    assert report["failed"] == 0
    assert report["worst_gradient_error"] <= report["tolerance"] == 1e-6
    assert report["worst_identity_difference"] < 1e-14
    assert [r["name"] for r in report["results"][:3]] == ["rnn: step"] * 3
    for result in report["results"]:
        assert result["passed"] is True
        assert result["elements"] > 0
        assert set(result["worst"]) == {"coordinate", "analytic", "numeric"}
    assert report["elements"] == sum(result["elements"] for result in report["results"])


@pytest.fixture
def config(workdir):
    return write_config(workdir / "c.yaml", tiny_values(write_csv(workdir / "t.csv")))


def test_the_table_of_a_config_has_a_line_for_each_parameter(config):
    done = run(config)
    assert done.exit_code == 0
    header, *lines, closing = done.output.splitlines()
    assert header.split() == ["check", "inputs", "worst", "error", "verdict"]
    parameters = ["embedding.W", "rnn0.fwd.Wx", "rnn0.fwd.Wh", "rnn0.fwd.b", "output.w", "output.b"]
    assert [line.split()[3] for line in lines[:6]] == parameters
    assert all(line.startswith("model of tiny") and line.endswith("  ok") for line in lines)
    assert closing.startswith("2 checks of ")
    assert closing.endswith("all passed")


VARIATIONS = [
    {"model": {"rnn": {"cell": "rnn", "hidden": 5, "layers": 2, "dropout": 0.4, "bidirectional": True}}},
    {"model": {"rnn": {"cell": "lstm", "hidden": 5, "bidirectional": True}, "pooling": "last"}},
    {"model": {"rnn": {"cell": "gru", "hidden": 5, "reset": "after", "layers": 2}, "pooling": "max"}},
    {"model": {"embedding": {"dim": 3, "dropout": 0.5}, "dropout": 0.5, "loss": "binary"}},
    {"train": {"class_weights": {"pos": 0.1, "neg": 7.0}}},
    {"train": {"class_weights": "balanced"}, "data": {"max_length": 1}},
]


@pytest.mark.parametrize("changes", VARIATIONS, ids=str)
def test_the_model_of_any_config_passes(workdir, changes):
    values = tiny_values(write_csv(workdir / "t.csv"), **changes)
    done = run(write_config(workdir / "c.yaml", values), "--json", "--seed", 5)
    assert done.exit_code == 0, done.output
    report = json.loads(done.output)
    directions = 2 if values["model"]["rnn"].get("bidirectional") else 1
    arrays = 4 if values["model"]["rnn"].get("reset") == "after" else 3
    layers = values["model"]["rnn"].get("layers", 1)
    assert sum(r["kind"] == "gradient" for r in report["results"]) == 3 + layers * directions * arrays


def test_set_changes_the_model_that_is_checked(config):
    report = json.loads(run(config, "--json", "--set", "model.rnn.bidirectional=true").output)
    assert "rnn0.bwd.Wh" in {result["input"] for result in report["results"]}


def results_of(done: Any) -> Any:
    return json.loads(done.output)["results"]


def test_the_seed_decides_the_numbers_and_class_weights_count(config):
    first = results_of(run(config, "--json"))
    assert results_of(run(config, "--json")) == first
    assert results_of(run(config, "--json", "--seed", 2)) != first
    weighted = results_of(run(config, "--json", "--set", "train.class_weights={pos: 9, neg: 1}"))
    assert weighted != first


def test_a_tolerance_that_nothing_meets_fails(config):
    done = run(config, "--tolerance", 1e-15)
    assert done.exit_code == 1
    assert "FAILED model of tiny: rnn0.fwd.Wh[" in done.output
    assert done.output.splitlines()[-1].count("FAILED") == 1


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "1", "small"])
def test_a_tolerance_that_means_nothing_is_refused(value):
    done = run("--tolerance", value)
    assert done.exit_code == 2
    assert "--tolerance" in done.output


def test_misuse_ends_in_one_line(cli, workdir, config):
    line = cli.refused("gradcheck", "missing.yaml", code=2)
    assert "missing.yaml: there is no such file" in line
    assert "--set changes a config" in cli("gradcheck", "--set", "optim.lr=1").err
    three = workdir / "three.csv"
    three.write_text("text,label\n" + "".join(f"some words {i},{'abc'[i % 3]}\n" for i in range(12)), encoding="utf-8")
    settings = ("--set", "model.loss=binary", "--set", f"data.train.path={three}")
    assert "model.loss" in cli.refused("gradcheck", config, *settings, code=2)


# ---- the batch of a config ------------------------------------------------------------------------------------------


def texts(lengths: list[int], labels: list[int]) -> EncodedTexts:
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return EncodedTexts(np.arange(offsets[-1], dtype=np.int32), offsets, np.array(labels))


def test_short_texts_are_ragged_and_from_all_classes():
    short = short_texts(texts([30] * 12, [0] * 8 + [1] * 3 + [2]), np.random.default_rng(0))
    assert short.lengths.tolist() == list(LENGTHS)
    assert 1 in LENGTHS
    assert sorted(short.labels.tolist()) == [0, 0, 0, 1, 1, 2]
    starts = short.ids[short.offsets[:-1]]
    assert all(start % 30 == 0 for start in starts)  # each from the beginning of its text
    assert len(set(starts.tolist())) == len(starts)


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(0, 3)), min_size=1, max_size=12), st.integers(0, 99))
def test_short_texts_of_any_corpus_are_its_own(rows, seed):
    whole = texts(*map(list, zip(*rows, strict=True)))
    short = short_texts(whole, np.random.default_rng(seed))
    assert len(short) == min(len(rows), len(LENGTHS))
    for n, limit in zip(range(len(short)), LENGTHS, strict=False):
        piece = short.ids[short.offsets[n] : short.offsets[n + 1]]
        i = int(np.searchsorted(whole.offsets, piece[0], side="right")) - 1
        np.testing.assert_array_equal(piece, whole.ids[whole.offsets[i] : whole.offsets[i + 1]][:limit])
        assert short.labels[n] == whole.labels[i]
    assert len(set(short.labels.tolist())) == min(len(set(whole.labels.tolist())), len(LENGTHS))
