"""The demo's sources, laid out on disk as anybody's data would be; nothing is downloaded.

Real pictures come out of installed packages: DICOM files of pydicom-data, pictures of scikit-image,
slices of nilearn's MNI152 template. The rest is painted (painted.py). Each source has the layout of
its kind, a README.txt by which corpus/known names its licence, and for painted ones the mark
`synthetic`. The pictures stay on the machine: their packages' terms let them be used, and none of
them belongs in a repository.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from regionmed.corpus.brain import BRAIN_LABELS, brain_slices
from regionmed.corpus.painted import (
    FILM_LABELS,
    SMEAR_LABELS,
    ULTRASOUND_LABELS,
    Mark,
    Study,
    paint_film,
    paint_smear,
    paint_ultrasound,
)
from regionmed.corpus.reporting import caption_of, questions_of
from regionmed.errors import UsageError

STUDIES = 400  # painted ones
SCANS = (  # of pydicom-data: one encoding of each picture, and a segmentation, which is none
    "693_UNCR.dcm", "bad_sequence.dcm", "eCT_Supplemental.dcm", "emri_small.dcm",
    "explicit_VR-UN.dcm", "gdcm-US-ALOKA-16.dcm", "JPEG2000_UNC.dcm",
    "JPGLosslessP14SV1_1s_1f_8b.dcm", "MR-SIEMENS-DICOM-WithOverlays.dcm", "MR2_J2KR.dcm",
    "OBXXXX1A_rle.dcm", "color3d_jpeg_baseline.dcm", "RG1_J2KR.dcm", "RG3_J2KR.dcm", "US1_J2KR.dcm",
    "liver.dcm",
)  # fmt: skip
PHOTOGRAPHS = (  # of scikit-image: modality, licence and what its documentation says of the picture
    {
        "image": "retina.jpg",
        "modality": "fundus",
        "licence": "CC0",
        "caption": "Fundus photograph of a retina with optic disc, macula and vessels.",
    },
    {
        "image": "microaneurysms.png",
        "modality": "fundus",
        "licence": "CC0",
        "caption": "Detail of a fundus photograph in green light with several microaneurysms.",
    },
    {
        "image": "ihc.png",
        "modality": "microscopy",
        "licence": "no known copyright restrictions",
        "caption": "Immunohistochemical stain of colon tissue: blue nuclei, brown FHL2 protein.",
    },
    {
        "image": "cell.png",
        "modality": "microscopy",
        "licence": "CC0",
        "caption": "A single cell floating in saline under the microscope.",
    },
)


def write_sources(folder: Path, seed: int = 0, studies: int = STUDIES) -> list[Path]:
    """Lay out seven sources below `folder` and give their paths; equal seeds, equal pictures.

    studies   how many pictures are painted, in four sets

    Raises UsageError where a package that brings the pictures is not installed.
    """
    generator = np.random.default_rng(seed)
    share = max(studies // 4, 1)
    return [
        _write_scans(folder / "demo_scans"),
        _write_photographs(folder / "demo_photographs"),
        _write_brain(folder / "demo_brain"),
        _write_films(folder / "demo_films", generator, share),
        _write_ultrasound(folder / "demo_ultrasound", generator, share),
        _write_smears(folder / "demo_smears", generator, share),
        _write_reports(folder / "demo_reports", generator, studies - 3 * share),
    ]


def _write_scans(folder: Path) -> Path:
    """A folder of DICOM files, as a scanner leaves it."""
    origin = _package("data_store", "pydicom-data") / "data"
    _readme(folder, "DICOM files of pydicom-data.")
    for number, name in enumerate(SCANS, start=1):
        shutil.copyfile(origin / name, folder / f"IM{number:04}.dcm")
    return folder


def _write_photographs(folder: Path) -> Path:
    """Pictures with a table of captions."""
    origin = _package("skimage", "scikit-image") / "data"
    _readme(folder, "Pictures of scikit-image.")
    for row in PHOTOGRAPHS:
        shutil.copyfile(origin / row["image"], folder / row["image"])
    _write_table(folder / "captions.csv", PHOTOGRAPHS)
    return folder


def _write_brain(folder: Path) -> Path:
    """Slices of the MNI152 template as PNG with a COCO file of run-length masks."""
    _package("nilearn", "nilearn")
    _readme(folder, "Slices of the ICBM 152 template of nilearn.")
    coco = _Coco(BRAIN_LABELS)
    for name, study in brain_slices():
        image = f"icbm152_{name}.png"
        _save(study, folder / image)
        coco.add(image, study, masks=True)
    coco.write(folder / "annotations.json")
    return folder


def _write_films(folder: Path, generator: Generator, count: int) -> Path:
    """YOLO: images/, labels/, data.yaml."""
    _readme(folder, "Painted films.")
    (folder / "images").mkdir()
    (folder / "labels").mkdir()
    names = "\n".join(f"  {number}: {label}" for number, label in enumerate(FILM_LABELS))
    (folder / "data.yaml").write_text(f"path: .\ntrain: images\nnames:\n{names}\n", "utf-8")
    for number in range(count):
        study = paint_film(generator)
        _save(study, folder / "images" / f"film_{number:04}.png")
        lines = "".join(f"{_yolo_line(mark)}\n" for mark in study.marks)
        (folder / "labels" / f"film_{number:04}.txt").write_text(lines, "utf-8")
    return folder


def _yolo_line(mark: Mark) -> str:
    height, width = mark.mask.shape
    x0, y0, x1, y1 = mark.edges
    centre = (x0 + x1) / 2 / width, (y0 + y1) / 2 / height
    numbers = (*centre, (x1 - x0) / width, (y1 - y0) / height)
    return " ".join([str(FILM_LABELS.index(mark.label)), *(f"{n:.6f}" for n in numbers)])


def _write_ultrasound(folder: Path, generator: Generator, count: int) -> Path:
    """Class folders with pairs of picture and mask."""
    _readme(folder, "Painted ultrasound pictures.")
    for number in range(count):
        label = str(generator.choice(ULTRASOUND_LABELS, p=(0.4, 0.4, 0.2)))
        study = paint_ultrasound(generator, label)
        place = folder / label
        place.mkdir(exist_ok=True)
        _save(study, place / f"scan_{number:04}.png")
        mask = study.marks[0].mask if study.marks else np.zeros(study.pixels.shape, bool)
        Image.fromarray(mask.astype(np.uint8) * 255).save(place / f"scan_{number:04}_mask.png")
    return folder


def _write_smears(folder: Path, generator: Generator, count: int) -> Path:
    """COCO: images/ and one JSON file of boxes."""
    _readme(folder, "Painted blood smears.")
    (folder / "images").mkdir()
    coco = _Coco(SMEAR_LABELS)
    for number in range(count):
        study = paint_smear(generator)
        image = f"smear_{number:04}.jpg"
        _save(study, folder / "images" / image)
        coco.add(image, study, masks=False)
    coco.write(folder / "instances.json")
    return folder


def _write_reports(folder: Path, generator: Generator, count: int) -> Path:
    """Pictures with a table of captions and one of questions and answers."""
    _readme(folder, "Painted films with captions, questions and answers.")
    (folder / "images").mkdir()
    captions, questions = [], []
    for number in range(count):
        study = paint_film(generator)
        image = f"film_{number:04}.png"
        _save(study, folder / "images" / image)
        captions.append({"image": image, "caption": caption_of(study, generator)})
        for question, answer in questions_of(study, generator):
            questions.append({"image": image, "question": question, "answer": answer})
    _write_table(folder / "captions.csv", captions)
    (folder / "questions.json").write_text(json.dumps(questions, indent=1), "utf-8")
    return folder


class _Coco:
    """Collects the images and annotations of a COCO file."""

    def __init__(self, labels: tuple[str, ...]) -> None:
        self.labels = labels
        self.images: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []

    def add(self, image: str, study: Study, *, masks: bool) -> None:
        """One picture and its marks, as boxes or also as run-length masks."""
        height, width = study.pixels.shape[:2]
        number = len(self.images) + 1
        self.images.append({"id": number, "file_name": image, "width": width, "height": height})
        for mark in study.marks:
            x0, y0, x1, y1 = mark.edges
            annotation = {
                "id": len(self.annotations) + 1,
                "image_id": number,
                "category_id": self.labels.index(mark.label) + 1,
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "area": int(mark.mask.sum()),
                "iscrowd": int(masks),
            }
            if masks:
                annotation["segmentation"] = {"size": [height, width], "counts": _runs(mark.mask)}
            self.annotations.append(annotation)

    def write(self, path: Path) -> None:
        """The COCO file."""
        categories = [{"id": n, "name": label} for n, label in enumerate(self.labels, start=1)]
        content = {
            "images": self.images,
            "annotations": self.annotations,
            "categories": categories,
        }
        path.write_text(json.dumps(content), "utf-8")


def _runs(mask: NDArray[np.bool_]) -> list[int]:
    """COCO's run lengths: column by column, background first."""
    flat = np.concatenate([[False], mask.T.ravel(), [False]])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    ends = np.concatenate([changes, [mask.size]]) if changes[-1] != mask.size else changes
    return [int(n) for n in np.diff(ends, prepend=0)]


def _package(module: str, name: str) -> Path:
    """The folder of an installed package; UsageError with the extra to install where it is not."""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise UsageError(
            f'the demo takes pictures from {name}: pip install "regionmed[demo]" and run it again'
        )
    return Path(spec.origin).parent


def _readme(folder: Path, sentence: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.txt").write_text(f"regionmed demo. {sentence}\n", "utf-8")


def _save(study: Study, path: Path) -> None:
    Image.fromarray(study.pixels).save(path, quality=92)


def _write_table(path: Path, rows: Iterable[dict[str, str]]) -> None:
    rows = list(rows)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
