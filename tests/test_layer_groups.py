import pytest

from rnncli.layer_groups import LayerGroup, layer_delays, layer_groups, layer_plan, layer_rates, lowest_layer

DEEP = ["embedding.W", *(f"rnn{n}.{d}.Wx" for n in range(11) for d in ("fwd", "bwd")), "attention.w", "output.w"]


def test_layers_come_from_the_output_down():
    groups = layer_groups(DEEP)
    assert [group.layer for group in groups] == ["output", *(f"rnn{n}" for n in reversed(range(11))), "embedding"]
    assert groups[0].names == ("attention.w", "output.w")
    assert groups[1].names == ("rnn10.fwd.Wx", "rnn10.bwd.Wx")
    assert sorted(name for group in groups for name in group.names) == sorted(DEEP)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (
            ["spelling.W", "spelling.fwd.Wh", "rnn0.fwd.b", "output.w", "output.b"],  # words frozen, or not
            [
                ("output", "output.w", "output.b"),
                ("rnn0", "rnn0.fwd.b"),
                ("embedding", "spelling.W", "spelling.fwd.Wh"),
            ],
        ),
        (["rnn0.fwd.b", "output.w"], [("output", "output.w"), ("rnn0", "rnn0.fwd.b")]),  # a frozen embedding
        (["embedding.W", "rnn0.fwd.b", "output.b"], [("output", "embedding.W", "output.b"), ("rnn0", "rnn0.fwd.b")]),
        (["ngrams.W", "ngrams.b", "output.w", "rnn0.fwd.b"], [("output", "output.w"), ("rnn0", "rnn0.fwd.b")]),
    ],
    ids=["spelling", "frozen", "tied", "wide"],
)
def test_what_belongs_where(names, expected):
    assert layer_groups(names) == [LayerGroup(layer, tuple(own)) for layer, *own in expected]


def test_each_layer_has_a_part_of_the_rate_above_and_waits_for_it():
    groups = layer_groups(["embedding.W", "rnn0.fwd.Wx", "rnn0.fwd.b", "rnn1.fwd.Wx", "output.w"])
    assert layer_rates(groups, 0.5) == {
        "output.w": 1.0,
        "rnn1.fwd.Wx": 0.5,
        "rnn0.fwd.Wx": 0.25,
        "rnn0.fwd.b": 0.25,
        "embedding.W": 0.125,
    }
    assert layer_delays(groups, 7) == {"rnn1.fwd.Wx": 7, "rnn0.fwd.Wx": 14, "rnn0.fwd.b": 14, "embedding.W": 21}


def test_the_plan_says_when_and_how_fast():
    names = ["embedding.W", "rnn0.fwd.Wx", "output.w", "ngrams.W"]
    groups = layer_groups(names)
    assert layer_plan(names, {**layer_rates(groups, 0.5), "ngrams.W": 7.0}, layer_delays(groups, 3), 0.4) == [
        {"layer": "output", "lr": 0.4, "first_step": 1},
        {"layer": "rnn0", "lr": 0.2, "first_step": 4},
        {"layer": "embedding", "lr": 0.1, "first_step": 7},
    ]
    assert layer_plan(names, {**layer_rates(groups, 1.0), "ngrams.W": 7.0}, {}, 0.4) == []


@pytest.mark.parametrize(
    ("names", "lowest"),
    [
        (["output.w", "attention.w", "ngrams.W"], 3),
        (["output.w", "rnn2.bwd.Wh"], 2),
        (["rnn2.fwd.Wx", "rnn1.fwd.Wx"], 1),
        (["embedding.W", "output.w"], 0),
        (["spelling.fwd.Wx"], 0),
    ],
)
def test_gradients_go_down_as_far_as_they_must(names, lowest):
    assert lowest_layer(names, 3) == lowest
