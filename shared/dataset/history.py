"""The newest seal of each dataset that this user has seen, to detect that an older one was put back.

Kept in ``seals.json`` in the user's config folder, by the set's path, for the sets seen last.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from shared.console import console
from shared.dataset.seal import Seal
from shared.errors import ProvenanceError, StorageError
from shared.home import config_home
from shared.storage import folder_lock, read_json, write_bytes

_KEPT = 4096
_MAX_BYTES = 16 << 20


class SeenSeal(msgspec.Struct, frozen=True):
    """A seal: path of the set, series, number in the series, and SHA-256 of its file."""

    path: str
    series: str
    number: int
    sha256: str


def remember_seal(folder: Path, seal: Seal) -> None:
    """Stores ``seal`` as the newest of the dataset in ``folder``; a failure to write is a warning."""
    seen = SeenSeal(str(folder.resolve()), seal.series, seal.number, seal.sha256)
    if not seal.series or last_seen(folder) == seen:
        return
    try:
        with folder_lock(config_home() / ".seals.lock"):
            kept = [old for old in seen_seals() if old.path != seen.path][1 - _KEPT :]
            write_bytes(_path(), msgspec.json.encode([*kept, seen]))
    except StorageError as error:
        console.warn(f"{error}; an older seal put back in {folder} would not be noticed")


def last_seen(folder: Path) -> SeenSeal | None:
    """The newest seal seen in ``folder``; None if there is none.

    Raises:
        ProvenanceError: the list of seals is damaged.
    """
    place = str(folder.resolve())
    return next((seen for seen in reversed(seen_seals()) if seen.path == place), None)


def is_rolled_back(folder: Path, seal: Seal) -> bool:
    """Whether ``seal`` is older than one seen in ``folder`` before, or a different one with the same number.

    Raises:
        ProvenanceError: the list of seals is damaged.
    """
    seen = last_seen(folder)
    if seen is None or seal.series not in ("", seen.series):
        return False
    return seal.number < seen.number or (seal.number == seen.number and seal.sha256 != seen.sha256)


def newer_elsewhere(folder: Path, seal: Seal) -> SeenSeal | None:
    """A newer seal of the same series seen in another folder, of which this set is an older copy; else None.

    Raises:
        ProvenanceError: the list of seals is damaged.
    """
    place = str(folder.resolve())
    newer = (one for one in seen_seals() if one.series == seal.series != "" and one.number > seal.number)
    return next((one for one in newer if one.path != place), None)


def seen_seals() -> list[SeenSeal]:
    """All stored seals, the latest last.

    Raises:
        ProvenanceError: the list is damaged.
    """
    path = _path()
    if not path.exists():
        return []
    return read_json(path, list[SeenSeal], _MAX_BYTES, error=ProvenanceError, hint="move it away; it is made anew")


def _path() -> Path:
    return config_home() / "seals.json"
