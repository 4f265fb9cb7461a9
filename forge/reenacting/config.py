"""The settings of one re-enactment. Defaults live here and nowhere else; the command line reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from forge.swapping.config import ColorConfig, OutputConfig, SwapConfig, TemporalConfig
from shared.config import need
from shared.faces.pastes.config import HINT, between

Region = Literal["mouth", "brows", "eyes", "tilt"]
REGIONS: tuple[Region, ...] = get_args(Region)
SoundFrom = Literal["target", "driver", "none"]
Motion = Literal["replace", "add"]
_UNTILTED = ("reenact-landmark", "reenact-warp")
FamilyName = Literal["reenact-affine", "reenact-latent", "reenact-landmark", "reenact-warp", "lipsync"]


@dataclass(frozen=True)
class StrengthConfig:
    """How much of the driver's motion each region takes; 1 is all of it."""

    mouth: float = 1.0
    brows: float = 1.0
    eyes: float = 1.0
    tilt: float = 1.0

    def __post_init__(self) -> None:
        for region in REGIONS:
            between(f"strength.{region}", getattr(self, region), 0, 2)


@dataclass(frozen=True)
class ReenactConfig:
    """How a performance is read, transferred and written.

    Convention:
        family: how the driven face is made, see :mod:`forge.reenacting.families`
        regions: what is driven; ``all`` stands for every region
        motion: ``replace`` puts the driver's motion in place of the target's own, ``add`` on top of it
        neutral, target_neutral: index of the frame whose face counts as at rest; None for one that is chosen
        offset_seconds: time in the driver at which the target's first frame is; frames beyond either end of the driver
            are left as they are
        fade_seconds: over which the motion sets in at the begin and ends at the end of what is driven
        max_pose_gap_degrees: frames whose heads differ by more in yaw or pitch are left as they are; a clip in which
            most frames do is refused
        max_tilt_degrees: a larger tilt is cut to it
        sound: whose sound the clip gets; of ``lipsync`` not the target's, which the lips would not fit
        corrections: of all families but ``reenact-latent``: rounds in which landmarks are found in the driven
            frames, and the drive is corrected by what is missing
        segments: half-open frame ranges to drive, ascending and apart; none is the whole clip
        color: of ``reenact-latent``: transfer from the target to the decoded face
        finder, detect_every, min_face_px, face, driver_face, same_distance, temporal, output, batch, device, precision:
            as in :class:`forge.swapping.config.SwapConfig`; ``driver_face`` is the person of the driver
        seed: kept in the record; nothing here is random
    """

    family: FamilyName = "reenact-affine"
    regions: tuple[Region, ...] = ("mouth",)
    motion: Motion = "replace"
    strength: StrengthConfig = field(default_factory=StrengthConfig)
    neutral: int | None = None
    target_neutral: int | None = None
    offset_seconds: float = 0.0
    fade_seconds: float = 0.2
    max_pose_gap_degrees: float = 15.0
    max_tilt_degrees: float = 8.0
    sound: SoundFrom = "target"
    corrections: int = 3
    segments: tuple[tuple[int, int], ...] = ()
    color: ColorConfig = field(default_factory=ColorConfig)
    finder: str = "auto"
    detect_every: int | None = None
    min_face_px: float = 40.0
    face: str = "main"
    driver_face: str = "main"
    same_distance: float | None = None
    temporal: TemporalConfig = field(default_factory=TemporalConfig)
    output: OutputConfig = field(default_factory=OutputConfig)
    batch: int = 16
    device: str = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        need(bool(self.regions), "regions must name one or more", f"of {', '.join(REGIONS)}")
        need(len(set(self.regions)) == len(self.regions), "a region is named twice", f"of {', '.join(REGIONS)}")
        for name in ("neutral", "target_neutral"):
            value = getattr(self, name)
            need(value is None or value >= 0, f"{name} is the index of a frame, from 0", HINT)
        between("offset_seconds", self.offset_seconds, -86_400, 86_400)
        between("fade_seconds", self.fade_seconds, 0, 5)
        between("max_pose_gap_degrees", self.max_pose_gap_degrees, 1, 60)
        between("corrections", self.corrections, 0, 4)
        between("max_tilt_degrees", self.max_tilt_degrees, 0, 20)
        need(self.face.isdecimal() or self.face == "main", "face is main or one number from 0", HINT)
        need(self.driver_face.isdecimal() or self.driver_face == "main", "driver_face is main or one number", HINT)
        latent = self.family == "reenact-latent"
        need(not latent or set(self.regions) in ({"mouth"}, set(REGIONS)), "reenact-latent drives mouth or all", HINT)
        untilted = "tilt" not in self.regions or "tilt" in regions_by(self.family)
        need(untilted, f"{self.family} tilts no head", "mouth, brows and eyes")
        late = self.sound == "driver" and self.offset_seconds < 0
        need(not late, "the driver's sound cannot begin after the clip does", "choose an offset of 0 or more")
        self._check_lipsync()
        affine = self.color.method in ("none", "manual", "average", "mean-std", "reinhard", "lct", "mkl")
        need(affine, f"color.method {self.color.method!r} is none of a re-enactment", "an affine one, such as lct")
        _ = self.finding

    def _check_lipsync(self) -> None:
        if self.family != "lipsync":
            return
        need(self.regions == ("mouth",), "lipsync drives the mouth alone", 'regions = ["mouth"]')
        need(self.sound != "target", "lipsync fits the lips to the driver's sound, not the target's", "driver or none")
        need(self.neutral is None, "a sound has no neutral frame", "leave neutral out")

    @property
    def finding(self) -> SwapConfig:
        """How the target's face is found, as a swap would find it."""
        return SwapConfig(
            finder=self.finder, detect_every=self.detect_every, min_face_px=self.min_face_px, face=self.face,
            same_distance=self.same_distance, segments=self.segments, temporal=self.temporal, output=self.output,
            color=self.color, batch=self.batch, device=self.device, precision=self.precision, seed=self.seed,
        )  # fmt: skip


def regions_by(family: str) -> tuple[Region, ...]:
    """The regions that a family drives, all of them."""
    return tuple(region for region in REGIONS if region != "tilt") if family in _UNTILTED else REGIONS


def completed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """``settings`` with what the family's name stands for.

    ``lipsync`` has the driver's sound if none is named, and ``regions = "all"`` is all that the family drives.
    """
    family, found = settings.get("family", ""), dict(settings)
    if family == "lipsync" and found.get("sound") is None:
        found["sound"] = "driver"
    if found.get("regions") == "all":
        found["regions"] = regions_by(family)
    return found


def regions_of(text: str) -> str | list[str]:
    """The regions in ``text``, names with commas between them, or ``all``; the settings refuse unknown ones."""
    return text if text == "all" else [part.strip() for part in text.split(",")]
