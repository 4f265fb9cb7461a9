"""The kinds of detectors: shapes, what they are blind to, what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from detect.speech.contract import RATE, NetworkOptions, SpeechDetector, StepScores, count_of_steps
from detect.speech.gmm import LfccGmm, active_steps, features, fit_gmm
from detect.speech.kinds import SPEECH_DETECTORS
from detect.speech.network import NetworkDetector, pooled
from detect.speech.network_training import loss_of
from detect.speech.spectral import SpectralNet, spectrogram
from shared.errors import UnknownNameError
from tests.detect.speech.conftest import voice


def untrained(name: str, options: NetworkOptions = NetworkOptions()) -> NetworkDetector:  # noqa: B008
    """A network at its random start."""
    kind = SPEECH_DETECTORS.get(name)
    assert isinstance(kind, type)
    assert issubclass(kind, NetworkDetector)
    torch.manual_seed(0)
    return kind(kind.start(options).state_dict(), options)


@pytest.fixture(scope="module")
def gmm() -> LfccGmm:
    real = [features(voice(seed)) for seed in range(3)]
    fake = [features(voice(seed, buzz=True)) for seed in range(3)]
    return fit_gmm(real, fake, components=4, most_frames=1000, seed=0)


@pytest.fixture(scope="module", params=[*SPEECH_DETECTORS.names(), "raw with residual"])
def detector(request, gmm) -> SpeechDetector:
    """One of each kind."""
    if request.param == LfccGmm.kind:
        return gmm
    name, _, option = request.param.partition(" with ")
    return untrained(name, NetworkOptions(residual=option == "residual"))


@pytest.mark.parametrize("count", [4800, 16_000, 16_001, 33_333])
def test_there_is_a_finite_score_every_20_ms_and_the_same_twice(detector, count):
    samples = voice(5, 3.0)[:count]
    one, two = detector.steps(samples), detector.steps(samples)
    assert len(one.values) == len(one.weights) == count_of_steps(samples) == 1 + count // 320
    assert (one.values == two.values).all()
    assert one.values.min() <= one.logit <= one.values.max()


def test_a_detector_is_restored_from_its_tensors(detector):
    def restored(tensors: dict[str, torch.Tensor]) -> SpeechDetector:
        return SPEECH_DETECTORS.create(detector.kind, tensors=tensors, options=detector.options)

    again = restored(detector.tensors())
    assert again.options == detector.options
    assert again.steps(voice(1)).logit == pytest.approx(detector.steps(voice(1)).logit, abs=1e-5)
    tensors = detector.tensors()
    first = next(iter(tensors))
    with pytest.raises(ValueError, match=r"not finite|not positive"):
        restored({**tensors, first: torch.full_like(tensors[first], np.nan)})
    with pytest.raises(ValueError, match=r"missing|do not fit"):
        restored({name: each for name, each in tensors.items() if name != first})
    with pytest.raises(ValueError, match=r"shape|do not fit"):
        restored({**tensors, first: torch.ones(3, 3)})


def test_silence_has_scores_and_what_is_no_number_is_refused(detector):
    assert np.isfinite(detector.steps(np.zeros(RATE, np.float32)).values).all()
    assert len(detector.steps(voice(1)[:100]).values) == 1
    broken = voice(1)
    broken[RATE // 2] = np.nan
    with pytest.raises(ValueError, match="finite"):
        detector.steps(broken)


def test_an_unknown_kind_is_refused_with_near_names():
    with pytest.raises(UnknownNameError, match="no detector of speech is named 'spectra'"):
        SPEECH_DETECTORS.get("spectra")


def test_the_network_has_half_a_million_parameters():
    assert 500_000 <= sum(each.numel() for each in SpectralNet().parameters()) <= 1_000_000


@pytest.mark.parametrize("name", ["spectral", "raw", "timm"])
def test_a_network_does_not_hear_the_level(name):
    network = untrained(name)
    samples = voice(3) + np.random.default_rng(0).normal(0, 1e-3, int(1.5 * RATE)).astype(np.float32)
    quiet = network.steps((0.1 * samples).astype(np.float32))
    assert network.steps(samples).values == pytest.approx(quiet.values, abs=2e-2)


def test_the_spectrogram_has_no_mean():
    samples = voice(3)
    assert spectrogram(samples).shape == (2 * count_of_steps(samples), 257)
    assert np.abs(spectrogram(samples).mean(0)).max() < 1e-4


@pytest.mark.parametrize("name", ["spectral", "raw", "timm"])
def test_a_long_sound_scored_in_parts_is_scored_as_in_one(name, monkeypatch):
    network = untrained(name)
    samples = np.tile(voice(4, 2.0), 5)
    whole = network.steps(samples)
    monkeypatch.setattr("detect.speech.network._CHUNK", 160)
    parts = network.steps(samples)
    assert parts.values == pytest.approx(whole.values, abs=1e-4)
    assert parts.weights == pytest.approx(whole.weights, rel=1e-4)


def test_the_mixtures_find_a_buzz_that_they_were_fitted_to(gmm):
    assert gmm.steps(voice(20, buzz=True)).logit > gmm.steps(voice(20)).logit


def test_one_gaussian_each_gives_the_ratio_of_two_densities():
    dimension = features(np.zeros(320)).shape[1]
    ones = {"weights": torch.ones(1), "variances": torch.ones(1, dimension)}
    real = {f"real.{name}": each for name, each in ones.items()} | {"real.means": torch.zeros(1, dimension)}
    fake = {f"fake.{name}": each for name, each in ones.items()} | {"fake.means": torch.ones(1, dimension)}
    detector = LfccGmm({**real, **fake})
    samples = np.zeros(3200, np.float32)
    frame = features(samples)[5].astype(np.float64)
    expected = (frame**2 / 2 - (frame - 1) ** 2 / 2).sum()
    assert detector.steps(samples).values[3] == pytest.approx(expected, rel=1e-4)
    with pytest.raises(ValueError, match="shapes of the fake mixture"):
        LfccGmm({**real, **fake, "fake.means": torch.ones(2, dimension)})
    with pytest.raises(ValueError, match="not positive"):
        LfccGmm({**real, **fake, "real.variances": torch.zeros(1, dimension)})
    with pytest.raises(ValueError, match="no real speech"):
        fit_gmm([], [frame[None]], components=1, most_frames=10, seed=0)


def test_quiet_steps_do_not_count():
    samples = np.concatenate([np.zeros(3200), voice(1, 0.4)]).astype(np.float32)
    active = active_steps(samples)
    assert active[:9].sum() == 0
    assert active[12:].all()
    assert active_steps(np.zeros(960)).tolist() == [1, 1, 1, 1]


def test_the_logit_of_a_whole_is_the_weighted_mean_and_its_interval_spans_blocks():
    scores = StepScores(np.array([1, 3], np.float32), np.array([3, 1], np.float32))
    assert scores.logit == 1.5
    assert scores.interval() is None
    halves = StepScores(np.repeat([0.0, 2.0], 100).astype(np.float32), np.ones(200, np.float32))
    low, high = halves.interval()
    assert 0 <= low < 1 < high <= 2
    for values, weights in (([1.0], [0.0]), ([np.nan], [1.0]), ([1.0], [1.0, 1.0]), ([], [])):
        with pytest.raises(ValueError, match="values"):
            StepScores(np.array(values, np.float32), np.array(weights, np.float32))


def test_the_loss_is_least_for_the_truth_and_ignores_wholes_with_a_breath_of_fake():
    truth = torch.zeros(2, 10)
    truth[1] = 1
    counted, gates = torch.ones(2, 10), torch.zeros(2, 10)
    right = 6 * (2 * truth - 1)
    assert loss_of(right, gates, truth, counted) < 0.2 < loss_of(-right, gates, truth, counted)
    breath = torch.zeros(1, 10)
    breath[0, 0] = 1
    one = loss_of(torch.full((1, 10), -6.0), gates[:1], breath, counted[:1])
    other = loss_of(torch.full((1, 10), -6.0), gates[:1], torch.zeros(1, 10), counted[:1])
    whole = np.log1p(np.exp(-6)) + 0.02 * 6  # which the first does not have
    assert float(one - other) == pytest.approx(0.5 * (0.1 * 6 * 0.96 - whole), abs=1e-4)
    assert pooled(right, gates).tolist() == pytest.approx([-6, 6])
