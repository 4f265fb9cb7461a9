"""``assay docs``: the pages of the documentation, in the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shared.commands.completion import offered
from shared.console import console
from shared.errors import UnknownNameError
from shared.registry import near_matches

_CONTENTS = "README"


def docs(
    page: Annotated[
        str,
        typer.Argument(
            help="Name of a page.",
            show_default="the list of pages",
            autocompletion=offered(lambda: page_names()),
        ),
    ] = _CONTENTS,
) -> None:
    """Shows a page of the documentation, or without a name the list of pages.

    Example: assay docs calibration
    """
    from rich.markdown import Markdown

    text = read_page(page)
    console.print(Markdown(text, hyperlinks=False))
    if page == _CONTENTS:
        console.print(f"\nassay docs NAME shows a page: {', '.join(page_names())}")
    console.result({"page": page, "text": text})


def docs_folder() -> Path:
    """The folder of the pages: inside the package if installed from a wheel, else in the source tree."""
    package = Path(__file__).resolve().parent.parent
    return next((folder for folder in (package / "docs", package.parent / "docs") if folder.is_dir()), package / "docs")


def page_names() -> list[str]:
    """The pages' names, sorted, without the index."""
    return sorted(page.stem for page in docs_folder().glob("*.md") if page.stem != _CONTENTS)


def read_page(name: str) -> str:
    """The text of a page, Markdown.

    Raises:
        UnknownNameError: no page has that name.
    """
    name = name.removeprefix("docs/").removesuffix(".md")
    known = [_CONTENTS, *page_names()]
    if name not in known:
        raise UnknownNameError(f"no page is named {name!r}", hint=near_matches(name, known))
    return (docs_folder() / f"{name}.md").read_text(encoding="utf-8")
