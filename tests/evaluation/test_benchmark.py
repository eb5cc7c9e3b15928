"""Benchmarks opened from copies: of the kit, and of sets laid out here as their publishers do."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from regionmed.corpus.build import build_corpus
from regionmed.corpus.readers.source import open_source
from regionmed.corpus.shards import Corpus, open_corpus, write_corpus
from regionmed.errors import CorpusError, UsageError
from regionmed.evaluation.benchmark import Benchmark, missing_files, open_benchmark, open_copy
from regionmed.evaluation.benchmark_card import load_card
from regionmed.evaluation.benchmark_copy import lay_out

# a file of annotations that each set of the kit cannot do without
ANNOTATIONS = {
    "bccd": "BCCD/Annotations/BloodImage_00007.xml",
    "bone_fracture_yolo": "BoneFractureYolo8/data.yaml",
    "brain_tumor2_coco": "test/_annotations.coco.json",
    "busi": "Dataset_BUSI_with_GT/benign/benign (3)_mask.png",
    "chula_rbc12": "Label/10.txt",
    "covid_cxr_seg": "structure.csv",
    "fuseg_wounds": "Foot Ulcer Segmentation Challenge/train/labels/0039.png",
    "kvasir_seg": "test/masks/cju2nd7l7z98o0799gfjvyfmw.jpg",
    "medpix2": "Descriptions.json",
    "tbx11k_tb": "tbx11k-small-balanced/labels/train/tb0017.txt",
    "vqa_rad": "testset.json",
    "wbc_seg": "Dataset 1/007.png",
}


def picture(seed: int, size: tuple[int, int] = (64, 48), kind: str = "JPEG") -> bytes:
    """An encoded grey picture of noise, another one for each seed."""
    pixels = np.random.default_rng(seed).integers(0, 255, size[::-1], dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


def write(path: Path, content: bytes | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def records_by_image(benchmark: Benchmark) -> dict[str, object]:
    return {record.image: record for record in benchmark.corpora[0]}


@pytest.mark.parametrize(("name", "annotation"), ANNOTATIONS.items())
def test_the_kits_copy_is_complete_and_a_copy_without_one_file_names_it(
    name: str, annotation: str, kit: Path
) -> None:
    card, source = load_card(name), open_source(kit / f"{name}.tar")
    assert list(missing_files(card, source)) == []
    usable = next(row["image"] for row in csv_rows(name) if not row["exclude"])
    for victim in (annotation, usable):
        assert victim in source.paths
        (phrase,) = missing_files(card, replace(source, paths=_without(source.paths, victim)))
        assert phrase.startswith(f"'{victim}' (")


def _without(paths: tuple[str, ...], path: str) -> tuple[str, ...]:
    return tuple(each for each in paths if each != path)


def test_a_tar_of_the_kit_opens_with_the_cards_splits_under_the_cards_name(
    kit: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "downloads of mine.tar"
    copy.symlink_to(kit / "brain_tumor2_coco.tar")
    found = open_benchmark("brain_tumor2_coco", copy, tmp_path / "work")
    (corpus,) = found.corpora
    assert corpus.manifest["splits"] == {"brain_tumor2_coco": {"train": 125, "val": 17, "test": 36}}
    assert (found.split, found.remarks) == ("test", ())
    # the corpus that was built is a copy too, and opens faster
    again = open_benchmark("brain_tumor2_coco", tmp_path / "work" / "brain_tumor2_coco", tmp_path)
    assert again.corpora[0].fingerprint == corpus.fingerprint
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["brain_tumor2_coco"]


def test_each_missing_file_is_named_in_one_sentence_with_where_to_get_it(tmp_path: Path) -> None:
    write(tmp_path / "slake" / "train.json", "[]")
    with pytest.raises(CorpusError) as raised:
        open_benchmark("slake", tmp_path / "slake", tmp_path / "work")
    assert all(
        part in str(raised.value)
        for part in (
            "'valid*.json' (questions for choosing)",
            "'test.json' (questions for testing)",
            "'*xmlab*/source.jpg' (pictures, 642 needed, 0 found)",
            "med-vqa.com",
        )
    )
    assert "train.json" not in str(raised.value)
    assert not (tmp_path / "work").exists()


def test_slake_is_read_in_english_with_the_splits_of_its_tables(tmp_path: Path) -> None:
    copy = tmp_path / "Slake1.0"
    for number in range(642):
        write(copy / f"imgs/xmlab{number}/source.jpg", picture(number) if number < 3 else b"-")
        if number < 3:
            write(copy / f"imgs/xmlab{number}/mask.png", picture(number, kind="PNG"))
            write(copy / f"imgs/xmlab{number}/question.json", "[]")
    for number, name in enumerate(("train", "validation", "test")):
        row = {
            "img_name": f"xmlab{number}/source.jpg",
            "question": f"Is this picture {number}?",
            "answer": "Yes" if number else "Lung",
            "q_lang": "en",
            "qid": 10 + number,
            "answer_type": "CLOSED" if number else "OPEN",
            "triple": ["vhead", "_", "_"],
        }
        chinese = row | {"q_lang": "zh", "question": "这是什么?", "qid": 20 + number}
        write(copy / f"{name}.json", json.dumps([row, chinese]))
    found = records_by_image(open_benchmark("slake", copy, tmp_path / "work"))
    assert {image: record.split for image, record in found.items()} == {
        "imgs/xmlab0/source.jpg": "train",
        "imgs/xmlab1/source.jpg": "val",
        "imgs/xmlab2/source.jpg": "test",
    }
    assert [
        (question.id, question.answer, question.type)
        for record in found.values()
        for question in record.questions
    ] == [("10", "Lung", "open"), ("11", "Yes", "closed"), ("12", "Yes", "closed")]


def test_ms_cxr_asks_with_the_radiologists_phrase_in_file_pixels(tmp_path: Path) -> None:
    copy = tmp_path / "ms-cxr"
    path = "files/p10/p10000032/s50414267/02aa804e.jpg"
    write(copy / path, picture(1, (64, 48)))  # half the stated size
    head = "dicom_id,category_name,label_text,path,x,y,w,h,image_width,image_height,split"
    row = f"02aa804e,Pneumothorax,small right apical pneumothorax,{path},20,10,40,60,128,96,train"
    write(copy / "MS_CXR_Local_Alignment_v1.1.0.csv", f"{head}\n{row}\n")
    (record,) = records_by_image(open_benchmark("ms_cxr", copy, tmp_path / "work")).values()
    (region,) = record.regions
    assert region.label == "small right apical pneumothorax"
    assert region.box.edges == (10, 5, 30, 35)
    # whatever the release's own column says, no pair was trained on
    assert (record.split, record.group) == ("test", "ms_cxr:p10000032")


def test_chestxdet10_gives_a_region_an_entry_of_its_lists(tmp_path: Path) -> None:
    copy = tmp_path / "det10"
    for number in range(3543):
        write(copy / f"train_data/{number}.png", picture(number, kind="PNG") if number < 2 else b"")
    (copy / "train_data/1.png").rename(copy / "1.png")
    boxes = [[1, 2, 11, 22], [30, 5, 40, 15]]
    write(
        copy / "train.json",
        json.dumps([{"file_name": "0.png", "syms": ["Mass", "Nodule"], "boxes": boxes}]),
    )
    write(copy / "test.json", json.dumps([{"file_name": "1.png", "syms": [], "boxes": []}]))
    found = records_by_image(open_benchmark("chestxdet10", copy, tmp_path / "work"))
    marked, empty = found["train_data/0.png"], found["1.png"]
    assert [(region.label, region.box.edges) for region in marked.regions] == [
        ("Mass", (1, 2, 11, 22)),
        ("Nodule", (30, 5, 40, 15)),
    ]
    assert (marked.split, empty.split, empty.regions) == ("train", "test", ())


def test_roco_captions_keep_their_quotes(tmp_path: Path) -> None:
    copy = tmp_path / "roco-dataset"
    for number, part in enumerate(("train", "validation", "test")):
        place = copy / "data" / part / "radiology"
        write(place / f"images/ROCO_0000{number}.jpg", picture(number))
        write(place / "captions.txt", f'ROCO_0000{number}\t The "halo" sign, part {number}.\n')
    found = records_by_image(open_benchmark("roco", copy, tmp_path / "work"))
    record = found["data/test/radiology/images/ROCO_00002.jpg"]
    assert (record.texts.caption, record.split) == ('The "halo" sign, part 2.', "test")
    assert len(found) == 3


def test_rsna_boxes_stand_on_its_dicom_pictures_and_negatives_have_none(tmp_path: Path) -> None:
    pydicom = pytest.importorskip("pydicom")
    copy = tmp_path / "rsna"
    for number in range(2):
        write(copy / f"stage_2_train_images/case{number}.dcm", _dicom(pydicom, number))
    rows = "patientId,x,y,width,height,Target\ncase0,4,6,10,12,1\ncase1,,,,,0\n"
    write(copy / "stage_2_train_labels.csv", rows)
    card, source = load_card("rsna"), open_source(copy)
    folder, splits = lay_out(card, source, copy, tmp_path / "work")
    assert splits is None  # drawn
    corpus = build_corpus([folder], tmp_path / "corpus", format="boxes")
    regions = {record.image: record.regions for record in corpus}
    (box,) = regions["stage_2_train_images/case0.dcm"]
    assert (box.label, box.box.edges) == ("lung opacity", (4, 6, 14, 18))
    assert regions["stage_2_train_images/case1.dcm"] == ()


def _dicom(pydicom: object, seed: int) -> bytes:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID, data.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    data.Modality, data.PatientID = "CR", f"case{seed}"
    data.Rows, data.Columns, data.SamplesPerPixel = 48, 64, 1
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit, data.PixelRepresentation = 7, 0
    data.PhotometricInterpretation = "MONOCHROME2"
    pixels = np.random.default_rng(seed).integers(0, 255, (48, 64), dtype=np.uint8)
    data.PixelData = pixels.tobytes()
    stream = io.BytesIO()
    data.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def test_a_set_that_no_reader_takes_says_what_to_convert_it_to(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^pathvqa: no reader .* .regionmed corpus build pathvqa"):
        open_benchmark("pathvqa", tmp_path, tmp_path / "work")


def test_a_corpus_of_another_set_is_refused(squares: Corpus, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="holds no set 'pathvqa'; it has squares"):
        open_benchmark("pathvqa", squares.folder, tmp_path)


def test_a_corpus_split_otherwise_than_the_benchmark_is_refused(paint, tmp_path: Path) -> None:
    rows = csv_rows("brain_tumor2_coco")
    image, split = rows[0]["image"], rows[0]["split"]
    other = "val" if split != "val" else "train"
    corpora = {
        name: write_corpus(
            [replace(paint(0, given), set="brain_tumor2_coco", image=image)], tmp_path / name, {}
        )
        for name, given in (("moved", other), ("right", split))
    }
    with pytest.raises(CorpusError, match="1 of 1 pictures of brain_tumor2_coco are in another"):
        open_benchmark("brain_tumor2_coco", corpora["moved"].folder, tmp_path)
    found = open_benchmark("brain_tumor2_coco", corpora["right"].folder, tmp_path)
    assert found.remarks == ("177 of the benchmark's pictures are not in this corpus",)


def csv_rows(name: str) -> list[dict[str, str]]:
    from regionmed.evaluation.benchmark_copy import shipped_splits

    return shipped_splits(load_card(name))


def test_another_version_of_a_file_is_read_and_told(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    rows = [row for row in csv_rows("vqa_rad") if not row["exclude"]]
    for row in rows:
        write(copy / row["image"], b"-")
    for number, row in enumerate(rows[:2]):
        write(copy / row["image"], picture(number))
    questions = [
        {"qid": number, "image_name": Path(row["image"]).name, "question": "Is it?", "answer": "No"}
        for number, row in enumerate(rows[:2])
    ]
    write(copy / "trainset.json", json.dumps(questions))
    write(copy / "testset.json", json.dumps(questions[:1]))
    found = open_benchmark("vqa_rad", copy, tmp_path / "work")
    assert [remark.partition(" of this copy")[0] for remark in found.remarks] == [
        "'trainset.json'",
        "'testset.json'",
    ]
    assert len(found.corpora[0]) == 2


def test_the_same_pictures_in_another_encoding_keep_their_splits(tmp_path: Path) -> None:
    card = load_card("busi")
    rows = [row for row in csv_rows("busi") if not row["exclude"]]
    for row in rows:  # the kit holds JPEG, the publisher PNG
        stem = tmp_path / row["image"].removesuffix(".jpg")
        write(stem.with_name(stem.name + ".png"), b"-")
        write(stem.with_name(stem.name + "_mask.png"), b"-")
    assert list(missing_files(card, open_source(tmp_path))) == []
    victim = tmp_path / rows[0]["image"].replace(".jpg", ".png")
    victim.unlink()
    assert list(missing_files(card, open_source(tmp_path))) == [f"'{rows[0]['image']}' (a picture)"]


def test_the_command_takes_one_copy_and_a_folder_to_write_to(
    squares: Corpus, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="takes one --corpus, your copy; 2 came"):
        open_copy("bccd", [squares.folder, squares.folder], tmp_path, "test")
    write(tmp_path / "taken", "")
    with pytest.raises(UsageError, match="is a file or lies below one"):
        open_copy("bccd", [squares.folder], tmp_path / "taken", "test")


def test_an_older_corpus_is_replaced_but_nothing_else(tmp_path: Path) -> None:
    copy, work = tmp_path / "ms-cxr", tmp_path / "work"
    head = "label_text,path,x,y,w,h,image_width,image_height"
    for number in (1, 2):
        write(copy / f"files/{number}.jpg", picture(number))
        with (copy / "MS_CXR_Local_Alignment_v1.1.0.csv").open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(head.split(","))
            for each in range(1, number + 1):
                writer.writerow(["a phrase", f"files/{each}.jpg", 1, 2, 3, 4, 64, 48])
        open_benchmark("ms_cxr", copy, work)
        assert len(open_corpus(work / "ms_cxr")) == number
    other = tmp_path / "other"
    write(other / "ms_cxr" / "thesis.tex", "mine")
    with pytest.raises(CorpusError, match="no finished corpus"):
        open_benchmark("ms_cxr", copy, other)
    assert (other / "ms_cxr" / "thesis.tex").read_text() == "mine"
