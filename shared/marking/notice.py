"""A notice to people: a label in a corner of pictures that says they are synthetic, and tones before a sound."""

from __future__ import annotations

import cv2
import numpy as np

NOTICE = "AI - SYNTHETIC"
_SHARE = 0.05  # height of the label over that of the picture
_LEAST_PX = 12
_WIDEST = 0.6
_TONES_HZ = (660.0, 880.0, 1320.0)
_TONE_SECONDS, _REST_SECONDS, _FADE_SECONDS = 0.18, 0.3, 0.01
_TONE_PEAK = 0.25


def with_notice(image: np.ndarray, text: str = NOTICE) -> np.ndarray:
    """A copy of an (H, W, 3) uint8 RGB picture with a dark label and light text in its lower left corner."""
    height, width = image.shape[:2]
    tall = max(_LEAST_PX, round(height * _SHARE))
    (wide, letter), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 1.0, 1)
    size = min(0.6 * tall / letter, _WIDEST * width / wide)
    margin = max(2, round(tall * 0.3))
    right = min(width, round(wide * size) + 2 * margin)
    labelled = image.copy()
    top = max(0, height - tall)
    labelled[top:, :right] = labelled[top:, :right] // 4
    baseline = (margin, height - max(2, round((tall - letter * size) / 2)))
    thickness = max(1, round(size * 1.5))
    cv2.putText(labelled, text, baseline, cv2.FONT_HERSHEY_SIMPLEX, size, (255, 255, 255), thickness, cv2.LINE_AA)
    return labelled


def with_tones(sound: np.ndarray, rate: int) -> np.ndarray:
    """A copy of an (N, channels) float32 sound with three rising tones and a rest before it, 0.84 s in all.

    Tones say that something about the sound is to be known, in every language; what it is has to be written where the
    sound is offered.
    """
    time = np.arange(round(_TONE_SECONDS * rate)) / rate
    fade = np.minimum(1.0, np.minimum(time, time[-1] - time) / _FADE_SECONDS)
    tones = [_TONE_PEAK * fade * np.sin(2 * np.pi * hertz * time) for hertz in _TONES_HZ]
    before = np.concatenate([*tones, np.zeros(round(_REST_SECONDS * rate))]).astype(np.float32)
    return np.concatenate([np.repeat(before[:, None], sound.shape[1], axis=1), sound])
