"""Time lapse of a training: the same few faces at each preview, and a video of them at the end."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import torch

from forge.models import Swapper
from forge.training.data import FaceBank
from forge.training.previews import decode_all, strip
from shared.device import Device
from shared.sampling import evenly_spaced
from shared.types import Timestamp
from shared.video import VideoWriter

_CELL_PX = 128
_HEAD_PX = 20
_MOST_IDENTITIES = 4
_FACES = 2
_FRAME_RATE = Fraction(8)
_MOST_FRAMES = 3_000
_SPACE = (24, 24, 24)
_INK = (235, 235, 235)


def plot_moment(swapper: Swapper, banks: Sequence[FaceBank], device: Device, step: int) -> np.ndarray:
    """(H, W, 3) uint8 RGB, H and W even: a row per identity: two faces, each as it is, reconstructed, and swapped.

    The faces are the same at every step; the swap is to the next identity. At most four identities are shown.
    """
    shown = banks[:_MOST_IDENTITIES]
    rows = []
    for place, bank in enumerate(shown):
        other = shown[(place + 1) % len(shown)].identity
        chosen = [evenly_spaced(len(bank), _FACES + 1)[number] for number in range(min(_FACES, len(bank)))]
        still = bank.still(chosen, swapper.spec)
        decoded = decode_all(swapper, still.input, list(dict.fromkeys([bank.identity, other])), device)
        faces = torch.stack([still.target, decoded[bank.identity][0], decoded[other][0]], 1).flatten(0, 1)
        rows.append(strip(faces, _CELL_PX))
    width = max(row.shape[1] for row in rows)
    rows = [np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0))) for row in rows]
    head = np.full((_HEAD_PX, width, 3), _SPACE, np.uint8)
    cv2.putText(head, f"step {step}", (4, _HEAD_PX - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.42, _INK, 1, cv2.LINE_AA)
    return np.concatenate([head, *rows])


def assemble(folder: Path, film: Path) -> Path | None:
    """Makes a video of the images ``step-*.jpg`` in ``folder``, eight a second; None where there are fewer than two.

    Images of another size than the last one (of a run started with other identities) are left out; of very many an
    evenly spaced subset is used.

    Raises:
        MediaError: the video cannot be encoded.
        StorageError: writing failed.
    """
    files = sorted(folder.glob("step-*.jpg"))
    files = [files[place] for place in evenly_spaced(len(files), _MOST_FRAMES)]
    if len(files) < 2:
        return None
    last = _picture(files[-1])
    if last is None:
        return None
    height, width = last.shape[:2]
    base = 1 / _FRAME_RATE
    with VideoWriter(film, width=width, height=height, time_base=base, frame_rate=_FRAME_RATE) as writer:
        count = 0
        for file in files:
            image = _picture(file)
            if image is not None and image.shape == last.shape:
                writer.write(image, Timestamp(count, base))
                count += 1
    return film


def _picture(file: Path) -> np.ndarray | None:
    return cv2.imread(str(file), cv2.IMREAD_COLOR_RGB)
