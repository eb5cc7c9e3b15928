"""Cards: every one loads, its figures name their sources, and a faulty one says what is wrong."""

import csv
import re

import pytest

from regionmed.corpus.readers import READERS
from regionmed.errors import UsageError
from regionmed.evaluation.benchmark_card import METRICS, card_names, folder, load_card, parse_card
from regionmed.evaluation.benchmark_copy import shipped_splits
from regionmed.record import SPLITS

EVERY = pytest.mark.parametrize("name", card_names())
KIT = {
    "bccd", "bone_fracture_yolo", "brain_tumor2_coco", "busi", "chula_rbc12", "covid_cxr_seg",
    "fuseg_wounds", "kvasir_seg", "medpix2", "tbx11k_tb", "vqa_rad", "wbc_seg",
}  # fmt: skip
ELSEWHERE = {
    "slake", "pathvqa", "ms_cxr", "padchest_gr", "rsna", "siim", "chestxray14", "chexpert",
    "chestxdet10", "roco", "unimed21", "deeplesion",
}  # fmt: skip
SMALLEST = """
name: small
title: A set
version: "1"
tasks: [grounding]
splits: {kind: drawn, rows: a fifth}
prompts: the label
metric: miou
direction: higher
chance: "0"
licence: CC0
access: open
how_to_obtain: ask
layout: [{pattern: "*.png", what: pictures}]
reading: {format: masks}
"""


def test_the_sets_of_the_kit_and_those_of_others_papers_have_cards() -> None:
    assert set(card_names()) == KIT | ELSEWHERE


@EVERY
def test_a_card_measures_in_a_known_direction_and_names_a_source_for_each_figure(name: str) -> None:
    card = load_card(name)
    assert card.direction == METRICS[card.metric][2]
    assert card.reading.format in (None, *READERS)
    for figure in card.published:
        low, high, _ = METRICS[figure.metric]
        assert low <= figure.value <= high
        assert re.match(r"https://[\w.-]+\.\w+/\S+$|arXiv:|doi:10\.", figure.source)
    # one model has one figure of a metric under one protocol
    keys = [(each.model, each.metric, each.protocol) for each in card.published]
    assert len(keys) == len(set(keys))


@EVERY
def test_shipped_splits_belong_to_a_card_and_say_train_val_or_test(name: str) -> None:
    card = load_card(name)
    has_file = folder().joinpath("splits", f"{name}.csv").is_file()
    assert has_file == (card.splits.kind == "shipped") == (name in KIT)
    rows = shipped_splits(card)
    assert {row["split"] for row in rows} <= set(SPLITS)
    assert len({row["image"] for row in rows}) == len(rows)
    families: dict[str, set[str]] = {}
    for row in rows:
        for key in ("group", "twins"):
            if row[key] and not row["exclude"]:
                families.setdefault(row[key], set()).add(row["split"])
    assert all(len(splits) == 1 for splits in families.values())


def test_figures_copied_by_hand_from_their_sources_stand_in_the_cards() -> None:
    def value(name: str, model: str, metric: str) -> float:
        figures = load_card(name).published
        return next(f.value for f in figures if (f.model, f.metric) == (model, metric))

    assert value("ms_cxr", "AFLoc", "pointing") == 0.784
    assert value("padchest_gr", "KAF-Ground", "cnr") == 1.572
    assert value("rsna", "BioViL-T", "auroc") == 0.860  # printed as 86.0
    assert value("vqa_rad", "LaPA", "accuracy:open") == 0.687
    assert value("unimed21", "UniMed-CLIP L/14-336", "mean_score") == 0.6484


def test_the_smallest_card_is_one() -> None:
    assert parse_card(SMALLEST, "small.yaml").name == "small"


FIGURE = "{model: m, metric: miou, value: .5, protocol: p, source: 'https://a.org/b', tag: R}"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("colour: blue", "colour"),
        ("metric: loudness", "loudness"),
        ("direction: lower", "miou is better higher"),
        ("access: maybe", "access"),
        ("reading: {format: null}", "what to convert it to"),
        ("layout: []", "layout to check"),
        (f"published: [{FIGURE.replace('.5', '57.0')}]", "miou 57.0 lies outside 0 to 1"),
        (f"published: [{FIGURE.replace('https://a.org/b', 'somebody said')}]", "source"),
        (f"published: [{FIGURE.replace('.5', 'high')}]", "published.0.value"),
        ("title: [", "not YAML"),
    ],
)
def test_a_faulty_card_is_refused_in_one_sentence_that_names_the_fault(
    change: str, named: str
) -> None:
    key = change.partition(":")[0]
    kept = [line for line in SMALLEST.splitlines() if not line.startswith(f"{key}:")]
    with pytest.raises(UsageError, match=r"bad\.yaml is no card") as raised:
        parse_card("\n".join([*kept, change]), "bad.yaml")
    assert named in str(raised.value)


def test_an_unknown_name_lists_the_names_there_are() -> None:
    with pytest.raises(UsageError, match=r"'vqarad'.*bccd, .*vqa_rad, wbc_seg"):
        load_card("vqarad")


def test_split_files_have_the_columns_of_a_splits_table() -> None:
    for name in KIT:
        text = folder().joinpath("splits", f"{name}.csv").read_text("utf-8")
        assert next(csv.reader([text.splitlines()[0]])) == [
            "image", "split", "exclude", "group", "twins",
        ]  # fmt: skip
