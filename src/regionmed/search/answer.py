"""The door out: what a checkpoint says about a picture, a box in it, or a text.

`ask` ranks sentences and indexed regions for a picture or a box; `find` ranks indexed entries for a
text, a picture or a box. All places are in file pixels. A score is the cosine of two embeddings,
-1 to 1, called similarity: it orders answers, and is no probability that one of them is true. With
an index that was calibrated an answer says how likely its findings are, and when it is unsure
(certainty.py).

K queries · S sentences · E embedding
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from regionmed.corpus.pixels import Picture, read_picture
from regionmed.errors import FrameError, UsageError
from regionmed.geometry import Box, Frame
from regionmed.search.certainty import Judgement, judge
from regionmed.search.index import Entry, Index

if TYPE_CHECKING:
    from regionmed.model.region_clip import RegionClip


@dataclass(frozen=True, slots=True)
class Sentence:
    """A text, its similarity to what was asked about, and how likely its finding is."""

    text: str
    similarity: float  # cosine, -1 to 1
    probability: float | None = None  # 0 to 1; None where none is calibrated


@dataclass(frozen=True, slots=True)
class Match:
    """An indexed region or picture and its similarity to what was asked about."""

    entry: Entry
    similarity: float  # cosine, -1 to 1

    def as_row(self) -> dict[str, Any]:
        """JSON types; `box` is x0 y0 x1 y1 in file pixels, null for a whole picture."""
        entry = self.entry
        return {
            "record": entry.record,
            "set": entry.set,
            "split": entry.split,
            "region": entry.region,
            "label": entry.label,
            "phrase": entry.phrase,
            "box": list(entry.box.edges) if entry.box else None,
            "width": entry.frame.width,
            "height": entry.frame.height,
            "similarity": self.similarity,
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """What was asked about, best sentences first, most similar indexed entries first.

    choices   how many sentences there were to choose from, wordings of one finding counted once
    unsure    one sentence why the answer is not to be relied upon; None where nothing speaks
              against it that the index can see
    unjudged  one sentence why certainty, or a part of it, could not be judged
    """

    frame: Frame
    box: Box | None  # file pixels; None: the whole picture
    sentences: tuple[Sentence, ...]
    matches: tuple[
        Match, ...
    ]  # regions for a box, pictures for a whole picture; empty without index
    choices: int
    unsure: str | None = None
    unjudged: str | None = None

    def as_row(self) -> dict[str, Any]:
        """JSON types, places in file pixels."""
        return {
            "width": self.frame.width,
            "height": self.frame.height,
            "box": list(self.box.edges) if self.box else None,
            "choices": self.choices,
            "unsure": self.unsure,
            "unjudged": self.unjudged,
            "sentences": [asdict(sentence) for sentence in self.sentences],
            "regions": [match.as_row() for match in self.matches],
        }


def ask(
    model: RegionClip,
    picture: Picture,
    box: Box | None = None,
    *,
    index: Index | None = None,
    phrases: Sequence[str] | None = None,
    top: int = 5,
) -> Answer:
    """The `top` best sentences and most similar entries for a box, or for the whole picture.

    Sentences are `phrases` if given, else those of the index, else those the model was trained on.
    For a box they are what a region may be called, where index or model know that. Of the index's
    many wordings of one finding (by size and place) only the best is given.
    Raises UsageError where there are none, StaleIndexError for another checkpoint's index,
    FrameError for a box that is not inside the picture.
    """
    if index is not None:
        index.check_model(model)
    query_E = _embed(model, picture, box)
    found = _sentences(model, index, phrases, query_E, region=box is not None)
    judged = _judged(index, query_E, region=box is not None, own_phrases=phrases is not None)
    likely = judged.probability or {}
    sentences = tuple(
        replace(sentence, probability=likely.get(about)) for about, sentence in found[:top]
    )
    matches = _matches(index, query_E, top, regions=box is not None) if index else ()
    return Answer(
        picture.frame, box, sentences, matches, len(found), judged.unsure, judged.unjudged
    )


def find(
    index: Index,
    model: RegionClip,
    *,
    text: str | None = None,
    picture: Picture | None = None,
    box: Box | None = None,
    top: int = 10,
) -> tuple[Match, ...]:
    """The `top` most similar entries for a text, a picture, or a box in a picture.

    A text finds regions and pictures, a picture finds pictures, a box finds regions.
    Raises StaleIndexError for another checkpoint's index, UsageError unless exactly one is asked.
    """
    index.check_model(model)
    if picture is not None and text is None:
        query_E = _embed(model, picture, box)
        return _matches(index, query_E, top, regions=box is not None)
    if text is None or picture is not None or not text.strip():
        raise UsageError("a search needs either a text that is not empty or a picture")
    return _matches(index, model.encode_text([text])[0], top, regions=None)


def picture_at(path: Path) -> Picture:
    """The picture in a file; UsageError without such a file, CorpusError where it is none."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"picture '{path}' cannot be opened: {error.strerror}") from error
    return read_picture(data, path.name)


def parse_box(text: str, frame: Frame) -> Box:
    """The box written as "x0,y0,x1,y1" in file pixels; FrameError as for box_in."""
    try:
        edges = [float(part) for part in text.split(",")]
    except ValueError:
        edges = []
    return box_in(frame, edges)


def box_in(frame: Frame, edges: Sequence[float]) -> Box:
    """The box with these four edges, x0 y0 x1 y1 in file pixels of `frame`.

    Raises FrameError, saying the picture's size, where it has no area or leaves the picture.
    """
    size = f"this picture is {frame.width} x {frame.height} pixels"
    if len(edges) != 4 or not all(math.isfinite(edge) for edge in edges):
        raise FrameError(f"a box needs four numbers, x0,y0,x1,y1 in file pixels; {size}")
    x0, y0, x1, y1 = edges
    named = f"box ({x0:g}, {y0:g}, {x1:g}, {y1:g})"
    if x0 >= x1 or y0 >= y1:
        raise FrameError(
            f"{named} has no area: it needs x0 < x1 and y0 < y1, two corners and not a corner "
            f"with width and height; {size}"
        )
    box = Box(x0, y0, x1, y1, frame)
    if not box.is_inside():
        raise FrameError(f"{named} reaches outside the picture: {size}; give file pixels")
    return box


def read_phrases(path: Path) -> list[str]:
    """The sentences of a text file, one a line; UsageError where it holds none."""
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"'{path}' cannot be read as a UTF-8 text file of sentences") from error
    phrases = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not phrases:
        raise UsageError(f"'{path}' holds no sentence; write one a line")
    return phrases


def _embed(model: RegionClip, picture: Picture, box: Box | None) -> NDArray[np.float32]:
    if box is None:
        return model.encode_image([picture.pixels])[0]
    if box.frame != picture.frame or not box.is_inside():
        raise FrameError("the box and the picture do not belong together; make it with box_in")
    return model.encode_regions(picture.pixels, np.array([box.edges], np.float32))[0]


def _sentences(
    model: RegionClip,
    index: Index | None,
    phrases: Sequence[str] | None,
    query_E: NDArray[np.float32],
    *,
    region: bool,
) -> list[tuple[str, Sentence]]:
    """All sentences there are to choose from, best first, one a finding, behind what they mean."""
    if phrases is None and index is not None and index.sentences:
        texts, about, texts_SE = index.sentences, index.about, index.sentences_SE
        if region and index.findings is not None:
            names = {*index.findings.names, *model.region_phrases}
            kept = [row for row, name in enumerate(about) if name in names]
            texts = tuple(texts[row] for row in kept)
            about, texts_SE = tuple(about[row] for row in kept), texts_SE[kept]
    else:
        own = (region and model.region_phrases) or model.phrases
        texts = about = tuple(own if phrases is None else phrases)
        texts_SE = model.encode_text(texts)
    if not texts:
        raise UsageError(
            f"there is no sentence to choose from, '{model.name}' carries none: "
            "give --phrases FILE or --index INDEX"
        )
    scores_S = texts_SE @ query_E
    best: dict[str, Sentence] = {}
    for i in _best(scores_S, len(texts)):
        best.setdefault(about[i], Sentence(texts[i], float(scores_S[i])))
    return list(best.items())


def _judged(
    index: Index | None, query_E: NDArray[np.float32], *, region: bool, own_phrases: bool
) -> Judgement:
    if index is None:
        return Judgement(
            unjudged="how sure this is; without an index there is nothing to compare it with"
        )
    findings = None if own_phrases else index.findings
    known_KE = index.known(regions=region)
    return judge(index.certainty, findings, query_E, known_KE, region=region)


def _matches(
    index: Index, query_E: NDArray[np.float32], top: int, *, regions: bool | None
) -> tuple[Match, ...]:
    """Best entries; `regions` True: regions only, False: whole pictures only, None: both."""
    scores_N = index.entries_NE @ query_E
    if regions is not None:
        wanted_N = np.array([(entry.region is not None) == regions for entry in index.entries])
        scores_N = np.where(wanted_N, scores_N, -np.inf)
        top = min(top, int(wanted_N.sum()))
    return tuple(Match(index.entries[i], float(scores_N[i])) for i in _best(scores_N, top))


def _best(scores_N: NDArray[np.float32], top: int) -> list[int]:
    # stable, so that equal scores keep the order of the index and a run can be repeated
    return [int(i) for i in np.argsort(-scores_N, kind="stable")[:top]]
