"""What the page reads of a case: its report in brief, scored faces by frame, its log, and the file it is about."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa

from shared.errors import AssayError, CaseError
from shared.faces.align import frame_to_crop, invert
from shared.results.regions import REGION_SIDE, REGIONS_NAME
from shared.storage import decode_json, read_bytes, read_json, sha256_file
from shared.types import NUM_LANDMARKS
from shared.web.config import WorkFolder
from shared.web.found import Work
from shared.web.tables import Kept, decoded_apart, send_case, send_regions
from shared.web.uploads import FACTS

MAX_REPORT_BYTES = 256 << 20
MAX_PICTURE_BYTES = 64 << 20
_MAX_LOG_BYTES = 64 << 20
_HEAT = re.compile(r"face-(\d+)-track-(\d+)-frame-(\d+)-heat\.png")
_INPUT = re.compile(r"(\d{1,4}) px, framing (half|midface|full|whole|head)")
PICTURE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}\.png")
_REGION_BYTES = REGION_SIDE * REGION_SIDE + 256
"""Of a map in a dictionary, roughly."""
_HINT = "inspect the file again, or restore the case from a copy"


@dataclass(frozen=True)
class ScoreBrief:
    """The score of a report: logit, and frames read and scored."""

    logit: float | None = None
    frames_read: int = 0
    frames_scored: int = 0
    tracks: int = 0
    llr: float | None = None
    probability: float | None = None


@dataclass(frozen=True)
class FindingBrief:
    """One finding: name, text, and whether it differs from its reference."""

    name: str = ""
    finding: str = ""
    odd: bool | None = None
    limits: str = ""
    reference: str = ""


@dataclass(frozen=True)
class SoundBrief:
    """The result of a detector of synthetic speech: its name, the verdict on the sound, the reason in words."""

    name: str
    verdict: str
    reason: str = ""


@dataclass(frozen=True)
class ReportBrief:
    """The parts of ``report.json`` that the page shows itself; the rest is in ``report.html``."""

    path_name: str
    verdict: str
    reason: str = ""
    sha256_intake: str = ""
    size_bytes: int = 0
    score: ScoreBrief | None = None
    low: float | None = None
    high: float | None = None
    detector: dict[str, str] = field(default_factory=dict)
    evidence: tuple[FindingBrief, ...] = ()
    not_analysed: tuple[str, ...] = ()
    agreement: str = ""
    sound: SoundBrief | None = None


@dataclass(frozen=True)
class LogBrief:
    """One line of the log."""

    number: int
    step: str
    began: str
    ended: str = ""
    details: dict[str, Any] = field(default_factory=dict)


def read_report(case: Path) -> ReportBrief:
    """The report of a case, in brief; kept until the file changes.

    Raises:
        CaseError: it is damaged.
    """
    return _read_report(case / "report.json", *_stamp(case / "report.json"))


@lru_cache(maxsize=512)
def _read_report(path: Path, _modified: int, _size: int) -> ReportBrief:
    return read_json(path, ReportBrief, MAX_REPORT_BYTES, error=CaseError, hint=_HINT)


def read_steps(case: Path) -> list[LogBrief]:
    """The lines of the log of a case, without a check of the chain; none for a case of an earlier version.

    Raises:
        CaseError: it is damaged.
    """
    path = case / "log.jsonl"
    if not path.is_file():
        return []
    data = read_bytes(path, _MAX_LOG_BYTES, error=CaseError, hint=_HINT)
    return [decode_json(line, LogBrief, path, error=CaseError, hint=_HINT) for line in data.splitlines()]


@dataclass(frozen=True, eq=False)
class ScoredFaces:
    """The scored faces of a case, a row each, in order of frames.

    Attributes:
        frames, tracks: (N,) int.
        seconds, logits: (N,) float.
        boxes: (N, 4) float, frame pixels.
        landmarks: (N, 68, 2) float, frame pixels; NaN where there are none.
    """

    frames: np.ndarray
    seconds: np.ndarray
    tracks: np.ndarray
    logits: np.ndarray
    boxes: np.ndarray
    landmarks: np.ndarray

    @property
    def nbytes(self) -> int:
        """Of all columns."""
        columns = (self.frames, self.seconds, self.tracks, self.logits, self.boxes, self.landmarks)
        return sum(column.nbytes for column in columns)


_FACES: Kept[ScoredFaces] = Kept(lambda faces: faces.nbytes)
_REGIONS: Kept[dict[tuple[int, int], bytes]] = Kept(lambda regions: len(regions) * _REGION_BYTES)


def read_faces(case: Path) -> ScoredFaces:
    """The table ``frames.parquet`` of a case.

    Raises:
        CaseError: it is damaged or too large.
    """
    path = case / "frames.parquet"
    return _FACES.get((path, *_stamp(path)), lambda: _read_faces(path))


def _read_faces(path: Path) -> ScoredFaces:
    table = decoded_apart(path, send_case, error=CaseError, hint=_HINT)
    try:
        return _faces_of(table)
    except (KeyError, TypeError, ValueError) as error:
        why = (str(error).splitlines() or ["it is damaged"])[0]
        raise CaseError(f"{path} cannot be read: {why}", hint=_HINT) from error


def _faces_of(table: pa.Table) -> ScoredFaces:
    count = table.num_rows
    landmarks = np.full((count, NUM_LANDMARKS, 2), np.nan)
    if "landmarks" in table.column_names:
        for row, points in enumerate(table["landmarks"].to_pylist()):
            if points is not None and len(points) == 2 * NUM_LANDMARKS:
                landmarks[row] = np.asarray(points).reshape(NUM_LANDMARKS, 2)
    boxes = np.array(table["box"].to_pylist(), dtype=np.float64).reshape(count, 4)
    frames, seconds, tracks, logits = (table[name].to_numpy() for name in ("frame", "seconds", "track", "logit"))
    if not all(np.isfinite(values).all() for values in (frames, seconds, tracks, logits, boxes)):
        raise ValueError("it holds values that are no numbers")
    return ScoredFaces(frames, seconds, tracks, logits, boxes, landmarks)


def read_regions(case: Path) -> dict[tuple[int, int], bytes]:
    """The maps of the region that the detector drew, 16 x 16 bytes row by row, by frame and track; often none.

    Raises:
        CaseError: the table is damaged or too large.
    """
    path = case / REGIONS_NAME
    return _REGIONS.get((path, *_stamp(path)), lambda: _read_regions(path)) if path.is_file() else {}


def _read_regions(path: Path) -> dict[tuple[int, int], bytes]:
    table = decoded_apart(path, send_regions, error=CaseError, hint=_HINT)
    frames, tracks, maps = (table[name].to_pylist() for name in ("frame", "track", "region"))
    return {(frame, track): each for frame, track, each in zip(frames, tracks, maps, strict=True)}


def region_picture(region: bytes) -> bytes:
    """A map as a PNG file that is laid over the crop: red, the more opaque the more likely it is forged."""
    share = np.frombuffer(region, np.uint8).reshape(REGION_SIDE, REGION_SIDE)
    picture = np.empty((REGION_SIDE, REGION_SIDE, 4), np.uint8)
    picture[..., :3], picture[..., 3] = (40, 70, 255), (share * 0.75).astype(np.uint8)  # blue, green, red
    written, data = cv2.imencode(".png", picture)
    assert written  # a constant shape and type
    return data.tobytes()


def threshold_of(steps: list[LogBrief]) -> float | None:
    """The detector's threshold, as a logit, from the log; None for a case of an earlier version."""
    for step in steps:
        found = step.details.get("threshold")
        if step.step == "detector" and isinstance(found, int | float):
            return float(found)
    return None


def crop_outline(report: ReportBrief, landmarks: np.ndarray) -> tuple[int, list[float]] | None:
    """Side of the crop that was scored, and the six numbers (a, b, c, d, e, f) of the matrix from it to the frame.

    They are in the order of SVG's ``matrix()``. None without landmarks, or if the report does not say how it was cut.
    """
    found = _INPUT.search(report.detector.get("input", ""))
    if found is None or not np.isfinite(landmarks).all():
        return None
    px = int(found[1])
    try:
        matrix = invert(frame_to_crop(landmarks.astype(np.float32), px=px, framing=found[2]))  # type: ignore[arg-type]
    except (AssayError, ValueError, ArithmeticError, np.linalg.LinAlgError):
        return None
    return px, [float(matrix[row, column]) for column in range(3) for row in range(2)]


def heat_pictures(case: Path) -> dict[tuple[int, int], str]:
    """Heat maps of the case by frame and track."""
    try:
        names = [path.name for path in (case / "evidence").iterdir()]
    except OSError:
        return {}
    found = (_HEAT.fullmatch(name) for name in sorted(names)[:10_000])
    return {(int(match[3]), int(match[2])): match[0] for match in found if match}


def picture_of(case: Path) -> str | None:
    """The first sampled face of the case, for the list."""
    try:
        names = sorted(path.name for path in (case / "evidence").iterdir() if path.name.startswith("face-"))
    except OSError:
        return None
    return next((name for name in names if not name.endswith("-heat.png") and PICTURE.fullmatch(name)), None)


def file_of(folder: WorkFolder, work: Work) -> Path | None:
    """The file that a case is about: handed in here, where it was inspected, or beside the case; None if none of these.

    Only a file with the very hash of the report counts, so a case from elsewhere cannot name another file.
    """
    report = read_report(work.path)
    places: list[Path] = []
    try:
        facts = read_json(folder.files / work.path.name / FACTS, dict, 1 << 16, error=CaseError)
        places.append(folder.files / work.path.name / Path(str(facts.get("file", ""))).name)
    except AssayError:
        pass
    for step in read_steps(work.path):
        if step.step == "intake" and isinstance(step.details.get("file"), str):
            places.append(Path(step.details["file"]))
    places.append(work.path.parent / Path(report.path_name).name)
    for place in places:
        try:
            same_size = place.is_file() and place.stat().st_size == report.size_bytes
            if same_size and _sha256(place, *_stamp(place)) == report.sha256_intake:
                return place
        except (AssayError, OSError, ValueError):
            continue
    return None


@lru_cache(maxsize=256)
def _sha256(path: Path, _modified: int, _size: int) -> str:
    return sha256_file(path)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        facts = path.stat()
    except OSError as error:
        raise CaseError(f"{path} cannot be read: {error.strerror}", hint=_HINT) from error
    return facts.st_mtime_ns, facts.st_size
