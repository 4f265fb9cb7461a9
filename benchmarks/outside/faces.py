"""The faces of a folder's files, found once and kept in a work folder.

Of a clip, frames evenly spaced over it are searched. The pixels around each face are kept as they are in the file, as
much as the widest crop of a detector shows.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.outside.index import OutsideFile, pairs
from shared.config import digest
from shared.console import console
from shared.errors import MediaError, StorageError
from shared.faces.align import FRAMING_RATIO, frame_to_crop, invert, map_points, scale_of
from shared.faces.boxes import overlap
from shared.faces.finders.finder import FaceFinder
from shared.sampling import evenly_spaced
from shared.storage import replacing
from shared.types import Face
from shared.video import VideoReader
from shared.video.images import PictureReader, is_still
from shared.video.reader import with_counts

_FORMAT = 1
_MOST_FACES = 6
_PX = 256
_SAME_FACE = 0.2
"""Least overlap of the boxes of one face in a fake and in its real, over their union."""


@dataclass(frozen=True, eq=False)
class FoundFace:
    """A face in a frame.

    Attributes:
        image: (H, W, 3) uint8 RGB, the part of the frame around it.
        landmarks: (68, 2) float32, pixels of ``image``.
        box: (4,) float32, share of the frame's width and height.
        frame: index of the frame.
    """

    image: np.ndarray
    landmarks: np.ndarray
    box: np.ndarray
    frame: int

    @property
    def side_px(self) -> float:
        """Side of the square around brows, eyes and mouth, in pixels."""
        return face_side(self.landmarks)


@dataclass(frozen=True)
class FileFaces:
    """The faces of one file, one for each frame that has one."""

    file: OutsideFile
    faces: tuple[FoundFace, ...]


def face_side(landmarks: np.ndarray) -> float:
    """Side in pixels of the "half" framing's crop of a face: about two thirds of the usual width of its box."""
    return _PX / scale_of(frame_to_crop(landmarks, px=_PX, framing="half"))


def find_faces(files: Sequence[OutsideFile], finder: FaceFinder, work: Path, *, frames: int) -> list[FileFaces]:
    """The face of every file, in up to ``frames`` frames of it; read from ``work`` where they were found before.

    In a file with several faces it is the largest one; in a fake, the one at the place of its real's.

    Raises:
        MediaError: a file cannot be read.
        StorageError: ``work`` cannot be written to.
    """
    mark = digest({"finder": finder.describe(), "frames": frames, "format": _FORMAT})[:12]
    found: list[list[list[FoundFace]]] = []
    for file in console.track(files, "finding faces", len(files), unit="file"):
        kept = work / "faces" / f"{file.sha256[:24]}-{mark}.npz"
        stored = _read(kept)
        if stored is None:
            stored = _search(file.path, finder, frames)
            _write(kept, stored)
        found.append(stored)
    own = dict(pairs(files))
    chosen: list[FileFaces] = []
    for place, file in enumerate(files):
        first = found[own[place]][0] if place in own and found[own[place]] else []
        chosen.append(FileFaces(file, tuple(_chosen(faces, first) for faces in found[place])))
    return chosen


def _chosen(faces: Sequence[FoundFace], first: Sequence[FoundFace]) -> FoundFace:
    """The largest face; with those of the real's first frame, the one that lies where the largest of these does."""
    largest = max(faces, key=lambda face: face.side_px)
    if not first:
        return largest
    aim = max(first, key=lambda face: face.side_px).box
    shares = overlap(aim, np.stack([face.box for face in faces]))
    return faces[int(shares.argmax())] if shares.max() >= _SAME_FACE else largest


def _search(path: Path, finder: FaceFinder, count: int) -> list[list[FoundFace]]:
    if is_still(path):
        with PictureReader(path) as picture:
            frames = list(picture.frames())
    else:
        with VideoReader(path) as reader:
            total = with_counts(reader).frames_counted or 0
        if not total:
            raise MediaError(f"{path} holds no frame", hint="copy it again")
        with VideoReader(path) as reader:
            frames = list(reader.picked(evenly_spaced(total, count)))
    listed = []
    for frame in frames:
        faces = sorted(finder.find([frame.image])[0], key=lambda face: -face.width_px)[:_MOST_FACES]
        if faces:
            listed.append([_part(frame.image, face, frame.index) for face in faces])
    return listed


def _part(image: np.ndarray, face: Face, frame: int) -> FoundFace:
    """``face`` with the pixels that a crop of the widest framing shows, and a margin."""
    back = invert(frame_to_crop(face.landmarks, px=_PX, framing="head"))
    margin = 0.05 * _PX
    edge = np.array([(x, y) for x in (-margin, _PX + margin) for y in (-margin, _PX + margin)])
    corners = map_points(back, edge)
    height, width = image.shape[:2]
    x0, y0 = np.clip(np.floor(corners.min(axis=0)), 0, (width - 2, height - 2)).astype(int)
    x1, y1 = np.clip(np.ceil(corners.max(axis=0)) + 1, (x0 + 2, y0 + 2), (width, height)).astype(int)
    return FoundFace(
        image[y0:y1, x0:x1].copy(),
        (face.landmarks - (x0, y0)).astype(np.float32),
        (face.box / (width, height, width, height)).astype(np.float32),
        frame,
    )


def _write(path: Path, frames: Sequence[Sequence[FoundFace]]) -> None:
    arrays: dict[str, np.ndarray] = {"counts": np.array([len(faces) for faces in frames], np.int64)}
    for place, face in enumerate(face for faces in frames for face in faces):
        arrays |= {f"image{place}": face.image, f"landmarks{place}": face.landmarks, f"box{place}": face.box}
        arrays[f"frame{place}"] = np.array(face.frame)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as draft, draft.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}", hint="give another folder: --work") from error


def _read(path: Path) -> list[list[FoundFace]] | None:
    """What :func:`_write` wrote; None where there is nothing, or something else, which is then found again."""
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            place, listed = 0, []
            for count in stored["counts"].tolist():
                listed.append([_one(stored, number) for number in range(place, place + count)])
                place += count
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return listed


def _one(stored: np.lib.npyio.NpzFile, place: int) -> FoundFace:
    names = ("image", "landmarks", "box", "frame")
    image, landmarks, box, frame = (stored[f"{name}{place}"] for name in names)
    return FoundFace(image, landmarks, box, int(frame))


def resized_face(face: FoundFace, image: np.ndarray) -> FoundFace:
    """``face`` with ``image``, its own at another size."""
    factors = np.array(image.shape[1::-1]) / np.array(face.image.shape[1::-1])
    moved = (face.landmarks + 0.5) * factors - 0.5
    return replace(face, image=image, landmarks=moved.astype(np.float32))


assert FRAMING_RATIO["head"] == max(FRAMING_RATIO.values())
