"""The validated domain of a detector: ranges of facts over the clips it was measured on.

``validated.json`` beside a detector's weights holds, for each measured fact, the 1st and 99th percentile over those
clips. The measured numbers do not apply to a file outside them by more than a tolerance, which is a factor: sizes, bits
and rates are compared as ratios. What reaches the detector are crops of faces, so where their detail, grain and block
grid are measured, these are compared, and the bits for each pixel are not. What is outside is ordered by its effect on
the detector: how closely the fact goes with the score within a class, times how far outside the file lies.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from scipy.stats import rankdata

from detect.calibration.facts import FileFacts
from detect.calibration.files import VALIDATED_NAME, beside, read_document
from detect.scoring.samples import ScoredClip
from shared.results.scores import Outside
from shared.storage import write_text

_FORMAT = 2
_READ = (1, 2)  # the first has no facts of crops, and no effects
_MAX_BYTES = 1 << 20
_PERCENTILES = (1.0, 50.0, 99.0)
_FEWEST = 8
_LEAST_EFFECT = 0.05


@dataclass(frozen=True)
class _Fact:
    """How a fact is named and compared.

    Attributes:
        what, unit: for readers.
        below, above: what a file is that lies below or above.
        tolerance: factor beyond a percentile that is still inside.
        effect: on the detector, from 0 to 1, where it was not measured.
        instead: facts that replace this one where the domain and the file have them.
        upward: whether a value above the range is outside at all, if crops are measured.
        downward: whether one below is.
    """

    what: str
    unit: str
    below: str
    above: str
    tolerance: float
    effect: float
    instead: tuple[str, ...] = ()
    upward: bool = True
    downward: bool = True


_FACTS: Mapping[str, _Fact] = {
    "face_px": _Fact("the faces' width", "px", "the faces are smaller", "the faces are larger", 1.25, 0.5,
                     upward=False),
    "face_detail": _Fact("the faces' detail", "", "the faces are softer", "the faces are sharper", 1.1, 0.5),
    "face_grain": _Fact("the faces' grain", "grey levels", "the faces are smoothed more, by compression or a filter,",
                        "the faces are noisier", 1.5, 0.4),
    "face_blocks": _Fact("the faces' block grid", "times its surroundings", "", "the faces are blockier", 3.0, 0.3,
                         downward=False),
    "bits_per_pixel": _Fact("the number of bits for a pixel", "bit", "the picture is compressed more",
                            "the picture is compressed less", 2.0, 0.4, ("face_detail", "face_grain")),
    "bit_rate_kbps": _Fact("the bit rate", "kbit/s", "the bit rate is lower", "the bit rate is higher", 2.0, 0.2,
                           ("bits_per_pixel",)),
    "short_side_px": _Fact("the picture's short side", "px", "the picture is smaller", "the picture is larger", 2.0,
                           0.1, ("face_px",)),
    "frame_rate": _Fact("the frame rate", "frames/s", "the frame rate is lower", "the frame rate is higher", 2.5, 0.05),
}  # fmt: skip
_RECORDED = tuple(name for name in _FACTS if name not in ("bit_rate_kbps", "short_side_px"))
_OPTIONAL = ("face_detail", "face_grain", "face_blocks")
"""Facts that may be unknown: others stand in for them."""

_CODEC_EFFECT = 0.4
_FINDER_EFFECT = 2.0  # first of all: other landmarks make other crops
_FAMILIES = {
    "H.264 and its successors": ("h264", "hevc", "vp8", "vp9", "av1", "vvc"),
    "MPEG-1 to MPEG-4 part 2": (
        "mpeg1video", "mpeg2video", "mpeg4", "h261", "h263", "flv1", "msmpeg4v1", "msmpeg4v2", "msmpeg4v3", "wmv1",
        "wmv2",
    ),
    "JPEG": ("mjpeg", "jpeg", "mpo"),
    "lossless": ("ffv1", "huffyuv", "ffvhuff", "utvideo", "rawvideo", "png", "apng", "tiff", "bmp"),
}  # fmt: skip
"""Codecs with alike traces: of one family they count as one."""


@dataclass(frozen=True)
class Range:
    """The 1st, 50th and 99th percentile of a fact over ``clips`` clips.

    ``effect`` is its rank correlation with the score, without a sign, the mean of both classes; None if not measured.
    """

    low: float
    middle: float
    high: float
    clips: int
    effect: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.middle <= self.high < math.inf:
            raise ValueError(f"a range must ascend, got {self.low}, {self.middle}, {self.high}")

    def beyond(self, value: float, tolerance: float = 1.0) -> float | None:
        """Distance of ``value`` outside, as a share of the nearer end; None inside, or within the factor ``tolerance``.

        Negative below, positive above: half of the low end is -0.5, twice the high end is 1.
        """
        if self.low / tolerance <= value <= self.high * tolerance:
            return None
        end = self.low if value < self.low else self.high
        return value / end - 1 if end else math.inf


@dataclass(frozen=True)
class Domain:
    """The validated domain of a detector: the contents of ``validated.json``.

    Attributes:
        dataset, manifest_sha256, split: of the clips.
        real, fake: number of clips with a face.
        people: number of people filmed in them.
        ranges: by fact (see :class:`detect.calibration.facts.FileFacts`).
        codecs, renditions, manipulations: number of clips by name.
        level: of the numbers.
        weights_sha256: mark of the detector that they belong to (see :func:`detect.calibration.files.detector_mark`).
        finder: name of the face finder. Both are empty in older files.
        format: of this file.
    """

    dataset: str
    manifest_sha256: str
    split: str
    real: int
    fake: int
    people: int
    ranges: dict[str, Range] = field(default_factory=dict)
    codecs: dict[str, int] = field(default_factory=dict)
    renditions: dict[str, int] = field(default_factory=dict)
    manipulations: dict[str, int] = field(default_factory=dict)
    level: str = "clip"
    weights_sha256: str = ""
    finder: str = ""
    format: int = _FORMAT

    def outside(self, facts: FileFacts) -> tuple[Outside, ...]:
        """The facts of a file that are outside or unknown, those of most effect first; empty for a file inside."""
        crops = self._known("face_detail", facts)
        found = [
            reason
            for name, span in self.ranges.items()
            if name in _FACTS and (reason := self._compared(name, span, facts, crops)) is not None
        ]
        families = {codec_family(codec) for codec in self.codecs}
        if facts.codec is None or codec_family(facts.codec) not in families:
            known = ", ".join(self.codecs) or "none"
            what = "the codec is not known" if facts.codec is None else f"the codec is {codec_words(facts.codec)}"
            found.append((_CODEC_EFFECT, Outside("codec", f"{what}, validated: {known}", facts.codec)))
        if self.finder and facts.finder and facts.finder != self.finder:
            what = f"the faces were found by {facts.finder}, validated: {self.finder}"
            found.append((_FINDER_EFFECT, Outside("finder", what, facts.finder)))
        return tuple(reason for _, reason in sorted(found, key=lambda each: -each[0]))

    def _known(self, name: str, facts: FileFacts) -> bool:
        return name in self.ranges and getattr(facts, name) is not None

    def _compared(self, name: str, span: Range, facts: FileFacts, crops: bool) -> tuple[float, Outside] | None:
        """The effect and the reason, if the fact is outside; ``crops``: whether crops are compared."""
        fact, value = _FACTS[name], getattr(facts, name)
        if fact.instead and all(self._known(other, facts) for other in fact.instead):
            return None
        weight = max(_LEAST_EFFECT, fact.effect if span.effect is None else span.effect)
        seen = f"validated: {_number(span.low)} to {_number(span.high)} {fact.unit}".strip()
        if value is None:
            unknown = Outside(name, f"{fact.what} is not known, {seen}", None, span.low, span.high)
            return None if name in _OPTIONAL else (weight, unknown)
        beyond = span.beyond(value, fact.tolerance)
        if beyond is None or (beyond < 0 and not fact.downward) or (beyond > 0 and crops and not fact.upward):
            return None
        ratio = 1 / (1 + beyond) if -1 < beyond < 0 else math.inf if beyond <= -1 else 1 + beyond
        side = fact.below if beyond < 0 else fact.above
        by = f"{_number(ratio)} times beyond, {fact.tolerance:g} tolerated" if math.isfinite(ratio) else "beyond"
        text = f"{side} than validated ({fact.what}: {_number(value)} {fact.unit}".rstrip() + f"; {seen}; {by})"
        share = beyond if math.isfinite(beyond) else None
        reason = Outside(name, text, value, span.low, span.high, share)
        return weight * min(10.0, math.log2(ratio)), reason

    def rows(self) -> list[tuple[str, str]]:
        """The validated facts as table rows: name and range."""
        rows = [
            (_FACTS[name].what, f"{_number(span.low)} to {_number(span.high)} {_FACTS[name].unit}".strip())
            for name, span in self.ranges.items()
            if name in _FACTS
        ]
        for name in ("codecs", "renditions", "manipulations"):
            counted = ", ".join(f"{key} ({number})" for key, number in getattr(self, name).items())
            rows.append((name, counted or "none"))
        return [*rows, ("finder", self.finder)] if self.finder else rows

    def __str__(self) -> str:
        return f"{self.real} real and {self.fake} fake clips of {self.people} people in {self.dataset} ({self.split})"


def find_domain(
    clips: Sequence[ScoredClip], facts: Sequence[FileFacts], *, dataset: str, manifest_sha256: str, split: str
) -> Domain:
    """The domain of scored clips; clips without a face are ignored."""
    used = [(clip, known) for clip, known in zip(clips, facts, strict=True) if clip.score.logit is not None]
    ranges = {}
    for name in _RECORDED:
        values = [value for _, known in used if (value := getattr(known, name)) is not None]
        if values:
            ends = (float(value) for value in np.percentile(values, _PERCENTILES))
            ranges[name] = Range(*ends, clips=len(values), effect=_effect(name, used))
    records = [clip.record for clip, _ in used]
    return Domain(
        dataset=dataset,
        manifest_sha256=manifest_sha256,
        split=split,
        real=sum(record.label == "real" for record in records),
        fake=sum(record.label == "fake" for record in records),
        people=len({record.target_identity for record in records}),
        ranges=ranges,
        codecs=_counted(known.codec for _, known in used),
        renditions=_counted(record.rendition for record in records),
        manipulations=_counted(record.id.manipulation for record in records),
    )


def _effect(name: str, used: Sequence[tuple[ScoredClip, FileFacts]]) -> float | None:
    """How closely a fact goes with the score within a class; None with few clips of a class, or if it is constant."""
    found = []
    for label in ("real", "fake"):
        pairs = [
            (value, clip.score.logit)
            for clip, known in used
            if clip.record.label == label and (value := getattr(known, name)) is not None
        ]
        if len(pairs) < _FEWEST or min(len(set(column)) for column in zip(*pairs, strict=True)) < 2:
            return None
        values, logits = (rankdata(column) for column in zip(*pairs, strict=True))
        found.append(abs(float(np.corrcoef(values, logits)[0, 1])))
    return sum(found) / len(found)


def codec_family(codec: str) -> str:
    """The family of codecs with traces like those of ``codec``; its own name if it is in none."""
    return next((family for family, members in _FAMILIES.items() if codec in members), codec)


def codec_words(codec: str) -> str:
    """A codec with its family: "mpeg4 (MPEG-1 to MPEG-4 part 2)"."""
    family = codec_family(codec)
    return codec if family == codec else f"{codec} ({family})"


def write_domain(detector: str | Path, domain: Domain) -> Path:
    """Writes the ``validated.json`` of a detector; returns its path.

    Raises:
        CheckpointError: no detector there.
        StorageError: writing failed.
    """
    path = beside(detector, VALIDATED_NAME)
    domain = replace(domain, format=_FORMAT)
    write_text(path, json.dumps(asdict(domain), indent=2, allow_nan=False) + "\n")
    return path


def read_domain(detector: str | Path, mark: str = "") -> Domain | None:
    """The validated domain of the detector in a run or folder, or of the one a reference names; None when it has none.

    Args:
        detector: the detector.
        mark: of the detector, if known; a domain of another mark is ignored.

    Raises:
        CheckpointError: no detector there; the file is damaged, holds an unknown entry, or is of another format.
        UsageError: the reference does not exist.
    """
    path = beside(detector, VALIDATED_NAME)
    domain = read_document(path, Domain, known=_READ, max_bytes=_MAX_BYTES, numbered=False)
    others = domain is not None and mark and domain.weights_sha256 not in ("", mark)
    return None if others else domain


def domain_note(domain: Domain, facts: Sequence[FileFacts]) -> str:
    """A note on an evaluation: how many clips are outside the domain, and in which facts.

    ``facts`` are those of clips that have a score.
    """
    reasons = [domain.outside(known) for known in facts]
    count = sum(bool(each) for each in reasons)
    if not count:
        return f"All {len(facts)} clips lie in the validated domain ({domain})."
    names = {name: fact.what for name, fact in _FACTS.items()}
    what = _counted(names.get(each.fact, f"the {each.fact}") for found in reasons for each in found)
    named = ", ".join(f"{name} ({number})" for name, number in what.items())
    return f"{count} of {len(facts)} clips lie outside the validated domain ({domain}), by {named}."


def _number(value: float) -> str:
    """Three significant digits, without an exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _counted(names: Iterable[str | None]) -> dict[str, int]:
    """Count of each name, sorted by name; None is ignored."""
    return dict(sorted(Counter(name for name in names if name).items()))
