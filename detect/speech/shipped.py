"""The detector of synthetic speech that comes with the package, known by the name ``assay``.

Its folder is one of :mod:`detect.speech.checkpoint`. ``python -m benchmarks speech-detector`` makes it. Imports no
torch.
"""

from __future__ import annotations

from pathlib import Path

from detect.models.shipped import SHIPPED, is_shipped
from shared.errors import CheckpointError

SPEECH_FOLDER = Path(__file__).parent / "weights" / SHIPPED
"""Where it is."""

FACTS_NAME = "speech.json"
"""The file of a detector of speech by which its folder is known."""


def has_speech() -> bool:
    """Whether the package has a detector of speech."""
    return (SPEECH_FOLDER / FACTS_NAME).is_file()


def resolved_speech(place: str | Path) -> Path:
    """The path of a detector of speech; for the name ``assay`` that of the one in the package.

    Raises:
        CheckpointError: it names the one in the package, and there is none.
    """
    if not is_shipped(place):
        return Path(place)
    if not has_speech():
        raise CheckpointError(
            "no detector of speech comes with this package",
            hint="train one with assay detect speech train, and name its run or folder in place of assay",
        )
    return SPEECH_FOLDER
