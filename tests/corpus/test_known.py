"""The files of corpus/known hold to our words."""

import pytest

from regionmed.corpus.known import Known, known_sets
from regionmed.corpus.readers import READERS
from regionmed.corpus.wording import short_phrase
from regionmed.record import MODALITIES

EVERY = pytest.mark.parametrize("known", known_sets(), ids=lambda known: known.name)


@EVERY
def test_a_known_set_speaks_our_words(known: Known):
    assert known.card
    assert known.format is None or known.format in READERS
    assert {known.modality, *known.modalities.values()} - {None} <= set(MODALITIES)
    assert known.licence or known.open_licences or not known.open


@EVERY
def test_phrases_are_told_apart_without_their_explanations(known: Known):
    short = [short_phrase(phrase) for phrase in known.phrases.values()]
    assert len(set(short)) == len(short)
    assert all(phrase == phrase.strip() and not phrase.endswith(".") for phrase in short)


def test_every_label_spelling_leads_to_a_phrase():
    for known in known_sets():
        if known.phrases:
            assert set(known.labels.values()) <= known.phrases.keys(), known.name


def test_names_are_unique():
    names = [known.name for known in known_sets()]
    assert len(set(names)) == len(names)
