"""A plan tells what a run will do, and measuring it changes nothing."""

from __future__ import annotations

from pathlib import Path

import torch

import regionmed
from regionmed.training.plan import Plan, plan_run
from regionmed.training.prepare import Ready
from regionmed.training.state import tensors_of
from regionmed.training.train import train


def test_a_plan_counts_steps_and_moving_numbers_adds_up_times_and_moves_nothing(
    ready: Ready,
) -> None:
    model, state = ready.learner.model, ready.learner.state
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    plan = plan_run(ready.learner, ready.drawer)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not state.optimizer.state
    assert [(stage.name, stage.steps) for stage in plan.stages] == [("global", 3), ("joint", 3)]
    # two projections (1280 and 384 wide) into 256 with their biases, and one temperature
    assert plan.stages[0].trains["heads"] == 1280 * 256 + 256 + 384 * 256 + 256 + 1
    assert set(plan.stages[1].trains) == {"trunk", "heads", "roi"}
    times = [stage.step_seconds for stage in plan.stages]
    assert min(times) > 0
    assert plan.seconds == 3 * times[0] + 3 * times[1]
    assert plan.peak_bytes > sum(t.nbytes for t in tensors_of(state).values())


def test_what_is_done_is_in_no_plan(ready: Ready) -> None:
    ready.learner.state.step = 4
    plan = plan_run(ready.learner, ready.drawer)
    ready.learner.state.step = 0
    assert (plan.done, [(stage.name, stage.steps) for stage in plan.stages]) == (4, [("joint", 2)])


def test_a_run_whose_plan_was_heard_ends_with_the_same_weights(
    smears: Path, short, calm: Path, tmp_path: Path
) -> None:
    heard: list[Plan | str] = []
    told = train(short(), [regionmed.open_corpus(smears)], tmp_path / "told", tell=heard.append)
    assert [type(said) for said in heard] == [Plan]
    weights = [(run / "model" / "weights.safetensors").read_bytes() for run in (told, calm)]
    assert weights[0] == weights[1]
