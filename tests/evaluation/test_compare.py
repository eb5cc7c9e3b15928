"""Arms on the same items: rows and pages from outcomes, and the whole way from two models."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from bs4 import BeautifulSoup

from regionmed.corpus.shards import Corpus
from regionmed.errors import UsageError
from regionmed.evaluation.compare import compare
from regionmed.evaluation.compare_main import main_table
from regionmed.evaluation.compare_page import comparison_html, comparison_markdown, p_text
from regionmed.evaluation.compare_plan import Plan, given
from regionmed.evaluation.compare_table import MEAN, Row, comparison_rows, left_out
from regionmed.evaluation.outcomes import Outcomes
from regionmed.evaluation.significance import holm
from regionmed.model.region_clip import RegionClip

SIZES = ("tiny", "small", "medium", "large")


def answers(skill: float, seed: int, name: str = "chests", number: int = 80) -> Outcomes:
    """Hits of a model of this skill: two regions a patient, two labels, four sizes."""
    luck = np.random.default_rng(seed).random(number)
    return Outcomes(
        task="region_classification",
        set=name,
        metric="macro_accuracy",
        items=tuple(f"{name}/{i}#0" for i in range(number)),
        groups=tuple(f"patient {i // 2}" for i in range(number)),
        columns=tuple("ab"[i % 2] for i in range(number)),
        strata=tuple((SIZES[i % 4],) for i in range(number)),
        values_N=(luck < skill).astype(float),
    )


def row(rows: list[Row], name: str, stratum: str = "all") -> Row:
    (found,) = [one for one in rows if (one.key[1], one.stratum) == (name, stratum)]
    return found


def test_a_row_is_the_macro_means_and_their_paired_difference() -> None:
    first, second = answers(0.9, 0), answers(0.5, 1)
    found = row(comparison_rows({"plain": [[second]], "ours": [[first]]}, "plain"), "chests")
    by_hand = [
        np.mean([one.values_N[0::2].mean(), one.values_N[1::2].mean()]) for one in (first, second)
    ]
    assert found.arms["ours"].value == pytest.approx(by_hand[0])
    assert found.arms["plain"].value == pytest.approx(by_hand[1])
    assert found.differences["ours"].value == pytest.approx(by_hand[0] - by_hand[1])
    assert (found.n, found.groups, found.dropped) == (80, 40, 0)


def test_an_item_that_one_arm_lacks_counts_for_none_and_order_does_not_matter() -> None:
    whole, other = answers(0.7, 0), answers(0.6, 1)
    order = np.random.default_rng(2).permutation(80)[:70]
    lacking = replace(
        other,
        items=tuple(other.items[i] for i in order),
        groups=tuple(other.groups[i] for i in order),
        columns=tuple(other.columns[i] for i in order),
        strata=tuple(other.strata[i] for i in order),
        values_N=other.values_N[order],
    )
    found = row(comparison_rows({"plain": [[whole]], "ours": [[lacking]]}, "plain"), "chests")
    kept = np.sort(order)
    by_hand = [whole.values_N[kept[kept % 2 == label]].mean() for label in (0, 1)]
    assert found.arms["plain"].value == pytest.approx(np.mean(by_hand))
    assert (found.n, found.dropped) == (70, 10)


def test_a_mean_weighs_sets_the_same_and_sizes_weigh_set_and_label_the_same() -> None:
    sets = {"chests": 80, "hands": 24}
    arms = {
        name: [[answers(skill, seed + i, one, n) for i, (one, n) in enumerate(sets.items())]]
        for name, skill, seed in (("plain", 0.5, 0), ("ours", 0.8, 5))
    }
    rows = comparison_rows(arms, "plain")
    each = [row(rows, one).differences["ours"].value for one in sets]
    assert row(rows, MEAN).differences["ours"].value == pytest.approx(np.mean(each))
    tiny = [
        one.values_N[[i for i in range(len(one.items)) if i % 4 == 0 and one.columns[i] == "a"]]
        for one in arms["ours"][0]
    ]
    assert row(rows, MEAN, "tiny").arms["ours"].value == pytest.approx(
        np.mean([values.mean() for values in tiny])
    )
    assert rows[0].key[1] == MEAN


def test_p_values_are_corrected_for_every_difference_of_the_table() -> None:
    arms = {
        "plain": [[answers(0.5, 0)]],
        "ours": [[answers(0.9, 1)], [answers(0.85, 2)]],
        "half": [[answers(0.6, 3)]],
    }
    rows = comparison_rows(arms, "plain")
    plain = [d.p_value for one in rows for d in one.differences.values()]
    corrected = [one.corrected[arm] for one in rows for arm in one.differences]
    assert len(plain) == 2 * 5
    assert corrected == pytest.approx(holm(plain))


def test_seeds_enter_a_mean_over_sets_on_the_mean() -> None:
    """Seeds that differ alike on every set: averaging sets does not average them away."""
    sets = ("chests", "hands", "feet")
    seeds = [[answers(skill, 7, one) for one in sets] for skill in (0.3, 0.9)]
    rows = comparison_rows(
        {"plain": [[answers(0.5, 0, one) for one in sets]], "ours": seeds}, "plain"
    )
    values = [np.mean([one.values_N.mean() for one in outcomes]) for outcomes in seeds]
    assert row(rows, MEAN).arms["ours"].spread ** 2 >= np.var(values, ddof=1) / 2


def test_kinds_of_sets_have_means_of_their_own_where_they_are_not_all() -> None:
    sets = ("chests", "hands", "feet")
    arms = {
        name: [[answers(skill, seed + i, one) for i, one in enumerate(sets)]]
        for name, skill, seed in (("plain", 0.5, 0), ("ours", 0.8, 5))
    }
    groups = {"mean:several-labels": ["hands", "feet"], "mean:one-label": ["chests", *sets]}
    rows = comparison_rows(arms, "plain", groups)
    each = [row(rows, one).arms["ours"].value for one in ("hands", "feet")]
    assert row(rows, "mean:several-labels").arms["ours"].value == pytest.approx(np.mean(each))
    assert [one.key[1] for one in rows[:6]] == [MEAN] * 5 + ["mean:several-labels"]
    assert "mean:one-label" not in {one.key[1] for one in rows}


def test_every_row_says_what_each_seed_earned() -> None:
    seeds = [[answers(skill, 7)] for skill in (0.3, 0.9)]
    found = row(comparison_rows({"plain": [[answers(0.5, 0)]], "ours": seeds}, "plain"), "chests")
    by_hand = [np.mean([one.values_N[0::2].mean(), one.values_N[1::2].mean()]) for (one,) in seeds]
    assert found.seeds["ours"] == pytest.approx(by_hand)
    assert found.arms["ours"].value == pytest.approx(np.mean(by_hand))


def test_nothing_to_pair_gives_no_rows() -> None:
    other = replace(answers(0.5, 0), set="hands")
    assert comparison_rows({"plain": [[answers(0.5, 0)]], "ours": [[other]]}, "plain") == []


def without(one: Outcomes, rows: set[int]) -> Outcomes:
    """The same answers, but for some that were never asked."""
    kept = [i for i in range(len(one.items)) if i not in rows]
    return replace(
        one,
        items=tuple(one.items[i] for i in kept),
        groups=tuple(one.groups[i] for i in kept),
        columns=tuple(one.columns[i] for i in kept),
        strata=tuple(one.strata[i] for i in kept),
        values_N=one.values_N[kept],
    )


@pytest.mark.parametrize(
    ("task", "metric"),
    [
        ("retrieval", "recall@1 image-to-text"),
        ("region_retrieval", "recall@1 region-to-region"),
        ("prompt_classification", "macro_auroc"),
    ],
)
def test_the_same_model_in_a_smaller_gallery_is_left_out_not_compared(
    task: str, metric: str
) -> None:
    whole = replace(answers(0.5, 0), task=task, metric=metric)
    arms = {"plain": [[whole]], "ours": [[without(whole, {3})]]}
    assert comparison_rows(arms, "plain") == []
    assert left_out(arms, "plain") == [(task, "chests", metric, "given")]
    alike = {"plain": [[whole]], "ours": [[replace(whole)]]}
    assert row(comparison_rows(alike, "plain"), "chests").n == 80
    assert left_out(alike, "plain") == []


def test_labels_that_competed_in_one_arm_alone_are_left_out() -> None:
    whole = answers(0.5, 0)
    fewer = without(whole, set(range(1, 80, 2)))  # none of label "b"
    arms = {"plain": [[whole, replace(whole, set="hands")]], "ours": [[fewer]]}
    assert comparison_rows(arms, "plain") == []
    # what the other arm was never asked at all is not said to be left out
    assert left_out(arms, "plain") == [("region_classification", "chests", whole.metric, "given")]


@pytest.fixture
def table() -> dict[str, object]:
    arms = {"plain": [[answers(0.4, 0)]], "ours <b>": [[answers(0.95, 1)], [answers(0.9, 2)]]}
    rows = comparison_rows(arms, "plain")
    seed = {
        "seed": 0,
        "model": "runs/a",
        "weights": "ab" * 32,
        "multiply_adds": {"picture": 400_000_000, "picture and 8 regions": 470_000_000},
        "steps": 100,
        "seconds_a_step": 1.25,
        "leakage": ["chests: none known"],
    }
    return {
        "split": "val",
        "tasks": ["regions"],
        "corpora": [{"name": "kit", "fingerprint": "cd" * 32}],
        "reference": "plain",
        "arms": {name: [seed] * len(seeds) for name, seeds in arms.items()},
        "comparisons": len(rows),
        "left_out": [],
        "missing": [],
        "main": main_table(rows, "plain", ()),
        "rows": [one.as_json() for one in rows],
    }


def test_the_page_stands_alone_and_holds_every_number(table: dict[str, object]) -> None:
    page = BeautifulSoup(comparison_html(table), "html.parser")
    assert not page.find_all(["script", "link", "img"])
    assert "url(" not in page.decode()
    assert page.find("h1").text == "ours <b> against plain"
    assert len(page.find_all("polyline")) == 2  # one size curve of two arms
    text = page.find_all("tbody")[-1].text  # those before are the main table
    for found in table["rows"]:
        assert f"{found['arms']['plain']['value']:.3f}" in text
        assert f"{found['differences']['ours <b>']['value']:+.3f}".replace("-", "−") in text


def test_the_markdown_is_one_table_a_task_with_sure_differences_in_bold(
    table: dict[str, object],
) -> None:
    lines = comparison_markdown(table).splitlines()
    rows = [line for line in lines if line.startswith("| chests")]
    assert len(rows) == len(table["rows"])
    assert rows[0].endswith("(< .001)** |")
    for heading, number in (("# ours", 2 + 5 + 3), ("## Region", 5 + 2 + 1)):
        own = lines[[line.startswith(heading) for line in lines].index(True) :][2:]
        own = own[: own.index("")]
        assert {line.count("|") for line in own} == {number + 1}


def test_what_was_left_out_is_one_sentence_of_page_and_markdown(table: dict[str, object]) -> None:
    assert "Left out" not in comparison_html(table) + comparison_markdown(table)
    keys = [("retrieval", "chests", "recall@1"), ("retrieval", "chests", "recall@5")]
    left = [{"task": task, "set": name, "metric": k, "boxes": "none"} for task, name, k in keys]
    said = (
        "Left out: retrieval on chests: the arms were asked different galleries or labels, because "
        "different pictures were dropped for leakage."
    )
    for text in (comparison_html, comparison_markdown):
        assert text({**table, "left_out": left}).count(said) == 1


def test_a_p_is_never_printed_as_zero() -> None:
    assert (p_text(0.0), p_text(0.0307), p_text(1.0)) == ("< .001", ".031", "1.000")


@pytest.fixture(scope="module")
def models() -> dict[str, RegionClip]:
    """Two untrained tiny models of different seeds, by name."""
    from regionmed.model.config import TINY

    made = {}
    for seed, name in enumerate(("one", "two")):
        torch.manual_seed(seed)
        model = RegionClip(replace(TINY, image_size=96))
        model.name, model.fingerprint = name, str(seed) * 64
        model.training_pictures = frozenset({f"test{seed}"})
        made[name] = model
    return made


def test_two_models_go_the_whole_way_and_finished_ones_are_not_run_again(
    squares: Corpus, models: dict[str, RegionClip], tmp_path: Path
) -> None:
    arms, tasks = {"a": given("a", "one"), "b": given("b", "two")}, ("regions", "retrieval")
    plan = Plan((squares.folder,), "test", arms, "a", tasks)
    rows = compare(plan, [squares], tmp_path, models.__getitem__).rows
    names = ("comparison.json", "comparison.md", "comparison.html")
    first = {name: (tmp_path / name).read_bytes() for name in names}
    table = json.loads(first["comparison.json"])
    assert len(table["rows"]) == len(rows)
    tasks = {one["task"] for one in table["rows"]}
    assert "retrieval" in {one["task"] for one in table["left_out"]} - tasks
    assert b"Left out: " in first["comparison.md"]
    regions = [one for one in table["rows"] if one["task"] == "region_classification"]
    assert all(one["dropped"] == 2 for one in regions if one["stratum"] == "all")

    kept = tmp_path / "arms" / "a-0" / "report.html"
    kept.write_text("kept")
    (tmp_path / "results" / "b-0.json").unlink()
    (tmp_path / "arms" / "b-0" / "report.html").write_text("half")
    compare(plan, [squares], tmp_path, models.__getitem__)
    assert kept.read_text() == "kept"
    assert (tmp_path / "arms" / "b-0" / "report.html").read_text() != "half"
    assert {name: (tmp_path / name).read_bytes() for name in names} == first


def test_a_file_in_the_way_is_said_before_any_work(
    squares: Corpus, models: dict[str, RegionClip], tmp_path: Path
) -> None:
    (tmp_path / "out").write_text("")
    plan = Plan((squares.folder,), "test", {"a": given("a", "one"), "b": given("b", "two")}, "a")
    with pytest.raises(UsageError, match="is a file"):
        compare(plan, [squares], tmp_path / "out", models.__getitem__)


def test_a_file_in_the_place_of_an_arm_is_said_before_any_work(
    squares: Corpus, tmp_path: Path
) -> None:
    (tmp_path / "arms").mkdir()
    (tmp_path / "arms" / "b-0").write_text("")
    plan = Plan((squares.folder,), "test", {"a": given("a", "one"), "b": given("b", "two")}, "a")
    with pytest.raises(UsageError, match="b-0 is a file where a folder is needed"):
        compare(plan, [squares], tmp_path, {}.__getitem__)


def test_the_same_weights_under_two_names_are_refused(
    squares: Corpus, models: dict[str, RegionClip], tmp_path: Path
) -> None:
    arms = {"a": given("a", "one"), "b": given("b", "copy")}
    plan = Plan((squares.folder,), "test", arms, "a", ("regions",))
    twice = {"one": models["one"], "copy": models["one"]}
    with pytest.raises(UsageError, match=r"one and copy \(arm 'b'\) are the same weights"):
        compare(plan, [squares], tmp_path, twice.__getitem__)
