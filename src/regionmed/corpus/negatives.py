"""False twins: a text that differs from a true one in one respect and cannot be true as well.

Two ways to prove it. Texts made by rule are made again with one part changed, and the annotation
shows that no region fits the new text; this takes a set's labels as complete for its pictures.
Sentences written by people are changed by one word, and only where their form leaves no doubt:
anything hedged, mentioned on both sides or doubly negated gets no twin.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence

from regionmed.corpus.wording import (
    SIZES,
    Place,
    place_of,
    region_phrase,
    region_words,
    size_word,
)
from regionmed.geometry import Box
from regionmed.record import FalseTwin, Record, Region

# far enough that the two words cannot both fit one region
_OTHER_SIZE = {"tiny": "large", "small": "large", "medium": "tiny", "large": "tiny"}
_SWAPPED = {"left": "right", "right": "left"}
_SIDE = re.compile(r"\b(left|right)(?=ward|most|sided|\b)", re.IGNORECASE)
_NOT_A_SIDE = re.compile(
    # "was left unchanged", "left in place", "right away", "right-handed": no side of a picture
    r"\b(is|are|was|were|be|been|has|have|had)\s+left\b"
    r"|\bleft\s+(un\w+|in\s+(place|situ)|behind|alone|over|the|untreated|\w+ed\b)"
    r"|\bright\s+(away|now|after|before)\b|\b(left|right)[\s-]*hand(ed)?\b"
    r"|\b(left|right)[\s-]to[\s-](left|right)\b",
    re.IGNORECASE,
)
_BOTH_SIDES = re.compile(
    r"\b(bi-?lateral\w*|both|either|symmetric\w*|contra-?lateral\w*|diffuse\w*)\b|\bsides\b",
    re.IGNORECASE,
)
_SIDE_CODE = re.compile(
    r"\b(?!LEFT\b)[RL](t|[A-Z]{0,3})\b"
)  # R, L, Rt, RUL, LCA: sides by another name
_FOUND = re.compile(  # what lies on one side only because somebody says so
    r"(mass|lesion|nodule|opacit|consolidat|effusion|pneumothora|fractur|h(a?)emorrhag|infarct"
    r"|stroke|cyst|abscess|tumou?r|calcificat|stone|calcul|thromb|dissect|aneurysm|ischemi"
    r"|collection|herniat|enhancing|enhancement|hyperintens|hypodens|hyperdens|edema|metasta|ulcer|polyp)",
    re.IGNORECASE,
)
_HEDGE = re.compile(
    r"\b(may|might|could|can|cannot|possib\w+|probab\w+|likely|suspicio\w+|suspected|suggest\w*"
    r"|question\w*|versus|vs|or|if|unless|rule[sd]? out|exclude[sd]?|appears?|seems?|history"
    r"|differential|concern\w*|equivocal|unclear|\w+n't)\b|\?",
    re.IGNORECASE,
)
_CUE = re.compile(r"\b(no|not|without|never|none|neither|nor|absen\w+|den\w+|non)\b", re.IGNORECASE)
_NO_DENIAL = re.compile(
    r"\bno\s+(longer|more|less|other|further|doubt|\d)|\bno\.|\bnot\s+(only|as|so|to)\b"
    r"|\bwith(out)?\s+and\s+with",
    re.IGNORECASE,
)


def region_twins(
    region: Region, record: Record, phrases: Mapping[str, str]
) -> tuple[FalseTwin, ...]:
    """False twins of the words of a region, each false of every region of its picture.

    phrases   label -> phrase of the whole set; a finding twin needs two labels in it
    """
    modality, regions = record.modality, record.regions
    own, place = _phrase(region.label, modality, phrases), place_of(region.box)
    size = size_word(region)
    alike = [other.box for other in regions if other.label == region.label]
    twins = []
    swapped = _swap_words(own)
    if swapped != own:
        # the phrase itself names a side ("left lung"): the place stays, the phrase turns
        rivals = [o for o in regions if _phrase(o.label, modality, phrases) == swapped]
        if not any(place_of(o.box) == place for o in rivals):
            twins.append(FalseTwin("side", region_words(swapped, size, place)))
    elif place[1] != 1 and _is_free((place[0], 2 - place[1]), alike):
        twins.append(FalseTwin("side", region_words(own, size, (place[0], 2 - place[1]))))
    other = absent_phrase(record, phrases, region)
    if other is not None:
        twins.append(FalseTwin("finding", region_words(other, size, place)))
    rows = (0, 2) if place[0] == 1 else (2 - place[0],)
    free = [(row, place[1]) for row in rows if _is_free((row, place[1]), alike)]
    if free:
        twins.append(FalseTwin("location", region_words(own, size, free[0])))
    if size is not None:
        wrong = SIZES[_OTHER_SIZE[next(key for key, word in SIZES.items() if word == size)]]
        here = [o for o in regions if o.label == region.label and place_of(o.box) == place]
        if not any(size_word(o) == wrong for o in here):
            twins.append(FalseTwin("size", region_words(own, wrong, place)))
    twins.append(FalseTwin("negation", f"no {region_words(own, size, place)}"))
    return tuple(twins)


def _phrase(label: str, modality: str | None, phrases: Mapping[str, str]) -> str:
    return region_phrase(label, modality, phrases.get(label))


def _is_free(place: Place, boxes: Sequence[Box]) -> bool:
    """Whether none of the boxes reaches into that third of the picture."""
    row, column = place
    for box in boxes:
        x0, y0, x1, y1 = (3 * edge for edge in box.unit())
        if x0 < column + 1 and x1 > column and y0 < row + 1 and y1 > row:
            return False
    return True


def absent_phrase(
    record: Record, phrases: Mapping[str, str], region: Region | None = None
) -> str | None:
    """The phrase of a label of the set that this picture has not; None where there is none.

    Left out are phrases whose words contain, or are contained in, those of a label of the picture
    ("lung" in "left lung"): both could be true; and "no finding", of a region. Among several the
    record and the region decide, always alike.
    """
    present = {*record.labels, *(region.label for region in record.regions)}
    there = [_words(_phrase(label, record.modality, phrases)) for label in present]
    options = []
    for label in sorted(set(phrases) - present):
        if region and _phrase(label, record.modality, phrases).startswith("no "):
            continue
        words = _words(_phrase(label, record.modality, phrases))
        if not any(words <= other or other <= words for other in there):
            options.append(_phrase(label, record.modality, phrases))
    if not options:
        return None
    key = f"{record.id} {region.box.edges if region else ''}"
    number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
    return options[number % len(options)]


def _words(phrase: str) -> set[str]:
    return {re.sub(r"(?<=[a-z]{3})s$", "", word) for word in re.findall(r"\w+", phrase.lower())}


def swap_side(text: str, context: str = "") -> str | None:
    """The sentence with left and right exchanged; None where that need not be false.

    text      a caption; exchanged twice it is itself again
    context   whatever else is said of the picture: a finding there on the other side too, no twin
    """
    sides = {match.group(1).lower() for match in _SIDE.finditer(text)}
    if len(sides) != 1 or _NOT_A_SIDE.search(text) or _HEDGE.search(text) or _CUE.search(text):
        return None
    if _BOTH_SIDES.search(text) or _SIDE_CODE.search(text) or not _FOUND.search(text):
        return None
    other = _SWAPPED[sides.pop()]
    swapped = _swap_words(text)
    if _NOT_A_SIDE.search(swapped) or re.search(rf"\b({other}|bi-?lateral|both)", context, re.I):
        return None
    return swapped


def _swap_words(text: str) -> str:
    def swapped(match: re.Match[str]) -> str:
        word = match.group(1)
        other = _SWAPPED[word.lower()]
        if word.isupper():
            return other.upper()
        return other.capitalize() if word[0].isupper() else other

    return _SIDE.sub(swapped, text)


def toggle_negation(text: str) -> str | None:
    """The text with one plain statement denied, or its one denial taken back; None where in doubt.

    "No mass is seen." <-> "Mass is seen."; "without lesions" <-> "with lesions"; "is enlarged"
    <-> "is not enlarged"; "There is a mass" -> "There is no mass".
    """
    if _HEDGE.search(text) or _NO_DENIAL.search(text):
        return None
    cues = _CUE.findall(text)
    if len(cues) > 1:
        return None
    return _affirmed(text) if cues else _denied(text)


def _affirmed(text: str) -> str | None:
    """The text without its only denial."""
    for pattern, put in (
        (r"\bNo (\w)", lambda m: m.group(1).upper()),
        (r"\bno (?=\w)", lambda m: ""),
        (r"\bwithout\b", lambda m: "with"),
        (r"\bWithout\b", lambda m: "With"),
        (r"\b(is|are|was|were) not (?=\w)", lambda m: f"{m.group(1)} "),
    ):
        changed, count = re.subn(pattern, put, text, count=1)
        if count:
            return changed
    return None


# "shows the vessel" points at something known, "shows only" is no plain statement
_NEW = r"(?!(?:the|that|only|how|this|these|those|its|his|her|both|all|an?|some|several|shows?)\b)"


def _denied(text: str) -> str | None:
    """The text with its first plain statement denied; needs one whose form is beyond doubt."""
    first = re.match(r"[^.;]*", text)
    head = first.group(0) if first else ""
    rest = text[len(head) :]
    for pattern, put in (
        (r"\b(There (?:is|are)) (?:an? )?(?=\w)", r"\1 no "),
        (r"\b(shows?|demonstrates?|reveals?|showing) (?:an? )?" + _NEW + r"(?=[a-z])", r"\1 no "),
        (
            r"\b(is|are) (?=(?:\w+ly )?(?:enlarged|thickened|dilated|fractured|seen|present|normal"
            r"|visible|evident|displaced|narrowed|compressed|calcified|prominent)\b)",
            r"\1 not ",
        ),
    ):
        changed, count = re.subn(pattern, put, head, count=1)
        if count and len(re.findall(pattern, head)) == 1:
            return changed + rest
    return None
