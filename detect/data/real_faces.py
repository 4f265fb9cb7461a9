"""Real faces that fakes are made of while a detector learns, with their landmarks and their twins, if there are any.

They come from a dataset's real clips and from facesets of their own: photographs of many people, for one. All are cut
to the detector's size and framing once and kept in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shared.console import console
from shared.errors import FacesetError, LeakError
from shared.faces.align import cut, frame_to_crop
from shared.faces.facesets.reader import Faceset
from shared.types import ClipRecord, Framing

_MOST_BYTES = 4 << 30

SourceFrame = tuple[str, int, int]
"""What a face was cut from: SHA-256 of its clip, frame, track."""


@dataclass(frozen=True, eq=False)
class FaceStack:
    """Faces of one kind of source.

    Attributes:
        name: for messages.
        crops: (N, S, S, 3) uint8 RGB.
        landmarks: (N, 68, 2) float32 in crop pixels.
        groups: (N,) int32; faces are drawn evenly over groups first (clips, or photographs).
        twins: for each face its redrawn crops, (S, S, 3) uint8 each.
    """

    name: str
    crops: np.ndarray
    landmarks: np.ndarray
    groups: np.ndarray
    twins: tuple[tuple[np.ndarray, ...], ...] = ()


class RealFaces:
    """Draws real faces: stacks by their share, groups alike within a stack, faces alike within a group.

    Args:
        stacks: the faces; an empty stack is left out.
        shares: how often each stack is drawn, relative to the others; by default by its number of groups.

    Raises:
        FacesetError: there is no face at all.
    """

    def __init__(self, stacks: Sequence[FaceStack], shares: Sequence[float] | None = None) -> None:
        kept = [number for number, stack in enumerate(stacks) if len(stack.crops)]
        if not kept:
            raise FacesetError("there is no real face to blend with itself", hint="add real clips or --real-faces")
        self._stacks = [stacks[number] for number in kept]
        self._groups = [[np.flatnonzero(s.groups == group) for group in np.unique(s.groups)] for s in self._stacks]
        weights = [shares[number] if shares else len(groups) for number, groups in zip(kept, self._groups, strict=True)]
        self._shares = np.array(weights, np.float64) / sum(weights)

    def __len__(self) -> int:
        return sum(len(stack.crops) for stack in self._stacks)

    def draw(self, rng: np.random.Generator) -> tuple[int, int]:
        """A face, as its stack and its place there."""
        stack = int(rng.choice(len(self._stacks), p=self._shares))
        groups = self._groups[stack]
        faces = groups[int(rng.integers(len(groups)))]
        return stack, int(faces[int(rng.integers(len(faces)))])

    def crop(self, face: tuple[int, int]) -> np.ndarray:
        """(S, S, 3) uint8 RGB."""
        return self._stacks[face[0]].crops[face[1]]

    def landmarks(self, face: tuple[int, int]) -> np.ndarray:
        """(68, 2) float32 in crop pixels."""
        return self._stacks[face[0]].landmarks[face[1]]

    def twin(self, face: tuple[int, int], rng: np.random.Generator) -> np.ndarray | None:
        """One of the face's twins, (S, S, 3) uint8 RGB; None for a face without."""
        twins = self._stacks[face[0]].twins
        own = twins[face[1]] if twins else ()
        return own[int(rng.integers(len(own)))] if own else None


def read_stack(path: Path, twins: Sequence[Path], *, px: int, framing: Framing) -> FaceStack:
    """The kept faces of the faceset at ``path``, cut to ``px`` and ``framing``, with their twins of ``twins``.

    A twin is found by clip, frame and track; twins of other faces are passed over.

    Raises:
        FacesetError: a faceset is damaged, is drawn where it should be real or real where it should be drawn.
    """
    faceset = Faceset.open(path)
    if faceset.info.drawn_by:
        raise FacesetError(f"{path} is drawn by {faceset.info.drawn_by}", hint="give it as twins, not as real faces")
    rows = faceset.rows()
    need = len(rows) * 3 * px * px * (1 + len(twins))
    if need > _MOST_BYTES:
        raise FacesetError(
            f"{len(rows)} faces of {path} with {len(twins)} sets of twins need {need >> 20} MiB at {px} px",
            hint="use fewer faces or twins (assay forge redraw --max-faces)",
        )
    crops, landmarks = recut(faceset, rows, px=px, framing=framing)
    places = {key: place for place, key in enumerate(_keys(faceset, rows))}
    found: list[list[np.ndarray]] = [[] for _ in rows]
    for twin_path in twins:
        twin = Faceset.open(twin_path)
        if not twin.info.drawn_by:
            raise FacesetError(f"{twin_path} holds no drawn faces", hint="make twins with: assay forge redraw")
        its_rows = [row for row, key in zip(twin.rows(), _keys(twin, twin.rows()), strict=True) if key in places]
        drawn, _ = recut(twin, its_rows, px=px, framing=framing)
        for key, crop in zip(_keys(twin, its_rows), drawn, strict=True):
            found[places[key]].append(crop)
    clips = faceset.table.column("clip").to_numpy()[rows]
    own = tuple(tuple(each) for each in found) if twins else ()
    return FaceStack(path.name, crops, landmarks, clips.astype(np.int32), own)


def recut(faceset: Faceset, rows: Sequence[int], *, px: int, framing: Framing) -> tuple[np.ndarray, np.ndarray]:
    """Crops (N, px, px, 3) uint8 of ``rows`` in another size or framing, with landmarks (N, 68, 2) float32 in them."""
    points = faceset.landmarks_in_crop()[list(rows)] if rows else np.empty((0, 68, 2), np.float32)
    crops = np.empty((len(rows), px, px, 3), np.uint8)
    landmarks = np.empty((len(rows), 68, 2), np.float32)
    for place, row in enumerate(rows):
        matrix = frame_to_crop(points[place], px=px, framing=framing)
        crops[place] = cut(faceset.crop(row), matrix, px)
        landmarks[place] = points[place] @ matrix[:, :2].T + matrix[:, 2]
    return crops, landmarks


def refuse_known(facesets: Iterable[Path], held_out: Iterable[ClipRecord], *, allowed: bool) -> None:
    """Refuses real faces of people, or from clips, that the detector will be chosen by or tested on.

    Raises:
        LeakError: there are, and it is not ``allowed``.
    """
    people: set[str] = set()
    files: set[str] = set()
    for record in held_out:
        people |= {name for name in (record.target_identity, record.source_identity) if name}
        files.add(record.sha256)
    for path in facesets:
        info = Faceset.open(path).info
        shared_files = files & {clip.sha256 for clip in info.clips}
        if info.identity not in people and not shared_files:
            continue
        what = f"{path} shows {info.identity}, who is in the val or test split"
        if not allowed:
            raise LeakError(what, hint="leave it out; --allow-leak trains all the same and says so in the model card")
        console.warn(what)


def _keys(faceset: Faceset, rows: Sequence[int]) -> list[SourceFrame]:
    # An empty list would have no type, and no face of this faceset may well be here.
    wanted = np.asarray(rows, np.int64)
    table = faceset.table.select(["clip", "frame", "track"]).take(wanted).to_pylist()
    return [(faceset.info.clips[row["clip"]].sha256, row["frame"], row["track"]) for row in table]
