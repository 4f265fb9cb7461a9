from __future__ import annotations

import numpy as np
import pytest

from shared.errors import ConfigError
from shared.faces.pastes.config import MaskConfig, SquareConfig
from shared.faces.pastes.mask import ellipse_region, frame_margin, inward_ramp, soften, soften_in_frame


def test_an_ellipse_by_hand():
    region = ellipse_region(20, (0.4, 0.25))
    assert set(np.unique(region)) == {0.0, 1.0}
    assert np.flatnonzero(region[10]).tolist() == list(range(2, 18))
    assert np.flatnonzero(region[:, 10]).tolist() == list(range(5, 15))
    assert np.array_equal(region, region[::-1, ::-1])
    assert region.sum() == pytest.approx(np.pi * 8 * 5, rel=0.03)


def test_a_ramp_rises_linearly_from_the_region_s_edge_and_from_the_crop_s():
    region = np.zeros((40, 40), np.float32)
    region[5:35, 5:35] = 1
    ramp = inward_ramp(region, 1 / 3)  # of 30 px
    assert ramp[20, 5:16] == pytest.approx((np.arange(11) + 0.5).clip(max=10) / 10)
    assert ramp[20, 15] == 1
    assert ramp[:, :5].max() == ramp[:5].max() == 0
    whole = inward_ramp(np.ones((40, 40), np.float32), 0.1)
    assert whole[20, :5] == pytest.approx([0.125, 0.375, 0.625, 0.875, 1.0])
    assert inward_ramp(np.zeros((8, 8), np.float32), 0.2).max() == 0


def test_a_kept_edge_is_a_gaussian_of_the_mirrored_crop():
    mask = MaskConfig("full", erode=0.1, blur=0.1, feather=0.0, keep_edge=True)
    alpha = soften(np.ones((40, 40), np.float32), mask)
    # Zero on four pixels, sigma four: alpha on the first pixel is the sum of what is 3.5 px and more away, twice.
    steps = np.arange(-16, 17)
    kernel = np.exp(-(steps**2) / 32)
    expected = 2 * kernel[steps >= 4].sum() / kernel.sum()
    assert alpha[20, 0] == pytest.approx(expected, rel=1e-4)
    faded = soften(np.ones((40, 40), np.float32), MaskConfig("full", erode=0.1, blur=0.1, feather=0.0))
    assert faded[20, 0] == 0


def test_a_short_reach_cuts_the_tails():
    region = np.zeros((64, 64), np.float32)
    region[:, 32:] = 1
    for reach, last in ((1.0, 4), (4.0, 16)):
        mask = MaskConfig("full", blur=4 / 64, feather=0.0, keep_edge=True, reach=reach)
        assert np.flatnonzero(soften(region, mask)[32] == 0).max() == 31 - last


def test_least_widths_are_of_the_frame():
    mask = MaskConfig("full", erode=0.05, erode_px=10.0, feather=0.0, keep_edge=True)
    for per_frame, zero in ((0.1, 5), (1.0, 10), (2.0, 20)):
        alpha = soften(np.ones((100, 100), np.float32), mask, crop_per_frame=per_frame)
        assert int((alpha[50] == 0).sum()) == 2 * zero


def test_in_the_frame_kernels_are_squares_along_its_axes():
    box = np.zeros((100, 100), np.float32)
    box[20:80, 30:70] = 1
    mask = MaskConfig("full", erode=0.05, feather=0.0, space="frame", keep_edge=True)
    eroded = soften_in_frame(box, mask)  # sqrt(60 * 40) = 49: a square of 5 px
    assert (int(eroded[50].sum()), int(eroded[:, 50].sum())) == (36, 56)
    # Of the whole region's box, where less of it is in the frame; what the frame cuts is not eroded.
    cut = soften_in_frame(box[:50], mask, (40, 60))
    assert np.array_equal(cut, eroded[:50])
    assert soften_in_frame(np.full((9, 9), 19 / 255, np.float32), mask).max() == 0
    assert soften_in_frame(np.zeros((9, 9), np.float32), mask).max() == 0


def test_the_margin_holds_the_tails():
    mask = MaskConfig("full", erode=0.02, blur=0.05, feather=0.0, space="frame", keep_edge=True)
    margin = frame_margin(mask, 100)
    box = np.zeros((200, 200), np.float32)
    box[50:150, 50:150] = 1
    reached = np.flatnonzero(soften_in_frame(box, mask)[100] > 0)
    assert 50 - margin <= reached.min() < 50


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MaskConfig("ellipse"), "mask.ellipse"),
        (lambda: MaskConfig("ellipse", ellipse=(0.4, 0.9)), "mask.ellipse"),
        (lambda: MaskConfig(ramp=2), "mask.ramp"),
        (lambda: MaskConfig(erode_px=-1), "mask.erode_px"),
        (lambda: MaskConfig(blur_px=500), "mask.blur_px"),
        (lambda: MaskConfig(reach=0.1), "mask.reach"),
        (lambda: SquareConfig(side=0), "square.side"),
        (lambda: SquareConfig(rise=3), "square.rise"),
        (lambda: SquareConfig(px=8), "square.px"),
        (lambda: SquareConfig(hop=4), "square.hop"),
    ],
)
def test_geometry_that_cannot_be_is_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
