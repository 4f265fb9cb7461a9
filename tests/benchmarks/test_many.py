from __future__ import annotations

import cv2
import numpy as np
import pytest

from benchmarks.many import TARGET, _directions, _matrix, _overall, plot_matrix
from forge.quality.result import SwapQuality

PEOPLE = ("ann", "bob", "cat")


def quality(found: int, top1: float | None) -> SwapQuality:
    return SwapQuality(
        clip="x", target="y", start=0, stop=10, px=64, framing="full", frames_with_face=10, frames_found=found,
        same_frames=True, same_times=True, same_sound=True, top1=top1, nearer_to_source=top1,
    )  # fmt: skip


@pytest.fixture
def matrix():
    results = {(target, source): quality(10, 1.0) for target in PEOPLE for source in PEOPLE if source != target}
    results["ann", "bob"] = quality(5, 0.8)
    results["ann", "cat"] = quality(0, None)
    return _matrix(PEOPLE, results)


def test_rows_are_targets_and_a_face_that_is_not_found_is_missed(matrix):
    assert np.isnan(np.diag(matrix.top1)).all()
    assert matrix.top1[0, 1] == pytest.approx(0.4)
    assert matrix.top1[0, 2] == 0.0
    assert matrix.top1[1, 0] == 1.0
    assert matrix.frames.sum() == 60


def test_the_whole_is_the_share_of_all_frames_with_an_interval_over_targets(matrix):
    top1 = _overall(matrix)[0]
    assert top1.median == pytest.approx((4 + 0 + 40) / 60)
    assert top1.low == pytest.approx(0.2)
    assert top1.high == 1.0
    assert (top1.target, top1.met) == (TARGET, False)
    assert "60 frames, 6 directions" in top1.note


def test_every_direction_is_listed_by_name(matrix):
    listed = {one.name: one.median for one in _directions(matrix)}
    assert len(listed) == 6
    assert listed["bob on ann: top-1"] == pytest.approx(0.4)


def test_the_matrix_is_drawn(matrix):
    picture = cv2.imdecode(np.frombuffer(plot_matrix(matrix), np.uint8), cv2.IMREAD_COLOR)
    assert min(picture.shape[:2]) > 200
    assert picture.std() > 10
