from __future__ import annotations

import pytest
import torch

from forge.training.losses.style import background_style, face_style


def noise(seed: int) -> torch.Tensor:
    return torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


def half() -> torch.Tensor:
    mask = torch.zeros(2, 1, 32, 32)
    mask[..., :16] = 1
    return mask


def test_style_of_flat_pictures_is_the_square_of_their_difference():
    one, other = torch.full((2, 3, 32, 32), 0.7), torch.full((2, 3, 32, 32), 0.4)
    assert face_style(one, other, half()).item() == pytest.approx(0.09, abs=1e-6)


def test_style_is_blind_to_features():
    face, mask = noise(1), torch.ones(2, 1, 32, 32)
    mirrored = face.flip(-1)
    assert face_style(mirrored, face, mask).item() == pytest.approx(0, abs=1e-7)
    assert face_style(face * 0.5, face, mask).item() > 0.01


def test_background_style_looks_outside_alone():
    one, other = torch.full((2, 3, 32, 32), 0.7), torch.full((2, 3, 32, 32), 0.7)
    one[..., :8] = 0
    assert background_style(one, other, half()).item() == pytest.approx(0, abs=1e-6)
    one[..., 24:] = 0
    # A quarter of the picture, half of what is outside, is off by 0.7; its structure is off too.
    assert background_style(one, other, half()).item() > 0.49 / 2
