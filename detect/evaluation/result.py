"""Result of an evaluation: metrics with intervals, by part of the set and by protocol, error card, localisation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from detect.calibration.evaluation_section import CalibrationSection
from detect.evaluation.error_card import ErrorRow
from detect.evaluation.localization_report import RegionReport
from detect.scoring.samples import ScoredClip
from shared.bootstrap import ClusterBy
from shared.results.scores import Evaluation

Part = Literal["manipulation", "rendition", "protocol"]


@dataclass(frozen=True)
class Counts:
    """Numbers of clips by label, and of those without a score."""

    real: int
    fake: int
    real_without_face: int
    fake_without_face: int

    def __str__(self) -> str:
        text = f"{self.real} real and {self.fake} fake clips"
        if self.real_without_face or self.fake_without_face:
            text += (
                f" ({self.real_without_face} real and {self.fake_without_face} fake without a usable face, not scored)"
            )
        return text


@dataclass(frozen=True)
class Slice:
    """Clip-level metrics of a part of the set.

    ``by`` "manipulation": the fakes of one manipulation against all real clips; "rendition": all clips of one
    rendition; "protocol": those of the clips that are new to the detector as a protocol demands.
    """

    by: Part
    name: str
    counts: Counts
    evaluations: tuple[Evaluation, ...]

    def find(self, metric: str) -> Evaluation | None:
        """The value of one metric, or None where the data cannot give it."""
        return next((e for e in self.evaluations if e.metric == metric), None)


@dataclass(frozen=True)
class EvaluationResult:
    """The content of ``evaluation.json``.

    Attributes:
        dataset, split: the clips that were scored.
        protocol, only: selection among them, see ``detect.data.protocols``.
        detector: name, digest of the weights, faces.
        counts: of clips.
        threshold: score from which a clip is classified as fake in "accuracy", and what it was chosen on.
        evaluations: at clip, track and frame level.
        slices: by manipulation and by rendition.
        clusters, cluster_by: the units that the bootstrap resampled.
        notes: limits of the result, as sentences.
        protocols: the same clips by what is new to the detector; empty without a training record.
        error_card: rates of missed fakes and false alarms by factor.
        regions: localisation, for a detector that predicts regions and a set with masks.
        calibration: quality of the calibrated scores; None without a calibration.
    """

    dataset: dict[str, str]
    split: str
    protocol: str
    only: tuple[str, ...]
    detector: dict[str, str]
    counts: Counts
    threshold: float
    threshold_from: str
    aggregation: str
    clusters: str
    cluster_by: ClusterBy
    evaluations: tuple[Evaluation, ...]
    slices: tuple[Slice, ...]
    notes: tuple[str, ...] = field(default_factory=tuple)
    protocols: tuple[Slice, ...] = ()
    error_card: tuple[ErrorRow, ...] = ()
    regions: RegionReport | None = None
    calibration: CalibrationSection | None = None

    def find(self, metric: str, level: str = "clip") -> Evaluation | None:
        """The value of one metric at one level, or None where the data cannot give it."""
        return next((e for e in self.evaluations if e.metric == metric and e.level == level), None)


def count(clips: Sequence[ScoredClip]) -> Counts:
    """Numbers of clips by label, and of those without a score."""
    fake = [clip.score.logit for clip in clips if clip.record.label == "fake"]
    real = [clip.score.logit for clip in clips if clip.record.label == "real"]
    return Counts(len(real), len(fake), real.count(None), fake.count(None))


def validation_facts(result: EvaluationResult) -> tuple[Evaluation, ...]:
    """Clip AUC and the share of real clips classified as fake, as far as the data give them."""
    found = [result.find("auc")]
    everything = next((row for row in result.error_card if row.factor == "all"), None)
    if everything is not None and everything.alarm_rate is not None:
        rate = everything.alarm_rate
        found.append(
            Evaluation(
                "false_alarm_rate", rate.value, "clip", everything.reals, 0, rate.low, rate.high, everything.clusters
            )
        )
    return tuple(each for each in found if each is not None)


def split_words(split: str) -> str:
    """Name of a split in a title."""
    return "all splits" if split == "all" else f"{split} split"


def render_json(result: EvaluationResult) -> str:
    """The result as JSON text with a fixed order of keys."""
    return json.dumps(msgspec.to_builtins(result), indent=2, ensure_ascii=False) + "\n"
