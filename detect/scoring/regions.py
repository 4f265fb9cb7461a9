"""Maps of the region that a detector draws, of every scored face: small, and few enough to lie in a case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch.nn.functional as F
from torch import Tensor

from shared.results.regions import MOST_REGIONS, REGION_SCHEMA, REGION_SIDE
from shared.results.scores import FrameScore
from shared.storage import replacing


@dataclass(frozen=True, eq=False)
class Regions:
    """Maps of scored faces.

    Attributes:
        rows: (M,) int, ascending: the scores that they belong to, by position.
        maps: (M, 16, 16) uint8: probability that a pixel of the crop is forged, in steps of 1/255, row by row.
    """

    rows: np.ndarray
    maps: np.ndarray


class RegionMaps:
    """Collects the maps of faces as they are scored.

    Above :data:`MOST_REGIONS` every second one is let go, as often as needed: memory does not grow with the file.
    """

    def __init__(self) -> None:
        self._maps: list[np.ndarray] = []
        self._every, self._seen = 1, 0

    def take(self, region: Tensor) -> None:
        """Takes the logits (B, 1, h, w) of the next B faces."""
        pooled = F.adaptive_avg_pool2d(region.detach().float().sigmoid(), REGION_SIDE)
        for each in (pooled[:, 0] * 255).round().clamp(0, 255).byte().cpu().numpy():
            if self._seen % self._every == 0:
                self._maps.append(each)
            self._seen += 1
            if len(self._maps) > MOST_REGIONS:
                self._maps, self._every = self._maps[::2], self._every * 2

    def found(self) -> Regions | None:
        """All of them; None where the detector drew none."""
        if not self._maps:
            return None
        return Regions(np.arange(len(self._maps)) * self._every, np.stack(self._maps))


def write_regions(path: Path, scores: Sequence[FrameScore], regions: Regions) -> None:
    """Writes the maps with frame and track of their ``scores`` as Parquet.

    Raises:
        StorageError: writing failed.
    """
    chosen = [scores[row] for row in regions.rows.tolist()]
    columns = {
        "frame": [score.frame for score in chosen],
        "track": [score.track for score in chosen],
        "region": [each.tobytes() for each in regions.maps],
    }
    with replacing(path) as draft:
        pq.write_table(pa.table(columns, schema=REGION_SCHEMA), draft, compression="zstd")
