"""lmms-eval asks its models our region questions, and our harness asks them closed questions.

`write_tasks` writes a folder for `lmms_eval --include_path FOLDER`: YAML tasks, their data in
Parquet, and a tasks.py that points at the functions below, whose names and arguments are
lmms-eval's. A `doc` is a row of that data; a `result` is the text that a model said.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from PIL import Image, ImageDraw

from regionmed.errors import UsageError
from regionmed.evaluation.adapters.written import new_folder
from regionmed.evaluation.outcomes import Outcomes
from regionmed.evaluation.part import Part
from regionmed.evaluation.regions import asked_regions
from regionmed.evaluation.strata import group_of

Doc = Mapping[str, Any]

GENERATION = {"max_new_tokens": 16, "temperature": 0, "do_sample": False}
MACRO = """- metric: macro_accuracy
  aggregation: !function tasks.macro_accuracy
  higher_is_better: true
"""  # tags of lmms-eval, which a safe dump cannot write

FUNCTIONS = """\"\"\"What the tasks of this folder call; they live in regionmed.\"\"\"

from regionmed.evaluation.adapters.lmms_eval import (  # noqa: F401
    drawn_region,
    macro_accuracy,
    question_result,
    question_text,
    region_result,
    region_text,
    whole_picture,
)
"""


def write_tasks(part: Part, out: Path) -> tuple[str, ...]:
    """Write the Part's region questions and closed questions as lmms-eval tasks; their names.

    regionmed_SET_regions        the box as numbers in the question
    regionmed_SET_regions_drawn  the box drawn on the picture too
    regionmed_SET_questions      questions to be answered by yes or no
    UsageError where `out` is there already or the set has none of these.
    """
    regions, questions = _region_rows(part), _question_rows(part)
    if not regions and not questions:
        raise UsageError(
            f"set '{part.name}' has neither regions of two labels nor closed questions in this "
            "split; choose another"
        )
    names = []
    with new_folder(out) as folder:
        (folder / "tasks.py").write_text(FUNCTIONS, "utf-8")
        for rows, kind, suffix, visual in (
            (regions, "region", "regions", "whole_picture"),
            (regions, "region", "regions_drawn", "drawn_region"),
            (questions, "question", "questions", "whole_picture"),
        ):
            if rows:
                names.append(f"regionmed_{part.name}_{suffix}")
                pq.write_table(pa.Table.from_pylist(rows), folder / f"{kind}s.parquet")
                data = str((out / f"{kind}s.parquet").resolve())
                text = _task_yaml(names[-1], data, kind, visual)
                (folder / f"{suffix}.yaml").write_text(text, "utf-8")
    return tuple(names)


def vqa_outcomes(model: Any, part: Part) -> Outcomes | None:
    """What a model of lmms-eval earns on the closed questions of a Part; None without any.

    model  an `lmms_eval.api.model.lmms`; it must be able to generate text
    """
    from lmms_eval.api.instance import Instance

    rows, name, split = _question_rows(part), f"regionmed_{part.name}", part.conditions.split
    if not rows:
        return None
    model.task_dict[name] = {split: rows}
    said = model.generate_until(
        [
            Instance(
                "generate_until",
                (question_text(row), dict(GENERATION), whole_picture, number, name, split),
                0,
                {"task": name, "doc_id": number, "repeats": 1},
            )
            for number, row in enumerate(rows)
        ]
    )
    hits = [
        question_result(row, [str(getattr(one, "text", one))])["accuracy"]
        for row, one in zip(rows, said, strict=True)
    ]
    return Outcomes(
        task="vqa",
        set=part.name,
        metric="accuracy closed generated",
        boxes="none",
        items=tuple(row["id"] for row in rows),
        groups=tuple(row["group"] for row in rows),
        columns=("all",) * len(rows),
        strata=((),) * len(rows),
        values_N=np.array(hits),
    )


def whole_picture(doc: Doc) -> list[Image.Image]:
    """doc_to_visual: the picture as it is."""
    return [Image.open(io.BytesIO(doc["picture"])).convert("RGB")]


def drawn_region(doc: Doc) -> list[Image.Image]:
    """doc_to_visual: the picture with the box drawn around the region, outside its pixels."""
    (image,) = whole_picture(doc)
    x0, y0, x1, y1 = doc["box"]
    width = max(2, round(max(image.size) / 200))
    edges = (x0 - width, y0 - width, x1 + width - 1, y1 + width - 1)
    ImageDraw.Draw(image).rectangle(edges, outline=(255, 0, 0), width=width)
    return [image]


def region_text(doc: Doc, lmms_eval_specific_kwargs: Any = None) -> str:
    """doc_to_text: the question with the box in pixels and numbered options."""
    x0, y0, x1, y1 = (round(edge) for edge in doc["box"])
    options = "\n".join(f"{number}. {option}" for number, option in enumerate(doc["options"], 1))
    return (
        f"What is in the marked region? It is the box from ({x0}, {y0}) to ({x1}, {y1}) in pixels, "
        f"x right and y down, of a picture {doc['width']} wide and {doc['height']} high.\n"
        f"{options}\nAnswer with the number of one option."
    )


def region_result(doc: Doc, results: Sequence[str]) -> dict[str, Any]:
    """process_results: 1 where the first number said is the right option's, or only its name."""
    said = results[0].strip().lower()
    number = re.search(r"\d+", said)
    named = [place for place, option in enumerate(doc["options"]) if option.lower() in said]
    answer = int(number.group()) - 1 if number else named[0] if len(named) == 1 else None
    hit = float(answer == doc["answer"])
    return {"accuracy": hit, "macro_accuracy": (doc["options"][doc["answer"]], hit)}


def macro_accuracy(pairs: Sequence[tuple[str, float]]) -> float:
    """Aggregation: the mean over labels of the share that is right in each."""
    hits_of: dict[str, list[float]] = {}
    for label, hit in pairs:
        hits_of.setdefault(label, []).append(hit)
    return float(np.mean([np.mean(hits) for hits in hits_of.values()]))


def question_text(doc: Doc, lmms_eval_specific_kwargs: Any = None) -> str:
    """doc_to_text: a closed question."""
    return f"{doc['question']}\nAnswer with yes or no."


def question_result(doc: Doc, results: Sequence[str]) -> dict[str, float]:
    """process_results: 1 where the first yes or no said is the answer."""
    said = re.search(r"\b(yes|no)\b", results[0].lower())
    return {"accuracy": float(said is not None and said.group() == doc["answer"])}


def _task_yaml(name: str, data: str, kind: str, visual: str) -> str:
    metrics: list[dict[str, Any]] = [
        {"metric": "accuracy", "aggregation": "mean", "higher_is_better": True}
    ]
    plain = {
        "task": name,
        "dataset_path": "parquet",
        "dataset_kwargs": {"data_files": {"test": data}},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_target": "answer",
        "generation_kwargs": GENERATION,
        "metric_list": metrics,
        "metadata": [{"version": 1.0}],
    }
    calls = {
        "doc_to_visual": visual,
        "doc_to_text": f"{kind}_text",
        "process_results": f"{kind}_result",
    }
    text = yaml.safe_dump(plain, sort_keys=False)
    if kind == "region":
        text = text.replace("metadata:\n", MACRO + "metadata:\n")
    return text + "".join(f"{key}: !function tasks.{call}\n" for key, call in calls.items())


def _region_rows(part: Part) -> list[dict[str, Any]]:
    """One row a scored region; the options stand in an order of its own, drawn by its name."""
    asked = asked_regions(part)
    if asked is None:
        return []
    rows = []
    for (row, number), truth in zip(asked.places, asked.truth_R, strict=True):
        record, name = part.records[row], f"{part.records[row].id}#{number}"
        order = np.random.default_rng(list(name.encode())).permutation(len(asked.labels))
        region = record.regions[number]
        rows.append(
            {
                "id": name,
                "picture": part.corpus.picture_bytes(part.indices[row]),
                "width": region.box.frame.width,
                "height": region.box.frame.height,
                "box": list(region.box.edges),
                "options": [part.phrases[asked.labels[place]] for place in order],
                "answer": order.tolist().index(int(truth)),
            }
        )
    return rows


def _question_rows(part: Part) -> list[dict[str, Any]]:
    """One row a closed question whose answer is yes or no."""
    return [
        {
            "id": question.id,
            "group": group_of(record),
            "picture": part.corpus.picture_bytes(part.indices[row]),
            "question": question.question,
            "answer": question.answer.strip().lower(),
        }
        for row, record in enumerate(part.records)
        for question in record.questions
        if question.type == "closed" and question.answer.strip().lower() in ("yes", "no")
    ]
