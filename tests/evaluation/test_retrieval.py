"""Which texts are right for which pictures, what is counted, and the blank picture beside it."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from regionmed.corpus.shards import Corpus, write_corpus
from regionmed.evaluation.outcomes import Outcomes
from regionmed.evaluation.part import Part, open_parts
from regionmed.evaluation.report.cases import retrieval_cases
from regionmed.evaluation.retrieval import Retrieval, outcomes_of, run_retrieval, score_retrieval
from regionmed.evaluation.score import Score
from regionmed.evaluation.statistics import macro_mean
from regionmed.evaluation.strata import group_of
from regionmed.model.region_clip import RegionClip
from regionmed.record import Record, Texts

WIDTH = 32


class Lookup:
    """Vectors by caption: text number n of the painted test split is unit vector n."""

    name, fingerprint, embedding_dim = "lookup", "0" * 64, WIDTH
    phrases: tuple[str, ...] = ()
    training_pictures = frozenset[str]()

    def encode_text(self, texts: list[str]) -> np.ndarray:
        return np.eye(WIDTH, dtype=np.float32)[[int(text.split()[1]) for text in texts]]


def captioned(paint: Callable[[int, str], Record], number: int) -> Record:
    """24 pictures: 0 and 1 share a caption but for white space, 2 has none, odd ones are MRI."""
    caption = {1: "picture  0 with a\ndark square", 2: None}.get(number, f"picture {number} with a")
    caption = "picture 0 with a dark square" if number == 0 else caption
    record = paint(number, "test")
    return replace(record, texts=Texts(caption=caption), modality=("photo", "mri")[number % 2])


@pytest.fixture(scope="module")
def part(paint: Callable[[int, str], Record], tmp_path_factory: pytest.TempPathFactory) -> Part:
    folder = tmp_path_factory.mktemp("captioned")
    records = [captioned(paint, number) for number in range(24)]
    return next(open_parts(Lookup(), [write_corpus(records, folder, {})], "test"))


def own_vectors(part: Part) -> np.ndarray:
    """Every picture exactly at its caption, the one without a caption at that of number 0."""
    numbers = [int((record.texts.caption or "picture 0").split()[1]) for record in part.records]
    return np.eye(WIDTH, dtype=np.float32)[numbers]


@pytest.fixture(scope="module")
def found(part: Part) -> Retrieval:
    """A perfect model whose blank pictures are all the same."""
    blank_NE = np.full((24, WIDTH), WIDTH**-0.5, np.float32)
    result = run_retrieval(Lookup(), part, own_vectors(part), blank_NE)
    assert result is not None
    return result


def one_of(scores: list[Score], k: int, direction: str, stratum: str = "all") -> Score:
    matching = [
        score
        for score in scores
        if score.metric == f"recall@{k}"
        and score.details["direction"] == direction
        and score.stratum == stratum
    ]
    assert len(matching) == 1
    return matching[0]


def test_a_shared_caption_is_one_text_and_a_picture_without_one_only_fills_the_gallery(
    found: Retrieval,
) -> None:
    """23 pictures ask among 22 captions; 22 captions ask among 24 pictures."""
    to_text, to_image = found.directions
    assert (len(to_text.records), to_text.standing.gallery) == (23, 22)
    assert (len(to_image.records), to_image.standing.gallery) == (22, 24)
    scores = score_retrieval(found)
    assert one_of(scores, 1, "image to text").value == 1
    # Caption 0: two right pictures and the uncaptioned one tie, so a draw of one hits 2 in 3.
    assert one_of(scores, 1, "text to image").value == pytest.approx((21 + 2 / 3) / 22)
    assert one_of(scores, 1, "text to image").chance == pytest.approx((21 / 24 + 2 / 24) / 22)


def test_blank_pictures_that_are_all_alike_earn_chance(found: Retrieval) -> None:
    for score in score_retrieval(found):
        assert score.controls["blank"] == pytest.approx(score.chance)
        gain = score.details["differences"]["blank"]
        assert gain["value"] == pytest.approx(score.value - score.chance)


def test_modalities_ask_apart_in_the_gallery_of_the_whole_set(found: Retrieval) -> None:
    scores = score_retrieval(found)
    photo = one_of(scores, 5, "image to text", "modality:photo")
    mr = one_of(scores, 5, "image to text", "modality:mri")
    assert (photo.n, mr.n) == (11, 12)  # picture 2 is a photo and asks nothing
    assert photo.details["gallery"] == mr.details["gallery"] == 22


def test_outcomes_give_the_scores_again(found: Retrieval) -> None:
    scores, outcomes = score_retrieval(found), outcomes_of(found)
    assert [one.metric for one in outcomes][:2] == [
        "recall@1 image-to-text",
        "recall@5 image-to-text",
    ]
    for one in outcomes:
        k, direction = one.metric.removeprefix("recall@").split(" ")
        score = one_of(scores, int(k), direction.replace("-", " "))
        assert again(one) == pytest.approx((score.value, score.low, score.high))


def again(one: Outcomes) -> tuple[float, float, float]:
    estimate = macro_mean(one.values_N, one.columns, one.groups, f"retrieval {one.set}")
    return estimate.value, estimate.low, estimate.high


def test_the_group_of_a_caption_is_that_of_its_first_picture(found: Retrieval) -> None:
    to_image = found.directions[1]
    assert to_image.records[0].id == found.part.records[0].id
    assert outcomes_of(found)[3].groups[0] == group_of(found.part.records[0])


def test_ranks_of_a_bad_model_are_stated(part: Part) -> None:
    """Pictures opposite to their captions: the right text is last of 22, after 21 at zero."""
    found = run_retrieval(Lookup(), part, -own_vectors(part))
    assert found is not None
    score = one_of(score_retrieval(found), 10, "image to text")
    assert (score.value, score.controls) == (0, {})
    assert score.details["median_rank"] == 22
    assert score.details["mean_reciprocal_rank"] == pytest.approx(1 / 22)


def test_fewer_than_twenty_captions_are_no_search(part: Part) -> None:
    few = replace(part, records=part.records[:19], indices=part.indices[:19])
    assert run_retrieval(Lookup(), few, own_vectors(part)[:19]) is None


def test_the_report_shows_pictures_with_the_captions_nearest_to_them(found: Retrieval) -> None:
    (shown,) = retrieval_cases([found])
    assert shown["gallery"] == 22
    for case in shown["cases"]:
        assert case["rank"] == 1
        assert case["said"][0] == (case["caption"], True)
        assert [right for _, right in case["said"][1:]] == [False, False]


def test_a_real_model_runs_on_the_painted_corpus(squares: Corpus, untrained: RegionClip) -> None:
    part = next(open_parts(untrained, [squares], "test"))
    pictures = part.pictures(untrained.image_size)
    images_NE = untrained.embed(pictures.pixels_NHWC).images
    found = run_retrieval(untrained, part, images_NE)
    assert found is not None
    similarity_NT = images_NE @ untrained.encode_text(found.captions).T
    wanted = np.diag(similarity_NT)[:, None]  # every picture has a caption of its own
    better = (similarity_NT > wanted + 1e-6).sum(axis=1)
    assert (np.abs(found.directions[0].standing.better_Q - better) <= 1).all()
