# ruff: noqa: E501 (each message is checked whole, on the one line it is printed on)
import json
import math
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from rnncli import cli
from rnncli.config import AdamConfig, Config, DataConfig, dump_config, load_config, parse_config, usable_name, yaml_text
from rnncli.config.model import POOLINGS, GRUConfig
from rnncli.config.sections import variants
from rnncli.config.show import describe, to_commented_yaml
from rnncli.errors import ConfigError

DATA = "data: {train: {format: csv, path: a.csv}}\n"
LOOSE = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def write(tmp_path):
    def write(text, name="c.yaml"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def faults(path, overrides=()):
    """Return the lines of the error, without the path in front."""
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides)
    assert caught.value.exit_code == 2
    text = str(caught.value)
    assert "pydantic" not in text
    assert "Input should" not in text
    return [line.removeprefix(str(path)) for line in text.split("\n")]


# ---- what is read ---------------------------------------------------------------------------------------------------


def test_a_minimal_config_gets_every_default(write):
    config = load_config(write(DATA, "imdb_lstm.yaml"))
    assert config.name == "imdb_lstm"
    assert (config.seed, config.task) == (1, "classification")
    assert (config.data.valid_fraction, config.data.max_length, config.data.truncate) == (0.1, 400, "tail")
    assert config.model.rnn.cell == "lstm"
    assert config.model.rnn.forget_bias == 1.0
    assert isinstance(config.optim, AdamConfig)
    assert config.optim.lr == 2e-3
    assert config.optim.schedule.name == "constant"
    assert config.train.class_weights is None


def test_the_shape_of_the_design_is_read(write):
    config = load_config(
        write("""\
# a comment
name: imdb-gru
seed: 3
task: classification              # what it is
data:
  train: {format: aclimdb, path: data/aclImdb/train}
  valid_fraction: 0.2
  tokenizer: {kind: word, lowercase: true, max_vocab: 20000, min_count: 2}
  max_length: 400
model:
  embedding: {dim: 128, dropout: 0.3}
  rnn: {cell: gru, hidden: 128, layers: 2, bidirectional: false, dropout: 0.1, reset: after}
  pooling: mean
optim: {name: adam, lr: 2e-3, clip_norm: 1.0, schedule: {name: constant}}
train: {epochs: 3, batch_size: 64, class_weights: {pos: 1, neg: 2.5}}
""")
    )
    assert isinstance(config.model.rnn, GRUConfig)
    assert config.optim.lr == 0.002
    assert config.train.class_weights == {"pos": 1.0, "neg": 2.5}


@pytest.mark.parametrize("written", ["1e-3", "1E-3", "0.001", ".001", "1.e-3", "+1e-3"])
def test_numbers_as_people_write_them(write, written):
    assert load_config(write(DATA + f"optim: {{lr: {written}}}")).optim.lr == 0.001


def test_a_whole_number_may_stand_for_any(write):
    lr = load_config(write(DATA + "optim: {lr: 1}")).optim.lr
    assert lr == 1.0
    assert isinstance(lr, float)


def test_words_of_yaml_1_1_are_only_text(write):
    config = load_config(write("data: {train: {format: csv, path: no, skip_labels: [on, 2020-01-01, 1:30]}}"))
    assert config.data.train.path == "no"
    assert config.data.train.skip_labels == ["on", "2020-01-01", "1:30"]


def test_labels_are_text_however_they_are_written(write):
    config = load_config(write(DATA + "train: {class_weights: {0: 1, no: 2, null: 3}}"))
    assert config.train.class_weights == {"0": 1.0, "no": 2.0, "null": 3.0}


def test_a_byte_order_mark_and_windows_line_ends_are_read(write):
    assert load_config(write(b"\xef\xbb\xbf" + DATA.replace("\n", "\r\n").encode() + b"seed: 5\r\n")).seed == 5


def test_an_alias_repeats_a_value(write):
    config = load_config(write("data:\n  train: &d {format: csv, path: a}\n  test: *d\n"))
    assert config.data.test == config.data.train


def test_a_config_is_frozen(write):
    config = load_config(write(DATA))
    with pytest.raises(ValidationError):
        config.seed = 2


# ---- --set ----------------------------------------------------------------------------------------------------------


def test_settings_replace_add_and_follow_each_other(write):
    path = write(DATA + "optim: {name: sgd, lr: 0.5}\n")
    overrides = ["optim.lr=1e-3", "model.rnn.cell=gru", "model.rnn.reset=after", "data.max_length=null", "seed=1"]
    overrides += ["seed=2", "data.train.skip_labels=[a, b]", "train.class_weights.pos=2", "name='007'"]
    config = load_config(path, overrides)
    assert (config.optim.name, config.optim.lr) == ("sgd", 1e-3)
    assert config.model.rnn.reset == "after"
    assert config.data.max_length is None
    assert config.seed == 2
    assert config.data.train.skip_labels == ["a", "b"]
    assert config.train.class_weights == {"pos": 2.0}
    assert config.name == "007"


def test_a_setting_may_make_a_whole_section(write):
    config = load_config(
        write("seed: 1"), ["data.train={format: csv, path: x}", "data.valid.format=tsv", "data.valid.path=y"]
    )
    assert config.data.valid.format == "tsv"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("model.rnn.cell=lsmt", "'lsmt' is not allowed (rnn, lstm, gru). Did you mean 'lstm'?"),
        ("optim.lr", "must be of the form key.sub_key=value. Such as optim.lr=1e-3"),
        ("=3", "must be of the form key.sub_key=value. Such as optim.lr=1e-3"),
        ("optim..lr=3", "must be of the form key.sub_key=value. Such as optim.lr=1e-3"),
        ("optim.lr=", "has no value. Write null for none and '' for empty text"),
        ("seed=[1", "not valid YAML: expected ',' or ']', but got '<stream end>'. Quote the value as in YAML"),
        ("data.train.path.x=1", "data.train.path is 'a.csv' and has no keys. Set data.train.path itself"),
        ("optim.beta3=1", "is not a key here (name, lr, clip_norm, layer_decay, schedule, beta1, beta2, eps). Did you mean 'beta2'?"),
        ("optim={name: adamx}", "optim.name: 'adamx' is not allowed (adam, adamw, sgd). Did you mean 'adam'?"),
        ("data.test.path=x", "data.test.format: is missing (csv, tsv, jsonl, fasttext, aclimdb, keras_imdb)"),
        ("data=3", "3 is not allowed (a section with the keys train, valid, valid_fraction, split_seed, test, group_by, tokenizer, max_length, truncate)"),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_be_used_is_quoted(write, setting, message):
    assert faults(write(DATA), [setting]) == [f"--set {setting}: {message}"]


def test_a_fault_is_put_down_to_the_setting_that_replaced_the_line(write):
    path = write(DATA + "model:\n  rnn:\n    cell: lstm\n    layers: 2\n")
    setting = "model={rnn: {cell: lsmt}}"
    assert faults(path, ["model.rnn.cell=gruu", setting]) == [
        f"--set {setting}: model.rnn.cell: 'lsmt' is not allowed (rnn, lstm, gru). Did you mean 'lstm'?"
    ]
    assert faults(path, ["model.rnn.hidden=0"])[0].startswith("--set model.rnn.hidden=0: 0 is not allowed")
    assert faults(path, ["seed=1", "model.rnn.cell=1"])[0].startswith("--set model.rnn.cell=1: 1 is not allowed")


def test_a_setting_with_anything_in_it_stays_on_one_line(write):
    (line,) = faults(write(DATA), ["seed='a\nb'"])
    assert line.startswith(r"--set seed='a\nb': ")


# ---- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # the whole file
        ("", ": is empty. It needs at least data: {train: {format: ..., path: ...}}"),
        ("# nothing\n", ": is empty. It needs at least data: {train: {format: ..., path: ...}}"),
        ("- a\n- b\n", ": must be keys with values (name: value), not a list"),
        ("just words", ": must be keys with values (name: value), not 'just words'"),
        ("12", ": must be keys with values (name: value), not 12"),
        ("a: [1, 2\nb: 3", ":2: not valid YAML: expected ',' or ']', but got ':'"),
        ("data:\n\ttrain: 1", ":2: a tab, where YAML allows only spaces. Indent with spaces"),
        ("seed: 1\nseed: 2", ":2: the key 'seed' is given twice, first in line 1. Keep one"),
        ("seed: 1\n'seed': 2", ":2: the key 'seed' is given twice, first in line 1. Keep one"),
        ("a: 1\n---\nb: 2", ":2: not valid YAML: but found another document"),
        ("a: *b", ":1: not valid YAML: found undefined alias 'b'. Put text that begins with a special character in quotes"),
        ("a: *.csv", ":1: not valid YAML: expected alphabetic or numeric character, but found '.'. Put text that begins with a special character in quotes"),
        ("a: @b", ":1: not valid YAML: found character '@' that cannot start any token. Put text that begins with a special character in quotes"),
        ("a: !!python/object/apply:os.system [ls]", ":1: the tag 'tag:yaml.org,2002:python/object/apply:os.system' is not allowed. Write the value without a tag"),
        ("a: !!set {b}", ":1: the tag 'tag:yaml.org,2002:set' is not allowed. Write the value without a tag"),
        ("a: !!int b", ":1: 'b' cannot be read as a value"),
        ("[a]: 1", ":1: a list or a section cannot be a key"),
        ('a: "\\ud800"', ":1: '\\ud800' cannot be read as a value"),
        ('"\\ud800": 1', ":1: '\\ud800' cannot be read as a key"),
        ('a: "\\UFFFFFFFF"', ": not valid YAML: a number or an escape in it is out of range"),
        ("a: " + "9" * 5000, ":1: '" + "9" * 57 + "...' cannot be read as a value"),
        ("ok: 1\nb: \0", ":2: the character '\\x00' cannot stand in YAML"),
        (b"ok: 1\nb: \xff", ":2: byte 9 is not UTF-8. Is it a config, saved as UTF-8?"),
        (DATA.encode("utf-16"), ":1: byte 0 is not UTF-8. Is it a config, saved as UTF-8?"),
        ("a: " + "[" * 100 + "]" * 100, ":1: nested more than 32 levels deep"),
        ("a: " + "[" * 10**5, ":1: nested more than 32 levels deep"),
        ("a: &a [*a]", ":1: nested more than 32 levels deep"),
        ("a: [" + "1," * 30000 + "]", ":1: more than 20000 values, aliases counted each time"),
        ("x" * (1024 * 1024 + 1), ": is larger than 1048576 bytes. Is it a config?"),
        # sections
        ("seed: 1", ": data: is missing: the texts (a section with the keys train, valid, valid_fraction, split_seed, test, group_by, tokenizer, max_length, truncate)"),
        ("data:", ":1: data: null is not allowed (a section with the keys train, valid, valid_fraction, split_seed, test, group_by, tokenizer, max_length, truncate)"),
        (DATA + "model: lstm", ":2: model: 'lstm' is not allowed (a section with the keys embedding, rnn, pooling, dropout, variational, activation_penalty, slowness_penalty, ngrams, loss)"),
        (DATA + "model: {rnn: lstm}", ":2: model.rnn: 'lstm' is not allowed (a section with cell: rnn, lstm, gru)"),
        (DATA + "model: {rnn: [lstm]}", ":2: model.rnn: a list is not allowed (a section with cell: rnn, lstm, gru)"),
        (DATA + "optim: null", ":2: optim: null is not allowed (a section with name: adam, adamw, sgd)"),
        (DATA + "train: []", ":2: train: a list is not allowed (a section with the keys epochs, max_steps, batch_size, label_smoothing, average, average_last, unfreeze_epochs, workers, log_every, tensorboard, validate_every, checkpoint_every_steps, checkpoint_every_minutes, patience, on_nonfinite, best_metric, class_weights)"),
        # variants
        (DATA + "model:\n  rnn:\n    cell: lsmt", ":4: model.rnn.cell: 'lsmt' is not allowed (rnn, lstm, gru). Did you mean 'lstm'?"),
        (DATA + "model: {rnn: {cell: [1]}}", ":2: model.rnn.cell: a list is not allowed (rnn, lstm, gru)"),
        (DATA + "model: {rnn: {cell: null}}", ":2: model.rnn.cell: null is not allowed (rnn, lstm, gru)"),
        (DATA + "model: {rnn: {cell: true}}", ":2: model.rnn.cell: true is not allowed (rnn, lstm, gru)"),
        (DATA + "model: {rnn: {cell: {a: 1}}}", ":2: model.rnn.cell: a section is not allowed (rnn, lstm, gru)"),
        (DATA + "model: {rnn: {cell: gru, forget_bias: 1}}", ":2: model.rnn.forget_bias: belongs to cell lstm; this is gru"),
        (DATA + "model: {rnn: {reset: after}}", ":2: model.rnn.reset: belongs to cell gru; this is lstm"),
        (DATA + "optim: {name: sgd, beta1: 0.9}", ":2: optim.beta1: belongs to optim adam, adamw; this is sgd"),
        (DATA + "optim: {momentum: 0.9}", ":2: optim.momentum: belongs to optim sgd; this is adam"),
        (DATA + "optim: {weight_decay: 0.9}", ":2: optim.weight_decay: belongs to optim adamw; this is adam"),
        (DATA + "optim: {schedule: {final: 0.9}}", ":2: optim.schedule.final: belongs to schedule linear, cosine; this is constant"),
        ("data: {train: {format: aclimdb, path: a, text: b}}", ":1: data.train.text: belongs to format csv, tsv, jsonl; this is aclimdb"),
        ("data: {train: {format: csv, path: a, part: test}}", ":1: data.train.part: belongs to format keras_imdb; this is csv"),
        ("data: {train: {path: a}}", ":1: data.train.format: is missing (csv, tsv, jsonl, fasttext, aclimdb, keras_imdb, imported)"),
        ("data: {train: {format: csv}}", ":1: data.train.path: is missing: file, seen from the folder rnncli runs in; may end in .gz, .bz2 or .xz (text)"),
        # unknown keys
        (DATA + "model: {rnn: {hiden: 3}}", ":2: model.rnn.hiden: is not a key here (cell, hidden, layers, bidirectional, dropout, state_dropout, recurrent_dropout, forget_bias). Did you mean 'hidden'?"),
        (DATA + "lr: 3", ":2: lr: is not a key here (name, seed, task, init_from, data, model, optim, train). Did you mean model.ngrams.lr or optim.lr?"),
        (DATA + "xyzzy: 3", ":2: xyzzy: is not a key here (name, seed, task, init_from, data, model, optim, train)"),
        (DATA + '"a\\nb": 3', ":2: 'a\\nb': is not a key here (name, seed, task, init_from, data, model, optim, train)"),
        # values
        (DATA + "seed: yes", ":2: seed: 'yes' is not allowed (a whole number, at least 0, below 9223372036854775808)"),
        (DATA + "seed: true", ":2: seed: true is not allowed (a whole number, at least 0, below 9223372036854775808)"),
        (DATA + "seed: -1", ":2: seed: -1 is not allowed (a whole number, at least 0, below 9223372036854775808)"),
        (DATA + "seed: '1'", ":2: seed: '1' is not allowed (a whole number, at least 0, below 9223372036854775808). Write it without quotes"),
        (DATA + "seed: '1.5'", ":2: seed: '1.5' is not allowed (a whole number, at least 0, below 9223372036854775808)"),
        (DATA + "seed: 1_000", ":2: seed: '1_000' is not allowed (a whole number, at least 0, below 9223372036854775808)"),
        (DATA + "optim: {lr: nan}", ":2: optim.lr: 'nan' is not allowed (a number, above 0, at most 100)"),
        (DATA + "optim: {lr: inf}", ":2: optim.lr: 'inf' is not allowed (a number, above 0, at most 100)"),
        (DATA + "optim: {lr: '.inf'}", ":2: optim.lr: '.inf' is not allowed (a number, above 0, at most 100)"),
        (DATA + "optim: {lr: '1e-3'}", ":2: optim.lr: '1e-3' is not allowed (a number, above 0, at most 100). Write it without quotes"),
        (DATA + "train: {epochs: 2.5}", ":2: train.epochs: 2.5 is not allowed (a whole number, at least 1, at most 1000000)"),
        (DATA + "train: {epochs: 3.0}", ":2: train.epochs: 3.0 is not allowed (a whole number, at least 1, at most 1000000)"),
        (DATA + "train: {epochs: 0}", ":2: train.epochs: 0 is not allowed (a whole number, at least 1, at most 1000000)"),
        (DATA + f"train: {{epochs: {10**40}}}", ":2: train.epochs: 1e+40 is not allowed (a whole number, at least 1, at most 1000000)"),
        (DATA + "train: {patience: 0}", ":2: train.patience: 0 is not allowed (a whole number, at least 1, at most 1000000, or null)"),
        (DATA + "optim: {lr: true}", ":2: optim.lr: true is not allowed (a number, above 0, at most 100)"),
        (DATA + "optim: {lr: .nan}", ":2: optim.lr: nan is not allowed (a number, above 0, at most 100)"),
        (DATA + "optim: {lr: .inf}", ":2: optim.lr: inf is not allowed (a number, above 0, at most 100)"),
        (DATA + f"optim: {{lr: {10**400}}}", ":2: optim.lr: a number of more than 300 digits is not allowed (a number, above 0, at most 100)"),
        (DATA + "optim: {lr: 0}", ":2: optim.lr: 0 is not allowed (a number, above 0, at most 100)"),
        (DATA + "optim: {lr: 1e-3x}", ":2: optim.lr: '1e-3x' is not allowed (a number, above 0, at most 100)"),
        (DATA + "optim: {clip_norm: 0}", ":2: optim.clip_norm: 0 is not allowed (a number, above 0, at most 1000000, or null)"),
        (DATA + "model: {dropout: 1}", ":2: model.dropout: 1 is not allowed (a number, at least 0, below 1)"),
        (DATA + "model: {pooling: men}", ":2: model.pooling: 'men' is not allowed (last, mean, max, attention, or a list of them). Did you mean 'mean'?"),
        (DATA + "model: {rnn: {bidirectional: yes}}", ":2: model.rnn.bidirectional: 'yes' is not allowed (true or false). Did you mean true?"),
        (DATA + "model: {rnn: {bidirectional: 1}}", ":2: model.rnn.bidirectional: 1 is not allowed (true or false)"),
        ("data: {train: {format: csv, path: 3}}", ":1: data.train.path: 3 is not allowed (text). Put it in quotes"),
        ("data: {train: {format: csv, path: ''}}", ":1: data.train.path: '' is not allowed (text)"),
        ("data: {train: {format: csv, path: a, skip_labels: plot}}", ":1: data.train.skip_labels: 'plot' is not allowed (a list of texts)"),
        ("data:\n  train:\n    format: csv\n    path: a\n    skip_labels:\n    - a\n    - 3", ":7: data.train.skip_labels[1]: 3 is not allowed (text). Put it in quotes"),
        (DATA + "task: taging", ":2: task: 'taging' is not allowed (classification, tagging, language_model). Did you mean 'tagging'?"),
        # class weights
        (DATA + "train: {class_weights: balance}", ":2: train.class_weights: must be null, balanced, or a section of labels with their weights"),
        (DATA + "train: {class_weights: {}}", ":2: train.class_weights: must be null, balanced, or a section of labels with their weights"),
        (DATA + "train: {class_weights: [1]}", ":2: train.class_weights: must be null, balanced, or a section of labels with their weights"),
        (DATA + "train: {class_weights: {pos: 0}}", ":2: train.class_weights: the weight of label 'pos' must be a number from 0.000001 to 1000000"),
        (DATA + "train: {class_weights: {pos: .nan}}", ":2: train.class_weights: the weight of label 'pos' must be a number from 0.000001 to 1000000"),
        (DATA + "train: {class_weights: {pos: true}}", ":2: train.class_weights: the weight of label 'pos' must be a number from 0.000001 to 1000000"),
        # one key beside another
        (DATA + "model: {variational: true}", ":2: model.variational: has no effect without embedding.dropout or rnn.dropout"),
        (DATA + "model: {rnn: {dropout: 0.5}}", ":2: model.rnn.dropout: 0.5 has no effect with one layer, it works between layers; give layers of 2 or more, or use model.embedding.dropout or model.dropout"),
        ("data:\n  train: &t {format: csv, path: a}\n  valid: *t\n  valid_fraction: 0.1", ":4: data.valid_fraction: has no effect beside data.valid; give one of the two"),
        ("data:\n  train: &t {format: csv, path: a}\n  valid: *t\n  group_by: x", ":4: data.group_by: has no effect beside data.valid, which leaves nothing to split; give one of the two"),
        ("data: {train: {format: aclimdb, path: a}, group_by: x}", ":1: data.group_by: format aclimdb has no columns; only csv, tsv, jsonl have"),
        # names of folders
        (DATA + "name: a/b", ":2: name: 'a/b' cannot be the name of a folder everywhere; use letters, digits, '-', '_' and dots that do not come first or last, at most 100"),
    ],
)  # fmt: skip
def test_one_line_says_where_and_what(write, text, expected):
    assert faults(write(text)) == [expected]


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".hidden", "a/b", "a\\b", "a\nb", "a\0", "a" * 101, "a.", " a", "a:b", "-rf", "~"]
)
def test_names_that_are_no_folder_are_refused(name):
    with pytest.raises(ConfigError, match="name: "):
        parse_config({"name": name, "data": {"train": {"format": "csv", "path": "a"}}}, "test")


@pytest.mark.parametrize("name", ["a", "imdb-lstm", "run_2.1", "caf\u00e9", "a b", "007"])
def test_names_that_are_folders_are_kept(name):
    assert parse_config({"name": name, "data": {"train": {"format": "csv", "path": "a"}}}, "test").name == name


@given(st.text())
def test_any_stem_gives_a_usable_name(stem):
    name = usable_name(stem)
    assert usable_name(name) == name
    assert 0 < len(name) <= 100
    assert Path("runs", name).name == name


def test_all_faults_are_told_at_once_in_the_order_of_the_file(write):
    path = write("""\
data:
  train: {format: csv, path: a, txt: b}
  valid_fraction: 2
model:
  rnn: {cell: gru, forget_bias: 1, dropout: 0.5, hidden: 0}
  embedding: 7
optim: {name: sgdd}
train: {epochs: many}
""")
    lines = faults(path, ["train.batch_size=0", "model.pooling=sum"])
    assert [line.rpartition(": ")[0].split(": ")[0] + line.partition(": ")[2].split(":")[0] for line in lines[:7]] == [
        ":2data.train.txt",
        ":3data.valid_fraction",
        ":5model.rnn.hidden",
        ":5model.rnn.dropout",
        ":5model.rnn.forget_bias",
        ":6model.embedding",
        ":7optim.name",
    ]
    assert lines[7].startswith(":8: train.epochs: ")
    assert lines[8].startswith("--set train.batch_size=0: ")
    assert lines[9].startswith("--set model.pooling=sum: ")
    assert len(lines) == 10


def test_a_hundred_faults_are_cut_short(write):
    lines = faults(write(DATA + "".join(f"k{number}: 1\n" for number in range(100))))
    assert len(lines) == 21
    assert lines[-1] == ": and 80 more"


def test_a_bomb_of_aliases_is_refused_quickly(write):
    text = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 28))
    (line,) = faults(write(text))
    assert line.endswith("more than 20000 values, aliases counted each time")


def test_files_that_cannot_be_read(tmp_path, monkeypatch):
    assert faults(tmp_path / "none.yaml") == [": there is no such file. Check the path"]
    assert faults(tmp_path) == [": is a folder. Name a YAML file in it"]
    (line,) = faults(tmp_path / ("a" * 300))
    assert "cannot be read" in line
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config("nul\0byte")

    def forbidden(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", forbidden)
    assert faults(tmp_path / "x.yaml") == [": cannot be read (Permission denied)"]


# ---- anything at all ------------------------------------------------------------------------------------------------

KEYS = [
    "name",
    "seed",
    "task",
    "data",
    "model",
    "optim",
    "train",
    "valid",
    "test",
    "rnn",
    "embedding",
    "schedule",
    "tokenizer",
    "format",
    "path",
    "cell",
    "lr",
    "layers",
    "dropout",
    "hidden",
    "class_weights",
    "skip_labels",
    "group_by",
    "valid_fraction",
    "max_length",
    "clip_norm",
    "kind",
]
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text()
    | st.sampled_from(["csv", "aclimdb", "lstm", "gru", "adam", "sgd", "cosine", "balanced", 10**400, -0.0, "\ud800"])
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(), inner, max_size=5),
    max_leaves=20,
)


def only_config_errors(call):
    try:
        config = call()
    except ConfigError as error:
        for line in str(error).split("\n"):
            assert line.isprintable() or not line.isascii()
            assert len(line) < 2000
    else:
        assert parse_config(config.model_dump(), "again") == config


@given(st.text() | st.text(alphabet="ab:-[]{}&*!|>'\"%@`#?,\t\n 01.e\\Ux~<=", max_size=60))
@example("? ? ? a")
@example("%YAML 1." + "9" * 5000 + "\n---\na")
@example("%TAG ! \n---\n!a b")
@example("a: !<%zz> b")
@LOOSE
def test_arbitrary_text_only_ever_raises_config_error(write, text):
    path = write(text.encode("utf-8", "surrogatepass"))
    only_config_errors(lambda: load_config(path))


@given(st.binary(max_size=100))
@LOOSE
def test_arbitrary_bytes_only_ever_raise_config_error(write, raw):
    path = write(raw)
    only_config_errors(lambda: load_config(path))


@given(VALUES)
@LOOSE
def test_arbitrary_values_only_ever_raise_config_error(values):
    only_config_errors(lambda: parse_config(values, "test"))


@given(st.text(), VALUES, st.sampled_from(KEYS))
@LOOSE
def test_arbitrary_settings_only_ever_raise_config_error(write, text, value, key):
    path = write(DATA)
    only_config_errors(lambda: load_config(path, [text]))
    only_config_errors(lambda: load_config(path, [f"{key}={text}"]))
    only_config_errors(lambda: load_config(path, [f"model.{key}={json.dumps(value)}"]))


def every_place():
    """Return the path of every key of the schema, with a config in which it applies."""

    def walk(model: type[BaseModel], path, base):
        for name, info in model.model_fields.items():
            here = (*path, name)
            yield here, base
            if name == "test":
                continue  # the same sections as train
            for inner in variants(info.annotation):
                tags = {
                    key: field.annotation.__args__[0]
                    for key, field in inner.model_fields.items()
                    if key in ("format", "cell", "name") and hasattr(field.annotation, "__args__")
                }
                required = {
                    key: "x" for key, field in inner.model_fields.items() if field.is_required() and key not in tags
                }
                yield from walk(inner, here, (*base, (here, {**required, **tags})) if tags else base)

    return list(walk(Config, (), ()))


def put(values, path, value):
    for key in path[:-1]:
        values = values.setdefault(key, {})
    if isinstance(value, dict) and isinstance(values.get(path[-1]), dict):
        values[path[-1]].update(value)
    else:
        values[path[-1]] = value


@pytest.mark.parametrize(("path", "base"), every_place(), ids=lambda part: ".".join(map(str, part))[:60])
def test_every_key_refuses_wrong_types_and_has_a_meaning(path, base):
    def config(value):
        values = {"data": {"train": {"format": "csv", "path": "a"}}}
        for place, section in base:
            put(values, place, dict(section))
        put(values, path, value)
        return values

    for wrong in ([[1]], {"surely not": {"a": 1}}, math.nan, b"bytes", object()):
        with pytest.raises(ConfigError) as caught:
            parse_config(config(wrong), "test")
        assert ".".join(path) in str(caught.value), (wrong, str(caught.value))


def test_every_key_has_a_meaning_of_one_line():
    def walk(model):
        for name, info in model.model_fields.items():
            assert info.description, (model, name)
            assert info.description.isprintable()
            assert len(info.description) <= 90
            for inner in variants(info.annotation):
                walk(inner)

    walk(Config)


# ---- writing and showing --------------------------------------------------------------------------------------------

TEXTS = st.text(min_size=1, max_size=12).filter(lambda text: not any("\ud800" <= c <= "\udfff" for c in text))
SOURCES = st.one_of(
    st.fixed_dictionaries(
        {"format": st.sampled_from(["csv", "tsv", "jsonl"]), "path": TEXTS},
        optional={"text": TEXTS, "label": TEXTS, "skip_labels": st.lists(TEXTS, max_size=3)},
    ),
    st.fixed_dictionaries({"format": st.just("aclimdb"), "path": TEXTS}),
    st.fixed_dictionaries({"format": st.just("fasttext"), "path": TEXTS}, optional={"skip_labels": st.lists(TEXTS)}),
    st.fixed_dictionaries(
        {"format": st.just("keras_imdb"), "path": TEXTS, "word_index": TEXTS},
        optional={"part": st.sampled_from(["train", "test"])},
    ),
)
RATES = st.floats(1e-12, 0.99)
SCHEDULES = st.one_of(
    st.fixed_dictionaries({"name": st.just("constant")}, optional={"warmup_steps": st.integers(0, 1000)}),
    st.fixed_dictionaries({"name": st.sampled_from(["linear", "cosine"])}, optional={"final": RATES}),
    st.fixed_dictionaries({"name": st.just("step"), "every_epochs": st.integers(1, 9)}, optional={"factor": RATES}),
    st.fixed_dictionaries({"name": st.just("plateau"), "patience": st.integers(1, 9)}, optional={"factor": RATES}),
)
CONFIGS = st.fixed_dictionaries(
    {
        "data": st.fixed_dictionaries(
            {"train": SOURCES},
            optional={"valid": st.none() | SOURCES, "test": SOURCES, "max_length": st.none() | st.integers(1, 1000)},
        )
    },
    optional={
        "name": TEXTS.map(usable_name),
        "seed": st.integers(0, 2**63 - 1),
        "model": st.fixed_dictionaries(
            {
                "rnn": st.one_of(
                    st.fixed_dictionaries({"cell": st.just("gru"), "reset": st.sampled_from(["before", "after"])}),
                    st.fixed_dictionaries({"cell": st.just("rnn"), "layers": st.just(2), "dropout": RATES}),
                    st.fixed_dictionaries({"forget_bias": st.floats(-5, 5)}),
                )
            },
            optional={
                "pooling": st.sampled_from(POOLINGS) | st.lists(st.sampled_from(POOLINGS), min_size=1, unique=True),
                "dropout": RATES,
            },
        ),
        "optim": st.one_of(
            st.fixed_dictionaries({"name": st.just("sgd")}, optional={"momentum": RATES, "schedule": SCHEDULES}),
            st.fixed_dictionaries({}, optional={"lr": RATES, "clip_norm": st.none() | RATES, "schedule": SCHEDULES}),
            st.fixed_dictionaries({"name": st.just("adamw")}, optional={"weight_decay": RATES}),
        ),
        "train": st.fixed_dictionaries(
            {},
            optional={
                "class_weights": st.dictionaries(st.text(max_size=5), st.floats(1e-6, 1e6), min_size=1)
                | st.just("balanced")
            },
        ),
    },
)


@given(CONFIGS)
@LOOSE
def test_what_is_written_loads_to_the_same_config(write, values):
    config = parse_config(values, "test")
    assert load_config(write(dump_config(config))) == config
    assert load_config(write(to_commented_yaml(config))) == config
    assert parse_config(json.loads(json.dumps(config.model_dump())), "json") == config
    assert to_commented_yaml(config).count("\n") == len(list(describe(config))) + 1


def test_what_is_written_means_the_same_to_yaml_1_1(write):
    text = "data: {train: {format: csv, path: no, skip_labels: ['1e3', '0o7', '1:30', '1_0', 'null', '2020-01-01']}}"
    config = load_config(write(text))
    assert yaml.safe_load(dump_config(config)) == config.model_dump()


def test_show_marks_what_is_not_the_default(write):
    config = load_config(write(DATA + "model: {rnn: {cell: gru}}\noptim: {lr: 1e-3}"))
    changed = {entry.key: (entry.value, entry.default) for entry in describe(config, "c") if entry.changed}
    assert changed == {"model.rnn.cell": ("gru", "lstm"), "optim.lr": (1e-3, 2e-3)}
    marked = [line for line in to_commented_yaml(config, "c").splitlines() if "# * (default" in line]
    assert [line.split(":")[0].strip() for line in marked] == ["cell", "lr"]
    assert "# * (default 0.002) learning rate before any schedule" in marked[1]
    assert "(rnn, lstm, gru)" in marked[0]


def test_show_lists_every_key_in_use(write):
    config = load_config(write(DATA))
    shown = {entry.key for entry in describe(config) if not entry.section}
    assert {"data.train.format", "data.tokenizer.max_vocab", "model.rnn.forget_bias", "optim.eps"} <= shown
    assert "model.rnn.reset" not in shown
    valid = load_config(write(DATA.replace("}}", "}, valid: {format: csv, path: b}}")))
    assert isinstance(valid.data, DataConfig)
    assert "data.valid_fraction" not in {entry.key for entry in describe(valid)}


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["rnncli", *map(str, arguments)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return caught.value.code


def test_config_show_prints_a_config(write, monkeypatch, capsys):
    path = write(DATA)
    assert run(monkeypatch, "config", "show", path, "--set", "optim.lr=1e-3") == 0
    printed = capsys.readouterr().out
    assert load_config(write(printed, "other.yaml")) == load_config(path, ["optim.lr=1e-3"])
    assert "max_vocab: 20000 " in printed
    assert "name: c " in printed


def test_config_show_json_is_for_programs(write, monkeypatch, capsys):
    path = write(DATA)
    assert run(monkeypatch, "config", "show", path, "--set", "seed=7", "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert parse_config(printed["config"], "json") == load_config(path, ["seed=7"])
    keys = {entry["key"]: entry for entry in printed["keys"]}
    assert keys["seed"]["changed"]
    assert not keys["optim.lr"]["changed"]
    assert keys["data.train.path"]["required"]
    assert keys["model.rnn.cell"]["allowed"] == "rnn, lstm, gru"


def test_config_show_exits_with_2_and_one_line_per_fault(write, monkeypatch, capsys):
    path = write(DATA + "seed: x\nlr: 1")
    assert run(monkeypatch, "config", "show", path) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"rnncli: {path}:2: seed: 'x' is not allowed")
    assert captured.err.count("\n") == 2


# ---- the parser by itself -------------------------------------------------------------------------------------------


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
        max_leaves=10,
    )
)
@LOOSE
def test_plain_values_survive_yaml(value):
    assert yaml_text.parse(yaml_text.dump(value)).value == value
    line = yaml_text.dump_inline(value)
    assert "\n" not in line
    assert yaml_text.parse("key: " + line).value == {"key": value}


def test_lines_are_those_of_keys_and_items():
    lines = yaml_text.parse("a: 1\nb:\n  c:\n  - x\n  - y\n").lines
    assert lines[("a",)] == 1
    assert lines[("b",)] == 2
    assert lines[("b", "c")] == 3
    assert lines[("b", "c", 1)] == 5
