"""The presets against the arithmetic of the tools they were read from, and the draws from their ranges."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.paste_shapes import Pasted
from shared.errors import ConfigError, UnknownNameError
from shared.faces.align import map_points
from shared.faces.pastes.presets import (
    Jitter,
    draw_paste,
    drawn_names,
    flat,
    geometry,
    paste_names,
    preset_named,
    preset_settings,
    presets,
)
from shared.faces.pastes.square import FACE_WIDTH

VARIANTS = [name for name in paste_names() if ":" in name]


@pytest.mark.parametrize(
    ("name", "half", "width"),
    [
        ("box:inswapper", 4.65, 4.0),  # erosion of M/10 whole, so half of it a side; sigma .3 (M/20 - 1) + .8
        ("box:visomaster", 7.6, 4.5),  # 10 of 128 px zero, sigma 2.2: 2.563 * 2.2 / 128
        ("box:simswap", 5.3, 4.5),  # 19.5 px and 2.563 * 6.5 px, of 1.85 * 200
        ("box-soft:box", 7.3, 9.6),  # 19 of 256 px zero, sigma 9.5
        ("box-restored:gfpgan", 4.65, 4.0),
        ("box-restored:facefusion", 7.3, 9.6),
        ("ellipse:deep-live-cam", 6.3, 15.5),  # a circle of 56 of 128 px
        ("ellipse:reactor", 15.0, 3.0),  # half axis .35
    ],
)
@pytest.mark.parametrize("side", ["left", "top"])
def test_the_seam_of_a_plain_shape_lies_where_the_tool_puts_it(name, half, width, side):
    place, wide = Pasted(name).edge(side)
    if name == "ellipse:reactor" and side == "top":
        half = 10.0  # half axis .40
    assert place == pytest.approx(half, abs=0.4)
    assert wide == pytest.approx(width, abs=0.35)


@pytest.mark.parametrize(
    ("name", "width"),
    [
        ("hull-mean:faceswap", 3.4),  # sigma 1.63 of 128 px
        ("hull-mean:ghost", 5.7),  # 5 of 224 px
        ("dfl-overlay:deepfacelive", 7.2),  # sigma 6.25 of 224 px
        ("dfl-overlay:deepfacelab", 1.0),  # the cubic enlargement alone
        ("segment-square:fsgan", 3.3),
        ("segment-square:simswap", 3.0),
    ],
)
def test_the_seam_along_a_hull_is_as_wide_as_the_tool_makes_it(name, width):
    assert Pasted(name).edge("left")[1] == pytest.approx(width, abs=0.4)


def test_a_hull_is_grown_and_shrunk_by_the_tool_s_pixels():
    plain = Pasted("hull-mean:faceswap", px=256).edge("left")[0] * 1.72
    grown = Pasted("segment-square:fsgan").edge("left")[0] * 1.70
    # Contours from the middle of the face: the segment's lies 3.6 of 256 px further out.
    assert (50 * 1.72 - plain) + 100 * 1.70 * 3.6 / 256 == pytest.approx(50 * 1.70 - grown, abs=0.5)


def test_a_linear_ramp_reaches_full_alpha_at_its_share_of_the_longer_side():
    pasted = Pasted("hull-mean:ramp")
    rows, columns = np.nonzero(pasted.region >= 0.5)
    longer = max(np.ptp(rows), np.ptp(columns)) + 1
    width = pasted.edge("left")[1] / 100 * pasted.square.px
    assert width == pytest.approx(0.8 * 0.2 * longer, rel=0.06)


@pytest.mark.parametrize(("roll", "half", "width"), [(0, 4.65, 4.0), (10, 6.3, 4.8), (20, 7.8, 5.3), (45, 9.4, 5.7)])
def test_kernels_along_the_frame_s_axes_widen_the_band_as_the_head_rolls(roll, half, width):
    place, wide = Pasted("box", 200, roll).edge("left")
    assert place == pytest.approx(half, abs=0.4)
    assert wide == pytest.approx(width, abs=0.3)


@pytest.mark.parametrize("name", ["box:visomaster", "box-soft", "ellipse", "hull-mean"])
def test_kernels_in_the_crop_do_not_know_the_roll(name):
    assert Pasted(name, 200, 20).edge("left") == pytest.approx(Pasted(name, 200, 0).edge("left"), abs=0.3)


def test_small_faces_have_the_least_erosion_and_blur_of_the_tool():
    side_80 = Pasted("box", 80 / 1.65)
    assert side_80.side == pytest.approx(80)
    assert side_80.edge("left") == pytest.approx((5.6, 6.3), abs=0.3)
    # SimSwap's widths are 19.5 and 16.6 px whatever the face: 18 % of a side of 110 px, and no face at all below 41.
    assert Pasted("box:simswap", 110 / 1.85).edge("left")[0] == pytest.approx(18, abs=0.6)
    assert Pasted("box:simswap", 40 / 1.85).in_frame.max() < 0.05


def test_steps_left_at_the_square_s_edge():
    assert Pasted("box-soft").left == pytest.approx(0.051, abs=0.002)
    assert Pasted("box-soft", px=128).left == pytest.approx(0.073, abs=0.002)
    circle = Pasted("ellipse")
    assert 0.38 <= circle.left <= 0.45
    # More than .1 along two fifths of the side, and nothing beyond it.
    assert (circle.in_square[:, 0] > 0.1).mean() == pytest.approx(0.41, abs=0.05)
    assert Pasted("box:visomaster").left == Pasted("hull-mean").left == 0
    for pasted in (Pasted("box-soft", roll=15), Pasted("ellipse", roll=15)):
        inside = map_points(pasted.matrix, np.argwhere(pasted.in_frame > 0)[:, ::-1].astype(float))
        assert inside.min() > -2
        assert inside.max() < pasted.square.px + 1


def test_half_a_face_is_cut_by_the_square_of_faceforensics():
    pasted = Pasted("poisson:faceforensics")
    assert pasted.in_square[32, 0] > 0.9
    assert pasted.side == pytest.approx(0.86 * 200)


def test_shares_of_variants_and_names():
    assert list(presets()) == [
        "box", "box-soft", "box-restored", "hull-mean", "dfl-overlay", "poisson", "ellipse", "segment-square",
    ]  # fmt: skip
    for preset in presets().values():
        assert sum(one.share for one in preset.variants) == pytest.approx(1)
        assert preset.tools
        assert all(one.tools or preset.tools for one in preset.variants)
        assert preset_settings(preset.name)[0] == f"{preset.name}:{preset.variants[0].name}"


@pytest.mark.parametrize("name", VARIANTS)
def test_draws_stay_within_the_ranges_and_reach_them(name):
    preset, variant = preset_named(name)
    rng = np.random.default_rng(5)
    drawn = [preset.draw(rng, variant) for _ in range(60)]
    assert {one for one, _settings in drawn} == {name}
    assert variant is not None
    usual = flat(preset.settings_of(variant))
    ranges = preset.ranges_of(variant)
    for setting, one in ranges.items():
        values = [flat(settings).get(setting) for _name, settings in drawn]
        taken = [value for value in values if value != usual.get(setting)]
        assert len(set(taken)) >= 1, setting
        if one.of:
            assert set(values) <= {*one.of, usual.get(setting)}
        else:
            assert one.low is not None
            assert one.high is not None
            assert all(one.low <= value <= one.high for value in taken if isinstance(value, float))
    for _name, settings in drawn:
        geometry(settings)
        assert flat(settings).keys() - ranges.keys() == usual.keys() - ranges.keys()
        assert {key: value for key, value in flat(settings).items() if key not in ranges} == {
            key: value for key, value in usual.items() if key not in ranges
        }
    assert drawn_names(name) == {*usual, *ranges}


def test_settings_drawn_together_move_together():
    preset, variant = preset_named("box-soft:box")
    drawn = [preset.draw(np.random.default_rng(seed), variant)[1]["mask"] for seed in range(20)]
    assert [one["blur"] / one["erode"] for one in drawn] == pytest.approx([0.5] * 20, rel=0.02)
    overlay, variant = preset_named("dfl-overlay:deepfacelab")
    colours = [overlay.draw(np.random.default_rng(seed), variant)[1]["color"] for seed in range(40)]
    assert all(one["zero_filled"] == (one["method"] == "mean-std") for one in colours)
    assert len({one["method"] for one in colours}) >= 3


def test_equal_seeds_draw_equal_pastes_and_weights_count():
    names = {"box": 3.0, "poisson:deepfacelab": 1.0}
    drawn = [draw_paste(names, np.random.default_rng(seed)) for seed in range(200)]
    assert drawn == [draw_paste(names, np.random.default_rng(seed)) for seed in range(200)]
    cloned = sum(name == "poisson:deepfacelab" for name, _settings in drawn)
    assert 30 <= cloned <= 70
    assert sum(name.startswith("box:") for name, _settings in drawn) == 200 - cloned
    assert len({str(settings) for _name, settings in drawn}) > 150


def test_a_range_by_hand():
    assert [Jitter(low=1.0, high=2.0).at(place) for place in (0.0, 0.25, 1.0)] == [1.0, 1.25, 2.0]
    shared = Jitter(of=("a", "b"), share=(0.3, 0.7))
    assert [shared.at(place) for place in (0.0, 0.29, 0.31, 0.999)] == ["a", "a", "b", "b"]
    wrongs = [
        {},
        {"low": 1.0},
        {"low": 2.0, "high": 1.0},
        {"of": (1,), "share": (1.0, 2.0)},
        {"of": (1,), "low": 0.0, "high": 1.0},
    ]
    for wrong in wrongs:
        with pytest.raises(ConfigError):
            Jitter(**wrong)
    with pytest.raises(ConfigError, match="chance"):
        Jitter(of=(1,), chance=0)


def test_unknown_names_are_refused_with_near_ones():
    with pytest.raises(UnknownNameError, match="no paste is named 'elipse'") as error:
        preset_settings("elipse")
    assert "did you mean ellipse?" in str(error.value.hint)
    with pytest.raises(UnknownNameError, match="paste box has no variant 'simswop'") as error:
        preset_settings("box:simswop")
    assert "box:simswap" in str(error.value.hint)
    assert math.isclose(FACE_WIDTH, 1.182, abs_tol=0.001)
