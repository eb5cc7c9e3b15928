"""scores.json has the format's keys, rounded numbers and nothing that is not JSON."""

import json

import numpy as np
import pytest

from regionmed.evaluation.score import Conditions, score_of, scores_json
from regionmed.evaluation.statistics import Estimate

CONDITIONS = Conditions("tiny", "ab12", "cd34", "test", "none: 0 of 3")


def test_a_row_has_the_keys_of_the_format_in_its_order_then_the_details() -> None:
    score = score_of(
        Estimate(2 / 3, np.linspace(0.5, 0.9, 2001)),
        task="retrieval",
        set="medpix2",
        metric="recall@1",
        n=3,
        chance=0.1,
        controls={"blank": 1 / 3},
        conditions=CONDITIONS,
        details={"direction": "image to text"},
    )
    row = json.loads(scores_json([score]))[0]
    keys = "task set stratum metric value low high n chance controls model corpus split leakage"
    assert list(row) == [*keys.split(), "weights", "direction"]
    assert (row["value"], row["low"], row["high"]) == (0.666667, 0.51, 0.89)
    assert row["controls"] == {"blank": 0.333333}
    assert row["stratum"] == "all"


def test_a_number_that_is_none_is_refused_rather_than_written() -> None:
    score = score_of(
        Estimate(float("nan"), np.zeros(2000)),
        task="vqa",
        set="s",
        metric="accuracy",
        n=0,
        chance=0.1,
        conditions=CONDITIONS,
    )
    with pytest.raises(ValueError, match="JSON"):
        scores_json([score])
