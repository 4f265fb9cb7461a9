"""A small set of procedural actors, with and without the controls; no signatures, which an audit does not need."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from shared.actors import Actor, portrait
from shared.config import write_toml
from shared.dataset.frame_table import write_frame_labels
from shared.dataset.layout import SETTINGS, DatasetInfo
from shared.dataset.manifest import write_manifest
from shared.types import SPLITS, ClipRecord, FrameLabel
from shared.video import Encoding
from tests.factories import clip_record, write_clip

ACTORS = 16
PX = 96
WALL = 80
FRAMES = 10
CONTROLLED = Encoding(preset="veryfast", crf=20)
OTHER = Encoding(preset="ultrafast", crf=34)


@pytest.fixture(scope="session")
def portraits() -> list[tuple[np.ndarray, np.ndarray]]:
    """A picture of each person, (96, 256, 3), and the box of the face."""
    drawn = []
    for seed in range(ACTORS // 2):
        shot = portrait(Actor.from_seed(seed), px=PX, seed=seed)
        low, high = shot.landmarks.min(axis=0), shot.landmarks.max(axis=0)
        image = cv2.copyMakeBorder(shot.image, 0, 0, WALL, WALL, cv2.BORDER_REPLICATE)
        drawn.append((image, np.array([low[0] + WALL, low[1], high[0] + WALL, high[1]])))
        # Drawing takes most of the time, so each actor has a mirrored sibling in other colours.
        mirrored = np.array([PX - 1 - high[0] + WALL, low[1], PX - 1 - low[0] + WALL, high[1]])
        drawn.append((np.ascontiguousarray(image[:, ::-1, ::-1]), mirrored))
    return drawn


@pytest.fixture(scope="session")
def make_actor_set(
    tmp_path_factory: pytest.TempPathFactory, portraits: list[tuple[np.ndarray, np.ndarray]]
) -> Callable[..., Path]:
    """Writes a set in which every actor has a real clip and one that wears a neighbour's face.

    With ``controlled`` both go through one encoder; without, real clips keep another codec setting, as downloaded ones
    would.
    """

    def make(*, controlled: bool, name: str = "cast") -> Path:
        folder = tmp_path_factory.mktemp("sets") / name
        write_toml(folder / SETTINGS, DatasetInfo(name))
        records: list[ClipRecord] = []
        labels: list[FrameLabel] = []
        for index in range(ACTORS):
            for forged in (False, True):
                record = _record(name, index, forged=forged)
                images = _performance(portraits, index, forged=forged)
                encoding = CONTROLLED if forged or controlled else OTHER
                write_clip(folder / record.path, images, frame_rate=None, encoding=encoding)
                box = tuple(float(value) for value in portraits[index][1])
                labels += [
                    FrameLabel(record.id, t, t, t / 25, record.label, 0, box, box[2] - box[0])  # type: ignore[arg-type]
                    for t in range(FRAMES)
                ]
                records.append(record)
        write_manifest(folder / "manifest.jsonl", records)
        write_frame_labels(folder / "frames.parquet", labels)
        return folder

    return make


def _record(name: str, index: int, *, forged: bool) -> ClipRecord:
    changes = {"source": f"actor-{index ^ 1}", "faked": ((0, FRAMES),)} if forged else {}
    return clip_record(
        f"actor-{index}",
        "paste" if forged else None,
        name=f"clip-{index}",
        dataset=name,
        frames=FRAMES,
        width=PX + 2 * WALL,
        height=PX,
        split=SPLITS[(index // 2) % 3],
        **changes,
    )


def _performance(portraits: list[tuple[np.ndarray, np.ndarray]], index: int, *, forged: bool) -> list[np.ndarray]:
    """A still that trembles, as all films do; in a forged one the face is drawn anew, in half the detail and noisy."""
    image, box = portraits[index]
    rng = np.random.default_rng([index, forged])
    picture = image.copy()
    if forged:
        x0, y0, x1, y1 = box.astype(int)
        face = picture[y0:y1, x0:x1]
        small = cv2.resize(face, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        drawn = cv2.resize(small, (face.shape[1], face.shape[0]), interpolation=cv2.INTER_LINEAR).astype(np.float32)
        checks = 7.0 * (np.indices(face.shape[:2]).sum(axis=0) % 2 * 2 - 1)
        picture[y0:y1, x0:x1] = np.clip(drawn + checks[..., None], 0, 255).astype(np.uint8)
    noise = [rng.normal(0, 3, picture.shape) for _ in range(FRAMES)]
    return [np.clip(picture + one, 0, 255).astype(np.uint8) for one in noise]


@pytest.fixture(scope="session")
def sound_set(make_actor_set: Callable[..., Path]) -> Path:
    """A set with the controls; not to be changed."""
    return make_actor_set(controlled=True)


@pytest.fixture(scope="session")
def leaky_set(make_actor_set: Callable[..., Path]) -> Path:
    """A set without them; not to be changed."""
    return make_actor_set(controlled=False)


@pytest.fixture(scope="session")
def audits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of audits whose cache all tests share: each clip is read once."""
    return tmp_path_factory.mktemp("audits")


@pytest.fixture
def copied(tmp_path: Path) -> Callable[[Path], Path]:
    """Copies a set, to be changed."""

    def copy(folder: Path) -> Path:
        return Path(shutil.copytree(folder, tmp_path / folder.name))

    return copy
