from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from forge.quality.dataset import Case, measure_dataset, thinned
from forge.quality.measure import Instruments
from forge.quality.result import Failure
from shared.errors import UsageError
from shared.faces.align import MEAN_FACE
from shared.faces.boxes import box_around
from shared.types import Face
from tests.factories import write_clip

BASE = Fraction(1, 25)


class Fixed:
    """Finds the same face in every frame that is not black."""

    name = "fixed"

    def find(self, frames):
        return [self._faces(frame) for frame in frames]

    def refine(self, image, boxes):
        return self._faces(image) * len(boxes)

    def describe(self):
        return {"name": self.name}

    def _faces(self, image):
        landmarks = (MEAN_FACE * 40 + 24).astype(np.float32)
        return [Face(box_around(landmarks), landmarks, 1.0)] if image.mean() > 20 else []


def clip(path: Path, level: int) -> Path:
    rng = np.random.default_rng(level)
    picture = cv2.GaussianBlur(rng.integers(0, 256, (96, 96, 3)).astype(np.uint8), (0, 0), 2.0)
    return write_clip(path, [picture if level else picture * 0] * 4)


@pytest.fixture
def cases(tmp_path) -> list[Case]:
    one, other, dark = (clip(tmp_path / f"{level}.mp4", level) for level in (1, 2, 0))
    return [Case(one, one), Case(one, dark), Case(other, other)]


def test_a_failure_is_counted_and_stops_nothing(cases, tmp_path):
    ticks = []
    before = [Failure("set/x/y", "its target is gone")]
    found = measure_dataset(
        cases, Instruments(Fixed()), {}, failures=before, sheets=tmp_path / "sheets", tick=ticks.append
    )  # fmt: skip
    assert [case.fake.name for case, _result in found.measured] == ["1.mp4", "2.mp4"]
    assert [failure.clip for failure in found.failures] == ["set/x/y", "1.mp4"]
    assert "no face" in found.failures[1].reason
    assert sum(ticks) == 3
    assert found.notes[0].startswith("2 of 4 fakes could not be measured")
    pose = next(one for one in found.summary if one.metric == "pose_error")
    assert (pose.value, pose.num_fake, pose.clusters, pose.low) == (0.0, 8, 2, 0.0)
    sheet = cv2.imread(str(tmp_path / "sheets" / "2.mp4.jpg"))
    assert sheet.shape == (4 * (160 + 18), 4 * 160, 3)


def test_the_document_is_plain(cases):
    document = measure_dataset(cases, Instruments(Fixed()), {}).document()
    assert {"quality", "summary", "failures", "notes"} == set(document)
    assert document["quality"][0]["id"] == "1.mp4"
    assert document["summary"][0]["unit"]
    assert document["failures"][0]["clip"] == "1.mp4"


def test_nothing_measured_is_an_error(cases):
    with pytest.raises(UsageError, match="nothing could be measured of 1 fake;"):
        measure_dataset(cases[1:2], Instruments(Fixed()), {})


def test_a_limit_takes_cases_evenly(cases):
    assert thinned(cases, None) == cases
    assert thinned(cases, 2) == [cases[0], cases[2]]
    with pytest.raises(UsageError, match="1 or more"):
        thinned(cases, 0)
