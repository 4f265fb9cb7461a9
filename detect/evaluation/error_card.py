"""Error card: rates of missed fakes and false alarms for each value of each factor of the clips.

Each row has its counts, an interval over people, and a mark when clips or people are few. Rows show correlation, not
causes: if a swapper was used on small faces only, both the swapper and the face size have a high rate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from detect.data.crops import ClipFaces
from detect.scoring.samples import ScoredClip
from shared.bootstrap import BootstrapSettings, share_interval
from shared.types import ClipId, ClipRecord, FrameLabel

UNKNOWN = "not measured"
SMALL_CLIPS = 10
SMALL_CLUSTERS = 5
MAX_VALUES = 24
"""A factor with more values than this is a measurement or a digest and forms no groups."""

FACE_PX_EDGES = (64, 96, 128, 192, 256)
YAW_EDGES = (10, 25, 45)
ITA_EDGES = (-30, 10, 28, 41, 55)
ITA_GROUPS = ("below -30", "-30 to 10", "10 to 28", "28 to 41", "41 to 55", "above 55")
"""Bounds of the individual typology angle, degrees, as in Del Bino and Bernerd (2013); larger is lighter."""

_FACES_A_CLIP = 8
_CHEEKS = ((41, 31, 48, 4, 2), (46, 35, 54, 12, 14))
_INWARD = 0.6
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True)
class Rate:
    """A share of clips with its 95 % interval over people; no interval with fewer than two clusters.

    See :func:`shared.bootstrap.share_interval`.
    """

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class ErrorRow:
    """One value of one factor.

    Attributes:
        factor, value: shared by the clips of the row.
        fakes, missed: fake clips with a score, and those of them below the threshold.
        miss_rate: None without a fake.
        reals, alarms: real clips with a score, and those of them classified as fake.
        alarm_rate: None without a real clip.
        no_face: clips without a score, part of no rate.
        clusters: number of clusters of people.
        small: fewer than ten clips of the class in the row, or fewer than five clusters.
    """

    factor: str
    value: str
    fakes: int
    missed: int
    miss_rate: Rate | None
    reals: int
    alarms: int
    alarm_rate: Rate | None
    no_face: int
    clusters: int
    small: bool


def error_card(
    clips: Sequence[ScoredClip],
    clusters: np.ndarray,
    threshold_logit: float,
    *,
    measured: Mapping[ClipId, Mapping[str, str]] | None = None,
    bootstrap: BootstrapSettings | None = None,
) -> tuple[ErrorRow, ...]:
    """A row for all clips and for every value of every factor, the most missed values of a factor first.

    Args:
        clips: scored, each with a label.
        clusters: (C,) cluster of each clip.
        threshold_logit: logit from which a clip is classified as fake.
        measured: measurements of the pictures, by clip; see :func:`measure_clips`.
        bootstrap: replicates, confidence and seed.

    Factors that have one value, or more than 24, are left out.
    """
    bootstrap = bootstrap or BootstrapSettings()
    everywhere = np.ones(len(clips), bool)
    if not clips:
        return ()
    rows = [_row("all", "all", clips, everywhere, clusters, threshold_logit, bootstrap)]
    known = [{**record_factors(clip.record), **(measured or {}).get(clip.record.id, {})} for clip in clips]
    for factor in dict.fromkeys(name for one in known for name in one):
        values = np.array([one.get(factor, "") for one in known])
        names = sorted(set(values.tolist()) - {""})
        if not 2 <= len(names) <= MAX_VALUES:
            continue
        of_factor = [_row(factor, name, clips, values == name, clusters, threshold_logit, bootstrap) for name in names]
        rows += sorted(of_factor, key=lambda row: -(row.miss_rate.value if row.miss_rate else -1.0))
    return tuple(rows)


def record_factors(record: ClipRecord) -> dict[str, str]:
    """Factors of a clip by the manifest that may affect its difficulty: how it was made and compressed."""
    found: dict[str, str] = {}
    if record.id.manipulation is not None:
        found["manipulation"] = record.id.manipulation
    if record.architecture is not None:
        found["architecture"] = record.architecture
    if record.swapper is not None:
        found["swapper"] = record.swapper[:12]
    if record.label == "fake":
        found["self-swap"] = "yes" if record.is_self_swap else "no"
    found["codec"], found["rendition"] = record.codec, record.rendition
    found |= {
        name: value for name, value in sorted(record.factors.items()) if name != "title" and not _is_digest(value)
    }
    return found


def measure_clips(clips: Sequence[ClipFaces]) -> dict[ClipId, dict[str, str]]:
    """Measurements of each clip's pictures: face width, yaw, and the apparent skin tone of the filmed person.

    * face width: median width of the face boxes, frame pixels, in bins.
    * yaw: median of its absolute value, degrees, in bins.
    * skin tone (ITA): the individual typology angle of the cheeks, the median over the filmed person's real clips here,
      for the real and the fake clips of that person alike. It describes pictures, light and camera included, and
      not people; it serves to find uneven error rates.

    Raises:
        FacesetError: a crop is missing or damaged.
    """
    tones = _tones(clips)
    found: dict[ClipId, dict[str, str]] = {}
    for clip in clips:
        width = yaw = UNKNOWN
        if clip.faceset is not None:
            boxes = np.array(clip.faceset.table.column("box").to_pylist(), np.float64).reshape(-1, 4)
            width = binned(float(np.median(boxes[:, 2] - boxes[:, 0])), FACE_PX_EDGES, "px")
            turned = np.abs(clip.faceset.table.column("yaw_degrees").to_numpy().astype(np.float64))
            yaw = binned(float(np.median(turned)), YAW_EDGES, "degrees")
        found[clip.record.id] = {
            "face width": width,
            "yaw": yaw,
            "skin tone (ITA)": tones.get(clip.identity, UNKNOWN),
        }
    return found


def measure_labels(labels: Sequence[FrameLabel]) -> dict[ClipId, dict[str, str]]:
    """Face widths by clip from a dataset's own labels, for detectors of whole clips."""
    widths: dict[ClipId, list[float]] = {}
    for label in labels:
        if label.box is not None:
            widths.setdefault(label.clip, []).append(label.box[2] - label.box[0])
    return {
        clip: {"face width": binned(float(np.median(found)), FACE_PX_EDGES, "px")} for clip, found in widths.items()
    }


def binned(value: float, edges: Sequence[float], unit: str) -> str:
    """Name of the bin of ``value``: "below 64 px", "64 to 96 px", "256 px and more"; an edge is in the bin above."""
    place = int(np.searchsorted(edges, value, side="right"))
    if place == 0:
        return f"below {edges[0]:g} {unit}"
    if place == len(edges):
        return f"{edges[-1]:g} {unit} and more"
    return f"{edges[place - 1]:g} to {edges[place]:g} {unit}"


def ita_degrees(crop: np.ndarray, landmarks: np.ndarray) -> float | None:
    """The individual typology angle of the cheeks, atan2(L - 50, b) in degrees (Chardon et al., 1991).

    Args:
        crop: (S, S, 3) uint8 RGB.
        landmarks: (68, 2) in crop pixels.

    Returns:
        None when no cheek pixel lies in the crop.
    """
    region = np.zeros(crop.shape[:2], np.uint8)
    for cheek in _CHEEKS:
        points = landmarks[list(cheek)].astype(np.float64)
        inner = points.mean(axis=0) + _INWARD * (points - points.mean(axis=0))
        cv2.fillConvexPoly(region, cv2.convexHull(np.round(inner).astype(np.int32)), 1)
    pixels = crop[region.astype(bool)]
    if not len(pixels):
        return None
    lab = cv2.cvtColor((pixels[None].astype(np.float32) / 255), cv2.COLOR_RGB2LAB)[0]
    light, _, yellow = np.median(lab, axis=0)
    return float(np.degrees(np.arctan2(light - 50.0, yellow)))


def ita_group(degrees: float) -> str:
    """Which of :data:`ITA_GROUPS` an angle falls into."""
    return ITA_GROUPS[int(np.searchsorted(ITA_EDGES, degrees, side="right"))]


def _tones(clips: Sequence[ClipFaces]) -> dict[str, str]:
    """The skin tone group of each filmed person who has a real clip here."""
    angles: dict[str, list[float]] = {}
    for clip in clips:
        if clip.record.label != "real" or clip.faceset is None:
            continue
        points = clip.faceset.landmarks_in_crop()
        rows = np.unique(np.linspace(0, len(clip.faceset) - 1, _FACES_A_CLIP).round().astype(int)).tolist()
        for row in rows:
            angle = ita_degrees(clip.faceset.crop(row), points[row])
            if angle is not None:
                angles.setdefault(clip.identity, []).append(angle)
    return {person: ita_group(float(np.median(found))) for person, found in angles.items()}


def _row(
    factor: str,
    value: str,
    clips: Sequence[ScoredClip],
    chosen: np.ndarray,
    clusters: np.ndarray,
    threshold: float,
    bootstrap: BootstrapSettings,
) -> ErrorRow:
    fake = np.array([clip.record.label == "fake" for clip in clips], bool)
    scored = np.array([clip.score.logit is not None for clip in clips], bool)
    called = np.array([clip.score.logit is not None and clip.score.logit >= threshold for clip in clips], bool)
    fakes, reals = chosen & scored & fake, chosen & scored & ~fake
    numbers = [int(part.sum()) for part in (fakes, reals) if part.any()]
    people = int(np.unique(clusters[chosen & scored]).size)
    return ErrorRow(
        factor=factor,
        value=value,
        fakes=int(fakes.sum()),
        missed=int((fakes & ~called).sum()),
        miss_rate=_rate(~called[fakes], clusters[fakes], bootstrap),
        reals=int(reals.sum()),
        alarms=int((reals & called).sum()),
        alarm_rate=_rate(called[reals], clusters[reals], bootstrap),
        no_face=int((chosen & ~scored).sum()),
        clusters=people,
        small=min(numbers, default=0) < SMALL_CLIPS or people < SMALL_CLUSTERS,
    )


def _rate(wrong: np.ndarray, clusters: np.ndarray, bootstrap: BootstrapSettings) -> Rate | None:
    if not wrong.size:
        return None
    return Rate(float(wrong.mean()), *(share_interval(wrong, clusters, bootstrap) or (None, None)))


def _is_digest(value: str) -> bool:
    return len(value) >= 16 and set(value) <= _HEX
