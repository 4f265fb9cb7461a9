"""Short clips of photographs: a slow camera, changing light and noise, in several sizes and frame rates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from shared.config import need
from shared.types import Timestamp
from shared.video import Encoding, VideoWriter
from shared.video.images import read_picture


@dataclass(frozen=True)
class Canvas:
    """One size of a clip, and how often it is taken."""

    width: int
    height: int
    weight: float = 1.0

    def __post_init__(self) -> None:
        need(min(self.width, self.height) >= 64, f"a canvas of {self.width}x{self.height} is too small", "64 or more")
        need(self.width % 2 == 0 and self.height % 2 == 0, f"{self.width}x{self.height} is odd", "even sides")


@dataclass(frozen=True)
class MotionConfig:
    """How photographs are filmed. Ranges are drawn from evenly; shares are of the picture's side.

    Attributes:
        frames: number of frames.
        canvases: sizes; one is taken that enlarges the photograph at most ``enlarge`` times, if there is one.
        rates: frames a second.
        zoom, shift, degrees: amplitudes of the camera's motion.
        light, noise: amplitude of the brightness, and deviation of the noise in grey levels.
        crf: of the camera's H.264.
    """

    frames: tuple[int, int] = (16, 24)
    canvases: tuple[Canvas, ...] = (Canvas(480, 480),)
    enlarge: float = 1.6
    rates: tuple[int, ...] = (24, 25, 30)
    zoom: float = 0.04
    shift: float = 0.02
    degrees: float = 2.0
    light: float = 0.08
    noise: float = 3.0
    crf: tuple[int, int] = (10, 20)

    def __post_init__(self) -> None:
        need(1 <= self.frames[0] <= self.frames[1], f"frames must ascend from 1, got {self.frames}")
        need(0 <= self.crf[0] <= self.crf[1] <= 51, f"crf must ascend within 0 to 51, got {self.crf}")
        need(bool(self.canvases) and bool(self.rates), "canvases and rates are not empty")
        need(self.enlarge >= 1, f"enlarge must be at least 1, got {self.enlarge}")


def film_photograph(photograph: Path, out: Path, config: MotionConfig, rng: np.random.Generator) -> Path:
    """Writes a clip of the ``photograph`` to ``out``, as drawn by ``rng``; returns ``out``.

    Raises:
        MediaError: the photograph cannot be read.
        StorageError: writing failed.
    """
    picture = read_picture(photograph)
    canvas = _canvas(picture, config, rng)
    rate = Fraction(int(rng.choice(config.rates)))
    frames = int(rng.integers(config.frames[0], config.frames[1] + 1))
    encoding = Encoding(crf=int(rng.integers(config.crf[0], config.crf[1] + 1)))
    with VideoWriter(
        out, width=canvas.width, height=canvas.height, time_base=1 / rate, frame_rate=rate, encoding=encoding
    ) as writer:
        for index, image in enumerate(moved(staged(picture, canvas), frames, config, rng)):
            writer.write(image, Timestamp(index, 1 / rate))
    return out


def _canvas(picture: np.ndarray, config: MotionConfig, rng: np.random.Generator) -> Canvas:
    height = picture.shape[0]
    fitting = [one for one in config.canvases if one.height <= height * config.enlarge]
    fitting = fitting or [min(config.canvases, key=lambda one: one.height)]
    weights = np.array([one.weight for one in fitting])
    return fitting[int(rng.choice(len(fitting), p=weights / weights.sum()))]


def staged(picture: np.ndarray, canvas: Canvas) -> np.ndarray:
    """The photograph (H, W, 3) uint8 as high as ``canvas``, between sides that are blurred copies of it."""
    height, width = picture.shape[:2]
    scale = canvas.height / height
    size = (max(2, round(width * scale)), canvas.height)
    shown = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    if size[0] >= canvas.width:
        left = (size[0] - canvas.width) // 2
        return np.ascontiguousarray(shown[:, left : left + canvas.width])
    stage = cv2.GaussianBlur(cv2.resize(picture, (canvas.width, canvas.height)), (0, 0), canvas.height / 24)
    left = (canvas.width - size[0]) // 2
    stage[:, left : left + size[0]] = shown
    return stage


def moved(stage: np.ndarray, frames: int, config: MotionConfig, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """``frames`` pictures of ``stage``, (H, W, 3) uint8 each, by a moving camera in changing light."""
    height, width = stage.shape[:2]
    paths = [_path(frames, rng) for _ in range(5)]
    levels = rng.uniform(0.0, config.noise)
    margin = 1 + config.zoom + 2 * config.shift  # so that its edge stays outside
    for index in range(frames):
        zoom, across, down, turn, light = (float(path[index]) for path in paths)
        scale = margin * (1 + config.zoom * zoom)
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), config.degrees * turn, scale)
        matrix[:, 2] += config.shift * across * width, config.shift * down * height
        image = cv2.warpAffine(stage, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        lit = image.astype(np.float32) * (1 + config.light * light)
        lit += rng.standard_normal(lit.shape, np.float32) * levels
        yield np.clip(np.rint(lit), 0, 255).astype(np.uint8)


def _path(frames: int, rng: np.random.Generator) -> np.ndarray:
    """(frames,) a smooth path within -1 to 1."""
    time = np.arange(frames) / max(frames - 1, 1)
    waves = [np.sin(2 * np.pi * (rng.uniform(0.2, 1.2) * time + rng.uniform())) for _ in range(2)]
    return np.asarray(rng.uniform(0.2, 1.0) * np.mean(waves, axis=0))
