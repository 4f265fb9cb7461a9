"""Import and export of datasets in other layouts: one module per layout, all listed here.

Importers return a :class:`~shared.dataset.formats.found.Scan` of a folder, from which ``importing`` makes a dataset;
exporters write a dataset in another layout.
"""

from __future__ import annotations

from shared.dataset.formats import (  # noqa: F401 - each registers what it reads or writes
    celebdf,
    crops,
    deeperforensics,
    deepfakebench,
    dfdc,
    export_deepfakebench,
    export_faceforensics,
    export_huggingface,
    export_webdataset,
    faceforensics,
    pairs,
    table,
)
from shared.dataset.formats.registry import EXPORTERS, IMPORTERS

__all__ = ["EXPORTERS", "IMPORTERS"]
