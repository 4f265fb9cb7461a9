"""The detector that comes with the package, known by the name ``assay`` wherever a detector is asked for.

Its folder is a detector's (see :mod:`detect.models.checkpoint`), with calibration and model card beside the weights.
``python -m benchmarks detector`` makes it. Imports no torch.
"""

from __future__ import annotations

from pathlib import Path

from shared.errors import CheckpointError

SHIPPED = "assay"
"""What commands and functions call it. A folder of that name is given with its own folder: ``runs/assay``."""

SHIPPED_FOLDER = Path(__file__).parent / "weights" / SHIPPED
"""Where it is."""

_DESCRIPTION = "config.json"


def has_shipped() -> bool:
    """Whether the package has a detector."""
    return (SHIPPED_FOLDER / _DESCRIPTION).is_file()


def is_shipped(detector: str | Path) -> bool:
    """Whether ``detector`` names the one in the package."""
    return str(detector) == SHIPPED


def shipped_folder() -> Path:
    """The folder of the detector in the package.

    Raises:
        CheckpointError: the package has none.
    """
    if not has_shipped():
        raise CheckpointError(
            "no detector comes with this package",
            hint="train one with assay detect train, and name its run or folder in place of assay",
        )
    return SHIPPED_FOLDER


def resolved_folder(detector: str | Path) -> Path:
    """The path of ``detector``; for the name ``assay`` that of the one in the package.

    Raises:
        CheckpointError: it names the one in the package, and there is none.
    """
    return shipped_folder() if is_shipped(detector) else Path(detector)


def default_detector() -> Path:
    """What a command uses where no detector is named.

    Raises:
        CheckpointError: the package has none.
    """
    shipped_folder()
    return Path(SHIPPED)
