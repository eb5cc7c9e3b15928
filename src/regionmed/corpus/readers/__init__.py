"""READERS: a format's name -> the function that reads it. A new format is a function and a line.

Each takes a Source and yields a Record for each picture and a Loss for whatever is not kept.
"""

from regionmed.corpus.readers.boxes import read_boxes
from regionmed.corpus.readers.coco import read_coco
from regionmed.corpus.readers.dicom import read_dicom
from regionmed.corpus.readers.folders import read_folders
from regionmed.corpus.readers.masks import read_masks
from regionmed.corpus.readers.points import read_points
from regionmed.corpus.readers.source import Reader
from regionmed.corpus.readers.texts import read_texts
from regionmed.corpus.readers.voc import read_voc
from regionmed.corpus.readers.yolo import read_yolo

READERS: dict[str, Reader] = {
    "coco": read_coco,
    "voc": read_voc,
    "yolo": read_yolo,
    "points": read_points,
    "boxes": read_boxes,
    "masks": read_masks,
    "texts": read_texts,
    "dicom": read_dicom,
    "folders": read_folders,
}
