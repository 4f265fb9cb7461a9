"""How small maps of the region that a detector draws are stored: who writes them and who shows them read this."""

from __future__ import annotations

import pyarrow as pa

REGIONS_NAME = "regions.parquet"
REGION_SIDE = 16
"""Side of a stored map, which covers the scored crop."""
MOST_REGIONS = 20_000
"""Maps of a file, at most: 5 MB before compression."""

REGION_SCHEMA = pa.schema(
    [
        pa.field("frame", pa.int32(), nullable=False),
        pa.field("track", pa.int32(), nullable=False),
        pa.field("region", pa.binary(REGION_SIDE * REGION_SIDE), nullable=False),
    ],
    metadata={"assay.format": "1"},
)
