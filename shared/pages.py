"""HTML pages from templates; text from outside is escaped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from shared.console import visible


def page_environment(templates: Path) -> jinja2.Environment:
    """A jinja2 environment that escapes HTML and control characters, and refuses undefined names."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
    )


def _shown(value: Any) -> Any:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
