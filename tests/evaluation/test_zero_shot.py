"""Labels compete where each picture has one, and are asked one by one where it may have several."""

from dataclasses import replace
from typing import cast

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from regionmed.corpus.shards import Corpus
from regionmed.evaluation.encode import Rows, rows_of
from regionmed.evaluation.part import Part, open_parts
from regionmed.evaluation.statistics import macro_mean
from regionmed.evaluation.subject import Subject
from regionmed.evaluation.zero_shot import DENIED, kind_of, prompt_labels, run_prompts
from regionmed.evaluation.zero_shot_scores import outcomes_of, score_prompts
from regionmed.model.region_clip import RegionClip


@pytest.fixture(scope="module")
def part(untrained: RegionClip, squares: Corpus) -> Part:
    return next(iter(open_parts(untrained, [squares], "test")))


@pytest.fixture(scope="module")
def val(untrained: RegionClip, part: Part) -> Rows:
    return rows_of(untrained, part, "val")


@pytest.fixture(scope="module")
def several(part: Part) -> Part:
    """Every picture keeps its label, every third gets "round" too, every fourth has none at all."""
    records = tuple(
        replace(record, labels=() if n % 4 == 0 else (*record.labels, *["round"] * (n % 3 == 0)))
        for n, record in enumerate(part.records)
    )
    return replace(part, records=records, phrases={**part.phrases, "round": "a round square"})


def towards(model: RegionClip, part: Part, seed: int) -> np.ndarray:
    """Unit rows that lie by chance, and somewhat towards the phrase of their first label."""
    generator = np.random.default_rng(seed)
    rows = generator.normal(0, 1, (len(part.records), model.embedding_dim))
    for row, record in zip(rows, part.records, strict=True):
        if record.labels:
            row += 5 * model.encode_text([part.phrases[record.labels[0]]])[0]
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_one_label_a_picture_compete_and_rare_ones_are_left_out(part: Part) -> None:
    assert prompt_labels(part) == (("bright", "dark"), False)
    rare = [replace(part.records[0], labels=("rare",)), *part.records[1:]]
    assert prompt_labels(replace(part, records=tuple(rare))) == (("bright", "dark"), False)


def test_labels_that_nearly_all_or_hardly_any_picture_has_are_not_asked(several: Part) -> None:
    """Of 23 pictures 19 have "all", four have not; "none" denies; "few" is in four."""
    records = tuple(
        replace(
            record,
            labels=(*record.labels, *["all"] * (n > 3), *["none"] * (n % 2), *["few"] * (n < 4)),
        )
        for n, record in enumerate(several.records)
    )
    phrases = {**several.phrases, "none": "no finding"}
    labels, one_by_one = prompt_labels(replace(several, records=records, phrases=phrases))
    assert one_by_one
    assert labels == ("bright", "dark", "round")


def test_areas_of_labels_asked_one_by_one_are_scikit_learns(
    untrained: RegionClip, several: Part, val: Rows
) -> None:
    images_NE = towards(untrained, several, 0)
    records = tuple(
        replace(record, labels=(*record.labels, "round") if n % 2 else record.labels)
        for n, record in enumerate(several.records)
    )
    asked = replace(several, records=records)
    answers = run_prompts(untrained, asked, None, images_NE, val)
    assert answers is not None
    assert answers.labels == ("bright", "dark", "round")
    scores = {score.metric: score for score in score_prompts(answers)}
    assert set(scores) == {"auroc", "auprc", "ece"}
    near_NL = images_NE @ untrained.encode_text([each.plain for each in answers.prompts]).T
    for metric, oracle in (("auroc", roc_auc_score), ("auprc", average_precision_score)):
        theirs = [oracle(answers.truth_NL[:, n], near_NL[:, n]) for n in range(3)]
        assert scores[metric].value == pytest.approx(np.mean(theirs))
        assert list(scores[metric].details["by_label"].values()) == pytest.approx(theirs)
    assert scores["auprc"].chance == pytest.approx(answers.truth_NL.mean())


def test_the_margin_is_the_similarity_with_the_prompts_minus_that_with_their_denial(
    untrained: RegionClip, several: Part, val: Rows
) -> None:
    images_NE = towards(untrained, several, 1)
    answers = run_prompts(untrained, several, None, images_NE, val)
    assert answers is not None
    bright = answers.prompts[0]

    def unit_mean(texts: tuple[str, ...]) -> np.ndarray:
        mean = untrained.encode_text(texts).mean(axis=0)
        return mean / np.linalg.norm(mean)

    margin_N = images_NE @ (unit_mean(bright.positive) - unit_mean(bright.negative))
    np.testing.assert_allclose(answers.ways[DENIED].scores_NL[:, 0], margin_N, atol=1e-5)


def test_pictures_that_are_all_alike_score_chance(
    untrained: RegionClip, part: Part, several: Part, val: Rows
) -> None:
    images_NE = np.tile(towards(untrained, part, 2)[:1], (23, 1))
    for asked in (part, several):
        answers = run_prompts(untrained, asked, None, images_NE, val)
        assert answers is not None
        for score in score_prompts(answers):
            if score.metric != "ece":
                assert score.value == pytest.approx(score.chance), score.metric


@pytest.mark.parametrize("kind", ["one", "several"])
def test_outcomes_average_to_the_score(
    kind: str, untrained: RegionClip, part: Part, several: Part, val: Rows
) -> None:
    asked = part if kind == "one" else several
    answers = run_prompts(untrained, asked, None, towards(untrained, asked, 3), val)
    assert answers is not None
    (found,) = outcomes_of(answers)
    (score,) = [score for score in score_prompts(answers) if score.metric == found.metric]
    mean = macro_mean(found.values_N, found.columns, found.groups, "seed").value
    assert mean == pytest.approx(score.value)


def test_altered_pictures_are_a_control_only_where_there_are_pictures(
    untrained: RegionClip, part: Part, val: Rows
) -> None:
    images_NE = towards(untrained, part, 4)
    with_pictures = part.pictures(untrained.image_size)
    for pictures, controls in ((with_pictures, {"majority", "blank"}), (None, {"majority"})):
        answers = run_prompts(untrained, part, pictures, images_NE, val)
        assert answers is not None
        assert all(set(score.controls) == controls for score in score_prompts(answers))


def test_val_fits_no_scale_where_it_is_too_small_or_scored(
    untrained: RegionClip, part: Part, val: Rows
) -> None:
    """Eight val pictures are too few; thrice the same eight are enough."""
    thrice = Rows(val.records * 3, np.tile(val.images_NE, (3, 1)), val.regions_RE[:0], ())
    scored_val = replace(part, conditions=replace(part.conditions, split="val"))
    images_NE = towards(untrained, part, 5)
    cases = ((part, val, False), (part, thrice, True), (scored_val, thrice, False))
    for asked, rows, is_fitted in cases:
        answers = run_prompts(untrained, asked, None, images_NE, rows)
        assert answers is not None
        (score,) = [score for score in score_prompts(answers) if score.metric == "ece"]
        assert (score.details["scale_from"] == "fitted on val") is is_fitted
        if not is_fitted:
            assert score.value == pytest.approx(score.details["unfitted"]["value"])


class Told:
    """What a model says of its training, and nothing else."""

    def __init__(self, phrases: tuple[str, ...], pictures: frozenset[str] | None) -> None:
        self.phrases, self.training_pictures = phrases, pictures


@pytest.mark.parametrize(
    ("phrases", "pictures", "name", "number"),
    [
        ((), None, "unknown", None),
        (("Picture of a BRIGHT square, large",), frozenset(), "prompt classification", 1),
        (("brightness of darkened squares",), frozenset(), "zero-shot", 0),
        ((), frozenset({"train3"}), "prompt classification", 0),
    ],
)
def test_it_is_zero_shot_only_if_neither_names_nor_pictures_were_in_training(
    phrases: tuple[str, ...],
    pictures: frozenset[str] | None,
    name: str,
    number: int | None,
    part: Part,
    untrained: RegionClip,
    val: Rows,
) -> None:
    answers = run_prompts(untrained, part, None, towards(untrained, part, 6), val)
    assert answers is not None
    kind = kind_of(cast(Subject, Told(phrases, pictures)), part, answers.prompts)
    assert (kind.name, kind.labels_in_training) == (name, number)
