"""A clip of a painted face with sound, a small swapper and settings, for whoever tests what becomes of a clip."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch

from forge.models import build_swapper
from forge.models.checkpoint import save_swapper
from forge.swapping.config import OutputConfig, SwapConfig
from shared.faces.align import MEAN_FACE
from shared.video import Encoding
from tests.factories import write_clip, write_landmarks
from tests.quick_plots import quick_plots, real_plots  # noqa: F401 - for every test of the folder

WIDTH, HEIGHT, FRAMES = 112, 96, 14
BASE = Fraction(1, 50)
TICKS = [3, 5, 7, 9, 11, 14, 16, 18, 20, 22, 24, 26, 28, 30]
EMPTY = (4, 5, 13)
FAST = OutputConfig(preset="ultrafast")


def _write_sound(path: Path) -> Path:
    wave = (8000 * np.sin(np.arange(16_000) * 0.05)).astype(np.int16)[None]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16_000)
        frame = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def landmarks_in(frame: int) -> np.ndarray:
    """(68, 2) of the painted face, which moves to the right."""
    return (MEAN_FACE * 44 + [32 + frame * 0.8, 26]).astype(np.float32)


def _picture(frame: int, rng: np.random.Generator) -> np.ndarray:
    picture = np.clip(rng.normal(90, 5, (HEIGHT, WIDTH, 3)), 0, 255).astype(np.uint8)
    if frame not in EMPTY:
        outline = cv2.convexHull(landmarks_in(frame).round().astype(np.int32))
        cv2.fillConvexPoly(picture, outline, (190, 150, 130))
        for eye in (range(36, 42), range(42, 48), range(48, 60)):
            cv2.fillConvexPoly(
                picture, cv2.convexHull(landmarks_in(frame)[list(eye)].round().astype(np.int32)), (60, 30, 30)
            )
    return picture


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip with sound, an uneven frame rate, a late start, and three frames without a face; landmarks beside it."""
    folder = tmp_path_factory.mktemp("target")
    path = folder / "bob at home.mp4"
    rng = np.random.default_rng(4)
    sound = _write_sound(folder / "sound.m4a")
    pictures = (_picture(frame, rng) for frame in range(FRAMES))
    clock = {"ticks": TICKS, "time_base": BASE, "frame_rate": None}
    write_clip(path, pictures, **clock, encoding=Encoding(), audio_from=sound)
    rows = [frame for frame in range(FRAMES) if frame not in EMPTY]
    write_landmarks(folder / "landmarks.parquet", {frame: landmarks_in(frame) for frame in rows})
    return path


@pytest.fixture(scope="module")
def swapper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained swapper of ann and bob."""
    torch.manual_seed(0)
    return save_swapper(
        build_swapper("lightweight", ["ann", "bob"], width=0.125), tmp_path_factory.mktemp("s") / "swapper"
    )


@pytest.fixture
def config(target: Path) -> SwapConfig:
    """Quick settings that read the landmarks beside the clip."""
    return SwapConfig(
        finder=f"sidecar:{target.parent / 'landmarks.parquet'}", min_face_px=16, device="cpu", output=FAST
    )


def files_in(folder: Path) -> list[str]:
    """All files but locks, as POSIX paths."""
    hidden = {".lock"}
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and p.name not in hidden)
