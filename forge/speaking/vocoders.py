"""Vocoded twins: a recording taken apart and put together again, with the same words at the same times.

The twin says what the recording says, in the same voice and room; only the waveform was made by a vocoder. So a
detector trained on pairs learns the vocoder, not the words, the speaker or the microphone. (Vocoded speech as training
data: Wang and Yamagishi, ICASSP 2023.)
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

from shared.audio.sound import Sound, limited
from shared.errors import SpeechError, UsageError
from shared.registry import Registry

if TYPE_CHECKING:
    from forge.speaking.vocoding.checkpoint import VocoderModel

Vocoder = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]
"""(N,) float64 samples, their rate and chance to (M,) float64 samples, M about N."""

vocoders: Registry[Vocoder] = Registry("vocoder")
"""All vocoders by name. A factory takes ``model``, the trained one, or None."""

TRAINED = "istft"
"""The vocoder that is trained here, see :mod:`forge.speaking.vocoding`."""

_MELS = 80
_WINDOW_SECONDS = 0.064
_HOP_SECONDS = 0.016
_ROUNDS = 32
_MOMENTUM = 0.99
_WORLD_MILLISECONDS = 5.0


def vocoded(sound: Sound, name: str, *, seed: int = 0, model: VocoderModel | None = None) -> Sound:
    """The twin of ``sound`` by a vocoder of :data:`vocoders`: as long, as loud, in step with it.

    Args:
        sound: the recording.
        name: of the vocoder.
        seed: of what is random in it.
        model: the trained one, for :data:`TRAINED` alone.

    Raises:
        UnknownNameError: no such vocoder.
        UsageError: a model for one that is not trained, or none for one that is.
        SpeechError: its package is not installed.
    """
    vocoder = vocoders.create(name, model=model)
    made = vocoder(sound.samples.astype(np.float64), sound.rate, np.random.default_rng(seed))
    samples = np.zeros(len(sound))
    count = min(len(made), len(sound))
    samples[:count] = made[:count]
    power, wanted = float(np.mean(samples**2)), float(np.mean(sound.samples.astype(np.float64) ** 2))
    gain = np.sqrt(wanted / power) if power > 0 else 0.0
    return Sound(limited(samples * gain), sound.rate, sound.start)


@vocoders.register("griffin-lim")
def _griffin_lim(model: VocoderModel | None) -> Vocoder:
    """From 80 mel bands: phases by the fast Griffin-Lim algorithm (Perraudin, Balazs and Sondergaard, WASPAA 2013)."""
    _need_no_model("griffin-lim", model)
    return _by_griffin_lim


@vocoders.register("world")
def _world(model: VocoderModel | None) -> Vocoder:
    """WORLD (Morise, Yokomori and Ozawa, 2016): pitch, envelope and aperiodicity, by the package pyworld."""
    _need_no_model("world", model)
    if find_spec("pyworld") is None:
        raise SpeechError("the vocoder world needs the package pyworld", hint="pip install pyworld")
    return _by_world


@vocoders.register(TRAINED)
def _istft(model: VocoderModel | None) -> Vocoder:
    """By a trained network and one inverse Fourier transform, at 16,000 samples a second."""
    from forge.speaking.vocoding.synthesis import twin_by

    if model is None:
        raise UsageError(f"the vocoder {TRAINED} is a trained one: of which run?", hint="assay forge train-vocoder")
    return partial(twin_by, model)


def _need_no_model(name: str, model: VocoderModel | None) -> None:
    if model is not None:
        raise UsageError(f"the vocoder {name} has no run", hint=f"only {TRAINED} is trained")


def available_vocoders() -> list[str]:
    """The names of the vocoders that need no training and whose packages are installed."""
    plain = [name for name in vocoders.names() if name != TRAINED]
    return [name for name in plain if name != "world" or find_spec("pyworld") is not None]


def _by_griffin_lim(samples: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    size, hop = round(_WINDOW_SECONDS * rate), round(_HOP_SECONDS * rate)
    transform = ShortTimeFFT(hann(size, sym=False), hop, rate)
    short = max(0, size - len(samples))
    padded = np.pad(samples, (0, short))
    bands = mel_filters(size, rate)
    # What a mel spectrogram leaves of the magnitudes: each bin gets the mean of the bands over it.
    spread = bands / np.maximum(bands.sum(axis=1, keepdims=True), 1e-9)
    shares = bands / np.maximum(bands.sum(axis=0, keepdims=True), 1e-9)
    magnitude = shares.T @ (spread @ np.abs(transform.stft(padded)))
    made = griffin_lim(
        magnitude,
        np.exp(2j * np.pi * rng.random(magnitude.shape)),
        transform.stft,
        lambda spectrum: transform.istft(spectrum, k1=len(padded)),
        rounds=_ROUNDS,
    )
    return made[: len(samples)]


def griffin_lim(
    magnitude: np.ndarray,
    phase: np.ndarray,
    analysed: Callable[[np.ndarray], np.ndarray],
    put_together: Callable[[np.ndarray], np.ndarray],
    *,
    rounds: int,
) -> np.ndarray:
    """(N,) samples whose Fourier transform has about the given magnitudes, by the fast Griffin-Lim algorithm.

    Perraudin, Balazs and Sondergaard, WASPAA 2013, algorithm 2.

    Args:
        magnitude: (bins, T).
        phase: (bins, T) complex of magnitude 1, to start from.
        analysed: (N,) samples to (bins, T) complex.
        put_together: the inverse.
        rounds: of the algorithm.
    """
    before = np.zeros_like(phase)
    for _ in range(rounds):
        again = analysed(put_together(magnitude * phase))
        ahead = again + _MOMENTUM * (again - before)
        phase, before = ahead / np.maximum(np.abs(ahead), 1e-12), again
    return put_together(magnitude * phase)


def mel_filters(size: int, rate: int, *, bands: int = _MELS) -> np.ndarray:
    """(bands, size // 2 + 1) triangular filters, evenly spaced on the mel scale up to half the rate (HTK's formula)."""
    top = 2595 * np.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, bands + 2) / 2595) - 1)
    hertz = np.arange(size // 2 + 1) * rate / size
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    filters = np.minimum((hertz - low) / (middle - low), (high - hertz) / (high - middle))
    filters = np.maximum(filters, 0.0)
    # A low band narrower than a bin takes the bin nearest to its middle.
    nearest = np.abs(hertz[None] - middle).argmin(axis=1)
    empty = filters.sum(axis=1) == 0
    filters[np.flatnonzero(empty), nearest[empty]] = 1.0
    return filters


def _by_world(samples: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    import pyworld

    plain = np.ascontiguousarray(samples, dtype=np.float64)
    pitch, times = pyworld.dio(plain, rate, frame_period=_WORLD_MILLISECONDS)
    pitch = pyworld.stonemask(plain, pitch, times, rate)
    envelope = pyworld.cheaptrick(plain, pitch, times, rate)
    noise = pyworld.d4c(plain, pitch, times, rate)
    return pyworld.synthesize(pitch, envelope, noise, rate, _WORLD_MILLISECONDS)
