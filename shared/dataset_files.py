"""The files of one clip: which they are, and whether they are the ones that its record means."""

from __future__ import annotations

import dataclasses
from pathlib import Path, PurePosixPath

from shared.errors import ManifestError
from shared.storage import inside, sha256_file
from shared.types import ClipRecord


def files_of(record: ClipRecord) -> tuple[str, ...]:
    """Paths, inside the dataset, of a clip's video, its masks, and the manifest that may lie beside the video."""
    masks = record.masks.paths.values() if record.masks else ()
    return (record.path, *masks, str(PurePosixPath(record.path).with_suffix(".c2pa")))


def with_digests(folder: Path, record: ClipRecord) -> ClipRecord:
    """``record`` with the digests of its masks filled in, after all its files were found to be the ones it means.

    Raises:
        ManifestError: a file is missing, lies outside ``folder``, or has other bytes.
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


def _digest(folder: Path, record: ClipRecord, relative: str, wanted: str | None) -> str:
    path = inside(folder, relative)
    if not path.is_file():
        raise ManifestError(f"{record.id}: {path} is missing", hint="put the file in place, then add the clip")
    found = sha256_file(path)
    if wanted is not None and found != wanted:
        raise ManifestError(f"{record.id}: {path} is not the file the record means", hint="hash it after it was signed")
    return found
