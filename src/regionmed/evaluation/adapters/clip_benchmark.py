"""CLIP_benchmark runs our models, and every model of CLIP_benchmark runs our region tasks.

`write_regions` and `write_captions` write a Part as a folder that CLIP_benchmark reads under
`--dataset wds/NAME`. `python -m regionmed.evaluation.adapters.clip_benchmark eval
--model_type regionmed --pretrained RUN ...` is CLIP_benchmark's own command line with our models
in it. Legend: B pictures · S pixels a side of the model frame · E embedding.
"""

from __future__ import annotations

import io
import math
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor, nn

from regionmed.batches.batch import boxes_to_unit
from regionmed.batches.cache import place_picture
from regionmed.errors import UsageError
from regionmed.evaluation.adapters.written import new_folder
from regionmed.evaluation.part import Part
from regionmed.evaluation.regions import asked_regions
from regionmed.evaluation.subject import Subject
from regionmed.geometry import Box
from regionmed.model.checkpoint import load

MODEL_TYPE = "regionmed"
BOX = "regionmed-box"  # PNG text chunk: x0 y0 x1 y1 in pixels of the picture
View = Literal["crop", "box"]


def write_regions(part: Part, out: Path, view: View) -> int:
    """Write the scored regions of a Part as a zero-shot classification set; returns their number.

    view  "crop": each picture is a region cut out, for any model; "box": the whole picture with the
          region's box in a text chunk of the PNG, which our models read and others do not see
    UsageError where `out` is there already or the set has no two labels with enough regions.
    """
    asked = asked_regions(part)
    if asked is None:
        raise UsageError(
            f"set '{part.name}' has no two labels with five regions each in this split; "
            "choose a set whose regions can be classified"
        )
    answers = [str(label).encode() for label in asked.truth_R.tolist()]
    pictures = (
        _region_png(
            part.corpus.picture(part.indices[row]), part.records[row].regions[number].box, view
        )
        for row, number in asked.places
    )
    with new_folder(out) as folder:
        _write_shard(
            folder, ((png, "cls", answer) for png, answer in zip(pictures, answers, strict=True))
        )
        phrases = [part.phrases[label] for label in asked.labels]
        (folder / "classnames.txt").write_text("\n".join(phrases) + "\n", "utf-8")
        (folder / "zeroshot_classification_templates.txt").write_text("{c}\n", "utf-8")
    return len(answers)


def write_captions(part: Part, out: Path) -> int:
    """Write the captioned pictures of a Part as a retrieval set; returns their number.

    CLIP_benchmark knows one right picture a caption: where pictures share one, its recall is lower
    than ours. UsageError where `out` is there already or nothing has a caption.
    """
    rows = [row for row, record in enumerate(part.records) if record.texts.caption]
    if not rows:
        raise UsageError(f"set '{part.name}' has no captions in this split; choose another")
    folded = [" ".join((part.records[row].texts.caption or "").split()) for row in rows]
    pictures = (_png(part.corpus.picture(part.indices[row])) for row in rows)
    with new_folder(out) as folder:
        _write_shard(
            folder,
            ((png, "txt", text.encode()) for png, text in zip(pictures, folded, strict=True)),
        )
        (folder / "dataset_type.txt").write_text("retrieval\n", "utf-8")
    return len(rows)


class Texts(list[str]):
    """Sentences where CLIP_benchmark expects tokens: `.to(device)` gives them back."""

    def to(self, device: Any) -> Texts:
        """The same sentences; the model tokenizes them itself."""
        return self


class ForClipBenchmark(nn.Module):
    """One of our models with the methods that CLIP_benchmark calls."""

    def __init__(self, model: Subject) -> None:
        super().__init__()
        self.model = model

    def transform(self, image: Image.Image) -> Tensor:
        """A picture, and its box where its PNG names one -> float32 (4 + 3 S S): edges, pixels.

        Edges are x0 y0 x1 y1 in 0..1 of the model frame, zeros without a box.
        """
        pixels, placement = place_picture(image, self.model.image_size)
        edges = np.zeros((1, 4), np.float32)
        if BOX in image.info:
            x0, y0, x1, y1 = (float(edge) for edge in image.info[BOX].split())
            edges = boxes_to_unit([Box(x0, y0, x1, y1, placement.source)], placement)
        return torch.from_numpy(np.concatenate([edges.ravel(), pixels.ravel()], dtype=np.float32))

    def encode_image(self, packed: Tensor) -> Tensor:
        """Rows of `transform` -> unit rows (B, E): of the region where a box came, else picture."""
        rows, side = packed.cpu().numpy(), self.model.image_size
        pixels = rows[:, 4:].astype(np.uint8).reshape(-1, side, side, 3)
        boxes = [edges[None] if edges.any() else edges[None][:0] for edges in rows[:, :4]]
        with torch.autocast(packed.device.type, enabled=False):  # scores as in our own harness
            embedded = self.model.embed(pixels, boxes if rows[:, :4].any() else None)
        if not embedded.regions:
            return torch.from_numpy(embedded.images).to(packed.device)
        pairs = zip(embedded.images, embedded.regions, strict=True)
        chosen = [regions[0] if len(regions) else image for image, regions in pairs]
        return torch.from_numpy(np.stack(chosen)).to(packed.device)

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Sentences -> unit rows (B, E)."""
        with torch.autocast("cpu", enabled=False):
            return torch.from_numpy(self.model.encode_text(texts))


def load_regionmed(pretrained: str, **ignored: Any) -> tuple[ForClipBenchmark, Any, type[Texts]]:
    """CLIP_benchmark's (model, transform, tokenizer) of whatever `regionmed.load` accepts.

    CLIP_benchmark also hands in model_name, cache_dir and device; ours runs where it was loaded.
    """
    model = ForClipBenchmark(load(pretrained))
    return model, model.transform, Texts


def register() -> None:
    """Make `--model_type regionmed` known to CLIP_benchmark in this process."""
    from clip_benchmark import models

    models.TYPE2FUNC[MODEL_TYPE] = load_regionmed
    if MODEL_TYPE not in models.MODEL_TYPES:
        models.MODEL_TYPES.append(MODEL_TYPE)


def _write_shard(folder: Path, samples: Iterable[tuple[bytes, str, bytes]]) -> None:
    """The only shard of the split `test`: a PNG and its answer a sample, named by number."""
    (folder / "test").mkdir()
    (folder / "test" / "nshards.txt").write_text("1\n", "utf-8")
    with tarfile.open(folder / "test" / "0.tar", "w") as shard:
        for number, (png, suffix, answer) in enumerate(samples):
            for ending, data in (("png", png), (suffix, answer)):
                entry = tarfile.TarInfo(f"{number:07d}.{ending}")
                entry.size = len(data)
                shard.addfile(entry, io.BytesIO(data))


def _region_png(image: Image.Image, box: Box, view: View) -> bytes:
    if view == "crop":
        left, top = max(int(box.x0), 0), max(int(box.y0), 0)
        right, bottom = min(math.ceil(box.x1), image.width), min(math.ceil(box.y1), image.height)
        return _png(image.crop((left, top, max(right, left + 1), max(bottom, top + 1))))
    chunk = PngInfo()
    chunk.add_text(BOX, " ".join(repr(float(edge)) for edge in box.edges))
    return _png(image, chunk)


def _png(image: Image.Image, chunk: PngInfo | None = None) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", pnginfo=chunk)
    return stream.getvalue()


if __name__ == "__main__":
    from clip_benchmark.cli import main

    register()
    main()
