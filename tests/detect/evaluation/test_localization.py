from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from detect.evaluation.localization import (
    RegionPredictions,
    choose_threshold,
    face_ious,
    localise,
    pixel_histograms,
    pooled_ap,
    predict_masks,
    predict_regions,
)
from detect.models import build_detector
from detect.models.predictor import CropPredictor
from shared.bootstrap import BootstrapSettings
from shared.device import pick_device

DRAWN = np.array([[[0.9, 0.6], [0.4, 0.1]], [[0.2, 0.2], [0.2, 0.8]]], np.float32)
TRUTH = np.array([[[1, 0], [1, 0]], [[0, 0], [0, 1]]], bool)


def clip(manipulation: str | None, faces: int) -> Any:
    truth = np.full(faces, manipulation is not None, np.int8)
    record = SimpleNamespace(id=SimpleNamespace(manipulation=manipulation), label="fake" if manipulation else "real")
    crops = np.zeros((faces, 64, 64, 3), np.uint8)
    return SimpleNamespace(record=record, truth=truth, crops=lambda: crops)


def test_iou_by_hand():
    ious = face_ious(pixel_histograms(DRAWN, TRUTH))
    # first face at 0.5: drawn 0.9 and 0.6, forged 0.9 and 0.4: one of three; at 0.3: two of three
    assert ious[0, 128] == pytest.approx(1 / 3)
    assert ious[0, 77] == pytest.approx(2 / 3)
    assert ious[0, 0] == pytest.approx(2 / 4)
    assert ious[0, 255] == 0
    assert ious[1, 128] == 1
    assert ious[1, 26] == pytest.approx(1 / 4)
    blank = face_ious(pixel_histograms(np.zeros((1, 2, 2)), np.zeros((1, 2, 2), bool)))
    assert blank[0, 1] == 1  # nothing forged and nothing drawn


def test_histograms_give_the_very_iou_of_the_maps():
    rng = np.random.default_rng(0)
    drawn, truth = rng.random((5, 9, 9)), rng.random((5, 9, 9)) < 0.4
    ious = face_ious(pixel_histograms(drawn, truth))
    for level in (1, 64, 128, 200):
        at = drawn >= level / 256
        wanted = (at & truth).sum((1, 2)) / (at | truth).sum((1, 2))
        assert ious[:, level] == pytest.approx(wanted)


def test_ap_by_hand_and_by_the_library():
    # first face by falling probability: right, wrong, right, wrong: (1/1 + 2/3) / 2
    assert pooled_ap(pixel_histograms(DRAWN, TRUTH)[0]) == pytest.approx((1 + 2 / 3) / 2)
    rng = np.random.default_rng(1)
    drawn, truth = rng.integers(0, 256, (3, 8, 8)) / 256, rng.random((3, 8, 8)) < 0.3
    found = pooled_ap(pixel_histograms(drawn, truth).sum(0))
    assert found == pytest.approx(average_precision_score(truth.ravel(), drawn.ravel()))
    assert np.isnan(pooled_ap(np.zeros((2, 256))))


def test_the_threshold_is_where_the_mean_iou_is_highest():
    faces = RegionPredictions(
        pixel_histograms(DRAWN, TRUTH), np.array([0, 1]), np.zeros(2, int), np.array([True, True])
    )
    chosen = choose_threshold(faces)
    assert 0.2 < chosen <= 0.4  # two of three, and one of one
    assert choose_threshold(RegionPredictions(faces.histograms, faces.clips, faces.rows, np.zeros(2, bool))) is None


def test_every_manipulation_has_its_own_numbers_over_people():
    clips = [clip("dfl", 1), clip("fomm", 1), clip("dfl", 1), clip(None, 2)]
    maps = np.stack([DRAWN[0], DRAWN[1], DRAWN[0], DRAWN[0], DRAWN[1]])
    truth = np.stack([TRUTH[0], TRUTH[1], TRUTH[0], np.zeros((2, 2), bool), np.zeros((2, 2), bool)])
    faces = RegionPredictions(
        pixel_histograms(maps, truth),
        np.array([0, 1, 2, 3, 3]),
        np.array([0, 0, 0, 0, 1]),
        np.array([True, True, True, False, False]),
    )
    found = {part.manipulation: part for part in
             localise(clips, faces, np.array([0, 0, 1, 1]), bootstrap=BootstrapSettings(replicates=50))}  # fmt: skip
    assert set(found) == {None, "dfl", "fomm"}
    assert found[None].iou.value == pytest.approx((1 / 3 + 1 + 1 / 3) / 3)
    assert found["dfl"].iou.value == pytest.approx(1 / 3)
    assert found["fomm"].ap.value == 1.0
    assert (found[None].clips, found["dfl"].clips, found[None].iou.num_fake) == (3, 2, 3)
    assert found[None].iou.low == pytest.approx(1 / 3)
    assert found[None].iou.high == pytest.approx(2 / 3)
    assert found["fomm"].iou.low is None  # one cluster
    assert found[None].drawn_on_real.value == pytest.approx((2 / 4 + 1 / 4) / 2)
    assert found["dfl"].drawn_on_real is None
    untouched = RegionPredictions(faces.histograms[3:], np.array([0, 0]), np.array([0, 1]), faces.fake[3:])
    assert localise(clips[3:], untouched, np.array([0])) == ()


def test_maps_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        pixel_histograms(DRAWN, TRUTH[:1])


def test_regions_are_predicted_only_for_faces_with_a_known_region():
    model = build_detector("test_efficientnet", family="multitask", input_px=64)
    predictor = CropPredictor(model, pick_device("cpu"))
    fake = clip("dfl", 3)
    fake.truth[:] = (1, 0, -1)  # forged, an untouched frame, not known
    full = np.ones((56, 56), np.float32)
    masks: Any = SimpleNamespace(mask=lambda key: full if key[0] == 0 else None)
    faces = predict_regions([fake, clip(None, 2), clip("bare", 1)], masks, predictor)
    assert faces.clips.tolist() == [0, 1, 1]
    assert faces.rows.tolist() == [0, 0, 1]
    assert faces.fake.tolist() == [True, False, False]
    assert faces.histograms.sum((1, 2)).tolist() == [56 * 56] * 3
    assert faces.histograms[0, 0].sum() == 0
    assert faces.histograms[1, 1].sum() == 0
    maps = predict_masks(predictor, np.zeros((2, 64, 64, 3), np.uint8), px=10)
    assert maps.shape == (2, 10, 10)
    assert 0 <= maps.min() <= maps.max() <= 1
    plain = CropPredictor(build_detector("test_efficientnet", input_px=64), pick_device("cpu"))
    with pytest.raises(ValueError, match="draws no region"):
        predict_masks(plain, np.zeros((1, 64, 64, 3), np.uint8))
