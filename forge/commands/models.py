"""``assay forge models``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forge.commands.options import families
from shared.console import console

if TYPE_CHECKING:
    from forge.models.catalogue import FamilyFacts

_RULE = re.compile(r"=+( +=+)*")


def models(
    name: Annotated[
        str | None,
        typer.Argument(help="A family, to show its options and description.", autocompletion=families),
    ] = None,
) -> None:
    """Lists the families of swappers with sizes, or describes one; parameters are counted for two people.

    Example: assay forge models dfaker
    """
    from forge.models.catalogue import describe
    from forge.models.registry import swappers

    if name is None:
        _show_all([describe(each) for each in swappers.names()])
    else:
        _show_one(describe(name))


def _show_all(families: list[FamilyFacts]) -> None:
    # Short headings, projects without owner: the table fits 80 columns.
    columns = ["name", "in", "out", "framing", "mask", "latent", "params", "source"]
    shown = [
        [
            each.name,
            each.input_px,
            each.output_px,
            each.framing,
            "yes" if each.mask else "no",
            each.latent,
            _millions(each),
            each.source.rpartition("/")[2],
        ]
        for each in families
    ]
    console.table("swappers", columns, shown)
    console.print("in and out are sides in pixels; assay forge models NAME shows the options of one")
    console.result({"models": [_plain(each) for each in families]})


def _show_one(family: FamilyFacts) -> None:
    console.print(_readable(family.about))
    facts = [
        ["input px", family.input_px],
        ["output px", family.output_px],
        ["framing", family.framing],
        ["mask", "yes" if family.mask else "no"],
        ["faces between two people", "yes" if family.can_morph else "no"],
        ["latent", family.latent],
        ["parameters", _millions(family)],
        ["source", family.source],
        ["recipe", family.recipe or "the default"],
    ]
    console.table(f"{family.name} as it is by default", ["what", "value"], facts)
    options = [[name, type(value).__name__, _written(value)] for name, value in family.options.items()]
    console.table("options, as --option NAME=VALUE", ["name", "type", "default"], options)
    console.result({"model": {**_plain(family), "options": dict(family.options), "about": family.about}})


def _readable(about: str) -> str:
    """A module's docstring for a terminal: without markup, a line a paragraph, to be wrapped."""
    text = re.sub(r":\w+:`~?([^`]+)`", r"\1", about).replace("``", "")
    paragraphs = []
    for paragraph in text.split("\n\n"):
        lines = [line for line in paragraph.splitlines() if not _RULE.fullmatch(line)]
        is_table = len(lines) < len(paragraph.splitlines())
        text = "\n".join(lines) if is_table else re.sub(r"\n(?!\* )\s*", " ", paragraph)
        paragraphs.append(text.strip("\n"))
    return "\n\n".join(paragraphs)


def _millions(family: FamilyFacts) -> str:
    return f"{family.parameters / 1e6:.1f} M"


def _written(value: object) -> str:
    """A value as in a settings file."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _plain(family: FamilyFacts) -> dict[str, Any]:
    names = ("name", "input_px", "output_px", "framing", "mask", "can_morph", "latent", "parameters", "source")
    return {**{name: getattr(family, name) for name in names}, "recipe": family.recipe}
