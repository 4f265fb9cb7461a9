"""Settings of the validation that chooses a detector's step. All defaults are defined here. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from shared.config import need
from shared.errors import ConfigError
from shared.faces.pastes.presets import preset_named

_MOST_FACES = 1024
_MOST_STRENGTHS = 8


@dataclass(frozen=True)
class ValidationConfig:
    """Grades: fakes of known strength, made from real faces of the val split; see ``detect.data.grades``."""

    grades: bool = True
    """Make grades. Without them only the set's own fakes choose the step."""
    faces: int = 64
    """Maximum number of real faces that grades are made from, spread over people; for detectors of sequences that many
    frames, but at least 16 sequences."""
    strengths: tuple[float, ...] = (1.0, 0.5, 0.25, 0.12)
    """Opacities of the blends, one grade each."""
    pastes: tuple[str, ...] = ()
    """Presets of pasting (see ``assay forge pastes``); default all that ``self_blend.pastes`` does not train with."""
    real_faces: tuple[str, ...] = ()
    """Facesets of real people who are in no other split, in addition to the val split's real clips."""
    twin_faces: tuple[str, ...] = ()
    """Facesets of twins (assay forge redraw) of these faces, for grades of generated faces."""

    def __post_init__(self) -> None:
        for name in self.pastes:
            preset_named(name)
        need(1 <= self.faces <= _MOST_FACES, f"faces must lie between 1 and {_MOST_FACES}, got {self.faces}")
        strengths = self.strengths
        if not all(0 < strength <= 1 for strength in strengths) or len(set(strengths)) != len(strengths):
            raise ConfigError(f"strengths are different numbers in (0, 1], got {strengths}")
        need(
            1 <= len(strengths) <= _MOST_STRENGTHS,
            f"give 1 to {_MOST_STRENGTHS} strengths, got {len(strengths)}",
            "validation.grades = false makes none",
        )
        need(
            not self.twin_faces or bool(self.real_faces),
            "validation has twins (twin_faces) of no faces",
            "give the faces they were made from as validation.real_faces",
        )
