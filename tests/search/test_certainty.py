"""When an index calls an answer unsure: limits redone by hand, and a familiar and a foreign box."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.special import softmax

import regionmed
from regionmed.corpus.pixels import Picture
from regionmed.corpus.shards import write_corpus
from regionmed.errors import UsageError
from regionmed.geometry import Frame
from regionmed.model.confidence import familiarity
from regionmed.model.region_clip import RegionClip
from regionmed.record import Record
from regionmed.search.answer import ask, box_in
from regionmed.search.build import build_index
from regionmed.search.certainty import (
    Calibration,
    Certainty,
    Familiar,
    Findings,
    findings_of,
    fit_calibration,
    fit_familiar,
    judge,
)
from regionmed.search.index import Index, open_index

Paint = Callable[[int, str], Record]
FRAME = Frame("file", 160, 120)


@pytest.fixture(scope="module")
def index(judging_index: Path) -> Index:
    return open_index(judging_index)


@pytest.fixture
def familiar(paint_shapes: Paint) -> tuple[Picture, Record]:
    """A picture like those of the index, but of none of its records."""
    record = paint_shapes(0, "test")
    assert record.picture is not None
    pixels = np.asarray(Image.open(io.BytesIO(record.picture)))
    return Picture(pixels, FRAME, {}), record


@pytest.fixture
def foreign() -> Picture:
    """Bright noise of many colours."""
    pixels = np.random.default_rng(0).integers(0, 256, (120, 160, 3)).astype(np.uint8)
    return Picture(pixels, FRAME, {})


def at_angles(*degrees: float) -> np.ndarray:
    """Unit rows of length two."""
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1)


def test_a_finding_is_as_similar_as_its_best_wording() -> None:
    about = ["disc", "square", "disc", "a picture"]
    found = findings_of(about, [0, 1, 2], at_angles(0, 90, 60, 45))
    assert found is not None
    assert found.names == ("disc", "square")
    # discs at 0 and 60 degrees, the square at 90; queries at 10 and 40
    expected = np.cos(np.radians([[10, 80], [20, 50]]))
    assert found.similarity(at_angles(10, 40)) == pytest.approx(expected)
    assert findings_of(about, [], at_angles(0, 90, 60, 45)) is None


def test_one_in_twenty_lies_below_the_limit_every_set_weighing_the_same() -> None:
    """20 regions of one set, 1 to 20 degrees off: the farthest is below, the next is the limit."""
    known = at_angles(0)
    found = fit_familiar(known, at_angles(*range(1, 21)), ["a"] * 20)
    assert found is not None
    assert found.least == pytest.approx(np.cos(np.radians(20)))
    assert (found.known, found.rows) == (1, 20)
    # 40 regions of set a weigh as much as ten of b, whose farthest one is a twentieth of all
    degrees = [*np.linspace(1, 2, 40), *range(10, 60, 5)]
    both = fit_familiar(known, at_angles(*degrees), ["a"] * 40 + ["b"] * 10)
    assert both is not None
    assert both.least == pytest.approx(np.cos(np.radians(55)))
    assert fit_familiar(known, at_angles(*range(1, 20)), ["a"] * 19) is None
    assert fit_familiar(known[:0], at_angles(*range(1, 21)), ["a"] * 20) is None


def test_the_scale_is_found_that_made_the_labels() -> None:
    generator = np.random.default_rng(0)
    named = findings_of(["disc", "square"], [0, 1], at_angles(0, 90))
    assert named is not None
    queries = at_angles(*generator.uniform(0, 90, 4000))
    chance = softmax(5 * named.similarity(queries), axis=1)
    truth = [str(generator.choice(["disc", "square"], p=p)) for p in chance]
    found = fit_calibration(named, queries, truth, ["a"] * 4000)
    assert found is not None
    assert found.scale == pytest.approx(5, rel=0.1)
    assert fit_calibration(named, queries[:19], truth[:19], ["a"] * 19) is None
    alone = findings_of(["disc"], [0], at_angles(0))
    assert fit_calibration(alone, queries, ["disc"] * 4000, ["a"] * 4000) is None
    assert fit_calibration(named, queries, ["tube"] * 4000, ["a"] * 4000) is None


CERTAINTY = Certainty(Familiar(0.9, 1234, 50), Familiar(0.5, 7, 30), Calibration(10.0, 50))


@pytest.mark.parametrize(
    ("similarity", "unsure"),
    [
        ([0.9, 0.2, 0.1], None),
        ([0.50, 0.49, 0.1], "the best two answers are nearly as likely: 52 % and 47 %"),
        ([0.40, 0.33, 0.36], "the best answer is more likely wrong than right: 46 %"),
    ],
)
def test_a_doubt_is_a_small_lead_or_a_small_chance(
    similarity: list[float], unsure: str | None
) -> None:
    """Wordings whose cosine to the query is what is asked for."""
    wordings = np.stack([similarity, np.sqrt(1 - np.square(similarity))], axis=1)
    named = findings_of(["a", "b", "c"], [0, 1, 2], wordings)
    limits = replace(CERTAINTY, findings=Calibration(10.0, 50, least_lead=0.06))
    found = judge(limits, named, np.array([1.0, 0.0]), at_angles(5), region=True)
    assert (found.unsure, found.unjudged) == (unsure, None)
    assert found.probability is not None
    assert list(found.probability.values()) == pytest.approx(softmax(10 * np.array(similarity)))


def test_what_is_unfamiliar_is_given_no_probability() -> None:
    named = findings_of(["a", "b"], [0, 1], at_angles(0, 90))
    query = at_angles(0)[0]
    found = judge(CERTAINTY, named, query, at_angles(60, 120), region=True)
    assert found.unsure == (
        "this region looks like none of the 1,234 train regions of this index: the nearest has "
        "similarity 0.50, and 95 % of regions of its sets reach 0.90"
    )
    assert (found.probability, found.unjudged) == (None, None)
    picture = judge(CERTAINTY, named, query, at_angles(61), region=False)
    assert picture.unsure is not None
    assert picture.unsure.startswith("this picture looks like none of the 7 train pictures")


def test_what_is_not_judged_is_said() -> None:
    named = findings_of(["a", "b"], [0, 1], at_angles(0, 90))
    query, known = at_angles(0)[0], at_angles(5)

    def unjudged(certainty: Certainty, findings: Findings | None, region: bool) -> str:
        found = judge(certainty, findings, query, known, region=region)
        assert (found.unsure, found.probability) == (None, None)
        assert found.unjudged is not None
        return found.unjudged

    assert "a whole picture is checked for familiarity alone" in unjudged(CERTAINTY, named, False)
    assert "sentences of your own" in unjudged(CERTAINTY, None, True)
    assert "one finding" in unjudged(replace(CERTAINTY, findings=None), named, True)
    assert "too few val regions" in unjudged(Certainty(None, None, None), named, True)


def test_an_index_is_fitted_on_its_val_rows_against_its_train_rows(index: Index) -> None:
    regions, pictures = index.certainty.regions, index.certainty.pictures
    assert regions is not None
    assert (regions.known, regions.rows) == (24, 24)
    assert pictures is None  # 12 val pictures are too few
    val = [e.number for e in index.entries if e.split == "val" and e.region is not None]
    known = index.known(regions=True)
    near = np.sort(familiarity(index.entries_NE[val], known))
    assert known.shape == (24, 256)
    assert regions.least == pytest.approx(near[1])  # one of 24 is below: 4 %, two would be 8 %
    assert index.findings is not None
    assert index.findings.names == ("a disc", "square")
    assert index.certainty.findings is not None
    assert index.certainty.findings.rows == 24


def test_a_familiar_region_is_likely_something_and_a_foreign_one_is_unsure(
    untrained_model: RegionClip, index: Index, familiar: tuple[Picture, Record], foreign: Picture
) -> None:
    picture, record = familiar
    box = box_in(FRAME, record.regions[0].box.edges)
    known = ask(untrained_model, picture, box, index=index, top=50)
    assert "looks like none" not in str(known.unsure)
    stated = [s.probability for s in known.sentences if s.probability is not None]
    assert sum(stated) == pytest.approx(1)
    assert len(stated) == 2  # "a disc" and "square"; pictures' sentences have none
    assert stated == sorted(stated, reverse=True)  # the order of similarity is that of probability
    unknown = ask(untrained_model, foreign, box, index=index, top=50)
    assert unknown.unsure is not None
    assert unknown.unsure.startswith("this region looks like none of the 24 train regions")
    assert len(unknown.sentences) == len(known.sentences)
    assert {s.probability for s in unknown.sentences} == {None}
    row = unknown.as_row()
    assert (row["unsure"], row["unjudged"]) == (unknown.unsure, None)
    assert row["sentences"][0].keys() == {"text", "similarity", "probability"}
    alone = ask(untrained_model, picture, box)
    assert (alone.unsure, str(alone.unjudged)[:15]) == (None, "how sure this i")


def test_val_rows_that_the_checkpoint_was_trained_on_judge_nothing(
    untrained_model: RegionClip,
    paint_shapes: Paint,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    records = [paint_shapes(n, split) for split in ("train", "val") for n in range(12)]
    write_corpus(records, tmp_path / "corpus", {})
    corpus = regionmed.open_corpus(tmp_path / "corpus")
    seen = frozenset(str(record.sha256) for record in records if record.split == "val")
    monkeypatch.setattr(untrained_model, "training_pictures", seen)
    found = build_index(untrained_model, [corpus], tmp_path / "index", source="run").certainty
    assert found == Certainty(None, None, None)


def test_words_that_only_val_rows_bring_do_not_help_to_fit(
    untrained_model: RegionClip, paint_shapes: Paint, tmp_path: Path
) -> None:
    """Each val region has a text of its own, which would point to its label."""
    records = [paint_shapes(n, "train") for n in range(12)]
    for n in range(12):
        record = paint_shapes(n, "val")
        named = tuple(replace(r, text=f"{r.label} of val {n}") for r in record.regions)
        records.append(replace(record, regions=named))
    write_corpus(records, tmp_path / "corpus", {})
    corpus = regionmed.open_corpus(tmp_path / "corpus")
    built = build_index(untrained_model, [corpus], tmp_path / "index", source="run")
    val = [e for e in built.entries if e.split == "val" and e.region is not None]
    vectors = built.entries_NE[[entry.number for entry in val]]

    def scale_by(texts: list[str]) -> float:
        rows = [built.sentences.index(text) for text in texts]
        found = fit_calibration(
            findings_of(built.about, rows, built.sentences_SE),
            vectors,
            [str(entry.label) for entry in val],
            ["shapes"] * len(val),
        )
        assert found is not None
        return found.scale

    assert built.certainty.findings is not None
    shared = ["disc", "square", "round disc", "square block"]
    assert built.certainty.findings.scale == pytest.approx(scale_by(shared))
    own = [text for text in built.sentences if "of val" in text]
    assert len(own) == 24
    assert built.certainty.findings.scale != pytest.approx(scale_by([*shared, *own]))


def test_an_index_of_an_earlier_layout_is_refused_with_the_reason(
    judging_index: Path, tmp_path: Path
) -> None:
    text = (judging_index / "manifest.json").read_text()
    (tmp_path / "manifest.json").write_text(text.replace('"index_layout": 2', '"index_layout": 1'))
    with pytest.raises(UsageError, match=r"layout 1, this version reads 2.* how sure its answers"):
        open_index(tmp_path)
