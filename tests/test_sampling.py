import json
from collections import Counter

import numpy as np
import pytest
from tiny_runs import Cli, Silent
from tiny_tasks import language_config, trainer_of, write_text

from rnncli.data.language.steps import make_steps
from rnncli.run import train_run
from rnncli.run_dir import RunDir
from rnncli.sampling import Stepper, choose, generate, prompt_ids, until


@pytest.mark.parametrize(
    "cell", [{"cell": "rnn"}, {"cell": "lstm"}, {"cell": "gru"}, {"cell": "gru", "reset": "after"}]
)
@pytest.mark.parametrize("tied", [False, True])
def test_a_token_at_a_time_gives_the_scores_of_a_whole_reading(tmp_path, cell, tied, monkeypatch):
    model = {"embedding": {"dim": 5}, "rnn": {**cell, "hidden": [6, 5]}, "tied": tied}
    trainer, data = trainer_of(language_config(write_text(tmp_path / "a.txt"), model=model), tmp_path)
    list(trainer.run())
    ids = np.asarray(data.train.tokens[:40], np.int64)
    steps = make_steps(ids[None], ids[None], np.zeros((1, 40), bool))
    out, _, _ = trainer.model.forward(steps, trainer.model.fresh_state(1))
    w, b = trainer.model.output()
    expected = out @ w + b
    for table in (True, False):
        monkeypatch.setattr("rnncli.sampling.MOST_TABLE", 2**26 if table else 0)
        with monkeypatch.context() as patch:  # what nobody has filled yet must not count
            patch.setattr(np, "empty", lambda *given: np.full(given[0], np.nan, *given[1:]))
            stepper = Stepper(trainer.model)
        for again in (False, True):
            if again:
                stepper.reset()
            found = np.stack([stepper.read(int(token)) for token in ids])
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def drawn(scores, **options):
    rng = np.random.default_rng(1)
    return Counter(choose(np.log(np.array(scores)), rng, **options) for _ in range(4000))


def test_tokens_are_drawn_as_likely_as_they_are():
    p = [0.5, 0.3, 0.15, 0.05]
    for temperature in (1.0, 0.5, 2.0):
        expected = np.array(p) ** (1 / temperature)
        expected /= expected.sum()
        found = drawn(p, temperature=temperature)
        np.testing.assert_allclose([found[i] / 4000 for i in range(4)], expected, atol=0.03)


def test_few_likely_tokens_are_drawn_from():
    p = [0.1, 0.4, 0.2, 0.3]
    assert set(drawn(p, temperature=0)) == {1}
    assert set(drawn(p, top_k=2)) == {1, 3}
    assert set(drawn(p, top_k=100)) == {0, 1, 2, 3}
    assert set(drawn(p, top_p=0.4)) == {1}
    assert set(drawn(p, top_p=0.69)) == {1, 3}
    assert set(drawn(p, top_p=0.71)) == {1, 2, 3}
    assert set(drawn(p, top_p=1.0)) == {0, 1, 2, 3}
    assert set(drawn(p, top_k=3, top_p=0.5)) == {1, 3}


def test_what_must_not_be_drawn_is_not_at_any_temperature():
    scores = np.array([-np.inf, 0.0, -np.inf, 0.0])
    rng = np.random.default_rng(1)
    found = {choose(scores, rng, temperature) for temperature in (1.0, 1e-3, 100.0) for _ in range(300)}
    assert found == {1, 3}


@pytest.mark.parametrize(
    ("pieces", "stop", "expected"),
    [
        (["ab", "cd"], None, "abcd"),
        (["ab", "cd"], "", "abcd"),
        (["ab", "cd"], "bc", "a"),
        (["a", "a", "b", "c"], "ab", "a"),
        (["x", "a", "a"], "aab", "xaa"),
        (["abc"], "abc", ""),
        (list("mississippi!"), "issip", "miss"),
    ],
)
def test_a_text_ends_where_the_stop_begins(pieces, stop, expected):
    found = list(until(iter(pieces), stop))
    assert "".join(found) == expected
    assert "" not in found


@pytest.fixture
def checkpoint(workdir):
    path = write_text(workdir / "a.txt", 100)
    config = language_config(path, train={"epochs": 6}, model={"rnn": {"cell": "gru", "hidden": 24}})
    train_run(config, RunDir(workdir / "runs/x"), Silent())
    return "runs/x/best.safetensors"


def test_sample_prints_prompt_and_text(cli: Cli, checkpoint):
    done = cli("sample", checkpoint, "--prompt", "the dog", "--length", 60)
    assert done.code == 0, done
    assert done.out.startswith("the dog")
    assert len(done.out) == len("the dog") + 60 + 1
    assert cli("sample", checkpoint, "--prompt", "the dog", "--length", 60).out == done.out
    assert cli("sample", checkpoint, "--prompt", "the dog", "--length", 60, "--seed", 2).out != done.out
    greedy = [cli("sample", checkpoint, "--temperature", 0, "--seed", seed).out for seed in (1, 2)]
    assert greedy[0] == greedy[1] != done.out
    assert len(greedy[0]) == 501


def test_several_samples_differ_and_do_not_depend_on_how_many_there_are(cli: Cli, checkpoint):
    found = json.loads(cli("sample", checkpoint, "--num", 3, "--length", 30, "--json").out)
    texts = [sample["text"] for sample in found["samples"]]
    assert len(set(texts)) == 3
    assert [len(text) for text in texts] == [sample["tokens"] for sample in found["samples"]] == [30] * 3
    one = json.loads(cli("sample", checkpoint, "--length", 30, "--json").out)
    assert one["samples"][0]["text"] == texts[0]
    plain = cli("sample", checkpoint, "--num", 2, "--length", 30).out
    assert plain == f"--- 1 of 2\n{texts[0]}\n--- 2 of 2\n{texts[1]}\n"


def test_a_stop_ends_a_sample(cli: Cli, checkpoint):
    whole = json.loads(cli("sample", checkpoint, "--json").out)["samples"][0]["text"]
    stopped = json.loads(cli("sample", checkpoint, "--stop", ".", "--json").out)["samples"][0]
    assert stopped["text"] == whole[: whole.index(".")]
    assert stopped["tokens"] == whole.index(".") + 1


@pytest.mark.parametrize("tokenizer", [{"kind": "word"}, {"kind": "character"}, {"kind": "bpe", "size": 300}], ids=str)
def test_a_text_goes_on_after_its_prompt(workdir, cli: Cli, tokenizer):
    pytest.importorskip("tokenizers")
    write_text(workdir / "a.txt", 100)
    config = language_config("a.txt", data={"tokenizer": tokenizer}, train={"epochs": 3, "batch_size": 2})
    train_run(config, RunDir(workdir / "runs/x"), Silent())
    for prompt in ("the dog", "the dog ", "a plan.\n\nno"):
        text = json.loads(cli("sample", "runs/x/last.safetensors", "--prompt", prompt, "--length", 30, "--json").out)
        text = text["samples"][0]["text"]
        assert cli("sample", "runs/x/last.safetensors", "--prompt", prompt, "--length", 30).out == f"{prompt}{text}\n"
        if tokenizer["kind"] == "word":
            assert text[0] in " .\n"
            assert len(text.replace(".", " .").replace("\n", " \n ").split(" ")) > 20


def test_documents_begin_and_end(workdir, cli: Cli):
    path = write_text(workdir / "a.txt", 200)
    config = language_config(
        path,
        data={"document_boundary": "line"},
        train={"epochs": 8, "batch_size": 2},
        model={"rnn": {"cell": "gru", "hidden": 24}},
    )
    trainer, data = trainer_of(config)
    list(trainer.run())
    prompt = prompt_ids(data.codec, "")
    assert prompt.tolist() == [data.codec.end_of_text]
    rng = np.random.default_rng(1)
    lines = [data.codec.decode(generate(Stepper(trainer.model), data.codec, prompt, 500, rng)) for _ in range(20)]
    ended = [line for line in lines if len(line) < 500]
    assert len(ended) > 15
    assert sum(line.endswith(".") for line in ended) > 10


def test_what_cannot_be_sampled_from_is_refused(cli: Cli, checkpoint, workdir):
    assert "No such option" in cli.refused("sample", checkpoint, "--lenght", 3, code=2)
    assert "there is no such file" in cli.refused("sample", "none.safetensors")
    (workdir / "b.txt").write_text("abcab" * 50)
    train_run(language_config("b.txt", name="b"), RunDir(workdir / "runs/b"), Silent())
    assert "--prompt" in cli.refused("sample", "runs/b/last.safetensors", code=2)
    done = cli("sample", "runs/b/last.safetensors", "--prompt", "aZZb", "--length", 3)
    assert done.err == "2 tokens of the prompt are unknown to the model\n"
