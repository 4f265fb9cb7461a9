"""A painted face that talks, to drive others by; speech-like sound, and a small lip-sync model of the two."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from forge.reenacting.config import ReenactConfig
from forge.reenacting.lipsync.checkpoint import Material
from forge.reenacting.lipsync.config import LipsyncConfig
from forge.reenacting.lipsync.lessons import Lessons, SpeakingClip
from forge.reenacting.lipsync.training import train_lipsync
from forge.reenacting.performance import Performance
from shared.audio.sound import Sound, limited
from shared.faces.align import MEAN_FACE
from tests.factories import write_clip, write_landmarks
from tests.forge.conftest import FAST

FRAMES = 24
SIDE = 96
LOWER = [*range(55, 60), 65, 66, 67]
RATE = 16_000
QUICK = LipsyncConfig(width=8, layers=2, steps=20, batch=2, stretch=40, save_every=10, device="cpu")
MATERIALS = [Material("ann", "synthetic", "0" * 64, 1.0)]


def talking(frame: int, *, size: float = 40.0, left: float = 26.0) -> np.ndarray:
    """(68, 2): the mean face, whose mouth is shut in frame 0 and opens and shuts four times a second."""
    points = MEAN_FACE.copy()
    points[[67, 66, 65]] = points[[61, 62, 63]] + [0, 0.002]
    drop = 0.12 * (1 - np.cos(2 * np.pi * frame / 6)) / 2
    points[LOWER, 1] += drop
    points[6:11, 1] += drop
    return (points * size + [left, 24]).astype(np.float32)


def performance(*, frames: int = FRAMES, yaw: float = 0.0, **shape: float) -> Performance:
    """What :func:`talking` does, 25 frames a second, turned by ``yaw`` as far as is known."""
    return Performance(
        frames=np.arange(frames),
        seconds=np.arange(frames) / 25,
        landmarks=np.stack([talking(frame, **shape) for frame in range(frames)]).astype(np.float64),
        yaw=np.full(frames, yaw),
        pitch=np.zeros(frames),
        tracks=np.zeros(frames, np.int64),
    )


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of a talking face, with its landmarks beside it."""
    folder = tmp_path_factory.mktemp("drive")
    rng = np.random.default_rng(5)
    pictures = (rng.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8) for _ in range(FRAMES))
    path = write_clip(folder / "ann.mp4", pictures, frame_rate=Fraction(25))
    write_landmarks(folder / "ann.landmarks.parquet", {frame: talking(frame) for frame in range(FRAMES)})
    return path


@pytest.fixture
def reenact_config(target: Path) -> ReenactConfig:
    """Quick settings that read the landmarks beside the target, whatever the turn of its head."""
    return ReenactConfig(
        finder=f"sidecar:{target.parent / 'landmarks.parquet'}", min_face_px=16, device="cpu", output=FAST,
        max_pose_gap_degrees=60,
    )  # fmt: skip


def syllables(seconds: float = FRAMES / 25, seed: int = 0) -> Sound:
    """Noise that swells four times a second, as the mouth of the painted face opens."""
    times = np.arange(round(seconds * RATE)) / RATE
    swell = (1 - np.cos(2 * np.pi * times * 25 / 6)) / 2
    noise = np.random.default_rng(seed).standard_normal(len(times))
    return Sound(limited(0.2 * swell**2 * noise), RATE)


def speaking() -> Performance:
    """The painted face, whose mouth is also a little wider when it opens."""
    found = performance()
    found.landmarks[:, 54, 0] += 0.2 * (found.landmarks[:, 66, 1] - found.landmarks[0, 66, 1])
    return found


def lessons() -> Lessons:
    """Of one clip."""
    return Lessons.of([SpeakingClip("ann", syllables(), speaking())], [])


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model that learned the clip in 120 steps."""
    settings = LipsyncConfig(width=16, layers=2, steps=120, batch=4, stretch=40, device="cpu", tempo=1.0)
    return train_lipsync(lessons(), tmp_path_factory.mktemp("lipsync") / "run", settings, MATERIALS)
