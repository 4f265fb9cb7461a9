"""Settings of extraction. Imports no large library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from shared.errors import ConfigError
from shared.types import Framing, check_name

MIN_PX, MAX_PX = 16, 2048
"""Smallest and largest side of a crop."""


@dataclass(frozen=True)
class ExtractConfig:
    """Settings of extraction.

    Attributes:
        identity: the person.
        rights: basis on which the faces may be used: consent, public-domain, CC-BY-4.0, synthetic, ...
        finder: see :mod:`shared.faces.finders.finder`; "sidecar" for known landmarks beside every clip.
        device: where the finder's networks run.
        framing: how much of the head a crop shows.
        px: side of a crop.
        every: use every n-th frame.
        detect_every: detect in every n-th of these, follow in between; None for what suits the finder.
        min_face_px: faces with a narrower box are written but not kept.
        max_faces: maximum number of faces in a frame, the largest ones.
        min_sharpness: faces less sharp than this share of the clip's median are written but not kept.
        embed_every: an identity embedding for every n-th face of a track; 0 for none.
        all_people: keep all people, not only the main person.
    """

    identity: str
    rights: str
    finder: str = "auto"
    device: str = "cpu"
    framing: Framing = "whole"
    px: int = 256
    every: int = 1
    detect_every: int | None = None
    min_face_px: float = 48.0
    max_faces: int = 8
    min_sharpness: float = 0.25
    embed_every: int = 50
    all_people: bool = False

    def __post_init__(self) -> None:
        try:
            check_name(self.identity, "identity")
        except ValueError as error:
            raise ConfigError(str(error), hint="for example ann or speaker-07") from error
        if not self.rights.strip() or len(self.rights) > 200:
            raise ConfigError(
                "say on what basis the faces may be used", hint="--rights consent, CC-BY-4.0, public-domain, ..."
            )
        if self.framing not in get_args(Framing):
            raise ConfigError(f"no framing is named {self.framing!r}", hint=", ".join(get_args(Framing)))
        _check_ranges(self)


def _check_ranges(config: ExtractConfig) -> None:
    for name, low, high in (
        ("px", MIN_PX, MAX_PX),
        ("every", 1, 10**6),
        ("detect_every", 1, 10**6),
        ("max_faces", 1, 1000),
        ("min_face_px", 0, 10**5),
        ("min_sharpness", 0, 1),
        ("embed_every", 0, 10**9),
    ):
        value = getattr(config, name)
        if value is not None and not low <= value <= high:
            raise ConfigError(f"{name} must lie in {low} to {high}, got {value}", hint="leave it out for the default")
