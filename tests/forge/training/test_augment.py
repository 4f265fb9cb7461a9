from __future__ import annotations

import math

import pytest
import torch

from forge.training.augment import Shades, combined, random_affine, random_shades, render, shade, still_affine
from forge.training.augment_config import AugmentConfig
from forge.training.warp import random_field

STILL = AugmentConfig(rotate_degrees=0, zoom=0, shift=0, flip=0, warp=0, lightness=0, tint=0)
CPU = torch.device("cpu")


def generator(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ramp(side: int) -> torch.Tensor:
    """(1, 2, side, side): x and y of every pixel's centre, so that a resampled picture says where it came from."""
    axis = torch.arange(side, dtype=torch.float32)
    return torch.stack([axis.expand(side, side), axis[:, None].expand(side, side)])[None]


def smooth(count: int, side: int) -> torch.Tensor:
    small = torch.rand(count, 3, 6, 6, generator=generator(9))
    return torch.nn.functional.interpolate(small, size=side, mode="bicubic", align_corners=True).clamp(0, 1)


def test_a_still_face_without_margin_comes_back_bit_for_bit():
    stored = torch.rand(2, 6, 16, 16, generator=generator())
    assert torch.allclose(render(stored, still_affine(2, 1.0), 16), stored, atol=1e-6)


def test_the_margin_is_cut_off_evenly():
    # 20 px stored, the middle 16 shown: pixel 0 of the output is pixel 2 of the store.
    seen = render(ramp(20), still_affine(1, 0.8), 16)
    assert torch.allclose(seen, ramp(20)[..., 2:18, 2:18], atol=1e-4)


def test_oversampling_averages_what_a_pixel_covers():
    stored = torch.rand(1, 1, 16, 16, generator=generator())
    seen = render(stored, still_affine(1, 1.0), 8, times=2)
    assert torch.allclose(seen, torch.nn.functional.avg_pool2d(stored, 2), atol=1e-6)


def test_flip_mirrors_and_nothing_else():
    config = AugmentConfig(rotate_degrees=0, zoom=0, shift=0, flip=1)
    theta = random_affine(3, 1.0, config, generator())
    stored = torch.rand(3, 2, 8, 8, generator=generator())
    assert torch.allclose(render(stored, theta, 8), stored.flip(-1), atol=1e-6)


def test_affine_maps_stay_in_their_ranges():
    config = AugmentConfig(rotate_degrees=10, zoom=0.05, shift=0.05, flip=0.5)
    theta = random_affine(4000, 0.8, config, generator())
    determinant = theta[:, 0, 0] * theta[:, 1, 1] - theta[:, 0, 1] * theta[:, 1, 0]
    mirrored = determinant < 0
    scale = determinant.abs().sqrt()
    angle = torch.rad2deg(torch.atan2(-theta[:, 0, 1], theta[:, 1, 1]))
    assert mirrored.float().mean().item() == pytest.approx(0.5, abs=0.03)
    assert 0.8 / 1.05 - 1e-4 <= scale.min() < 0.77
    assert 0.83 < scale.max() <= 0.8 / 0.95 + 1e-4
    assert angle.min() == pytest.approx(-10, abs=0.1)
    assert angle.max() == pytest.approx(10, abs=0.1)
    assert theta[:, :, 2].abs().max().item() == pytest.approx(2 * 0.8 * 0.05, abs=1e-3)


def test_rotation_turns_about_the_centre_without_shear():
    config = AugmentConfig(rotate_degrees=30, zoom=0, shift=0, flip=0)
    theta = random_affine(1, 0.5, config, generator())
    seen = render(ramp(64), theta, 8)[0]
    centre = seen.mean((1, 2))
    assert torch.allclose(centre, torch.tensor([31.5, 31.5]), atol=1e-3)
    step_x, step_y = seen[:, 3, 4] - seen[:, 3, 3], seen[:, 4, 3] - seen[:, 3, 3]
    assert torch.dot(step_x, step_y).item() == pytest.approx(0, abs=1e-3)
    assert step_x.norm().item() == pytest.approx(4, abs=1e-3)


def test_image_and_mask_move_together():
    stored = smooth(2, 40)
    stored[:, 2] = stored[:, 0]
    config = AugmentConfig(rotate_degrees=20, flip=0.5)
    theta = random_affine(2, 0.8, config, generator())
    field = random_field(2, 32, 0.03, generator(), CPU)
    seen = render(stored, theta, 32, field=field)
    assert torch.equal(seen[:, 0], seen[:, 2])
    assert not torch.allclose(seen, render(stored, theta, 32), atol=1e-3)


def test_a_field_is_a_displacement_in_the_output():
    # A field of 2/16 everywhere shows what is one pixel further right.
    field = torch.zeros(1, 16, 16, 2)
    field[..., 0] = 2 / 16
    seen = render(ramp(20), still_affine(1, 0.8), 16, field=field)
    assert torch.allclose(seen[0, 0], ramp(20)[0, 0, 2:18, 3:19], atol=1e-4)
    turned = torch.tensor([[[0.0, -0.8, 0.0], [0.8, 0.0, 0.0]]])
    seen = render(ramp(20), turned, 16, field=field)
    plain = render(ramp(20), turned, 16)
    assert torch.allclose(seen[0, 1, :, 2:13], plain[0, 1, :, 3:14], atol=1e-4)


def test_a_warp_is_smooth_and_of_the_asked_strength():
    sigma = 5 / 256
    field = random_field(400, 64, sigma, generator(), CPU)
    assert field.shape == (400, 64, 64, 2)
    # Between nodes bilinear weights shrink the deviation, to 4/9 of the variance on average.
    assert field.mean().item() == pytest.approx(0, abs=2e-3)
    assert 0.5 * 2 * sigma < field.std().item() < 2 * sigma
    steps = (field[:, :, 1:] - field[:, :, :-1]).abs().max().item()
    assert steps < 2 * 7 * sigma / 16


def test_fields_add_and_are_resized():
    ones, twos = torch.ones(1, 4, 4, 2), torch.full((1, 8, 8, 2), 2.0)
    assert combined(None, None, 8) is None
    assert combined(None, twos, 8) is twos
    assert torch.equal(combined(ones, None, 8), torch.ones(1, 8, 8, 2))
    assert torch.equal(combined(ones, twos, 8), torch.full((1, 8, 8, 2), 3.0))


def test_beyond_the_edge_the_picture_is_reflected():
    stored = torch.rand(1, 1, 8, 8, generator=generator())
    shifted = torch.tensor([[[1.0, 0.0, 4 / 8], [0.0, 1.0, 0.0]]])
    seen = render(stored, shifted, 8)
    assert torch.allclose(seen[..., :6], stored[..., 2:], atol=1e-6)
    assert torch.allclose(seen[..., 6:], stored[..., 6:].flip(-1), atol=1e-6)


def test_no_shades_change_nothing():
    pictures = smooth(2, 16)
    assert torch.allclose(shade(pictures, random_shades(2, STILL, generator())), pictures, atol=2e-3)


def test_lightness_scales_the_l_of_lab():
    # Linear light 0.18 (sRGB 0.4614) has L* 49.496; 1.3 times that is 64.345, linear 0.3325, sRGB 0.6123.
    grey = torch.full((1, 3, 4, 4), 0.461356)
    lighter = shade(grey, Shades(torch.tensor([1.3]), torch.zeros(1, 2), torch.ones(1)))
    assert lighter.mean().item() == pytest.approx(0.6123, abs=2e-3)


def test_tint_shifts_colour_and_keeps_lightness():
    grey = torch.full((1, 3, 4, 4), 0.5)
    redder = shade(grey, Shades(torch.ones(1), torch.tensor([[8.0, 0.0]]), torch.ones(1)))[0, :, 0, 0]
    assert redder[0] > 0.53
    assert redder[1] < 0.5


def test_contrast_widens_light_locally():
    pictures = 0.35 + 0.3 * torch.rand(1, 1, 32, 32, generator=generator()).expand(1, 3, 32, 32)
    wider = shade(pictures, Shades(torch.ones(1), torch.zeros(1, 2), torch.tensor([1.5])))
    assert wider.std() > 1.3 * pictures.std()
    assert wider.mean().item() == pytest.approx(pictures.mean().item(), abs=0.03)


def test_shades_stay_in_their_ranges():
    config = AugmentConfig(lightness=0.3, tint=0.08, contrast=0.5)
    shades = random_shades(4000, config, generator())
    assert shades.lightness.min() == pytest.approx(0.7, abs=0.01)
    assert shades.lightness.max() == pytest.approx(1.3, abs=0.01)
    assert shades.tint.abs().max() == pytest.approx(8, abs=0.1)
    assert (shades.contrast == 1).float().mean().item() == pytest.approx(0.5, abs=0.03)


def test_the_same_generator_gives_the_same_faces():
    def draw(seed: int) -> torch.Tensor:
        chance = generator(seed)
        theta = random_affine(2, 0.8, AugmentConfig(), chance)
        field = random_field(2, 16, 0.02, chance, CPU)
        return shade(render(smooth(2, 20), theta, 16, field=field), random_shades(2, AugmentConfig(), chance))

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))
    assert math.isfinite(draw(1).sum().item())
