"""Previews of a fake: a few frames, each as target, swap and alpha mask; signed."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from forge.swapping.marks import Finish
from forge.swapping.stages import CompositedFrame
from shared.provenance.identity import SigningIdentity
from shared.provenance.sign import sign_clip
from shared.provenance.types import COMPOSITE_WITH_MODEL, Action, SoftBinding, record_facts
from shared.sampling import evenly_spaced
from shared.storage import replacing
from shared.types import ClipRecord
from shared.video.images import encode_jpeg

_MOST_ROWS = 4
_CELL_HEIGHT_PX = 256
_MOST_WIDTH_PX = 640
_TITLE_PX = 22
_MADE = {"reenact": "re-enactment"}
_INK = (235, 235, 235)

_GIF_MOST_FRAMES = 40
_GIF_HEIGHT_PX = 200
_GIF_MOST_WIDTH_PX = 320
_GIF_FRAME_MS = 100
_GIF_LABEL_PX = 20


class PreviewSheet:
    """Keeps a few of the frames given to it, scaled down, and lays them out.

    ``frames`` are the indices of the frames with a swapped face; four of them, evenly spaced, are kept. ``finish``
    is applied to the sheet. ``made`` is what the fake is called: a swap.
    """

    suffix = ".jpg"

    def __init__(self, frames: list[int], finish: Finish = Finish(), *, made: str = "swap") -> None:  # noqa: B008
        self._finish, self._made = finish, made
        self._wanted = {frames[place] for place in evenly_spaced(len(frames), _MOST_ROWS)} if frames else set()
        self._rows: dict[int, np.ndarray] = {}

    def offer(self, done: CompositedFrame) -> None:
        """Keeps the frame if it is one of those to show."""
        if done.frame.index in self._wanted:
            alpha = np.repeat(done.masks.alpha[..., None], 3, axis=2)
            cells = [
                shrunk(picture, _CELL_HEIGHT_PX, _MOST_WIDTH_PX) for picture in (done.frame.image, done.image, alpha)
            ]
            self._rows[done.frame.index] = np.hstack(cells)

    def picture(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB: a row a frame, columns target, swap, alpha.

        Raises:
            ValueError: none of the frames to show was given.
        """
        if not self._rows:
            raise ValueError("a sheet needs at least one of its frames")
        rows = [self._rows[index] for index in sorted(self._rows)]
        return np.vstack([_titles(rows[0].shape[1], ("target", self._made, "alpha mask")), *rows])

    def encoded(self) -> bytes:
        """:meth:`picture` as the bytes of a JPEG file.

        Raises:
            ValueError: none of the frames to show was given.
            MediaError: the picture cannot be encoded.
        """
        return encode_jpeg(self._finish.apply(self.picture()))


class GifSheet:
    """Keeps some of the frames given to it, scaled down, and makes a GIF of them, ten a second.

    ``frames`` are the indices of the frames with a swapped face; forty of them, evenly spaced, are kept. ``finish``
    is applied to each picture. ``made`` is what the fake is called: a swap.
    """

    suffix = ".gif"

    def __init__(self, frames: list[int], finish: Finish = Finish(), *, made: str = "swap") -> None:  # noqa: B008
        self._finish, self._made = finish, made
        self._wanted = {frames[place] for place in evenly_spaced(len(frames), _GIF_MOST_FRAMES)} if frames else set()
        self._pictures: list[np.ndarray] = []

    def offer(self, done: CompositedFrame) -> None:
        """Keeps the frame if it is one of those to show."""
        if done.frame.index in self._wanted:
            pair = np.hstack(
                [shrunk(picture, _GIF_HEIGHT_PX, _GIF_MOST_WIDTH_PX) for picture in (done.frame.image, done.image)]
            )
            self._pictures.append(self._finish.apply(np.vstack([_gif_label(pair.shape[1], self._made), pair])))

    def encoded(self) -> bytes:
        """The bytes of a GIF file with a comment that says what it shows.

        Raises:
            ValueError: none of the frames to show was given.
        """
        if not self._pictures:
            raise ValueError("a preview needs at least one of its frames")
        # One palette for all, or the colours of a still background would flicker.
        tall = Image.fromarray(np.vstack(self._pictures[:: max(1, len(self._pictures) // 8)]))
        palette = tall.quantize(256, method=Image.Quantize.MEDIANCUT)
        pictures = [Image.fromarray(one).quantize(palette=palette) for one in self._pictures]
        file = io.BytesIO()
        pictures[0].save(
            file,
            format="GIF",
            save_all=True,
            append_images=pictures[1:],
            duration=_GIF_FRAME_MS,
            loop=0,
            comment=f"Synthetic: a face {self._made} made by Assay (right) beside its target (left)".encode(),
            optimize=False,
        )
        return file.getvalue()


def write_preview(
    path: Path, picture: bytes, record: ClipRecord, bindings: Sequence[SoftBinding] = (), *, title: str = ""
) -> None:
    """Puts ``picture``, which shows the fake of ``record``, at ``path``, signed as a picture of a fake.

    ``bindings`` are the marks that it carries; ``title`` is its name, by default that of ``path``.

    Raises:
        ProvenanceError: it cannot be signed.
        StorageError: writing failed.
    """
    made = _MADE.get(record.kind, record.kind)
    with replacing(path) as draft:
        draft.write_bytes(picture)
        sign_clip(
            draft,
            SigningIdentity.load_or_create(),
            title=title or path.name,
            actions=[
                Action(
                    "c2pa.edited",
                    f"a preview of {record.id}: frames of a face {made} beside their targets",
                )
            ],
            ingredient=None,
            digital_source_type=COMPOSITE_WITH_MODEL,
            record=record_facts(record),
            bindings=bindings,
        )


def shrunk(picture: np.ndarray, height_px: int, width_px: int) -> np.ndarray:
    """``picture``, made small enough for a box of that size where it is larger."""
    height, width = picture.shape[:2]
    scale = min(1.0, height_px / height, width_px / width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _titles(width: int, titles: Sequence[str]) -> np.ndarray:
    strip = np.zeros((_TITLE_PX, width, 3), np.uint8)
    for place, title in enumerate(titles):
        at = (place * (width // len(titles)) + 6, _TITLE_PX - 7)
        cv2.putText(strip, title, at, cv2.FONT_HERSHEY_SIMPLEX, 0.45, _INK, 1, cv2.LINE_AA)
    return strip


def _gif_label(width: int, made: str) -> np.ndarray:
    strip = np.zeros((_GIF_LABEL_PX, width, 3), np.uint8)
    cv2.putText(
        strip,
        f"target | SYNTHETIC face {made}",
        (4, _GIF_LABEL_PX - 6),
        cv2.FONT_HERSHEY_SIMPLEX,
        0.4,
        _INK,
        1,
        cv2.LINE_AA,
    )
    return strip
