"""The picture of docs/reenact.md: a procedural actor driven by another, frame by frame."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from benchmarks.reenact import actor_clips
from forge.reenacting.config import ReenactConfig
from forge.reenacting.families import Stage, families
from forge.reenacting.performance import performance_of
from forge.swapping.plan import SwapPlan, found_plan
from shared.faces.finders.sidecar import SidecarFinder, sidecar_of
from shared.types import Frame
from shared.video.images import encode_jpeg
from shared.video.reader import VideoReader

_PX, _FRAMES, _SHOWN = 320, 50, (2, 10, 17, 24, 30, 45)
_CELL_PX = 170
_LINES = ("driver", "target", "mouth", "all", "pixels of 'mouth'")


def driven_picture() -> bytes:
    """JPEG, columns frames: the driver, the target, the target driven in its mouth and in all regions, and the mask."""
    with tempfile.TemporaryDirectory() as scratch:
        target, driver = actor_clips(Path(scratch), count=2, frames=_FRAMES, px=_PX)
        plans = [_plan(path) for path in (target, driver)]
        acted, driving = (performance_of(plan, width=_PX, height=_PX) for plan in plans)
        rows = [_pictures(driver), _pictures(target)]
        masks: list[np.ndarray] = []
        for regions in (("mouth",), ("mouth", "brows", "eyes", "tilt")):
            config = replace(ReenactConfig(), regions=regions, max_pose_gap_degrees=30.0)
            stage = Stage.of(
                config, acted, driving, plans[0], read_target=lambda: _frames(target),
                read_driver=lambda: _frames(driver), person="",
            )  # fmt: skip
            made = list(families.create(config.family, stage=stage, frames=_frames(target), depth=0))
            rows.append([made[index].image for index in _SHOWN])
            masks = masks or [np.repeat(made[index].masks.changed[..., None], 3, axis=2) for index in _SHOWN]
    return encode_jpeg(np.vstack([_row(title, cells) for title, cells in zip(_LINES, [*rows, masks], strict=True)]), 86)


def _plan(path: Path) -> SwapPlan:
    with VideoReader(path) as reader:
        config = ReenactConfig(min_face_px=16).finding
        return found_plan(reader, config, SidecarFinder(sidecar_of(path)), declared=_FRAMES, what=path.name)


def _frames(path: Path) -> Iterator[Frame]:
    with VideoReader(path) as reader:
        yield from reader


def _pictures(path: Path) -> list[np.ndarray]:
    with VideoReader(path) as reader:
        return [frame.image for frame in reader.picked(set(_SHOWN))]


def _row(title: str, cells: list[np.ndarray]) -> np.ndarray:
    small = [cv2.resize(cell, (_CELL_PX, _CELL_PX), interpolation=cv2.INTER_AREA) for cell in cells]
    row = np.hstack(small)
    cv2.putText(row, title, (5, _CELL_PX - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (20, 20, 20), 3, cv2.LINE_AA)
    cv2.putText(row, title, (5, _CELL_PX - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (245, 245, 245), 1, cv2.LINE_AA)
    return row
