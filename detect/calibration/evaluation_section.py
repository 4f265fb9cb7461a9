"""The section of an evaluation on calibrated scores, and its plots."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from detect.calibration.conformal import share_of
from detect.calibration.curves import CalibrationData, plot_calibration
from detect.calibration.domain import Domain, domain_note, read_domain
from detect.calibration.facts import FileFacts, facts_of_clips
from detect.calibration.files import detector_mark
from detect.calibration.left_out import FACTORS, MOST_VALUES, factor_of, trained_names
from detect.calibration.maps import Calibration, Factor, Population, misfit, read_calibration
from detect.calibration.prediction_sets import Miscoverage, percent
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
from shared.results.calibration import Share
from shared.results.scores import Evaluation
from shared.types import ClipRecord

_ITS_OWN = "These are the clips that the calibration was fitted on, so the numbers flatter: measure on others."
_AMONG = "Among these are clips that the calibration was fitted on, so the numbers flatter: measure on others."


@dataclass(frozen=True)
class CalibrationPart:
    """Metrics on a part of the clips: the fakes of some kinds, and all real clips.

    ``by``: "known" and "new", manipulations with and without clips in the calibration; "manipulation", "family" or
    "paste", one kind. ``calibrated`` and ``trained``: whether the calibration, and the detector, had such fakes; None
    if not known. ``covered``: share of the fakes whose prediction set holds "fake"; None without such sets.
    """

    by: Literal["known", "new", "manipulation", "family", "paste"]
    name: str
    real: int
    fake: int
    evaluations: tuple[Evaluation, ...]
    calibrated: bool | None = None
    trained: bool | None = None
    covered: Share | None = None

    def find(self, metric: str) -> Evaluation | None:
        """One metric; None if undefined."""
        return next((each for each in self.evaluations if each.metric == metric), None)


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
        miscoverage: promised for the prediction sets; None without such sets.
        covered_real: share of the real clips whose prediction set holds "real"; ``covered_fake`` likewise, of the fakes
            of manipulations that the calibration had.
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
    miscoverage: Miscoverage | None = None
    covered_real: Share | None = None
    covered_fake: Share | None = None

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
    facts = facts_of_clips(folder, scores, scored)
    clips = with_calibration(scores.clips, calibration)
    by = clustering([clip.record for clip in clips], config.cluster_by).by
    bootstrap = BootstrapSettings(replicates=config.replicates, seed=config.seed, cluster_by=by)
    trained = trained_names(scores.learned)
    section = calibration_section(clips, calibration, domain=domain, facts=facts, bootstrap=bootstrap, trained=trained)
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
    trained: Mapping[Factor, frozenset[str] | None] | None = None,
) -> CalibrationSection:
    """The quality of a calibration on scored clips.

    Args:
        clips: of one dataset, with labels; those without a score are ignored.
        calibration: of the detector that scored them.
        domain: the validated domain of the detector.
        facts: of each clip that has a score, to be compared with the domain.
        bootstrap: replicates, and the unit of resampling.
        trained: values of each factor in the detector's training; default not known.

    Returns:
        Metrics over all clips and by kind of fake; none if a class is missing.
    """
    bootstrap = bootstrap or BootstrapSettings()
    odds, records = held_out_odds(clips, calibration, bootstrap)
    sets = _sets(clips, calibration)
    kinds = np.array([factor_of(record, "manipulation") for record in records], object).astype(str)
    known = np.isin(kinds, list(calibration.population.manipulations))
    ratio = calibration.likelihood
    return CalibrationSection(
        fitted_on=str(calibration.population),
        probability=calibration.probability.method,
        ratio=ratio.method,
        prior=calibration.prior,
        lower_bound=ratio.lower_bound,
        upper_bound=ratio.upper_bound,
        evaluations=quality_of(odds, bootstrap),
        parts=_parts(odds, records, sets, calibration.population, trained or {}, bootstrap),
        notes=(*_notes(domain, facts), *_set_notes(calibration, kinds, known)),
        miscoverage=None if calibration.conformal is None else calibration.conformal.miscoverage,
        covered_real=None if sets is None else _covered(sets[0], odds, ~odds.labels),
        covered_fake=None if sets is None else _covered(sets[1], odds, odds.labels & known),
    )


def held_out_odds(
    clips: Sequence[ScoredClip], calibration: Calibration, bootstrap: BootstrapSettings
) -> tuple[HeldOutOdds, list[ClipRecord]]:
    """Calibrated values of the clips that have a score, and their records."""
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
    return odds, records


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
    odds: HeldOutOdds,
    records: Sequence[ClipRecord],
    sets: tuple[np.ndarray, np.ndarray] | None,
    population: Population,
    trained: Mapping[Factor, frozenset[str] | None],
    bootstrap: BootstrapSettings,
) -> tuple[CalibrationPart, ...]:
    """The quality on known and on new manipulations, on each manipulation, and on each family and paste of several."""

    def part(
        by: Literal["known", "new"] | Factor, name: str, fakes: np.ndarray, **seen: bool | None
    ) -> CalibrationPart:
        chosen = ~odds.labels | fakes
        found = odds.part(chosen)
        covered = None if sets is None else _covered(sets[1], odds, fakes)
        real, fake = int((~found.labels).sum()), int(found.labels.sum())
        return CalibrationPart(by, name, real, fake, quality_of(found, bootstrap), covered=covered, **seen)

    parts = []
    for by in FACTORS:
        kinds = np.array([factor_of(record, by) for record in records], object).astype(str)
        names = sorted(set(kinds[odds.labels].tolist()) - {""})
        old, seen = population.names(by), trained.get(by)
        if by == "manipulation":
            known = np.isin(kinds, old) & odds.labels
            new = odds.labels & ~known
            parts += [part("known", "manipulations of the calibration", known, calibrated=True)] if known.any() else []
            parts += [part("new", "manipulations that are new to it", new, calibrated=False)] if new.any() else []
        elif not 2 <= len(names) <= MOST_VALUES:
            continue
        for name in names:
            of_it = {"calibrated": name in old if old else None, "trained": None if seen is None else name in seen}
            parts.append(part(by, name, (kinds == name) & odds.labels, **of_it))
    return tuple(parts)


def _sets(clips: Sequence[ScoredClip], calibration: Calibration) -> tuple[np.ndarray, np.ndarray] | None:
    """(N,) bool each: the prediction sets of the clips with a score that hold "real" and "fake"; None without sets."""
    return None if calibration.conformal is None else calibration.conformal.holds(clip_samples(clips).logits)


def _covered(held: np.ndarray, odds: HeldOutOdds, chosen: np.ndarray) -> Share | None:
    return share_of(held[chosen], odds.people[chosen]) if chosen.any() else None


def _set_notes(calibration: Calibration, kinds: np.ndarray, known: np.ndarray) -> tuple[str, ...]:
    """What the prediction sets promise, and for which clips they do not."""
    conformal = calibration.conformal
    if conformal is None:
        return (calibration.conformal_note,) if calibration.conformal_note else ()
    new = sorted(set(kinds[~known].tolist()) - {""})
    promise = (
        f"Prediction sets promise that of new people's clips at most {percent(conformal.real.miscoverage)} of the real "
        f"ones, and {percent(conformal.fake.miscoverage)} of the fakes of the calibration's manipulations, are not "
        "covered."
    )
    return (f"{promise} Nothing is promised for {', '.join(new)}." if new else promise,)


def _notes(domain: Domain | None, facts: Sequence[FileFacts]) -> tuple[str, ...]:
    people = "People count once in their class; the classes count the same in Cllr, and as the prior says elsewhere."
    if domain is None:
        return (people, "The detector does not say on what kind of material it was validated.")
    return (people, domain_note(domain, facts)) if facts else (people,)
