"""Answers of the page: HTML from templates, JSON, and errors as a sentence with a hint."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from shared.console import visible, visible_json
from shared.errors import AssayError, StorageError, UsageError
from shared.pages import page_environment
from shared.storage import decode_json
from shared.web.guard import MAX_FORM_BYTES, RefusalLog

HERE = Path(__file__).parent


class MissingError(AssayError):
    """What an address of the page names is not there."""


def environment() -> jinja2.Environment:
    """The templates of the page; everything is escaped."""
    found = page_environment(HERE / "templates")
    found.filters["sentence"] = lambda text: text[:1].upper() + text[1:]
    return found


class Pages:
    """Renders the templates of the page.

    Args:
        facts: names that every template may use.
    """

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self._environment = environment()
        self._environment.globals.update(facts)

    def page(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """The page of a template."""
        return HTMLResponse(self._environment.get_template(template).render(**values), status)


def plain(value: object) -> Response:
    """An answer in JSON. Numbers that JSON does not have, infinite ones and NaN, become null."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, default=str)
    except ValueError:
        text = json.dumps(_finite(value), ensure_ascii=False, allow_nan=False, default=str)
    return Response(visible_json(text), media_type="application/json")


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def error_handler(pages: Pages, log: RefusalLog) -> Callable[[Request, Exception], Response]:
    """Turns errors of Assay into answers; each is one line in the log."""

    def answer(request: Request, error: Exception) -> Response:
        assert isinstance(error, AssayError)
        status = 404 if isinstance(error, MissingError) else 400 if isinstance(error, UsageError) else 422
        status = 507 if isinstance(error, StorageError) else status
        log.add(status, request.method, request.url.path, str(error))
        said = {"error": visible(str(error)), "hint": visible(error.hint or "")}
        if "text/html" in request.headers.get("accept", ""):
            return pages.page("error.html.j2", status, room="", **said)
        return JSONResponse(said, status)

    return answer


async def form(request: Request) -> dict[str, Any]:
    """The JSON object that the page sent.

    Raises:
        UsageError: it is larger than declared or than 64 KiB, or no object.
    """
    data = b""
    async for block in request.stream():
        data += block
        if len(data) > MAX_FORM_BYTES:
            raise UsageError("the request is too large", hint="send less at once")
    return decode_json(data or b"{}", dict, "the request", error=UsageError, hint="reload the page")


def text_of(values: Mapping[str, Any], name: str, most: int, *, needed: bool = True) -> str:
    """A text of a form, without surrounding space.

    Raises:
        UsageError: it is missing where it is needed, no text, longer than ``most`` characters, or holds a null
            character or half of a pair of surrogates.
    """
    found = values.get(name, "")
    if not isinstance(found, str) or len(found) > most:
        raise UsageError(f"{name} is a text of at most {most} characters", hint="shorten it")
    if re.search("[\0\ud800-\udfff]", found):
        raise UsageError(f"{name} holds a character that is none", hint="type the text instead of pasting it")
    if needed and not found.strip():
        raise UsageError(f"{name} is empty", hint="fill it in")
    return found.strip()


def number_of(values: Mapping[str, Any], name: str, low: float, high: float) -> float:
    """A number of a form.

    Raises:
        UsageError: it is none, or outside ``low`` to ``high``.
    """
    found = values.get(name)
    if isinstance(found, bool) or not isinstance(found, int | float) or not low <= found <= high:
        raise UsageError(f"{name} is a number from {low:g} to {high:g}", hint="correct it")
    return float(found)
