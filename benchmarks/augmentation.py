"""CPU time of augmenting a training crop, by settings and by kind of change."""

from __future__ import annotations

import dataclasses
import time
from typing import get_args

import cv2
import numpy as np

from benchmarks.schema import Measurement
from detect.config.data import AugmentConfig, QualityChange
from detect.data.augment import augment_with_mask
from shared.actors import Actor, portrait

_TARGET_MS = 8.0
_OFF = {name: 0.0 for name in AugmentConfig.__dataclass_fields__ if name.startswith("p_")}

HARD = AugmentConfig(
    p_quality=0.4, p_inner_quality=0.5, p_jpeg=0.2, p_video=0.3, p_reupload=0.1, p_jpeg_twice=0.15, p_webp=0.1
)
"""Sharpness changed in most crops, and five ways of compression; the settings of docs/training-detectors.md."""


def measure(*, px: int, crops: int, repeats: int) -> list[Measurement]:
    """Milliseconds a crop of ``px`` of one thread's CPU time, each value the mean over ``crops`` random draws.

    The crops are portraits of procedural actors. CPU time, not the clock: training threads share their cores.
    """
    faces = [_portrait(seed, px) for seed in range(4)]
    alone = dataclasses.replace(AugmentConfig(), **_OFF)
    settings = {
        "the defaults": AugmentConfig(),
        "changes of sharpness and all compressions": HARD,
        **{
            f"{change} alone, on the inner face": dataclasses.replace(
                alone, p_inner_quality=1.0, quality_changes=(change,)
            )
            for change in get_args(QualityChange)
        },
        "JPEG twice alone": dataclasses.replace(alone, p_jpeg_twice=1.0),
        "WebP alone": dataclasses.replace(alone, p_webp=1.0),
    }
    found: list[Measurement] = []
    for name, config in settings.items():
        _milliseconds(faces, config, crops // 8 + 1)
        values = [_milliseconds(faces, config, crops) for _ in range(repeats)]
        found.append(Measurement.of(f"augment {px} px: {name}", "ms", values, better="lower", target=_TARGET_MS))
    return found


def _milliseconds(faces: list[np.ndarray], config: AugmentConfig, crops: int) -> float:
    began = time.thread_time()
    for number in range(crops):
        augment_with_mask(faces[number % len(faces)], None, np.random.default_rng(number), config)
    return (time.thread_time() - began) / crops * 1000


def _portrait(seed: int, px: int) -> np.ndarray:
    return cv2.resize(portrait(Actor.from_seed(seed), px=300).image, (px, px), interpolation=cv2.INTER_AREA)
