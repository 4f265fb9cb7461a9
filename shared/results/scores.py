"""Values of detector scores, evaluations and reports. A score is not a probability."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from shared.results.calibration import OutsideBound, PredictionSet
from shared.types import ClipId, Label

Level = Literal["frame", "track", "clip"]
Verdict = Literal["real", "fake", "inconclusive", "not validated"]


@dataclass(frozen=True, slots=True)
class FrameScore:
    """A detector's raw logit for one face in one frame; positive means fake.

    ``landmarks`` (68, 2) float32, frame pixels, are those by which the crop that was scored was cut out of the frame;
    None where the crop itself is kept, as those of a dataset are.
    """

    clip: ClipId
    frame: int
    seconds: float
    track: int
    logit: float
    box: tuple[float, float, float, float]
    landmarks: np.ndarray | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class TrackScore:
    """The aggregated logit of one track of a clip."""

    clip: ClipId
    track: int
    logit: float
    frames: int


@dataclass(frozen=True, slots=True)
class ClipScore:
    """The aggregated logit of one clip; None when no face could be scored, never a default.

    ``probability`` and ``llr`` (log10 of the likelihood ratio, positive for fake) stay None until a calibration has
    been fitted.
    """

    clip: ClipId
    label: Label | None
    logit: float | None
    frames_read: int
    frames_with_face: int
    frames_scored: int
    tracks: int
    aggregation: str
    probability: float | None = None
    llr: float | None = None

    def __post_init__(self) -> None:
        if (self.logit is None) != (self.frames_scored == 0):
            raise ValueError(f"{self.clip}: a clip has a logit exactly when a frame of it was scored")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One metric with level, counts and interval.

    ``low`` and ``high`` bound the ``confidence`` interval of a bootstrap over ``clusters`` clusters; None if
    undefined (fewer than two clusters per class).
    """

    metric: str
    value: float
    level: Level
    num_real: int
    num_fake: int
    low: float | None = None
    high: float | None = None
    clusters: int = 0
    confidence: float = 0.95

    def __str__(self) -> str:
        interval = "no interval" if self.low is None or self.high is None else f"[{self.low:.3f}, {self.high:.3f}]"
        return f"{self.metric} {self.value:.3f} {interval} ({self.level}, {self.num_real} real / {self.num_fake} fake)"


@dataclass(frozen=True, slots=True)
class EvidencePicture:
    """A picture of a finding: its PNG file in the case folder, and a description for those who do not see it."""

    file: str
    alt: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """One finding about a file: subject, result and limits.

    Attributes:
        name: of the method.
        finding: the result in words.
        details: all values behind it.
        limits: what the finding does not show.
        value: the number that ``finding`` rests on; None where there is none. Its meaning is in ``finding``.
        reference: what the value is compared with.
        odd: whether the finding differs from the reference; None where the method only describes. Odd is not forged.
        pictures: in the case folder.
    """

    name: str
    finding: str
    details: dict[str, str | int | float | bool | None] = field(default_factory=dict)
    limits: str = ""
    value: float | None = None
    reference: str = ""
    odd: bool | None = None
    pictures: tuple[EvidencePicture, ...] = ()


@dataclass(frozen=True, slots=True)
class DetectorResult:
    """The result of one more detector on the same file, for comparison.

    ``low`` and ``high`` bound the interval of ``logit``; ``llr`` (log10) is None without a calibration that holds.
    ``same_side``: share of the faces scored by both that lie on the same side of both thresholds as for the first
    detector, of ``faces_in_common``; None without any.
    """

    name: str
    weights_sha256: str
    finder: str
    verdict: Verdict
    reason: str
    logit: float | None
    low: float | None
    high: float | None
    threshold: float
    llr: float | None = None
    same_side: float | None = None
    faces_in_common: int = 0


@dataclass(frozen=True, slots=True)
class ScorePart:
    """What one of several fused detectors says of a file.

    Attributes:
        name: the detector.
        logit: its own; None if it scored nothing.
        part: the fused logit, a natural log likelihood ratio, minus what it would be had this one scored nothing.
    """

    name: str
    logit: float | None
    part: float


@dataclass(frozen=True, slots=True)
class Outside:
    """One fact in which a file is outside the detector's validated domain.

    Attributes:
        fact: its name in ``validated.json``.
        text: description for readers.
        value: that of the file; None if unknown.
        low, high: the validated range.
        beyond: distance outside, as a share of the nearer end: -0.5 is half of it, 1 is twice.
    """

    fact: str
    text: str
    value: float | str | None = None
    low: float | None = None
    high: float | None = None
    beyond: float | None = None


@dataclass(frozen=True, slots=True)
class CalibratedScore:
    """The calibrated interpretation of a score, valid only for files like those of the calibration.

    Attributes:
        holds: False when the file is outside the validated domain; the numbers then do not apply.
        llr: log10 of the likelihood ratio, positive for the first of the two ``propositions``.
        low, high: its 95 % interval over the people of the calibration.
        lower_bound, upper_bound: limits that the calibration's data support (ELUB), and those of tools that were not
            learned from, the nearer to 0 of both.
        at_bound: whether the ratio is one of these.
        words: wording on the verbal ``scale``.
        probability: of a fake given ``prior``: prior odds times the likelihood ratio.
        by_prior: the same for other priors, as pairs.
        population: data of the calibration.
        left_out: how its quality was measured; ``quality``: Cllr, ECE and others, with intervals.
        learned_llr: the ratio within the calibration's own limits ``learned_bounds``: among the manipulations learned
            from.
        outside: how ratios held on tools that were not learned from; None if no such tool was measured.
        prediction: the conformal prediction set; None without one, and ``prediction_note`` says why.
    """

    holds: bool
    llr: float
    low: float
    high: float
    lower_bound: float
    upper_bound: float
    at_bound: bool
    words: str
    scale: str
    propositions: tuple[str, str]
    probability: float
    prior: float
    by_prior: tuple[tuple[float, float], ...]
    population: str
    left_out: str
    quality: tuple[Evaluation, ...]
    learned_llr: float | None = None
    learned_bounds: tuple[float, float] | None = None
    outside: OutsideBound | None = None
    prediction: PredictionSet | None = None
    prediction_note: str = ""


@dataclass(frozen=True, slots=True)
class SoundSegment:
    """A part of a sound that a detector of speech scores above its threshold: seconds and mean logit."""

    start: float
    stop: float
    logit: float


@dataclass(frozen=True, slots=True)
class SoundResult:
    """The result of a detector of synthetic speech on the sound of a file.

    Attributes:
        name: of the detector, ``kind`` of its model, ``weights_sha256`` of its weights.
        verdict: by the rules of a report; ``reason`` in words.
        begins: time of the sound's first sample, in seconds; ``seconds`` is its length.
        logit: of the whole; None if nothing could be scored. ``low`` and ``high`` bound its 95 % interval over time.
        threshold: of the whole, ``step_threshold`` of a step of 20 ms.
        segments: parts above the latter, in order.
        llr: log10 of the likelihood ratio, positive for synthetic, with its interval and bounds; None without a
            calibration that holds. ``words`` by ENFSI's scale.
        population: the recordings of the calibration; ``engines``: the engines that were learned from.
        outside: facts outside the validated domain, which is described by ``domain``.
        quality: of the detector on its validation recordings.
        read: what of the sound was not read; empty if all was.
    """

    name: str
    kind: str
    weights_sha256: str
    verdict: Verdict
    reason: str
    begins: float
    seconds: float
    logit: float | None
    low: float | None
    high: float | None
    threshold: float
    step_threshold: float
    segments: tuple[SoundSegment, ...] = ()
    llr: float | None = None
    llr_low: float | None = None
    llr_high: float | None = None
    llr_bounds: tuple[float, float] | None = None
    words: str = ""
    population: str = ""
    engines: tuple[str, ...] = ()
    outside: tuple[Outside, ...] = ()
    domain: str = ""
    quality: tuple[Evaluation, ...] = ()
    read: str = ""


@dataclass(frozen=True, slots=True)
class ForensicReport:
    """The machine-readable report on one suspect file.

    ``verdict`` is "not validated" without a calibration that holds for the file, and "inconclusive" whenever material
    or detector support no conclusion; ``validation``: how the detector did on its validation clips. ``calibrated`` is
    None when the detector has no calibration for its score, and ``calibration`` then says why; ``outside`` lists
    facts outside the validated domain, and ``domain`` describes it; ``limits`` lists other differences in how the score
    was computed. ``others`` are the results of further detectors, and ``agreement`` compares them with this one.
    ``sound`` is the result of a detector of synthetic speech; None if none took part. ``parts``: of detectors that are
    fused clip by clip, what each adds to the score.
    """

    path_name: str
    sha256_intake: str
    sha256_exit: str
    size_bytes: int
    verdict: Verdict
    reason: str
    score: ClipScore | None
    tracks: tuple[TrackScore, ...]
    evidence: tuple[Evidence, ...]
    analysed: tuple[str, ...]
    not_analysed: tuple[str, ...]
    detector: dict[str, str]
    tool: dict[str, str]
    low: float | None = None
    high: float | None = None
    calibrated: CalibratedScore | None = None
    calibration: str = ""
    outside: tuple[Outside, ...] = ()
    domain: str = ""
    limits: tuple[str, ...] = ()
    validation: tuple[Evaluation, ...] = ()
    sha512_intake: str = ""
    others: tuple[DetectorResult, ...] = ()
    agreement: str = ""
    sound: SoundResult | None = None
    parts: tuple[ScorePart, ...] = ()
