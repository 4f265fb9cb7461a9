"""Fixtures for all tests: where the real media are, a seeded generator, a process as new for every test.

One thread for each process, unless ``OMP_NUM_THREADS`` says another number: tiny nets gain nothing from threads, and on
a busy machine their barriers cost a hundredfold. Files with slow tests come first, so that no process is left with a
long one at the end; ``--shuffle SEED`` runs the tests in another order.
"""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported, here and in the processes of tests

import cv2
import numpy as np
import pytest
import torch

from shared.console import console

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("ASSAY_MEDIA", ROOT.parent / "shared"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--shuffle", metavar="SEED", help="run files, and the tests in each, in an order of this seed")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests of real media skip where it is absent, unless ASSAY_REQUIRE_MEDIA makes that a failure."""
    if seed := config.getoption("--shuffle"):
        items.sort(key=lambda item: [_digest(f"{seed} {part}") for part in (item.path, item.cls, item.nodeid)])
    else:
        slow = {item.path for item in items if item.get_closest_marker("slow")}
        items.sort(key=lambda item: item.path not in slow)
    have_media = (SHARED / "media" / "INDEX.md").exists()
    required = os.environ.get("ASSAY_REQUIRE_MEDIA") == "1"
    for item in items:
        if item.get_closest_marker("needs_media") and not have_media and not required:
            item.add_marker(pytest.mark.skip(reason="the real clips are not beside the repository"))
        if item.get_closest_marker("needs_cuda") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))
        if item.get_closest_marker("needs_network"):
            item.add_marker(pytest.mark.skip(reason="downloads weights"))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


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


@pytest.fixture(scope="session", autouse=True)
def _isolated_config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keys, caches and weights of the user running the tests stay untouched; one signer seals their sets.

    Films of actors are shared by the processes of a run, so that each is made once.
    """
    own = tmp_path_factory.getbasetemp()
    whole = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    films, cache = whole / "films", own / "assay-home" / "cache"
    films.mkdir(exist_ok=True)
    cache.mkdir(parents=True)
    (cache / "actors").symlink_to(films)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASSAY_HOME", str(own / "assay-home"))
        yield


@pytest.fixture(autouse=True)
def _process_as_new() -> None:
    """What another test left in this process does not matter: settings of the console, random streams, threads."""
    console.configure()
    random.seed(20)
    np.random.seed(20)  # noqa: NPY002 - for libraries that use the old stream
    torch.manual_seed(20)
    cv2.setNumThreads(1)
