"""A picture to look at beside a fake: a few frames, each as target, swap and alpha mask; signed as what it is."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from forge.frames import Rendered
from shared.errors import AssayError
from shared.provenance import COMPOSITE_WITH_MODEL, Action, record_facts, sign_clip
from shared.sampling import evenly_spaced
from shared.signing import SigningIdentity
from shared.storage import replacing
from shared.types import ClipRecord

_MOST_ROWS = 4
_CELL_HEIGHT_PX = 256
_MOST_WIDTH_PX = 640
_TITLES = ("target", "swap", "alpha mask")
_TITLE_PX = 22
_INK = (235, 235, 235)


class PreviewSheet:
    """Keeps a few of the frames that pass, small, and lays them out.

    ``frames`` are the indices worth showing; four of them, evenly spaced, are kept.
    """

    suffix = ".jpg"

    def __init__(self, frames: list[int]) -> None:
        self._wanted = {frames[place] for place in evenly_spaced(len(frames), _MOST_ROWS)} if frames else set()
        self._rows: dict[int, np.ndarray] = {}

    def offer(self, done: Rendered) -> None:
        """Takes the frame when it is one of those wanted."""
        if done.frame.index in self._wanted:
            alpha = np.repeat(done.masks.alpha[..., None], 3, axis=2)
            cells = [_small(picture) for picture in (done.frame.image, done.image, alpha)]
            self._rows[done.frame.index] = np.hstack(cells)

    def picture(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB: a row a frame, columns target, swap, alpha.

        Raises:
            ValueError: none of the wanted frames came.
        """
        if not self._rows:
            raise ValueError("a sheet needs at least one of its frames")
        rows = [self._rows[index] for index in sorted(self._rows)]
        return np.vstack([_titles(rows[0].shape[1]), *rows])

    def encoded(self) -> bytes:
        """:meth:`picture` as the bytes of a JPEG file.

        Raises:
            ValueError: none of the wanted frames came.
            AssayError: the picture cannot be encoded.
        """
        good, data = cv2.imencode(".jpg", self.picture()[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
        if not good:
            raise AssayError("the preview cannot be encoded as JPEG", hint="check the OpenCV installation")
        return data.tobytes()


def write_preview(path: Path, picture: bytes, record: ClipRecord) -> None:
    """Puts ``picture``, which shows the fake of ``record``, at ``path``, with a signature that says so.

    Raises:
        ProvenanceError: it cannot be signed.
        StorageError: the disk refused.
    """
    with replacing(path) as draft:
        draft.write_bytes(picture)
        sign_clip(
            draft,
            SigningIdentity.load_or_create(),
            title=path.name,
            actions=[Action("c2pa.edited", f"a preview of {record.id}: frames of a face swap beside their targets")],
            ingredient=None,
            digital_source_type=COMPOSITE_WITH_MODEL,
            record=record_facts(record),
        )


def _small(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    scale = min(1.0, _CELL_HEIGHT_PX / height, _MOST_WIDTH_PX / width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _titles(width: int) -> np.ndarray:
    strip = np.zeros((_TITLE_PX, width, 3), np.uint8)
    for place, title in enumerate(_TITLES):
        at = (place * (width // len(_TITLES)) + 6, _TITLE_PX - 7)
        cv2.putText(strip, title, at, cv2.FONT_HERSHEY_SIMPLEX, 0.45, _INK, 1, cv2.LINE_AA)
    return strip
