"""What is written for CLIP_benchmark; with the real package, the numbers that it then states."""

import json
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from regionmed.batches.batch import boxes_to_unit
from regionmed.corpus.shards import Corpus
from regionmed.errors import UsageError
from regionmed.evaluation.adapters.clip_benchmark import (
    BOX,
    ForClipBenchmark,
    Texts,
    write_captions,
    write_regions,
)
from regionmed.evaluation.part import Part, open_parts
from regionmed.evaluation.retrieval import run_retrieval
from regionmed.model.checkpoint import load, save_model
from regionmed.model.region_clip import RegionClip


@pytest.fixture(scope="module")
def part(squares: Corpus, untrained: RegionClip) -> Part:
    return next(open_parts(untrained, [squares], "test"))


@pytest.fixture(scope="module")
def run(untrained: RegionClip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "untrained"
    save_model(untrained, folder, {})
    return folder


def samples(folder: Path) -> dict[str, bytes]:
    with tarfile.open(folder / "test" / "0.tar") as shard:
        return {entry.name: shard.extractfile(entry).read() for entry in shard}


def test_a_crop_holds_the_region_and_nothing_else(part: Part, tmp_path: Path) -> None:
    """The painted squares are 20 px wide: bright ones 250, dark ones 10 all over."""
    assert write_regions(part, tmp_path / "crops", "crop") == len(part.records)
    assert (tmp_path / "crops/classnames.txt").read_text() == "a bright square\na dark square\n"
    for number, record in enumerate(part.records):
        answer = int(samples(tmp_path / "crops")[f"{number:07d}.cls"])
        with tarfile.open(tmp_path / "crops/test/0.tar") as shard:
            image = Image.open(shard.extractfile(f"{number:07d}.png"))
            assert image.size == (20, 20)
            assert image.getextrema() == (((250, 250), (10, 10))[answer],) * 3
        assert ("bright", "dark")[answer] == record.regions[0].label


def test_a_box_travels_inside_its_picture(
    part: Part, untrained: RegionClip, tmp_path: Path
) -> None:
    write_regions(part, tmp_path / "boxes", "box")
    with tarfile.open(tmp_path / "boxes/test/0.tar") as shard:
        image = Image.open(shard.extractfile("0000003.png"))
        image.load()
    box = part.records[3].regions[0].box
    assert tuple(float(edge) for edge in image.info[BOX].split()) == box.edges
    adapted = ForClipBenchmark(untrained)
    found = adapted.encode_image(adapted.transform(image)[None])
    assert found.numpy() == pytest.approx(untrained.encode_regions(image, [box.edges]), abs=1e-6)


def test_boxed_and_whole_pictures_may_stand_in_one_batch(part: Part, untrained: RegionClip) -> None:
    image = part.corpus.picture(part.indices[0]).convert("RGB")
    boxed = image.copy()
    boxed.info[BOX] = "8 10 28 30"
    adapted = ForClipBenchmark(untrained)
    found = adapted.encode_image(torch.stack([adapted.transform(image), adapted.transform(boxed)]))
    assert found[0].numpy() == pytest.approx(untrained.encode_image(image)[0], abs=1e-6)
    region = untrained.encode_regions(image, np.array([[8, 10, 28, 30]]))[0]
    assert found[1].numpy() == pytest.approx(region, abs=1e-6)


def test_sentences_pass_where_tokens_are_expected(untrained: RegionClip) -> None:
    sentences = Texts(["a bright square", "a dark square"]).to("cpu")
    found = ForClipBenchmark(untrained).encode_text(sentences)
    assert found.numpy() == pytest.approx(untrained.encode_text(sentences))


def test_a_folder_that_is_there_is_not_written_over(part: Part, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is there already"):
        write_captions(part, tmp_path)
    assert list(tmp_path.iterdir()) == []


def clip_benchmark(*arguments: str, out: Path) -> dict[str, float]:
    """The metrics of CLIP_benchmark's own command line."""
    pytest.importorskip("clip_benchmark.cli", reason="CLIP_benchmark is not installed: make proof")
    command = [sys.executable, "-m", "regionmed.evaluation.adapters.clip_benchmark", "eval"]
    common = ["--num_workers", "0", "--batch_size", "8", "--output", str(out / "found.json")]
    done = subprocess.run(
        [*command, *arguments, *common], cwd=out, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads((out / "found.json").read_text())["metrics"]


def test_clip_benchmark_scores_our_regions_as_we_do(part: Part, run: Path, tmp_path: Path) -> None:
    write_regions(part, tmp_path / "boxes", "box")
    metrics = clip_benchmark(
        "--model_type=regionmed", "--model=regionmed", f"--pretrained={run}",
        "--dataset=wds/boxes", f"--dataset_root={tmp_path / 'boxes'}",
        "--task=zeroshot_classification", out=tmp_path,
    )  # fmt: skip
    model = load(run)
    pictures = part.pictures(model.image_size)
    boxes = [
        boxes_to_unit([record.regions[0].box], placement)
        for record, placement in zip(part.records, pictures.placements, strict=True)
    ]
    regions_RE = np.concatenate(model.embed(pictures.pixels_NHWC, boxes).regions)
    texts_LE = model.encode_text(["a bright square", "a dark square"])
    truth = np.array([record.regions[0].label == "dark" for record in part.records])
    hits = (regions_RE @ texts_LE.T).argmax(axis=1) == truth
    assert metrics["acc1"] == pytest.approx(hits.mean())
    recalls = [hits[truth == label].mean() for label in (False, True)]
    assert metrics["mean_per_class_recall"] == pytest.approx(np.mean(recalls))


def test_clip_benchmark_retrieves_as_we_do(part: Part, run: Path, tmp_path: Path) -> None:
    assert write_captions(part, tmp_path / "captions") == len(part.records)
    metrics = clip_benchmark(
        "--model_type=regionmed", "--model=regionmed", f"--pretrained={run}",
        "--dataset=wds/captions", f"--dataset_root={tmp_path / 'captions'}",
        "--task=zeroshot_retrieval", "--recall_k", "1", "5", "10", out=tmp_path,
    )  # fmt: skip
    model = load(run)
    found = run_retrieval(
        model, part, model.embed(part.pictures(model.image_size).pixels_NHWC).images
    )
    assert found is not None
    to_text, to_image = found.directions
    for k in (1, 5, 10):
        assert metrics[f"text_retrieval_recall@{k}"] == pytest.approx(
            to_text.standing.recall(k).mean()
        )
        assert metrics[f"image_retrieval_recall@{k}"] == pytest.approx(
            to_image.standing.recall(k).mean()
        )


def test_a_model_of_clip_benchmark_is_asked_about_our_regions(part: Part, tmp_path: Path) -> None:
    """Without weights; crops of one label look alike, so all of them are right or none."""
    write_regions(part, tmp_path / "crops", "crop")
    metrics = clip_benchmark(
        "--model_type=open_clip", "--model=ViT-S-32-alt", "--pretrained=",
        "--dataset=wds/crops", f"--dataset_root={tmp_path / 'crops'}",
        "--task=zeroshot_classification", out=tmp_path,
    )  # fmt: skip
    assert metrics["mean_per_class_recall"] in (0, 0.5, 1)
