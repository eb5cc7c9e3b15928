"""regionmed index, search, ask and serve: what they print, and how mistakes end."""

import json
import shutil
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import regionmed


@pytest.fixture(scope="module")
def film(shapes_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The picture of record shapes/1.png as a file."""
    path = tmp_path_factory.mktemp("film") / "film.png"
    path.write_bytes(regionmed.open_corpus(shapes_corpus).picture_bytes(1))
    return path


def test_index_then_search_by_box_finds_the_region_itself(
    command, shapes_corpus: Path, untrained: Path, film: Path, tmp_path: Path
) -> None:
    index = tmp_path / "index"
    status, out, _ = command("index", untrained, "--corpus", shapes_corpus, "--out", index)
    assert (status, out.partition(" (")[0]) == (
        0,
        f"{index}: 4 pictures, 8 regions, 7 sentences",
    )
    assert "answers will not say how likely they are: too few val regions" in out
    # the index remembers its checkpoint
    status, out, _ = command("search", index, "--image", film, "--box", "100,50,130,80", "--json")
    best = json.loads(out)["results"][0]
    assert status == 0
    assert (best["record"], best["region"], best["label"]) == ("shapes/1.png", 1, "square")
    assert best["box"] == [100, 50, 130, 80]
    assert best["similarity"] == pytest.approx(1, abs=1e-4)


def test_ask_prints_sentences_and_regions_with_boxes_in_file_pixels(
    command, untrained: Path, shapes_index: Path, film: Path
) -> None:
    box = "100,50,130,80"
    status, out, _ = command(
        "ask", untrained, "--image", film, "--box", box, "--index", shapes_index
    )
    assert status == 0
    assert "square" in out
    assert "box in file pixels" in out
    assert "100, 50, 130, 80" in out
    assert "not a probability" in out


def test_ask_says_how_likely_an_answer_is_or_that_it_is_unsure(
    command, untrained: Path, judging_index: Path, paint_shapes, tmp_path: Path
) -> None:
    record = paint_shapes(0, "test")
    (tmp_path / "film.png").write_bytes(record.picture)
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    box = ",".join(f"{edge:g}" for edge in record.regions[0].box.edges)
    words = ("ask", untrained, "--index", judging_index, "--box", box, "--image")
    status, out, _ = command(*words, tmp_path / "film.png")
    assert status == 0
    assert " %" in out
    assert "calibrated on 24 val regions" in out
    status, out, _ = command(*words, tmp_path / "noise.png")
    assert out.startswith("Unsure: this region looks like none of the 24 train regions")
    assert "a disc" in out or "round disc" in out  # the sentences stay
    assert "calibrated on" not in out
    status, out, _ = command(*words, tmp_path / "noise.png", "--json")
    assert json.loads(out)["unsure"].startswith("this region looks like none")


def test_ask_chooses_from_a_file_of_sentences(
    command, untrained: Path, film: Path, tmp_path: Path
) -> None:
    (tmp_path / "phrases.txt").write_text("a tube\na wound\n")
    words = ("ask", untrained, "--image", film, "--phrases", tmp_path / "phrases.txt", "--json")
    status, out, _ = command(*words)
    answer = json.loads(out)
    assert status == 0
    assert {sentence["text"] for sentence in answer["sentences"]} == {"a tube", "a wound"}
    assert (answer["box"], answer["regions"]) == (None, [])


def test_search_by_text_shows_a_table(command, shapes_index: Path) -> None:
    status, out, _ = command("search", shapes_index, "--text", "a disc", "--top", "3")
    assert status == 0
    assert out.count("shapes/") == 3


MISTAKES = {
    "unreadable picture": ("--image {letter}", "the content is no picture"),
    "absent picture": ("--image {absent}", "cannot be opened"),
    "box outside the picture": ("--image {film} --box 0,0,200,50", "reaches outside the picture"),
    "width for corner": ("--image {film} --box 100,50,30,30", "has no area"),
    "three numbers": ("--image {film} --box 1,2,3", "needs four numbers"),
    "empty phrases file": ("--image {film} --phrases {empty}", "holds no sentence"),
    "no index": ("--image {film} --index {folder}", "not a finished index"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_ends_in_one_line_and_status_one(
    command, untrained: Path, film: Path, tmp_path: Path, mistake: str
) -> None:
    words, said = MISTAKES[mistake]
    (tmp_path / "letter.png").write_text("Dear colleague")
    (tmp_path / "empty.txt").write_text("\n")
    places = {
        "letter": tmp_path / "letter.png",
        "absent": tmp_path / "absent.png",
        "empty": tmp_path / "empty.txt",
        "folder": tmp_path,
        "film": film,
    }
    status, out, err = command("ask", untrained, *words.format(**places).split())
    assert (status, out) == (1, "")
    assert len(err.splitlines()) == 1
    assert said in err


def test_a_wrong_checkpoint_folder_ends_in_one_line(command, film: Path, tmp_path: Path) -> None:
    status, _, err = command("ask", tmp_path, "--image", film)
    assert status == 1
    assert len(err.splitlines()) == 1
    assert "not a finished run or checkpoint" in err


def test_an_index_of_another_checkpoint_ends_in_one_line(
    command, shapes_index: Path, untrained: Path, film: Path, tmp_path: Path
) -> None:
    index = tmp_path / "index"
    shutil.copytree(shapes_index, index)
    manifest = json.loads((index / "manifest.json").read_text())
    manifest["model"]["fingerprint"] = "f" * 64
    (index / "manifest.json").write_text(json.dumps(manifest))
    status, _, err = command("ask", untrained, "--image", film, "--index", index)
    assert status == 1
    assert err.startswith("StaleIndexError: ")
    assert len(err.splitlines()) == 1


def test_search_wants_a_text_or_a_picture(command, shapes_index: Path) -> None:
    assert command("search", shapes_index)[0] == 2
    assert command("search", shapes_index, "--text", "a disc", "--box", "1,2,3,4")[0] == 2


def test_a_port_in_use_ends_in_one_line(command, untrained: Path, shapes_index: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, _, err = command("serve", untrained, "--index", shapes_index, "--port", port)
    assert status == 1
    assert f"port {port} of this computer cannot be used" in err
    assert len(err.splitlines()) == 1


def test_a_missing_extra_is_named(
    command, untrained: Path, shapes_index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "regionmed.serve.app", raising=False)
    monkeypatch.setitem(sys.modules, "fastapi", None)  # as if it were not installed
    status, _, err = command("serve", untrained, "--index", shapes_index, "--port", "0")
    assert status == 1
    assert err == (
        'UsageError: the page needs the package fastapi: pip install "regionmed[serve]"\n'
    )
