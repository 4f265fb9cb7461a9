"""Voices of actors: babble whose loudness and vowels follow the jaw."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from shared.actors.actor import Actor
from shared.actors.motion import Track
from shared.video.container import created

SAMPLE_RATE = 44_100
_HARMONICS = 26
_FRAME_SAMPLES = 1024


def babble(actor: Actor, track: Track, frame_rate: Fraction, rng: np.random.Generator) -> np.ndarray:
    """(N,) float32 in [-1, 1] at 44.1 kHz: a hum through two formants, silent while the mouth is shut.

    Args:
        actor: gives the pitch: broad jaws and necks speak lower.
        track: the performance the sound belongs to.
        frame_rate: of the performance.
        rng: for the melody.
    """
    count = int(len(track.speech) * SAMPLE_RATE / frame_rate)
    if count == 0:
        return np.zeros(0, dtype=np.float32)
    seconds = np.arange(count) / SAMPLE_RATE
    ticks = np.arange(len(track.speech)) / float(frame_rate)
    jaw = np.interp(seconds, ticks, track.speech)
    rounding = np.interp(seconds, ticks, [moment.pucker for moment in track.expressions])
    low = 165.0 - 28.0 * (actor.traits.shape.neck_width + actor.traits.shape.jaw_width) * 0.6
    tune = np.interp(
        seconds, np.linspace(0, seconds[-1] + 1e-3, 12 + len(ticks) // 8), rng.normal(0, 1, 12 + len(ticks) // 8)
    )
    pitch = np.clip(low, 85.0, 235.0) * (1 + 0.07 * tune + 0.05 * jaw)
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    first, second = 280.0 + 560.0 * jaw, 1500.0 - 550.0 * rounding
    sound = np.zeros(count)
    for number in range(1, _HARMONICS + 1):
        hertz = number * pitch
        gain = np.exp(-0.5 * ((hertz - first) / 110.0) ** 2) + 0.5 * np.exp(-0.5 * ((hertz - second) / 190.0) ** 2)
        sound += (gain + 0.02) / number**0.6 * np.sin(number * phase)
    loudness = np.clip(jaw * 1.6 - 0.05, 0.0, 1.0) ** 1.2
    sound = sound * loudness
    peak = float(np.abs(sound).max())
    return (0.5 * sound / peak if peak > 1e-6 else sound).astype(np.float32)


def write_sound(path: Path, samples: np.ndarray) -> Path:
    """Writes mono samples (N,) in [-1, 1] at 44.1 kHz as AAC in an .m4a file."""
    with created(path, "mp4", {"fflags": "+bitexact"}) as container:
        stream = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        stream.codec_context.bit_rate = 96_000
        for start in range(0, len(samples), _FRAME_SAMPLES):
            piece = np.ascontiguousarray(samples[None, start : start + _FRAME_SAMPLES], dtype=np.float32)
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, start, Fraction(1, SAMPLE_RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
