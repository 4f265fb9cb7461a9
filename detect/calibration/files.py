"""Paths and strict reading of the JSON files of calibration and validated domain.

In the folder of a detector; for third-party ones, which may be a single file, beside it: ``net.onnx.calibration.json``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from detect.models.checkpoint import detector_folder
from detect.models.external.settings import Reference, parse_reference, settings_beside
from shared.config import digest, from_mapping
from shared.errors import CheckpointError, ConfigError
from shared.storage import read_json

CALIBRATION_NAME = "calibration.json"
VALIDATED_NAME = "validated.json"
PICTURE_NAME = "calibration.png"

T = TypeVar("T")


def beside(detector: str | Path, name: str) -> Path:
    """Path of the file ``name`` of a detector: a run, a detector folder, or a reference.

    Raises:
        CheckpointError: no detector there.
        UsageError: the reference does not exist.
    """
    reference = parse_reference(detector)
    if reference is None:
        return detector_folder(Path(detector)) / name
    if reference.path.is_dir():
        return reference.path / name
    return reference.path.with_name(f"{reference.path.name}.{name}")


def detector_mark(reference: Reference | None, weights_sha256: str) -> str:
    """The mark that ties a calibration to a detector: its weights and, for third-party ones, the settings of logits."""
    if reference is None:
        return weights_sha256
    settings = {**settings_beside(reference.path), **reference.options}
    return digest({"weights": weights_sha256, "settings": settings}) if settings else weights_sha256


def read_document(
    path: Path,
    kind: type[T],
    *,
    known: tuple[int, ...],
    max_bytes: int,
    numbered: bool = True,
    present: Callable[[dict[str, Any]], dict[str, Any]] = dict,
) -> T | None:
    """The value of type ``kind`` in a JSON file with the entry "format"; None if there is no such file.

    Args:
        path: of the file.
        kind: a frozen dataclass.
        known: the supported formats, the current one last.
        max_bytes: a larger file is refused.
        numbered: False if older files without a format exist; they are ignored.
        present: makes a document of a known format one of the current shape.

    Raises:
        CheckpointError: it is too large, damaged, holds an unknown entry, or is of another format.
    """
    if not path.is_file():
        return None
    again = "fit it again with assay detect calibrate"
    document = read_json(path, dict, max_bytes, error=CheckpointError, hint=again)
    if "format" not in document and not numbered:
        return None
    if document.get("format") not in known:
        raise CheckpointError(f"{path} has format {document.get('format')!r}, not {known[-1]}", hint="update assay")
    try:
        return from_mapping(kind, present(document), where=path.name)
    except ConfigError as error:
        raise CheckpointError(f"{path} is damaged: {error}", hint=again) from error
