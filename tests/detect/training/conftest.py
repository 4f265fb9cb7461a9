from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from shared.dataset import DatasetFolder


@pytest.fixture(scope="module")
def all_val(toy_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy set with everybody in the val split: eight real and eight fake clips."""
    path = tmp_path_factory.mktemp("fuse") / "toy"
    shutil.copytree(toy_set, path, ignore=shutil.ignore_patterns(".faces"))
    dataset = DatasetFolder.open(path)
    people = sorted({record.target_identity for record in dataset.records()})
    dataset.assign_groups({"train": (), "val": tuple(people), "test": ()})
    return path
