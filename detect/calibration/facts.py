"""Facts of files that are compared with a validated domain: of the faces' crops, of the container, of the finder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detect.calibration.crop_quality import MOST_CROPS, CropQuality, crop_quality
from detect.data.crops import ClipFaces
from detect.scoring.dataset import DatasetScores
from detect.scoring.samples import ScoredClip
from shared.dataset import DatasetFolder
from shared.results.scores import FrameScore
from shared.sampling import evenly_spaced
from shared.types import VideoInfo
from shared.video.media import clip_info


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
        face_detail, face_grain, face_blocks: of the crops that were scored, see
            :class:`detect.calibration.crop_quality.CropQuality`.
    """

    face_px: float | None
    short_side_px: float | None
    bit_rate_kbps: float | None
    bits_per_pixel: float | None
    frame_rate: float | None
    codec: str | None
    finder: str | None = None
    face_detail: float | None = None
    face_grain: float | None = None
    face_blocks: float | None = None


def file_facts(
    info: VideoInfo,
    size_bytes: int,
    frames: Sequence[FrameScore],
    *,
    finder: str | None = None,
    crops: CropQuality | None = None,
) -> FileFacts:
    """The facts of one file from its container, its size, the scored faces, their finder and their crops."""
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
        face_detail=None if crops is None else crops.detail,
        face_grain=None if crops is None else crops.grain,
        face_blocks=None if crops is None else crops.blocks,
    )


def clip_facts(path: Path, clip: ScoredClip, faces: ClipFaces | None = None) -> FileFacts:
    """The facts of one clip of a dataset, whose file is ``path``, with the crops of its ``faces`` if known.

    Raises:
        MediaError: it is not a readable video.
        FacesetError: a crop is missing or damaged.
    """
    crops = None if faces is None else quality_of_faces(faces)
    return file_facts(clip_info(path), path.stat().st_size, clip.frames, crops=crops)


def facts_of_clips(folder: DatasetFolder, scores: DatasetScores, clips: Sequence[ScoredClip]) -> list[FileFacts]:
    """The facts of scored clips of a dataset.

    Raises:
        MediaError: one is not a readable video.
        FacesetError: a crop is missing or damaged.
    """
    faces = {found.record.id: found for found in scores.faces}
    return [clip_facts(folder.media_path(clip.record), clip, faces.get(clip.record.id)) for clip in clips]


def quality_of_faces(faces: ClipFaces) -> CropQuality | None:
    """The quality of the crops of one clip of a dataset; None without a face.

    Raises:
        FacesetError: a crop is missing or damaged.
    """
    if faces.faceset is None:
        return None
    matrices = faces.faceset.matrices()
    rows = evenly_spaced(len(faces.faceset), MOST_CROPS)
    return crop_quality((faces.faceset.crop(row), scale_of(matrices[row])) for row in rows)


def scale_of(matrix: np.ndarray) -> float:
    """The crop's pixels for one of the frame, of a (2, 3) matrix from frame to crop."""
    return float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
