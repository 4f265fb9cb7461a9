"""Swapping, extracting and training as plain loops, the way most tools write them.

One thing after another, a frame or a batch at a time, float32 in torch's usual memory layout, libraries at their
defaults. The loops do the work that the others do and no more: no tracking, no smoothing over time, no masks or labels
on disk, no signature.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from forge.models import build_swapper
from forge.models.checkpoint import load_swapper
from shared import weights
from shared.faces.align import frame_to_crop
from shared.faces.finders.contract import need_package
from shared.faces.finders.dlib_hog import DLIB_PACKAGES
from shared.types import Framing
from shared.video.container import created, opened

_CROP_PX = 256
_WARP_POINTS = 5
_STORED_PX = 256
_RATE = 5e-5


class PlainDlib:
    """dlib's HOG detector and 68 landmarks on every frame."""

    def __init__(self) -> None:
        dlib = need_package("dlib", DLIB_PACKAGES)
        self._detect = dlib.get_frontal_face_detector()
        self._predict = dlib.shape_predictor(str(weights.require("dlib-68-points")))

    def __call__(self, image: np.ndarray) -> list[np.ndarray]:
        """(68, 2) float64 frame pixels of each face in ``image`` (H, W, 3) uint8."""
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        shapes = [self._predict(gray, box) for box in self._detect(gray, 0)]
        return [np.array([(point.x, point.y) for point in shape.parts()], np.float64) for shape in shapes]


class PlainBlazeFace:
    """face-alignment's own call of its BlazeFace detector on every frame; it has no landmarks without FAN's weights."""

    def __init__(self) -> None:
        module = need_package("face_alignment.detection.blazeface.blazeface_detector", "face-alignment")
        self._detector = module.BlazeFaceDetector(
            "cpu",
            path_to_detector=str(weights.require("blazeface")),
            path_to_anchor=str(weights.require("blazeface-anchors")),
        )

    def __call__(self, image: np.ndarray) -> int:
        """The number of faces found in ``image``."""
        return len(self._detector.detect_from_image(image))


def swap_by_loop(clip: Path, swapper: Path, source: str, out: Path) -> int:
    """Swaps the first face of every frame of ``clip`` to ``source``; returns the number of frames.

    Decode, detect and fit landmarks, one float32 forward of one face, one warp of the whole frame,
    ``cv2.seamlessClone`` in the hull of the landmarks, H.264 at crf 18 and x264's usual preset.
    """
    find, model, frames = PlainDlib(), load_swapper(swapper), 0
    with opened(clip) as reading, created(out) as writing:
        source_stream = reading.streams.video[0]
        rate = source_stream.average_rate or Fraction(25)
        stream: Any = writing.add_stream("libx264", rate=rate, options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = source_stream.width, source_stream.height, "yuv420p"
        for frame in reading.decode(source_stream):
            image = frame.to_ndarray(format="rgb24")
            for landmarks in find(image)[:1]:
                image = _swapped(image, landmarks, model, source)
            writing.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            frames += 1
        writing.mux(stream.encode(None))
    return frames


def _swapped(image: np.ndarray, landmarks: np.ndarray, model: Any, source: str) -> np.ndarray:
    height, width = image.shape[:2]
    px, framing = model.spec.input_px, model.spec.framing
    crop, matrix = _crop(image, landmarks, px, framing)
    with torch.inference_mode():
        pixels = torch.from_numpy(crop).permute(2, 0, 1)[None].float() / 255
        face = model(pixels, source).rgb[0].permute(1, 2, 0).numpy()
    face = np.clip(cv2.resize(face, (px, px)) * 255, 0, 255).astype(np.uint8)
    warped = cv2.warpAffine(face, matrix, (width, height), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)
    mask = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(landmarks.astype(np.int32)), 255)
    x, y, w, h = cv2.boundingRect(mask)
    return cv2.seamlessClone(warped, image, mask, (x + w // 2, y + h // 2), cv2.NORMAL_CLONE)


def extract_by_loop(clip: Path, out: Path) -> int:
    """Writes a 256 px PNG crop of every face that dlib finds in every frame; returns the number of frames."""
    find, frames = PlainDlib(), 0
    out.mkdir(parents=True, exist_ok=True)
    for image in _images(clip):
        for number, landmarks in enumerate(find(image)):
            crop, _matrix = _crop(image, landmarks, _CROP_PX, "full")
            cv2.imwrite(str(out / f"{frames:06d}-{number}.png"), cv2.cvtColor(crop, cv2.COLOR_RGB2BGR))
        frames += 1
    return frames


def detect_by_loop(clip: Path) -> int:
    """Detects faces in every frame as face-alignment does with BlazeFace; returns the number of frames."""
    find, frames = PlainBlazeFace(), 0
    for image in _images(clip):
        find(image)
        frames += 1
    return frames


def _images(clip: Path) -> Any:
    with opened(clip) as reading:
        for frame in reading.decode(reading.streams.video[0]):
            yield frame.to_ndarray(format="rgb24")


def _crop(image: np.ndarray, landmarks: np.ndarray, px: int, framing: Framing) -> tuple[np.ndarray, np.ndarray]:
    matrix = frame_to_crop(landmarks, px=px, framing=framing)
    return cv2.warpAffine(image, matrix, (px, px), flags=cv2.INTER_CUBIC), matrix


class PlainTraining:
    """The network of ``original`` without masks, trained on random faces with faceswap's usual losses.

    Each face is turned, zoomed, mirrored and warped on a grid of 5 x 5 points by OpenCV, one after another (faceswap
    ``lib/training/augmentation.py``); the loss is DSSIM and absolute error; Adam at 5e-5, (.5, .99).
    """

    def __init__(self, people: Sequence[str], batch: int, *, faces: int = 64) -> None:
        self._rng = np.random.default_rng(0)
        self._model = build_swapper("original", people, mask=False).train()
        self._people, self._batch, self._px = tuple(people), batch, self._model.spec.input_px
        self._faces = self._rng.integers(0, 256, (faces, _STORED_PX, _STORED_PX, 3), dtype=np.uint8)
        self._optimizer = torch.optim.Adam(self._model.parameters(), lr=_RATE, betas=(0.5, 0.99))

    def step(self) -> int:
        """One step on a batch of each person; returns the number of faces."""
        self._optimizer.zero_grad()
        total = torch.zeros(())
        for person in self._people:
            warped, target = self._made()
            total = total + _loss(self._model(warped, person).rgb, target)
        total.backward()
        self._optimizer.step()
        return self._batch * len(self._people)

    def _made(self) -> tuple[Tensor, Tensor]:
        pairs = [self._augmented(self._faces[index]) for index in self._rng.integers(0, len(self._faces), self._batch)]
        warped, target = (np.stack(images).transpose(0, 3, 1, 2) for images in zip(*pairs, strict=True))
        return torch.from_numpy(warped), torch.from_numpy(target)

    def _augmented(self, face: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rng, side = self._rng, _STORED_PX
        turn = cv2.getRotationMatrix2D((side / 2, side / 2), rng.uniform(-10, 10), rng.uniform(0.95, 1.05))
        turn[:, 2] += rng.uniform(-0.05, 0.05, 2) * side
        image = cv2.warpAffine(face, turn, (side, side), borderMode=cv2.BORDER_REPLICATE).astype(np.float32) / 255
        if rng.random() < 0.5:
            image = image[:, ::-1]
        low, high = side * 0.1875, side * 0.8125
        across, down = np.meshgrid(*[np.linspace(low, high, _WARP_POINTS)] * 2)
        maps = [
            cv2.resize((axis + rng.normal(0, side / 51, axis.shape)).astype(np.float32), (self._px, self._px))
            for axis in (across, down)
        ]
        warped = cv2.remap(np.ascontiguousarray(image), maps[0], maps[1], cv2.INTER_LINEAR)
        inner = image[int(low) : int(high), int(low) : int(high)]
        return warped, cv2.resize(inner, (self._px, self._px), interpolation=cv2.INTER_AREA)


def _loss(made: Tensor, target: Tensor) -> Tensor:
    """DSSIM with an 11 px Gaussian window (sigma 1.5) and the mean absolute error."""
    steps = torch.arange(11) - 5.0
    line = torch.exp(-(steps**2) / (2 * 1.5**2))
    window = torch.outer(line / line.sum(), line / line.sum()).expand(3, 1, 11, 11)

    def mean(values: Tensor) -> Tensor:
        return functional.conv2d(values, window, groups=3)

    a, b = mean(made), mean(target)
    spread_a, spread_b, both = mean(made**2) - a**2, mean(target**2) - b**2, mean(made * target) - a * b
    c1, c2 = 0.01**2, 0.03**2
    likeness = (2 * a * b + c1) * (2 * both + c2) / ((a**2 + b**2 + c1) * (spread_a + spread_b + c2))
    return (1 - likeness).mean() / 2 + (made - target).abs().mean()
