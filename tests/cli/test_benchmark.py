"""regionmed evaluate --benchmark: scores from a copy, published figures apart from them."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from regionmed.evaluation.benchmark_card import load_card


@pytest.fixture
def slake(tmp_path: Path) -> Path:
    """Noise pictures laid out like SLAKE: 16 with a question to learn from, 16 to answer."""
    copy = tmp_path / "my Slake1.0"
    rows: dict[str, list[dict[str, object]]] = {"train": [], "validate": [], "test": []}
    for number in range(642):
        path = copy / f"imgs/xmlab{number}/source.jpg"
        path.parent.mkdir(parents=True)
        if number >= 32:  # named by no question, so never read
            path.write_bytes(b"-")
            continue
        pixels = np.random.default_rng(number).integers(0, 255, (48, 64), dtype=np.uint8)
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "JPEG")
        path.write_bytes(stream.getvalue())
        row = {"img_name": f"xmlab{number}/source.jpg", "qid": number, "q_lang": "en"}
        row |= {"question": "Is the lung normal?", "answer": ("Yes", "No")[number % 2]}
        rows["train" if number < 16 else "test"].append(row | {"answer_type": "CLOSED"})
    for name, questions in rows.items():
        (copy / f"{name}.json").write_text(json.dumps(questions))
    return copy


def test_scores_and_published_figures_come_from_one_command_and_stay_apart(
    command, untrained: Path, slake: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = ("evaluate", untrained, "--benchmark", "slake", "--corpus", slake, "--out", out)
    status, _, error = command(*words)
    assert status == 0, error
    rows = json.loads((out / "scores.json").read_text("utf-8"))
    assert {row["set"] for row in rows} >= {"slake"}
    assert any(row["task"] == "vqa" and row["split"] == "test" for row in rows)
    scores, page = (out / "scores.json").read_text("utf-8"), (out / "benchmark.md").read_text()
    for figure in load_card("slake").published:
        assert figure.model in page
        assert figure.model not in scores
        assert figure.source not in scores
    assert "not comparable line by line" in page


def test_mistakes_end_in_one_line(command, untrained: Path, slake: Path, tmp_path: Path) -> None:
    rest = ("--corpus", slake, "--out", tmp_path / "out")
    status, _, error = command("evaluate", untrained, "--benchmark", "slack", *rest)
    assert status == 1
    assert "no benchmark is called 'slack'; there are" in " ".join(error.split())
    (slake / "test.json").unlink()
    status, _, error = command("evaluate", untrained, "--benchmark", "slake", *rest)
    assert status == 1
    assert "'test.json' (questions for testing)" in " ".join(error.split())
    assert not (tmp_path / "out").exists()
