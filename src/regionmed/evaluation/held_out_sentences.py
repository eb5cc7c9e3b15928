"""Pairs about sentences of people's captions, by rules that training never used.

A sentence is taken out of its caption and said anew, once truly and once falsely, in like words:
"left pleural effusion" becomes "left-sided pleural effusion" against "right-sided ...", "no mass is
seen" becomes "absence of mass" against "presence of mass"; a finding is exchanged for its opposite
(probe_wordings.yaml). Only forms that leave no doubt: nothing hedged, nothing denied twice, the
other side or the opposite nowhere in caption and report. Sides and denials are asked as often one
way as the other; opposites are as they come, and the control text-only says what words alone earn.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from regionmed.evaluation.held_out_wordings import balanced, folded, wordings
from regionmed.evaluation.part import Part
from regionmed.evaluation.probe_pairs import Pair, statement_of
from regionmed.record import Record

SENTENCES, QUESTIONS = "sentences, held-out rules", "questions, held-out wordings"
SPOKEN = ("title", "findings", "impression")  # sections that would name the other side
WORDS = range(3, 61)  # in a sentence: shorter says nothing, longer is cut by text towers
_END = re.compile(r"(?<=[.;!?])\s+|\s*\n+\s*")
_DOUBT = re.compile(
    r"\b(may|might|could|can|cannot|would|possib\w+|probab\w+|likely|suspicio\w+|suspect\w*"
    r"|suggest\w*|question\w*|versus|vs|if|unless|rul(e|es|ed|ing) out|exclu\w+|appear\w*|seem\w*"
    r"|history|differential|concern\w*|equivocal|unclear|arguabl\w+|prior|previous\w*"
    r"|than|status post)\b|\?",
    re.IGNORECASE,
)
_DENIAL = re.compile(
    r"\b(no|not|without|never|none|neither|nor|absen\w+|den(y|ies|ied)|non|lack\w*|free|fail\w*"
    r"|negative|except|resol\w+|spar\w+|unremarkable|intact|preserv\w+|\w+n't)\b",
    re.IGNORECASE,
)
_CUT_OFF = re.compile(r"\b(of|for|the|an?)\W*$", re.IGNORECASE)  # a sentence without its end
_TURNS = re.compile(r"\b(but|however|although|though)\b", re.IGNORECASE)
_SIDE = re.compile(r"\b(left|right)\b", re.IGNORECASE)
_OTHER_NAMES = re.compile(  # sides by another name, and words that are no side of a finding
    r"\b(bi-?lateral\w*|both|either|symmetric\w*|contra-?lateral\w*|ipsi-?lateral\w*|sides|midline"
    r"|leftward\w*|rightward\w*|decubitus|oblique|view|handed|angle)\b"
    r"|\b(?-i:(?!LEFT\b)[RL](t|[A-Z]{0,3}))\b|\b(was|is|been|be|are|were) left\b",
    re.IGNORECASE,
)
_LIES_ON_A_SIDE = re.compile(  # what a picture shows on one side because it is ill
    r"(mass|lesion|nodul|opaci|consolidat|effusion|pneumothora|fractur|h(a?)emorrhag|h(a?)ematom"
    r"|infarct|stroke|cyst|abscess|tumou?r|calcif|stone|calcul|thromb|dissect|aneurysm|ischemi"
    r"|collection|herniat|enhanc|intens|dens(e|ity)|lucen|edema|metasta|ulcer|polyp|dilat|enlarg"
    r"|thicken|stenosis|occlu|signal|atroph|hydroneph|lymphaden|lytic|erosi|destruct)",
    re.IGNORECASE,
)
_ORGAN = (
    r"(?:lung|kidney|lobe|hemisphere|ovary|breast|gland|orbit|globe|eye|femur|hip|knee|ankle|foot"
    r"|shoulder|elbow|wrist|hand|humerus|tibia|thalamus|ventricle|atrium|ureter|axilla|hemithorax"
    r"|sinus|ear|neck|groin|thigh|leg|arm|maxilla|hemipelvis|testis|testicle|adnexa|insula)"
)
_NO_NOUN = r"(?:of|is|are|was|and|to|in|at|with|from|by|for|side|the|which|that|on)"
_ENDS = r"(?:of|is|are|and|in|at|with|extending|measuring)"
_SAID_ANEW = (  # the first that fits; {side} takes the place of left or right
    (r"\b(left|right)[- ]sided\b", "{side}"),
    (
        r"\b(?P<to>on|to|in|at|towards?) the (left|right)(?: side)?(?=[.,;:)]|$| " + _ENDS + r"\b)",
        "{to} the {side}-hand side",
    ),
    (
        rf"\b(left|right) (?P<organ>(?:[a-z]+ ){{0,2}}?{_ORGAN})\b",
        "{organ} on the {side}-hand side",
    ),
    (rf"\b(left|right) (?!{_NO_NOUN}\b)(?=[a-z]{{3}})", "{side}-sided "),
)
_SURELY = r"(?:(?:any|definite|definitive|obvious|convincing) )?"
_SIGNS = rf"(?:{_SURELY}(?:evidence|signs?|indication) (?:of|for) )?"
_SHOWS = r"(?:shows?|showing|demonstrates?|demonstrating|reveals?|depicts?)"
_NEW = (  # opens what a sentence tells as new
    r"(?:an?|multiple|several|numerous|extensive|diffuse|mild|moderate|severe|marked|focal|large"
    r"|small|some|increased|decreased|abnormal|subtle|significant)"
)
_IS = r"(?:is|are|was|were)"
_SEEN = (
    r"(?:seen|present|noted|identified|visible|visualized|evident|demonstrated|appreciated"
    r"|detected)"
)
_STATED = (  # pattern, and what is said in its place; {word} is presence or absence
    (
        rf"There (?:is|are) (?:also |again )?{_SIGNS}(?!the |that |no )(?P<told>.+)",
        "{word} of {told}",
    ),
    (
        rf"(?P<head>[^,;]{{3,120}}?\b{_SHOWS}) {_SIGNS}(?P<told>{_NEW} .+)",
        "{head} the {word} of {told}",
    ),
)
_DENIED = (
    (rf"There (?:is|are) no {_SIGNS}(?P<told>[^,;]+)", "{word} of {told}"),
    (
        rf"No {_SIGNS}(?P<told>(?:(?!\b{_IS}\b)[^,;])+?)(?: (?:{_IS} )?(?:\w+ly )?{_SEEN})?\.?",
        "{word} of {told}",
    ),
    (
        rf"(?P<head>[^,;]{{3,120}}?\b{_SHOWS}) no {_SIGNS}(?P<told>[^,;]+)",
        "{head} the {word} of {told}",
    ),
    (
        rf"(?P<head>[^;]{{3,160}}?),? without {_SIGNS}(?!(?:any|and|iv|intravenous|contrast|fat"
        r"|gadolinium|\w+ing)\b)(?P<told>[^,;]+)",
        "{head} in the {word} of {told}",
    ),
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence and what else is said of its picture."""

    row: int  # in part.records
    name: str  # the record's id and its number in the caption, or the question's id
    text: str
    others: str  # the rest of the caption, and the report


class Told(NamedTuple):
    """A sentence said anew, truly and falsely; `way` is the true side, or stated or denied."""

    true: str
    false: str
    way: str


def held_out_sentence_pairs(part: Part) -> list[Pair]:
    """All kinds, for the captions of part.records; no sentence that a training caption has."""
    trained = {
        folded(text)
        for record in part.train
        if record.texts.caption
        for text in (record.texts.caption, *_split(record.texts.caption))
    }
    said = [
        (kind, sentence, told)
        for row, record in enumerate(part.records)
        for sentence in _sentences(row, record)
        if folded(sentence.text) not in trained
        for kind, told in _every_way(sentence)
        if trained.isdisjoint((folded(told.true), folded(told.false)))
    ]
    by_kind = {
        kind: [(sentence, told) for found, sentence, told in said if found == kind]
        for kind in ("laterality", "finding", "negation")
    }
    for kind in ("laterality", "negation"):
        by_kind[kind] = _as_often(by_kind[kind], f"{part.name} {kind}")
    return [_pair(SENTENCES, kind, *each) for kind, found in by_kind.items() for each in found]


def held_out_question_pairs(part: Part) -> list[Pair]:
    """Closed questions "Is there ...?" as presence and absence, yes as often as no."""
    told = []
    for row, record in enumerate(part.records):
        for question in record.questions:
            answer = question.answer.strip().casefold()
            stated = statement_of(question)
            if stated is None or answer not in ("yes", "no"):
                continue
            sentence = Sentence(row, question.id, stated, "")
            said = said_to_be_there(sentence)
            if said is not None and said.way == "stated":
                denied = Told(said.false, said.true, "denied")
                told.append((sentence, said if answer == "yes" else denied))
    chosen = _as_often(told, f"{part.name} questions")
    return [_pair(QUESTIONS, "negation", *each) for each in chosen]


def said_on_a_side(sentence: Sentence) -> Told | None:
    """The sentence on its side and on the other; None where that need not be false."""
    text, sides = sentence.text, _SIDE.findall(sentence.text)
    if len(sides) != 1 or not _LIES_ON_A_SIDE.search(text):
        return None
    if any(pattern.search(text) for pattern in (_DOUBT, _DENIAL, _OTHER_NAMES)):
        return None
    side = sides[0].lower()
    other = "right" if side == "left" else "left"
    if re.search(rf"\b({other}|bi-?lateral|both)", sentence.others, re.IGNORECASE):
        return None
    for pattern, form in _SAID_ANEW:
        if match := re.search(pattern, text, re.IGNORECASE):
            before, after = text[: match.start()], text[match.end() :]
            true, false = (
                _opened(before + form.format(side=one, **match.groupdict()) + after)
                for one in (side, other)
            )
            return Told(true, false, side)
    return None


def said_to_be_there(sentence: Sentence) -> Told | None:
    """Presence against absence of what the sentence states or denies; None where in doubt."""
    text = sentence.text
    denials = _DENIAL.findall(text)
    if len(denials) > 1 or _DOUBT.search(text) or _TURNS.search(text):
        return None
    if not denials and re.search(r"\bor\b", text):
        return None
    for pattern, form in _DENIED if denials else _STATED:
        match = re.fullmatch(pattern, text, re.IGNORECASE)
        if match and not _CUT_OFF.search(match["told"]):
            present, absent = (
                _opened(form.format(word=word, **match.groupdict()))
                for word in ("presence", "absence")
            )
            return Told(absent, present, "denied") if denials else Told(present, absent, "stated")
    return None


def opposites(sentence: Sentence) -> Iterator[Told]:
    """The sentence, and the same with one word exchanged for one that contradicts it."""
    text = sentence.text
    if _DOUBT.search(text) or _DENIAL.search(text):
        return
    said = f"{text} {sentence.others}"
    for first, second in wordings().contradictions:
        for own, other in ((first, second), (second, first)):
            places = list(re.finditer(rf"(?<![\w-]){own}(?![\w-])", text, re.IGNORECASE))
            if len(places) == 1 and not re.search(rf"(?<![\w-]){other}", said, re.IGNORECASE):
                yield Told(_opened(text), _exchanged(text, places[0], other), "")


def _exchanged(text: str, place: re.Match[str], other: str) -> str:
    article = "an" if other[0] in "aeiou" else "a"
    before = re.sub(r"\b(a)n? $", f"{article} ", text[: place.start()], flags=re.IGNORECASE)
    return _opened(before + other + text[place.end() :])


def _as_often(told: Sequence[tuple[Sentence, Told]], seed: str) -> list[tuple[Sentence, Told]]:
    """As many of one way as of the other."""
    first, second = (
        {one.name: (one, said) for one, said in told if said.way in ways}
        for ways in (("left", "stated"), ("right", "denied"))
    )
    drawn = balanced(first, second, seed, len(told))
    return [*drawn[0], *drawn[1]]


def _every_way(sentence: Sentence) -> Iterator[tuple[str, Told]]:
    if side := said_on_a_side(sentence):
        yield "laterality", side
    if denial := said_to_be_there(sentence):
        yield "negation", denial
    yield from (("finding", told) for told in opposites(sentence))


def _pair(source: str, kind: str, one: Sentence, told: Told) -> Pair:
    return Pair(one.row, None, source, one.name, kind, told.true, told.false, told.way)


def _sentences(row: int, record: Record) -> Iterator[Sentence]:
    """The sentences of a caption, each with the others and what the report says of the picture."""
    texts = _split(record.texts.caption or "")
    report = [text for section, text in record.texts.report.items() if section in SPOKEN and text]
    for number, text in enumerate(texts):
        if len(text.split()) in WORDS:
            others = " ".join([*texts[:number], *texts[number + 1 :], *report])
            yield Sentence(row, f"{record.id}/{number}", text, others)


def _split(caption: str) -> list[str]:
    parts = (" ".join(part.split()) for part in _END.split(caption))
    bare = (re.sub(r"^(?:[-*\u2022]|\(?#?\d+\)) *", "", part) for part in parts)
    return [part for part in bare if part]


def _opened(text: str) -> str:
    return text[:1].upper() + text[1:]
