import json
import os
from pathlib import Path

import pytest
from tiny_runs import sample_config, write_config

from rnncli.cli import verify_resume as module
from rnncli.verifying import Verdict


@pytest.fixture
def config(workdir):
    return write_config(workdir / "sample.yaml", sample_config().model_dump(mode="json"))


def test_the_sample_config_is_equal_to_the_bit(cli, config):
    before = set(os.listdir())
    done = cli("verify-resume", config, "--steps", 60, "--kills", 2, "--seed", 3)
    assert done.code == 0, done
    first, *digests, last = done.out.splitlines()
    assert first.startswith("killed after the checkpoints of steps ")
    assert len(first.removeprefix("killed after the checkpoints of steps ").split(", ")) == 2
    assert len(digests) == 7
    assert all(line.endswith("  equal") for line in digests)
    assert last.startswith("2 kills, ")
    assert last.endswith(": equal to the bit")
    assert done.err.splitlines() == ["training straight, 60 steps at most", "training the same with 2 kills"]
    assert set(os.listdir()) - before <= {"runs"}  # the cache of the data alone
    assert not [name for name in os.listdir("runs") if name != ".cache"]


@pytest.fixture
def verdict(monkeypatch):
    """Give the command a verdict, and say what it was asked."""
    asked = []

    def prepare(value):
        def verify(*arguments):
            asked.append(arguments)
            assert Path(arguments[2]).is_dir()
            return value

        monkeypatch.setattr(module, "verify_resume", verify)
        return asked

    return prepare


def test_a_difference_is_exit_code_1_and_named(cli, config, verdict):
    verdict(Verdict(1, [5], ["metrics"], {"weights of last.safetensors": "a" * 64, "metrics": "b" * 64}))
    done = cli("verify-resume", config)
    assert done.code == 1
    assert [line.split()[-1] for line in done.out.splitlines()[1:-1]] == ["equal", "DIFFERS"]
    assert done.out.endswith(": differs\n")
    assert not done.err


def test_json_is_for_programs(cli, config, verdict):
    value = Verdict(2, [0, 5], [], {"metrics": "b" * 64})
    asked = verdict(value)
    done = cli(
        *("verify-resume", config, "--steps", 7, "--kills", 2, "--seed", 9, "--json"), "--set", "seed=4", "--set=name=x"
    )
    assert done.code == 0
    assert json.loads(done.out) == {
        **{"ok": True, "kills": 2, "killed_at": [0, 5], "differences": []},
        "digests": {"metrics": "b" * 64},
    }
    (arguments,) = asked
    assert arguments[0] == config
    assert arguments[1] == ("seed=4", "name=x")
    assert arguments[3:6] == (7, 2, 9)
    assert not Path(arguments[2]).exists()
    value.differences.append("metrics")
    done = cli("verify-resume", config, "--json")
    assert done.code == 1
    assert json.loads(done.out)["ok"] is False


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.yaml"], ["missing.yaml", "no such file"]),
        (["sample.yaml", "--set", "optim.lr=fast"], ["optim.lr", "fast"]),
    ],
)
def test_a_config_that_cannot_be_used_is_one_line(cli, config, arguments, words):
    line = cli.refused("verify-resume", *arguments, code=2)
    for word in words:
        assert word in line


def test_data_that_cannot_be_read_is_one_line(cli, config):
    done = cli("verify-resume", config, "--set", "data.train.path=missing.csv", "--steps", 2)
    assert "missing.csv" in done.failed(1)
    assert not done.out
