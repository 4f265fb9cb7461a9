"""The files of a clip, and their check against its record."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path

from shared.dataset.layout import DRIVE_TABLE
from shared.errors import ManifestError
from shared.storage import inside, sha256_file
from shared.types import ClipRecord

# Paths that need a check on the disk, or are refused: absolute, with "..", a backslash or a NUL.
_ODD_PATH = re.compile(r"^/|(^|/)\.\.(/|$)|\\|\x00|^$")


def files_of(record: ClipRecord) -> tuple[str, ...]:
    """Paths, inside the dataset, of a clip's video, masks, drive, and sidecar manifest, which may be missing."""
    masks = record.masks.paths.values() if record.masks else ()
    stem, dot, suffix = record.path.rpartition(".")
    drive = [record.factors[DRIVE_TABLE]] if DRIVE_TABLE in record.factors else ()
    return (record.path, *masks, *drive, f"{stem if dot and '/' not in suffix else record.path}.c2pa")


def need_media(path: Path, record: ClipRecord) -> None:
    """Returns when ``path`` is the video that ``record`` means.

    Raises:
        ManifestError: it is missing, or has other bytes.
    """
    if not path.is_file() or sha256_file(path) != record.sha256:
        raise ManifestError(
            f"{record.id}: {path} is missing or does not match the manifest", hint="assay dataset verify says more"
        )


def with_digests(folder: Path, record: ClipRecord) -> ClipRecord:
    """``record`` with the digests of its masks, after a check of all its files.

    Raises:
        ManifestError: a file is missing, outside ``folder``, or has other bytes.
    """
    _digest(folder, record, record.path, record.sha256)
    if record.masks is None:
        return record
    alpha, changed, region = record.masks.sha256 or (None, None, None)
    digests = (
        _digest(folder, record, record.masks.alpha, alpha),
        _digest(folder, record, record.masks.changed, changed),
        _digest(folder, record, record.masks.region, region),
    )
    return dataclasses.replace(record, masks=dataclasses.replace(record.masks, sha256=digests))


class PresentFiles:
    """The files in a dataset's folder, listed once, which is faster in large sets than a look-up of each path.

    Attributes:
        links: paths of symbolic links to files and folders, which are not followed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._plain: set[str] = set()
        self.links: set[str] = set()
        for place, folders, names in os.walk(folder):
            start = os.path.relpath(place, folder)
            prefix = "" if start == "." else f"{Path(start).as_posix()}/"
            links = {name for name in (*folders, *names) if (Path(place) / name).is_symlink()}
            self.links.update(f"{prefix}{name}" for name in links)
            self._plain.update(f"{prefix}{name}" for name in names if name not in links)

    def find(self, relative: str) -> Path | None:
        """The path of the file; None if it is missing.

        Raises:
            ManifestError: the path leads out of the folder.
        """
        if relative in self._plain:
            return self._folder / relative
        if not self.links and not _ODD_PATH.search(relative):
            return None
        path = inside(self._folder, relative)
        return path if path.is_file() else None

    def under(self, places: tuple[str, ...]) -> list[str]:
        """Paths of all files and links in these folders of the dataset, sorted."""
        starts = tuple(f"{place}/" for place in places)
        return sorted(relative for relative in self._plain | self.links if relative.startswith(starts))


def _digest(folder: Path, record: ClipRecord, relative: str, wanted: str | None) -> str:
    path = inside(folder, relative)
    if not path.is_file():
        raise ManifestError(f"{record.id}: {path} is missing", hint="put the file in place, then add the clip")
    found = sha256_file(path)
    if wanted is not None and found != wanted:
        raise ManifestError(f"{record.id}: {path} does not match the record", hint="hash it after it was signed")
    return found
