"""One small source a format, with numbers that can be redone by hand."""

import json

import numpy as np
import pytest
from tests.corpus.conftest import mask, picture

from regionmed.corpus.readers import READERS
from regionmed.corpus.readers.recognise import recognise
from regionmed.corpus.readers.source import Loss
from regionmed.errors import CorpusError
from regionmed.record import Record

FILM = picture(40, 30)


def read(source, format):
    """Records by picture, and losses; the format has to be recognised, too."""
    assert recognise(source) == format
    found = list(READERS[format](source))
    records = {entry.image: entry for entry in found if isinstance(entry, Record)}
    return records, [entry for entry in found if isinstance(entry, Loss)]


def edges(record):
    return [(region.label, region.box.edges) for region in record.regions]


def coco(**changes):
    content = {
        "images": [{"id": 7, "file_name": "a.png", "width": 40, "height": 30}],
        "categories": [{"id": 3, "name": "nodule"}],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 3, "bbox": [10, 5, 20, 15]}],
    }
    return json.dumps(content | changes)


def test_coco_bbox_is_corner_and_size(source_of):
    records, losses = read(source_of({"a.png": FILM, "boxes.json": coco()}), "coco")
    assert edges(records["a.png"]) == [("nodule", (10, 5, 30, 20))]
    assert losses == []


def test_coco_boxes_count_in_the_size_that_the_file_states(source_of):
    images = [{"id": 7, "file_name": "a.png", "width": 80, "height": 60}]
    records, _ = read(source_of({"a.png": FILM, "boxes.json": coco(images=images)}), "coco")
    assert edges(records["a.png"]) == [("nodule", (5, 2.5, 15, 10))]


def test_coco_polygon_gives_box_and_mask(source_of):
    square = {
        "id": 1,
        "image_id": 7,
        "category_id": 3,
        "segmentation": [[4, 4, 12, 4, 12, 8, 4, 8]],
    }
    source = source_of({"a.png": FILM, "boxes.json": coco(annotations=[square])})
    (region,) = read(source, "coco")[0]["a.png"].regions
    assert (region.shape, region.box.edges) == ("polygon", (4, 4, 12, 8))
    assert region.mask is not None
    assert region.mask.box() == region.box
    assert region.mask.pixels.sum() == 8 * 4


def test_coco_run_lengths_go_down_the_columns(source_of):
    # 30 rows: column 0 is background, of column 1 the rows 2 to 4 are foreground
    runs = {"size": [30, 40], "counts": [32, 3, 30 * 40 - 35]}
    entry = {"id": 1, "image_id": 7, "category_id": 3, "segmentation": runs, "iscrowd": 1}
    source = source_of({"a.png": FILM, "boxes.json": coco(annotations=[entry])})
    (region,) = read(source, "coco")[0]["a.png"].regions
    assert region.box.edges == (1, 2, 2, 5)


def test_coco_category_of_another_set_is_an_error(source_of):
    source = source_of({"a.png": FILM, "boxes.json": coco(categories=[{"id": 9, "name": "x"}])})
    with pytest.raises(CorpusError, match="category 3 is none of its 1 categories"):
        list(READERS["coco"](source))


def test_coco_captions_become_captions(source_of):
    notes = [{"id": 1, "image_id": 7, "caption": "Clear lungs."}]
    records, _ = read(source_of({"a.png": FILM, "captions.json": coco(annotations=notes)}), "coco")
    assert records["a.png"].texts.caption == "Clear lungs."


def test_coco_pictures_and_files_that_do_not_meet_are_losses(source_of):
    images = [{"id": 7, "file_name": "gone.png"}]
    _, losses = read(source_of({"a.png": FILM, "boxes.json": coco(images=images)}), "coco")
    assert {loss.image for loss in losses} == {"a.png", "gone.png"}


def test_coco_annotations_of_no_listed_picture_are_losses(source_of):
    notes = [
        {"id": 1, "image_id": 7, "category_id": 3, "bbox": [10, 5, 20, 15]},
        {"id": 2, "image_id": 8, "category_id": 3, "bbox": [10, 5, 20, 15]},
        "no object",
    ]
    records, losses = read(source_of({"a.png": FILM, "b.json": coco(annotations=notes)}), "coco")
    assert len(records["a.png"].regions) == 1
    assert [loss.region for loss in losses] == ["annotation 2", "annotation 3"]


def test_coco_annotations_of_another_set_are_an_error(source_of):
    notes = [{"id": 1, "image_id": "x7", "category_id": 3, "bbox": [10, 5, 20, 15]}]
    source = source_of({"a.png": FILM, "boxes.json": coco(annotations=notes)})
    with pytest.raises(CorpusError, match="none of its 1 annotations has the image_id of one of"):
        list(READERS["coco"](source))


def test_coco_category_without_a_name_is_an_error(source_of):
    source = source_of({"a.png": FILM, "boxes.json": coco(categories=[{"id": 3}])})
    with pytest.raises(CorpusError, match="a category without id or name"):
        list(READERS["coco"](source))


def test_coco_images_that_are_no_objects_are_losses(source_of):
    images = [{"id": 7, "file_name": "a.png"}, "b.png"]
    records, (loss,) = read(source_of({"a.png": FILM, "b.json": coco(images=images)}), "coco")
    assert len(records["a.png"].regions) == 1
    assert loss.reason == "entry 2 of `images` is no object"


def test_coco_picture_without_a_usable_size_is_a_loss(source_of):
    images = [{"id": 7, "file_name": "a.png", "width": "wide", "height": 30}]
    records, (loss,) = read(source_of({"a.png": FILM, "b.json": coco(images=images)}), "coco")
    assert records == {}
    assert loss.image == "a.png"


@pytest.mark.parametrize(
    "place",
    [
        {"bbox": None},
        {"bbox": [10, None, 20, 15]},
        {"bbox": ["ten", 5, 20, 15]},
        {"bbox": 10},
        {"bbox": [10, 5, 20, 15], "segmentation": [[4, 4, "x", 4, 12, 8]]},
        {"bbox": [10, 5, 20, 15], "segmentation": [[4, 4, float("nan"), 4, 12, 8]]},
        {"segmentation": {"size": [30], "counts": [1200]}},
        {"segmentation": {"size": [30, "40"], "counts": [1200]}},
        {"segmentation": {"size": [40, 30], "counts": [1200]}},
        {"segmentation": {"size": [30, 40], "counts": [10, -3, 1193]}},
        {"segmentation": {"size": [30, 40], "counts": [10, 3000000000]}},
    ],
)
def test_coco_regions_that_lie_nowhere_are_losses(source_of, place):
    note = {"id": 1, "image_id": 7, "category_id": 3} | place
    records, (loss,) = read(source_of({"a.png": FILM, "b.json": coco(annotations=[note])}), "coco")
    assert records["a.png"].regions == ()
    assert loss.region == "region 1 ('nodule')"


VOC = """<annotation><filename>a</filename>{database}
<size><width>{width}</width><height>{height}</height></size>
<object><name>nodule</name><bndbox><xmin>{x0}</xmin><ymin>5</ymin><xmax>30</xmax><ymax>20</ymax>
</bndbox></object></annotation>"""


def voc(width=40, height=30, x0="10", database=""):
    return VOC.format(width=width, height=height, x0=x0, database=database)


def test_voc_edges_count_from_0_as_most_writers_do(source_of):
    records, _ = read(source_of({"a.png": FILM, "xml/a.xml": voc()}), "voc")
    assert edges(records["a.png"]) == [("nodule", (10, 5, 30, 20))]


def test_voc_of_the_challenge_itself_counts_from_1(source_of):
    database = "<source><database>The VOC2007 Database</database></source>"
    records, _ = read(source_of({"a.png": FILM, "xml/a.xml": voc(database=database)}), "voc")
    assert edges(records["a.png"]) == [("nodule", (9, 4, 30, 20))]


def test_voc_boxes_count_in_the_stated_size(source_of):
    records, _ = read(source_of({"a.png": FILM, "xml/a.xml": voc(width=400, height=300)}), "voc")
    assert edges(records["a.png"]) == [("nodule", (1, 0.5, 3, 2))]


def test_voc_box_without_a_number_is_a_ledger_line(source_of):
    records, (loss,) = read(source_of({"a.png": FILM, "xml/a.xml": voc(x0="left")}), "voc")
    assert records["a.png"].regions == ()
    assert loss.region == "region 1 ('nodule')"


def test_xml_with_entities_is_refused(source_of):
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><annotation>&b;</annotation>'
    source = source_of({"a.png": FILM, "xml/a.xml": bomb})
    with pytest.raises(CorpusError, match="declares XML entities"):
        list(READERS["voc"](source))


NAMES = "names: [nodule, effusion]\n"


def test_yolo_numbers_are_centre_and_size_in_unit(source_of):
    members = {"images/a.png": FILM, "labels/a.txt": "1 0.5 0.5 0.25 0.2\n", "data.yaml": NAMES}
    records, _ = read(source_of(members), "yolo")
    assert edges(records["images/a.png"]) == [("effusion", (15, 12, 25, 18))]


def test_yolo_names_may_be_a_dict_or_a_list_of_lines(source_of):
    line = "1 0.5 0.5 0.25 0.2"
    for file, names in (("data.yaml", "names:\n  0: x\n  1: y\n"), ("classes.txt", "x\ny\n")):
        source = source_of({"a.png": FILM, "a.txt": line, file: names})
        assert read(source, "yolo")[0]["a.png"].regions[0].label == "y"


def test_yolo_polygon_is_bounded_by_its_corners(source_of):
    members = {"a.png": FILM, "a.txt": "0 0.1 0.2 0.5 0.2 0.5 0.6\n", "data.yaml": NAMES}
    (region,) = read(source_of(members), "yolo")[0]["a.png"].regions
    assert region.shape == "polygon"
    assert region.box.edges == pytest.approx((4, 6, 20, 18))
    assert region.mask is not None


def test_yolo_label_file_of_another_set_is_an_error(source_of):
    source = source_of({"a.png": FILM, "a.txt": "7 0.5 0.5 0.2 0.2\n", "data.yaml": NAMES})
    with pytest.raises(CorpusError, match="class 7 has no name, the classes are 0 to 1"):
        list(READERS["yolo"](source))


def test_yolo_without_names_says_what_is_missing(source_of):
    source = source_of({"a.png": FILM, "a.txt": "0 0.5 0.5 0.2 0.2\n"})
    with pytest.raises(CorpusError, match=r"no data\.yaml and no classes\.txt"):
        list(READERS["yolo"](source))


def test_yolo_empty_label_file_means_a_picture_with_nothing(source_of):
    members = {"a.png": FILM, "a.txt": "", "b.png": FILM, "data.yaml": NAMES}
    records, (loss,) = read(source_of(members), "yolo")
    assert records["a.png"].regions == ()
    assert loss.image == "b.png"


BESIDE = {"yolo": "0 0.5 0.5 0.2 0.2\n", "points": "10 20 4\n"}


@pytest.mark.parametrize("format", BESIDE)
def test_annotation_files_left_over_are_losses_and_a_licence_is_not(source_of, format):
    line = BESIDE[format]
    members = {"a.png": FILM, "a.txt": line, "other.txt": line, "LICENCE.txt": "free for all\n"}
    members |= {"labels/a.txt": line, "data.yaml": NAMES}
    records, losses = read(source_of(members), format)
    assert len(records["a.png"].regions) == 1
    assert [loss.image for loss in losses] == ["labels/a.txt", "other.txt"]


@pytest.mark.parametrize("format", BESIDE)
def test_annotation_files_of_another_set_are_an_error(source_of, format):
    members = {"a.png": FILM, "x.txt": BESIDE[format], "data.yaml": NAMES}
    with pytest.raises(CorpusError, match=r"none of its 1 \w+ files has .*another set"):
        list(READERS[format](source_of(members)))


def test_yolo_of_another_set_is_still_recognised(source_of):
    members = {"cats/a.png": FILM, "dogs/b.png": FILM, "labels/x.txt": BESIDE["yolo"]}
    assert recognise(source_of(members | {"data.yaml": NAMES})) == "yolo"


def test_points_are_pixels_with_a_kind(source_of):
    records, (loss,) = read(
        source_of({"a.png": FILM, "points/a.txt": "10 20 4\n90 1 4\n"}), "points"
    )
    (region,) = records["a.png"].regions
    assert (region.label, region.shape) == ("4", "point")
    assert region.point is not None
    assert (region.point.x, region.point.y) == (10, 20)
    assert "outside its 40 x 30 picture" in loss.reason


@pytest.mark.parametrize(
    ("picture_path", "mask_path"),
    [
        ("scan.png", "scan_mask.png"),
        ("images/scan.png", "masks/scan.png"),
        ("x/images/scan.png", "x/masks/1b3.png"),
        ("scan.bmp", "scan.png"),
    ],
)
def test_mask_pairs_are_found_by_their_names(source_of, picture_path, mask_path):
    kind = "BMP" if picture_path.endswith("bmp") else "PNG"
    members = {picture_path: picture(40, 30, kind=kind), mask_path: mask(40, 30, (4, 5, 10, 9))}
    (region,) = read(source_of(members), "masks")[0][picture_path].regions
    assert (region.box.edges, region.mask_path) == ((4, 5, 10, 9), mask_path)
    assert region.mask is not None
    assert region.mask.pixels.sum() == 24


def test_several_mask_files_are_several_regions_and_an_empty_one_is_none(source_of):
    members = {
        "a.png": FILM,
        "a_mask.png": mask(40, 30, (1, 1, 5, 5)),
        "a_mask_1.png": mask(40, 30, (10, 10, 15, 15)),
        "a_mask_2.png": mask(40, 30, None),
    }
    records, losses = read(source_of(members), "masks")
    assert [box for _, box in edges(records["a.png"])] == [(1, 1, 5, 5), (10, 10, 15, 15)]
    assert losses == []


@pytest.mark.parametrize("level", [1, 128, 255])
def test_binary_and_three_level_masks_take_the_whole_object(source_of, level):
    members = {"images/a.png": FILM, "masks/a.png": mask(40, 30, (4, 5, 10, 9), level)}
    assert edges(read(source_of(members), "masks")[0]["images/a.png"]) == [
        ("region", (4, 5, 10, 9))
    ]


def test_a_mask_of_another_size_is_a_ledger_line(source_of):
    members = {"images/a.png": FILM, "masks/a.png": mask(20, 30, (4, 5, 10, 9))}
    records, (loss,) = read(source_of(members), "masks")
    assert records["images/a.png"].regions == ()
    assert loss.reason == "the mask is 20 x 30, its picture 40 x 30"


def test_class_folders_name_the_regions_of_their_masks(source_of):
    members = {}
    for folder in ("benign", "malignant"):
        for number in range(5):
            members[f"{folder}/{number}.png"] = FILM
            members[f"{folder}/{number}_mask.png"] = mask(40, 30, (4, 5, 10, 9))
    records, _ = read(source_of(members), "masks")
    assert records["benign/3.png"].labels == ("benign",)
    assert records["malignant/0.png"].regions[0].label == "malignant"


def test_class_folders_alone_label_pictures(source_of):
    members = {"train/cat scan/1.png": FILM, "train/film/2.png": FILM}
    records, _ = read(source_of(members), "folders")
    assert records["train/cat scan/1.png"].labels == ("cat scan",)


HEADS = {
    "image,label,xmin,ymin,xmax,ymax": "a.png,nodule,10,5,30,20",
    "file name,class,x1,y1,x2,y2": "a.png,nodule,10,5,30,20",
    "filename,category,left,top,width,height": "a.png,nodule,10,5,20,15",
    "image_id,class_name,x,y,w,h": "a,nodule,10,5,20,15",
    "image,label,x_min,y_min,x_max,y_max": "a.png,nodule,0.25,0.166666667,0.75,0.666666667",
    "image,label,bbox": 'a.png,nodule,"[10, 5, 30, 20]"',
    "image,label,image_width,image_height,x0,y0,x1,y1": "a.png,nodule,80,60,20,10,60,40",
}


@pytest.mark.parametrize("head", HEADS)
def test_tables_of_boxes_are_recognised_by_their_columns(source_of, head):
    records, losses = read(source_of({"a.png": FILM, "t.csv": f"{head}\n{HEADS[head]}\n"}), "boxes")
    ((label, box),) = edges(records["a.png"])
    assert label == "nodule"
    assert box == pytest.approx((10, 5, 30, 20), abs=1e-6)
    assert losses == []


def test_box_tables_may_be_json_or_json_lines(source_of):
    row = {"image": "a.png", "label": "nodule", "box": {"x0": 10, "y0": 5, "x1": 30, "y1": 20}}
    for name, text in (("t.json", json.dumps([row])), ("t.jsonl", json.dumps(row) + "\n")):
        records, _ = read(source_of({"a.png": FILM, name: text}), "boxes")
        assert edges(records["a.png"]) == [("nodule", (10, 5, 30, 20))]
        source_of({name: ""})  # the next table is alone again


@pytest.mark.parametrize("size", ["wide", "0", "-80", "nan"])
def test_a_row_that_states_no_usable_size_is_a_ledger_line(source_of, size):
    table = f"image,label,image_width,image_height,x0,y0,x1,y1\na.png,nodule,{size},60,2,1,6,4\n"
    records, (loss,) = read(source_of({"a.png": FILM, "t.csv": table}), "boxes")
    assert records["a.png"].regions == ()
    assert loss.reason == "the row states no usable size of its picture"


def test_a_table_of_another_set_is_an_error(source_of):
    table = "image,label,x0,y0,x1,y1\nother.png,nodule,2,1,6,4\n"
    with pytest.raises(CorpusError, match=r"no row of t\.csv names a picture of the source"):
        list(READERS["boxes"](source_of({"a.png": FILM, "t.csv": table})))


@pytest.mark.parametrize(
    ("crop", "reason"),
    [
        (None, "the source has no mask 'crops/1.png'"),
        (b"no picture", "mask 'crops/1.png' cannot be read as a picture"),
        (mask(4, 3, None), "mask 'crops/1.png' is empty"),
    ],
)
def test_a_box_whose_mask_fails_stays_and_says_so(source_of, crop, reason):
    table = "image,label,mask,left,top,width,height\na.png,nodule,crops/1.png,10,4,4,3\n"
    members = {"a.png": FILM, "t.csv": table} | ({"crops/1.png": crop} if crop else {})
    records, (loss,) = read(source_of(members), "boxes")
    assert edges(records["a.png"]) == [("nodule", (10, 4, 14, 7))]
    assert loss.reason == f"kept without its mask: {reason}"


def test_a_row_without_numbers_says_that_its_picture_holds_nothing(source_of):
    table = "image,label,xmin,ymin,xmax,ymax\na.png,No finding,,,,\n"
    records, losses = read(source_of({"a.png": FILM, "t.csv": table}), "boxes")
    assert records["a.png"].regions == ()
    assert losses == []


def test_a_cropped_mask_is_placed_at_the_corner_of_its_box(source_of):
    table = "image,label,mask,left,top,width,height\na.png,nodule,crops/1.png,10.2,4.9,4,3\n"
    members = {"a.png": FILM, "crops/1.png": mask(4, 3, (0, 0, 4, 3)), "t.csv": table}
    records, _ = read(source_of(members), "boxes")
    assert list(records) == ["a.png"]
    (region,) = records["a.png"].regions
    assert region.mask is not None
    rows, columns = np.nonzero(region.mask.pixels)
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (10, 13, 5, 7)


def test_patients_of_a_table_become_numbers(source_of):
    table = "image,patient_id,label,xmin,ymin,xmax,ymax\n" + "".join(
        f"{name}.png,{person},nodule,1,1,9,9\n" for name, person in zip("abc", "yxy", strict=True)
    )
    members = {f"{name}.png": FILM for name in "abc"}
    records, _ = read(source_of({**members, "t.csv": table}), "boxes")
    groups = [records[f"{name}.png"].group for name in "abc"]
    assert groups == ["films:patient 1", "films:patient 2", "films:patient 1"]


def test_captions_and_reports_are_read_from_a_table(source_of):
    table = "image,caption,findings,impression\na.png,A film.,Clear lungs.,N/A\n"
    texts = read(source_of({"a.png": FILM, "t.csv": table}), "texts")[0]["a.png"].texts
    assert (texts.caption, texts.report) == ("A film.", {"findings": "Clear lungs."})


def test_yes_and_no_are_closed_unless_the_table_calls_them_open(source_of):
    rows = [
        {"image": "a.png", "qid": 1, "question": "Clear?", "answer": "Yes."},
        {
            "image": "a.png",
            "qid": 2,
            "question": "AP or PA?",
            "answer": "PA",
            "answer_type": "CLOSED",
        },
        {"image": "a.png", "qid": 3, "question": "Why?", "answer": "no", "answer_type": "OPEN "},
    ]
    records, _ = read(source_of({"a.png": FILM, "qa.json": json.dumps(rows)}), "texts")
    types = [(question.id, question.type) for question in records["a.png"].questions]
    assert types == [("1", "closed"), ("2", "open"), ("3", "open")]


def test_a_table_without_pictures_gives_records_without_a_frame(source_of):
    found = list(READERS["texts"](source_of({"t.csv": "id,caption\n1,A film.\n2,Another.\n"})))
    assert [entry.texts.caption for entry in found] == ["A film.", "Another."]
    assert all(entry.frame is None and entry.image is None for entry in found)
    assert len({entry.id for entry in found}) == 2


def test_a_table_without_the_needed_columns_is_told_what_it_has(source_of):
    source = source_of({"a.png": FILM, "t.csv": "image,label,xmin,ymin\na.png,nodule,1,2\n"})
    with pytest.raises(CorpusError, match=r"t\.csv has the columns image, label, xmin, ymin"):
        recognise(source)
    with pytest.raises(CorpusError, match="no column for boxes"):
        list(READERS["boxes"](source))


def test_formats_side_by_side_are_not_guessed_between(source_of):
    members = {"a.png": FILM, "a.xml": voc(), "boxes.json": coco()}
    with pytest.raises(CorpusError, match=r"several formats, coco and voc.*--format coco or"):
        recognise(source_of(members))


def test_pictures_without_annotations_are_no_source(source_of):
    with pytest.raises(CorpusError, match="1 pictures, but no annotations"):
        recognise(source_of({"a.png": FILM}))


@pytest.mark.parametrize("format", sorted(set(READERS) - {"dicom", "texts", "boxes"}))
def test_an_unreadable_picture_is_one_ledger_line(source_of, format):
    members = {
        "coco": {"boxes.json": coco()},
        "voc": {"a.xml": voc()},
        "yolo": {"a.txt": "0 0.5 0.5 0.2 0.2", "data.yaml": NAMES},
        "points": {"a.txt": "1 2 3"},
        "masks": {"a_mask.png": mask(40, 30, None)},
        "folders": {},
    }[format]
    found = list(READERS[format](source_of({"a.png": b"no picture", **members})))
    (loss,) = [entry for entry in found if isinstance(entry, Loss)]
    assert loss.image == "a.png"
    assert not any(isinstance(entry, Record) for entry in found)
