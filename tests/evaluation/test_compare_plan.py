"""A plan is read as written, or refused in one sentence that names what to change."""

from pathlib import Path

import pytest

from regionmed.errors import UsageError
from regionmed.evaluation.compare_plan import Plan, given, read_plan, trained
from regionmed.evaluation.tasks import TASKS

GOOD = """\
corpora: [{here}]
split: val
arms:
  ours: [runs/a, runs/b]
  plain: "open_clip:RN50"
  roi: {recipe: roi, seeds: 2}
reference: plain
"""


def test_a_plan_of_seeds_and_single_models(tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text(GOOD.replace("{here}", str(tmp_path)))
    arms = {
        "ours": given("ours", "runs/a", "runs/b"),
        "plain": given("plain", "open_clip:RN50"),
        "roi": trained("roi", "roi", 0, 1),
    }
    assert read_plan(file) == Plan((tmp_path,), "val", arms, "plain", TASKS, ())
    file.write_text(GOOD.replace("{here}", str(tmp_path)).replace("split: val\n", ""))
    assert read_plan(file).split == "test"


def test_seeds_may_be_listed_and_tasks_chosen(tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    more = "tasks: [grounding, regions]\nshow: [hands]\n"
    file.write_text(
        GOOD.replace("{here}", str(tmp_path)).replace("seeds: 2", "seeds: [7, 3]") + more
    )
    plan = read_plan(file)
    assert [run.name for run in plan.arms["roi"]] == ["roi-7", "roi-3"]
    assert (plan.tasks, plan.show) == (("regions", "grounding"), ("hands",))


def test_the_first_seed_of_every_arm_comes_before_the_second_of_any(tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text(GOOD.replace("{here}", str(tmp_path)).replace("seeds: 2", "seeds: [7, 3, 5]"))
    names = [run.name for run in read_plan(file).in_turn()]
    assert names == ["ours-0", "plain-0", "roi-7", "ours-1", "roi-3", "roi-5"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("reference: plain\n", "", "lacks 'reference'"),
        ("split: val", "splits: val", "unknown key 'splits'"),
        ("split: val", "split: exam", "'exam' is no split"),
        ("reference: plain", "reference: theirs", "'theirs' is no arm"),
        ("  plain:", "  ours:", "'ours' is given twice"),
        ("runs/b", "runs/a", "stands in arm 'ours' and again in 'ours'"),
        ("[runs/a, runs/b]", "[]", "arm 'ours' must be a model"),
        ("  ours:", "  ../ours:", "becomes a folder"),
        ("arms:\n", "arms: {a: b}\nshow:\n", "two arms or more"),
        ("corpora: [", "corpora: [missing, ", "folder missing is not there"),
        ("corpora: [{here}]", "corpora: here", "must be a list"),
        ("arms:", "arms: [", "not YAML as needed"),
        ("reference: plain", "reference: [plain]", "'['plain']' is no arm"),
        ("split: val", "split: [val]", "'['val']' is no split"),
        ("  ours: [", "  {ours}: [", "a key must be one word"),
        ("  ours: [", "  ? [ours, theirs]\n  : [", "a key must be one word"),
        ("arms:\n", "arms: {{a}}\nplan:\n", "a key must be one word"),
        ("split: val", "tasks: [regions, dancing]", "'dancing' is no task"),
        ("split: val", "tasks: regions", "'regions' is no task"),
        ("split: val", "tasks: []", "'[]' is no task"),
        ("split: val", "show: chests", "show must be a list"),
        ("seeds: 2", "seeds: 0", "the seeds of arm 'roi' must be"),
        ("seeds: 2", "seeds: [0, -1]", "the seeds of arm 'roi' must be"),
        ("seeds: 2", "seeds: true", "the seeds of arm 'roi' must be"),
        ("seeds: 2", "steps: 2", "needs recipe and seeds and nothing else"),
        ("seeds: 2", "seeds: [1, 1]", "stands in arm 'roi' and again in 'roi'"),
    ],
)
def test_a_malformed_plan_is_one_sentence(tmp_path: Path, old: str, new: str, said: str) -> None:
    file = tmp_path / "plan.yaml"
    assert old in GOOD
    file.write_text(GOOD.replace(old, new).replace("{here}", str(tmp_path)))
    with pytest.raises(UsageError) as caught:
        read_plan(file)
    assert said in str(caught.value)
    assert "plan.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_plan_that_is_not_there_or_empty_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a file of text"):
        read_plan(tmp_path / "none.yaml")
    (tmp_path / "empty.yaml").write_text("")
    with pytest.raises(UsageError, match="holds no keys"):
        read_plan(tmp_path / "empty.yaml")
