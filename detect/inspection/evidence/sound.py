"""The sound of a file: whether it is there, its energy over time in bands, and where it is voiced."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shared.audio.features import Framing, log_f0, power_spectrogram
from shared.audio.reading import read_sound
from shared.errors import MediaError
from shared.video.clock import clock_origin
from shared.video.container import audio_stream, opened

STEP_SECONDS = 0.02
_RATE = 16_000
_MOST_SECONDS = 600
_BAND_EDGES_HZ = (100, 300, 600, 1000, 1700, 2800, 4500, 7500)
_FLOOR = 1e-9
_VOICED_DB = 30.0


@dataclass(frozen=True)
class SoundFacts:
    """Facts of the sound track.

    Attributes:
        present: whether there is one that can be decoded.
        start_seconds: time of the first sample on the clock of the pictures.
        rate: samples a second as stored.
        channels: number of channels.
        level_db: energy of each step of 20 ms, in dB below full scale, of all channels together; at least -90.
        bands_db: of seven bands from 100 to 7500 Hz, the energy of each step in dB; at least -90.
        voiced: whether each step has a pitch, and at most 30 dB less energy than the loudest steps.
        stopped: why reading ended early; empty if it did not.
    """

    present: bool
    start_seconds: float = 0.0
    rate: int = 0
    channels: int = 0
    level_db: tuple[float, ...] = ()
    bands_db: tuple[tuple[float, ...], ...] = ()
    voiced: tuple[bool, ...] = ()
    stopped: str = ""


def sound_facts(path: Path) -> SoundFacts:
    """The facts of at most ten minutes of the sound of ``path``; gaps between its own times are silent.

    Raises:
        MediaError: the file cannot be read as media.
    """
    with opened(path) as container:
        if audio_stream(container) is None:
            return SoundFacts(False)
        origin = clock_origin(container)
    try:
        sound = read_sound(path, rate=_RATE, seconds=_MOST_SECONDS)
    except MediaError as error:
        return SoundFacts(False, stopped=str(error))
    assert sound.source is not None
    stopped = f"reading stopped {sound.source.stopped}" if sound.source.stopped else ""
    if len(sound) >= _MOST_SECONDS * _RATE:
        stopped = f"only the first {_MOST_SECONDS} s were read"
    levels = _levels(sound.samples)
    return SoundFacts(
        True,
        round(float(sound.start - origin), 4),
        sound.source.rate,
        sound.source.channels,
        levels,
        _bands(sound.samples),
        _voiced(sound.samples, levels),
        stopped,
    )


def _levels(samples: np.ndarray) -> tuple[float, ...]:
    step = int(STEP_SECONDS * _RATE)
    whole = samples[: len(samples) // step * step].reshape(-1, step).astype(np.float64)
    power = (whole**2).mean(1)
    return tuple(round(float(each), 2) for each in 10 * np.log10(np.maximum(power, 1e-9)))


def _bands(samples: np.ndarray) -> tuple[tuple[float, ...], ...]:
    """The bands' energy at the middle of each step."""
    step = int(STEP_SECONDS * _RATE)
    framing = Framing(_RATE, 2 * step, step)
    whole = len(samples) // step * step
    power = power_spectrogram(samples[step // 2 : whole], framing)[: whole // step]
    hertz = np.linspace(0, _RATE / 2, framing.bins)
    bands = itertools.pairwise(_BAND_EDGES_HZ)
    sums = [power[:, (hertz >= low) & (hertz < high)].sum(1) for low, high in bands]
    return tuple(tuple(np.round(10 * np.log10(np.maximum(each, _FLOOR)), 2).tolist()) for each in sums)


def _voiced(samples: np.ndarray, levels: tuple[float, ...]) -> tuple[bool, ...]:
    if not levels:
        return ()
    step = int(STEP_SECONDS * _RATE)
    pitch = log_f0(samples[step // 2 : len(levels) * step], Framing(_RATE, 1024, step))[: len(levels)]
    loud = np.array(levels) >= np.quantile(levels, 0.95) - _VOICED_DB
    return tuple((~np.isnan(pitch) & loud).tolist())
