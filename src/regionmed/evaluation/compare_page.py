"""comparison.html and comparison.md from the table of a comparison; numbers are made elsewhere.

First the main table, then the curves by size, then every line of the whole table, task by task.
The page loads nothing, holds no date, and is the same for the same table. Arms are told apart by
mark and line as well as by colour (Okabe and Ito's, safe for the colour-blind), so it prints grey.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined

from regionmed.evaluation.compare_table import GROUPED, is_mean
from regionmed.evaluation.intervals import LEVEL
from regionmed.evaluation.report.words import SET_TITLES
from regionmed.evaluation.statistics import DRAWS
from regionmed.evaluation.strata import SIZES

SURE = 2 * (1 - LEVEL)  # p below this, after Holm, is called a difference
# Mark, colour and line of each arm, in the order of the plan; they begin again after the sixth.
STYLES = (
    ("circle", "#0072b2", ""),
    ("square", "#d55e00", "7 4"),
    ("triangle", "#009e73", "2 3"),
    ("diamond", "#cc79a7", "9 3 2 3"),
    ("cross", "#8a6d00", "4 2"),
    ("bar", "#3c7fa6", "12 3"),
)
CURVE_WIDTH, CURVE_HEIGHT = 320, 190  # inside the axes
ABREAST = 8  # columns of the main table that fit beside each other; more stand below
LEAST_SIZES = 2  # a curve needs two points


def comparison_html(table: dict[str, Any]) -> str:
    """The page's text; `table` is what comparison.json holds."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters.update(
        number=number, short=short, signed=signed, p=p_text, set_title=_set_title, giga=giga
    )
    template = environment.from_string(
        files("regionmed.evaluation").joinpath("compare.html.jinja").read_text(encoding="utf-8")
    )
    return template.render(
        table=table,
        styles={arm: STYLES[i % len(STYLES)] for i, arm in enumerate(table["arms"])},
        costs={arm: costs(runs) for arm, runs in table["arms"].items()},
        tasks=_tasks(table["rows"]),
        findings=_findings(table["rows"]),
        missing=missing_text(table["missing"]),
        left_out=left_out_text(table["left_out"]),
        curves=_curves(table["rows"]),
        sure=SURE,
        draws=DRAWS,
        abreast=ABREAST,
        width=CURVE_WIDTH,
        height=CURVE_HEIGHT,
    )


def comparison_markdown(table: dict[str, Any]) -> str:
    """One table a task: each arm with its interval, each difference with its corrected p."""
    others = [arm for arm in table["arms"] if arm != table["reference"]]
    lines = [f"# {', '.join(others)} against {table['reference']}, split {table['split']}", ""]
    lines += _main_markdown(table)
    for task, rows in _tasks(table["rows"]):
        heads = ["set", "stratum", "metric", "boxes", "n", *table["arms"]]
        heads += [f"{arm} − {table['reference']} (Holm p)" for arm in others]
        lines += [f"## {title(task)}", "", _line(heads), _line(["---"] * len(heads))]
        for row in rows:
            cells = [_set_title(row["set"]), row["stratum"], row["metric"], row["boxes"]]
            cells.append(f"{row['n']}")
            cells += [_cell(row["arms"].get(arm)) for arm in table["arms"]]
            lines.append(_line(cells + [_gain(row["differences"].get(arm)) for arm in others]))
        lines.append("")
    if table["left_out"]:
        lines += [left_out_text(table["left_out"]), ""]
    lines.append(
        f"95 % intervals from {DRAWS:,} draws over groups; p-values two-sided, corrected after "
        f"Holm for all {table['comparisons']} differences of this comparison."
    )
    return "\n".join(lines) + "\n"


def _main_markdown(table: dict[str, Any]) -> list[str]:
    """The main table: one row an arm."""
    main, arms = table["main"], table["arms"]
    heads = ["arm", "seeds", *(column["title"] for column in main["columns"])]
    heads += ["G multiply-adds, 1 picture", "and 8 regions", "training s a step"]
    lines = [_line(heads), _line(["---"] * len(heads))]
    for arm, runs in arms.items():
        cells = [f"{arm} (reference)" if arm == table["reference"] else arm, f"{len(runs)}"]
        cells += [_main_cell(column["cells"].get(arm)) for column in main["columns"]]
        found = costs(runs)
        cells += [giga(found["picture"]), giga(found["picture and 8 regions"])]
        cells.append("·" if found["seconds"] is None else f"{found['seconds']:.2f}")
        lines.append(_line(cells))
    lines += [
        "",
        "Each cell: mean over seeds ± their standard deviation [95 % interval over groups and "
        f"seeds]; then the paired difference to {table['reference']} (p after Holm over the "
        f"{main['comparisons']} differences of this table).",
        "",
    ]
    if table["missing"]:
        lines += [missing_text(table["missing"]), ""]
    return lines


def _main_cell(found: dict[str, Any] | None) -> str:
    if found is None:
        return "·"
    spread = "" if found["spread"] is None else f" ± {short(found['spread'])}"
    text = f"{number(found['value'])}{spread} [{short(found['low'])}, {short(found['high'])}]"
    difference = found.get("difference")
    if difference is None:
        return text
    gain = f"{signed(difference['value'])} ({p_text(difference['p_holm'])})"
    return f"{text}; " + (f"**{gain}**" if difference["p_holm"] < SURE else gain)


def costs(runs: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    """Of an arm, the means over its seeds: multiply-adds and training seconds a step.

    None where they are not known, as of stored vectors and of models that were not trained here.
    """
    found: dict[str, float | None] = {}
    for name in ("picture", "picture and 8 regions"):
        counts = [run["multiply_adds"][name] for run in runs if run.get("multiply_adds")]
        found[name] = sum(counts) / len(counts) if counts else None
    seconds = [run["seconds_a_step"] for run in runs if run.get("seconds_a_step") is not None]
    found["seconds"] = sum(seconds) / len(seconds) if seconds else None
    return found


def missing_text(names: Sequence[str]) -> str:
    """One sentence on the runs that are not finished yet; "" for none."""
    return f"Not finished yet, so not counted: {', '.join(names)}." if names else ""


def left_out_text(keys: Sequence[dict[str, str]]) -> str:
    """One sentence on lines that could not be compared, each task with its sets; "" for none."""
    sets: dict[str, dict[str, None]] = {}
    for key in keys:
        sets.setdefault(key["task"].replace("_", " "), {})[key["set"]] = None
    named = "; ".join(f"{task} on {', '.join(names)}" for task, names in sets.items())
    if not named:
        return ""
    return (
        f"Left out: {named}: the arms were asked different galleries or labels, because different "
        "pictures were dropped for leakage."
    )


def number(value: float) -> str:
    """Three digits after the point, a true minus sign."""
    return f"{value:.3f}".replace("-", "−")


def short(value: float) -> str:
    """As number, without the 0 before the point."""
    return number(value).replace("0.", ".", 1)


def giga(count: float | None) -> str:
    """A count in thousand millions, two digits after the point."""
    return "·" if count is None else f"{count / 1e9:.2f}"


def signed(value: float) -> str:
    """As number, with a plus where it gains."""
    return f"{value:+.3f}".replace("-", "−")


def p_text(value: float) -> str:
    """A p-value for reading: never an exact zero."""
    return "< .001" if value < 0.001 else f"{value:.3f}".removeprefix("0")


def title(name: str) -> str:
    """A task's or metric's name as words."""
    words = name.replace("_", " ")
    return words[:1].upper() + words[1:]


def _set_title(name: str) -> str:
    return SET_TITLES.get(name, name)


def _tasks(rows: Sequence[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    tasks: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        tasks.setdefault(row["task"], []).append(row)
    return list(tasks.items())


def _findings(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The differences that are more than luck after correction, the largest first."""
    found = [
        {"row": row, "arm": arm, **difference}
        for row in rows
        for arm, difference in row["differences"].items()
        if difference["p_holm"] < SURE
    ]
    return sorted(found, key=lambda one: -abs(one["value"]))


def _curves(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Size curves: for each task, set, metric and source of boxes the points of each arm."""
    found: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        if row["stratum"] in SIZES:
            key = (row["task"], row["set"], row["metric"], row["boxes"])
            found.setdefault(key, []).append(row)
    curves = []
    for (task, name, metric, boxes), sized in found.items():
        sized.sort(key=lambda row: SIZES.index(row["stratum"]))
        if len(sized) < LEAST_SIZES:
            continue
        arms = {arm: [_point(row, row["arms"][arm]) for row in sized] for arm in sized[0]["arms"]}
        ticks = [{"x": _x(row["stratum"]), "size": row["stratum"], "n": row["n"]} for row in sized]
        words = {"task": title(task), "set": _set_title(name), "metric": metric, "boxes": boxes}
        usual = boxes == ("given" if task == GROUPED else "none")
        curves.append(
            {**words, "mean": is_mean(name), "usual": usual, "arms": arms, "ticks": ticks}
        )
    means = any(curve["mean"] for curve in curves)  # of one set there is none
    return [{**curve, "first": curve["usual"] and curve["mean"] == means} for curve in curves]


def _point(row: dict[str, Any], found: dict[str, float]) -> dict[str, float]:
    heights = {end: CURVE_HEIGHT * (1 - found[end]) for end in ("value", "low", "high")}
    return {"x": _x(row["stratum"]), **{end: round(y, 1) for end, y in heights.items()}}


def _x(size: str) -> float:
    return round(CURVE_WIDTH * (SIZES.index(size) + 0.5) / len(SIZES), 1)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _cell(found: dict[str, float] | None) -> str:
    if found is None:
        return "·"
    return f"{number(found['value'])} [{number(found['low'])}, {number(found['high'])}]"


def _gain(found: dict[str, float] | None) -> str:
    if found is None:
        return "·"
    ends = f"[{signed(found['low'])}, {signed(found['high'])}]"
    text = f"{signed(found['value'])} {ends} ({p_text(found['p_holm'])})"
    return f"**{text}**" if found["p_holm"] < SURE else text
