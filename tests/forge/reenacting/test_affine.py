from __future__ import annotations

from fractions import Fraction

import numpy as np

from forge.reenacting.affine import warped_frames, warped_patch
from forge.reenacting.config import ReenactConfig
from forge.reenacting.transfer import plan_drive
from shared.types import Frame, Timestamp
from tests.forge.reenacting.conftest import performance

SIDE = 160


def _frames(rng, count: int = 6) -> list[Frame]:
    noise = rng.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)
    return [Frame(index, Timestamp(index, Fraction(1, 25)), noise) for index in range(count)]


def _plan(**settings):
    target, driver = performance(size=70.0, left=40.0), performance()
    target.landmarks[:] = target.landmarks[0]
    return plan_drive(target, driver, range(6), ReenactConfig(fade_seconds=0, **settings))


def test_outside_the_region_not_one_pixel_changes(rng):
    plan = _plan(regions=("mouth", "brows", "eyes", "tilt"))
    for done in warped_frames(_frames(rng), plan, None):
        still = done.masks.region == 0
        assert np.array_equal(done.image[still], done.frame.image[still])
        assert np.array_equal(done.masks.changed > 0, (done.image != done.frame.image).any(axis=2))
        assert (done.masks.alpha[done.masks.changed > 0] > 0).all()


def test_a_face_at_rest_keeps_its_bytes_and_one_that_talks_changes(rng):
    made = list(warped_frames(_frames(rng), _plan(regions=("mouth",)), None))
    assert made[0].image is made[0].frame.image
    assert not made[0].masks.any_changed
    assert made[3].masks.any_changed
    assert made[3].outlines[0].track == 0


def test_pixels_move_with_their_landmarks(rng):
    plan = _plan(regions=("mouth",))
    driven = plan.frames[3]
    image = np.full((SIDE, SIDE, 3), 128, np.uint8)
    x, y = np.rint(driven.source[57]).astype(int)
    image[y - 1 : y + 2, x - 1 : x + 2] = 255
    patch = warped_patch(image, driven, None)
    x0, y0 = patch.bounds[:2]
    bright = np.argwhere(patch.rgb[..., 0] * (patch.alpha > 0) > 200)
    there = bright.mean(axis=0)[::-1] + np.array([x0, y0])
    assert np.abs(there - driven.drive[57]).max() < 1.0
    assert driven.drive[57, 1] - driven.source[57, 1] > 6


def test_a_frame_that_is_not_planned_passes_as_it_is(rng):
    frames = _frames(rng, 9)
    made = list(warped_frames(frames, _plan(regions=("mouth",)), None))
    assert made[8].image is frames[8].image
    assert made[8].outlines == ()
