"""HTML pages from templates; text from outside is escaped."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from shared.console import visible

STYLE = Path(__file__).with_suffix(".css")
"""How all pages look: on phones, in the dark and on paper."""


def page_environment(templates: Path) -> jinja2.Environment:
    """A jinja2 environment that escapes HTML and control characters, and refuses undefined names.

    ``style`` is the CSS of all pages, for phones, for the dark and for paper.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
    )
    environment.globals["style"] = Markup(STYLE.read_text(encoding="utf-8"))
    environment.filters["breakable"] = breakable
    return environment


def breakable(name: str) -> Markup:
    """A long name, escaped, that may be broken after its signs and not in the middle of a word."""
    return Markup("<wbr>").join(re.findall(r"[^_./\-]*[_./\-]*", visible(name)))


def _shown(value: Any) -> Any:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
