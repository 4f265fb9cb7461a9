"""How many people a calibration needs, on simulated scores with known likelihood ratios.

Clips of a person share a shift, so they are not independent. Each calibration is measured in three ways: on people left
out of its fits (what ``assay detect calibrate`` reports), on the clips it was fitted to (which it must not report), and
on very many new people (the true value).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.schema import Measurement
from detect.calibration.calibrate import Fitted, fit_calibration, population_of
from detect.calibration.config import CalibrateConfig, LikelihoodMethod, ProbabilityMethod
from detect.calibration.curves import CalibrationData, plot_calibration
from detect.calibration.quality import HeldOutOdds, resampled_quality
from detect.config.scoring import AggregateConfig
from detect.scoring.samples import ScoredClip, clip_samples, scored_clip
from shared.results.scores import FrameScore
from shared.types import ClipId, ClipRecord

FRESH_PEOPLE = 3000
_CLIPS = 2
_MARK = "0" * 64


@dataclass(frozen=True)
class Simulation:
    """Scores are ``stretch x (+-half_distance + person + clip) + offset``, normal, in deviations of the sum."""

    half_distance: float = 1.1
    person_share: float = 0.5
    """Share of the variance of a clip score that is common to all clips of a person."""
    stretch: float = 4.0
    offset: float = 2.0


@dataclass(frozen=True)
class CalibrationPlan:
    """Settings of the benchmark."""

    people: tuple[int, ...] = (10, 20, 50, 100, 200)
    repeats: int = 20
    method: ProbabilityMethod = "platt"
    ratio: LikelihoodMethod = "logistic"
    seed: int = 0


def simulate(people: int, seed: int, how: Simulation) -> list[ScoredClip]:
    """Two real and two fake clips of each person, swapped in pairs of people."""
    rng = np.random.default_rng(seed)
    clips = []
    for person in range(people):
        shared_shift = rng.normal() * how.person_share**0.5
        for fake in (False, True):
            for number in range(_CLIPS):
                own = rng.normal() * (1 - how.person_share) ** 0.5
                place = (how.half_distance if fake else -how.half_distance) + shared_shift + own
                name = f"{person}-{number}"
                clips.append(_clip(name, person, how.stretch * place + how.offset, fake=fake))
    return clips


def _clip(name: str, person: int, logit: float, *, fake: bool) -> ScoredClip:
    record = ClipRecord(
        id=ClipId("simulated", "swap" if fake else None, name),
        kind="swap" if fake else "real",
        label="fake" if fake else "real",
        path=f"media/{name}.mp4",
        sha256=hashlib.sha256(f"{fake} {name}".encode()).hexdigest(),
        target_identity=f"p{person}",
        source_identity=f"p{person ^ 1}" if fake else None,
        rights="simulated",
        frames=1,
        width=64,
        height=64,
        codec="none",
        rendition="none",
    )
    frame = FrameScore(record.id, 0, 0.0, 0, logit, (0.0, 0.0, 1.0, 1.0))
    return scored_clip(record, [frame], [record.label], frames_read=1, config=AggregateConfig())


def fit(clips: Sequence[ScoredClip], plan: CalibrationPlan) -> Fitted:
    """The calibration of simulated clips."""
    config = CalibrateConfig(method=plan.method, ratio=plan.ratio, replicates=100, seed=plan.seed)
    population = population_of(clips, config, dataset="simulated", manifest_sha256=_MARK, split="val")
    return fit_calibration(clips, config, population, aggregate=AggregateConfig(), mark=_MARK)


def measure(plan: CalibrationPlan, how: Simulation | None = None) -> list[Measurement]:
    """Cllr and ECE by number of people, in three ways; and the largest supported ratio."""
    how = how or Simulation()
    fresh = simulate(FRESH_PEOPLE, 10_000 + plan.seed, how)
    found: dict[str, tuple[str, list[float]]] = {}

    def note(name: str, unit: str, value: float) -> None:
        found.setdefault(name, (unit, []))[1].append(value)

    for people in plan.people:
        for repeat in range(plan.repeats):
            clips = simulate(people, 1000 * people + repeat + plan.seed, how)
            fitted = fit(clips, plan)
            ways = {
                "people left out": fitted.odds,
                "the clips it was fitted to": _calibrated_odds(fitted, clips),
                "3000 new people": _calibrated_odds(fitted, fresh),
            }
            for way, odds in ways.items():
                quality = resampled_quality(odds, np.ones((1, odds.labels.size)))
                for measure_name, unit in (("cllr", "bits"), ("ece", "")):
                    note(f"{measure_name}, {people} people, on {way}", unit, float(quality[measure_name][0]))
            note(f"upper bound, {people} people", "log10 LR", fitted.calibration.likelihood.upper_bound)
    return [Measurement.of(name, unit, values, better="lower") for name, (unit, values) in found.items()]


def picture(plan: CalibrationPlan, people: int = 60, how: Simulation | None = None) -> bytes:
    """The plots of ``assay detect calibrate`` for simulated scores, as PNG bytes."""
    clips = simulate(people, plan.seed + 7, how or Simulation())
    fitted = fit(clips, plan)
    title = (
        f"Simulated scores: {fitted.calibration.population}\nReliability, Tippett and PAV: people left out of the fit"
    )
    return plot_calibration(CalibrationData(fitted.odds, clip_samples(clips).logits, fitted.calibration, title)).png


def _calibrated_odds(fitted: Fitted, clips: Sequence[ScoredClip]) -> HeldOutOdds:
    samples = clip_samples(clips)
    calibration = fitted.calibration
    people = np.arange(samples.labels.size) // (2 * _CLIPS)
    return HeldOutOdds(
        samples.labels,
        calibration.probabilities(samples.logits),
        calibration.likelihood.llr(samples.logits),
        people,
        people,
        calibration.prior,
    )
