"""Aligned faces of DeepFaceLab: JPEG pictures whose APP15 segment holds a pickled dict with the landmarks.

Read of the dict are ``landmarks`` ((68, 2), pixels of the picture) and ``face_type``. Facts of the format: iperov,
DeepFaceLab, ``DFLIMG/DFLJPG.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shared.errors import MediaError
from shared.faces.foreign.pickled import plain_values
from shared.faces.foreign.stored import landmarks_of
from shared.storage import read_bytes
from shared.types import Framing

_MAX_PICTURE_BYTES = 64 << 20
_MAX_MEMORY_BYTES = 32 << 20
_APP15, _START_OF_SCAN, _END = 0xEF, 0xDA, 0xD9
_HINT = "name a folder of aligned faces, as DeepFaceLab extracts them; a faceset.pak is unpacked there first"

_FRAMINGS: dict[str, Framing] = {
    "half_face": "half",
    "midfull_face": "midface",
    "full_face": "full",
    "full_face_no_align": "full",
    "whole_face": "whole",
    "head": "head",
    "head_no_align": "head",
}


@dataclass(frozen=True, eq=False)
class AlignedPicture:
    """What an aligned picture says of its face: (68, 2) landmarks in its pixels, and how much of the head it shows."""

    landmarks: np.ndarray
    framing: Framing


def read_aligned(path: Path) -> AlignedPicture:
    """The face of one aligned picture.

    Raises:
        MediaError: it cannot be read, is no JPEG, or holds no data of DeepFaceLab that can be read.
    """
    data = read_bytes(path, _MAX_PICTURE_BYTES, error=MediaError, hint=_HINT)
    segment = next((content for marker, content in _segments(data, path) if marker == _APP15), None)
    if segment is None:
        raise MediaError(f"{path} holds no data of DeepFaceLab", hint=_HINT)
    facts = plain_values(segment, str(path), max_memory_bytes=_MAX_MEMORY_BYTES)
    if not isinstance(facts, dict):
        raise MediaError(f"{path} holds no data of DeepFaceLab", hint=_HINT)
    kind = facts.get("face_type", "full_face")
    framing = _FRAMINGS.get(kind) if isinstance(kind, str) else None
    if framing is None:
        raise MediaError(f"{path} is of no face type that is known here", hint=f"known are {', '.join(_FRAMINGS)}")
    return AlignedPicture(landmarks_of(facts.get("landmarks"), str(path)), framing)


def _segments(data: bytes, path: Path) -> Iterator[tuple[int, bytes]]:
    """Marker and content of the segments before the picture's own data."""
    if data[:2] != b"\xff\xd8":
        raise MediaError(f"{path} is no JPEG picture", hint=_HINT)
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        if marker in (_START_OF_SCAN, _END) or length < 2:
            return
        yield marker, data[place + 4 : place + 2 + length]
        place += 2 + length
