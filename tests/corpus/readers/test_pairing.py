"""Annotations find their pictures."""

from regionmed.corpus.readers.pairing import Pictures


def test_a_picture_is_found_by_path_name_or_stem():
    pictures = Pictures(["images/a.png", "images/b.jpg"])
    for name in ("images/a.png", "a.png", "a", "A.PNG", "./images/a.png", "..\\images\\a.png"):
        assert pictures.find(name) == "images/a.png", name


def test_another_ending_finds_the_picture_too():
    assert Pictures(["x/film.1.jpg"]).find("film.1.png") == "x/film.1.jpg"


def test_of_equal_names_the_one_in_like_folders_is_taken():
    pictures = Pictures(["images/train/1.png", "images/val/1.png"])
    assert pictures.find("1", "labels/val/1.txt") == "images/val/1.png"
    assert pictures.find("1", "labels/train/1.txt") == "images/train/1.png"


def test_a_name_that_fits_two_pictures_alike_finds_none():
    assert Pictures(["a/1.png", "b/1.png"]).find("1", "labels/1.txt") is None


def test_a_name_relative_to_its_annotation_comes_first():
    pictures = Pictures(["test/1.png", "train/1.png"])
    assert pictures.find("1.png", "train/annotations.json") == "train/1.png"
