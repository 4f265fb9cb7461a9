"""Traces of JPEG in pictures whose history is known, because it was made here."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from detect.inspection.evidence.jpeg import ghost_dips, nearest_quality, read_jpeg
from detect.inspection.evidence.stills import block_grid, coefficient_counts, former_compression
from shared.errors import MediaError


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    """(336, 448, 3): noise of several scales, never compressed."""
    rng = np.random.default_rng(5)
    total = np.zeros((336, 448, 3))
    for scale, strength in ((1, 6), (3, 30), (12, 300), (40, 1500)):
        total += strength * cv2.GaussianBlur(rng.normal(size=total.shape), (0, 0), scale)
    return np.clip(128 + total, 0, 255).astype(np.uint8)


def _coded(pixels: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer).convert("RGB"))


def _saved(pixels: np.ndarray, path: Path, quality: int = 90) -> Path:
    Image.fromarray(pixels).save(path, quality=quality)
    return path


def test_a_picture_compressed_once_has_no_odd_trace(scene, tmp_path):
    for quality in (50, 75, 90):
        facts = read_jpeg(_saved(scene, tmp_path / "once.jpg", quality))
        assert abs(facts.quality - quality) <= 1
        assert facts.offset == (0, 0)
        for find in (former_compression, block_grid, coefficient_counts):
            found = find(facts)
            assert found.odd is False, (quality, found)


@pytest.mark.parametrize(("first", "second"), [(50, 75), (60, 90), (75, 95)])
def test_a_picture_compressed_twice_names_the_first_quality(scene, tmp_path, first, second):
    facts = read_jpeg(_saved(_coded(scene, first), tmp_path / "twice.jpg", second))
    assert abs(facts.quality - second) <= 1
    assert ghost_dips(facts)[0][0] == first
    assert former_compression(facts).odd is True
    assert f"near {first}" in former_compression(facts).finding
    if second >= 90:  # coarser second steps leave too few values in so small a picture
        assert coefficient_counts(facts).odd is True


def test_a_picture_cut_after_a_compression_keeps_the_old_grid(scene, tmp_path):
    cut = _coded(scene, 60)[5:-3, 3:-5]
    for path in (tmp_path / "cut.jpg", tmp_path / "cut.png"):
        facts = read_jpeg(_saved(cut, path, 95))
        found = block_grid(facts)
        assert found.odd is True
        assert found.details["there at (x, y)"] == "(5, 3)"
    assert facts.quality is None
    assert "no JPEG" in coefficient_counts(facts).finding
    assert coefficient_counts(facts).odd is None


def test_a_png_that_was_a_jpeg_shows_its_grid(scene, tmp_path):
    found = block_grid(read_jpeg(_saved(_coded(scene, 50), tmp_path / "was.png")))
    assert "it was a JPEG before" in found.finding
    plain = block_grid(read_jpeg(_saved(scene, tmp_path / "never.png")))
    assert plain.finding == "no grid of blocks stands out"
    assert not plain.odd


def test_part_of_a_picture_with_another_history_stands_out_on_the_map(scene, tmp_path):
    mixed = scene.copy()
    mixed[64:192, 64:192] = _coded(scene, 50)[64:192, 64:192]
    facts = read_jpeg(_saved(mixed, tmp_path / "mixed.jpg", 90))
    cells = np.array(facts.local).reshape(facts.rows, facts.columns)
    inside = cells[5:11, 5:11]
    outside = np.delete(np.delete(cells, range(3, 13), 0), range(3, 13), 1)
    assert np.median(inside) == 50
    assert np.mean(inside > 0) > 0.9
    assert np.mean(outside > 0) < 0.1


def test_error_levels_are_a_picture_and_the_nearest_quality_is_that_of_the_table(scene, tmp_path):
    facts = read_jpeg(_saved(scene, tmp_path / "once.jpg", 80))
    assert cv2.imdecode(np.frombuffer(facts.error_png, np.uint8), cv2.IMREAD_COLOR).shape == scene.shape
    assert nearest_quality((16,) * 64) > nearest_quality((60,) * 64)


def test_what_is_too_small_or_no_picture_is_refused(tmp_path):
    with pytest.raises(MediaError, match="too small"):
        read_jpeg(_saved(np.zeros((20, 20, 3), np.uint8), tmp_path / "small.png"))
    (tmp_path / "text.jpg").write_text("no picture")
    with pytest.raises(MediaError):
        read_jpeg(tmp_path / "text.jpg")
