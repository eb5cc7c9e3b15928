"""Write what the pages read off the code: `python docs/write_reference.py`.

reference/commands.md comes from the command line itself, the tables of reference/recipes.md from
the fields of the settings and the comments behind them, the file map of architecture.md from the
first sentence of each file. A test compares the pages with what this file would write, so no page
is older than its code.
"""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

from typer.main import get_command

from regionmed.cli.main import app
from regionmed.model.config import ModelConfig
from regionmed.recipes import RECIPES
from regionmed.training.stages import LOSSES, Recipe, Stage

DOCS = Path(__file__).parent
PACKAGE = DOCS.parent / "src" / "regionmed"
COLUMN = 32  # where the file map's sentences start


def commands_page() -> str:
    """Every command with its arguments and options, as Markdown."""
    lines = [
        "# Commands",
        "",
        "Written by `python docs/write_reference.py`; change the command, not this page.",
        "",
        "Exit status: 0 done, 1 an explained failure (one clear line on standard error), 2 misuse.",
        "Progress bars go to standard error, results to standard output. Boxes are `x0,y0,x1,y1`,",
        "outer edges in pixels of the picture file, counted from its upper left corner.",
    ]
    for path, command in _leaves(get_command(app), ("regionmed",)):
        lines += ["", f"## {' '.join(path)}", "", "```", _usage(path, command), "```", ""]
        lines += [inspect.cleandoc(command.help or ""), ""]
        rows = [_row(parameter) for parameter in command.params if parameter.name != "help"]
        if rows:
            lines += ["| | default | |", "|---|---|---|", *rows]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _leaves(command: Any, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], Any]]:
    children = getattr(command, "commands", None)
    if not children:
        return [(path, command)]
    return [leaf for name, child in children.items() for leaf in _leaves(child, (*path, name))]


def _is_argument(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "argument")


def _usage(path: tuple[str, ...], command: Any) -> str:
    words = list(path)
    for parameter in sorted(command.params, key=lambda parameter: not _is_argument(parameter)):
        if parameter.name == "help":
            continue
        word = _spelling(parameter) + ("..." if parameter.nargs == -1 else "")
        words.append(word if parameter.required else f"[{word}]")
    return " ".join(words)


def _spelling(parameter: Any) -> str:
    if _is_argument(parameter):
        return str(parameter.metavar or parameter.name.upper())
    if parameter.is_flag:
        return " / ".join([parameter.opts[0], *parameter.secondary_opts[:1]])
    return f"{parameter.opts[0]} {parameter.metavar or parameter.name.upper()}"


def _row(parameter: Any) -> str:
    default = "required"
    if not parameter.required:
        absent = parameter.default in (None, False, (), [])
        default = "" if absent else f"`{parameter.default}`"
    note = _cell(parameter.help or "")
    if getattr(parameter, "multiple", False) and "repeated" not in note:
        note = f"{note} May be repeated.".strip()
    return f"| `{_spelling(parameter)}` | {default} | {note} |"


def recipes_page() -> str:
    """docs/reference/recipes.md with the tables that the code gives today."""
    page = (DOCS / "reference" / "recipes.md").read_text(encoding="utf-8")
    recipes = [
        f"| `{name}` | {recipe().steps} | {_cell(recipe.__doc__ or '')} |"
        for name, recipe in RECIPES.items()
    ]
    losses = [f"| `{name}` | {needs} |" for name, needs in LOSSES.items()]
    page = _between(page, "recipes", ["| recipe | steps | |", "|---|---|---|", *recipes])
    page = _between(page, "losses", ["| loss | a corpus must hold |", "|---|---|", *losses])
    for settings in (Recipe, Stage, ModelConfig):
        rows = ["| field | default | meaning |", "|---|---|---|", *_fields(settings)]
        page = _between(page, settings.__name__, rows)
    return page


def _fields(settings: type) -> list[str]:
    """A row a field of a dataclass; its meaning is the comment behind it."""
    lines = inspect.getsource(settings).splitlines()
    rows = []
    for node in ast.parse("\n".join(lines)).body[0].body:  # type: ignore[attr-defined]
        if isinstance(node, ast.AnnAssign):
            default = f"`{ast.unparse(node.value)}`" if node.value else "required"
            comment = lines[node.end_lineno - 1][node.end_col_offset :].strip().removeprefix("#")
            rows.append(f"| `{ast.unparse(node.target)}` | {default} | {_cell(comment)} |")
    return rows


def architecture_page() -> str:
    """docs/architecture.md with the file map that the tree gives today."""
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    drawing = ["```", "src/regionmed/", *_drawn(PACKAGE, depth=1), "```"]
    return _between(page, "files", drawing)


def _between(page: str, name: str, lines: list[str]) -> str:
    """The page with what stands between two marks of a name replaced."""
    start, end = f"<!-- {name}: from the code -->", f"<!-- {name}: end -->"
    before, _, rest = page.partition(start)
    _, _, after = rest.partition(end)
    return "\n".join([before + start, *lines, end + after])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _drawn(folder: Path, depth: int) -> list[str]:
    """One line a file, then each folder below with its own, four spaces a level."""
    lines = []
    for file in sorted(folder.glob("*.py")):
        if file.name != "__init__.py":
            lines.append(_line(depth, file.name, file))
    for child in sorted(folder.iterdir()):
        if (child / "__init__.py").is_file():
            lines.append(_line(depth, f"{child.name}/", child / "__init__.py"))
            lines += _drawn(child, depth + 1)
        elif child.is_dir() and child.name != "__pycache__":
            kinds = sorted({file.suffix for file in child.rglob("*") if file.suffix})
            lines.append(
                " " * 4 * depth + f"{child.name}/".ljust(COLUMN - 4 * depth) + " ".join(kinds)
            )
    return lines


def _line(depth: int, name: str, module: Path) -> str:
    text = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or ""
    paragraph = " ".join(text.partition("\n\n")[0].split())
    sentence = re.split(r"(?<=[a-z)`])\.(?= [A-Z])", paragraph)[0].rstrip(".:")
    return (" " * 4 * depth + name.ljust(COLUMN - 4 * depth) + sentence).rstrip()


PAGES = {
    "reference/commands.md": commands_page,
    "reference/recipes.md": recipes_page,
    "architecture.md": architecture_page,
}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")
