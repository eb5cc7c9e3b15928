"""Fewer tasks: what is asked is answered as in a whole evaluation, and nothing else is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from regionmed.corpus.shards import Corpus, write_corpus
from regionmed.evaluation import tasks as tasks_module
from regionmed.evaluation.findings import Findings
from regionmed.evaluation.part import open_parts
from regionmed.evaluation.tasks import TASKS, run_tasks
from regionmed.model.region_clip import RegionClip
from regionmed.progress import silent
from regionmed.record import Record


def test_every_task_is_a_field_of_findings() -> None:
    assert set(TASKS) == set(Findings.__dataclass_fields__) - {"parts"}


@pytest.mark.parametrize(
    ("asked", "answered", "read"),
    [
        (("regions",), {"region_classification"}, [("train", False)]),
        (("retrieval", "prompts"), {"retrieval", "prompt_classification"},
         [("train", False), ("val", False)]),
        (("probes",), {"probe"}, [("train", True)]),
    ],
)  # fmt: skip
def test_what_is_asked_is_answered_as_in_a_whole_evaluation(
    squares: Corpus,
    untrained: RegionClip,
    findings: Findings,
    monkeypatch: pytest.MonkeyPatch,
    asked: tuple[str, ...],
    answered: set[str],
    read: list[tuple[str, bool]],
) -> None:
    seen: list[tuple[str, bool]] = []
    real = tasks_module.rows_of

    def rows_of(model, part, split, track, *, regions, most=None):  # type: ignore[no-untyped-def]
        seen.append((split, regions))
        return real(model, part, split, track, regions, most)

    monkeypatch.setattr(tasks_module, "rows_of", rows_of)
    some = Findings()
    for part in open_parts(untrained, [squares], "test"):
        run_tasks(untrained, part, some, silent, asked)
    whole = {one.key: one for one in findings.outcomes()}
    found = some.outcomes()
    assert {one.task for one in found} <= answered
    assert found or asked == ("probes",)  # the painted squares have no false twins
    for one in found:
        assert one.items == whole[one.key].items
        assert np.array_equal(one.values_N, whole[one.key].values_N)
    assert seen == read


def test_a_set_of_one_label_is_asked_all_but_names_of_regions(
    paint: Callable[[int, str], Record], untrained: RegionClip, tmp_path: Path
) -> None:
    records = [paint(number, split) for split in ("train", "test") for number in range(0, 20, 2)]
    corpus = write_corpus(
        records, tmp_path / "dark", {"phrases": {"squares": {"dark": "a square"}}}
    )
    found = Findings()
    for part in open_parts(untrained, [corpus], "test"):
        run_tasks(untrained, part, found, silent)
    assert not found.regions
    assert not found.region_retrieval
    assert {one.task for one in found.outcomes()} >= {"grounding", "vqa"}
