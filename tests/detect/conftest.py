"""A toy dataset: square "faces" that a toy finder sees, forged by stripes, in three groups of people."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from detect.calibration.maps import Calibration, LikelihoodMap, Population, ProbabilityMap
from detect.config.data import AugmentConfig
from detect.config.scoring import AggregateConfig, FaceConfig
from detect.config.training import TrainConfig
from shared.dataset import DatasetFolder
from shared.faces.align import mean_in_crop
from shared.faces.boxes import box_around
from shared.faces.finders.finder import finders
from shared.results.scores import Evaluation
from shared.storage import sha256_file
from shared.types import ClipId, ClipRecord, Face, FrameLabel
from shared.video import Encoding
from tests.factories import clip_record, write_clip
from tests.quick_plots import quick_plots, real_plots  # noqa: F401 - for every test of the folder

HEIGHT, WIDTH, FRAMES = 96, 160, 8
RATE = Fraction(25)
QUICK = Encoding(preset="ultrafast")
GROUPS = {"train": ("ann", "bob", "cid", "dan"), "val": ("eve", "fay"), "test": ("gus", "hal")}
_GREY = 60
LN10 = float(np.log(10.0))


class ToyFinder:
    """Sees a face in the left half of every frame that is brighter than the background there."""

    name = "toy"
    device = "cpu"

    def find(self, frames: Sequence[np.ndarray]) -> list[list[Face]]:
        return [[toy_face()] if frame[48, 48].mean() > _GREY + 20 else [] for frame in frames]

    def refine(self, image: np.ndarray, boxes: Sequence[np.ndarray]) -> list[Face]:
        seen = image[48, 48].mean() > _GREY + 20
        return [dataclasses.replace(toy_face(), confidence=float(seen)) for _ in boxes]

    def describe(self) -> dict[str, str]:
        return {"name": self.name, "version": "1"}


finders.register("toy")(lambda settings: ToyFinder())


def toy_face() -> Face:
    landmarks = mean_in_crop(72, "whole").astype(np.float32) + np.float32([12, 12])
    return Face(box_around(landmarks), landmarks, 1.0)


def toy_frame(person: int, index: int, *, forged: bool, blank: bool = False) -> np.ndarray:
    """A frame: each person has a tone, texture and room of their own; a forged face has dark stripes."""
    image = np.full((HEIGHT, WIDTH, 3), _GREY, np.uint8)
    if blank:
        return image
    room = np.random.default_rng(person).integers(20, 200, (6, 4), np.uint8)  # behind the face, seen by nobody
    image[:, 96:] = np.kron(room, np.ones((16, 16), np.uint8))[..., None]
    rng = np.random.default_rng((person, index))
    face = rng.integers(110, 150, (72, 72, 3)) + np.array([person * 7 % 60, person * 13 % 60, 40])
    if forged:
        face[::6] -= 60
        face[1::6] -= 60
    image[12:84, 12:84] = np.clip(face, 0, 255)
    return image


def add_clip(
    dataset: DatasetFolder,
    name: str,
    target: str,
    source: str | None = None,
    *,
    forged: Sequence[int] = range(FRAMES),
    blank: bool = False,
    manipulation: str = "stripes",
) -> ClipRecord:
    """Writes a toy clip into the dataset; ``forged`` are its forged frames when it has a ``source``."""
    clip = ClipId(dataset.name, None if source is None else manipulation, name)
    relative = dataset.media_for(clip)
    faked = tuple(forged) if source is not None else ()
    person = sum(target.encode()) % 97
    pictures = [toy_frame(person, index, forged=index in faked, blank=blank) for index in range(FRAMES)]
    with dataset.stage_media(relative) as draft:
        write_clip(draft, pictures)
    record = clip_record(
        target,
        clip.manipulation,
        name=name,
        source=source or "",
        dataset=dataset.name,
        path=relative,
        sha256=sha256_file(dataset.path / relative),
        frames=FRAMES,
        width=WIDTH,
        height=HEIGHT,
        rendition="h264-crf18",
        faked=((faked[0], faked[-1] + 1),) if faked else (),
    )
    box = tuple(float(side) for side in toy_face().box)
    labels = [
        FrameLabel(
            clip,
            index,
            index,
            index / float(RATE),
            "fake" if index in faked else "real",
            track=None if blank else 0,
            box=None if blank else box,  # type: ignore[arg-type]
        )
        for index in range(FRAMES)
    ]
    return dataset.add(record, labels)


def fill(dataset: DatasetFolder) -> None:
    """A real and a fake clip of everybody, swapped within their group; splits by group."""
    with dataset.batch():
        for people in GROUPS.values():
            for place, person in enumerate(people):
                add_clip(dataset, person, person)
                add_clip(dataset, f"{person}-faked", person, people[place - 1])
    dataset.assign_groups(GROUPS)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def toy_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a toy dataset, to be read only."""
    dataset = DatasetFolder.init(tmp_path_factory.mktemp("sets") / "toy", "toy")
    fill(dataset)
    return dataset.path


@pytest.fixture
def toy_config() -> TrainConfig:
    """Trains a tiny net on tiny crops in a second or two."""
    return TrainConfig(
        model="test_efficientnet",
        pretrained=False,
        input_px=64,
        framing="whole",
        frames_per_clip=4,
        steps=6,
        batch=8,
        lr=3e-3,
        warmup_steps=2,
        ema_decay=0.5,
        evaluate_every=3,
        save_every=2,
        device="cpu",
        precision="float32",
        faces=FaceConfig(finder="toy", min_face_px=8),
        augment=AugmentConfig(p_jpeg=0.1, p_blur=0.0, p_downscale=0.0),
    )


@pytest.fixture(scope="session")
def add_toy_clip() -> Callable[..., ClipRecord]:
    """Adds one clip to a dataset; see :func:`add_clip`."""
    return add_clip


@pytest.fixture
def make_calibration() -> Callable[[], Calibration]:
    """A calibration whose log odds are the logit, with ratios up to 10 ** 1.5."""

    def make() -> Calibration:
        llrs = (-2.0, 2.0)
        return Calibration(
            weights_sha256="a" * 64,
            aggregate=AggregateConfig(),
            prior=0.5,
            probability=ProbabilityMap("platt", 1.0, 0.0),
            likelihood=LikelihoodMap("logistic", (-2 * LN10, 2 * LN10), llrs, (-2.3, 1.7), (-1.7, 2.3), -1.5, 1.5),
            population=Population("toy", "c" * 64, "val", 30, 40, 1, 30, 30, "target", ("stripes",)),
            quality=(Evaluation("cllr", 0.4, "clip", 30, 40, 0.3, 0.5, 30),),
            left_out="in five folds",
        )

    return make
