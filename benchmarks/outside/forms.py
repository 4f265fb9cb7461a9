"""The forms in which a file's faces are scored.

"raw" is the file as it is. In the others, a fake and its real have one face size and one format: both are reduced below
the smaller of the two, so that both are resampled, and saved as JPEG of one quality. On that follow the degradations:
H.264 at crf 40, half the size and back, and a re-upload (encoded, reduced, encoded again), each with the same random
values for a fake and its real.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import cv2
import numpy as np

from benchmarks.outside.faces import FileFaces, FoundFace, resized_face
from detect.data.degrade import coded, jpeg, rescaled, reuploaded, small_move

Form = Literal["raw", "matched", "c40", "resize", "re-upload"]
FORMS: tuple[Form, ...] = get_args(Form)

MOST_SIDE_PX = 120.0
"""Largest side of brows, eyes and mouth in a matched form: that of a detector's crop of 256 px, framing "whole"."""
QUALITY = 90
_BELOW = 0.9
_CRF = 40
_LEAST_PX = 16


def matched_sides(found: Sequence[FileFaces]) -> list[float | None]:
    """The face side in pixels to which each file is brought; None without a face.

    It is the same for all files of a pair: 0.9 of the smallest of them, at most :data:`MOST_SIDE_PX`.
    """
    own = [float(np.median([face.side_px for face in one.faces])) if one.faces else None for one in found]
    smallest: dict[str, float] = {}
    for one, side in zip(found, own, strict=True):
        if one.file.pair and side is not None:
            smallest[one.file.pair] = min(side, smallest.get(one.file.pair, side))
    return [
        None if side is None else min(MOST_SIDE_PX, _BELOW * smallest.get(one.file.pair, side))
        for one, side in zip(found, own, strict=True)
    ]


def all_forms(one: FileFaces, side: float | None) -> Mapping[Form, tuple[FoundFace, ...]]:
    """The faces of a file in every form, given its side from :func:`matched_sides`; no faces give no faces.

    Raises:
        MediaError: an encoder is not built in.
    """
    if side is None:
        return {form: () for form in FORMS}
    factor = side / float(np.median([face.side_px for face in one.faces]))
    matched = tuple(_matched(face, factor) for face in one.faces)
    made: dict[Form, tuple[FoundFace, ...]] = {"raw": one.faces, "matched": matched}
    for form in FORMS[2:]:
        made[form] = tuple(_degraded(face, form, one) for face in matched)
    return made


def _matched(face: FoundFace, factor: float) -> FoundFace:
    height, width = (max(_LEAST_PX, round(side * factor)) for side in face.image.shape[:2])
    smaller = cv2.resize(face.image, (width, height), interpolation=cv2.INTER_AREA)
    return resized_face(face, jpeg(smaller, QUALITY))


def _degraded(face: FoundFace, form: Form, one: FileFaces) -> FoundFace:
    # One seed for a pair: its files differ by the forgery alone.
    rng = np.random.default_rng(zlib.crc32((one.file.pair or one.file.sha256).encode()))
    image = face.image
    match form:
        case "c40":
            changed = coded(image, _CRF, moved=small_move(rng))
        case "resize":
            changed = rescaled(image, 2)
        case _:
            changed = reuploaded(image, rng)
    return resized_face(face, changed)
