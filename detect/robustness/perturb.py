"""Perturbations of videos: the 7 x 5 of DeeperForensics-1.0, and further ones.

Whole frames are changed before faces are found, as in a file that was shared or re-encoded. Types and levels are those
of Jiang et al. (CVPR 2020), taken from their published code. Two of its names are misleading: its "contrast" multiplies
values, which darkens, and its "JPEG" downscales and upscales (here "pixelation"). The further ones are real JPEG,
downscaling by 2 and 4, double H.264, and a lower frame rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from detect.data.degrade import jpeg, rescaled
from shared.video import Encoding

BLOCK_PX = 8
_BLOCK_GREY = 128
_BLOCK_PER_PX = 256
_LUMA_STEPS, _CHROMA_STEPS = 235 - 16, 240 - 16
_CHROMA_CENTRE = 128.0

Group = Literal["DeeperForensics", "more"]


@dataclass(frozen=True)
class Kind:
    """One kind of perturbation.

    Attributes:
        name: in results.
        title: description for readers.
        levels: parameter at each level, from mild to strong.
        group: source of the definition.
    """

    name: str
    title: str
    levels: tuple[float, ...]
    group: Group = "DeeperForensics"


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("saturation", "colour saturation, chroma x", (0.4, 0.3, 0.2, 0.1, 0.0)),
        Kind("contrast", "contrast, values x", (0.85, 0.725, 0.6, 0.475, 0.35)),
        Kind("blocks", "grey 8 x 8 blocks, a 256 px side", (16, 32, 48, 64, 80)),
        Kind("noise", "Gaussian noise in YCbCr, variance", (0.001, 0.002, 0.005, 0.01, 0.05)),
        Kind("blur", "Gaussian blur, kernel px", (7, 9, 13, 17, 21)),
        Kind("pixelation", "pixelation, factor", (2, 3, 4, 5, 6)),
        Kind("h264", "H.264, crf", (30, 32, 35, 38, 40)),
        Kind("jpeg", "JPEG, quality", (95, 80, 65, 50, 30), "more"),
        Kind("resize", "smaller and back, factor", (2, 4), "more"),
        Kind("h264-twice", "H.264 at crf 23, then crf", (28, 35), "more"),
        Kind("frame-rate", "every n-th frame, H.264 at crf 23", (2, 4), "more"),
    )
}
"""All kinds by name, in display order."""


@dataclass(frozen=True, order=True)
class Cell:
    """One kind at one level, counted from 1; level 0 of "clean" is the unperturbed clip."""

    kind: str
    level: int

    def __post_init__(self) -> None:
        known = (self.kind, self.level) == ("clean", 0)
        if not known and (self.kind not in KINDS or not 1 <= self.level <= len(KINDS[self.kind].levels)):
            raise ValueError(f"there is no perturbation {self.kind!r} at level {self.level}")

    @property
    def value(self) -> float | None:
        """The parameter; None for the unperturbed clip."""
        return None if self.kind == "clean" else KINDS[self.kind].levels[self.level - 1]

    def __str__(self) -> str:
        return self.kind if self.level == 0 else f"{self.kind}-{self.level}"


CLEAN = Cell("clean", 0)


def all_cells() -> list[Cell]:
    """The unperturbed clip and every kind at every level, in display order."""
    return [CLEAN, *(Cell(kind.name, n) for kind in KINDS.values() for n in range(1, len(kind.levels) + 1))]


def quick_cells() -> list[Cell]:
    """The unperturbed clip and every kind at its middle level (the stronger of two)."""
    return [CLEAN, *(Cell(kind.name, len(kind.levels) // 2 + 1) for kind in KINDS.values())]


def encodings(cell: Cell) -> tuple[Encoding, ...]:
    """The encoders applied to the whole video, in order; empty for a perturbation of single frames.

    They use FFmpeg's default preset ("medium") and 4:2:0, as the published code does.
    """
    value = cell.value
    match cell.kind:
        case "h264":
            return (Encoding(crf=_whole(value)),)
        case "h264-twice":
            return Encoding(crf=23), Encoding(crf=_whole(value))
        case "frame-rate":
            return (Encoding(crf=23),)
        case _:
            return ()


def keeps_every(cell: Cell) -> int:
    """The interval of the frames that are kept: 1 except for a lower frame rate."""
    return _whole(cell.value) if cell.kind == "frame-rate" else 1


def perturbed(image: np.ndarray, cell: Cell, rng: np.random.Generator) -> np.ndarray:
    """(H, W, 3) uint8 RGB after the frame perturbation of ``cell``; ``image`` itself if it only uses encoders.

    ``image`` is never written to.
    """
    change = _CHANGES.get(cell.kind)
    value = cell.value
    return image if change is None or value is None else change(image, value, rng)


def saturation(image: np.ndarray, factor: float) -> np.ndarray:
    """Chroma of BT.601 YCbCr multiplied by ``factor``: 0 gives grey. Truncated to integers, as published."""
    luma, chroma = _split(image)
    return _joined(luma, _CHROMA_CENTRE + factor * (chroma - _CHROMA_CENTRE))


def contrast(image: np.ndarray, factor: float) -> np.ndarray:
    """Every value multiplied by ``factor`` and truncated to integers: contrast about black, which darkens."""
    return (image.astype(np.float32) * np.float32(factor)).astype(np.uint8)


def blocks(image: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Grey 8 x 8 squares at random positions: ``count`` per full 256 px of the shorter side, at least ``count``.

    The published code gives none to frames below 256 px, which would leave them unperturbed.
    """
    height, width = image.shape[:2]
    done = image.copy()
    if min(height, width) <= BLOCK_PX:
        return done
    number = max(1, min(height, width) // _BLOCK_PER_PX) * count
    tops = rng.integers(0, height - BLOCK_PX, number)
    lefts = rng.integers(0, width - BLOCK_PX, number)
    for top, left in zip(tops.tolist(), lefts.tolist(), strict=True):
        done[top : top + BLOCK_PX, left : left + BLOCK_PX] = _BLOCK_GREY
    return done


def noise(image: np.ndarray, variance: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise of ``variance`` (for values in [0, 1]) on Y, Cb and Cr in limited range (BT.601).

    Limited range is narrower than full range, so one level of noise there is 255/219 of a level in luma.
    """
    luma, chroma = _split(image)
    sampled = rng.standard_normal((*luma.shape, 3), dtype=np.float32) * np.float32(255 * math.sqrt(variance))
    return _joined(luma + sampled[..., 0] * (255 / _LUMA_STEPS), chroma + sampled[..., 1:] * (255 / _CHROMA_STEPS))


def blur(image: np.ndarray, kernel_px: int) -> np.ndarray:
    """Gaussian blur with kernel ``kernel_px`` and a sigma of one sixth of it."""
    return cv2.GaussianBlur(image, (kernel_px, kernel_px), kernel_px / 6)


def pixelation(image: np.ndarray, factor: int) -> np.ndarray:
    """``image`` downscaled by ``factor`` and upscaled again, both bilinear without averaging, as published."""
    height, width = image.shape[:2]
    small = cv2.resize(image, (max(1, width // factor), max(1, height // factor)))
    return cv2.resize(small, (width, height))


def _whole(value: float | None) -> int:
    assert value is not None
    return int(value)


def _split(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(H, W) luma and (H, W, 2) chroma about 128, float32, full range, unrounded."""
    red, green, blue = np.moveaxis(image.astype(np.float32), 2, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    chroma = np.stack([(blue - luma) / 1.772, (red - luma) / 1.402], axis=2) + _CHROMA_CENTRE
    return luma, chroma


def _joined(luma: np.ndarray, chroma: np.ndarray) -> np.ndarray:
    """The inverse of :func:`_split`, truncated to integers in 0 to 255."""
    to_blue, to_red = np.moveaxis(chroma - _CHROMA_CENTRE, 2, 0)
    red, blue = luma + 1.402 * to_red, luma + 1.772 * to_blue
    green = (luma - 0.299 * red - 0.114 * blue) / 0.587
    # float32 rounding may leave a value just below an integer, which truncation would lower by one
    return np.clip(np.stack([red, green, blue], axis=2) + 1e-2, 0, 255).astype(np.uint8)


_Change = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]
_CHANGES: Mapping[str, _Change] = {
    "saturation": lambda image, value, _rng: saturation(image, value),
    "contrast": lambda image, value, _rng: contrast(image, value),
    "blocks": lambda image, value, rng: blocks(image, int(value), rng),
    "noise": noise,
    "blur": lambda image, value, _rng: blur(image, int(value)),
    "pixelation": lambda image, value, _rng: pixelation(image, int(value)),
    "jpeg": lambda image, value, _rng: jpeg(image, int(value)),
    "resize": lambda image, value, _rng: rescaled(image, value),
}
