"""Maps of the region that a detector draws: their scale, their order, and how many are kept."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from detect.models import build_detector
from detect.models.predictor import CropPredictor
from detect.scoring import regions
from detect.scoring.regions import RegionMaps, write_regions
from shared.device import pick_device
from shared.results.regions import REGION_SIDE
from shared.results.scores import FrameScore
from shared.types import ClipId


def test_a_map_is_the_mean_probability_of_each_cell():
    logits = torch.full((1, 1, 2 * REGION_SIDE, 2 * REGION_SIDE), -20.0)
    logits[:, :, : 2 * 3, : 2 * 5] = 20.0
    logits[:, :, -2, -2] = 20.0
    maps = RegionMaps()
    maps.take(logits)
    (found,) = maps.found().maps
    assert (found[:3, :5] == 255).all()
    assert found[-1, -1] == 64  # a quarter of the cell
    assert found.sum(dtype=int) == 15 * 255 + 64


def test_maps_are_thinned_to_a_bound_and_keep_their_rows(monkeypatch):
    monkeypatch.setattr(regions, "MOST_REGIONS", 8)
    maps = RegionMaps()
    for first in range(0, 30, 5):
        shares = torch.arange(first, first + 5).view(5, 1, 1, 1).expand(5, 1, REGION_SIDE, REGION_SIDE) / 255
        maps.take(torch.logit(shares.clamp(1e-4, 1 - 1e-4)))
    found = maps.found()
    assert found.rows.tolist() == [0, 4, 8, 12, 16, 20, 24, 28]
    assert found.maps[:, 0, 0].tolist() == found.rows.tolist()


def test_none_is_found_where_none_was_drawn():
    assert RegionMaps().found() is None


@pytest.mark.parametrize(("family", "drawn"), [("multitask", 5), ("frame", 0)])
def test_regions_come_with_the_logits_and_change_none_of_them(family, drawn):
    torch.manual_seed(0)
    predictor = CropPredictor(build_detector("test_efficientnet", family=family, input_px=64), pick_device("cpu"))
    crops = np.random.default_rng(0).integers(0, 255, (5, 64, 64, 3), np.uint8)
    maps = RegionMaps()
    with_maps = predictor.embed_frames(crops, batch=2, region=maps.take)
    assert np.array_equal(with_maps, predictor.embed_frames(crops, batch=2))
    found = maps.found()
    assert (0 if found is None else len(found.maps)) == drawn
    if found is not None:
        whole = predictor.model(predictor.prepare(crops[2:4])).mask[0, 0].detach().sigmoid().mean()
        assert float(found.maps[2].mean() / 255) == pytest.approx(float(whole), abs=0.01)


def test_maps_are_written_with_frame_and_track(tmp_path):
    scores = [FrameScore(ClipId("a", "b", "c"), n // 2, 0.0, n % 2, 0.0, (0.0, 0.0, 1.0, 1.0)) for n in range(6)]
    ones = np.ones((1, REGION_SIDE, REGION_SIDE), np.uint8)
    kept = regions.Regions(np.array([0, 2, 5]), np.arange(3, dtype=np.uint8)[:, None, None] * ones)
    write_regions(tmp_path / "regions.parquet", scores, kept)
    table = pq.read_table(tmp_path / "regions.parquet")
    assert list(zip(table["frame"].to_pylist(), table["track"].to_pylist(), strict=True)) == [(0, 0), (1, 0), (2, 1)]
    assert table["region"].to_pylist() == [bytes([n]) * REGION_SIDE**2 for n in range(3)]
