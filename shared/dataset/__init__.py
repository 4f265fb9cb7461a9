"""Labelled datasets: the public names of the package.

The names below are loaded on first use, so that the manifest, the layout and the audit settings can be imported
without the modules that read media and signatures::

    dataset = DatasetFolder.open("set")
    test = dataset.records(split="test")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from shared.dataset.folder import DatasetFolder
    from shared.dataset.layout import DatasetInfo, masks_for, media_for
    from shared.dataset.real import add_real_clip
    from shared.dataset.verify import Problem, check_labels, verify_dataset
else:  # hidden from type checkers, which would accept any name
    __getattr__, __dir__, _ = lazy_loader.attach(
        __name__,
        submod_attrs={
            "folder": ["DatasetFolder"],
            "layout": ["DatasetInfo", "masks_for", "media_for"],
            "real": ["add_real_clip"],
            "verify": ["Problem", "check_labels", "verify_dataset"],
        },
    )

__all__ = [
    "DatasetFolder",
    "DatasetInfo",
    "Problem",
    "add_real_clip",
    "check_labels",
    "masks_for",
    "media_for",
    "verify_dataset",
]
