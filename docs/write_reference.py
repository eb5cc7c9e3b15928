"""Write the reference pages that are read off the code: `python docs/write_reference.py`.

docs/reference/commands.md comes from the command line itself. A test compares the page with what
this file would write, so a page is never older than its command.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from typer.main import get_command

from regionmed.cli.main import app

REFERENCE = Path(__file__).parent / "reference"


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
    note = " ".join((parameter.help or "").split())
    if getattr(parameter, "multiple", False):
        note = f"{note} May be repeated.".strip()
    return f"| `{_spelling(parameter)}` | {default} | {note} |"


if __name__ == "__main__":
    (REFERENCE / "commands.md").write_text(commands_page(), encoding="utf-8")
