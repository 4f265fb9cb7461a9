from __future__ import annotations

import numpy as np
import pytest

from detect.data.batches import Batch
from detect.training.previews import batch_sheet


@pytest.mark.parametrize(("count", "height"), [(1, 112), (8, 112), (9, 224), (64, 448)])
def test_a_sheet_frames_real_in_blue_and_fake_in_orange(count: int, height: int):
    crops = np.full((count, 64, 64, 3), 200, np.uint8)
    sheet = batch_sheet(Batch(1, crops, (np.arange(count) % 2).astype(np.float32)))
    assert sheet.shape == (height, 8 * 112, 3)
    assert sheet[56, 56].tolist() == [200, 200, 200]
    red, _, blue = sheet[0, 0].tolist()
    assert blue > red  # the first crop is real
    if count > 1:
        red, _, blue = sheet[0, 112].tolist()
        assert red > blue
