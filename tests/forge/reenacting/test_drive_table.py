from __future__ import annotations

import numpy as np
import pytest

from forge.reenacting.config import ReenactConfig
from forge.reenacting.drive_table import drive_factors, drive_table_for, read_drive, write_drive, write_resized
from forge.reenacting.transfer import plan_drive
from shared.errors import ManifestError
from shared.storage import sha256_file
from shared.types import ClipId
from tests.forge.reenacting.conftest import performance


def test_a_drive_comes_back(tmp_path):
    plan = plan_drive(performance(), performance(), range(2, 9), ReenactConfig(offset_seconds=0.12))
    write_drive(tmp_path / "one.parquet", plan)
    found = read_drive(tmp_path / "one.parquet")
    assert sorted(found) == list(range(2, 9))
    moment, before, after = found[4]
    assert moment == 7
    np.testing.assert_allclose(before, plan.frames[4].source, atol=1e-3)
    np.testing.assert_allclose(after, plan.frames[4].drive, atol=1e-3)


def test_a_resized_clip_has_its_own_pixels(tmp_path):
    plan = plan_drive(performance(), performance(), range(2, 9), ReenactConfig(offset_seconds=0.12))
    write_drive(tmp_path / "one.parquet", plan)
    write_resized(tmp_path / "half.parquet", tmp_path / "one.parquet", (0.5, 0.25))
    full, small = read_drive(tmp_path / "one.parquet"), read_drive(tmp_path / "half.parquet")
    assert sorted(full) == sorted(small)
    for frame, (moment, before, after) in full.items():
        assert small[frame][0] == moment
        for points, scaled in zip((before, after), small[frame][1:], strict=True):
            np.testing.assert_allclose(scaled, (points + 0.5) * [0.5, 0.25] - 0.5, atol=1e-3)


def test_a_damaged_table_is_refused(tmp_path):
    (tmp_path / "one.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(ManifestError, match=r"one\.parquet cannot be read"):
        read_drive(tmp_path / "one.parquet")


def test_its_place_and_its_digest_are_in_the_record(tmp_path):
    clip = ClipId("set", "reenact-affine", "one@c23")
    assert drive_table_for(clip) == "drive/reenact-affine/one@c23.drive.parquet"
    assert drive_table_for(clip, "one") == "drive/reenact-affine/one.drive.parquet"
    (tmp_path / "x").write_bytes(b"1")
    assert drive_factors("a/x", tmp_path / "x") == {
        "drive_table": "a/x", "drive_table_sha256": sha256_file(tmp_path / "x"),
    }  # fmt: skip
