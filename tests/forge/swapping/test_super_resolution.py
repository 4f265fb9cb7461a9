from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from forge.swapping.config import BlendConfig
from forge.swapping.super_resolution import enlarge_digest, enlarged, make_enlarge
from shared.errors import ConfigError, UsageError
from shared.faces.align import map_points
from shared.storage import sha256_file
from shared.types import SwappedFace

MATRIX = np.array([[0.5, 0.1, 3.0], [-0.1, 0.5, 7.0]])


def _face(px: int = 8) -> SwappedFace:
    ramp = np.repeat(np.linspace(0, 1, px, dtype=np.float32)[None, :, None], 3, axis=2)
    return SwappedFace(np.repeat(ramp, px, axis=0), np.full((px, px), 0.5, np.float32), MATRIX)


def _hook(tmp_path: Path, body: str) -> BlendConfig:
    path = tmp_path / "mine.py"
    path.write_text(body)
    return BlendConfig(enlarge=f"python:{path}")


def test_lanczos_enlarges_crop_mask_and_matrix_together():
    face = enlarged(_face(), make_enlarge(BlendConfig(enlarge="lanczos", enlarge_factor=3)))
    assert face.crop.shape == (24, 24, 3)
    assert face.mask == pytest.approx(np.full((24, 24), 0.5))
    points = np.array([[10.0, 20.0]])
    # Pixel centres: x in the small crop is 3 x + 1 in the large one.
    assert map_points(face.frame_to_crop, points) == pytest.approx(3 * map_points(MATRIX, points) + 1)
    assert face.crop[12, 2:-2].mean(1) == pytest.approx(np.clip((np.arange(24) - 1) / 21, 0, 1)[2:-2], abs=0.03)


def test_none_leaves_the_face_alone():
    face = _face()
    assert make_enlarge(BlendConfig()) is None
    assert enlarged(face, None) is face


def test_a_file_of_ones_own_is_run(tmp_path, capsys):
    config = _hook(
        tmp_path, "import numpy as np\ndef enlarge(crop):\n    return np.kron(crop, np.ones((2, 2, 1), 'u1'))"
    )
    face = enlarged(_face(), make_enlarge(config))
    assert face.crop.shape == (16, 16, 3)
    assert np.array_equal(face.crop[::2, ::2], np.rint(_face().crop * 255) / np.float32(255))
    assert enlarge_digest(config) == sha256_file(tmp_path / "mine.py")
    assert enlarge_digest(BlendConfig()) is None


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("x = 1", "has no function enlarge"),
        ("1 / 0", "fails: ZeroDivisionError"),
        ("def enlarge(crop):\n    raise RuntimeError('no model')", "enlarge failed: RuntimeError: no model"),
        ("def enlarge(crop):\n    return crop[:, :4]", r"gave \(8, 4, 3\)"),
        ("def enlarge(crop):\n    return crop[::2, ::2]", r"gave \(4, 4, 3\)"),
        ("def enlarge(crop):\n    return crop / 255", "float64"),
        ("def enlarge(crop):\n    return None", r"gave \(\)"),
    ],
)
def test_a_file_that_does_not_keep_to_the_rule_is_refused(tmp_path, body, message):
    with pytest.raises(UsageError, match=message):
        enlarged(_face(), make_enlarge(_hook(tmp_path, body)))


def test_a_missing_file_and_an_unknown_word_are_refused(tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        make_enlarge(BlendConfig(enlarge=f"python:{tmp_path / 'none.py'}"))
    with pytest.raises(ConfigError, match="'esrgan' is not known"):
        BlendConfig(enlarge="esrgan")
