"""Aligned, labelled faces of a dataset's clips, found once and cached as facesets.

Each clip has its own faceset under ``.faces/KEY/SHA256`` in the dataset's folder (in the user's cache where that
cannot be written). The key covers all that determines the contents: finder and its weights, framing, size, choice of
frames and faces. A clip without a usable face gets a note instead, so that it is not searched again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detect.config.scoring import FaceConfig
from detect.data.labels import LabelsByFrame, face_label, labels_by_clip
from detect.data.pairs import FaceKey
from detect.models.contract import DetectorSpec, Reads
from detect.models.windows import consecutive_frames
from shared.console import console
from shared.dataset import DatasetFolder
from shared.dataset.files import need_media
from shared.dataset.splits import Leak, find_leaks, refuse
from shared.errors import FacesetError, LeakError, MediaError, NoFaceError
from shared.faces.align import align
from shared.faces.facesets.reader import FaceRow, Faceset, FacesetWriter, SourceClip, encode_crop
from shared.faces.finders.finder import FaceFinder
from shared.faces.pose import head_pose, sharpness
from shared.faces.stream import FollowConfig, follow
from shared.home import cache_home
from shared.results.scores import FrameScore
from shared.sampling import evenly_spaced
from shared.storage import read_json, sha256_file, write_text
from shared.types import NUM_LANDMARKS, ClipRecord, Face, Frame, Framing, Label
from shared.video.media import clip_reader

_CACHE_VERSION = 1
_IN_MEMORY_BYTES = 2 << 30
_BYTES: dict[Reads, Callable[[int], int]] = {"pixels": lambda px: 3 * px * px, "landmarks": lambda _: 8 * NUM_LANDMARKS}


@dataclass(frozen=True)
class CropRequest:
    """The crops of a clip that a detector needs: side, framing, number of frames, choice of faces.

    ``frames_per_clip`` frames are evenly spaced; if ``consecutive``, they are those about the middle of the clip, every
    n-th of them at high frame rates (see :func:`detect.models.windows.motion_step`).
    """

    px: int
    framing: Framing
    frames_per_clip: int
    faces: FaceConfig
    consecutive: bool = False

    @classmethod
    def of(cls, spec: DetectorSpec, frames_per_clip: int, faces: FaceConfig) -> CropRequest:
        """The crops that a detector of ``spec`` takes of each clip."""
        return cls(spec.input_px, spec.framing, frames_per_clip, faces, spec.reads == "landmarks")

    def key(self, finder: dict[str, str]) -> str:
        """The cache key: equal for equal requests and finders."""
        wanted = dataclasses.asdict(self)
        if not self.consecutive:  # as keys were before there was a choice
            wanted.pop("consecutive")
        wanted["faces"].pop("finder")  # its name may be "auto"; the description has the actual one
        text = json.dumps({"version": _CACHE_VERSION, "finder": finder, **wanted}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class ClipFaces:
    """The faces of one clip.

    Attributes:
        record: the clip's manifest record.
        faceset: the cached crops, one row per face; None when no usable face was found.
        frames_searched: number of frames searched.
        truth: (N,) int8, label of each row of the faceset: 1 fake, 0 real, -1 unknown.
    """

    record: ClipRecord
    faceset: Faceset | None
    frames_searched: int
    truth: np.ndarray

    @property
    def identity(self) -> str:
        """The identity filmed in the clip."""
        return self.record.target_identity

    @property
    def frames(self) -> np.ndarray:
        """(N,) int32, the frame of each face."""
        return np.empty(0, np.int32) if self.faceset is None else self.faceset.table.column("frame").to_numpy()

    @property
    def tracks(self) -> np.ndarray:
        """(N,) int32, the track of each face; below 0 for a face without a track."""
        return np.empty(0, np.int32) if self.faceset is None else self.faceset.table.column("track").to_numpy()

    def crops(self, reads: Reads = "pixels") -> np.ndarray:
        """(N, S, S, 3) uint8 RGB, all faces, or their landmarks (N, 68, 2) float32; N is 0 without a faceset.

        Raises:
            FacesetError: a crop is missing or damaged.
        """
        if reads == "landmarks":
            return np.empty((0, NUM_LANDMARKS, 2), np.float32) if self.faceset is None else self.faceset.landmarks()
        return np.empty((0, 1, 1, 3), np.uint8) if self.faceset is None else self.faceset.crops(kept_only=False)

    def labels(self) -> list[Label | None]:
        """The label of each face; None where it is unknown."""
        words: dict[int, Label | None] = {1: "fake", 0: "real", -1: None}
        return [words[int(value)] for value in self.truth]

    def scores(self, logits: np.ndarray) -> list[FrameScore]:
        """One score per face from (N,) logits in the order of the crops."""
        if self.faceset is None:
            return []
        table = self.faceset.table.select(["frame", "seconds", "track", "box"]).to_pylist()
        return [
            FrameScore(self.record.id, row["frame"], row["seconds"], row["track"], float(logit), tuple(row["box"]))
            for row, logit in zip(table, logits, strict=True)
        ]


class CropStore:
    """Crops of many clips by face, or their landmarks, cached in memory up to a limit. Thread-safe."""

    def __init__(
        self, clips: Sequence[ClipFaces], *, reads: Reads = "pixels", memory_bytes: int = _IN_MEMORY_BYTES
    ) -> None:
        self._clips = clips
        self._reads: Reads = reads
        self._left = memory_bytes
        self._kept: dict[int, np.ndarray] = {}
        self._lock = threading.Lock()

    def crop(self, key: FaceKey) -> np.ndarray:
        """(S, S, 3) uint8 RGB, or landmarks (68, 2) float32.

        Raises:
            FacesetError: it is missing or damaged.
        """
        place, face = key
        kept = self._kept.get(place)
        if kept is None:
            kept = self._keep(place)
        faceset = self._clips[place].faceset
        if kept is not None:
            return kept[face]
        if faceset is None:
            raise FacesetError(f"{self._clips[place].record.id} has no face", hint="this is a defect; please report it")
        return faceset.crop(face) if self._reads == "pixels" else faceset.landmarks()[face]

    def crops(self, place: int) -> np.ndarray:
        """(N, S, S, 3) uint8 RGB or (N, 68, 2) float32: all faces of one clip.

        Raises:
            FacesetError: one is missing or damaged.
        """
        kept = self._keep(place)
        return self._clips[place].crops(self._reads) if kept is None else kept

    def _keep(self, place: int) -> np.ndarray | None:
        faceset = self._clips[place].faceset
        size = 0 if faceset is None else len(faceset) * _BYTES[self._reads](faceset.info.px)
        with self._lock:
            if place in self._kept:
                return self._kept[place]
            if size > self._left:
                return None
            self._left -= size
            self._kept[place] = self._clips[place].crops(self._reads)
            return self._kept[place]


def find_faces(
    dataset: DatasetFolder,
    records: Sequence[ClipRecord],
    request: CropRequest,
    make_finder: Callable[[], FaceFinder],
    *,
    workers: int = 1,
) -> list[ClipFaces]:
    """The faces of ``records``, in their order: from the cache, and for clips not in it found now.

    Each of ``workers`` threads has its own finder.

    Raises:
        ManifestError: a clip's file does not match the manifest.
        MediaError: a clip cannot be read.
        StorageError: the cache cannot be written.
    """
    found = stream_faces(dataset, records, request, make_finder, workers=workers)
    return list(console.track(found, "finding faces", len(records), unit="clip"))


def stream_faces(
    dataset: DatasetFolder,
    records: Sequence[ClipRecord],
    request: CropRequest,
    make_finder: Callable[[], FaceFinder],
    *,
    workers: int = 1,
) -> Generator[ClipFaces, None, None]:
    """Like :func:`find_faces`, each clip as soon as it and those before it are found, while the search goes on.

    When the consumer stops early, clips being searched are finished and cached, the others skipped.

    Raises:
        AssayError: see :func:`find_faces`.
    """
    first = make_finder()
    folder = faces_folder(dataset.path) / request.key(first.describe())
    local = threading.local()
    spare = [first]

    def find(record: ClipRecord) -> None:
        if not hasattr(local, "finder"):
            local.finder = spare.pop() if spare else make_finder()
        _find_in_clip(dataset.media_path(record), record, folder, request, local.finder)

    waiting = [record for record in records if not _is_cached(folder, record)]
    pool = ThreadPoolExecutor(max(1, min(workers, len(waiting))), thread_name_prefix="assay-faces")
    try:
        searches = {record.id: pool.submit(find, record) for record in waiting}
        rows = labels_by_clip(dataset.frame_labels())
        for record in records:
            if record.id in searches:
                searches[record.id].result()
            yield _load(folder, record, rows.get(record.id, {}))
    finally:
        pool.shutdown(cancel_futures=True)


def clip_faces(media: Path, record: ClipRecord, folder: Path, request: CropRequest, finder: FaceFinder) -> ClipFaces:
    """The faces of one clip: from the cache ``folder``, or found now; without labels.

    Raises:
        AssayError: see :func:`find_faces`.
    """
    if not _is_cached(folder, record):
        _find_in_clip(media, record, folder, request, finder)
    return _load(folder, record, {})


def faces_folder(dataset: Path) -> Path:
    """Where a dataset's faces are cached: in its folder, or in the user's cache where that cannot be written."""
    own = dataset / ".faces"
    if os.access(own if own.exists() else dataset, os.W_OK):
        return own
    name = hashlib.sha256(str(dataset.resolve()).encode()).hexdigest()[:16]
    return cache_home() / "faces" / name


def leak_among(records: Sequence[ClipRecord], *, allowed: bool, alike: Sequence[Leak] = ()) -> str | None:
    """A description of what splits share (a person, a clip or a duplicate) if ``allowed``; None if nothing.

    ``alike`` are further leaks (see :mod:`detect.data.duplicates`).

    Raises:
        LeakError: splits share something and it is not ``allowed``.
    """
    try:
        refuse([*find_leaks(records), *alike])
    except LeakError as error:
        if not allowed:
            raise LeakError(
                str(error), hint=f"{error.hint}; --allow-leak trains all the same and says so in the model card"
            ) from error
        console.warn(f"{error}; the resulting numbers say little about new people")
        return str(error)
    return None


def dataset_digest(dataset: DatasetFolder) -> str:
    """SHA-256 of the manifest, which covers clips, files and splits."""
    return sha256_file(dataset.path / "manifest.jsonl")


def _cached_at(folder: Path, record: ClipRecord) -> tuple[Path, Path]:
    """Faceset and note of a clip. Clips are keyed by content and id: two records may share one file."""
    name = f"{record.sha256[:24]}-{hashlib.sha256(str(record.id).encode()).hexdigest()[:8]}"
    return folder / name, folder / f"{name}.none.json"


def _is_cached(folder: Path, record: ClipRecord) -> bool:
    where, note = _cached_at(folder, record)
    if not where.exists():
        return note.is_file()
    try:
        Faceset.open(where)
    except FacesetError as error:
        console.warn(f"{error}; finding the faces of {record.id} again")
        shutil.rmtree(where)
        return False
    return True


def _find_in_clip(path: Path, record: ClipRecord, folder: Path, request: CropRequest, finder: FaceFinder) -> None:
    need_media(path, record)
    where, note = _cached_at(folder, record)
    writer = FacesetWriter(
        where,
        identity=record.target_identity,
        rights=record.rights,
        finder=finder.describe(),
        framing=request.framing,
        px=request.px,
        force=True,
    )
    source = SourceClip(path.name, record.sha256, 0, 0)
    try:
        with writer:
            for index, row in enumerate(_rows(path, record, request, finder)):
                source = dataclasses.replace(source, frames_read=index + 1)
                for face, png in row:
                    writer.add(face, png)
                if not row:
                    source = dataclasses.replace(source, frames_without_face=source.frames_without_face + 1)
            writer.clips.append(source)
    except NoFaceError:
        write_text(note, json.dumps({"clip": str(record.id), "frames_searched": source.frames_read}) + "\n")
    except MediaError as error:
        raise MediaError(f"{record.id}: {error}", hint=error.hint) from error


def _rows(
    path: Path, record: ClipRecord, request: CropRequest, finder: FaceFinder
) -> Iterator[list[tuple[FaceRow, bytes]]]:
    """For each frame searched, its usable faces with their encoded crops."""
    settings = FollowConfig(detect_every=1, min_face_px=request.faces.min_face_px, max_faces=request.faces.max_faces)
    with clip_reader(path) as reader:
        wanted = set(evenly_spaced(record.frames, request.frames_per_clip))
        if request.consecutive:
            wanted = set(consecutive_frames(record.frames, request.frames_per_clip, reader.info.frame_rate))
        frames = (frame for frame in reader.frames(stop=max(wanted, default=0) + 1) if frame.index in wanted)
        for frame, faces in follow(frames, finder, settings):
            yield [_row(frame, face, request) for face in faces]


def _row(frame: Frame, face: Face, request: CropRequest) -> tuple[FaceRow, bytes]:
    height, width = frame.image.shape[:2]
    aligned = align(frame.image, face, px=request.px, framing=request.framing, frame=frame.index)
    pose = head_pose(face.landmarks, width=width, height=height)
    row = FaceRow(
        clip=0,
        frame=frame.index,
        pts=frame.time.pts,
        seconds=frame.time.seconds,
        track=-1 if face.track is None else face.track,
        box=face.box,
        landmarks=face.landmarks,
        matrix=aligned.frame_to_crop,
        confidence=face.confidence,
        sharpness=sharpness(aligned.crop),
        yaw_degrees=pose.yaw_degrees,
        pitch_degrees=pose.pitch_degrees,
        roll_degrees=pose.roll_degrees,
    )
    return row, encode_crop(aligned.crop)


def _load(folder: Path, record: ClipRecord, rows: LabelsByFrame) -> ClipFaces:
    where, note = _cached_at(folder, record)
    if not where.exists():
        return ClipFaces(record, None, _searched(note), np.empty(0, np.int8))
    faceset = Faceset.open(where)
    numbers: dict[Label | None, int] = {"fake": 1, "real": 0, None: -1}
    table = faceset.table.select(["frame", "box"]).to_pylist()
    truth = [numbers[face_label(record, rows, row["frame"], np.array(row["box"], np.float32))] for row in table]
    return ClipFaces(record, faceset, faceset.info.clips[0].frames_read, np.array(truth, np.int8))


@dataclass(frozen=True)
class _Note:
    """What is kept of a clip in which no face was found."""

    frames_searched: int


def _searched(note: Path) -> int:
    hint = "remove it; the clip's faces will be found again"
    return read_json(note, _Note, error=FacesetError, hint=hint).frames_searched
