from pathlib import Path

import pytest
from tiny_runs import merged, tiny_values, write_config
from tiny_tasks import language_values, tagging_values

from rnncli.config import read_config
from rnncli.errors import ConfigError
from rnncli.sweeping import read_sweep
from rnncli.sweeping.space import MOST_CHECKED, Numbers, Values, combinations

ROOT = Path(__file__).parents[1]


def space_of(workdir, text, values=None):
    config = write_config(workdir / "c.yaml", values or tiny_values("tiny.csv"))
    (workdir / "s.yaml").write_text(text, encoding="utf-8")
    return read_sweep(Path("s.yaml"), read_config(config))


def refusal(workdir, text, values=None):
    with pytest.raises(ConfigError) as caught:
        space_of(workdir, text, values)
    assert "\n" not in str(caught.value), caught.value
    return str(caught.value)


def test_ranges_and_choices_by_what_the_keys_take(workdir):
    sweep = space_of(
        workdir,
        """
        space:
          optim.lr: {low: 1e-4, high: 1, log: true}
          model.dropout: {low: 0, high: 0.6, step: 0.1}
          model.rnn.hidden: {low: 8, high: 64, step: 8}
          model.rnn.cell: {choice: [lstm, rnn]}
          optim.schedule: {choice: [{name: constant}, {name: cosine, warmup_steps: 3}]}
          train.patience: {choice: [null, 3]}
        """,
    )
    assert sweep.space["optim.lr"] == Numbers(1e-4, 1.0, True, None)
    assert sweep.space["model.dropout"] == Numbers(0.0, 0.6, False, 0.1)
    assert not sweep.space["model.dropout"].whole
    assert sweep.space["model.rnn.hidden"] == Numbers(8, 64, False, 8)
    assert sweep.space["model.rnn.hidden"].whole
    assert sweep.space["model.rnn.cell"] == Values({"lstm": "lstm", "rnn": "rnn"})
    assert list(sweep.space["train.patience"].by_text) == ["null", "3"]
    assert (sweep.metric, sweep.more_is_better) == ("accuracy", True)
    drawn = {"optim.lr": 0.003, "optim.schedule": {"name": "cosine", "warmup_steps": 3}, "model.rnn.hidden": 16}
    config = sweep.config_with(drawn, "another")
    assert (config.name, config.optim.lr, config.model.rnn.hidden) == ("another", 0.003, 16)
    assert config.optim.schedule.warmup_steps == 3
    assert sweep.config.name == "tiny"
    assert sweep.config.optim.lr == 0.01


@pytest.mark.parametrize("keys", [["optim", "optim.lr"], ["optim.lr", "optim"]])
def test_a_key_beside_the_section_it_is_in_has_its_effect(workdir, keys):
    entries = {"optim": "{choice: [{name: adam}, {name: sgd}]}", "optim.lr": "{low: 0.001, high: 0.1}"}
    sweep = space_of(workdir, "space:\n" + "".join(f"  {key}: {entries[key]}\n" for key in keys))
    drawn = {"optim": {"name": "sgd"}, "optim.lr": 0.037}
    config = sweep.config_with({key: drawn[key] for key in keys}, "c")
    assert (config.optim.name, config.optim.lr) == ("sgd", 0.037)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("optim.lrr: {low: 1e-4, high: 1e-2}", "s.yaml:2: optim.lrr: is not a key here"),
        ("optim.lrr: {low: 1e-4, high: 1e-2}", "Did you mean 'lr'?"),
        ("optm.lr: {low: 1e-4, high: 1e-2}", "s.yaml:2: optm.lr: is not a key here"),
        ("name.x: {choice: [1]}", "name.x: cannot be swept over: it is the folder's"),
        ("model.rnn.hidden.x: {choice: [1]}", "model.rnn.hidden is 8 and has no keys"),
        ("optim.lr: {low: 1e-4, high: 5000}", "s.yaml:2: optim.lr: 5000.0 is not allowed (a number, above 0"),
        ("optim.lr: {low: 0, high: 1}", "s.yaml:2: optim.lr: 0.0 is not allowed"),
        ("model.rnn.hidden: {low: 8.5, high: 64}", "model.rnn.hidden: 8.5 is not allowed (a whole number"),
        ("model.rnn.hidden: {low: 8, high: 64, step: 0.5}", "takes whole numbers; step is 0.5"),
        ("model.rnn.hidden: {choice: [8, eight]}", "s.yaml:2: model.rnn.hidden: 'eight' is not allowed"),
        ("model.rnn.cell: {choice: [lstm, gruu]}", "Did you mean 'gru'?"),
        ("model.rnn.cell: {low: 1, high: 2}", "takes no numbers (rnn, lstm, gru). Write {choice: [...]}"),
        ("model.rnn.forget_bias: {low: 0, high: 2}", "belongs to cell lstm; this is gru"),
        ("optim.lr: {low: 1, high: 0.5}", "low 1 is not below high 0.5"),
        ("optim.lr: {low: 0.1, high: 0.1}", "is not below"),
        ("model.dropout: {low: 0, high: 0.5, log: true}", "log needs numbers above 0, low is 0"),
        ("optim.lr: {low: 0.1, high: 0.5, log: true, step: 0.1}", "log and step exclude each other"),
        ("model.dropout: {low: 0, high: 0.5, step: 0.2}", "there is no 0.5. Write high: 0.4"),
        ("model.dropout: {low: 0, high: 0.5, step: 2}", "step 2 is more than there is"),
        ("model.dropout: {low: 0, high: 0.5, step: 0}", "s.yaml:2: space.model.dropout.step: 0 is not above 0"),
        ("model.dropout: {low: 0}", "space.model.dropout.high: is missing"),
        ("model.dropout: {low: 0, high: 0.5, steps: 0.1}", "space.model.dropout.steps: is not a key here"),
        ("model.dropout: {low: 0, high: .inf}", "space.model.dropout.high: inf is not a number"),
        ("model.dropout: {low: true, high: 2}", "space.model.dropout.low: true is not a number"),
        ("model.dropout: {low: '0', high: 2}", "space.model.dropout.low: '0' is not a number"),
        ("model.dropout: [0, 0.5]", "space.model.dropout: a list is not allowed (a section with the keys choice)"),
        ("model.dropout: {choice: []}", "space.model.dropout.choice: a list is not allowed"),
        ("model.dropout: {choice: [0.1, 0.1]}", "has the same choice twice"),
        ("seed: {choice: [1, 2]}", "s.yaml:2: seed: cannot be swept over: to see how much it matters: rnncli train"),
        ("data.valid_fraction: {low: 0.1, high: 0.2}", "validated on the same data"),
        ("data.train.path: {choice: [a, b]}", "validated on the same data"),
        ("train.workers: {choice: [1, 2]}", "does not change what is learned"),
        ("train.best_metric: {choice: [loss]}", "give metric"),
        ("data: {choice: [{max_length: 9}]}", "data: cannot be swept over as a whole, with data.train in it: trials"),
        ("train: {choice: [{epochs: 1}]}", "with train.best_metric in it: it is what"),
    ],
)
def test_what_cannot_be_tried_is_refused_with_file_and_line(workdir, entry, said):
    found = refusal(workdir, f"space:\n  {entry}\n")
    assert found.startswith("s.yaml:2: ")
    assert said in found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "s.yaml: is empty"),
        ("- a", "s.yaml: must be keys"),
        ("trials: 3", "s.yaml: space: is missing"),
        ("space:", "space: null is not allowed"),
        ("space: {}", "space"),
        ("space: {model.dropout: {choice: [0]}}\ntrials: 0", "s.yaml:2: trials: 0 is not allowed"),
        ("space: {model.dropout: {choice: [0]}}\ntrails: 9", "Did you mean 'trials'?"),
        ("space: {model.dropout: {choice: [0]}}\nmetric: f1", "s.yaml:2: metric: 'f1' is not a metric of task"),
        ("space: {model.dropout: {choice: [0]}}\nsampler: grid", "sampler: 'grid' is not allowed (tpe, random)"),
        ("space: {model.dropout: {choice: [0]}}\npruner: hyperband", "(median, none)"),
        ("space: {model.dropout: {choice: [0]}}\ntimeout_minutes: 0", "above 0"),
        ("space: {model.dropout: {choice: [0]}}\n\tx", "a tab"),
    ],
)
def test_a_file_that_is_no_sweep_is_refused(workdir, text, said):
    assert said in refusal(workdir, text)


def test_keys_that_do_not_go_together_are_found_before_anything_is_trained(workdir):
    found = refusal(
        workdir,
        "space:\n  model.rnn.layers: {choice: [2, 1]}\n  model.rnn.cell: {choice: [gru, lstm]}\n"
        "  model.rnn.forget_bias: {choice: [0.5]}\n",
    )
    assert found.startswith("s.yaml:4: model.rnn.forget_bias: belongs to cell lstm; this is gru")


def test_the_metric_is_what_best_checkpoints_are_chosen_by(workdir):
    sweep = space_of(workdir, "metric: loss\nspace: {model.dropout: {choice: [0]}}")
    assert (sweep.metric, sweep.more_is_better, sweep.config.train.best_metric) == ("loss", False, "loss")
    values = merged(tiny_values("tiny.csv"), {"train": {"best_metric": "macro_f1"}})
    assert space_of(workdir, "space: {model.dropout: {choice: [0]}}", values).metric == "macro_f1"


def test_other_tasks(workdir):
    text = "space: {model.dropout: {low: 0, high: 0.5}}"
    language = space_of(workdir, text, language_values("t.txt"))
    assert (language.metric, language.more_is_better) == ("loss", False)
    assert "(loss)" in refusal(workdir, f"metric: accuracy\n{text}", language_values("t.txt"))
    said = refusal(workdir, "space: {data.tokenizer.kind: {choice: [word]}}", language_values("t.txt"))
    assert "losses per token" in said
    tagger = space_of(workdir, f"metric: entity_f1\n{text}", tagging_values("t.conllu"))
    assert tagger.config.train.best_metric == "entity_f1"


def test_drawn_numbers_have_few_digits_and_stay_within_the_range():
    free = Numbers(0.00123456, 0.98765, True, None)
    assert free.tidy(0.0123456789) == 0.01235
    assert free.tidy(0.00123456) == 0.001235
    assert free.tidy(0.987649) == 0.9876
    assert Numbers(0.12344, 0.98765, False, None).tidy(0.12344) == 0.12344
    assert Numbers(0.0, 0.6, False, 0.1).tidy(0.1 + 0.1 + 0.1) == 0.3
    whole = Numbers(8, 64, False, None).tidy(12345678)
    assert (whole, type(whole)) == (12345678, int)


def test_every_combination_is_checked_where_there_are_not_too_many():
    two = {"a": Numbers(0, 1, False, None), "b": Values({"x": "x", "y": "y", "z": "z"})}
    assert len(list(combinations(two))) == 6
    many = {f"k{n}": Numbers(0, 1, False, None) for n in range(9)}
    assert 2 ** len(many) > MOST_CHECKED
    found = list(combinations(many))
    assert len(found) == 18
    assert all({one[key] for one in found} == {0, 1} for key in many)


def test_the_sweep_that_ships_fits_its_config(monkeypatch):
    monkeypatch.chdir(ROOT)
    for path in sorted(Path("configs/sweeps").glob("*.yaml")):
        read_sweep(path, read_config(Path("configs") / path.name))
