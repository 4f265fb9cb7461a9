from __future__ import annotations

import hashlib
import subprocess
import sys

import cv2
import numpy as np
import pytest

from shared.actors import Actor, ActorFrame, Expression, Pose, perform, portrait

PX = 192
LEFT_EYE, RIGHT_EYE = slice(36, 42), slice(42, 48)
INNER_MOUTH = slice(60, 68)

_DIGEST = """
import hashlib
from shared.actors import Actor, perform
digest = hashlib.sha256()
for frame in perform(Actor.from_seed(5), frames=2, px=96, seed=9):
    digest.update(frame.image.tobytes() + frame.landmarks.tobytes() + frame.matte.tobytes())
print(digest.hexdigest())
"""


def _shot(expression: Expression | None = None, pose: Pose | None = None, seed: int = 2, px: int = PX) -> ActorFrame:
    return portrait(Actor.from_seed(seed), px=px, seed=1, expression=expression, pose=pose)


def _inside(points: np.ndarray, px: int, shrink: float = 1.0) -> np.ndarray:
    """(px, px) bool: the polygon of points, shrunk about its middle."""
    middle = points.mean(axis=0)
    mask = np.zeros((px, px), dtype=np.uint8)
    cv2.fillPoly(mask, [np.rint(middle + shrink * (points - middle)).astype(np.int32)], 1)
    return mask.astype(bool)


def _luma(shot: ActorFrame) -> np.ndarray:
    return shot.image.astype(np.float64) @ [0.299, 0.587, 0.114]


def test_frames_have_the_promised_form():
    shot = next(iter(perform(Actor.from_seed(3), frames=1, px=PX, seed=4)))
    assert shot.image.shape == (PX, PX, 3)
    assert shot.image.dtype == np.uint8
    assert shot.landmarks.shape == (68, 2)
    assert shot.landmarks.dtype == np.float32
    assert shot.matte.shape == (PX, PX)
    assert shot.matte.dtype == np.float32
    assert 0.0 <= shot.matte.min() <= shot.matte.max() <= 1.0
    assert 0.2 < shot.matte.mean() < 0.8
    assert shot.identity == "actor-003"


def test_the_same_arguments_give_the_same_bytes_in_another_process():
    here = hashlib.sha256()
    for frame in perform(Actor.from_seed(5), frames=2, px=96, seed=9):
        here.update(frame.image.tobytes() + frame.landmarks.tobytes() + frame.matte.tobytes())
    there = subprocess.run([sys.executable, "-c", _DIGEST], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == here.hexdigest()


def test_another_seed_is_another_performance():
    one, two = (next(iter(perform(Actor.from_seed(5), frames=1, px=96, seed=seed))) for seed in (1, 2))
    assert np.abs(one.image.astype(int) - two.image).mean() > 2


@pytest.mark.parametrize("seed", [0, 4, 9, 10, 22])
def test_landmarks_lie_on_the_person(seed: int):
    for shot in perform(Actor.from_seed(seed), frames=3, px=PX, seed=seed, frame_rate=1):
        x, y = np.rint(shot.landmarks).astype(int).T
        inner = np.r_[8, 17:68]
        assert (shot.matte[y[inner], x[inner]] > 0.95).all()
        # The contour is the person's outline where nothing lies behind it, so it may be half a pixel outside.
        assert (cv2.dilate(shot.matte, np.ones((3, 3)))[y[:17], x[:17]] > 0.5).all()


def test_order_is_ibug_from_the_viewers_left():
    points = _shot().landmarks
    x, y = points.T
    assert (np.diff(x[1:16]) > 0).all()  # beside the ears the outline is upright
    assert x[0] < x[2] < x[14] < x[16]
    assert (np.diff(y[0:9]) > 0).all()
    assert (np.diff(x[17:27]) > 0).all()
    assert (np.diff(y[27:31]) > 0).all()
    assert (np.diff(x[31:36]) > 0).all()
    assert x[36] < x[37] < x[38] < x[39] < x[42] < x[43] < x[44] < x[45]
    assert y[37] < y[41]
    assert y[43] < y[47]
    assert (np.diff(x[48:55]) > 0).all()
    assert (np.diff(x[54:60]) < 0).all()
    assert y[51] < y[62] <= y[66] < y[57] < y[8]
    assert y[19] < y[37]


def test_a_resting_face_is_symmetric_about_its_midline():
    points = _shot().landmarks.astype(float)
    middle = points[[27, 28, 29, 30, 33, 51, 57, 8], 0].mean()
    for left, right in ((0, 16), (4, 12), (17, 26), (21, 22), (36, 45), (39, 42), (48, 54), (31, 35)):
        assert points[left, 0] + points[right, 0] == pytest.approx(2 * middle, abs=0.2)
        assert points[left, 1] == pytest.approx(points[right, 1], abs=0.2)


def test_landmarks_scale_with_the_picture():
    small, large = _shot(px=128).landmarks.astype(float), _shot(px=256).landmarks.astype(float)
    # Pixel centres are at integers, so the picture's left edge is at -0.5 at every size.
    np.testing.assert_allclose((small + 0.5) * 2 - 0.5, large, atol=1e-3)


def test_the_head_turns_as_its_pose():
    def nose_between_eyes(pose: Pose) -> np.ndarray:
        points = _shot(pose=pose).landmarks
        return points[30] - 0.5 * (points[36] + points[45])

    ahead = nose_between_eyes(Pose())
    assert nose_between_eyes(Pose(yaw=20))[0] > ahead[0] + 5
    assert nose_between_eyes(Pose(yaw=-20))[0] < ahead[0] - 5
    assert nose_between_eyes(Pose(pitch=15))[1] < ahead[1] - 4
    eyes = _shot(pose=Pose(roll=10)).landmarks[[36, 45]]
    slope = np.degrees(np.arctan2(*(eyes[1] - eyes[0])[::-1]))
    assert slope == pytest.approx(10, abs=1.0)
    near, far = (_shot(pose=Pose(nearer=mm)).landmarks for mm in (60, 0))
    assert np.ptp(near[:, 0]) > 1.03 * np.ptp(far[:, 0])


def test_the_far_contour_follows_the_visible_outline():
    shot = _shot(pose=Pose(yaw=30), seed=14)  # a shaved head: nothing hangs over the outline
    cheek = shot.landmarks[14]
    row = shot.matte[round(float(cheek[1]))]
    assert cheek[0] <= np.flatnonzero(row > 0.5).max() + 1.0


def test_an_open_mouth_is_dark_between_the_inner_lips():
    shut, opened = _shot(), _shot(Expression(jaw=0.9))
    gap = [float(shot.landmarks[66, 1] - shot.landmarks[62, 1]) for shot in (shut, opened)]
    assert gap[0] < 1.0
    assert gap[1] > 0.06 * PX
    hole = _inside(opened.landmarks[INNER_MOUTH], PX, 0.8)
    ring = _inside(opened.landmarks[48:60], PX) & ~_inside(opened.landmarks[INNER_MOUTH], PX, 1.15)
    assert np.median(_luma(opened)[hole]) < 0.5 * np.median(_luma(opened)[ring])
    # Everything dark near the mouth is between the inner lips: the darkest spots lie inside their polygon.
    around = _inside(opened.landmarks[48:60], PX, 1.5)
    darkest = around & (_luma(opened) < 0.5 * np.median(_luma(opened)[ring]))
    assert (darkest & _inside(opened.landmarks[INNER_MOUTH], PX, 1.25)).sum() > 0.9 * darkest.sum()


def test_a_blink_closes_lids_and_hides_the_iris():
    opened, shut = _shot(), _shot(Expression(blink=(1.0, 1.0)))

    def height(shot: ActorFrame) -> float:
        points = shot.landmarks[LEFT_EYE]
        return float(points[4:6, 1].mean() - points[1:3, 1].mean())

    assert height(opened) > 4.0
    assert height(shut) < 0.6
    # Where the iris was there is now a lid, nearly as light as the cheek below it.
    eye = _inside(opened.landmarks[LEFT_EYE], PX, 0.5)
    cheek = _inside(opened.landmarks[LEFT_EYE] + np.float32([0, 0.1 * PX]), PX, 0.5)
    assert np.median(_luma(opened)[eye]) < 0.6 * np.median(_luma(opened)[cheek])
    assert np.median(_luma(shut)[eye]) > 0.75 * np.median(_luma(shut)[cheek])


def test_one_eye_can_wink():
    points = _shot(Expression(blink=(1.0, 0.0))).landmarks
    left = points[40:42, 1].mean() - points[37:39, 1].mean()
    right = points[46:48, 1].mean() - points[43:45, 1].mean()
    assert left < 0.6 < 4.0 < right


def test_the_gaze_moves_the_iris():
    def iris_x(gaze: float) -> float:
        shot = _shot(Expression(gaze=(gaze, 0.0)), seed=8)
        eye = _inside(shot.landmarks[RIGHT_EYE], PX, 0.9)
        weight = np.clip(np.percentile(_luma(shot)[eye], 60) - _luma(shot), 0, None) * eye
        return float((weight.sum(axis=0) * np.arange(PX)).sum() / weight.sum() - shot.landmarks[RIGHT_EYE, 0].mean())

    assert iris_x(-16) < iris_x(0) - 0.8 < iris_x(16) - 1.6


def test_a_smile_pulls_the_corners_out_and_up():
    rest, smile = _shot().landmarks, _shot(Expression(smile=1.0)).landmarks
    assert np.linalg.norm(smile[54] - smile[48]) > 1.12 * np.linalg.norm(rest[54] - rest[48])
    assert (smile[[48, 54], 1] < rest[[48, 54], 1] - 2).all()
    np.testing.assert_allclose(smile[36], rest[36], atol=1.0)


def test_brows_rise():
    rest, raised = _shot().landmarks, _shot(Expression(brow=1.0)).landmarks
    assert (raised[17:27, 1] < rest[17:27, 1] - 1.0).all()


@pytest.mark.parametrize(("frames", "px", "rate"), [(1, 16, 25), (1, 100_000, 25), (-1, 64, 25), (1, 64, 0)])
def test_absurd_sizes_are_refused(frames: int, px: int, rate: int):
    with pytest.raises(ValueError, match="px"):
        next(perform(Actor.from_seed(1), frames=frames, px=px, frame_rate=rate, seed=1))
