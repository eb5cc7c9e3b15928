"""Asking about a box: boxes in file pixels, scores that are cosines, and clear refusals."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import regionmed
from regionmed.corpus.pixels import Picture
from regionmed.errors import FrameError, StaleIndexError, UsageError
from regionmed.geometry import Frame
from regionmed.model.region_clip import RegionClip
from regionmed.search.answer import ask, box_in, find, parse_box, picture_at, read_phrases
from regionmed.search.index import Index, open_index

FILM = Frame("file", 1024, 768)


@pytest.fixture
def model(untrained_model: RegionClip) -> RegionClip:
    return untrained_model


@pytest.fixture(scope="module")
def index(shapes_index: Path) -> Index:
    return open_index(shapes_index)


@pytest.fixture(scope="module")
def second(shapes_corpus: Path) -> Picture:
    """The picture of record shapes/1.png."""
    pixels = np.asarray(regionmed.open_corpus(shapes_corpus).picture(1))
    return Picture(pixels, Frame("file", 160, 120), {})


def test_an_indexed_region_finds_itself_first_with_similarity_one(
    model: RegionClip, index: Index, second: Picture
) -> None:
    answer = ask(model, second, box_in(second.frame, (100, 50, 130, 80)), index=index)
    best = answer.matches[0]
    assert (best.entry.record, best.entry.label) == ("shapes/1.png", "square")
    assert best.similarity == pytest.approx(1, abs=1e-4)
    assert all(match.entry.region is not None for match in answer.matches)


def test_a_whole_picture_finds_itself_first_among_pictures(
    model: RegionClip, index: Index, second: Picture
) -> None:
    answer = ask(model, second, index=index, top=50)
    assert [match.entry.region for match in answer.matches] == [None] * 4
    assert answer.matches[0].entry.record == "shapes/1.png"
    assert answer.matches[0].similarity == pytest.approx(1, abs=1e-4)


def test_similarity_is_the_cosine_of_region_and_sentence(
    model: RegionClip, second: Picture
) -> None:
    box = box_in(second.frame, (18, 12, 58, 52))
    answer = ask(model, second, box, phrases=["a disc", "a tube"])
    region_E = model.encode_regions(second.pixels, np.array([box.edges]))[0]
    cosines = dict(
        zip(["a disc", "a tube"], model.encode_text(["a disc", "a tube"]) @ region_E, strict=True)
    )
    assert {s.text: pytest.approx(s.similarity, abs=1e-5) for s in answer.sentences} == cosines
    assert answer.sentences[0].similarity >= answer.sentences[1].similarity


def test_sentences_come_from_phrases_else_the_index_else_the_run(
    model: RegionClip, index: Index, second: Picture
) -> None:
    def asked(**given: object) -> set[str]:
        return {s.text for s in ask(model, second, top=50, **given).sentences}  # type: ignore[arg-type]

    assert asked() == {"a disc", "a square", "a nodule"}
    assert asked(index=index) <= set(index.sentences)
    assert asked(index=index, phrases=["a tube"]) == {"a tube"}


def test_a_box_is_answered_by_what_regions_are_called_and_the_picture_by_all_sentences(
    model: RegionClip, index: Index, second: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = box_in(second.frame, (18, 12, 58, 52))

    def said(**given: Any) -> set[str]:
        answer = ask(model, second, top=50, **given)
        assert answer.choices == len(answer.sentences)
        return {sentence.text for sentence in answer.sentences}

    assert len(said(box=box, index=index)) == 2  # a wording of "a disc", one of "square"
    assert said(box=box) == set(model.phrases)  # nobody said what regions are called
    monkeypatch.setattr(model, "region_phrases", ("a nodule",))
    assert said(box=box) == {"a nodule"}
    assert said() == set(model.phrases)
    assert len(said(box=box, index=index)) == 3
    assert "a nodule" in said(box=box, index=index)


def test_of_several_wordings_of_a_finding_only_the_best_is_given(
    model: RegionClip, index: Index, second: Picture
) -> None:
    # "round disc" is about "a disc", "square block" about "square"; the rest stand for themselves
    answer = ask(model, second, index=index, top=50)
    given = {sentence.text for sentence in answer.sentences}
    assert len(given) == len(answer.sentences) == 5
    assert len(given & {"a disc", "round disc"}) == 1
    assert len(given & {"square", "square block"}) == 1
    assert given >= {"a square", "a nodule", "picture showing a disc and a square"}


def test_a_model_without_sentences_says_where_to_get_some(
    model: RegionClip, second: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "phrases", ())
    with pytest.raises(UsageError, match="give --phrases FILE or --index INDEX"):
        ask(model, second)


def test_a_text_finds_regions_and_pictures_in_order_of_similarity(
    model: RegionClip, index: Index
) -> None:
    matches = find(index, model, text="a disc", top=12)
    assert {match.entry.region is None for match in matches} == {True, False}
    scores = index.entries_NE @ model.encode_text(["a disc"])[0]
    assert [match.entry.number for match in matches] == list(np.argsort(-scores, kind="stable"))


@pytest.mark.parametrize("text", [None, "   "])
def test_a_search_for_nothing_is_refused(model: RegionClip, index: Index, text: str | None) -> None:
    with pytest.raises(UsageError, match="a text that is not empty or a picture"):
        find(index, model, text=text)


def test_another_models_index_is_refused(
    model: RegionClip, index: Index, second: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "fingerprint", "0" * 64)
    with pytest.raises(StaleIndexError):
        ask(model, second, index=index)
    with pytest.raises(StaleIndexError):
        find(index, model, text="a disc")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("512,384,768", "needs four numbers"),
        ("a,b,c,d", "needs four numbers"),
        ("0,0,nan,9", "needs four numbers"),
        ("768,576,512,384", "two corners and not a corner with width and height"),
        ("10,10,10,20", "has no area"),
        ("900,700,1100,760", "reaches outside the picture"),
        ("-1,0,10,10", "reaches outside the picture"),
    ],
)
def test_a_box_that_cannot_be_is_refused_with_the_pictures_size(text: str, said: str) -> None:
    with pytest.raises(FrameError, match=said) as refused:
        parse_box(text, FILM)
    assert "1024 x 768 pixels" in str(refused.value)


def test_a_box_may_touch_the_edges_and_fall_between_pixels() -> None:
    assert parse_box("0, 0, 1024, 767.5", FILM).edges == (0, 0, 1024, 767.5)


def test_phrases_are_lines_without_repeats(tmp_path: Path) -> None:
    (tmp_path / "phrases.txt").write_text("a disc\n\n a tube \na disc\n", "utf-8")
    assert read_phrases(tmp_path / "phrases.txt") == ["a disc", "a tube"]


def test_an_empty_or_unreadable_phrases_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("\n  \n")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="holds no sentence; write one a line"):
        read_phrases(tmp_path / "empty.txt")
    for name in ("bytes.txt", "absent.txt"):
        with pytest.raises(UsageError, match="cannot be read"):
            read_phrases(tmp_path / name)


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"film\.png' cannot be opened: No such file"):
        picture_at(tmp_path / "film.png")
