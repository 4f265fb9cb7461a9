"""Fixtures for all tests: where the real media are, a seeded generator, quiet output."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("ASSAY_MEDIA", ROOT.parent / "shared"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of real media skip where it is absent, unless ASSAY_REQUIRE_MEDIA makes that a failure."""
    import torch

    have_media = (SHARED / "media" / "INDEX.md").exists()
    required = os.environ.get("ASSAY_REQUIRE_MEDIA") == "1"
    for item in items:
        if item.get_closest_marker("needs_media") and not have_media and not required:
            item.add_marker(pytest.mark.skip(reason="the real clips are not beside the repository"))
        if item.get_closest_marker("needs_cuda") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))
        if item.get_closest_marker("needs_network"):
            item.add_marker(pytest.mark.skip(reason="downloads weights"))


@pytest.fixture(scope="session")
def media() -> Path:
    """The folder of real clips."""
    folder = SHARED / "media"
    assert folder.is_dir(), f"{folder} is missing; set ASSAY_MEDIA to the folder that holds media/ and weights/"
    return folder


@pytest.fixture(scope="session")
def small_weights() -> Path:
    """The folder of small pretrained weights."""
    folder = SHARED / "weights"
    assert folder.is_dir(), f"{folder} is missing; set ASSAY_MEDIA to the folder that holds media/ and weights/"
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with a fixed seed."""
    return np.random.default_rng(20)


@pytest.fixture(autouse=True)
def _isolated_config(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys, caches and weights of the user running the tests stay untouched."""
    home = tmp_path_factory.getbasetemp() / "assay-home"
    monkeypatch.setenv("ASSAY_HOME", str(home))
