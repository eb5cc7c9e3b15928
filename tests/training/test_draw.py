"""What a step sees is true: texts, views, regions."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import regionmed
from regionmed.batches.augment import View
from regionmed.batches.cache import model_frame, open_picture_cache
from regionmed.corpus.describe import describe
from regionmed.corpus.shards import write_corpus
from regionmed.geometry import Box, Frame, Placement
from regionmed.model.region_clip import RegionClip
from regionmed.record import Provenance, Record, Region
from regionmed.training.draw import Drawer
from regionmed.training.examples import Examples, gather
from regionmed.training.views import ViewCache

FRAME = Frame("file", 64, 64)


@pytest.fixture(scope="module")
def elbows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pictures: one elbow fracture, two of them, one wrist fracture, two of them."""
    records = []
    for number, (label, count) in enumerate(
        [("elbow", 1), ("elbow", 2), ("wrist", 1), ("wrist", 2)]
    ):
        stored = io.BytesIO()
        Image.new("L", (64, 64), 50 * number).save(stored, "PNG")
        boxes = [Box(4 + 30 * n, 4, 20 + 30 * n, 20, FRAME) for n in range(count)]
        record = Record(
            f"arm/{number}.png",
            "arm",
            f"{number}.png",
            hashlib.sha256(stored.getvalue()).hexdigest(),
            FRAME,
            Provenance("arm", "painted"),
            modality="xray",
            labels=(label,),
            regions=tuple(Region(label, box, "box") for box in boxes),
            split="train",
            picture=stored.getvalue(),
        )
        records.append(describe(record, {"elbow": "elbow fracture", "wrist": "wrist fracture"}))
    folder = tmp_path_factory.mktemp("arm") / "corpus"
    phrases = {"arm": {"elbow": "elbow fracture", "wrist": "wrist fracture"}}
    write_corpus(records, folder, {"phrases": phrases})
    return folder


@pytest.fixture(scope="module")
def drawing(
    elbows: Path, untrained_model: RegionClip, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Examples, ViewCache]:
    corpus = regionmed.open_corpus(elbows)
    examples = gather([corpus])
    pictures = [open_picture_cache(corpus, untrained_model.image_size)]
    folder = tmp_path_factory.mktemp("views")
    return examples, ViewCache(examples, pictures, untrained_model, 1, folder)


def test_a_text_that_is_true_of_a_picture_is_never_its_negative(
    drawing: tuple[Examples, ViewCache],
) -> None:
    examples, views = drawing
    text_of = list(examples.bank.numbers)
    drawer = Drawer(examples, views, batch=4, regions=4, seed=0, grid=28)
    met = 0
    for number in range(20):
        step = drawer.step(number)
        for text, row in zip(step.picture_texts, step.positive_BM, strict=True):
            assert text is not None
            joint = "elbow" if "elbow" in text_of[text] else "wrist"
            for column, positive in zip(step.text_columns, row.tolist(), strict=True):
                if text_of[column] in ("elbow fracture", "wrist fracture"):
                    assert positive == (joint in text_of[column])
                    met += 1
    assert met > 20


def test_no_is_true_as_often_as_false_and_true_only_of_what_the_picture_lacks(
    drawing: tuple[Examples, ViewCache],
) -> None:
    examples, views = drawing
    text_of = list(examples.bank.numbers)
    for number in range(10):
        step = Drawer(examples, views, batch=4, regions=4, seed=0, grid=28).step(number)
        for label, pairs in zip(step.labels, step.denials, strict=True):
            there = text_of[label].removesuffix(" fracture")
            assert [text_of[true].startswith("no ") for true, _ in pairs] == [False, True]
            for true, false in pairs:
                stated, denied = sorted((text_of[true], text_of[false]), key=len)
                assert denied == f"no {stated}"
                assert (there in stated) == (text_of[true] == stated)
    assert not any(text_of[twin].startswith("no ") for twins in step.twins for twin in twins)


def test_a_step_draws_nothing_that_its_terms_do_not_ask_for(
    drawing: tuple[Examples, ViewCache],
) -> None:
    drawer = Drawer(*drawing, batch=4, regions=4, seed=0, grid=28)
    plain = drawer.step(0, ["global"])
    assert not plain.present_BR.any()
    assert not plain.query_present_BQ.any()
    assert len(plain.early_BCHW) == len([t for t in plain.picture_texts if t is not None]) == 4
    assert drawer.step(0, ["region"]).present_BR.sum() == 6
    assert not drawer.step(0, ["region"]).query_present_BQ.any()
    assert drawer.step(0, ["ground"]).query_present_BQ.any()


def test_a_region_out_of_its_view_is_not_asked(drawing: tuple[Examples, ViewCache]) -> None:
    examples, views = drawing
    away = View(Placement(model_frame(448), model_frame(448), 1.0, 1.0, 0.0, -120.0))
    old, views.drawn = views.drawn, [[away] for _ in views.drawn]
    step = Drawer(examples, views, batch=4, regions=4, seed=0, grid=28).step(0)
    views.drawn = old
    # boxes end at 20 of 64 pixels, 140 of 448: 20 of their 112 rows are left, less than .3
    assert step.present_BR.shape[1] == 0
    assert step.labels == []


def test_weights_and_labels_follow_the_regions_row_by_row(
    drawing: tuple[Examples, ViewCache],
) -> None:
    examples, views = drawing
    step = Drawer(examples, views, batch=4, regions=4, seed=0, grid=28).step(3)
    counts = step.present_BR.sum(1).tolist()
    assert sorted(counts) == [1, 1, 2, 2]
    assert len(step.labels) == len(step.weights) == len(step.twins) == sum(counts)
    # six regions, three a label: rarity 1; divided by the picture's own number of regions
    expected = [(1 / count) ** 0.5 for count in counts for _ in range(count)]
    assert torch.allclose(step.weights, torch.tensor(expected))


def test_another_draw_of_views_is_another_cache(
    drawing: tuple[Examples, ViewCache], untrained_model: RegionClip, tmp_path: Path, elbows: Path
) -> None:
    examples, _ = drawing
    pictures = [open_picture_cache(regionmed.open_corpus(elbows), untrained_model.image_size)]
    ViewCache(examples, pictures, untrained_model, 2, tmp_path)
    ViewCache(examples, pictures, untrained_model, 2, tmp_path)
    assert len(list(tmp_path.glob("views-*"))) == 1
    mirrored = Examples(
        [replace(item, mirror_y=True) for item in examples.items],
        examples.bank,
        examples.vocabulary,
    )
    ViewCache(mirrored, pictures, untrained_model, 2, tmp_path)
    assert len(list(tmp_path.glob("views-*"))) == 2


def test_what_a_zooming_model_reads_again_is_the_same_view_at_the_frames_full_scale(
    drawing: tuple[Examples, ViewCache], untrained_model: RegionClip
) -> None:
    examples, views = drawing
    assert views.fine is not None
    small = [n for n in range(len(examples.items)) if views.fine_row(n, 0) is not None]
    assert len(views.fine) == len(small)  # one view each
    if small:
        early, fine = views.early([(small[0], 0)]), views.fine_maps([views.fine_row(small[0], 0)])
        assert fine.shape == (*early.shape[:2], 2 * early.shape[2], 2 * early.shape[3])


def test_a_window_is_shown_as_a_picture_and_as_a_box_of_the_same_place(
    elbows: Path, untrained_model: RegionClip, tmp_path: Path
) -> None:
    corpus = regionmed.open_corpus(elbows)
    examples = gather([corpus])
    pictures = [open_picture_cache(corpus, untrained_model.image_size)]
    views = ViewCache(examples, pictures, untrained_model, 1, tmp_path, distil=True)
    x0, y0, x1, y1 = views.window_edges[2]
    assert 0.25 <= x1 - x0 <= 0.6
    assert abs((x1 - x0) - (y1 - y0)) < 1e-6
    side = untrained_model.image_size
    assert np.allclose(views.window_box(2, 0).unit(), views.window_edges[2])  # the plain view
    frame = pictures[0].pixels_NHWC[examples.items[2].row]
    part = frame[round(y0 * side) : round(y1 * side), round(x0 * side) : round(x1 * side)]
    shown = Image.fromarray(part).resize((side, side), Image.Resampling.BILINEAR)
    early = untrained_model.stem(torch.from_numpy(np.array(shown)).permute(2, 0, 1)[None])
    kept = views.window_maps([0, 1, 2, 3]).float()
    away = (kept - early).abs().mean((1, 2, 3))
    assert int(away.argmin()) == 2  # nearer to its own window than to any other picture's
