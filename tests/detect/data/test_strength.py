from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from detect.config.data import MixConfig, SelfBlendConfig
from detect.config.training import TrainConfig
from detect.data.crops import ClipFaces, CropStore
from detect.data.selfblend import self_blend
from detect.data.strength import FrameOffsets, halfway, mixed_at
from detect.models import build_detector
from detect.training.data import prepare
from shared.dataset import DatasetFolder
from shared.device import pick_device
from shared.errors import ConfigError
from shared.faces.align import compose, invert, map_points, mean_in_crop
from tests.factories import clip_record

SAME = np.eye(2, 3)


def picture(value: int) -> np.ndarray:
    return np.full((64, 64, 3), value, np.uint8)


def test_a_mix_by_hand():
    fake, real, mask = mixed_at(picture(200), picture(100), None, SAME, 0.25)
    assert (np.unique(fake).tolist(), np.unique(real).tolist(), mask) == ([125], [100], None)


def test_only_the_forged_region_is_mixed():
    region = np.zeros((32, 32), np.float32)
    region[8:24, 8:24] = 0.8
    fake, real, mask = mixed_at(picture(200), picture(100), region, SAME, 0.5)
    assert mask is not None
    assert fake[32, 32].tolist() == [150] * 3
    assert fake[4, 4].tolist() == fake[60, 60].tolist() == [200] * 3
    assert real.max() == 100
    assert mask.max() == pytest.approx(0.4)
    np.testing.assert_allclose(mask, region / 2)


def test_crops_meet_half_way():
    """A real crop 4 px to the right and 6 px below: both are moved by half of that, whoever is asked."""
    offset = np.array([[1.0, 0, 4], [0, 1.0, 6]])
    assert map_points(halfway(offset), np.array([[10.0, 10.0]])).tolist() == [[12.0, 13.0]]
    turned = np.array([[0.99, -0.05, 3.0], [0.05, 0.99, -2.0]])
    np.testing.assert_allclose(compose(halfway(invert(turned)), turned), halfway(turned), atol=1e-12)
    fake, real = picture(50), picture(50)
    fake[20:24, 20:24] = 250
    real[26:30, 24:28] = 250
    mask = np.zeros((64, 64), np.float32)
    mask[20:24, 20:24] = 1
    made, plain, region = mixed_at(fake, real, mask, offset, 0.5)
    np.testing.assert_array_equal(made, plain)
    assert (plain[23:27, 22:26] == 250).all()
    assert region is not None
    np.testing.assert_allclose(region[23:27, 22:26], 0.5)


def test_forged_faces_of_a_set_are_mixed_with_their_own_frames(toy_set, toy_config: TrainConfig, monkeypatch):
    """Toy fakes, which name no parent, beside the frame of the real clip of the person: half of the difference."""
    spec = build_detector(toy_config.model, input_px=64).spec
    data = prepare(DatasetFolder.open(toy_set), spec, toy_config, pick_device("cpu"), None)
    clips = data.clips["train"]
    real = {clip.identity: place for place, clip in enumerate(clips) if clip.record.label == "real"}
    partners = {
        (place, face): (real[clip.identity], face)
        for place, clip in enumerate(clips)
        if clip.record.label == "fake"
        for face in range(clip.truth.size)
    }
    assert FrameOffsets(clips).offset(*next(iter(partners.items()))) == pytest.approx(SAME)
    monkeypatch.setattr("detect.training.data.partners_of", lambda _clips: partners)
    store = CropStore(clips)
    sources = [data.mixture(store, _with(toy_config, forged_ratios=(r,), paired=1.0)) for r in (0.5, 1.0)]
    for seed in range(6):
        half, full = (source.sample(np.random.default_rng((seed, 1))) for source in sources)
        assert half.one_face
        assert full.one_face
        assert (half.fake.label, half.real.label) == (1, 0)
        np.testing.assert_array_equal(half.real.crop, full.real.crop)
        change = full.fake.crop.astype(int) - full.real.crop
        assert np.abs(change).max() > 20
        np.testing.assert_allclose(half.fake.crop.astype(int) - half.real.crop, change / 2, atol=0.51)


def test_crops_of_other_sizes_or_places_are_not_mixed():
    def clip(width: int, shift: float) -> ClipFaces:
        matrix = np.array([[[1.0, 0, shift], [0, 1.0, 0]]])
        faceset = SimpleNamespace(matrices=lambda: matrix, info=SimpleNamespace(px=64))
        record = clip_record("ann", width=width, height=48)
        return ClipFaces(record, faceset, 1, np.zeros(1, np.int8))  # type: ignore[arg-type]

    offsets = FrameOffsets([clip(64, 0), clip(64, 9), clip(64, 10), clip(32, 0)])
    found = offsets.offset((0, 0), (1, 0))
    assert found is not None
    assert found.tolist() == [[1, 0, 9], [0, 1, 0]]
    assert offsets.offset((0, 0), (2, 0)) is None
    assert offsets.offset((0, 0), (3, 0)) is None


@pytest.mark.parametrize("pastes", [(), ("box",), ("hull-mean",), ("segment-square:fsgan",)])
def test_a_twin_is_pasted_at_partial_strength(pastes: tuple[str, ...]):
    """A face of grey 100 and a twin of 200, unmoved and unchanged: the mask tells how much of the twin is there."""
    landmarks = mean_in_crop(64, "whole").astype(np.float32)
    config = SelfBlendConfig(
        rgb_shift=0, hue_shift=0, saturation=0, brightness=0, contrast=0, shift_x=0, shift_y=0, zoom=0,
        ratios=(0.25,), pastes=pastes,
    )  # fmt: skip
    for seed in range(6):
        made = self_blend(picture(100), landmarks, np.random.default_rng(seed), config, copy=picture(200))
        assert made.mask.max() == pytest.approx(0.25, abs=1e-5)
        assert made.fake.max() == pytest.approx(125, abs=1)
        if "segment-square:fsgan" not in pastes:  # it rewrites its whole square, which then is all mask
            np.testing.assert_allclose(made.fake[..., 0], 100 + 100 * made.mask, atol=1.5)
        assert (made.real == 100).all()


@pytest.mark.parametrize("ratios", [(), (0.0,), (1.5,)])
def test_strengths_are_checked(ratios: tuple[float, ...]):
    with pytest.raises(ConfigError, match="forged_ratios"):
        MixConfig(forged_ratios=ratios)


def _with(config: TrainConfig, **mix: object) -> TrainConfig:
    return dataclasses.replace(config, mix=MixConfig(**mix))  # type: ignore[arg-type]
