"""The section of an evaluation on calibrated scores, and its plots."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from detect.calibration.curves import CalibrationData, plot_calibration
from detect.calibration.domain import Domain, FileFacts, clip_facts, domain_note, read_domain
from detect.calibration.files import detector_mark
from detect.calibration.maps import Calibration, Population, misfit, read_calibration
from detect.calibration.quality import HeldOutOdds, people_of, quality_of
from detect.config.scoring import AggregateConfig, EvaluateConfig
from detect.data.crops import dataset_digest
from detect.models.external.settings import parse_reference
from detect.scoring.aggregate import resolved
from detect.scoring.dataset import DatasetScores
from detect.scoring.samples import ScoredClip, clip_samples
from shared.bootstrap import BootstrapSettings
from shared.dataset import DatasetFolder
from shared.dataset.splits import clip_clusters, clustering
from shared.plots import Plot
from shared.results.scores import Evaluation

_ITS_OWN = "These are the clips that the calibration was fitted on, so the numbers flatter: measure on others."
_AMONG = "Among these are clips that the calibration was fitted on, so the numbers flatter: measure on others."


@dataclass(frozen=True)
class CalibrationPart:
    """Metrics on a part of the clips: the fakes of some manipulations, and all real clips.

    ``by``: "all"; "known" and "new", manipulations with and without clips in the calibration; "manipulation", one.
    """

    by: Literal["all", "known", "new", "manipulation"]
    name: str
    real: int
    fake: int
    evaluations: tuple[Evaluation, ...]


@dataclass(frozen=True)
class CalibrationSection:
    """The section of ``evaluation.json`` on calibrated scores.

    Attributes:
        fitted_on: the population of the calibration.
        probability, ratio: methods.
        prior: of the probabilities.
        lower_bound, upper_bound: of the log10 likelihood ratios.
        evaluations: Cllr and its parts, ECE, Brier score and log loss of all clips, with equal weight per person.
        parts: the same by manipulation.
        notes: what a reader must know.
    """

    fitted_on: str
    probability: str
    ratio: str
    prior: float
    lower_bound: float
    upper_bound: float
    evaluations: tuple[Evaluation, ...]
    parts: tuple[CalibrationPart, ...]
    notes: tuple[str, ...] = ()

    def find(self, metric: str) -> Evaluation | None:
        """One metric over all clips; None if undefined."""
        return next((each for each in self.evaluations if each.metric == metric), None)


@dataclass(frozen=True, eq=False)
class Calibrated:
    """Scored clips with calibrated values.

    Attributes:
        clips: with probability and llr if the detector has a calibration for them, else unchanged.
        section: None without a calibration.
        picture: reliability, Tippett and PAV plots; None where a class is missing.
        notes: reasons why there is none.
    """

    clips: list[ScoredClip]
    section: CalibrationSection | None = None
    picture: Plot | None = None
    notes: tuple[str, ...] = ()


def calibrated(
    detector: str | Path, scores: DatasetScores, folder: DatasetFolder, config: EvaluateConfig
) -> Calibrated:
    """Applies a detector's own calibration to its clip scores.

    Args:
        detector: run or detector folder, or a reference to a third-party one.
        scores: its scores.
        folder: the clips' dataset.
        config: settings of scoring and bootstrap.

    Raises:
        CheckpointError: the calibration or the validated domain is damaged.
        MediaError: a clip is not a readable video.
    """
    calibration = read_calibration(detector)
    if calibration is None:
        return Calibrated(scores.clips)
    mark = mark_of(detector, scores)
    differs = misfit(calibration, mark, aggregate_of(scores, config), scores.finder)
    if differs:
        return Calibrated(scores.clips, notes=(f"No calibrated scores: {differs}",))
    domain = read_domain(detector, mark)
    scored = [clip for clip in scores.clips if clip.score.logit is not None] if domain else []
    facts = [clip_facts(folder.media_path(clip.record), clip) for clip in scored]
    clips = with_calibration(scores.clips, calibration)
    by = clustering([clip.record for clip in clips], config.cluster_by).by
    bootstrap = BootstrapSettings(replicates=config.replicates, seed=config.seed, cluster_by=by)
    section = calibration_section(clips, calibration, domain=domain, facts=facts, bootstrap=bootstrap)
    flatters = in_sample(calibration.population, dataset_digest(folder), config.split)
    section = dataclasses.replace(section, notes=(*section.notes, *flatters))
    return Calibrated(clips, section, picture_of(clips, calibration, folder.name) if section.evaluations else None)


def in_sample(fitted_on: Population, manifest_sha256: str, split: str) -> tuple[str, ...]:
    """A note if clips of a split were used for the calibration; else empty."""
    if fitted_on.manifest_sha256 != manifest_sha256:
        return ()
    if fitted_on.split == split:
        return (_ITS_OWN,)
    return (_AMONG,) if "all" in (fitted_on.split, split) else ()


def mark_of(detector: str | Path, scores: DatasetScores) -> str:
    """The mark of this detector in calibrations."""
    known = scores.detector
    return detector_mark(parse_reference(detector), known.get("weights_sha256") or known["sha256"])


def aggregate_of(scores: DatasetScores, config: EvaluateConfig) -> AggregateConfig | None:
    """The aggregation of the clip scores; None for a detector of whole clips."""
    return None if scores.predictor is None else resolved(config.aggregate, scores.predictor.facts.aggregate)


def with_calibration(clips: Sequence[ScoredClip], calibration: Calibration) -> list[ScoredClip]:
    """The clips with probability and llr beside their logit; a clip without a score stays without them."""
    return [
        clip
        if clip.score.logit is None
        else dataclasses.replace(clip, score=dataclasses.replace(clip.score, **_values(calibration, clip.score.logit)))
        for clip in clips
    ]


def calibration_section(
    clips: Sequence[ScoredClip],
    calibration: Calibration,
    *,
    domain: Domain | None = None,
    facts: Sequence[FileFacts] = (),
    bootstrap: BootstrapSettings | None = None,
) -> CalibrationSection:
    """The quality of a calibration on scored clips.

    Args:
        clips: of one dataset, with labels; those without a score are ignored.
        calibration: of the detector that scored them.
        domain: the validated domain of the detector.
        facts: of each clip that has a score, to be compared with the domain.
        bootstrap: replicates, and the unit of resampling.

    Returns:
        Metrics over all clips and by manipulation; none if a class is missing.
    """
    bootstrap = bootstrap or BootstrapSettings()
    odds, manipulations = held_out_odds(clips, calibration, bootstrap)
    ratio = calibration.likelihood
    return CalibrationSection(
        fitted_on=str(calibration.population),
        probability=calibration.probability.method,
        ratio=ratio.method,
        prior=calibration.prior,
        lower_bound=ratio.lower_bound,
        upper_bound=ratio.upper_bound,
        evaluations=quality_of(odds, bootstrap),
        parts=_parts(odds, manipulations, frozenset(calibration.population.manipulations), bootstrap),
        notes=_notes(domain, facts),
    )


def held_out_odds(
    clips: Sequence[ScoredClip], calibration: Calibration, bootstrap: BootstrapSettings
) -> tuple[HeldOutOdds, np.ndarray]:
    """Calibrated values of the clips that have a score, and the (N,) names of their manipulations."""
    samples = clip_samples(clips)
    records = [clips[place].record for place in samples.clips]
    clusters = clip_clusters([clip.record for clip in clips], bootstrap.cluster_by)
    odds = HeldOutOdds(
        labels=samples.labels,
        probabilities=calibration.probabilities(samples.logits),
        llrs=calibration.likelihood.llr(samples.logits),
        people=people_of(records, calibration.population.count_by),
        clusters=np.array([clusters[record.id] for record in records], np.int64),
        prior=calibration.prior,
    )
    return odds, np.array([record.id.manipulation or "" for record in records], object)


def picture_of(clips: Sequence[ScoredClip], calibration: Calibration, dataset: str) -> Plot:
    """Reliability, Tippett and PAV plots of scored clips, as PNG bytes.

    Raises:
        ValueError: one class only.
    """
    odds, _ = held_out_odds(clips, calibration, BootstrapSettings())
    logits = clip_samples(clips).logits
    title = f"Calibrated scores on {dataset}, by a calibration fitted on {calibration.population}"
    return plot_calibration(CalibrationData(odds, logits, calibration, title))


def _values(calibration: Calibration, logit: float) -> dict[str, float]:
    asked = np.array([logit])
    return {
        "probability": float(calibration.probabilities(asked)[0]),
        "llr": float(calibration.likelihood.llr(asked)[0]),
    }


def _parts(
    odds: HeldOutOdds, manipulations: np.ndarray, known: frozenset[str], bootstrap: BootstrapSettings
) -> tuple[CalibrationPart, ...]:
    names = sorted({str(name) for name in manipulations if name})
    groups: list[tuple[Literal["known", "new", "manipulation"], str, list[str]]] = [
        ("known", "manipulations of the calibration", [name for name in names if name in known]),
        ("new", "manipulations that are new to it", [name for name in names if name not in known]),
        *(("manipulation", name, [name]) for name in names),
    ]
    parts = []
    for by, title, members in groups:
        chosen = ~odds.labels | np.isin(manipulations.astype(str), members)
        fake = int(odds.labels[chosen].sum())
        if members and fake:
            part = odds.part(chosen)
            parts.append(CalibrationPart(by, title, int((~part.labels).sum()), fake, quality_of(part, bootstrap)))
    return tuple(parts)


def _notes(domain: Domain | None, facts: Sequence[FileFacts]) -> tuple[str, ...]:
    people = "People count once in their class; the classes count the same in Cllr, and as the prior says elsewhere."
    if domain is None:
        return (people, "The detector does not say on what kind of material it was validated.")
    return (people, domain_note(domain, facts)) if facts else (people,)
