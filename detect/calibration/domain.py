"""The validated domain of a detector: ranges of facts over the clips it was measured on.

``validated.json`` beside a detector's weights holds, for each measured fact, the 1st and 99th percentile over those
clips. The measured numbers do not apply to a file outside them by more than a tenth of the value, or with an unknown
fact.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from detect.calibration.files import VALIDATED_NAME, beside, read_document
from detect.scoring.samples import ScoredClip
from shared.results.scores import FrameScore, Outside
from shared.storage import write_text
from shared.types import VideoInfo
from shared.video import probe

MARGIN = 0.1
"""Tolerance beyond a percentile, as a share of it."""

_FORMAT = 1
_MAX_BYTES = 1 << 20
_PERCENTILES = (1.0, 50.0, 99.0)
_NAMES = {
    "face_px": ("the faces' width", "px"),
    "short_side_px": ("the picture's short side", "px"),
    "bit_rate_kbps": ("the bit rate", "kbit/s"),
    "bits_per_pixel": ("the bits for each pixel", "bit"),
    "frame_rate": ("the frame rate", "frames/s"),
}


@dataclass(frozen=True)
class FileFacts:
    """Facts of a file that are compared with a domain; None if unknown.

    Attributes:
        face_px: median width of the boxes of the faces that were scored.
        short_side_px: of the displayed frame.
        bit_rate_kbps: of the video, 1000 bit per second.
        bits_per_pixel: bit rate over pixels per second.
        frame_rate: frames per second.
        codec: of the video.
        finder: name of the face finder.
    """

    face_px: float | None
    short_side_px: float | None
    bit_rate_kbps: float | None
    bits_per_pixel: float | None
    frame_rate: float | None
    codec: str | None
    finder: str | None = None


@dataclass(frozen=True)
class Range:
    """The 1st, 50th and 99th percentile of a fact over ``clips`` clips."""

    low: float
    middle: float
    high: float
    clips: int

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.middle <= self.high < math.inf:
            raise ValueError(f"a range must ascend, got {self.low}, {self.middle}, {self.high}")

    def beyond(self, value: float) -> float | None:
        """Distance of ``value`` outside, as a share of the nearer end; None inside, or within the margin.

        Negative below, positive above: half of the low end is -0.5, twice the high end is 1.
        """
        if self.low * (1 - MARGIN) <= value <= self.high * (1 + MARGIN):
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
        ranges: by fact (see :class:`FileFacts`).
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
        """The facts of a file that are outside or unknown; empty for a file inside."""
        found = []
        for name, span in self.ranges.items():
            value = getattr(facts, name, None)
            beyond = None if value is None else span.beyond(value)
            if value is None or beyond is not None:
                found.append(_outside(name, span, value, beyond))
        if facts.codec not in self.codecs:
            known = ", ".join(self.codecs) or "none"
            what = f"the codec is {facts.codec or 'not known'}, validated: {known}"
            found.append(Outside("codec", what, facts.codec))
        if self.finder and facts.finder and facts.finder != self.finder:
            what = f"the faces were found by {facts.finder}, validated: {self.finder}"
            found.append(Outside("finder", what, facts.finder))
        return tuple(found)

    def rows(self) -> list[tuple[str, str]]:
        """The validated facts as table rows: name and range."""
        rows = [
            (f"{_NAMES.get(name, (name, ''))[0]}", f"{_number(span.low)} to {_number(span.high)} {_unit(name)}".strip())
            for name, span in self.ranges.items()
        ]
        for name in ("codecs", "renditions", "manipulations"):
            counted = ", ".join(f"{key} ({number})" for key, number in getattr(self, name).items())
            rows.append((name, counted or "none"))
        return [*rows, ("finder", self.finder)] if self.finder else rows

    def __str__(self) -> str:
        return f"{self.real} real and {self.fake} fake clips of {self.people} people in {self.dataset} ({self.split})"


def file_facts(
    info: VideoInfo, size_bytes: int, frames: Sequence[FrameScore], *, finder: str | None = None
) -> FileFacts:
    """The facts of one file from its container, its size, the scored faces and their finder."""
    rate = float(info.frame_rate) if info.frame_rate else None
    bits = float(info.bit_rate) if info.bit_rate else None
    if bits is None and info.duration_seconds:
        bits = 8.0 * size_bytes / info.duration_seconds  # sound included: such a container does not tell them apart
    widths = [score.box[2] - score.box[0] for score in frames]
    return FileFacts(
        face_px=float(np.median(widths)) if widths else None,
        short_side_px=float(min(info.width, info.height)),
        bit_rate_kbps=None if bits is None else bits / 1000,
        bits_per_pixel=None if bits is None or rate is None else bits / (rate * info.width * info.height),
        frame_rate=rate,
        codec=info.codec,
        finder=finder,
    )


def clip_facts(path: Path, clip: ScoredClip) -> FileFacts:
    """The facts of one clip of a dataset, whose file is ``path``.

    Raises:
        MediaError: it is not a readable video.
    """
    return file_facts(probe(path), path.stat().st_size, clip.frames)


def find_domain(
    clips: Sequence[ScoredClip], facts: Sequence[FileFacts], *, dataset: str, manifest_sha256: str, split: str
) -> Domain:
    """The domain of scored clips; clips without a face are ignored."""
    used = [(clip, known) for clip, known in zip(clips, facts, strict=True) if clip.score.logit is not None]
    ranges = {}
    for name in _NAMES:
        values = [value for _, known in used if (value := getattr(known, name)) is not None]
        if values:
            ranges[name] = Range(*(float(value) for value in np.percentile(values, _PERCENTILES)), clips=len(values))
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


def write_domain(detector: str | Path, domain: Domain) -> Path:
    """Writes the ``validated.json`` of a detector; returns its path.

    Raises:
        CheckpointError: no detector there.
        StorageError: writing failed.
    """
    path = beside(detector, VALIDATED_NAME)
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
    domain = read_document(path, Domain, known=_FORMAT, max_bytes=_MAX_BYTES, numbered=False)
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
    what = _counted(_NAMES.get(each.fact, (f"the {each.fact}",))[0] for found in reasons for each in found)
    named = ", ".join(f"{name} ({number})" for name, number in what.items())
    return f"{count} of {len(facts)} clips lie outside the validated domain ({domain}), by {named}."


def _outside(name: str, span: Range, value: float | None, beyond: float | None) -> Outside:
    what = _NAMES.get(name, (name, ""))[0]
    seen = f"validated: {_number(span.low)} to {_number(span.high)} {_unit(name)}".strip()
    if value is None or beyond is None:
        return Outside(name, f"{what} is not known, {seen}", None, span.low, span.high)
    by = f"{100 * abs(beyond):.0f} % {'below' if beyond < 0 else 'above'}" if math.isfinite(beyond) else "above"
    text = f"{what} is {_number(value)} {_unit(name)}, {by} what was seen ({seen})"
    return Outside(name, text, value, span.low, span.high, beyond if math.isfinite(beyond) else None)


def _unit(name: str) -> str:
    return _NAMES.get(name, ("", ""))[1]


def _number(value: float) -> str:
    """Three significant digits, without an exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _counted(names: Iterable[str | None]) -> dict[str, int]:
    """Count of each name, sorted by name; None is ignored."""
    return dict(sorted(Counter(name for name in names if name).items()))
