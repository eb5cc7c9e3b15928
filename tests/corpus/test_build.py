"""A build is complete or absent, and every loss has its line."""

import json
import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.corpus.conftest import mask, picture

from regionmed.corpus.build import build_corpus
from regionmed.corpus.shards import Corpus, open_corpus
from regionmed.errors import CorpusError

NAMES = "names: [nodule, effusion]\n"
HEAD = "image,label,xmin,ymin,xmax,ymax\n"


def yolo(count: int = 10) -> dict[str, bytes | str]:
    """Pictures 0.png .. with one box each, 10 x 6 px in the middle of 40 x 30."""
    members: dict[str, bytes | str] = {"data.yaml": NAMES}
    for number in range(count):
        members[f"images/{number}.png"] = picture(40, 30, seed=number)
        members[f"labels/{number}.txt"] = f"{number % 2} 0.5 0.5 0.25 0.2\n"
    return members


def boxes(*rows: str) -> dict[str, bytes | str]:
    """Two pictures of 40 x 30 px and a table of boxes."""
    return {"a.png": picture(40, 30, 1), "b.png": picture(40, 30, 2), "t.csv": HEAD + "".join(rows)}


def ledger(corpus: Corpus) -> list[dict[str, str | None]]:
    """The lines of a corpus' ledger: set, image, region, reason."""
    lines = (corpus.folder / "ledger.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_a_folder_becomes_a_corpus_and_says_how_it_was_read(lay, tmp_path: Path):
    said: list[str] = []
    corpus = build_corpus([lay(yolo())], tmp_path / "out", say=said.append)
    assert said == ["films: read as yolo"]
    assert len(corpus) == 10
    record = corpus[3]
    assert (record.id, record.image) == ("films/images/3.png", "images/3.png")
    assert record.regions[0].box.edges == (15, 12, 25, 18)
    assert record.regions[0].text is not None
    assert "effusion" in record.regions[0].text
    assert corpus.picture(3).size == (40, 30)
    assert {path.name for path in corpus.folder.iterdir()} == {
        "shards", "ledger.jsonl", "manifest.json", "contact-sheet.html"
    }  # fmt: skip


def test_the_same_sources_give_the_same_fingerprint(lay, tmp_path: Path):
    folder = lay(yolo())
    first = build_corpus([folder], tmp_path / "one")
    second = build_corpus([folder], tmp_path / "two")
    assert first.fingerprint == second.fingerprint
    (folder / "labels" / "0.txt").write_text("1 0.5 0.5 0.25 0.2\n")
    assert build_corpus([folder], tmp_path / "three").fingerprint != first.fingerprint


def test_bare_builds_split_70_10_20(lay, tmp_path: Path):
    corpus = build_corpus([lay(yolo(20))], tmp_path / "out")
    assert corpus.manifest["splits"]["films"] == {"train": 14, "val": 2, "test": 4}
    assert [len(corpus.split(name)) for name in ("train", "val", "test")] == [14, 2, 4]


def test_twins_and_roboflow_copies_stay_on_one_side(lay, tmp_path: Path):
    members: dict[str, bytes | str] = {"data.yaml": NAMES}
    for number in range(12):
        for copy in ("x", "y"):  # the same picture twice, saved differently
            kind = "PNG" if copy == "x" else "JPEG"
            members[f"{number}{copy}.png"] = picture(90, 70, seed=number, kind=kind)
            members[f"{number}{copy}.txt"] = ""
    for number in range(8):  # unlike pictures of one source picture
        members[f"s{number % 2}.rf.{number}.png"] = picture(90, 70, seed=100 + number)
        members[f"s{number % 2}.rf.{number}.txt"] = ""
    corpus = build_corpus([lay(members)], tmp_path / "out")
    splits = {record.image: record.split for record in corpus}
    assert all(splits[f"{number}x.png"] == splits[f"{number}y.png"] for number in range(12))
    assert len({splits[f"s0.rf.{number}.png"] for number in (0, 2, 4, 6)}) == 1
    assert sum(record.twins is not None for record in corpus) == 24
    assert corpus[0].twins == corpus[1].twins != corpus[2].twins
    assert set(splits.values()) == {"train", "val", "test"}


def test_a_table_says_split_and_reason_to_exclude(lay, tmp_path: Path):
    table = tmp_path / "splits.csv"
    rows = ["images/0.png,train,", "images/1.png,valid,", "images/2.png,test,too dark"]
    table.write_text("\n".join(["picture,split,exclude", *rows]))
    corpus = build_corpus([lay(yolo(4))], tmp_path / "out", splits=table)
    assert [(record.split, record.exclude) for record in corpus] == [
        ("train", None), ("val", None), ("test", "too dark")
    ]  # fmt: skip
    (line,) = ledger(corpus)
    assert line == {
        "set": "films",
        "image": "images/3.png",
        "region": None,
        "reason": "splits.csv does not name the picture",
    }
    assert len(corpus.split("test")) == 0


def test_a_box_past_its_picture_is_refused_in_one_sentence(lay, tmp_path: Path):
    folder = lay(boxes("a.png,left lung opacity,30,5,55,20\n"))
    expected = (
        "films, record 'a.png', region 1 ('left lung opacity'): box (30, 5, 55, 20) reaches past "
        "its frame 'file' (40 x 30 px). Correct the file, or build with --outside clip."
    )
    with pytest.raises(CorpusError, match=re.escape(expected)):
        build_corpus([folder], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_clipping_keeps_what_is_inside_and_says_so(lay, tmp_path: Path):
    folder = lay(boxes("a.png,opacity,30,5,55,20\n", "b.png,opacity,50,5,60,9\n"))
    corpus = build_corpus([folder], tmp_path / "out", outside="clip")
    assert corpus[0].regions[0].box.edges == (30, 5, 40, 20)
    assert corpus[1].regions == ()
    reasons = [line["reason"] for line in ledger(corpus)]
    assert reasons == [
        "kept, but its box was clipped to the picture", "the box lies outside its picture"
    ]  # fmt: skip


def test_an_edge_off_by_rounding_is_cut_without_a_word(lay, tmp_path: Path):
    corpus = build_corpus([lay(boxes("a.png,opacity,30,5,40.4,20\n"))], tmp_path / "out")
    assert corpus[0].regions[0].box.x1 == 40
    assert ledger(corpus) == []


def test_corners_in_a_coco_file_are_suspected(lay, tmp_path: Path):
    content = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "categories": [{"id": 1, "name": "nodule"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [20, 10, 38, 28]}],
    }
    folder = lay({"a.png": picture(), "boxes.json": json.dumps(content)})
    with pytest.raises(CorpusError, match="If the file holds x0, y0, x1, y1"):
        build_corpus([folder], tmp_path / "out")


def test_a_few_unreadable_pictures_are_ledger_lines(lay, tmp_path: Path):
    members = yolo(3) | {"images/1.png": picture(40, 30)[:-200]}
    corpus = build_corpus([lay(members)], tmp_path / "out")
    assert [record.image for record in corpus] == ["images/0.png", "images/2.png"]
    (line,) = ledger(corpus)
    assert line["image"] == "images/1.png"
    assert corpus.manifest["ledger"]["films"]["pictures"] == 1


def test_no_readable_picture_at_all_is_an_error(lay, tmp_path: Path):
    members = yolo(2) | {"images/0.png": b"", "images/1.png": b"text"}
    with pytest.raises(CorpusError, match="films: read as yolo, no picture could be kept"):
        build_corpus([lay(members)], tmp_path / "out")


def mistakes():
    """Name, members of the source, what is done before, and the sentence that is expected."""
    yield "format", {}, {"format": "kitti"}, "format 'kitti' is none of coco, voc"
    yield "empty", None, {}, "is empty"
    yield "label", {"labels/0.txt": "9 .5 .5 .1 .1"}, {}, "class 9 has no name"
    yield "swap", {"data.yaml": "x: 1"}, {"format": "yolo"}, "names its classes"


@pytest.mark.parametrize(
    ("changes", "options", "sentence"),
    [mistake[1:] for mistake in mistakes()],
    ids=[mistake[0] for mistake in mistakes()],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing(
    lay, tmp_path: Path, changes, options, sentence: str
):
    folder = tmp_path / "films"
    folder.mkdir()
    if changes is not None:
        lay(yolo(2) | changes)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(CorpusError, match=re.escape(sentence)) as caught:
        build_corpus([folder], tmp_path / "out", **options)
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.iterdir()) == before


def test_a_target_that_is_taken_is_left_alone(lay, tmp_path: Path):
    folder = lay(yolo(2))
    file = tmp_path / "file"
    file.write_text("mine")
    for out in (file, folder, file / "below"):
        with pytest.raises(CorpusError, match="--out"):
            build_corpus([folder], out)
    assert file.read_text() == "mine"
    assert len(list(folder.iterdir())) == 3


def test_an_empty_target_folder_is_used(lay, tmp_path: Path):
    (tmp_path / "out").mkdir()
    assert len(build_corpus([lay(yolo(2))], tmp_path / "out")) == 2


def test_two_sources_of_one_name_are_refused(lay, tmp_path: Path):
    folder = lay(yolo(2))
    with pytest.raises(CorpusError, match="two sources are called 'films'"):
        build_corpus([folder, folder], tmp_path / "out")


def test_a_break_in_the_middle_leaves_nothing(lay, tmp_path: Path):
    def broken(items, title, total=None):
        for number, item in enumerate(items):
            if number == 3:
                raise KeyboardInterrupt
            yield item

    folder = lay(yolo(5))
    with pytest.raises(KeyboardInterrupt):
        build_corpus([folder], tmp_path / "out", track=broken)
    assert list(tmp_path.iterdir()) == [folder]


def test_a_splits_table_that_names_nothing_is_an_error(lay, tmp_path: Path):
    table = tmp_path / "splits.csv"
    table.write_text("image,split\nelsewhere/0.png,train\n")
    with pytest.raises(CorpusError, match=r"splits\.csv names no picture of films"):
        build_corpus([lay(yolo(2) | {"x/0.png": b""})], tmp_path / "out", splits=table)


def test_records_without_pictures_are_kept(lay, tmp_path: Path):
    folder = lay({"captions.csv": "id,caption\n1,A clear film.\n2,A nodule.\n"})
    corpus = build_corpus([folder], tmp_path / "out")
    assert [record.texts.caption for record in corpus] == ["A clear film.", "A nodule."]
    assert all(record.frame is None for record in corpus)
    with pytest.raises(CorpusError, match="has no picture"):
        corpus.picture_bytes(0)


def test_masks_come_back_as_they_went_in(lay, tmp_path: Path):
    members = {"images/a.png": picture(40, 30), "masks/a.png": mask(40, 30, (4, 5, 10, 9))}
    build_corpus([lay(members)], tmp_path / "out")
    (region,) = open_corpus(tmp_path / "out")[0].regions
    assert region.mask is not None
    assert region.mask.pixels[5:9, 4:10].all()
    assert region.mask.pixels.sum() == 24


VOC = "<annotation><filename>{}</filename><size/><object><name>nodule</name><bndbox>{}</bndbox>" + (
    "</object></annotation>"
)


def voc(*boxes: str) -> dict[str, bytes | str]:
    """A picture of 40 x 30 px and a VOC file for each box "xmin ymin xmax ymax"."""
    members: dict[str, bytes | str] = {}
    for number, box in enumerate(boxes):
        edges = zip(("xmin", "ymin", "xmax", "ymax"), box.split(), strict=True)
        written = "".join(f"<{name}>{value}</{name}>" for name, value in edges)
        members[f"{number}.png"] = picture(40, 30, seed=number)
        members[f"{number}.xml"] = VOC.format(f"{number}.png", written)
    return members


def test_sizes_taken_for_corners_are_refused_whatever_the_format(lay, tmp_path: Path):
    folder = lay(voc("20 15 10 8", "20 15 10 8", "20 15 10 8", "1 1 5 5"))
    with pytest.raises(
        CorpusError,
        match=r"films: 3 of 4 boxes end before they begin \(the first: '0\.png', region 1 "
        r"\('nodule'\)\) when read as xmin, ymin, xmax, ymax; if the numbers are x, y, width",
    ):
        build_corpus([folder], tmp_path / "voc")


def test_sizes_in_a_table_of_corners_are_refused(lay, tmp_path: Path):
    rows = ["a.png,nodule,20,15,10,8\n"] * 3 + ["b.png,nodule,1,1,5,5\n"]
    sentence = r"3 of 4 boxes end .* x, y, width, height, name the columns so"
    with pytest.raises(CorpusError, match=sentence):
        build_corpus([lay(boxes(*rows))], tmp_path / "out")


def test_a_source_whose_every_box_ends_before_it_begins_is_refused(lay, tmp_path: Path):
    with pytest.raises(CorpusError, match="films: 1 of 1 boxes end before they begin"):
        build_corpus([lay(voc("20 15 10 8"))], tmp_path / "out")


def test_two_wrong_boxes_of_many_are_ledger_lines(lay, tmp_path: Path):
    rows = ["a.png,nodule,20,15,10,8\n"] * 2 + ["b.png,nodule,1,1,5,5\n"] * 9
    corpus = build_corpus([lay(boxes(*rows))], tmp_path / "out")
    assert len(corpus[1].regions) == 9
    assert len(ledger(corpus)) == 2


@pytest.mark.parametrize("value", ["", "1,25"])
def test_one_odd_dicom_file_is_a_ledger_line(lay, tmp_path: Path, value: str):
    film = (
        Path(str(find_spec("pydicom").origin)).parent / "data/test_files/CT_small.dcm"
    ).read_bytes()
    stored = b"\x28\x00\x53\x10DS\x02\x00"  # (0028,1053), RescaleSlope, two characters long
    at = film.index(stored)
    changed = stored[:6] + len(value).to_bytes(2, "little") + value.encode()
    odd = film[:at] + changed + film[at + len(stored) + 2 :]
    corpus = build_corpus([lay({"good.dcm": film, "odd.dcm": odd})], tmp_path / "out")
    assert [record.image for record in corpus] == ["good.dcm"]
    (line,) = ledger(corpus)
    assert line["image"] == "odd.dcm"
    assert "RescaleSlope" in str(line["reason"])
