"""A picture that was trained on is found, itself or as a twin, and said."""

from regionmed.evaluation.leakage import pictures_seen, remark
from regionmed.geometry import Frame
from regionmed.record import Provenance, Record


def record_of(name: str, sha256: str, twins: str | None = None) -> Record:
    source = Provenance("s", "voc")
    return Record(name, "s", name, sha256, Frame("file", 8, 8), source, twins=twins)


TEST = [record_of("a", "1"), record_of("b", "2", "family"), record_of("c", "3")]
TRAIN = [record_of("d", "4", "family"), record_of("e", "5")]


def test_the_same_file_is_seen() -> None:
    assert pictures_seen(TEST, TEST + TRAIN, frozenset({"3", "5"})) == {"c"}


def test_the_twin_of_a_training_picture_is_seen() -> None:
    assert pictures_seen(TEST, TEST + TRAIN, frozenset({"4"})) == {"b"}


def test_the_remark_says_none_how_many_or_that_nobody_knows() -> None:
    assert remark(3, 0, frozenset({"9"})) == "none: 0 of 3"
    assert remark(3, 1, frozenset({"3"})).startswith("1 of 3 pictures were trained on")
    assert pictures_seen(TEST, TEST, None) == frozenset()
    assert remark(3, 0, None) == "unknown training data"
