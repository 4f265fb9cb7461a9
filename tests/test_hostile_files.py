"""Files made to break whoever reads them (media/hostile): each ends in a sentence, soon and in little memory."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.fuzz import MEMORY_MB, verdict_of
from benchmarks.material import (
    Material,
    add_words,
    extract_words,
    import_words,
    inspect_words,
    make_material,
    score_words,
    swap_words,
)
from benchmarks.sandbox import Ended, Job, Sandbox, copied_home, quiet_home

pytestmark = [
    pytest.mark.needs_media,
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks and watches as Linux does"),
]

SECONDS = 10.0
VIDEOS = (
    "0265-tail12-ats.ts",
    "0279-flip16-awebm.webm",
    "0311-hdr3-fmp4.mp4",
    "0803-field-stsd-a.mov",
    "0853-gif-8191x8191-mp4.mp4",
    "0989-meta-nonutf8.mkv",
    "0990-meta-nonutf8.mp4",
)
COMMANDS = ("extract", "swap", "source", "add", "import", "inspect", "score")


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    home = tmp_path_factory.mktemp("hostile") / "home"
    with quiet_home(home), Sandbox(home) as started:
        yield started


@pytest.fixture(scope="module")
def material(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Material:
    return make_material(tmp_path_factory.mktemp("material") / "made", sandbox)


def test_every_file_is_tried(media: Path):
    found = {path.name for path in (media / "hostile").iterdir()}
    assert found == {*VIDEOS, "sparse-bomb-24x64MiB.tar.gz"}


def ended(sandbox: Sandbox, words: tuple[str, ...], folder: Path, *readable: Path) -> Ended:
    """The end of a run, which has to be a sound one."""
    found = sandbox.run(Job(words, folder, readable=readable, seconds=SECONDS, home=copied_home(sandbox.home, folder)))
    assert verdict_of(found)[0] in ("done", "sentence"), (verdict_of(found), found.said[-2000:])
    assert found.cpu_seconds < SECONDS
    assert found.peak_mb < MEMORY_MB
    return found


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", VIDEOS)
def test_a_hostile_video(name: str, command: str, media: Path, sandbox: Sandbox, material: Material, tmp_path: Path):
    hostile, out = media / "hostile" / name, tmp_path / "out"
    if command in ("extract", "source"):
        words = extract_words(hostile, out)
    elif command == "swap":
        words = swap_words(hostile, material.swapper, out)
    elif command == "inspect":
        words = inspect_words(hostile, material.detector, out)
    elif command == "add":
        shutil.copytree(material.dataset, out)
        words = add_words(out, hostile)
    else:
        (tmp_path / "them" / "real").mkdir(parents=True)
        shutil.copy(hostile, tmp_path / "them" / "real")
        words = import_words("folders", tmp_path / "them", out)
    found = ended(sandbox, words, tmp_path, media, material.folder)
    if name.startswith("0853"):
        assert found.code == 1 or command in ("import", "score")
        assert "56427 for each byte" in found.said or command in ("import", "score")
    if command == "source" and found.code == 0:
        ended(sandbox, ("faces", "show", str(out), "--deep"), tmp_path, material.folder)
    if command == "score" and out.exists():
        ended(sandbox, score_words(out, material.detector, tmp_path / "board"), tmp_path, material.folder)


def test_a_sparse_archive_does_not_unpack(media: Path, sandbox: Sandbox, material: Material, tmp_path: Path):
    place = tmp_path / "them" / "real train"
    place.mkdir(parents=True)
    shutil.copy(media / "hostile" / "sparse-bomb-24x64MiB.tar.gz", place / "1.tar.gz")
    words = import_words("wilddeepfake", place.parent, tmp_path / "out")
    assert "is sparse" in ended(sandbox, words, tmp_path, material.folder).said
    assert not (tmp_path / "out").exists()
