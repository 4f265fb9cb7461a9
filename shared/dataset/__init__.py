"""Labelled datasets: the one place to import from.

* ``dataset_layout``: what lies where; ``dataset.toml``
* ``dataset_folder``: adding clips, splits, sealing
* ``dataset_real``: real clips, as controls of the fakes
* ``dataset_seal``: the signed digest over everything
* ``dataset_pending``: what stands between two seals
* ``dataset_verify``: what is wrong with a set
* ``dataset_card``: README.md
"""

from __future__ import annotations

from shared.dataset.folder import DatasetFolder
from shared.dataset.layout import DatasetInfo, masks_for, media_for
from shared.dataset.real import add_real_clip
from shared.dataset.verify import Problem, check_labels, verify_dataset

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
