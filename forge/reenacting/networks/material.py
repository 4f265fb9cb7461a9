"""What a network of re-enactment is trained on: faces of facesets, of which two moments of one clip make a pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from forge.reenacting.networks.contract import Pairs, ReenactorSpec
from forge.training.data import split_by_time
from shared.errors import FacesetError
from shared.faces.align import MEAN_FACE, cut, invert, map_points, mean_in_crop, similarity
from shared.faces.facesets.reader import Faceset

MIRRORED: tuple[int, ...] = tuple(
    int(np.argmin(np.hypot(*(MEAN_FACE - [1 - x, y]).T))) for x, y in MEAN_FACE
)  # fmt: skip
"""(68,): which landmark of a mirrored face is where."""

_MOST_BEYOND = 0.01
"""Share of a stored crop's side by which a crop may reach beyond it; what is there is reflected."""


@dataclass(frozen=True, eq=False)
class Material:
    """Faces, in the order of facesets, clips and frames.

    Convention:
        pictures: (N, 3, S, S) uint8, crops of one framing, RGB; landmarks: (N, 68, 2) float32 crop pixels
        clips: (N,) int64, of which clip each is, from 0; a clip has two frames or more
        frames: (N,) int64, the index of each in its clip
        identities, rights: of the facesets, sorted, each once
        inputs: digest of each faceset, for the run
    """

    pictures: Tensor
    landmarks: Tensor
    clips: Tensor
    frames: Tensor
    identities: tuple[str, ...]
    rights: tuple[str, ...]
    inputs: dict[str, str]

    def __len__(self) -> int:
        return len(self.pictures)

    def pairs(self, count: int, sources: int, generator: torch.Generator) -> Pairs:
        """``count`` random driving moments, each with ``sources`` others of its clip; half of the pairs are mirrored.

        Sources of one pair repeat only where the clip has too few frames.
        """
        driving = torch.randint(len(self), (count,), generator=generator)
        others = torch.stack([self._others(int(one), sources, generator) for one in driving])
        flips = torch.rand(count, generator=generator) < 0.5
        pictures, landmarks = self._moments(torch.cat([driving[:, None], others], 1), flips)
        return Pairs(pictures[:, 0], landmarks[:, 0], pictures[:, 1:], landmarks[:, 1:])

    def _others(self, driving: int, count: int, generator: torch.Generator) -> Tensor:
        """(count,) moments of the same clip."""
        mine = torch.nonzero(self.clips == self.clips[driving])[:, 0]
        mine = mine[mine != driving]
        order = torch.randperm(len(mine), generator=generator)
        return mine[order[torch.arange(count) % len(mine)]]

    def _moments(self, numbers: Tensor, flips: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures (B, M, 3, S, S) in [0, 1] and landmarks (B, M, 68, 2) of ``numbers`` (B, M).

        Where ``flips`` (B,) is true they are mirrored.
        """
        pictures, landmarks = self.pictures[numbers].float() / 255, self.landmarks[numbers]
        side = pictures.shape[-1]
        turned = landmarks[:, :, list(MIRRORED)] * torch.tensor([-1.0, 1.0]) + torch.tensor([side - 1.0, 0.0])
        pictures = torch.where(flips[:, None, None, None, None], pictures.flip(4), pictures)
        return pictures, torch.where(flips[:, None, None, None], turned, landmarks)


def read_material(
    paths: Sequence[Path], spec: ReenactorSpec, *, holdout: float = 0.0, most_pictures: int = 2000
) -> Material:
    """The kept faces of the facesets at ``paths`` as ``spec`` crops them, without the last part of every clip.

    Raises:
        FacesetError: a faceset is damaged, was generated, shows too little, or has no clip with two frames.
    """
    facesets = [Faceset.open(path) for path in paths]
    pictures: list[np.ndarray] = []
    landmarks: list[np.ndarray] = []
    clips: list[int] = []
    frames: list[int] = []
    for faceset in facesets:
        rows, numbers = _chosen(faceset, holdout, most_pictures)
        crops, points = _reframed(faceset, rows, spec)
        pictures.append(crops)
        landmarks.append(points)
        before = clips[-1] + 1 if clips else 0
        clips += [before + number for number in numbers]
        frames += faceset.table.column("frame").to_numpy()[rows].tolist()
    return Material(
        torch.from_numpy(np.concatenate(pictures)).permute(0, 3, 1, 2).contiguous(),
        torch.from_numpy(np.concatenate(landmarks)),
        torch.tensor(clips),
        torch.tensor(frames),
        tuple(sorted({faceset.info.identity for faceset in facesets})),
        tuple(sorted({faceset.info.rights for faceset in facesets})),
        {f"{place} {faceset.info.identity}": faceset.digest() for place, faceset in enumerate(facesets)},
    )


def _chosen(faceset: Faceset, holdout: float, most: int) -> tuple[list[int], list[int]]:
    """The rows to learn from, and the clip of each, from 0."""
    if faceset.info.drawn_by:
        raise FacesetError(f"{faceset.path} was generated by a swapper", hint="a network learns from filmed faces")
    clips = faceset.table.column("clip").to_numpy()
    rows = faceset.rows()
    rows, _held = split_by_time(clips[rows].tolist(), rows, holdout)
    if len(rows) > most:
        rows = [rows[place] for place in np.linspace(0, len(rows) - 1, most).round().astype(int)]
    several = {clip for clip in set(clips[rows].tolist()) if int((clips[rows] == clip).sum()) > 1}
    rows = [row for row in rows if int(clips[row]) in several]
    if not rows:
        raise FacesetError(
            f"no clip of {faceset.path} has two frames to learn from",
            hint="a network learns from two moments of one clip: extract the faces of videos",
        )
    order = {clip: number for number, clip in enumerate(sorted(several))}
    return rows, [order[int(clips[row])] for row in rows]


def _reframed(faceset: Faceset, rows: Sequence[int], spec: ReenactorSpec) -> tuple[np.ndarray, np.ndarray]:
    """Crops (N, px, px, 3) uint8 of ``rows`` as ``spec`` has them, and their landmarks (N, 68, 2) float32."""
    own = faceset.info
    matrix = similarity(mean_in_crop(own.px, own.framing), spec.mean)
    corners = map_points(invert(matrix), np.array([[-0.5, -0.5], [spec.px - 0.5, spec.px - 0.5]]))
    if corners.min() < -0.5 - _MOST_BEYOND * own.px or corners.max() > own.px * (1 + _MOST_BEYOND) - 0.5:
        raise FacesetError(
            f"{faceset.path} has crops of framing {own.framing}, of which {spec.name} needs more",
            hint="extract it again with --framing whole",
        )
    points = faceset.landmarks_in_crop()[rows].astype(np.float64)
    landmarks = np.stack([map_points(matrix, one) for one in points]).astype(np.float32)
    return np.stack([cut(faceset.crop(row), matrix, spec.px) for row in rows]), landmarks
