"""``lfcc-gmm``: two Gaussian mixtures over cepstra, one of real and one of fake speech; the explainable floor.

The baseline of the ASVspoof challenges (Todisco et al., 2019): linear-frequency cepstra of 20 ms with their slopes, and
per frame the log-likelihood ratio of two mixtures with diagonal covariances. Every frame counts alike.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from torch import Tensor

from detect.speech.contract import RATE, SPEECH_DETECTORS, STEP, NetworkOptions, SpeechDetector, StepScores
from shared.audio.features import Framing, lfcc

_FRAMING = Framing(RATE, 512, STEP // 2)
_SIDES = ("real", "fake")
_PARTS = ("weights", "means", "variances")
_SMOOTH = 11
_QUIET = 40.0


class LfccGmm(SpeechDetector):
    """The two mixtures.

    Args:
        tensors: ``real.weights`` (K,), ``real.means`` (K, D), ``real.variances`` (K, D), and the same for ``fake``.

    Raises:
        ValueError: one is missing, of another shape, or no mixture.
    """

    kind: ClassVar[str] = "lfcc-gmm"

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._mixtures: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
        for side in _SIDES:
            weights, means, variances = (_array(tensors, f"{side}.{part}") for part in _PARTS)
            fits = weights.ndim == 1 and means.ndim == 2 and means.shape == variances.shape
            if not fits or len(weights) != len(means) or means.shape[1] != features(np.zeros(STEP)).shape[1]:
                raise ValueError(f"the shapes of the {side} mixture do not fit")
            if not (weights > 0).all() or not (variances > 0).all():
                raise ValueError(f"weights and variances of the {side} mixture are not positive")
            self._mixtures[side] = (weights, means, variances)

    def steps(self, samples: np.ndarray) -> StepScores:
        """Mean log-likelihood ratio of the frames of 10 ms around each step, over 0.1 s; quiet steps weigh nothing."""
        frames = features(samples)
        ratio = _log_density(frames, *self._mixtures["fake"]) - _log_density(frames, *self._mixtures["real"])
        smooth = np.convolve(np.pad(ratio, _SMOOTH // 2, mode="edge"), np.ones(_SMOOTH) / _SMOOTH, mode="valid")
        return StepScores(smooth[::2].astype(np.float32), active_steps(samples))

    def tensors(self) -> dict[str, Tensor]:
        """As the constructor takes them."""
        return {
            f"{side}.{part}": torch.from_numpy(np.ascontiguousarray(array, np.float32))
            for side, arrays in self._mixtures.items()
            for part, array in zip(_PARTS, arrays, strict=True)
        }


@SPEECH_DETECTORS.register(LfccGmm.kind)
def _restored(tensors: Mapping[str, Tensor], options: NetworkOptions) -> LfccGmm:
    return LfccGmm(tensors)


def features(samples: np.ndarray) -> np.ndarray:
    """(2 T - 1 or more, 60) float32: 20 cepstra and their slopes, every 10 ms."""
    return lfcc(samples, _FRAMING)


def active_steps(samples: np.ndarray) -> np.ndarray:
    """(T,) float32: 1 for each step of at most 40 dB less energy than the loudest, else 0; all 1 in silence."""
    padded = np.pad(np.asarray(samples, np.float64), (STEP // 2, STEP))
    count = 1 + len(samples) // STEP
    power = (padded[: count * STEP].reshape(count, STEP) ** 2).mean(1)
    loud = power >= power.max() * 10 ** (-_QUIET / 10)
    return loud.astype(np.float32)


def fit_gmm(
    real: Sequence[np.ndarray], fake: Sequence[np.ndarray], *, components: int, most_frames: int, seed: int
) -> LfccGmm:
    """Fits both mixtures by expectation maximisation.

    Args:
        real: (F, 60) features of each real utterance, as :func:`features` gives them.
        fake: those of each fake one.
        components: Gaussians of each mixture; fewer if there are fewer than 20 frames for each.
        most_frames: of each class that are fitted to, at most, chosen at random.
        seed: of the choice and of the start.

    Raises:
        ValueError: a class has no frames.
    """
    tensors: dict[str, Tensor] = {}
    for side, given in zip(_SIDES, (real, fake), strict=True):
        if not given:
            raise ValueError(f"there is no {side} speech to fit to")
        frames = np.concatenate(given).astype(np.float64)
        if len(frames) > most_frames:
            frames = frames[np.random.default_rng(seed).choice(len(frames), most_frames, replace=False)]
        count = max(1, min(components, len(frames) // 20))
        mixture = GaussianMixture(
            count, covariance_type="diag", max_iter=30, reg_covar=1e-3, init_params="k-means++", random_state=seed
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # thirty rounds are enough
            mixture.fit(frames)
        arrays = (mixture.weights_, mixture.means_, mixture.covariances_)
        tensors |= {
            f"{side}.{part}": torch.from_numpy(np.ascontiguousarray(array, np.float32))
            for part, array in zip(_PARTS, arrays, strict=True)
        }
    return LfccGmm(tensors)


def _array(tensors: Mapping[str, Tensor], name: str) -> np.ndarray:
    if name not in tensors:
        raise ValueError(f"{name} is missing")
    array = tensors[name].numpy().astype(np.float32)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} is not finite")
    return array


def _log_density(frames: np.ndarray, weights: np.ndarray, means: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """(F,) natural log density of (F, D) frames under a mixture with diagonal covariances."""
    precision = 1 / variances
    distance = frames**2 @ precision.T - 2 * frames @ (means * precision).T + (means**2 * precision).sum(1)
    each = np.log(weights) - 0.5 * (distance + np.log(2 * np.pi * variances).sum(1))
    top = each.max(1, keepdims=True)
    return (top + np.log(np.exp(each - top).sum(1, keepdims=True)))[:, 0]
