"""A filter of the crop before it is enlarged into the frame, so that reduced again it is the crop that was made.

A pixel of a crop is the mean of an area of the frame, and a swapper learns such means. A cubic kernel takes them for
point samples: enlarged and averaged again, the finest detail of a crop keeps .625 of its amplitude along each axis. The
filter is the inverse of that, as in generalised interpolation (Unser, "Sampling: 50 Years After Shannon", 2000): it is
fixed by the two kernels, adds nothing that is not in the crop, and leaves a flat area as it is.
"""

from __future__ import annotations

import cv2
import numpy as np

from shared.faces.align import scale_of

CUBIC_MEANS = (0.8515625, 0.09375, -0.01953125)
"""Means over a pixel, one apart, of OpenCV's cubic kernel (a = -0.75), from the middle outwards."""

_TAPS = 8
_WHOLE, _NONE = 0.5, 1.0


def inverse_of_means(taps: int = _TAPS) -> np.ndarray:
    """(2 ``taps`` + 1,) float32: the filter that undoes :data:`CUBIC_MEANS` along one axis; its sum is 1."""
    size = 8 * taps
    line = np.zeros(size)
    for place, value in enumerate(CUBIC_MEANS):
        line[place] = line[-place] = value
    inverse = np.fft.ifft(1 / np.fft.fft(line)).real
    kernel = np.concatenate([inverse[-taps:], inverse[: taps + 1]])
    return (kernel / kernel.sum()).astype(np.float32)


_INVERSE = inverse_of_means()


def prefiltered(crop: np.ndarray, frame_to_crop: np.ndarray) -> np.ndarray:
    """``crop`` (S, S, 3) float32, of any range, for a cubic warp into the frame; values may exceed that range.

    All of the filter is used where the frame has two pixels or more for one of the crop, none where it has one or
    fewer, and a share in between, so that a face that changes its size does so without a step.
    """
    share = float(np.clip((_NONE - scale_of(frame_to_crop)) / (_NONE - _WHOLE), 0.0, 1.0))
    if share == 0:
        return crop
    sharp = cv2.sepFilter2D(crop, cv2.CV_32F, _INVERSE, _INVERSE, borderType=cv2.BORDER_REFLECT)
    return sharp if share == 1 else crop + np.float32(share) * (sharp - crop)
