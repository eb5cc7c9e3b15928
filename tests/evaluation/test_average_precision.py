"""Average precision against numbers done by hand and against a slow loop of our own."""

from __future__ import annotations

import numpy as np
import pytest

from regionmed.evaluation.average_precision import (
    DRAWS,
    PlacedBox,
    _Matches,
    average_precision,
)

UNIT = (0.2, 0.2, 0.6, 0.6)
ELSEWHERE = (0.7, 0.7, 0.9, 0.9)
IOUS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)


def value(truth: list[PlacedBox], found: list[PlacedBox], pictures: int, iou: str) -> float:
    groups = [str(number) for number in range(pictures)]
    return average_precision(truth, found, groups, "test").estimate(iou).value


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    width = max(min(a[2], b[2]) - max(a[0], b[0]), 0)
    height = max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    areas = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
    return width * height / (sum(areas) - width * height)


def slow(truth: list[PlacedBox], found: list[PlacedBox], iou: float) -> float:
    """COCO's rule as a loop: label by label, box by box, recall level by recall level."""
    precisions = []
    for label in sorted({box.label for box in truth}):
        true = [box for box in truth if box.label == label]
        taken: set[int] = set()
        marks = []
        for box in sorted((b for b in found if b.label == label), key=lambda b: -b.score):
            best, best_overlap = None, iou
            for number, other in enumerate(true):
                shared = overlap(box.edges, other.edges)
                if other.picture == box.picture and number not in taken and shared >= best_overlap:
                    best, best_overlap = number, shared
            if best is not None:
                taken.add(best)
            marks.append(best is not None)
        hits = np.cumsum(marks)
        recall = hits / len(true)
        precision = hits / (np.arange(len(marks)) + 1)
        for level in RECALLS:
            reached = precision[recall >= level] if len(marks) else np.array([])
            precisions.append(reached.max() if len(reached) else 0.0)
    return float(np.mean(precisions))


def random_boxes(seed: int, pictures: int, labels: int) -> tuple[list[PlacedBox], list[PlacedBox]]:
    """True boxes, and proposals near some of them and elsewhere; no two scores are equal."""
    generator = np.random.default_rng(seed)
    truth, found = [], []
    for picture in range(pictures):
        for label in range(labels):
            for _ in range(generator.integers(0, 3)):
                x, y = generator.uniform(0, 0.6, 2)
                width, height = generator.uniform(0.02, 0.4, 2)
                edges = np.array([x, y, x + width, y + height])
                truth.append(PlacedBox(picture, label, tuple(edges)))
                shift = generator.normal(0, 0.1, 4) * [width, height, width, height]
                moved = edges + shift
                if moved[0] < moved[2] and moved[1] < moved[3]:
                    found.append(PlacedBox(picture, label, tuple(moved), generator.random()))
            if generator.random() < 0.5:
                found.append(PlacedBox(picture, label, ELSEWHERE, generator.random()))
    return truth, found


def test_one_box_found_and_one_missed_reach_half_of_the_recall() -> None:
    """Recall levels 0, .01, ... .50 have precision 1, the other fifty 0: 51 of 101."""
    truth = [PlacedBox(0, 0, UNIT), PlacedBox(1, 0, UNIT)]
    assert value(truth, [PlacedBox(0, 0, UNIT, 0.3)], 2, ".50") == pytest.approx(51 / 101)


def test_a_surer_false_box_halves_the_precision_and_an_unsure_one_costs_nothing() -> None:
    truth, right = [PlacedBox(0, 0, UNIT)], PlacedBox(0, 0, UNIT, 0.5)
    assert value(truth, [right, PlacedBox(1, 0, UNIT, 0.9)], 2, ".50") == pytest.approx(0.5)
    assert value(truth, [right, PlacedBox(1, 0, UNIT, 0.1)], 2, ".50") == pytest.approx(1)


def test_a_box_of_overlap_two_thirds_counts_at_four_of_ten_thresholds() -> None:
    """.4 x .4 against .4 x .6: IoU 2/3, at or above .50, .55, .60, .65."""
    truth = [PlacedBox(0, 0, UNIT)]
    found = [PlacedBox(0, 0, (0.2, 0.2, 0.6, 0.8), 0.5)]
    assert value(truth, found, 1, ".50:.95") == pytest.approx(0.4)
    assert value(truth, found, 1, ".50") == pytest.approx(1)


def test_nothing_proposed_earns_nothing_and_labels_weigh_the_same() -> None:
    truth = [PlacedBox(0, 0, UNIT), PlacedBox(0, 1, UNIT), PlacedBox(1, 1, ELSEWHERE)]
    assert value(truth, [], 2, ".50") == 0
    assert value(truth, [PlacedBox(0, 0, UNIT, 0.1)], 2, ".50") == pytest.approx(0.5)
    other = [PlacedBox(0, 7, UNIT, 0.9), PlacedBox(0, 0, UNIT, 0.1)]
    assert value(truth, other, 2, ".50") == pytest.approx(0.5)


@pytest.mark.parametrize(("seed", "labels"), [(0, 1), (1, 3), (2, 2)])
def test_it_agrees_with_a_slow_loop(seed: int, labels: int) -> None:
    truth, found = random_boxes(seed, 12, labels)
    expected = [slow(truth, found, iou) for iou in IOUS]
    assert 0.05 < np.mean(expected) < 0.95
    assert value(truth, found, 12, ".50:.95") == pytest.approx(np.mean(expected), abs=1e-9)
    assert value(truth, found, 12, ".50") == pytest.approx(expected[0], abs=1e-9)


def test_equal_scores_earn_chance_whatever_the_order_of_the_pictures() -> None:
    """One box in each of 60 pictures, right in 30: precision near one half, not 1 and not 0."""
    truth = [PlacedBox(picture, 0, UNIT) for picture in range(30)]
    found = [PlacedBox(picture, 0, UNIT, 1.0) for picture in range(60)]
    first = value(truth, found, 60, ".50")
    backwards = value(
        [PlacedBox(59 - box.picture, 0, box.edges) for box in truth], found[::-1], 60, ".50"
    )
    assert first == pytest.approx(0.55, abs=0.07)
    assert backwards == pytest.approx(0.55, abs=0.07)


def test_a_draw_counts_a_picture_as_often_as_it_is_drawn() -> None:
    """The evaluator asked anew, with copies of the pictures under numbers of their own."""
    truth, found = random_boxes(5, 8, 2)
    drawn = np.array([3, 0, 0, 7, 3, 3, 5, 1])
    copies = [
        [PlacedBox(row, b.label, b.edges, b.score) for row, p in enumerate(drawn) for b in boxes
         if b.picture == p]
        for boxes in (truth, found)
    ]  # fmt: skip
    again = _Matches(copies[0], copies[1], 8).precision(np.arange(8))
    assert _Matches(truth, found, 8).precision(drawn) == pytest.approx(again, nan_ok=True)


def test_the_interval_is_drawn_over_groups_and_pairs_with_the_same_seed() -> None:
    truth, found = random_boxes(4, 20, 2)
    groups = [str(number // 2) for number in range(20)]
    first = average_precision(truth, found, groups, "seed").estimate()
    again = average_precision(truth, found, groups, "seed").estimate()
    assert len(first.draws) == DRAWS
    assert first.low < first.value < first.high
    assert first.draws.tolist() == again.draws.tolist()
    one_group = average_precision(truth, found, ["all"] * 20, "seed").estimate()
    assert np.ptp(one_group.draws) == pytest.approx(0, abs=1e-9)


def test_a_stratum_counts_the_true_boxes_of_its_size() -> None:
    """sqrt(area) .4 is large and found; .05 is tiny and missed; none is small or medium."""
    truth = [PlacedBox(0, 0, UNIT), PlacedBox(1, 0, (0.1, 0.1, 0.15, 0.15))]
    precision = average_precision(truth, [PlacedBox(0, 0, UNIT, 0.5)], ["a", "b"], "seed")
    of = {name: precision.estimate(".50", name).value for name in ("large", "tiny", "medium")}
    assert of["large"] == pytest.approx(1)
    assert of["tiny"] == 0
    assert np.isnan(of["medium"])
    assert precision.groups["large"] == ["a"]
    assert precision.groups["all"] == ["a", "b"]


def test_without_a_true_box_there_is_nothing_to_find() -> None:
    with pytest.raises(ValueError, match="at least one true box"):
        average_precision([], [PlacedBox(0, 0, UNIT)], ["a"], "seed")
