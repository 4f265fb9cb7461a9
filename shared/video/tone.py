"""Tone and gamut mapping of HDR and wide gamut to SDR: PQ, HLG, BT.2020 and P3 to BT.709.

Reference white is 203 nits (ITU-R BT.2408), highlights are compressed by the curve of ITU-R BT.2390, and the result is
for a display of gamma 2.4 (BT.1886), like the defaults of mpv and libplacebo.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import cv2
import numpy as np
from av.video.frame import VideoFrame

BT2020_PRIMARIES, _P3_PRIMARIES = 9, 12
_PQ, _HLG = 16, 18

_WHITE_NITS = 203.0
_USUAL_PEAK_NITS = 1000.0
_MOST_NITS = 10_000.0
_GAMMA = 2.4
_STEPS = 1 << 16

# Linear light to BT.709, both with a D65 white.
_TO_BT709 = {
    BT2020_PRIMARIES: ((1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187)),
    _P3_PRIMARIES: ((1.2249, -0.2247, 0.0), (-0.0420, 1.0419, 0.0), (-0.0197, -0.0786, 1.0979)),
}
_BT2020_LUMA = (0.2627, 0.6780, 0.0593)


def is_hdr(frame: VideoFrame) -> bool:
    """Whether the frame's samples follow PQ or HLG."""
    return int(frame.color_trc) in (_PQ, _HLG)


@dataclass(frozen=True, eq=False)
class SdrConverter:
    """Converts pictures of one transfer, gamut and peak brightness to BT.709.

    Attributes:
        transfer, primaries: numbers of ITU-T H.273, as frames carry them.
        peak_nits: peak luminance of the pictures in cd/m2; only for PQ and HLG.
    """

    transfer: int
    primaries: int
    peak_nits: float
    _light: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_light", _light_of(self.transfer))

    def convert(self, image: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint16 full-range RGB to (H, W, 3) uint8 BT.709."""
        light = self._light[image]
        if self.transfer == _HLG:
            luma = light @ np.array(_BT2020_LUMA, np.float32)
            light *= (_USUAL_PEAK_NITS / _WHITE_NITS) * np.power(luma, np.float32(0.2))[..., None]
        if self.transfer in (_PQ, _HLG):
            # One factor for all three channels keeps the hue.
            light *= _roll_off(light.max(axis=2), self.peak_nits)[..., None]
        matrix = _TO_BT709.get(self.primaries)
        if matrix is not None:
            light = cv2.transform(light, np.array(matrix, np.float32))
        # The square root puts the steps where the eye is sensitive.
        return _SHOWN[np.rint(np.sqrt(np.clip(light, 0, 1)) * (_STEPS - 1)).astype(np.uint16)]


def sdr_converter_for(frame: VideoFrame, before: SdrConverter | None = None) -> SdrConverter | None:
    """The converter of ``frame`` to BT.709, None if it is BT.709 already; ``before`` is reused if it fits.

    Files that state HDR or P3 without primaries have those of BT.2020. The peak is that of the first such frame.
    """
    transfer, primaries = int(frame.color_trc), int(frame.color_primaries)
    if transfer in (_PQ, _HLG) and primaries not in _TO_BT709 and primaries != 1:
        primaries = BT2020_PRIMARIES
    if transfer not in (_PQ, _HLG) and primaries not in _TO_BT709:
        return None
    if before is not None and (before.transfer, before.primaries) == (transfer, primaries):
        return before
    return SdrConverter(transfer, primaries, _peak_nits(frame))


def _light_of(transfer: int) -> np.ndarray:
    """Linear light for every sample value, relative to reference white; for HLG, scene light before its gamma."""
    value = np.arange(_STEPS) / (_STEPS - 1)
    if transfer == _PQ:
        return (_pq_nits(value) / _WHITE_NITS).astype(np.float32)
    if transfer == _HLG:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        return np.where(value <= 0.5, value**2 / 3, (np.exp((value - c) / a) + b) / 12).astype(np.float32)
    return (value**_GAMMA).astype(np.float32)


def _pq_nits(value: np.ndarray) -> np.ndarray:
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    root = np.power(np.clip(value, 0, 1), 1 / m2)
    return _MOST_NITS * np.power(np.maximum(root - c1, 0) / (c2 - c3 * root), 1 / m1)


def _pq_value(nits: np.ndarray | float) -> np.ndarray:
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    power = np.power(np.clip(np.asarray(nits) / _MOST_NITS, 0, 1), m1)
    return np.power((c1 + c2 * power) / (1 + c3 * power), m2)


def _roll_off(light: np.ndarray, peak_nits: float) -> np.ndarray:
    """The factor that compresses ``light`` (reference white 1) below 1 by the curve of BT.2390."""
    top = _pq_value(peak_nits)
    white = _pq_value(_WHITE_NITS) / top
    if white >= 1:
        return np.ones_like(light)
    knee = 1.5 * white - 0.5
    value = np.linspace(0, 1, 4096)
    t = np.clip((value - knee) / (1 - knee), 0, 1)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * white
    bent = np.where(value < knee, value, spline)
    before, after = _pq_nits(value * top) / _WHITE_NITS, _pq_nits(bent * top) / _WHITE_NITS
    factor = np.where(before > 1e-4, after / np.maximum(before, 1e-4), 1.0)
    return np.interp(light, before, factor).astype(np.float32)


def _peak_nits(frame: VideoFrame) -> float:
    """Peak luminance (cd/m2) by the file's metadata; 1000 if they state no plausible one."""
    light = frame.side_data.get("CONTENT_LIGHT_LEVEL")
    if light is not None and len(bytes(light)) >= 4:
        (most,) = struct.unpack_from("=I", bytes(light))
        if _WHITE_NITS <= most <= _MOST_NITS:
            return float(most)
    screen = frame.side_data.get("MASTERING_DISPLAY_METADATA")
    if screen is not None and len(bytes(screen)) >= 88:
        # AVMasteringDisplayMetadata: ten fractions of primaries and white, then the least and the most light.
        numerator, denominator, _, has_light = struct.unpack_from("=2i2i", bytes(screen), 72)
        if has_light and denominator > 0 and _WHITE_NITS <= numerator / denominator <= _MOST_NITS:
            return numerator / denominator
    return _USUAL_PEAK_NITS


_SHOWN = np.rint(np.power(np.arange(_STEPS) / (_STEPS - 1), 2 / _GAMMA) * 255).astype(np.uint8)
