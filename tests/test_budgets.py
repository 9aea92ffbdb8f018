from dataclasses import replace

import pytest

from rnncli.budgets import FEWEST_STEPS, Pace, Start, choose

PACE = Pace(start=2.0, training=1000.0, scoring=4000.0, save=0.5, processes=1, step=0.01, cpu_share=1.0)


def start(recipe="best", epochs=3, tokens=10_000.0, **values):
    """Return settings whose epoch has 100 steps and takes 10 s, and a validation 1.25 s with its saves."""
    return Start(
        recipe=recipe,
        length=f"{epochs} epochs",
        values={"data": {}, "model": {}, "optim": {}, "train": {"epochs": epochs, "batch_size": 8, **values}},
        steps=100 * epochs,
        steps_per_epoch=100,
        train_tokens=tokens,
        valid_tokens=tokens / 10,
    )


def paces(**by_recipe):
    """Return what measures, and the list of the recipes that it was asked for."""
    asked = []

    def measure(one):
        asked.append(one.recipe)
        return by_recipe.get(one.recipe, PACE)

    return measure, asked


def test_a_run_is_start_steps_validations_and_saves():
    assert PACE.seconds_of(start()) == pytest.approx(2 + 3 * 10 + 3 * (0.25 + 2 * 0.5))
    assert PACE.seconds_of(start(validate_every=50)) == pytest.approx(2 + 3 * 10 + 6 * 1.25)
    assert PACE.seconds_of(replace(start(), steps=150)) == pytest.approx(2 + 15 + 2 * 1.25)


def test_what_is_preferred_is_taken_if_it_fits_and_nothing_else_is_measured():
    measure, asked = paces()
    recipes = [[start("best"), start("best", 1)], [start("quick")]]
    found = choose(recipes, 36.0, measure)
    assert (found.start, found.preferred, asked) == (recipes[0][0], None, ["best"])
    assert found.seconds == pytest.approx(35.75)


@pytest.mark.parametrize(
    ("budget", "expected"), [(35.0, ("best", 2)), (20.0, ("best", 1)), (13.0, ("quick", 3)), (4.0, ("quick", 1))]
)
def test_less_time_takes_the_next_that_fits(budget, expected):
    measure, asked = paces(quick=PACE._replace(training=10_000.0, save=0.0))
    recipes = [[start("best", epochs) for epochs in (3, 2, 1)], [start("quick", epochs) for epochs in (3, 1)]]
    found = choose(recipes, budget, measure)
    assert (found.start.recipe, found.start.values["train"]["epochs"]) == expected
    assert found.seconds <= budget
    assert found.preferred == ("best, 3 epochs", pytest.approx(35.75))
    assert asked == ["best", "quick"][: 1 + (expected[0] == "quick")]


@pytest.mark.parametrize(("budget", "seeds"), [(36, 1), (107, 1), (108, 3), (178, 3), (179, 5), (10**6, 5)])
def test_time_that_is_left_is_for_more_seeds(budget, seeds):
    assert choose([[start()]], budget, lambda _: PACE).seeds == seeds


def test_what_cannot_be_averaged_has_one_seed():
    assert choose([[replace(start(), averages=False)]], 10**6, lambda _: PACE).seeds == 1


@pytest.mark.parametrize(("budget", "steps", "epochs"), [(8.3, 50, 1), (18.3, 138, 2), (1.0, FEWEST_STEPS, 1)])
def test_with_too_little_time_for_anything_there_are_fewer_steps(budget, steps, epochs):
    found = choose([[start(epochs=3, validate_every=20)]], budget, lambda _: PACE)
    train = found.start.values["train"]
    assert train == {"epochs": epochs, "max_steps": steps, "batch_size": 8}
    assert found.start.steps == steps
    assert found.start.brief == f"best, {steps} steps"
    assert found.preferred is not None
    assert found.seconds == pytest.approx(PACE.start + steps * 0.1 + epochs * 1.25)
    assert found.seconds <= budget or steps == FEWEST_STEPS


def test_a_run_that_has_the_fewest_steps_stays_as_it_is():
    short = replace(start(epochs=1), steps=10, steps_per_epoch=10)
    found = choose([[short]], 0.5, lambda _: PACE)
    assert (found.start, found.seconds > 0.5) == (short, True)


def test_values_are_added_without_changing_what_was_there():
    before = start()
    after = before.with_values("train", {"train.workers": "long steps"}, workers="auto")
    assert after.values["train"] == {**before.values["train"], "workers": "auto"}
    assert "workers" not in before.values["train"]
    assert (after.why, before.why) == ({"train.workers": "long steps"}, {})
