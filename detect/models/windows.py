"""Windows of a track's faces, for detectors of sequences."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

_MOTION_RATE = 25


def window(count: int, centre: int, frames: int, stride: int = 1) -> np.ndarray:
    """(``frames``,) ascending indices below ``count``, every ``stride``-th, centred on ``centre`` as far as possible.

    The stride is reduced where the track is too short; a track with fewer faces than ``frames`` gives all of them,
    evenly repeated.

    Raises:
        ValueError: there is no face.
    """
    if count < 1:
        raise ValueError("a window needs a face")
    if count < frames:
        return np.rint(np.linspace(0, count - 1, frames)).astype(np.int64)
    step = max(1, min(stride, (count - 1) // max(1, frames - 1)))
    span = (frames - 1) * step
    first = min(max(centre - span // 2, 0), count - 1 - span)
    return first + step * np.arange(frames, dtype=np.int64)


def windows_of(tracks: np.ndarray, frames: int) -> np.ndarray:
    """(N, ``frames``) indices: for each face the window of its track around it.

    ``tracks`` (N,) are the track numbers of faces in order of time; a face without a track (below 0) is repeated.
    """
    rows = np.repeat(np.arange(len(tracks))[:, None], frames, 1)
    for track in np.unique(tracks[tracks >= 0]):
        own = np.flatnonzero(tracks == track)
        for place, row in enumerate(own):
            rows[row] = own[window(len(own), place, frames)]
    return rows


def unbroken(tracks: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """(N,) tracks, numbered anew, that end where a face is missing; faces without a track stay below 0.

    ``frames`` (N,) are the frames of the faces, ascending in each track. More than one and a half times the usual
    distance of a track's frames is a gap.
    """
    found = np.full(len(tracks), -1, np.int64)
    number = 0
    for track in np.unique(tracks[tracks >= 0]):
        own = np.flatnonzero(tracks == track)
        steps = np.diff(frames[own])
        gaps = steps > 1.5 * np.median(steps) if steps.size else np.zeros(0, bool)
        found[own] = number + np.concatenate([[0], np.cumsum(gaps)])
        number = int(found[own[-1]]) + 1
    return found


def motion_step(rate: Fraction | None) -> int:
    """Every how many frames a face's motion is read, so that it is near 25 times a second; 1 for an unknown rate."""
    return 1 if rate is None else max(1, round(rate / _MOTION_RATE))


def consecutive_frames(total: int, count: int, rate: Fraction | None) -> range:
    """``count`` frames about the middle of a clip of ``total``, or all, every n-th at high frame rates."""
    step = motion_step(rate)
    span = min(total, count * step)
    first = (total - span) // 2
    return range(first, first + span, step)
