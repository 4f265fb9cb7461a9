"""Pastes in a swap: settings put in below given ones, factors, and what each changes in a frame."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from forge.models import restorer
from forge.models.contract import Swap, Swapper, SwapSpec
from forge.models.predictor import SwapPredictor
from forge.swapping.config import BlendConfig, SwapConfig, setting_factors
from forge.swapping.degrade import quantised
from forge.swapping.pastes import over_preset, with_paste
from forge.swapping.plan import plan_swap
from forge.swapping.render import OpenedSwap, composited_frames
from forge.swapping.restore import make_restorer, restorer_digest
from forge.swapping.stages import CompositedFrame
from shared.config import configured, digest, from_mapping, to_mapping
from shared.device import Device
from shared.errors import ConfigError, UnknownNameError
from shared.faces.align import MEAN_FACE, map_points
from shared.faces.pastes.config import MaskConfig, SquareConfig
from shared.faces.pastes.presets import drawn_names, paste_names, preset_named, presets
from shared.faces.pastes.square import FACE_WIDTH, square_matrix
from shared.storage import sha256_file
from shared.types import Face, Frame, Framing, Timestamp

SIZE = 260
VARIANTS = [name for name in paste_names() if ":" in name]
WHOLE_FRAME = ("dfl-overlay:deepfacelive", "dfl-overlay:background")


class Tint(Swapper):
    """The face in other colours, with a mask."""

    def __init__(self, framing: Framing = "whole", *, has_mask: bool = True) -> None:
        super().__init__()
        self.spec = SwapSpec("tint", 64, 64, framing, ("ann", "bob"), has_mask=has_mask)

    def encode(self, faces: Tensor) -> Tensor:
        return faces

    def decode(self, latent: Tensor, identity: str) -> Swap:
        mask = torch.zeros_like(latent[:, :1])
        mask[..., 12:-12, 12:-12] = 1
        return Swap(1 - 0.8 * latent, mask if self.spec.has_mask else None)


def _frame(index: int = 0) -> Frame:
    rng = np.random.default_rng(3 + index)
    smooth = cv2.GaussianBlur(rng.normal(110, 60, (SIZE, SIZE, 3)).astype(np.float32), (0, 0), 1.2)
    return Frame(index, Timestamp(index, Fraction(1, 25)), np.clip(smooth, 0, 255).astype(np.uint8))


def _face(roll: float = 0.0, width: float = 90.0) -> Face:
    turn = np.radians(roll)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    landmarks = (((MEAN_FACE - 0.5) / FACE_WIDTH * width) @ rotation.T + SIZE / 2).astype(np.float32)
    return Face(np.array([80, 80, 180, 180], np.float32), landmarks, 1.0, 0)


def _config(paste: str, **settings: object) -> SwapConfig:
    return configured(SwapConfig, None, with_paste({"paste": paste, **settings}))


def _swapped(config: SwapConfig, face: Face | None = None, framing: Framing = "whole") -> list[CompositedFrame]:
    frames, face = [_frame(index) for index in range(2)], face or _face()
    predictor = SwapPredictor(Tint(framing), Device(torch.device("cpu"), None))
    plan = plan_swap(((frame, [face]) for frame in frames), smooth=False)
    return list(composited_frames(frames, plan, OpenedSwap.of(predictor, config, "ann", "bob")))


def _in_square(done: CompositedFrame, square: SquareConfig, face: Face) -> np.ndarray:
    """(H, W) bool: the pixels of the frame whose centre is in the square."""
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    points = map_points(square_matrix(face.landmarks, square), np.column_stack([x.ravel(), y.ravel()]).astype(float))
    return ((points >= -0.5) & (points <= square.px - 0.5)).all(1).reshape(SIZE, SIZE)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_preset_swaps_and_its_label_covers_what_it_changed(name):
    for config in (_config(name), _drawn(name, 1), _drawn(name, 2)):
        done = _swapped(config, _face(roll=12))[0]
        changed, alpha = done.masks.changed > 0, done.masks.alpha > 0
        assert changed.sum() > 2000
        if config.degrade.is_none:
            assert not (changed & ~alpha).any()
        else:  # the whole frame is degraded; beside that, alpha says where the face went
            assert changed.mean() > 0.9
            assert 2000 < alpha.sum() < 0.5 * SIZE * SIZE
        # Away from the paste nothing counts as forged.
        assert not alpha[:4].any()
        assert not alpha[:, -4:].any()


def _drawn(name: str, seed: int) -> SwapConfig:
    preset, variant = preset_named(name)
    full, settings = preset.draw(np.random.default_rng(seed), variant)
    return from_mapping(SwapConfig, over_preset(full, settings, {"seed": seed}))


@pytest.mark.parametrize("name", [name for name in presets() if name not in ("dfl-overlay",)])
def test_a_box_is_labelled_beside_the_face_too(name):
    config, face = _config(name), _face()
    done = _swapped(config, face)[0]
    assert config.square is not None
    square = _in_square(done, config.square, face)
    labelled = (done.masks.alpha > 0)[square].mean()
    if name.startswith("box"):
        assert labelled > 0.9
        # The ear: a tenth of the face beyond the cheek.
        x, y = face.landmarks[0].astype(int)
        assert done.masks.alpha[y, x - 9] > 230
    if name == "segment-square":
        assert labelled == 1
        inside = square & (done.masks.region == 0)
        assert (done.masks.alpha[inside] > 100).mean() > 0.95
        assert (done.masks.changed[inside] > 0).mean() > 0.8  # resampled twice
    if name == "hull-mean":
        assert labelled < 0.6


def test_no_alpha_is_lost_at_the_square_s_edge():
    for name in ("box-soft", "ellipse"):
        config, face = _config(name), _face(roll=20)
        done = _swapped(config, face)[0]
        assert config.square is not None
        inner = _in_square(done, replace(config.square, side=config.square.side * 0.97), face)
        wider = _in_square(done, replace(config.square, side=config.square.side * 1.04), face)
        # The least along the edge is in the corners: .05 squared of the soft box, none of the circle.
        least, most = (1, 20) if name == "box-soft" else (0, 95)
        edge = done.masks.alpha[inner & ~_in_square(done, replace(config.square, side=config.square.side * 0.93), face)]
        assert edge.min() == least
        assert edge.max() > most
        assert done.masks.alpha[~wider].max() == 0


def test_a_preset_lies_below_given_settings_and_above_the_defaults(tmp_path):
    config = _config("box", mask={"erode": 0.02}, color={"method": "lct"}, square={"px": 96})
    assert (config.mask.erode, config.color.method, config.square and config.square.px) == (0.02, "lct", 96)
    assert config.mask.erode_px == 0  # or else the tool's least erosion would replace the given one
    assert config.mask.blur_px == 2
    assert config.mask.kind == "full"
    assert config.paste == "box:inswapper"
    assert _config("box", mask={"border": 0.1}).mask.keep_edge is False
    assert _config("box", mask={"blur": 0.1}).mask.blur_px == 0
    assert _config("ellipse", mask={"kind": "hull"}).mask.kind == "hull"
    assert _config("hull-mean:ghost").paste == "hull-mean:ghost"


def test_quality_follows_the_preset_unless_codec_or_crf_is_given():
    assert _config("box").output.crf == 16
    assert _config("box", output={"crf": 30}).output.crf == 30
    assert _config("box", output={"codec": "libvpx-vp9"}).output.crf is None
    assert SwapConfig().output.crf is None


def test_without_a_paste_settings_and_their_digest_are_as_they_were():
    plain = SwapConfig()
    assert with_paste({"face": "all"}) == {"face": "all"}
    assert not {"paste", "square", "restore"} & to_mapping(plain).keys()
    assert set(to_mapping(plain)["mask"]) == {
        "kind", "hull", "inside_hull", "erode", "erode_top", "erode_bottom", "erode_left", "erode_right", "blur",
        "feather", "border",
    }  # fmt: skip
    assert digest(plain) != digest(_config("box")) != digest(_config("box", square={"px": 64}))
    assert set(setting_factors(plain)) == {"face", "color", "mask", "blend"}


@pytest.mark.parametrize("name", VARIANTS)
def test_factors_hold_all_that_a_preset_sets_or_draws(name):
    for seed in range(3):
        factors = setting_factors(_drawn(name, seed))
        preset, _colon, variant = name.partition(":")
        assert (factors["paste"], factors["paste_variant"]) == (preset, variant)
        short = {"color.method": "color", "mask.kind": "mask", "blend.method": "blend"}
        assert {short.get(one, one) for one in drawn_names(name)} <= factors.keys()
    assert setting_factors(_drawn(name, 1)) == setting_factors(_drawn(name, 1))
    assert from_mapping(SwapConfig, to_mapping(_drawn(name, 1))) == _drawn(name, 1)


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        ({"paste": "bocks"}, UnknownNameError, "no paste is named 'bocks'"),
        ({"paste": "box:vm"}, UnknownNameError, "no variant 'vm'"),
        ({"paste": 3}, ConfigError, "paste is 3"),
        ({"paste": "segment-square", "mask": {"space": "frame"}}, ConfigError, "mixed in itself"),
        ({"paste": "box", "square": {"pixels": 3}}, ConfigError, "unknown setting 'pixels'"),
        ({"paste": "box-restored", "restore": {"by": "sharpn"}}, ConfigError, "no restorer is named 'sharpn'"),
        ({"restore": {"mask": {"kind": "learned-source"}}}, ConfigError, "no learned mask"),
        ({"restore": {"share": 0}}, ConfigError, "restore.share"),
        ({"blend": {"opacity": 0}}, ConfigError, "blend.opacity"),
        ({"blend": {"clone_above": 1}}, ConfigError, "blend.clone_above"),
        ({"blend": {"clone_jitter": 9}}, ConfigError, "blend.clone_jitter"),
        ({"degrade": {"color_offset": 99}}, ConfigError, "degrade.color_offset"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, kind, message):
    with pytest.raises(kind, match=message):
        configured(SwapConfig, None, with_paste(settings))


def test_a_name_alone_is_no_paste():
    with pytest.raises(ConfigError, match="are not in these settings"):
        SwapConfig(paste="box")


def test_a_square_wider_than_the_swapper_s_crop_is_made_smaller_and_recorded():
    config = _config("box")
    done = _swapped(config, framing="half")[0]
    width = np.flatnonzero((done.masks.alpha > 0).any(0))
    assert np.ptp(width) + 1 < 0.9 * 90  # "half" is .86 of the face
    wide = np.flatnonzero((_swapped(config)[0].masks.alpha > 0).any(0))
    assert np.ptp(wide) + 1 > 1.3 * 90


def test_floor_is_half_a_level_below_rounding():
    rounded, floored = (
        _swapped(_config("box-soft", blend={"rounding": rounding}))[0] for rounding in ("nearest", "floor")
    )
    soft = (rounded.masks.alpha > 20) & (rounded.masks.alpha < 235)
    drop = rounded.image[soft].astype(int) - floored.image[soft]
    assert set(np.unique(drop)) == {0, 1}
    assert drop.mean() == pytest.approx(0.5, abs=0.05)


def test_deepfacelive_leaves_125_levels_three_above():
    every = np.arange(256, dtype=np.float32)[None, :, None].repeat(3, 2)
    levels = np.clip(np.rint(quantised(every, 127, "floor", 2.0)), 0, 255)
    assert len(np.unique(levels)) == 125
    assert (levels - every).mean() == pytest.approx(3.0, abs=0.1)
    done = _swapped(_config("dfl-overlay:deepfacelive"))[0]
    outside = (done.masks.alpha == 0) & (done.frame.image.max(2) < 250)
    assert (done.image[outside].astype(int) - done.frame.image[outside]).mean() == pytest.approx(3.0, abs=0.5)


def test_a_cloned_face_moves_with_the_centre_and_the_label_with_it():
    still = _config("poisson", blend={"clone_center": "mask"})
    moved = _config("poisson", blend={"clone_center": "mask", "clone_jitter": 1})
    first, second = _swapped(still), _swapped(moved)
    assert any(not np.array_equal(a.image, b.image) for a, b in zip(first, second, strict=True))
    for done in second:
        assert not ((done.masks.changed > 0) & (done.masks.alpha == 0)).any()
    assert all(np.array_equal(a.image, b.image) for a, b in zip(second, _swapped(moved), strict=True))
    assert set(np.unique(first[0].masks.alpha)) == {0, 255}  # binary: not mixed again
    mixed = _swapped(_config("poisson:deepfacelab"))[0]
    assert len(np.unique(mixed.masks.alpha)) > 20


def test_a_mask_above_its_threshold_is_what_is_cloned():
    areas = [
        (_swapped(_config("poisson:deepfacelab", blend={"clone_above": above, "clone_mixed": False}))[0]).masks.alpha
        for above in (0.1, 0.9)
    ]
    assert (areas[0] > 0).sum() > 1.1 * (areas[1] > 0).sum()
    small = _swapped(_config("poisson:deepfacelab"), _face(width=7))[0]
    assert small.alpha_instead == 1


def test_a_restored_layer_sharpens_over_the_paste_and_is_labelled():
    plain = _config("box-restored:facefusion", restore={"share": 0.001})
    full = _config("box-restored:facefusion", restore={"share": 1.0})
    before, after = _swapped(plain)[0], _swapped(full)[0]
    middle = np.s_[110:150, 110:150]

    def detail(image: np.ndarray) -> float:
        return float(cv2.Laplacian(image[middle].astype(np.float32), cv2.CV_32F).var())

    assert detail(after.image) > 1.2 * detail(before.image)
    assert (after.masks.alpha > 0).sum() > 1.1 * (_swapped(_config("box-soft"))[0].masks.alpha > 0).sum()


def test_the_package_s_network_restores_where_it_is_asked_for(tmp_path, monkeypatch):
    torch.manual_seed(0)
    path = restorer.save_restorer(restorer.Restorer(), tmp_path / "r.safetensors", {})
    monkeypatch.setattr(restorer, "RESTORER_FILE", path)
    monkeypatch.setattr(restorer.load_restorer, "__defaults__", (path, "cpu"))
    config = _config("box-restored:ramp", restore={"by": "restorer", "square": {"px": 128}})
    assert config.restore is not None
    done = _swapped(config)[0]
    assert not ((done.masks.changed > 0) & (done.masks.alpha == 0)).any()
    # An untrained one enlarges by a cubic, so what was finer than two of its pixels is gone.
    crop = np.random.default_rng(0).integers(0, 255, (128, 128, 3), dtype=np.uint8)
    smooth = make_restorer(config.restore)(crop)
    assert smooth.shape == crop.shape
    assert smooth.std() < 0.8 * crop.std()
    assert restorer_digest(config.restore) == sha256_file(path)
    assert restorer_digest(None) is restorer_digest(replace(config.restore, by="sharpen")) is None
    with pytest.raises(ConfigError, match=r"restore\.square\.px is 130"):
        _config("box-restored", restore={"by": "restorer", "square": {"px": 130}})


def test_opacity_mixes_all_of_the_face():
    half = _swapped(_config("ellipse", blend={"opacity": 0.5}))[0]
    whole = _swapped(_config("ellipse"))[0]
    assert half.masks.alpha.max() == pytest.approx(0.5 * whole.masks.alpha.max(), abs=1)
    assert BlendConfig(opacity=1).opacity == 1


def test_masks_of_the_frame_have_no_effect_of_the_crop_s_edge():
    config = replace(_config("box"), mask=MaskConfig("full", feather=0.0, erode=0.05, space="frame", keep_edge=True))
    alpha = _swapped(config)[0].masks.alpha
    assert set(np.unique(alpha)) == {0, 255}
