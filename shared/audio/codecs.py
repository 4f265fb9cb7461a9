"""A sound as it is after a codec, a telephone line, fewer bits or a lower rate: same length, same times."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.signal import butter, sosfiltfilt

from shared.audio.rates import change_rate
from shared.audio.reading import read_sound
from shared.audio.sound import Sound, limited
from shared.audio.writing import write_sound
from shared.errors import UnknownNameError
from shared.registry import near_matches

_TAIL_SECONDS = 0.3
_PHONE_HZ = (300.0, 3400.0)


@dataclass(frozen=True)
class CodecUse:
    """How a codec is used.

    Attributes:
        suffix: of the file.
        codec: FFmpeg's name, None for the suffix's own.
        bit_rate: bits a second, 0 where the codec has only one.
        rate: samples a second in the file, 0 for those of the sound.
        telephone: whether the sound first passes the band of a telephone, 300 to 3,400 Hz.
    """

    suffix: str
    codec: str | None = None
    bit_rate: int = 0
    rate: int = 0
    telephone: bool = False


CODECS: dict[str, CodecUse] = {
    "none": CodecUse(".wav"),
    "mp3-32k": CodecUse(".mp3", bit_rate=32_000),
    "mp3-64k": CodecUse(".mp3", bit_rate=64_000),
    "mp3-128k": CodecUse(".mp3", bit_rate=128_000),
    "aac-32k": CodecUse(".m4a", bit_rate=32_000),
    "aac-64k": CodecUse(".m4a", bit_rate=64_000),
    "opus-16k": CodecUse(".opus", bit_rate=16_000),
    "opus-32k": CodecUse(".opus", bit_rate=32_000),
    "g711-mulaw": CodecUse(".wav", "pcm_mulaw", rate=8_000, telephone=True),
    "g711-alaw": CodecUse(".wav", "pcm_alaw", rate=8_000, telephone=True),
}
"""All codecs by name."""


def through_codec(sound: Sound, name: str) -> Sound:
    """The sound, encoded by a codec of :data:`CODECS` and decoded, at its own rate and length.

    Raises:
        UnknownNameError: no such codec.
        MediaError: the codec cannot hold the sound's rate.
    """
    use = CODECS.get(name)
    if use is None:
        raise UnknownNameError(f"no codec is named {name!r}", hint=near_matches(name, list(CODECS)))
    if name == "none":
        return sound
    samples = telephone_band(sound.samples, sound.rate) if use.telephone else sound.samples
    rate = use.rate or sound.rate
    # The tail keeps the encoder's last, padded block away from the end of the sound.
    tailed = np.pad(samples, (0, round(_TAIL_SECONDS * sound.rate)), mode="reflect" if len(samples) > 1 else "constant")
    given = Sound(limited(change_rate(tailed, sound.rate, rate)), rate)
    with tempfile.TemporaryDirectory(prefix="assay-codec-") as scratch:
        path = Path(scratch) / f"sound{use.suffix}"
        write_sound(path, given, codec=use.codec, bit_rate=use.bit_rate or 64_000)
        back = read_sound(path, rate=sound.rate).samples
    return replace(sound, samples=_fitted(back, len(sound)))


def telephone_band(samples: np.ndarray, rate: int) -> np.ndarray:
    """The band of a telephone, 300 to 3,400 Hz, without a shift in time."""
    high = min(_PHONE_HZ[1], 0.45 * rate)
    filters = butter(4, (_PHONE_HZ[0], high), "bandpass", fs=rate, output="sos")
    return limited(sosfiltfilt(filters, samples, padlen=min(len(samples) - 1, 200)))


def with_rate_history(sound: Sound, rate: int) -> Sound:
    """The sound after a stay at another rate: what is above half of that rate is gone."""
    if rate >= sound.rate:
        return sound
    back = change_rate(change_rate(sound.samples, sound.rate, rate), rate, sound.rate)
    return replace(sound, samples=_fitted(back, len(sound)))


def with_bits(sound: Sound, bits: int, rng: np.random.Generator) -> Sound:
    """The sound in ``bits`` bits, with triangular dither, so that the error is a steady noise.

    Raises:
        ValueError: fewer than 4 or more than 24 bits.
    """
    if not 4 <= bits <= 24:
        raise ValueError(f"a sample has 4 to 24 bits, got {bits}")
    step = 2.0 ** (1 - bits)
    dither = (rng.random(len(sound)) - rng.random(len(sound))) * step
    return replace(sound, samples=limited(np.round((sound.samples + dither) / step) * step))


def _fitted(samples: np.ndarray, count: int) -> np.ndarray:
    return np.pad(samples[:count], (0, max(0, count - len(samples)))).astype(np.float32)
