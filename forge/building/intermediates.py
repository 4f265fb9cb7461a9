"""Lossless intermediate clips: frames, exact times, sound, and detected faces.

A *shot* is a real clip, cut and decoded once; a *master* is a fake made from one. Frames are FFV1 in RGB, which is
bit-exact; Matroska rounds times to milliseconds, so exact times are stored separately.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from forge.swapping.tracks import FoundFaces
from shared.config import load_json, to_mapping
from shared.errors import ManifestError, MediaError, storage_errors
from shared.storage import write_text
from shared.types import Face, Frame, Timestamp
from shared.video import Encoding, VideoReader, VideoWriter
from shared.video.renditions import Picture

PICTURES = "pictures.mkv"
LANDMARKS = "pictures.landmarks.parquet"
IDENTITIES = "pictures.identities.parquet"
FACTS = "shot.json"
_STORE_RATE = Fraction(25)


@dataclass(frozen=True)
class ShotFacts:
    """The contents of ``shot.json``: facts of a shot.

    Attributes:
        source, source_sha256: name and hash of the source file; start: its first frame in it.
        pts: of every frame, ticks of ``time_base``; a shot that starts inside its file starts at 0.
        sound: name of its audio file; None without.
        finder: description of the face finder.
        pixel_aspect: of shots made before pictures were kept in square pixels.
        notes: what was changed or left out in reading the source (:func:`shared.video.reading_notes`).
        cuts, embedder, same_distance: of its faces, see :class:`forge.swapping.tracks.FoundFaces`.
    """

    source: str
    source_sha256: str
    start: int
    width: int
    height: int
    time_base: Fraction
    pts: tuple[int, ...]
    finder: str
    pixel_aspect: Fraction = Fraction(1)
    notes: dict[str, str] = field(default_factory=dict)
    frame_rate: Fraction | None = None
    sound: str | None = None
    cuts: tuple[int, ...] = ()
    embedder: str = ""
    same_distance: float = 0.6

    @property
    def times(self) -> list[Timestamp]:
        """The time of every frame."""
        return [Timestamp(pts, self.time_base) for pts in self.pts]


def write_facts(folder: Path, facts: ShotFacts) -> None:
    """Writes ``shot.json``."""
    stated = {key: value for key, value in to_mapping(facts).items() if key != "notes" or value}
    write_text(folder / FACTS, json.dumps(stated, sort_keys=True) + "\n")


def read_facts(folder: Path) -> ShotFacts:
    """The contents of ``shot.json``.

    Raises:
        ManifestError: it is missing or damaged.
    """
    return load_json(ShotFacts, folder / FACTS, error=ManifestError, hint="remove that folder; it is rebuilt")


def picture_of(folder: Path) -> Picture:
    """Size, time base and sound of the shot in ``folder``, for the encoders."""
    facts = read_facts(folder)
    sound = folder / facts.sound if facts.sound else None
    return Picture(facts.width, facts.height, facts.time_base, facts.frame_rate, sound)


def stored_frames(pictures: Path, times: Sequence[Timestamp]) -> Generator[Frame, None, None]:
    """The frames of a lossless file at their exact times.

    Raises:
        MediaError: the file cannot be read, or has another number of frames.
    """
    count = 0
    with VideoReader(pictures) as reader:
        for frame, time in zip(reader, times, strict=False):
            count += 1
            yield Frame(frame.index, time, frame.image)
        if count != len(times) or reader.frames_decoded != count:
            raise MediaError(f"{pictures} does not hold {len(times)} frames", hint="remove its folder; it is rebuilt")


@contextmanager
def storing(pictures: Path, width: int, height: int) -> Iterator[VideoWriter]:
    """A writer of lossless frames; their times are nominal (:func:`nominal`)."""
    with VideoWriter(
        pictures,
        width=width,
        height=height,
        time_base=1 / _STORE_RATE,
        frame_rate=_STORE_RATE,
        encoding=Encoding.lossless_rgb(),
    ) as writer:
        yield writer


def nominal(index: int) -> Timestamp:
    """The timestamp with which frame ``index`` is stored."""
    return Timestamp(index, 1 / _STORE_RATE)


def write_faces(path: Path, found: Sequence[Sequence[Face]]) -> None:
    """Writes the faces of every frame as a landmarks sidecar that also holds box, track and confidence."""
    rows = [(index, face) for index, faces in enumerate(found) for face in faces]
    points = [face.landmarks.astype(np.float32).reshape(-1) for _, face in rows]
    table = pa.table(
        {
            "frame": pa.array([index for index, _ in rows], pa.int32()),
            "landmarks": pa.array(points, pa.list_(pa.float32())),
            "box": pa.array([f.box.astype(np.float32) for _, f in rows], pa.list_(pa.float32())),
            "track": pa.array([f.track for _, f in rows], pa.int32()),
            "confidence": pa.array([f.confidence for _, f in rows], pa.float64()),
        }
    )
    with storage_errors(path):
        pq.write_table(table, path, compression="zstd")


def read_faces(path: Path) -> dict[int, tuple[Face, ...]]:
    """The faces of :func:`write_faces`, by frame; frames without one are absent.

    Raises:
        ManifestError: the file is missing or damaged.
    """
    found: dict[int, list[Face]] = defaultdict(list)
    try:
        for row in pq.read_table(path).to_pylist():
            face = Face(
                np.array(row["box"], np.float32),
                np.array(row["landmarks"], np.float32).reshape(-1, 2),
                row["confidence"],
                row["track"],
            )
            found[row["frame"]].append(face)
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise ManifestError(f"{path} cannot be read: {error}", hint="remove its folder; it is rebuilt") from error
    return {index: tuple(faces) for index, faces in found.items()}


def write_found(folder: Path, found: FoundFaces) -> None:
    """Writes the faces of a shot, and the identity embeddings of their tracks."""
    write_faces(folder / LANDMARKS, [found.faces.get(index, ()) for index in found.times])
    tracks = sorted({*found.embeddings, *found.parts_of})
    table = pa.table(
        {
            "track": pa.array(tracks, pa.int32()),
            "part_of": pa.array([found.parts_of.get(track) for track in tracks], pa.int32()),
            "embedding": pa.array([_numbers(found.embeddings.get(track)) for track in tracks], pa.list_(pa.float64())),
        }
    )
    with storage_errors(folder / IDENTITIES):
        pq.write_table(table, folder / IDENTITIES, compression="zstd")


def _numbers(vector: np.ndarray | None) -> list[float] | None:
    return None if vector is None else vector.tolist()


def read_found(folder: Path) -> FoundFaces:
    """The faces of a shot with the identities of their tracks.

    Raises:
        ManifestError: a file is missing or damaged.
    """
    facts, path = read_facts(folder), folder / IDENTITIES
    try:
        rows = pq.read_table(path).to_pylist()
        embeddings = {row["track"]: np.array(row["embedding"]) for row in rows if row["embedding"] is not None}
        parts_of = {row["track"]: row["part_of"] for row in rows if row["part_of"] is not None}
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise ManifestError(f"{path} cannot be read: {error}", hint="remove its folder; it is rebuilt") from error
    return FoundFaces(
        dict(enumerate(facts.times)),
        read_faces(folder / LANDMARKS),
        embeddings,
        parts_of,
        cuts=facts.cuts,
        embedder=facts.embedder,
        same_distance=facts.same_distance,
    )


def shifted_landmarks(sidecar: Path, out: Path, *, start: int, scale: float) -> None:
    """Writes the sidecar for a piece of a clip that was cut at frame ``start`` and scaled by ``scale``.

    Raises:
        MediaError: there is no sidecar, or it is damaged.
    """
    try:
        table = pq.read_table(sidecar, columns=["frame", "landmarks"])
    except (OSError, pa.ArrowException) as error:
        raise MediaError(f"{sidecar} cannot be read", hint="a sidecar is beside its clip") from error
    frames = table["frame"].to_numpy() - start
    points = np.array(table["landmarks"].to_pylist(), np.float32).reshape(-1, 136)
    # Pixel centres are at integers, so the scaling is about the corner half a pixel away.
    points = (points + 0.5) * scale - 0.5
    kept = frames >= 0
    rows = pa.array(list(points[kept].astype(np.float32)), pa.list_(pa.float32()))
    pq.write_table(pa.table({"frame": pa.array(frames[kept], pa.int32()), "landmarks": rows}), out)
