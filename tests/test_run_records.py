"""What is left of a run."""

import os
import shutil
from pathlib import Path

import pytest
from finished_runs import GRU, RNN, TAGGER
from tiny_runs import jsonl

from rnncli.checkpoint import load_checkpoint, save_checkpoint
from rnncli.errors import CheckpointError, ConfigError, RnncliError
from rnncli.run_records import cost_of, load_records


def test_a_run_is_its_best_checkpoint_and_its_metrics(finished):
    (record,) = load_records([GRU])
    assert (record.name, record.checkpoint) == ("gru", GRU / "best.safetensors")
    assert record.rows == jsonl(GRU / "metrics.jsonl")
    assert record.step == record.recorded["step"]
    assert record.recorded["accuracy"] == max(row["accuracy"] for row in record.rows if row["kind"] == "validation")
    assert record.parameters == sum(array.size for array in record.trained.model.params.values())
    assert record.environment["processes"] == 1


def test_names_tell_runs_apart(finished):
    names = [record.name for record in load_records([GRU, GRU / "last.safetensors", TAGGER / "best.safetensors"])]
    assert names == ["gru", "gru/last", "tagger"]
    shutil.copytree("runs", "others")
    names = [record.name for record in load_records([GRU, Path("others/gru"), RNN])]
    assert names == ["runs/gru", "others/gru", "rnn"]


def test_a_name_is_one_line_whatever_the_folder_is_called(finished):
    odd = os.fsdecode(b"runs/a\xff\nb")
    shutil.copytree(GRU, odd)
    (record,) = load_records([Path(odd)])
    assert record.name == r"a\udcff\nb"


def test_a_run_is_named_once(finished):
    with pytest.raises(ConfigError, match=r"runs/\.\./runs/gru/best\.safetensors: is named twice"):
        load_records([GRU, RNN, Path("runs/../runs/gru/best.safetensors")])


def test_a_checkpoint_alone_says_what_it_knows(finished):
    shutil.copy(GRU / "best.safetensors", "model.safetensors")
    (record,) = load_records([Path("model.safetensors")])
    assert (record.name, record.rows) == ("model", [])
    assert record.recorded["accuracy"] > 0
    cost = cost_of(record)
    assert cost.peak_memory_mb is None
    assert cost.seconds > 0
    assert cost.tokens_per_second > 0


def test_what_a_run_took_is_told_by_its_newest_checkpoint(finished):
    (record,) = load_records([GRU])
    last = load_checkpoint(GRU / "last.safetensors").metadata["progress"]
    cost = cost_of(record)
    assert cost.steps == last["step"]
    assert cost.seconds == last["sums"]["seconds"]
    assert cost.tokens_per_second == last["sums"]["tokens"] / last["sums"]["train_seconds"]
    assert cost.peak_memory_mb == max(row["peak_memory_mb"] for row in record.rows)
    (GRU / "last.safetensors").write_bytes(b"damaged")
    assert cost_of(record).steps == record.step


def test_a_checkpoint_need_not_know_its_cost(finished):
    found = load_checkpoint(GRU / "best.safetensors")
    metadata = {**found.metadata, "progress": {"step": 0}}
    save_checkpoint("bare.safetensors", found.tensors, metadata, found.vocabulary)
    (record,) = load_records([Path("bare.safetensors")])
    cost = cost_of(record)
    assert (cost.seconds, cost.tokens_per_second, cost.steps) == (None, None, 0)
    assert (record.recorded, record.environment) == ({}, {})


def test_what_a_checkpoint_says_of_itself_need_not_make_sense(finished):
    found = load_checkpoint(GRU / "best.safetensors")
    progress = {
        "step": 3,
        "sums": {"seconds": "long"},
        "metrics": {"accuracy": "high", "epoch": 2},
        "environment": {"cpu": [1], "processes": "2"},
    }
    save_checkpoint("odd.safetensors", found.tensors, {**found.metadata, "progress": progress}, found.vocabulary)
    (record,) = load_records([Path("odd.safetensors")])
    assert (record.recorded, record.environment, record.processes) == ({"epoch": 2}, {"processes": "2"}, 1)
    assert cost_of(record).seconds is None


def test_a_folder_without_a_checkpoint_is_refused(finished):
    with pytest.raises(RnncliError, match=r"runs: holds no checkpoint .* such as runs/NAME"):
        load_records([Path("runs")])
    with pytest.raises(CheckpointError, match="no such file"):
        load_records([Path("nowhere")])
