"""Arguments and options that several commands have."""

import json

import pytest

COMMANDS = [
    ["eval", "{}", "--json"],
    ["predict", "{}", "--text", "a fine film", "--json"],
    ["explain", "{}", "--text", "a fine film", "--json"],
    ["export", "{}", "--to", "keras-npz", "--json"],
]


def said(cli, words, checkpoint):
    done = cli(*[word.format(checkpoint) for word in words])
    assert done.code == 0
    return done.out


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_the_folder_of_a_run_means_its_best_checkpoint(finished, cli, words):
    found = []
    for checkpoint in ("runs/gru", "runs/gru/best.safetensors"):
        found.append(
            {key: value for key, value in json.loads(said(cli, words, checkpoint)).items() if key != "seconds"}
        )
    assert found[0] == found[1]


def test_a_sample_of_a_folder(finished, cli):
    assert said(cli, ["sample", "{}", "--length", "5"], "runs/language")


def test_members_of_an_ensemble_may_be_folders(finished, cli):
    words = ["predict", "runs/gru", "{}", "--ensemble", "--text", "a fine film"]
    assert said(cli, words, "runs/rnn") == said(cli, words, "runs/rnn/best.safetensors") != ""


def test_a_folder_without_a_checkpoint_is_refused(workdir, cli):
    (workdir / "empty").mkdir()
    done = cli("eval", "empty")
    assert done.code == 1
    assert "empty: holds no checkpoint" in done.err
