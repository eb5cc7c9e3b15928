"""The probe learns from train rows alone, chooses C on val, and gives chance where all is equal."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from regionmed.corpus.shards import Corpus
from regionmed.evaluation.encode import Rows
from regionmed.evaluation.linear_probe import (
    DRAWS_OF_SHOTS,
    UNTRIED,
    LinearProbe,
    draw_shots,
    outcomes_of,
    run_linear_probe,
    score_linear_probe,
)
from regionmed.evaluation.part import Part, open_parts
from regionmed.evaluation.scored_rows import apart_from, scored_rows
from regionmed.model.region_clip import RegionClip


def rows_like(part: Part, split: str, separation: float, seed: int = 0) -> Rows:
    """Rows of four random numbers, all moved by `separation` for pictures that are bright."""
    records = tuple(record for _, record in part.everything if record.split == split)
    generator = np.random.default_rng(seed)
    vectors = generator.normal(size=(len(records), 4)).astype(np.float32)
    vectors += [[separation * (record.labels[0] == "bright")] for record in records]
    places = tuple((row, 0) for row in range(len(records)))
    return Rows(records, vectors, vectors.copy(), places)


@pytest.fixture(scope="module")
def part(squares: Corpus, untrained: RegionClip) -> Part:
    return next(iter(open_parts(untrained, [squares], "test")))


def all_rows(part: Part, separation: float) -> tuple[Rows, Rows, Rows]:
    return (
        rows_like(part, "train", separation, 0),
        rows_like(part, "val", separation, 1),
        rows_like(part, "test", separation, 2),
    )


def pictures_only(rows: Rows) -> Rows:
    """Without regions, whose box-only controls take their time."""
    return replace(rows, regions_RE=rows.regions_RE[:0], places=())


@pytest.fixture(scope="module")
def middling(part: Part) -> tuple[LinearProbe, ...]:
    """Probes of embeddings that overlap."""
    probes = run_linear_probe(part, *all_rows(part, 0.5))
    assert probes is not None
    return probes


def test_separable_embeddings_are_read_rightly_from_all_rows_and_from_few(part: Part) -> None:
    probes = run_linear_probe(part, *all_rows(part, 40.0))
    assert probes is not None
    assert [(probe.target, probe.shots) for probe in probes] == [
        (target, shots) for target in ("regions", "pictures") for shots in (None, 1, 4)
    ]  # six train rows a label: sixteen cannot be drawn
    assert [score.value for score in score_linear_probe(probes)] == [1.0] * 6


def test_embeddings_that_are_all_equal_give_chance(part: Part) -> None:
    train, val, test = (
        pictures_only(replace(one, images_NE=np.ones_like(one.images_NE)))
        for one in all_rows(part, 0.0)
    )
    probes = run_linear_probe(part, train, val, test)
    assert probes is not None
    for score in score_linear_probe(probes):
        assert score.value == pytest.approx(score.chance) == 0.5
        assert score.controls["majority"] == pytest.approx(0.5)


def test_the_score_is_the_balanced_accuracy_of_scikit_learn(
    middling: tuple[LinearProbe, ...],
) -> None:
    for probe, score in zip(middling, score_linear_probe(middling), strict=True):
        truth = probe.asked.labels_N == "bright"
        said_DN = np.where(probe.hits_DN == 1, truth, ~truth)
        of_draws = [balanced_accuracy_score(truth, said) for said in said_DN]
        assert len(of_draws) == (1 if probe.shots is None else DRAWS_OF_SHOTS)
        assert score.details["draws"] == pytest.approx(of_draws)
        assert score.value == pytest.approx(np.mean(of_draws))
        assert 0.5 < score.value < 1


def test_boxes_alone_tell_the_squares_apart_and_stand_beside_regions_only(
    middling: tuple[LinearProbe, ...],
) -> None:
    scores = score_linear_probe(middling)
    assert scores[0].controls["box-only"] == 1.0  # bright ones lie left, dark ones right
    assert all("box-only" not in score.controls for score in scores[3:])


def test_a_picture_the_model_was_trained_on_is_not_asked(part: Part) -> None:
    rows = rows_like(part, "test", 0.0)
    assert len(rows.records) == 24
    kept = scored_rows(part, rows)
    assert [record.id for record in kept.records] == [record.id for record in part.records]
    assert "squares/test3.png" not in {record.id for record in kept.records}
    assert kept.places == tuple((row, 0) for row in range(23))
    assert np.array_equal(kept.images_NE, np.delete(rows.images_NE, 3, axis=0))


def test_train_rows_that_share_a_patient_or_a_family_are_dropped_and_counted(part: Part) -> None:
    train, val, test = all_rows(part, 40.0)
    named = {0: {"group": "p"}, 1: {"twins": "f"}, 2: {"group": "other"}}
    train = replace(
        train,
        records=tuple(replace(r, **named.get(row, {})) for row, r in enumerate(train.records)),
    )
    test = replace(
        test,
        records=tuple(
            replace(r, group="p", twins="f") if row == 0 else r
            for row, r in enumerate(test.records)
        ),
    )
    assert [r.id for r in apart_from(train, test.records).records] == [
        f"squares/train{number}.png" for number in range(2, 12)
    ]
    probes = run_linear_probe(part, pictures_only(train), pictures_only(val), pictures_only(test))
    assert probes is not None
    assert (probes[0].examples, probes[0].dropped) == (10, 2)


def test_where_val_is_scored_it_does_not_choose_its_own_strength(part: Part) -> None:
    train, val, test = map(pictures_only, all_rows(part, 0.5))
    on_val = replace(part, conditions=replace(part.conditions, split="val"))
    probes = run_linear_probe(on_val, train, val, test)
    assert probes is not None
    assert {probe.strength for probe in probes} == {UNTRIED}
    assert {score.details["C_chosen_on"] for score in score_linear_probe(probes)} == {"nothing"}


def test_train_rows_are_not_scored(squares: Corpus, untrained: RegionClip) -> None:
    part = next(iter(open_parts(untrained, [squares], "train")))
    train, val, _ = all_rows(part, 0.5)
    assert run_linear_probe(part, train, val, train) is None


def test_shots_are_as_many_of_each_label_and_the_same_every_time() -> None:
    labels = np.array(["a"] * 30 + ["b"] * 3)
    drawn = draw_shots(labels, 4, 0)
    assert labels[drawn].tolist() == ["a"] * 4 + ["b"] * 3  # b has no fourth
    assert drawn.tolist() == draw_shots(labels, 4, 0).tolist()
    assert drawn.tolist() != draw_shots(labels, 4, 1).tolist()


def test_outcomes_hold_what_the_score_is_the_mean_of(
    middling: tuple[LinearProbe, ...],
) -> None:
    scores = score_linear_probe(middling)
    for outcomes, score in zip(outcomes_of(middling), scores, strict=True):
        columns = np.array(outcomes.columns)
        means = [outcomes.values_N[columns == name].mean() for name in ("bright", "dark")]
        assert np.mean(means) == pytest.approx(score.value)
    assert outcomes_of(middling)[0].items[0] == "squares/test0.png#0"
