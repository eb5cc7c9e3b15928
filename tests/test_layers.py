"""The house's layers: a file imports only from its own folder or from lower ones.

`make check` runs this file. The order stands in docs/architecture.md too, which is held to it here.
"""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import jaxtyping
import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "regionmed"
LAYERS = [
    "errors",
    "geometry progress",
    "record",
    "corpus",
    "batches",
    "model",
    "training",
    "recipes_large",
    "recipes",
    "evaluation search",
    "serve",
    "cli",
]  # low to high; two in one string stay strangers
TOP = LAYERS[-1]
HEIGHT = {room: height for height, rooms in enumerate(LAYERS) for room in rooms.split()}


def imported_modules(tree: ast.Module, package: str) -> Iterator[tuple[int, str]]:
    """Line and full name of everything a module imports, inside functions too.

    `package` is the dotted name of the folder that holds the module. `from a import b` gives a.b,
    since b may be a module.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            start = parents[: len(parents) - node.level + 1] if node.level else []
            origin = ".".join([*start, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{origin}.{alias.name}") for alias in node.names)


def broken_layers(package: Path) -> list[str]:
    """One sentence for each import that climbs, and for each room that LAYERS does not know.

    The package's own __init__.py stands above all layers: it opens the doors for everyone else.
    """
    complaints = []
    for file in sorted(package.rglob("*.py")):
        where = file.relative_to(package)
        room = where.parts[0].removesuffix(".py")
        if room == "__init__":
            continue
        if room not in HEIGHT:
            complaints.append(
                f"{where}: '{room}' has no layer yet; give it one in {Path(__file__).name}"
            )
            continue
        parent = ".".join(["regionmed", *where.parts[:-1]])
        for line, name in imported_modules(ast.parse(file.read_text("utf-8")), parent):
            top, _, rest = name.partition(".")
            target = rest.partition(".")[0]
            if top != "regionmed" or target == room:
                continue
            if target not in HEIGHT:
                if room != TOP:  # what the package opens may come from any room below the top
                    complaints.append(
                        f"{where}:{line} imports '{name}': name the room it comes from; only "
                        f"'{TOP}' may use the package's own doors"
                    )
            elif HEIGHT[target] >= HEIGHT[room]:
                complaints.append(
                    f"{where}:{line} imports '{name}', but '{room}' is layer {HEIGHT[room]}, uses "
                    f"only lower ones, and '{target}' is layer {HEIGHT[target]}: "
                    "move what both need down, or hand it in from above"
                )
    return complaints


def test_every_import_stays_in_its_room_or_goes_down():
    assert broken_layers(PACKAGE) == []


@pytest.mark.parametrize(
    ("room", "line", "climbs_to"),
    [
        ("model", "from regionmed.evaluation import evaluate", "evaluation"),
        ("model", "import regionmed.evaluation.evaluate as judge", "evaluation"),
        ("model", "from ..evaluation import evaluate", "evaluation"),
        ("model", "def late():\n    from regionmed import evaluation", "evaluation"),
        ("search", "from regionmed.evaluation import evaluate", "evaluation"),
    ],
)
def test_a_planted_import_that_climbs_is_named(tmp_path, room, line, climbs_to):
    (tmp_path / "regionmed" / room).mkdir(parents=True)
    (tmp_path / "regionmed" / room / "planted.py").write_text(line + "\n")
    (complaint,) = broken_layers(tmp_path / "regionmed")
    assert complaint.startswith(f"{room}/planted.py:")
    assert f"'{climbs_to}' is layer" in complaint


def test_every_library_that_is_imported_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [lines for name, lines in project["optional-dependencies"].items() if name != "dev"]
    lines = [*project["dependencies"], *(line for extra in extras for line in extra)]
    declared = {re.split(r"[\[<>=]", line)[0].lower().replace("_", "-") for line in lines}
    owners = packages_distributions()
    undeclared = set()
    for file in PACKAGE.rglob("*.py"):
        for _, name in imported_modules(ast.parse(file.read_text("utf-8")), "regionmed.x"):
            top = name.partition(".")[0]
            if top in sys.stdlib_module_names or top == "regionmed":
                continue
            found = {owner.lower().replace("_", "-") for owner in owners.get(top, [top])}
            if not found & declared:
                undeclared.add(f"{file.relative_to(PACKAGE)} imports {top}")
    assert sorted(undeclared) == []


def test_the_layers_are_drawn_as_they_are():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    drawn = page.partition("```layers\n")[2].partition("```")[0].splitlines()
    assert drawn == LAYERS[::-1]


def test_imports_that_go_down_are_welcome(tmp_path):
    (tmp_path / "regionmed" / "model").mkdir(parents=True)
    (tmp_path / "regionmed" / "model" / "fine.py").write_text(
        "import torch\nfrom regionmed.geometry import Box\nfrom regionmed.model import towers\n"
    )
    assert broken_layers(tmp_path / "regionmed") == []


def test_the_package_opens_its_doors_without_torch():
    """`regionmed --help` answers at once: neither the package nor a command's file loads torch."""
    source = "import sys, regionmed.geometry, regionmed.cli.main; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", source], check=False).returncode == 0


def test_a_public_name_without_documentation_fails_the_check(tmp_path):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    bare = tmp_path / "src" / "regionmed" / "model" / "bare.py"
    bare.parent.mkdir(parents=True)
    bare.write_text('"""A module."""\n\n\ndef public() -> int:\n    return 1\n')
    checked = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--no-cache", str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 1
    assert "D103" in checked.stdout


def test_axes_in_a_type_are_checked_while_tests_run():
    """tests/conftest.py hands the tensor rooms to jaxtyping; without that this call would go on."""
    from regionmed.model.roi_pool import roi_align

    one_picture, boxes_of_two = torch.zeros(1, 5, 7, 7), torch.zeros(2, 3, 4)
    with pytest.raises(jaxtyping.TypeCheckError, match="boxes_BR4"):
        roi_align(one_picture, boxes_of_two, bins=3)
