"""Writes ``docs/cli.md``, the reference of the command line, from the program itself.

``make docs`` runs it; ``make lint`` runs it with ``--check``, which ends with 1 where the page is not what the program
says. The page follows from the help texts alone: not from the terminal, the machine or the version of Typer.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.text import Text
from typer.main import get_command

from shared.cli import build_app

PAGE = Path(__file__).with_name("cli.md")
_LINE = 140
_COMMON = ("--help", "--install-completion", "--show-completion")
_HEAD = """# The command line

*Written by `make docs` from the help texts of the program: change those, not this page.*

`assay COMMAND --help` shows the same. `assay --json COMMAND ...` prints the result as one JSON document;
`assay -q COMMAND ...` prints warnings and errors only. A command ends with 0 when it is done, 1 when it failed,
2 when it was called wrongly, and 130 when it was interrupted.
"""
_FOOT = "[All pages](README.md) · next: [The glossary](glossary.md)\n"


def render() -> str:
    """The page."""
    commands = list(_leaves(get_command(build_app()), "assay"))
    lines = [_HEAD, "| command | what it does |", "|---|---|"]
    lines += [f"| [`{name}`](#{name.replace(' ', '-')}) | {_cell(_paragraphs(each)[0])} |" for name, each in commands]
    return "\n".join([*lines, "", *(_section(name, each) for name, each in commands), _FOOT])


def _leaves(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Every command that does something, with the words that call it, in alphabetical order."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name, command
        return
    for word in sorted(inner):
        if not inner[word].hidden:
            yield from _leaves(inner[word], f"{name} {word}")


def _section(name: str, command: Any) -> str:
    """One command: what it does, examples, usage, arguments and options."""
    paragraphs = _paragraphs(command)
    examples = [each.removeprefix("Example:").strip() for each in paragraphs if each.startswith("Example:")]
    prose = [textwrap.fill(_escaped(each), _LINE) for each in paragraphs if not each.startswith("Example:")]
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option" and not _left_out(each)]
    usage = " ".join([name, *(_argument(each) for each in arguments), *(["[OPTIONS]"] if options else [])])
    parts = [f"## {name}", *prose, "```\n" + "\n".join([usage, *(["", *examples] if examples else [])]) + "\n```"]
    rows = [f"| `{_argument(each)}` | {_cell(each.help or '')} | {_default(each)} |" for each in arguments]
    rows += [f"| {_names(each)} | {_cell(each.help or '')} | {_default(each)} |" for each in options]
    if rows:
        parts.append("\n".join(["| | what it is | default |", "|---|---|---|", *rows]))
    return "\n\n".join(parts) + "\n"


def _paragraphs(command: Any) -> list[str]:
    """The help text, a line a paragraph, without Rich's markup."""
    text = Text.from_markup(command.help or "").plain
    return [" ".join(each.split()) for each in re.split(r"\n\s*\n", text.strip())]


def _left_out(option: Any) -> bool:
    return option.hidden or option.opts[0] in _COMMON


def _argument(argument: Any) -> str:
    return argument.name.upper() + ("..." if argument.nargs == -1 else "")


def _names(option: Any) -> str:
    return " / ".join(f"`{each}`" for each in sorted(option.opts, reverse=True) + option.secondary_opts)


def _default(parameter: Any) -> str:
    """What holds when it is not given, as the program shows it; empty for nothing and for a flag."""
    if parameter.required:
        return "**required**"
    shown = parameter.show_default
    if isinstance(shown, str):
        return _cell(shown)
    if not shown or parameter.default is None or getattr(parameter, "is_flag", False):
        return ""
    values = parameter.default if isinstance(parameter.default, (list, tuple)) else [parameter.default]
    return _cell(", ".join(each.as_posix() if isinstance(each, Path) else str(each) for each in values))


def _cell(text: str) -> str:
    return _escaped(" ".join(Text.from_markup(text).plain.split())).replace("|", "\\|")


def _escaped(text: str) -> str:
    return re.sub(r"([*<])", r"\\\1", text)


def main() -> None:
    """Writes the page, or with ``--check`` looks whether it is there as it would be written."""
    page = render()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(page, encoding="utf-8")
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != page:
        sys.exit(f"{PAGE.name} is not what the program says: run make docs, and commit docs/{PAGE.name}")


if __name__ == "__main__":
    main()
