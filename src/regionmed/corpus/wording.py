"""The words that rule-made texts are built from: modality, place, size, number, article.

Places are thirds of the *picture* as it lies on the screen, by the centre of the box; never the
patient's side, which no pixel grid tells. Sizes are the strata of geometry.size_stratum.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from regionmed.geometry import Box, size_stratum
from regionmed.record import Region

PICTURE_WORDS = {
    "xray": "x-ray picture",
    "mammography": "mammogram",
    "ct": "CT picture",
    "mri": "MRI picture",
    "ultrasound": "ultrasound picture",
    "microscopy": "microscopy picture",
    "endoscopy": "endoscopy picture",
    "dermoscopy": "dermoscopy picture",
    "fundus": "fundus picture",
    "photo": "photo",
}
ROWS = ("upper", "middle", "lower")
COLUMNS = ("left", "centre", "right")
SIZES = {"tiny": "tiny", "small": "small", "medium": "medium-sized", "large": "large"}

Place = tuple[int, int]  # row and column of the 3 x 3 thirds, 0..2 from the upper left

# labels that say that something is there, not what
_EMPTY_LABELS = {"object", "target", "roi", "region", "finding", "annotation", "foreground"}
_MASS = re.compile(r"(osis|itis|emia|aemia|oedema|edema|chromia|pneumonia|tissue|matter|fluid)$")
_IRREGULAR = {"nucleus": "nuclei", "focus": "foci", "thrombus": "thrombi", "tooth": "teeth"}
_SPELT_WITH_VOWEL = set("AEFHILMNORSX")  # letters whose names open with a vowel: an MRI, an x-ray


def picture_words(modality: str | None) -> str:
    """ "ultrasound picture" and the like; "medical picture" where the modality is not known."""
    return PICTURE_WORDS[modality] if modality is not None else "medical picture"


def region_phrase(label: str, modality: str | None, phrase: str | None) -> str:
    """The prompt of a label: its phrase where the set gives one, else its name in plain words.

    "ActiveTuberculosis" is "active tuberculosis", "left_lung" "left lung", "RBC" stays. A label
    that names nothing ("object") becomes "finding in an MRI picture".
    """
    if phrase:
        return phrase
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", " ", label)
    spaced = re.sub(r"[_/\s]+", " ", spaced).strip()
    words = [word if _is_code(word) else word.lower() for word in spaced.split(" ")]
    plain = " ".join(words)
    if plain.lower() in _EMPTY_LABELS or not any(letter.isalpha() for letter in plain):
        return f"finding in {with_article(picture_words(modality))}"
    return plain


def _is_code(word: str) -> bool:
    """RBC, COVID-19, T2: capitals or digits that lower case would spoil."""
    letters = [letter for letter in word if letter.isalpha()]
    short = len(word) <= 5 or len(letters) < len(word)
    return short and bool(letters) and all(letter.isupper() for letter in letters)


def place_of(box: Box) -> Place:
    """Row and column of the third in which the centre of the box lies."""
    x, y = box.centre
    column, row = int(3 * x / box.frame.width), int(3 * y / box.frame.height)
    return min(max(row, 0), 2), min(max(column, 0), 2)


def place_words(place: Place) -> str:
    """ "upper left", "middle right", "lower centre"; "centre" for the middle cell."""
    row, column = place
    return "centre" if place == (1, 1) else f"{ROWS[row]} {COLUMNS[column]}"


def size_word(region: Region) -> str | None:
    """tiny, small, medium-sized or large; None for a point, whose square is not its size."""
    return None if region.shape == "point" else SIZES[size_stratum(region.box)]


def region_words(phrase: str, size: str | None, place: Place) -> str:
    """ "small platelet in the upper left of the picture"."""
    return " ".join(filter(None, (size, phrase, f"in the {place_words(place)} of the picture")))


def short_phrase(phrase: str) -> str:
    """The phrase without its explanation: "macrocyte" of "macrocyte, a large red blood cell"."""
    return re.sub(r"(, an? .*| \([^()]*\))$", "", phrase)


def is_countless(phrase: str) -> bool:
    """Whether a phrase is a plural or a mass noun, so that it takes no "a" and no number."""
    last = re.split(r"[\s-]", _head(phrase)[0])[-1]
    if _MASS.search(last.lower()):
        return True
    return last.endswith("s") and not last.lower().endswith(("ss", "us", "is", "as"))


def with_article(phrase: str) -> str:
    """ "a platelet", "an MRI picture", "the left lung"; nothing before plurals and mass nouns."""
    if is_countless(phrase) or phrase.startswith("no ") or " and " in phrase:
        return phrase
    if re.match(r"(left|right) ", phrase):
        return f"the {phrase}"
    first = phrase.split(" ")[0]
    if first[:2].lower() == "x-" or (first.isupper() and len(first) > 1):
        return f"an {phrase}" if first[0].upper() in _SPELT_WITH_VOWEL else f"a {phrase}"
    vowel = first[0].lower() in "aeiou" and not re.match(r"(uni|eu|one|use)", first.lower())
    return f"an {phrase}" if vowel else f"a {phrase}"


def counted(count: int, phrase: str) -> str:
    """ "1 platelet", "3 platelets", "2 regions of ground glass opacities"."""
    if is_countless(phrase):
        return f"{count} region{'s' if count != 1 else ''} of {phrase}"
    if count == 1:
        named = with_article(phrase)  # "the left lung", not "1 left lung"
        return f"1 {phrase}" if named.startswith(("a ", "an ")) else named
    return f"{count} {plural(phrase)}"


def plural(phrase: str) -> str:
    """The plural of a countable phrase, made of its head: "foreign bodies in the lung"."""
    head, rest = _head(phrase)
    before, _, last = head.rpartition(" ")
    if last in _IRREGULAR:
        last = _IRREGULAR[last]
    elif re.search(r"[^aeiou]y$", last):
        last = last[:-1] + "ies"
    elif re.search(r"sis$", last):
        last = last[:-2] + "es"
    else:
        last += "es" if re.search(r"(s|x|ch|sh)$", last) else "s"
    return f"{before} {last}".strip() + rest


def _head(phrase: str) -> tuple[str, str]:
    """The noun with what stands before it, and what follows: "cyst", " in the liver"."""
    cut = re.search(r" (in|of|with|without|and|to|from) |,| \(|$", phrase)
    at = cut.start() if cut else len(phrase)
    return phrase[:at], phrase[at:]


def listed(parts: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
