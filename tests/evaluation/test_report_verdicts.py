"""What a score proves, and which failures the first screen names; numbers worked by hand."""

from __future__ import annotations

from typing import Any

import pytest

from regionmed.evaluation.report.failures import worst_rival
from regionmed.evaluation.report.tables import flags, heads
from regionmed.evaluation.report.verdicts import (
    against,
    against_chance,
    find,
    hardest,
    headline_scores,
    rivals_of,
)
from regionmed.evaluation.report.words import anchor_of, counted, title_of
from regionmed.evaluation.score import Conditions, Score

CONDITIONS = Conditions("model", "weights", "corpus", "test", "none")


def score(**fields: Any) -> Score:
    """Regions of a set, .6 [.5, .7] against chance .4, unless told otherwise."""
    usual: dict[str, Any] = {
        "task": "region_classification", "set": "cells", "metric": "macro_accuracy",
        "value": 0.6, "low": 0.5, "high": 0.7, "n": 40, "chance": 0.4, "conditions": CONDITIONS,
    }  # fmt: skip
    return Score(**{**usual, **fields})


def difference(value: float, low: float, high: float) -> dict[str, float]:
    return {"value": value, "low": low, "high": high}


@pytest.mark.parametrize(
    ("low", "high", "standing"),
    [(0.41, 0.8, "above"), (0.4, 0.8, "level"), (0.39, 0.8, "level"), (0.1, 0.39, "below")],
)
def test_a_score_is_above_chance_only_where_its_whole_interval_is(
    low: float, high: float, standing: str
) -> None:
    assert against_chance(score(low=low, high=high)).standing == standing


def test_an_error_is_better_where_it_is_lower() -> None:
    error = score(task="prompt_classification", metric="ece", value=0.1, low=0.05, high=0.2)
    assert against_chance(error).standing == "above"
    assert against_chance(score(metric="ece", low=0.5, high=0.7)).standing == "below"


def test_the_paired_difference_decides_and_not_the_overlap_of_intervals() -> None:
    # .6 [.5, .7] overlaps .55, but item by item the gain is sure
    paired = score(
        controls={"box-only": 0.55},
        details={"differences": {"box-only": difference(0.05, 0.01, 0.09)}},
    )
    unpaired = score(controls={"box-only": 0.55})
    assert [one.standing for one in rivals_of(paired)] == ["above"]
    assert [one.standing for one in rivals_of(unpaired)] == ["level"]
    assert against(paired, "blank") is None


def test_flags_name_chance_first_and_else_every_answer_that_sees_less() -> None:
    assert flags(score(low=0.3)) == ["not clear of chance"]
    against_both = {
        "box-only": difference(-0.1, -0.2, -0.01),
        "whole-picture": difference(0.0, -0.1, 0.1),
    }
    controls = {"box-only": 0.7, "whole-picture": 0.6}
    beaten = score(controls=controls, details={"differences": against_both})
    assert flags(beaten) == ["below box-only", "no better than whole-picture"]
    worst = worst_rival(beaten)
    assert worst is not None
    assert (worst.rival, worst.gain) == ("box-only", -0.1)
    assert flags(score()) == []


def test_the_hardest_to_beat_sees_less_than_the_model() -> None:
    # context-free sees the region, so it is no blind answer
    controls = {"box-only": 0.55, "majority": 0.4, "context-free": 0.9}
    assert hardest(score(controls=controls)) == ("box-only", 0.55)
    assert hardest(score()) == ("chance", 0.4)


def test_headlines_are_whole_sets_with_given_boxes_and_all_examples() -> None:
    kept = [
        score(),
        score(task="linear_probe", details={"target": "regions", "shots": "all"}),
        score(task="prompt_classification", set="films", metric="auroc"),
    ]
    left_out = [
        score(set="mean:all"),
        score(stratum="small"),
        score(metric="accuracy"),
        score(details={"boxes": "predicted"}),
        score(task="linear_probe", details={"target": "regions", "shots": 4}),
    ]
    assert headline_scores([*left_out, *kept]) == kept


def test_the_auroc_of_prompts_is_a_headline_only_without_an_accuracy() -> None:
    both = [score(task="prompt_classification", metric=m) for m in ("macro_accuracy", "auroc")]
    assert headline_scores(both) == both[:1]


def test_a_tile_shows_the_mean_over_sets_where_there_is_one() -> None:
    mean, given = score(set="mean:all", value=0.65), score()
    (head,) = heads([given, score(details={"boxes": "none"}, set="mean:all"), mean])
    assert head.score == mean
    assert (head.rival, head.rival_value) == ("chance", 0.4)


def test_scores_are_found_by_field_and_detail() -> None:
    moved = score(details={"boxes": "jitter-10"})
    small = score(stratum="small")
    scores = [moved, small, score()]
    wanted = {"task": "region_classification", "metric": "macro_accuracy", "set": "cells"}
    assert find(scores, **wanted) == scores[2]
    assert find(scores, **wanted, boxes="jitter-10") == moved
    assert find(scores, **wanted, stratum="small") == small
    assert find(scores, **wanted, boxes="random") is None


def test_names_and_anchors_tell_scores_apart() -> None:
    scores = [
        score(),
        score(stratum="regions:6+"),
        score(stratum="regions:6"),
        score(details={"boxes": "jitter-10"}),
        score(task="retrieval", metric="recall@5", details={"direction": "image to text"}),
        score(task="linear_probe", details={"target": "regions", "shots": 4}),
        score(task="linear_probe", details={"target": "regions", "shots": "all"}),
        score(task="grounding", metric="ap", details={"iou": ".50", "boxes": "predicted"}),
        score(task="grounding", metric="ap", details={"iou": ".50:.95", "boxes": "predicted"}),
    ]
    assert len({anchor_of(one) for one in scores}) == len(scores)
    assert title_of(scores[1]) == "cells, 6+ regions in the picture"
    assert title_of(scores[3]) == "cells, boxes moved 10 %"
    assert title_of(scores[5]) == "cells, regions, 4 examples a label"


def test_what_is_counted_has_its_unit() -> None:
    assert counted(score(n=1204)) == "1,204 regions"
    assert counted(score(n=1)) == "1 region"
    assert counted(score(task="grounding", metric="pointing")) == "40 phrases"
    assert counted(score(task="linear_probe", details={"target": "pictures"})) == "40 pictures"
