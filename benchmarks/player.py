"""Time until the page's server has a frame ready: stepping through a clip of 1080p, and jumping in it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from benchmarks.schema import Measurement
from shared.types import Timestamp
from shared.video import Encoding, VideoWriter
from shared.web.frames.clip import OpenClip
from shared.web.frames.shelf import ClipShelf

WIDTH, HEIGHT, RATE = 1920, 1080, 25
_STEPS = 60
_TARGET_MS = 100.0


def write_moving_clip(path: Path, seconds: float, *, seed: int = 0) -> Path:
    """A clip of 1080p in H.264 in which a textured picture moves, so that every frame has to be coded."""
    rng = np.random.default_rng(seed)
    small = cv2.GaussianBlur(rng.integers(0, 255, (HEIGHT // 2 + 80, WIDTH // 2 + 120, 3), np.uint8), (0, 0), 2)
    whole = cv2.normalize(cv2.resize(small, None, fx=2, fy=2), None, 0, 255, cv2.NORM_MINMAX)  # type: ignore[call-overload]
    base = Fraction(1, RATE)
    encoding = Encoding(preset="veryfast")
    with VideoWriter(
        path, width=WIDTH, height=HEIGHT, time_base=base, frame_rate=Fraction(RATE), encoding=encoding
    ) as writer:
        for index in range(round(seconds * RATE)):
            x, y = 2 * (index % 120), index % 160
            writer.write(np.ascontiguousarray(whole[y : y + HEIGHT, x : x + WIDTH]), Timestamp(index, base))
    return path


def measure(clip: Path, work: Path, *, pause_ms: float, seed: int = 0) -> list[Measurement]:
    """Milliseconds for a frame, by kind of step; the key is held with ``pause_ms`` between two frames.

    Raises:
        MediaError: the clip cannot be read, or has fewer than 200 frames.
    """
    shelf = ClipShelf(work)
    try:
        began = time.perf_counter()
        opened = shelf.clip(clip)
        opened.picture(0)
        first = 1e3 * (time.perf_counter() - began)
        while not opened.state().whole:
            time.sleep(0.02)
        indexed = 1e3 * (time.perf_counter() - began)
        count = opened.state().frames
        middle = count // 2
        anywhere = np.random.default_rng(seed).integers(0, count, 20).tolist()
        opened.picture(middle)
        forwards = _walk(opened, range(middle + 1, middle + 1 + _STEPS), pause_ms)
        hasty = _walk(opened, range(middle + 1 + _STEPS, min(count, middle + 1 + 2 * _STEPS)), 0.0)
        opened.picture(middle + _STEPS)
        backwards = _walk(opened, range(middle + _STEPS - 1, middle - 1, -1), pause_ms)
        fresh = _walk(opened, range(middle - 1, max(0, middle - _STEPS), -1), pause_ms)
        jumps = _walk(opened, anywhere, 200.0)
    finally:
        shelf.close()
    return [
        Measurement.of("one frame on", "ms", forwards, better="lower", target=_TARGET_MS),
        Measurement.of("one frame on, without a pause", "ms", hasty, better="lower", target=_TARGET_MS),
        Measurement.of("slowest of the steps on with a pause", "ms", [max(forwards)], better="lower"),
        Measurement.of("one frame back, where one has been", "ms", backwards, better="lower", target=_TARGET_MS),
        Measurement.of("one frame back, further on", "ms", fresh, better="lower", target=_TARGET_MS),
        Measurement.of("jump to any frame", "ms", jumps, better="lower"),
        Measurement.of("first frame of a clip, with the start of the decoder", "ms", [first], better="lower"),
        Measurement.of("index of the whole clip", "ms", [indexed], better="lower", note=f"{count} frames"),
    ]


def _walk(clip: OpenClip, indices: Sequence[int], pause_ms: float) -> list[float]:
    taken = []
    for index in indices:
        began = time.perf_counter()
        clip.picture(index)
        taken.append(1e3 * (time.perf_counter() - began))
        time.sleep(pause_ms / 1e3)
    return taken
