"""The picture of all presets of pasting, docs/pastes.jpg: another actor's face in one actor's, and the mask of each."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import cv2
import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from forge.models.contract import Swap, Swapper, SwapSpec
from forge.models.predictor import SwapPredictor
from forge.swapping.config import SwapConfig
from forge.swapping.pastes import with_paste
from forge.swapping.plan import plan_swap
from forge.swapping.render import OpenedSwap, composited_frames
from forge.swapping.stages import CompositedFrame
from shared.actors import ActorFrame, Pose, cast, portrait
from shared.config import configured
from shared.device import Device
from shared.errors import UsageError
from shared.faces.align import align
from shared.faces.pastes.presets import presets
from shared.types import Face, Frame, Timestamp
from shared.video.images import encode_jpeg

MOST_BYTES = 200_000
_PX, _PAD, _CELL, _COLUMNS, _LABEL = 280, 40, 236, 4, 22
_FACE_PX = 128
_TARGET, _SOURCE = 7, 3
_ROLL = 12.0
_INK = (235, 235, 235)


class _Likeness(Swapper):
    """Gives one and the same picture for every face: what a perfect swapper would give for one frame."""

    def __init__(self, picture: np.ndarray) -> None:
        super().__init__()
        self.spec = SwapSpec("likeness", _FACE_PX, _FACE_PX, "whole", ("source", "target"), has_mask=False)
        self.picture = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255

    @override
    def encode(self, faces: Tensor) -> Tensor:
        return faces

    @override
    def decode(self, latent: Tensor, identity: str) -> Swap:
        return Swap(self.picture.expand(len(latent), -1, -1, -1), None)


def picture() -> bytes:
    """JPEG of at most 200 kB: every preset without jitter on one actor, its mask below it."""
    people = cast(3, _TARGET)[2], cast(2, _SOURCE)[1]
    target, source = (portrait(actor, px=_PX, seed=4, pose=Pose(roll=_ROLL)) for actor in people)
    crop = align(source.image, _face(source), px=_FACE_PX, framing="whole", frame=0).crop
    predictor = SwapPredictor(_Likeness(crop), Device(torch.device("cpu"), None))
    cells = [_cell(name, _pasted(target, predictor, name)) for name in presets()]
    rows = [np.hstack(cells[start : start + _COLUMNS]) for start in range(0, len(cells), _COLUMNS)]
    return _fitting(np.vstack(rows))


def _pasted(target: ActorFrame, predictor: SwapPredictor, name: str) -> CompositedFrame:
    # Widened, so that no square is cut by the frame.
    image = cv2.copyMakeBorder(target.image, _PAD, _PAD, _PAD, _PAD, cv2.BORDER_REFLECT)
    frame = Frame(0, Timestamp(0, Fraction(1, 25)), image)
    plan = plan_swap([(frame, [_face(target, _PAD)])], smooth=False)
    config = configured(SwapConfig, None, with_paste({"paste": name}))
    return next(composited_frames([frame], plan, OpenedSwap.of(predictor, config, "source", "target")))


def _face(frame: ActorFrame, pad: int = 0) -> Face:
    landmarks = (frame.landmarks + pad).astype(np.float32)
    return Face(np.concatenate([landmarks.min(0), landmarks.max(0)]), landmarks, 1.0, 0)


def _cell(name: str, done: CompositedFrame) -> np.ndarray:
    centre = done.faces[0].landmarks.mean(0).round().astype(int)
    x, y = centre[0] - _CELL // 2, centre[1] - 8 - _CELL // 2
    part = np.s_[y : y + _CELL, x : x + _CELL]
    label = np.zeros((_LABEL, _CELL, 3), np.uint8)
    cv2.putText(label, name, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, _INK, 1, cv2.LINE_AA)
    return np.vstack([label, done.image[part], done.masks.alpha[part][..., None].repeat(3, 2)])


def _fitting(sheet: np.ndarray, qualities: Sequence[int] = (92, 88, 84, 78, 70)) -> bytes:
    for quality in qualities:
        data = encode_jpeg(sheet, quality)
        if len(data) <= MOST_BYTES:
            return data
    raise UsageError(f"the picture does not fit into {MOST_BYTES} bytes", hint="make its cells smaller")
