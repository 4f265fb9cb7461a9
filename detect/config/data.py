"""Settings of a detector's training faces: pairs, self-blends, augmentation. All defaults are defined here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from shared.config import need
from shared.errors import ConfigError
from shared.faces.pastes.presets import preset_named

QualityChange = Literal["soft", "sharp", "resampled", "smooth", "restored"]
"""A change of sharpness, see ``detect.data.quality``."""

_COMPRESSIONS = ("p_jpeg", "p_video", "p_reupload", "p_jpeg_twice", "p_webp")
_STRENGTHS = ("brightness", "contrast", "saturation", "blur_sigma_px", "noise_levels")


@dataclass(frozen=True)
class AugmentConfig:
    """Augmentation of training crops, real and fake. ``p_`` is a probability, the others are maximum strengths."""

    p_flip: float = 0.5
    p_affine: float = 0.8
    rotate_degrees: float = 5.0
    scale: float = 0.06
    shift: float = 0.03
    p_color: float = 0.5
    brightness: float = 0.15
    contrast: float = 0.15
    saturation: float = 0.2
    hue_degrees: float = 6.0
    p_blur: float = 0.1
    blur_sigma_px: float = 1.5
    p_downscale: float = 0.2
    downscale: float = 3.0
    p_noise: float = 0.15
    noise_levels: float = 6.0
    p_jpeg: float = 0.25
    jpeg_quality: tuple[int, int] = (40, 98)
    p_video: float = 0.35
    """Probability of H.264 compression; a crop gets at most one of JPEG, H.264 and a re-upload."""
    video_crf: tuple[int, int] = (18, 40)
    p_reupload: float = 0.1
    """Probability of a re-upload: encoding, resizing and encoding again."""
    p_jpeg_twice: float = 0.0
    """Probability of two JPEG compressions whose blocks do not coincide, of qualities in ``jpeg_quality``."""
    p_webp: float = 0.0
    """Probability of WebP compression, of a quality in ``jpeg_quality``."""
    p_quality: float = 0.0
    """Probability of a change of sharpness of the whole crop."""
    p_inner_quality: float = 0.0
    """Probability of a change of sharpness on the inner face alone, as a paste has one; of real crops as of fakes."""
    quality_changes: tuple[QualityChange, ...] = get_args(QualityChange)
    """The changes of sharpness to choose from."""
    p_alike: float = 0.5
    """Probability that both crops of a pair get the same augmentation, so that they differ only by the forgery."""

    def __post_init__(self) -> None:
        for name in (name for name in self.__dataclass_fields__ if name.startswith("p_")):
            need(0 <= getattr(self, name) <= 1, f"{name} is a probability, got {getattr(self, name)}")
        need(
            sum(getattr(self, name) for name in _COMPRESSIONS) <= 1,
            f"{', '.join(_COMPRESSIONS)} are of things that exclude each other: their sum is at most 1",
        )
        need(
            bool(self.quality_changes) and set(self.quality_changes) <= set(get_args(QualityChange)),
            f"quality_changes are some of {', '.join(get_args(QualityChange))}, got {self.quality_changes}",
        )
        low, high = self.jpeg_quality
        need(1 <= low <= high <= 100, f"jpeg_quality must ascend within 1 to 100, got {self.jpeg_quality}")
        low, high = self.video_crf
        need(0 <= low <= high <= 51, f"video_crf must ascend within 0 to 51, got {self.video_crf}")
        need(self.downscale >= 1, f"downscale is a factor of at least 1, got {self.downscale}")
        for name in (*_STRENGTHS, "rotate_degrees", "hue_degrees"):
            value = getattr(self, name)
            need(0 <= value <= 360, f"{name} is a strength of 0 to 360, got {value}")
        need(0 <= self.scale < 0.5 and 0 <= self.shift < 0.5, "scale and shift must lie in [0, 0.5)")


@dataclass(frozen=True)
class MixConfig:
    """Sources of the pairs of a fake and a real face in a batch; see ``detect.data.pairs``."""

    forged: float = 1.0
    """Share of pairs from the dataset's own fakes."""
    blended: float = 0.0
    """Share of pairs made by blending a real face with a changed copy of itself."""
    paired: float = 0.5
    """Share of the forged faces that are paired with a real face of the same person, if possible of the same frame."""
    forged_ratios: tuple[float, ...] = (1.0,)
    """Strengths to sample from: below 1 a forged face is mixed with the real face of its frame, in its region. Of
    single faces that are paired with that face; sequences have full strength."""
    twins: float = 0.5
    """Share of the blended pairs that use a twin (a copy by a swapper's decoder), if the face has one."""
    others: float = 0.0
    """Share of the other blended pairs whose copy is another person's face, warped to the face's landmarks."""
    mouths: float = 0.0
    """Share of the blended pairs whose mouth alone is changed, as by lip-sync tools; copies are twins as often."""
    real_faces: tuple[str, ...] = ()
    """Facesets of real people to blend, in addition to the train split's real clips."""
    twin_faces: tuple[str, ...] = ()
    """Facesets of twins (assay forge redraw) of these real faces."""
    video_share: float | None = None
    """Share of blended faces that come from the real clips and not from ``real_faces``; default by their numbers."""

    def __post_init__(self) -> None:
        for name in ("forged", "blended"):
            need(0 <= getattr(self, name) <= 1000, f"{name} is a share, got {getattr(self, name)}")
        need(self.forged + self.blended > 0, "neither forged nor blended pairs are asked for", "give one a share")
        for name in ("paired", "twins", "others", "mouths"):
            need(0 <= getattr(self, name) <= 1, f"{name} must lie in [0, 1], got {getattr(self, name)}")
        need(
            bool(self.forged_ratios) and all(0 < ratio <= 1 for ratio in self.forged_ratios),
            f"forged_ratios lie in (0, 1], got {self.forged_ratios}",
        )
        need(
            self.video_share is None or 0 <= self.video_share <= 1,
            f"video_share must lie in [0, 1], got {self.video_share}",
        )


@dataclass(frozen=True)
class SelfBlendConfig:
    """Strengths of self-blending, each as a share of the crop's side or of the value range."""

    rgb_shift: float = 20 / 255
    """Maximum shift of each channel, with probability 0.3."""
    hue_shift: float = 0.03
    """Maximum rotation of hue."""
    saturation: float = 0.3
    """Maximum relative change of saturation."""
    brightness: float = 0.1
    """Maximum shift of brightness."""
    contrast: float = 0.1
    """Maximum relative change of contrast."""
    shift_x: float = 0.03
    """Maximum horizontal shift of the blended copy."""
    shift_y: float = 0.015
    """Maximum vertical shift."""
    zoom: float = 0.05
    """Maximum relative change of its size."""
    elastic: float = 0.028
    """Strength of the mask's elastic deformation, a standard deviation (50 x a field smoothed by 7 px at 256 px)."""
    ratios: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)
    """Blend strengths to sample from."""
    pastes: tuple[str, ...] = ()
    """Presets of pasting ("box", "ellipse:reactor", see ``assay forge pastes``). Each blend takes square, warps, mask
    and rounding of a random one, drawn from its ranges, in place of the method's own mask. Empty for none."""

    def __post_init__(self) -> None:
        for name in self.pastes:
            preset_named(name)
        if not self.ratios or not all(0 < ratio <= 1 for ratio in self.ratios):
            raise ConfigError(f"blend ratios lie in (0, 1], got {self.ratios}")
