"""Who draws a step changes nothing; a stage draws from the sets it names."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch

import regionmed
from regionmed.errors import RecipeError
from regionmed.training.loader import draw_steps
from regionmed.training.prepare import Ready, check_recipe


def test_two_processes_draw_the_same_steps_in_the_same_order_as_none(ready: Ready) -> None:
    stage = ready.learner.recipe.stages[1]
    alone, together = (
        list(draw_steps(ready.drawer, stage, range(5, 12), workers)) for workers in (0, 2)
    )
    assert len(alone) == len(together) == 7
    for one, two in zip(alone, together, strict=True):
        for field in fields(one):
            mine, other = getattr(one, field.name), getattr(two, field.name)
            same = torch.equal(mine, other) if isinstance(mine, torch.Tensor) else mine == other
            assert same, field.name
    assert not torch.equal(alone[0].early_BCHW, alone[1].early_BCHW)


def test_a_stage_may_mix_its_sets_as_it_likes(ready: Ready) -> None:
    # six of the eight pictures are made another set's
    items = [
        replace(item, record=replace(item.record, set="few" if n < 2 else "many"))
        for n, item in enumerate(ready.examples.items)
    ]
    drawer = replace_examples(ready, items)

    def counts(shares: dict[str, float] | None) -> Counter:
        stage = replace(ready.learner.recipe.stages[1], sets=shares)
        drawn = Counter()
        for step in draw_steps(drawer, stage, range(100)):
            (number,) = numbers_of(step, drawer)
            drawn[items[number].record.set] += 1
        return drawn

    # by the square roots of 2 and 6: 1.41 : 2.45, so 37 %
    assert counts(None)["few"] == pytest.approx(37, abs=12)
    assert counts({"few": 4.0, "many": 1.0})["few"] == pytest.approx(80, abs=12)
    assert counts({"many": 1.0}) == {"many": 100}


def replace_examples(ready: Ready, items: list):
    """The drawer with other examples, one picture a step."""
    from regionmed.training.draw import Drawer
    from regionmed.training.examples import Examples

    examples = Examples(items, ready.examples.bank, ready.examples.vocabulary)
    drawer = ready.drawer
    return Drawer(examples, drawer.views, 1, 1, drawer.seed, drawer.grid)


def numbers_of(step, drawer) -> list[int]:
    """Which pictures a step shows, found by their cached maps."""
    return [
        number
        for shown in step.early_BCHW
        for number in range(len(drawer.examples.items))
        if torch.equal(shown, drawer.views.early([(number, 0)])[0])
    ]


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ({"smeers": 1.0}, r"stage 'global' draws from the set 'smeers', .* are of smears"),
        ({"smears": 0.0}, r"stage 'global' draws a set with a weight that is not above 0"),
    ],
)
def test_a_set_that_cannot_be_drawn_is_refused(
    sets: dict, message: str, smears: Path, short
) -> None:
    stage, corpora = short().stages[0], [regionmed.open_corpus(smears)]
    with pytest.raises(RecipeError, match=message):
        check_recipe(short(stages=(replace(stage, sets=sets),)), corpora)
