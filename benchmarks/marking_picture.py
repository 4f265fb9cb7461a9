"""The picture of a mark, docs/marking.jpg: an actor, the same marked, and the difference made ten times stronger."""

from __future__ import annotations

import numpy as np

from shared.actors import cast, portrait
from shared.marking.embed import MarkWriter
from shared.marking.payload import Payload
from shared.video.images import encode_jpeg

_PX = 384
_STRONGER = 10


def difference_picture() -> bytes:
    """JPEG: unmarked, marked, and ten times their difference about middle gray, side by side."""
    before = portrait(cast(1, 3)[0], px=_PX, seed=1).image
    after = MarkWriter(Payload.of("swap", "5eed15")).mark(before)
    difference = np.clip(128 + _STRONGER * (after.astype(np.int16) - before), 0, 255).astype(np.uint8)
    return encode_jpeg(np.hstack([before, after, difference]), 88)
