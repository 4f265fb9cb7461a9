"""Labelled datasets: the one place to import from.

The names below are loaded when they are first used, so that the manifest, the layout and the settings of an audit can
be imported without what reads media and signatures::

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
else:  # out of sight of type checkers, which would take any name to be there
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
