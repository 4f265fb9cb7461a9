"""Whether conformal prediction sets keep their promise on people never seen, on simulated scores.

Each calibration is fitted to the clips of some people, and its coverage is measured on 3000 new ones: where every
person has two clips of a class; where a few have very many, clip by clip and over people; and on fakes of a kind that
was not calibrated on, for which nothing is promised.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from benchmarks.calibration import FRESH_PEOPLE, Simulation
from benchmarks.schema import Measurement
from detect.calibration.conformal import fit_conformal, left_out_sets, person_share
from detect.calibration.cross import FitSamples, Folds
from detect.calibration.prediction_sets import Conformal, Miscoverage

_FOLDS = 5
_MANY = 60
_EVERY = 6


@dataclass(frozen=True)
class CoveragePlan:
    """Settings of the benchmark.

    Attributes:
        people: numbers of people of a calibration.
        repeats: calibrations of each size.
        miscoverage: promised, of each class.
        new_half_distance: half of the distance of fakes of the kind that was not calibrated on from real clips, in
            deviations; that of the others is in the simulation.
        seed: of the scores.
    """

    people: tuple[int, ...] = (10, 20, 50, 100, 200)
    repeats: int = 200
    miscoverage: Miscoverage = field(default_factory=lambda: Miscoverage(real=0.02, fake=0.1))
    new_half_distance: float = 0.3
    seed: int = 0


def sampled(people: int, rng: np.random.Generator, how: Simulation, clips: np.ndarray | None = None) -> FitSamples:
    """Real and fake clips of ``people``, two of each class a person, or as many as ``clips``, (P,) int, says."""
    counts = np.full(people, 2) if clips is None else clips
    names = np.tile(np.repeat(np.arange(people), counts), 2)
    labels = np.repeat([False, True], counts.sum())
    shared = rng.normal(size=people)[names] * how.person_share**0.5
    own = rng.normal(size=names.size) * (1 - how.person_share) ** 0.5
    place = np.where(labels, how.half_distance, -how.half_distance) + shared + own
    return FitSamples(labels, how.stretch * place + how.offset, names)


def measure(plan: CoveragePlan, how: Simulation | None = None) -> list[Measurement]:
    """Coverage by number of people, on new people, as measured on people left out, and on a kind not calibrated on."""
    how = how or Simulation()
    fresh = sampled(FRESH_PEOPLE, np.random.default_rng(10_000 + plan.seed), how)
    found: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        found.setdefault(name, []).append(value)

    for people in plan.people:
        rng = np.random.default_rng((plan.seed, people))
        for _ in range(plan.repeats):
            samples = sampled(people, rng, how)
            fitted = fit_conformal(samples, plan.miscoverage)
            if fitted is None:
                break
            real, fake = coverage(fitted, fresh)
            note(f"coverage of new people's real clips, {people} people", real)
            note(f"coverage of new people's fakes, {people} people", fake)
            for value, limit in ((real, fitted.real), (fake, fitted.fake)):
                inside = float(limit.low <= value <= limit.high)
                note(f"inside the interval of its calibration, {people} people", inside)
            for value, name in zip(left_out(samples, plan.miscoverage), ("real clips", "fakes"), strict=False):
                note(f"coverage of {name} measured on people left out, {people} people", value)
    _uneven(plan, how, note)
    _new_kind(plan, how, note)
    return [_averaged(name, values) for name, values in found.items()]


def coverage(fitted: Conformal, samples: FitSamples) -> tuple[float, float]:
    """The share of real and of fake clips whose set holds their class, each person with the same weight."""
    sets = fitted.holds(samples.logits)
    real, fake = (
        person_share(held[samples.labels == truth], samples.people[samples.labels == truth])
        for truth, held in zip((False, True), sets, strict=True)
    )
    return real, fake


def left_out(samples: FitSamples, miscoverage: Miscoverage) -> tuple[float, ...]:
    """The coverage of both classes by fits without the clip's people; empty if too few are left."""
    masks = tuple(samples.people % _FOLDS == fold for fold in range(_FOLDS))
    sets = left_out_sets(samples, Folds(masks, samples.people, ""), miscoverage)
    if sets is None:
        return ()
    return tuple(
        person_share(held[samples.labels == truth], samples.people[samples.labels == truth])
        for truth, held in zip((False, True), sets, strict=True)
    )


def _uneven(plan: CoveragePlan, how: Simulation, note: Callable[[str, float], None]) -> None:
    """Every sixth person has sixty clips of a class, the others one, and a person's clips are much alike."""
    alike = Simulation(how.half_distance, 0.9, how.stretch, how.offset)
    fresh = sampled(FRESH_PEOPLE, np.random.default_rng(20_000 + plan.seed), alike)
    rng = np.random.default_rng((plan.seed, 1))
    people = 30
    counts = np.where(np.arange(people) % _EVERY == 0, _MANY, 1)
    for _ in range(plan.repeats):
        samples = sampled(people, rng, alike, counts)
        alone = FitSamples(samples.labels, samples.logits, np.arange(samples.labels.size))
        for way, fitted in (("people", samples), ("clips", alone)):
            sets = fit_conformal(fitted, plan.miscoverage)
            assert sets is not None  # thirty people, or more clips
            for value, name in zip(coverage(sets, fresh), ("real clips", "fakes"), strict=True):
                note(f"coverage of new people's {name}, uneven clips, counted by {way}", value)


def _new_kind(plan: CoveragePlan, how: Simulation, note: Callable[[str, float], None]) -> None:
    """Fakes nearer to real clips than those calibrated on, by calibrations on a hundred people."""
    nearer = Simulation(plan.new_half_distance, how.person_share, how.stretch, how.offset)
    fresh = sampled(FRESH_PEOPLE, np.random.default_rng(30_000 + plan.seed), nearer)
    rng = np.random.default_rng((plan.seed, 2))
    for _ in range(plan.repeats):
        fitted = fit_conformal(sampled(100, rng, how), plan.miscoverage)
        assert fitted is not None
        note("coverage of fakes of a kind not calibrated on, 100 people", coverage(fitted, fresh)[1])


def _averaged(name: str, values: list[float]) -> Measurement:
    """The mean, for which the promise is made, between the 2.5th and 97.5th percentile over calibrations."""
    mean = float(np.mean(values))
    if name.startswith("inside"):
        return Measurement.of(name, "share", [mean], note=f"of {len(values)} coverages")
    low, high = np.percentile(values, (2.5, 97.5))
    note = f"mean of {len(values)} coverages, and the middle 95 % of them"
    return Measurement.of(name, "share", [float(low), mean, float(high)], note=note)
