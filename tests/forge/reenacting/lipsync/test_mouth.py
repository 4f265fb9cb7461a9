"""Three parameters of a mouth and the lips that have them."""

from __future__ import annotations

import numpy as np

from forge.reenacting.lipsync.mouth import explained, fitted_basis, motion_of, parameters_of
from tests.forge.reenacting.conftest import performance


def _random_motion(seed: int, frames: int = 60) -> np.ndarray:
    return 0.05 * np.random.default_rng(seed).standard_normal((frames, 68, 2))


def test_parameters_are_opening_width_and_jaw_in_face_units():
    motion = np.zeros((1, 68, 2))
    motion[0, [65, 66, 67], 1] = 0.06
    motion[0, 48, 0], motion[0, 54, 0] = -0.01, 0.02
    motion[0, [7, 8, 9], 1] = 0.04
    assert np.allclose(parameters_of(motion), [[0.06, 0.03, 0.04]])


def test_the_motion_of_parameters_has_these_parameters():
    basis = fitted_basis(_random_motion(1))
    wanted = np.random.default_rng(2).standard_normal((9, 3))
    assert np.allclose(parameters_of(motion_of(wanted, basis)), wanted)


def test_the_basis_is_its_own_mirror_image():
    motion = motion_of(np.eye(3), fitted_basis(_random_motion(3)))
    assert np.allclose(motion[:, 48], motion[:, 54] * [-1, 1])
    assert np.allclose(motion[:, 61], motion[:, 63] * [-1, 1])
    assert np.allclose(motion[:, 57, 0], 0)
    assert np.abs(motion[:, 17:48]).max() == 0


def test_a_mouth_that_only_opens_is_explained_and_noise_is_not():
    shapes = performance().shapes
    motion = shapes - shapes[0]
    assert explained(motion, fitted_basis(motion)) > 0.99
    assert explained(_random_motion(4), fitted_basis(_random_motion(5))) < 0.5
