"""Valid names of clips from arbitrary names of files."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from pathlib import Path

_UNSAFE = re.compile(r"[^A-Za-z0-9._+=-]+")
_EDGES = "-._+="
_LONGEST_TITLE = 400


def safe_name(text: str, *, longest: int = 180) -> str:
    """``text``, such as a file's name, converted to a name that :func:`shared.types.check_name` accepts.

    Accents are dropped and runs of other characters become ``-``. If letters are lost, or the text is longer than
    ``longest`` characters, eight digits of its SHA-256 are appended, so that names stay unique.
    """
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    name = _UNSAFE.sub("-", plain).strip(_EDGES)
    if name and len(name) <= longest and not any(c.isalnum() and not c.isascii() for c in plain):
        return name
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return f"{name[: longest - 9].strip(_EDGES)}-{digest}".strip(_EDGES)


def title_note(file: Path) -> dict[str, str]:
    """The factor "title" with a file's name, if that is not a valid clip name; else empty."""
    title = file.stem.encode("utf-8", "replace").decode()[:_LONGEST_TITLE]
    return {} if safe_name(file.stem) == file.stem else {"title": title}
