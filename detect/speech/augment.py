"""Random changes of a sound in training: level, line, noise, room, band, companding; never by label.

After RawBoost (Tak et al., 2022), whose linear and noise parts these resemble, with a room and a telephone beside them.
Real and fake sounds go through the same changes with the same chances, so that nothing of them tells the classes apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.signal import butter, fftconvolve, firwin2, sosfilt

from detect.speech.contract import RATE
from shared.audio.rooms import in_room
from shared.audio.sound import Sound, limited
from shared.errors import ConfigError

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class AugmentConfig:
    """Chance of each change, 0 to 1.

    Attributes:
        line: a smooth frequency response of up to 8 dB.
        noise: white to pink noise, 10 to 40 dB below the speech.
        room: a room with a reverberation time of 0.1 to 0.6 s.
        band: only frequencies below 3 to 7.5 kHz.
        companding: 8-bit mu-law at 8 or 16 kHz.
        clipping: peaks cut off.
    """

    line: float = 0.5
    noise: float = 0.5
    room: float = 0.3
    band: float = 0.3
    companding: float = 0.15
    clipping: float = 0.1

    def __post_init__(self) -> None:
        for name in ("line", "noise", "room", "band", "companding", "clipping"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"augment.{name} is a chance from 0 to 1", hint="leave it out for the default")


def augmented(samples: np.ndarray, config: AugmentConfig, rng: np.random.Generator) -> np.ndarray:
    """(N,) float32: ``samples`` after random changes, at a random level of -36 to -14 dB, within [-1, 1]."""
    steps: tuple[tuple[float, Change], ...] = (
        (config.room, _room),
        (config.line, _line),
        (config.noise, _noise),
        (config.band, _band),
        (config.clipping, _clipped),
    )
    found = np.asarray(samples, np.float64)
    for chance, change in steps:
        if rng.random() < chance:
            found = change(found, rng)
    found = at_level(found, float(rng.uniform(-36, -14)))
    if rng.random() < config.companding:
        found = _companded(found, rng)
    return np.clip(found, -1, 1).astype(np.float32)


def at_level(samples: np.ndarray, level_db: float) -> np.ndarray:
    """``samples`` at a root mean square of ``level_db`` below full scale; silence stays silent."""
    rms = float(np.sqrt(np.mean(np.square(samples))))
    return samples * (10 ** (level_db / 20) / rms) if rms > 1e-9 else samples


def _line(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    points = np.linspace(0, 1, 9)
    gains = 10 ** (np.convolve(rng.uniform(-12, 12, 11), np.ones(3) / 3, mode="valid") / 20)
    return fftconvolve(samples, firwin2(65, points, gains), mode="same")


def _noise(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    spectrum = np.fft.rfft(rng.normal(size=len(samples)))
    tilt = float(rng.uniform(0, 0.5))
    spectrum *= np.maximum(np.arange(len(spectrum)), 20.0) ** -tilt
    noise = np.fft.irfft(spectrum, len(samples))
    wanted = float(np.sqrt(np.mean(samples**2))) * 10 ** (-float(rng.uniform(10, 40)) / 20)
    return samples + noise * (wanted / max(float(noise.std()), 1e-12))


def _room(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    seconds, direct_db = float(rng.uniform(0.1, 0.6)), float(rng.uniform(-3, 12))
    return in_room(Sound(limited(samples), RATE), seconds, direct_db, rng).samples.astype(np.float64)


def _band(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.asarray(sosfilt(butter(8, float(rng.uniform(3000, 7500)), fs=RATE, output="sos"), samples))


def _clipped(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    limit = float(np.quantile(np.abs(samples), rng.uniform(0.97, 0.999)))
    return np.clip(samples, -limit, limit) if limit > 0 else samples


def _companded(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if rng.random() < 0.5:
        samples = np.asarray(sosfilt(butter(8, 3400, fs=RATE, output="sos"), samples))
    bent = np.sign(samples) * np.log1p(255 * np.minimum(np.abs(samples), 1)) / np.log(256)
    coarse = np.round(bent * 127) / 127
    return np.sign(coarse) * (256 ** np.abs(coarse) - 1) / 255
