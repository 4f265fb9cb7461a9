"""Forged regions of faces, cropped from a dataset's masks and cached beside its faces.

The masks of a fake were made before compression and map to every rendition; the ``alpha`` mask, which the compositor
used, is taken. They are read once per clip, for the frames that a detector scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from detect.data.crops import ClipFaces
from detect.data.pairs import FaceKey
from shared.console import console
from shared.dataset import DatasetFolder
from shared.dataset.held import has_unknown_region
from shared.errors import MediaError
from shared.faces.align import cut, resized
from shared.storage import replacing
from shared.video import read_mask_frames

MASK_PX = 56
"""Side of a face's mask: a quarter of the usual crop, finer than any detector's output map."""

_NAME = f"masks-alpha-{MASK_PX}.npy"


class ForgedMasks:
    """The forged region of the fake faces of some clips.

    Args:
        dataset: where their masks are.
        clips: the clips, indexed by face keys.

    Raises:
        MediaError: a mask cannot be read.
    """

    def __init__(self, dataset: DatasetFolder, clips: Sequence[ClipFaces]) -> None:
        known = [clip.record.masks is not None and not has_unknown_region(clip.record) for clip in clips]
        wanted = [n for n, clip in enumerate(clips) if clip.faceset is not None and known[n]]
        self._masks: dict[int, np.ndarray] = {}
        with console.progress("reading masks", len(wanted), unit="clip") as tick:
            for place in wanted:
                self._masks[place] = _of_clip(dataset, clips[place])
                tick()

    def mask(self, face: FaceKey) -> np.ndarray | None:
        """(M, M) float32 in [0, 1] over the crop; None without masks, or where they do not say all."""
        of_clip = self._masks.get(face[0])
        return None if of_clip is None else of_clip[face[1]].astype(np.float32) / 255


def face_masks(mask_video: Path, clip: ClipFaces, *, px: int = MASK_PX) -> np.ndarray:
    """(N, ``px``, ``px``) uint8: the mask of every face of ``clip``, in its order.

    A mask video of another size than the clip, as of a smaller rendition, is resized.

    Raises:
        MediaError: the mask cannot be read, or ends before the frames do.
    """
    assert clip.faceset is not None
    frames, matrices = clip.frames, clip.faceset.matrices()
    masks = np.zeros((len(frames), px, px), np.uint8)
    rows: dict[int, list[int]] = {}
    for row, frame in enumerate(frames.tolist()):
        rows.setdefault(frame, []).append(row)
    last = max(rows, default=-1)
    for number, whole in enumerate(read_mask_frames(mask_video)):
        if number > last:
            break
        if whole.shape != (clip.record.height, clip.record.width):
            whole = cv2.resize(whole, (clip.record.width, clip.record.height), interpolation=cv2.INTER_AREA)
        for row in rows.pop(number, []):
            masks[row] = cut(whole, resized(matrices[row], clip.faceset.info.px, px), px)
    if rows:
        raise MediaError(
            f"{mask_video} ends before frame {min(rows)} of {clip.record.id}", hint="assay dataset verify says more"
        )
    return masks


def _of_clip(dataset: DatasetFolder, clip: ClipFaces) -> np.ndarray:
    assert clip.faceset is not None
    assert clip.record.masks is not None
    kept = clip.faceset.path / _NAME
    shape = (len(clip.faceset), MASK_PX, MASK_PX)
    try:
        masks = np.load(kept, allow_pickle=False)
        if masks.shape == shape and masks.dtype == np.uint8:
            return masks
    except (OSError, ValueError):
        pass  # missing or truncated: computed again
    masks = face_masks(dataset.mask_paths(clip.record)["alpha"], clip)
    with replacing(kept) as draft, draft.open("wb") as file:
        np.save(file, masks, allow_pickle=False)
    return masks
