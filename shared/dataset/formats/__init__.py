"""Other people's sets, read and written: a file a layout, all listed here.

Importers give a :class:`~shared.dataset.formats.found.Scan` of what is in a folder, and ``importing`` makes a dataset
of it; exporters write a dataset in another form.
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
