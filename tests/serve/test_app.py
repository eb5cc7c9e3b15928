"""The HTTP doors: what goes in and out, what is refused, and what stays on this computer."""

import io
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from pydicom.data import get_testdata_file

import regionmed
from regionmed.errors import StaleIndexError
from regionmed.model.region_clip import RegionClip
from regionmed.search.index import open_index
from regionmed.serve import app as app_module
from regionmed.serve.app import create_app


@pytest.fixture(scope="module")
def client(untrained_model: RegionClip, shapes_index: Path) -> Iterator[TestClient]:
    app = create_app(untrained_model, open_index(shapes_index))
    with TestClient(app, base_url="http://127.0.0.1:8321") as opened:
        yield opened


@pytest.fixture
def opened(client: TestClient, shapes_corpus: Path) -> dict:
    """The picture of record shapes/1.png, opened."""
    data = regionmed.open_corpus(shapes_corpus).picture_bytes(1)
    return client.post("/api/pictures", content=data).json()


def test_a_box_of_an_opened_picture_is_answered_in_file_pixels(
    client: TestClient, opened: dict
) -> None:
    assert (opened["width"], opened["height"], opened["window"]) == (160, 120, None)
    asked = {"id": opened["id"], "box": [100, 50, 130, 80], "top": 3}
    answer = client.post("/api/ask", json=asked).json()
    assert answer["box"] == [100, 50, 130, 80]
    assert len(answer["sentences"]) == 2  # a disc, a square: what regions are called here
    assert len(answer["regions"]) == 3
    best = answer["regions"][0]
    assert (best["record"], best["label"], best["box"]) == (
        "shapes/1.png",
        "square",
        [100, 50, 130, 80],
    )
    assert best["sha256"] == opened["sha256"]  # so the page can say that it is this very picture
    assert best["view"] == [85, 35, 145, 95]
    jpeg = client.get(f"/api/thumbnails/{best['number']}.jpg")
    assert (jpeg.headers["content-type"], jpeg.content[:3]) == ("image/jpeg", b"\xff\xd8\xff")


def test_without_a_box_the_whole_picture_is_asked(client: TestClient, opened: dict) -> None:
    answer = client.post("/api/ask", json={"id": opened["id"]}).json()
    assert answer["box"] is None
    assert answer["regions"][0]["record"] == "shapes/1.png"
    assert answer["regions"][0]["region"] is None


def test_a_foreign_region_is_unsure_and_an_index_without_val_rows_says_that_it_cannot_tell(
    client: TestClient, opened: dict, untrained_model: RegionClip, judging_index: Path
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3)).astype(np.uint8)
    stored = io.BytesIO()
    Image.fromarray(noise).save(stored, "PNG")
    index = open_index(judging_index)
    app = create_app(untrained_model, index)
    with TestClient(app, base_url="http://127.0.0.1:8321") as judging:
        foreign = judging.post("/api/pictures", content=stored.getvalue()).json()
        asked = {"id": foreign["id"], "box": [10, 20, 50, 60]}
        answer = judging.post("/api/ask", json=asked).json()
        certainty = judging.get("/api/status").json()["index"]["certainty"]
    assert answer["unsure"].startswith("this region looks like none of the 24 train regions")
    assert {sentence["probability"] for sentence in answer["sentences"]} == {None}
    assert certainty == index.certainty.as_json()
    asked = {"id": opened["id"], "box": [100, 50, 130, 80]}
    answer = client.post("/api/ask", json=asked).json()
    assert answer["unsure"] is None
    assert "too few val regions" in answer["unjudged"]


def test_a_text_finds_entries(client: TestClient) -> None:
    found = client.post("/api/search", json={"text": "a disc", "top": 4}).json()["regions"]
    scores = [match["similarity"] for match in found]
    assert len(found) == 4
    assert scores == sorted(scores, reverse=True)


def test_a_dicom_is_read_under_the_window_that_is_asked_for(client: TestClient) -> None:
    path = get_testdata_file("CT_small.dcm")
    assert isinstance(path, str)
    ct = client.post("/api/pictures", content=Path(path).read_bytes()).json()
    raw = client.get(f"/api/pictures/{ct['id']}/values").content
    values = np.frombuffer(raw, "<f4").reshape(ct["height"], ct["width"])
    assert values[0, 0] == 175 - 1024  # stored value and intercept, in HU
    asked = {"id": ct["id"], "box": [10, 10, 60, 60], "window": {"center": 40, "width": 400}}
    applied = client.post("/api/ask", json=asked).json()["applied"]
    assert applied["window"] == {"center": 40, "width": 400, "function": "LINEAR"}
    as_opened = client.post("/api/ask", json={"id": ct["id"]}).json()["applied"]
    assert as_opened == ct["applied"]


def test_the_status_says_what_model_and_index_these_are(
    client: TestClient, untrained_model: RegionClip
) -> None:
    status = client.get("/api/status").json()
    assert status["model"] == {
        "name": "model",  # the last part of its path only
        "stage": "none",
        "fingerprint": untrained_model.fingerprint,
        "training_pictures": 0,
    }
    assert {key: status["index"][key] for key in ("pictures", "regions", "sentences")} == {
        "pictures": 4,
        "regions": 8,
        "sentences": 7,
    }
    assert client.get("/health").json() == {"ok": True}


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("/api/ask", {"id": "0" * 16}, 404, "no longer in memory; open its file again"),
        ("/api/ask", {"id": "0" * 16, "top": 0}, 422, "top: "),
        ("/api/ask", {}, 422, "id: Field required"),
        ("/api/search", {"text": " "}, 400, "a text that is not empty"),
        ("/api/search", {"text": "x" * 1001}, 422, "text: "),
    ],
)
def test_a_wrong_request_is_answered_with_one_sentence(
    client: TestClient, path: str, body: dict, status: int, said: str
) -> None:
    reply = client.post(path, json=body)
    assert reply.status_code == status
    assert said in reply.json()["error"]
    assert "xxx" not in reply.text  # nothing of what was sent comes back


def test_a_box_outside_the_picture_is_refused_with_its_size(
    client: TestClient, opened: dict
) -> None:
    reply = client.post("/api/ask", json={"id": opened["id"], "box": [100, 50, 170, 80]})
    assert reply.status_code == 400
    assert "reaches outside the picture: this picture is 160 x 120 pixels" in reply.json()["error"]


def test_what_is_no_picture_and_what_is_too_large_are_refused(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    reply = client.post("/api/pictures", content=b"a letter")
    assert reply.status_code == 400
    assert reply.json()["error"].startswith("the picture: the content is no picture")
    monkeypatch.setattr(app_module, "LARGEST", 2**20)
    reply = client.post("/api/pictures", content=bytes(2**20 + 1))
    assert (reply.status_code, reply.json()["error"]) == (413, "the file is larger than 1 MiB")


@pytest.mark.parametrize("host", ["example.org", "127.0.0.1.example.org:8321", "192.168.0.7"])
def test_another_name_for_this_computer_is_not_served(client: TestClient, host: str) -> None:
    assert client.get("/api/status", headers={"Host": host}).status_code == 400


def test_another_sites_page_may_not_post(client: TestClient) -> None:
    reply = client.post(
        "/api/search", json={"text": "a disc"}, headers={"Origin": "http://example.org"}
    )
    assert reply.status_code == 403
    same = {"Origin": "http://127.0.0.1:8321"}
    assert client.post("/api/search", json={"text": "a disc"}, headers=same).status_code == 200


@pytest.mark.parametrize("path", ["/", "/page/main.js", "/api/status", "/api/thumbnails/99.jpg"])
def test_every_reply_forbids_other_sources_and_keeping(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"


def test_the_page_names_no_other_site() -> None:
    for file in app_module.PAGE.iterdir():
        text = file.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http:" not in text, file.name
        assert "https:" not in text, file.name


def test_an_opened_picture_leaves_no_file_and_no_line_in_the_log(
    client: TestClient,
    shapes_corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    data = regionmed.open_corpus(shapes_corpus).picture_bytes(0)
    with caplog.at_level(logging.DEBUG, "regionmed"):
        assert client.post("/api/pictures", content=data + bytes(3 * 2**20)).status_code == 200
    assert list(tmp_path.iterdir()) == []
    assert not [record for record in caplog.records if record.name.startswith("regionmed")]


def test_another_models_index_is_not_served(
    untrained_model: RegionClip, shapes_index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(untrained_model, "fingerprint", "f" * 64)
    with pytest.raises(StaleIndexError):
        create_app(untrained_model, open_index(shapes_index))
