from __future__ import annotations

import cv2
import numpy as np
import pytest

from shared.dataset.audit.regions import difference_bands
from shared.dataset.traces.features import BANDS, LEAST_SPREAD, STATISTICS, face_statistics

PX = 320
MIDDLE, RADIUS = (160, 160), 60


def _noise(rng: np.random.Generator) -> np.ndarray:
    """Grey white noise, far from black and white, so that nothing is clipped."""
    gray = np.clip(rng.normal(128, 24, (PX, PX)), 0, 255)
    return np.repeat(gray[..., None], 3, axis=2).round().astype(np.uint8)


def _disc(radius: int = RADIUS) -> np.ndarray:
    return cv2.circle(np.zeros((PX, PX), np.uint8), MIDDLE, radius, 255, -1)


def _of(image: np.ndarray, region: np.ndarray) -> dict[str, float]:
    found = face_statistics(image, region)
    assert found is not None
    return dict(zip(STATISTICS, found.tolist(), strict=True))


def _expected_bands(sigma: float) -> list[float]:
    """By how much the energies of white noise change under a blur, from the bands' answers to one bright pixel."""
    point = np.zeros((129, 129), np.float32)
    point[64, 64] = 1
    plain = [float((band**2).sum()) for band in difference_bands(point, BANDS)]
    blurred = [float((cv2.GaussianBlur(band, (0, 0), sigma) ** 2).sum()) for band in difference_bands(point, BANDS)]
    return [0.5 * float(np.log2(after / before)) for before, after in zip(plain, blurred, strict=True)]


def test_names_and_least_spreads_go_together():
    assert len(STATISTICS) == len(LEAST_SPREAD) == len(set(STATISTICS)) == 18


def test_a_blur_of_the_face_moves_its_bands_by_what_the_filters_say_and_nothing_outside(rng):
    before, region = _noise(rng), _disc()
    # The blur ends at the inner edge of the band, so that the band and what lies round it keep their bytes.
    after = np.where(_disc(RADIUS + 20)[..., None] > 0, cv2.GaussianBlur(before, (0, 0), 1.0), before)
    inside = _of(after, region)
    moved = {name: inside[name] - value for name, value in _of(before, region).items()}
    expected = _expected_bands(1.0)
    assert [moved[f"face, band {n + 1}"] for n in range(BANDS)] == pytest.approx(expected, abs=0.12)
    assert expected[0] < expected[1] < expected[2] < 0
    assert moved["face, noise"] < -2
    assert moved["band, band 1"] == pytest.approx(expected[0], abs=0.12)
    assert max(abs(moved[f"step, {name}"]) for name in ("lightness", "green to red", "blue to yellow")) < 0.5


def test_a_blur_inside_the_face_leaves_band_and_surroundings_as_they_were(rng):
    before, region = _noise(rng), _disc()
    after = np.where(_disc(RADIUS // 2)[..., None] > 0, cv2.GaussianBlur(before, (0, 0), 2.0), before)
    here, there = _of(before, region), _of(after, region)
    changed = {name.partition(",")[0] for name in STATISTICS if there[name] != pytest.approx(here[name], abs=1e-6)}
    assert changed == {"face"}


def test_a_face_that_is_lighter_by_a_known_amount_steps_by_it_at_the_border():
    image = np.full((PX, PX, 3), 100, np.uint8)
    region = _disc()
    lighter = np.where(region[..., None] > 0, np.uint8(120), image)
    lab = [
        cv2.cvtColor(np.full((1, 1, 3), level / 255, np.float32), cv2.COLOR_RGB2LAB)[0, 0, 0] for level in (100, 120)
    ]
    assert _of(lighter, region)["step, lightness"] == pytest.approx(float(lab[1] - lab[0]), abs=0.1)
    assert _of(image, region)["step, lightness"] == pytest.approx(0, abs=0.01)


def test_energies_of_a_flat_picture_are_the_floor_not_minus_infinity():
    found = _of(np.full((PX, PX, 3), 90, np.uint8), _disc())
    assert {found[f"{part}, band {n + 1}"] for part in ("face", "band", "surroundings") for n in range(BANDS)} == {-2.0}


@pytest.mark.parametrize("radius", [0, 3])
def test_a_face_that_is_missing_or_tiny_is_not_measured(radius):
    region = _disc(radius) if radius else np.zeros((PX, PX), np.uint8)
    assert face_statistics(np.full((PX, PX, 3), 90, np.uint8), region) is None


def test_a_face_at_the_edge_of_the_picture_is_measured(rng):
    region = cv2.circle(np.zeros((PX, PX), np.uint8), (10, 160), RADIUS, 255, -1)
    assert np.isfinite(face_statistics(_noise(rng), region)).all()
