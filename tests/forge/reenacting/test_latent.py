from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forge.models.checkpoint import swapper_digest
from forge.reenacting.clip import reenact_clip
from shared.dataset import DatasetFolder
from shared.errors import UsageError
from shared.video import Encoding, VideoReader, read_mask_frames


@pytest.mark.parametrize("regions", [("mouth",), ("mouth", "brows", "eyes", "tilt")])
def test_the_drivers_face_decoded_as_the_target_is_pasted_in_the_region_alone(
    target, drive, swapper, reenact_config, tmp_path, regions
):
    config = replace(reenact_config, family="reenact-latent", regions=regions)
    order = {
        "drive": drive, "dataset": tmp_path / "set", "rights": "consent", "target_identity": "bob", "swapper": swapper,
        "driver_identity": "ann", "drive_finder": f"sidecar:{drive.with_suffix('.landmarks.parquet')}",
    }  # fmt: skip
    record = reenact_clip(target, config=config, encoding=Encoding.lossless_rgb(), **order)
    folder = DatasetFolder.open(tmp_path / "set")
    assert folder.verify(deep=True) == []
    assert record.id.manipulation == "reenact-latent"
    assert record.swapper == swapper_digest(swapper)
    masks = {name: list(read_mask_frames(path)) for name, path in folder.mask_paths(record).items()}
    covered = np.array([(mask > 0).mean() for mask in masks["region"] if mask.any()])
    assert (covered < 0.15).all() == (len(regions) == 1)
    for fake, real in zip(VideoReader(folder.media_path(record)), VideoReader(target), strict=True):
        for kind in ("alpha", "region"):
            still = masks[kind][fake.index] == 0
            assert np.array_equal(fake.image[still], real.image[still])
    with pytest.raises(UsageError, match="knows no identity 'cid'"):
        reenact_clip(target, config=config, **(order | {"target_identity": "cid"}), name="other")
