"""Files that are handed in: streamed to disk, bounded, under names of our own."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import shutil
import unicodedata
from collections.abc import AsyncIterator
from pathlib import Path

from shared.console import visible
from shared.errors import MediaError, UsageError
from shared.storage import need_free_space, replacing_folder
from shared.video.container import VIDEO_SUFFIXES
from shared.video.images import SUFFIXES

FACTS = "file.json"
_KNOWN = frozenset({*VIDEO_SUFFIXES, *SUFFIXES, ".gif"})
_SPARE_BYTES = 1 << 30
_MOST_SHOWN = 120


def shown_name(name: str) -> str:
    """The name of a file as it is shown: without control characters, 120 characters at most.

    Raises:
        UsageError: it leads to another folder.
    """
    if re.search(r"[/\\\0]", name) or name.strip() in ("", ".", ".."):
        raise UsageError("the name of the file leads to another folder", hint="hand in the file under a plain name")
    return _shown(name)[:_MOST_SHOWN]


def _shown(name: str) -> str:
    return visible(unicodedata.normalize("NFC", name).strip()).replace("\n", " ").replace("\t", " ")


def stored_name(name: str) -> str:
    """A file name of letters, digits and ``._-`` that is like ``name``, for the report to show.

    Raises:
        UsageError: as :func:`suffix_for`.
    """
    suffix = suffix_for(name)
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", Path(_shown(name)).stem).lstrip("._-")[:80]
    return f"{stem or 'file'}{suffix}"


def suffix_for(name: str) -> str:
    """The suffix under which a file is stored: its own, if it is one of a video or picture.

    Raises:
        UsageError: it is none.
    """
    shown = shown_name(name)  # refuses a name that leads elsewhere
    suffix = Path(_shown(name)).suffix.lower()
    if suffix not in _KNOWN:
        raise UsageError(
            f"{shown} is neither a video nor a picture by its name",
            hint=f"its name ends with one of {', '.join(sorted(_KNOWN))}",
        )
    return suffix


async def store_upload(folder: Path, name: str, declared: int, body: AsyncIterator[bytes]) -> str:
    """Writes ``body`` to a new folder in ``folder``, under :func:`stored_name`; returns the key of that folder.

    Raises:
        UsageError: the name is of no video or picture, or the body is longer or shorter than ``declared``.
        MediaError: it is empty.
        StorageError: the disk has too little room, or writing failed.
    """
    stored = stored_name(name)
    if declared == 0:
        raise MediaError(f"{shown_name(name)} is empty", hint="copy or download it again")
    need_free_space(folder, declared + _SPARE_BYTES)
    key = secrets.token_hex(8)
    with replacing_folder(folder / key, over=False) as draft:
        digest, size = hashlib.sha256(), 0
        with (draft / stored).open("wb") as file:
            async for block in body:
                size += len(block)
                if size > declared:
                    raise UsageError(f"{shown_name(name)} is longer than it was declared", hint="hand it in again")
                digest.update(block)
                file.write(block)
        if size != declared:
            raise UsageError(f"{shown_name(name)} ended after {size:,} of {declared:,} bytes", hint="hand it in again")
        facts = {"name": shown_name(name), "file": stored, "size_bytes": size, "sha256": digest.hexdigest()}
        (draft / FACTS).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return key


def remove_upload(folder: Path, key: str) -> None:
    """Removes a file that was handed in, for which no case was made."""
    shutil.rmtree(folder / key, ignore_errors=True)
