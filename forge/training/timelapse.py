"""How the same few faces look as a training goes on: a picture a preview, and at the end a film of them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import torch

from forge.models import Swapper
from forge.training.data import FaceBank
from forge.training.previews import decode_all
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
    """(H, W, 3) uint8 RGB, H and W even: a row an identity; two of its faces, each as it is, drawn again, and swapped.

    The faces are the same at every step. Swapped is: into the next identity. Of many the first four are shown.
    """
    shown = banks[:_MOST_IDENTITIES]
    rows = []
    for place, bank in enumerate(shown):
        other = shown[(place + 1) % len(shown)].identity
        chosen = [evenly_spaced(len(bank), _FACES + 1)[number] for number in range(min(_FACES, len(bank)))]
        still = bank.still(chosen, swapper.spec)
        drawn = decode_all(swapper, still.input, list(dict.fromkeys([bank.identity, other])), device)
        faces = torch.stack([still.target, drawn[bank.identity][0], drawn[other][0]], 1).flatten(0, 1)
        pixels = (faces.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        rows.append(
            np.concatenate(
                [cv2.resize(each, (_CELL_PX, _CELL_PX), interpolation=cv2.INTER_CUBIC) for each in pixels], axis=1
            )
        )
    width = max(row.shape[1] for row in rows)
    rows = [np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0))) for row in rows]
    head = np.full((_HEAD_PX, width, 3), _SPACE, np.uint8)
    cv2.putText(head, f"step {step}", (4, _HEAD_PX - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.42, _INK, 1, cv2.LINE_AA)
    return np.concatenate([head, *rows])


def assemble(folder: Path, film: Path) -> Path | None:
    """Makes a film of the pictures ``step-*.jpg`` in ``folder``, eight a second; None where there are fewer than two.

    Pictures of another size than the last one (of a run begun with other people) are left out, and of very many an
    even choice is taken.

    Raises:
        MediaError: the film cannot be encoded.
        StorageError: the disk refused.
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
            picture = _picture(file)
            if picture is not None and picture.shape == last.shape:
                writer.write(picture, Timestamp(count, base))
                count += 1
    return film


def _picture(file: Path) -> np.ndarray | None:
    return cv2.imread(str(file), cv2.IMREAD_COLOR_RGB)
