"""Captions, questions and answers of painted studies, in varied words that are true of the picture.

A caption is drawn from several forms, so that equal pictures need not have equal captions; of each
study closed (yes or no) and open questions are asked.
"""

from __future__ import annotations

from numpy.random import Generator

from regionmed.corpus.painted import FILM_LABELS, Mark, Study
from regionmed.corpus.wording import listed, place_words, with_article

NUMBERS = ("no", "one", "two", "three", "four")
_OPENINGS = ("Film showing {}.", "Frontal film with {}.", "{} on a frontal film.", "{}.")


def caption_of(study: Study, generator: Generator) -> str:
    """A sentence that names every finding with its place, in one of several forms."""
    order = generator.permutation(len(study.marks))
    parts = [_told(study.marks[number], generator) for number in order]
    said = listed(parts) if parts else "no finding in the lungs"
    sentence = str(generator.choice(_OPENINGS)).format(said)
    return sentence[0].upper() + sentence[1:]


def questions_of(study: Study, generator: Generator) -> list[tuple[str, str]]:
    """Questions about one study with their answers: two closed, up to three open."""
    labels = [mark.label for mark in study.marks]
    present = sorted(set(labels))
    absent = [label for label in FILM_LABELS if label not in present]
    asked = []
    for pool, answer in ((present, "yes"), (absent, "no")):
        if pool:
            label = str(generator.choice(pool))
            asked.append((f"Is there {with_article(label)}?", answer))
    asked.append(("How many findings are there?", NUMBERS[len(labels)]))
    once = [mark for mark in study.marks if labels.count(mark.label) == 1]
    if once:
        mark = once[int(generator.integers(len(once)))]
        side = "left" if _place(mark)[1] < 0.5 else "right"
        asked.append((f"On which side of the picture is the {mark.label}?", side))
    if study.marks:
        largest = max(study.marks, key=lambda mark: int(mark.mask.sum()))
        asked.append(("What is the largest finding?", largest.label))
    return asked


def _told(mark: Mark, generator: Generator) -> str:
    down, across = _place(mark)
    words = place_words((min(int(3 * down), 2), min(int(3 * across), 2)))
    x0, y0, x1, y1 = mark.edges
    side = ((x1 - x0) * (y1 - y0) / mark.mask.size) ** 0.5
    size = "tiny" if side < 0.06 else "small" if side < 0.15 else "larger"
    named = f"{size} {mark.label}" if generator.random() < 0.7 else mark.label
    return f"{with_article(named)} in the {words}"


def _place(mark: Mark) -> tuple[float, float]:
    """Down and across, 0 to 1 of the picture, of the middle of a mark."""
    x0, y0, x1, y1 = mark.edges
    height, width = mark.mask.shape
    return (y0 + y1) / 2 / height, (x0 + x1) / 2 / width
