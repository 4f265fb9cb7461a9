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

WITHOUT = "none"
"""What a command is told so that no detector of speech takes part."""

FACTS_NAME = "speech.json"
"""The file of a detector of speech by which its folder is known."""


def has_speech() -> bool:
    """Whether the package has a detector of speech."""
    return (SPEECH_FOLDER / FACTS_NAME).is_file()


def default_speech(place: str | Path | None) -> Path | None:
    """What a command uses as detector of speech: ``place``, None for the word "none", by default the package's own."""
    if place is None:
        return Path(SHIPPED) if has_speech() else None
    return None if str(place) == WITHOUT else Path(place)


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
