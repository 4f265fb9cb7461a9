"""The swapped crops by themselves, with where they go: for compositing by hand or in another program.

A folder of PNG pictures and ``patches.json``. Each picture is a swapped crop in the target's colours with the
compositor's mask as its alpha channel (straight, not premultiplied). The list, signed, says for each which frame and
track it belongs to and its ``crop_to_frame`` matrix: rows of [a, b, c] that take crop pixels (x, y) to frame pixels
``(a x + b y + c)``, pixel centres at integers. Every picture says in itself what it is.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from forge.swapping.stages import CompositedFrame, DecodedFace
from shared.errors import storage_errors
from shared.faces.align import invert
from shared.provenance.signed_list import write_signed
from shared.provenance.types import record_facts
from shared.storage import need_replaceable, replacing_folder, sha256_file
from shared.types import ClipRecord

LIST = "patches.json"
_LABEL = "Synthetic: a face drawn by a trained model, made by Assay"


class PatchWriter:
    """Writes the crops of finished frames below ``folder``; without one it does nothing."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._rows: list[dict[str, Any]] = []
        self._files: dict[str, str] = {}

    def write(self, done: CompositedFrame) -> None:
        """Adds every face pasted into the frame.

        Raises:
            OSError: the disk refused; :func:`patch_writer` turns it into a :class:`StorageError`.
        """
        if self._folder is None:
            return
        for face in done.faces:
            name = f"{done.frame.index:08d}-{face.track}.png"
            path = self._folder / name
            with storage_errors(path):
                path.write_bytes(encoded_patch(face))
            self._files[name] = sha256_file(path)
            self._rows.append(_row(name, done, face))

    def finish(self, record: ClipRecord) -> None:
        """Writes the signed list; ``record`` is of the clip that the patches were made for.

        Raises:
            ProvenanceError: the signing identity cannot be used.
            StorageError: the disk refused.
        """
        if self._folder is not None:
            facts = {"made": _LABEL, "clip": record_facts(record), "patches": self._rows}
            write_signed(self._folder / LIST, facts, self._files)


@contextmanager
def patch_writer(folder: Path | None) -> Iterator[PatchWriter]:
    """A writer of patches into ``folder``, which appears whole when the block ends well; None for none.

    Raises:
        UsageError: the folder holds something other than patches.
        StorageError: the disk refused.
    """
    if folder is None:
        yield PatchWriter(None)
        return
    need_replaceable(folder, LIST, marks=(LIST,))
    with replacing_folder(folder) as draft:
        yield PatchWriter(draft)


def encoded_patch(face: DecodedFace) -> bytes:
    """The crop (S, S) as the bytes of an RGBA PNG that says what it is."""
    layers = np.dstack([face.swapped.crop, face.alpha])
    pixels = np.rint(np.clip(layers, 0, 1) * 255).astype(np.uint8)
    note = PngInfo()
    note.add_itxt("Description", _LABEL)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG", pnginfo=note, compress_level=3)
    return file.getvalue()


def _row(name: str, done: CompositedFrame, face: DecodedFace) -> dict[str, Any]:
    return {
        "file": name,
        "frame": done.frame.index,
        "pts": done.frame.time.pts,
        "seconds": done.frame.time.seconds,
        "track": face.track,
        "px": face.swapped.crop.shape[0],
        "crop_to_frame": invert(face.swapped.frame_to_crop).tolist(),
        "landmarks": [[round(float(x), 3), round(float(y), 3)] for x, y in face.landmarks],
    }
