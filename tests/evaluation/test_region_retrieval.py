"""Phrases and regions find regions: by hand, against torchmetrics and scikit-learn, and chance."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score
from torchmetrics.functional.retrieval import retrieval_average_precision, retrieval_hit_rate

from regionmed.corpus.shards import Corpus
from regionmed.evaluation.encode import Rows
from regionmed.evaluation.findings import Findings
from regionmed.evaluation.part import Part, open_parts
from regionmed.evaluation.ranking import METRICS, RANKS
from regionmed.evaluation.region_retrieval import (
    MOST_QUERIES,
    Gallery,
    asking,
    chance_by_region,
    found_by_region,
    found_by_text,
    outcomes_of,
    run_region_retrieval,
    score_region_retrieval,
)
from regionmed.evaluation.score import Score
from regionmed.evaluation.tasks import run_tasks
from regionmed.model.region_clip import RegionClip
from regionmed.progress import silent

GENERATOR = np.random.default_rng(0)


def gallery_of(labels: list[str], groups: list[str]) -> Gallery:
    return Gallery(
        tuple((row, 0) for row in range(len(labels))), np.array(labels), np.array(groups)
    )


@pytest.fixture(scope="module")
def scattered() -> Gallery:
    """120 regions of three labels in 25 groups."""
    labels = GENERATOR.choice(["a", "b", "c"], 120, p=[0.6, 0.3, 0.1]).tolist()
    return gallery_of(labels, GENERATOR.integers(0, 25, 120).astype(str).tolist())


@pytest.fixture(scope="module")
def part(squares: Corpus, untrained: RegionClip) -> Part:
    return next(iter(open_parts(untrained, [squares], "test")))


def rows_of(part: Part, regions_RE: np.ndarray) -> Rows:
    places = tuple((row, 0) for row in range(len(part.records)))
    images_NE = np.ones((len(places), regions_RE.shape[1]), np.float32) / 16
    return Rows(part.records, images_NE, regions_RE.astype(np.float32), places)


def of_direction(scores: list[Score], direction: str) -> dict[tuple[str, str], Score]:
    return {
        (score.metric, score.stratum): score
        for score in scores
        if score.details["direction"] == direction
    }


def test_a_region_does_not_find_those_of_its_own_group() -> None:
    """The nearest of all, in the query's group, is skipped: other a's stand first and third."""
    gallery = gallery_of(["a", "a", "a", "b", "a"], ["p", "p", "q", "r", "s"])
    vectors = np.array([[1.0], [0.99], [0.9], [0.8], [0.7]])
    found = found_by_region(np.array([[1.0]]), vectors, np.array([0]), gallery)
    assert found[0].tolist() == pytest.approx([(1 + 2 / 3) / 2, 1, 1, 1])


def test_without_ties_a_region_earns_what_torchmetrics_says(scattered: Gallery) -> None:
    vectors = GENERATOR.normal(size=(120, 8))
    queries = asking(scattered, ["a", "b", "c"])
    found = found_by_region(vectors[queries], vectors, queries, scattered)
    for query, values in zip(queries, found, strict=True):
        others = scattered.groups_R != scattered.groups_R[query]
        scores = torch.from_numpy(vectors[others] @ vectors[query])
        scores = scores - scores.min() + 1  # torchmetrics forgets right items below zero
        right = torch.from_numpy((scattered.labels_R == scattered.labels_R[query])[others])
        assert values[0] == pytest.approx(retrieval_average_precision(scores, right).item())
        hits = [retrieval_hit_rate(scores, right, top_k=k).item() for k in RANKS]
        assert values[1:].tolist() == pytest.approx(hits)


def test_without_ties_a_phrase_earns_what_scikit_learn_says(scattered: Gallery) -> None:
    similarity = GENERATOR.normal(size=(3, 120))
    found = found_by_text(similarity, ["a", "b", "c"], scattered, "seed")
    for column, label in enumerate("abc"):
        expected = average_precision_score(scattered.labels_R == label, similarity[column])
        assert found[0, column, 0] == pytest.approx(expected)


def test_a_draw_counts_a_group_as_often_as_it_was_drawn() -> None:
    """Two groups: p alone, q alone or both, so three values and no other, all worked by hand."""
    gallery = gallery_of(["a", "b", "a"], ["p", "p", "q"])
    found = found_by_text(np.array([[0.5, 0.9, 0.1]]), ["a"], gallery, "seed")
    both, only_q = (1 / 2 + 2 / 3) / 2, 1.0
    only_p = (1 / 3 + 2 / 4) / 2  # two b's before two a's
    assert found[0, 0, 0] == pytest.approx(both)
    assert sorted(set(np.round(found[1:, 0, 0], 9))) == pytest.approx([only_p, both, only_q])


def test_equal_vectors_give_exactly_chance_for_every_region(scattered: Gallery) -> None:
    vectors = np.tile(GENERATOR.normal(size=(1, 37)), (120, 1))
    queries = asking(scattered, ["a", "b", "c"])
    found = found_by_region(vectors[queries], vectors, queries, scattered)
    assert found == pytest.approx(chance_by_region(queries, scattered))


def test_chance_is_the_mean_over_shuffled_galleries(scattered: Gallery) -> None:
    query = asking(scattered, ["c"])[:1]
    shuffled = [
        found_by_region(np.ones((1, 1)), GENERATOR.random((120, 1)), query, scattered)[0]
        for _ in range(3000)
    ]
    expected = chance_by_region(query, scattered)[0]
    assert np.mean(shuffled, axis=0) == pytest.approx(expected, abs=0.03)


def test_a_label_of_one_group_does_not_ask_and_a_common_one_asks_no_more_than_allowed() -> None:
    common = MOST_QUERIES + 7
    labels = ["common"] * common + ["rare"] * 3
    gallery = gallery_of(labels, [str(n) for n in range(common)] + ["p"] * 3)
    queries = asking(gallery, ["common", "rare"])
    assert len(queries) == len(set(queries.tolist())) == MOST_QUERIES
    assert set(gallery.labels_R[queries]) == {"common"}


def test_an_untrained_model_with_equal_rows_scores_chance_in_both_directions(
    part: Part, untrained: RegionClip
) -> None:
    equal = np.ones((len(part.records), untrained.embedding_dim)) / 16
    found = run_region_retrieval(untrained, part, rows_of(part, equal))
    assert found is not None
    scores = score_region_retrieval(found)
    assert [score.metric for score in scores[:4]] == list(METRICS)
    for score in scores:
        assert score.value == pytest.approx(score.chance)
        assert score.controls["whole-picture"] == pytest.approx(score.chance)
    # dark squares lie on the right, bright ones on the left, all of one size
    by_region = of_direction(scores, "region to region")
    assert by_region["ap", "all"].controls["box-only"] == 1.0


def test_regions_that_lie_at_their_phrases_are_all_found(part: Part, untrained: RegionClip) -> None:
    phrases = [part.phrases[record.labels[0]] for record in part.records]
    found = run_region_retrieval(untrained, part, rows_of(part, untrained.encode_text(phrases)))
    assert found is not None
    scores = score_region_retrieval(found)
    assert [score.value for score in scores] == pytest.approx([1.0] * len(scores))
    assert of_direction(scores, "text to region")["ap", "all"].n == 2
    assert of_direction(scores, "region to region")["ap", "all"].n == 23
    outcomes = outcomes_of(found)
    assert [one.metric for one in outcomes] == [f"{name} region-to-region" for name in METRICS]
    assert outcomes[0].items[0] == "squares/test0.png#0"


def test_regions_of_uncertain_type_are_not_in_the_gallery(
    part: Part, untrained: RegionClip
) -> None:
    first = part.records[0]
    uncertain = replace(first, regions=(replace(first.regions[0], label="uncategorised"),))
    part = replace(part, records=(uncertain, *part.records[1:]))
    found = run_region_retrieval(untrained, part, rows_of(part, np.eye(23, 256)))
    assert found is not None
    assert len(found.gallery.places) == 22


def test_an_evaluation_leaves_regions_of_rarer_labels_out_of_the_gallery(
    part: Part, untrained: RegionClip
) -> None:
    first = part.records[0]
    rare = replace(first, regions=(replace(first.regions[0], label="rare"),))
    phrases = part.phrases | {"rare": "a rare square"}
    findings = Findings()
    some = replace(part, records=(rare, *part.records[1:]), phrases=phrases)
    run_tasks(untrained, some, findings, silent)
    (found,) = findings.region_retrieval
    assert set(found.gallery.labels_R) == {"bright", "dark"}
    assert len(found.gallery.places) == 22


def test_a_model_without_region_embeddings_is_not_asked(part: Part, untrained: RegionClip) -> None:
    rows = replace(rows_of(part, np.eye(23, 256)), regions_RE=np.zeros((0, 256)), places=())
    assert run_region_retrieval(untrained, part, rows) is None
