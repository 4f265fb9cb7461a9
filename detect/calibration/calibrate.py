"""Fits a detector's calibration on its validation clips, or on a separate set, and writes it beside its weights.

The files are ``calibration.json`` (the maps), ``validated.json`` (the validated domain), ``calibration.png``
(reliability, Tippett, PAV) and, for Assay's own detectors, sections of the model card.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from scipy.special import expit, logit

from detect.calibration.card import write_card_sections
from detect.calibration.clips import calibration_records, refuse_trained_on
from detect.calibration.config import CalibrateConfig, LikelihoodMethod, ProbabilityMethod
from detect.calibration.conformal import measured_conformal
from detect.calibration.copied_card import card_of_copy
from detect.calibration.cross import FitSamples, Folds, left_out_llrs, left_out_odds, make_folds
from detect.calibration.curves import CalibrationData, plot_calibration
from detect.calibration.domain import Domain, find_domain, read_domain, write_domain
from detect.calibration.evaluation_section import aggregate_of, mark_of
from detect.calibration.facts import facts_of_clips
from detect.calibration.files import CALIBRATION_NAME, PICTURE_NAME, beside
from detect.calibration.fit import fit_probability, person_weights
from detect.calibration.left_out import factor_names, left_out_parts, trained_names
from detect.calibration.likelihood import fit_likelihood, probability_metrics, ratio_metrics, supports
from detect.calibration.maps import Calibration, Factor, Population, read_calibration, write_calibration
from detect.calibration.outside import with_outside
from detect.calibration.outside_scores import need_outside, read_outside
from detect.calibration.prediction_sets import Conformal, Miscoverage
from detect.calibration.quality import HeldOutOdds, people_of, quality_of
from detect.config.scoring import AggregateConfig, EvaluateConfig
from detect.data.crops import dataset_digest
from detect.models.checkpoint import CARD_NAME, detector_folder, need_detector_place, weights_digest
from detect.models.external.settings import parse_reference
from detect.models.shipped import is_shipped
from detect.scoring.dataset import score_dataset
from detect.scoring.samples import ScoredClip, clip_samples
from shared.bootstrap import BootstrapSettings
from shared.console import counted
from shared.dataset import DatasetFolder
from shared.errors import UsageError
from shared.storage import replacing_folder, write_bytes, write_text
from shared.types import ClipRecord

_MORE = "calibrate on a set with more people and clips: assay detect calibrate RUN --dataset SET"


@dataclass(frozen=True, eq=False)
class CalibrationResult:
    """Result of a calibration.

    Attributes:
        calibration: as written.
        domain: its validated domain.
        folder: of the files.
        files: their paths.
        notes: remarks for readers.
    """

    calibration: Calibration
    domain: Domain
    folder: Path
    files: tuple[Path, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Fitted:
    """A calibration, and the cross-fitted values of the clips, by fits without their people."""

    calibration: Calibration
    odds: HeldOutOdds


def calibrate_detector(
    detector: str | Path,
    dataset: Path,
    config: CalibrateConfig | None = None,
    *,
    split: Literal["val", "all"] = "val",
    scoring: EvaluateConfig | None = None,
    outside: Path | None = None,
) -> CalibrationResult:
    """Scores a dataset's clips with a finished detector and fits its calibration to them.

    Args:
        detector: run or detector folder, or a reference to a third-party one (see ``detect.scoring.dataset``).
        dataset: the set it was trained on, or one made for calibrating.
        config: methods, prior, unit of weighting.
        split: "val", or "all" of a set without a test split.
        scoring: device, frames, finder; its split is not used, and the aggregation is the detector's own.
        outside: scored material of tools that were not learned from (see :mod:`detect.calibration.outside_scores`); it
            bounds the ratios and takes no part in the fit.

    Raises:
        UsageError: too few clips or people of a class, or a split that must not be used.
        LeakError: the detector was trained on clips or people of the set, and it is not its own training set.
        CheckpointError: no detector there, or a damaged one.
        ManifestError: the split is empty, or a clip does not match the manifest.
    """
    config, scoring = config or CalibrateConfig(), scoring or EvaluateConfig()
    _need_changeable(detector)
    beside(detector, CALIBRATION_NAME)  # raises for a missing detector before anything is scored
    folder = DatasetFolder.open(dataset)
    records = calibration_records(folder, split)
    shared = refuse_trained_on(folder, records, detector, split)
    _refuse_few(records, config)
    if outside is not None:
        need_outside(outside, detector, factor_names(records, "manipulation"))
    scored = score_dataset(detector, folder, records, scoring)
    aggregate, mark = aggregate_of(scored, scoring), mark_of(detector, scored)
    digest = dataset_digest(folder)
    population = population_of(scored.clips, config, dataset=folder.name, manifest_sha256=digest, split=split)
    population = replace(population, trained_people=shared)
    fitted = fit_calibration(
        scored.clips, config, population, aggregate=aggregate, mark=mark, trained=trained_names(scored.learned)
    )
    if scored.predictor is not None:
        how = replace(fitted.calibration, finder=scored.finder, frames_per_clip=scoring.frames_per_clip)
        fitted = replace(fitted, calibration=how)
    notes = scored.notes
    if outside is not None:
        bounded, remarks = _bounded(fitted.calibration, outside, detector, scoring, config.seed)
        fitted, notes = replace(fitted, calibration=bounded), (*notes, *remarks)
    facts = facts_of_clips(folder, scored, scored.clips)
    domain = find_domain(scored.clips, facts, dataset=folder.name, manifest_sha256=digest, split=split)
    return _write(detector, fitted, replace(domain, weights_sha256=mark, finder=scored.finder), scored.clips, notes)


def _need_changeable(detector: str | Path) -> None:
    if is_shipped(detector):
        raise UsageError("the detector in the package is not changed", hint="--out FOLDER calibrates a copy of it")


def calibrate_copy(
    detector: str | Path,
    out: Path,
    dataset: Path,
    config: CalibrateConfig | None = None,
    *,
    split: Literal["val", "all"] = "val",
    scoring: EvaluateConfig | None = None,
    outside: Path | None = None,
) -> CalibrationResult:
    """:func:`calibrate_detector` of a copy of the detector folder; ``out`` appears with its calibration, or not at all.

    Raises:
        UsageError: ``out`` holds something else, or ``detector`` is a reference; otherwise as
            :func:`calibrate_detector`.
    """
    if parse_reference(detector) is not None:
        raise UsageError(f"{detector} has no folder to copy", hint="leave out --out")
    source = detector_folder(Path(detector))
    need_detector_place(out, source)
    with replacing_folder(out) as draft:
        for path in sorted(each for each in source.iterdir() if each.is_file()):
            shutil.copyfile(path, draft / path.name)
        result = calibrate_detector(draft, dataset, config, split=split, scoring=scoring, outside=outside)
        card = draft / CARD_NAME
        origin = f"{detector}, the detector in the package" if is_shipped(detector) else Path(detector).name
        write_text(card, card_of_copy(card.read_text(encoding="utf-8"), origin, weights_digest(draft),
                                      str(result.calibration.population)))  # fmt: skip
    return replace(result, folder=out, files=tuple(out / path.name for path in result.files))


def bound_detector(
    detector: str | Path, outside: Path, config: CalibrateConfig | None = None, *, scoring: EvaluateConfig | None = None
) -> CalibrationResult:
    """Bounds the ratios of a calibrated detector by tools that were not learned from; its maps stay as they are.

    Raises:
        UsageError: the detector is not calibrated, or ``outside`` holds no scores for it.
        LeakError: a tool or a clip there was learned from.
        CheckpointError: no detector there, or its calibration is damaged.
        ManifestError: the scores are damaged.
    """
    config, scoring = config or CalibrateConfig(), scoring or EvaluateConfig()
    _need_changeable(detector)
    calibration = read_calibration(detector)
    domain = None if calibration is None else read_domain(detector, calibration.weights_sha256)
    if calibration is None or domain is None:
        raise UsageError(f"{detector} is not calibrated, so there is nothing to bound", hint="give --dataset SET too")
    calibration, remarks = _bounded(calibration, outside, detector, scoring, config.seed)
    files = [write_calibration(detector, calibration)]
    if parse_reference(detector) is None:
        files.append(write_card_sections(files[0].parent, calibration, domain))
    return CalibrationResult(calibration, domain, files[0].parent, tuple(files), (*remarks, *_notes(calibration)))


def _bounded(
    calibration: Calibration, outside: Path, detector: str | Path, scoring: EvaluateConfig, seed: int
) -> tuple[Calibration, tuple[str, ...]]:
    """The calibration with bounds from ``outside``, and remarks for readers."""
    if calibration.frames_per_clip is not None:
        scoring = replace(scoring, frames_per_clip=calibration.frames_per_clip)
    scores, notes = read_outside(outside, detector, calibration, scoring)
    return with_outside(calibration, scores, seed=seed), notes


def population_of(
    clips: Sequence[ScoredClip], config: CalibrateConfig, *, dataset: str, manifest_sha256: str, split: str
) -> Population:
    """The population of scored clips."""
    samples = clip_samples(clips)
    records = [clips[place].record for place in samples.clips]
    people = people_of(records, config.count_by)
    return Population(
        dataset=dataset,
        manifest_sha256=manifest_sha256,
        split=split,
        real=int((~samples.labels).sum()),
        fake=int(samples.labels.sum()),
        without_face=len(clips) - samples.labels.size,
        people_real=int(np.unique(people[~samples.labels]).size),
        people_fake=int(np.unique(people[samples.labels]).size),
        count_by=config.count_by,
        manipulations=factor_names(records, "manipulation"),
        families=factor_names(records, "family"),
        pastes=factor_names(records, "paste"),
    )


def why_too_few(population: Population, config: CalibrateConfig) -> str:
    """A sentence if a population is too small for a fit, else empty."""
    if min(population.real, population.fake) < config.fewest_clips:
        return (
            f"nothing is calibrated: {population.real} real and {population.fake} fake clips of {population.dataset} "
            f"({population.split}) have a score, and {config.fewest_clips} of each are needed"
        )
    if config.count_by != "clip" and min(population.people_real, population.people_fake) < config.fewest_people:
        return (
            f"nothing is calibrated: the real clips of {population.dataset} ({population.split}) show "
            f"{population.people_real} and the fake ones {population.people_fake} people who count on their own, and "
            f"{config.fewest_people} of each are needed"
        )
    return ""


def _refuse_few(records: Sequence[ClipRecord], config: CalibrateConfig) -> None:
    """Raises if there are too few clips, before they are scored, which can take long."""
    fake = sum(record.label == "fake" for record in records)
    if min(fake, len(records) - fake) < config.fewest_clips:
        raise UsageError(
            f"nothing is calibrated: there are {len(records) - fake} real and {fake} fake clips, and "
            f"{config.fewest_clips} of each are needed",
            hint=_MORE,
        )


def fit_calibration(
    clips: Sequence[ScoredClip],
    config: CalibrateConfig,
    population: Population,
    *,
    aggregate: AggregateConfig | None,
    mark: str,
    trained: Mapping[Factor, frozenset[str] | None] | None = None,
) -> Fitted:
    """The calibration fitted to all clips, with its quality measured by cross-fitting over people.

    Args:
        clips: scored by one detector with its own aggregation.
        config: methods, prior, unit of weighting.
        population: of the clips.
        aggregate: the aggregation of their scores.
        mark: of the detector, see ``detect.calibration.files``.
        trained: values of each factor in the detector's training; default not known.

    Raises:
        UsageError: too few clips or people of a class.
    """
    too_few = why_too_few(population, config)
    if too_few:
        raise UsageError(too_few, hint=_MORE)
    found = clip_samples(clips)
    records = [clips[place].record for place in found.clips]
    samples = FitSamples(found.labels, found.logits, people_of(records, config.count_by))
    folds = make_folds(records, samples.labels, config.seed)
    method, chances = _best_probability(samples, folds, config)
    ratio, llrs = _best_ratio(samples, folds, config)
    odds = HeldOutOdds(samples.labels, chances, llrs, samples.people, folds.clusters, config.prior)
    labels, logits, people = samples.labels, samples.logits, samples.people
    conformal, conformal_note = _conformal(samples, folds, config)
    calibration = Calibration(
        weights_sha256=mark,
        aggregate=aggregate,
        prior=config.prior,
        probability=fit_probability(labels, logits, people, method),
        likelihood=fit_likelihood(labels, logits, people, ratio, replicates=config.replicates, seed=config.seed),
        population=population,
        quality=quality_of(odds, BootstrapSettings(seed=config.seed)),
        left_out=folds.words,
        conformal=conformal,
        conformal_note=conformal_note,
        parts=left_out_parts(
            samples,
            records,
            folds,
            llrs,
            ratio,
            _allowed(config),
            trained=trained or {},
            fewest_clips=config.fewest_clips,
            seed=config.seed,
        ),
    )
    return Fitted(calibration, odds)


def _allowed(config: CalibrateConfig) -> Miscoverage:
    """The shares of both classes; that of real clips is at most that of fakes, whatever was asked for."""
    return Miscoverage(min(config.real_miscoverage, config.miscoverage), config.miscoverage)


def _conformal(samples: FitSamples, folds: Folds, config: CalibrateConfig) -> tuple[Conformal | None, str]:
    """Prediction sets over people, and a note; none where clips count, because clips of one person are alike."""
    if config.count_by == "clip":
        return None, "No conformal claim: it takes people, and every clip was counted for itself."
    return measured_conformal(samples, folds, _allowed(config))


def _best_probability(
    samples: FitSamples, folds: Folds, config: CalibrateConfig
) -> tuple[ProbabilityMethod, np.ndarray]:
    """The method with the lowest log loss on left-out people, and its (N,) probabilities for them."""
    weights = person_weights(samples.labels, samples.people)
    wanted: tuple[ProbabilityMethod, ...] = get_args(ProbabilityMethod) if config.method == "auto" else (config.method,)
    chances = {name: expit(left_out_odds(samples, folds, name) + logit(config.prior)) for name in wanted}
    losses = {
        name: probability_metrics(samples.labels, found, weights, config.prior)["log_loss"]
        for name, found in chances.items()
    }
    best = min(wanted, key=lambda name: losses[name])
    return best, chances[best]


def _best_ratio(samples: FitSamples, folds: Folds, config: CalibrateConfig) -> tuple[LikelihoodMethod, np.ndarray]:
    """The method with the lowest Cllr on left-out people, and its (N,) llrs for them."""
    weights = person_weights(samples.labels, samples.people)
    wanted: tuple[LikelihoodMethod, ...] = get_args(LikelihoodMethod) if config.ratio == "auto" else (config.ratio,)
    llrs = {name: left_out_llrs(samples, folds, name, config.seed) for name in wanted}
    best = min(wanted, key=lambda name: ratio_metrics(samples.labels, llrs[name], weights)["cllr"])
    return best, llrs[best]


def _write(
    detector: str | Path, fitted: Fitted, domain: Domain, clips: Sequence[ScoredClip], notes: tuple[str, ...]
) -> CalibrationResult:
    """Writes all files; the calibration last, so that an old one is never beside a newer domain."""
    calibration = fitted.calibration
    path = beside(detector, CALIBRATION_NAME)
    title = (
        f"Calibration on {calibration.population}\n"
        f"Reliability, Tippett and PAV: people left out of the fit, in {calibration.left_out}"
    )
    logits = clip_samples(clips).logits
    picture = plot_calibration(CalibrationData(fitted.odds, logits, calibration, title))
    path.unlink(missing_ok=True)
    files = [write_domain(detector, domain), beside(detector, PICTURE_NAME)]
    write_bytes(files[1], picture.png)
    files.insert(0, write_calibration(detector, calibration))
    if parse_reference(detector) is None:
        files.append(write_card_sections(path.parent, calibration, domain))
    return CalibrationResult(calibration, domain, path.parent, tuple(files), (*notes, *_notes(calibration)))


def _notes(calibration: Calibration) -> tuple[str, ...]:
    found = {each.metric: each for each in calibration.quality}
    notes = []
    if calibration.population.without_face:
        notes.append(f"{counted(calibration.population.without_face, 'clip')} without a usable face took no part.")
    ratio, population = calibration.likelihood, calibration.population
    if population.trained_people:
        notes.append(
            f"{population.trained_people} people of these clips are also in clips that the detector was trained on, so "
            "the calibration is too sure of people who are new to it."
        )
    if not (supports(ratio.upper_bound) and supports(ratio.lower_bound)):
        fewest = min(population.people_real, population.people_fake)
        notes.append(
            f"{fewest} people of a class bear out likelihood ratios from {10**ratio.lower_bound:.2g} to "
            f"{10**ratio.upper_bound:.2g} only, which support nothing on one side: calibrate on more people."
        )
    if found["cllr"].value >= 1:
        notes.append("Cllr is 1 or more: on people left out of the fit, saying nothing would have done no worse.")
    elif found["cllr"].low is None:
        notes.append("Too few groups of people for an interval of Cllr.")
    notes += [calibration.conformal_note] if calibration.conformal_note else []
    if calibration.outside is None:
        notes.append(
            "No tool outside was measured, so the ratios are bounded by this calibration alone; --outside takes scored "
            "material of tools that were not learned from."
        )
    return tuple(notes)
