from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from detect.commands.score import Quality, measured_quality
from detect.config.scoring import EvaluateConfig
from shared.dataset import DatasetFolder
from shared.faces.facesets.reader import Faceset
from shared.types import ClipRecord

CONFIG = EvaluateConfig(device="cpu")


class CommandLine:
    """Notes the lines it is given, and writes what ``assay forge quality`` would; or fails with a code."""

    def __init__(self, code: int = 0) -> None:
        self.code = code
        self.lines: list[list[str]] = []

    def __call__(self, line: list[str]) -> int:
        self.lines.append(line)
        if self.code == 0:
            path = Path(line[line.index("--out") + 1])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"quality": []}))
        return self.code


@pytest.fixture
def folder(toy_set: Path) -> DatasetFolder:
    return DatasetFolder.open(toy_set)


@pytest.fixture
def records(folder: DatasetFolder) -> list[ClipRecord]:
    """The toy set's clips, its fakes saying what they were made from."""
    return [dataclasses.replace(one, factors={"target_sha256": "0" * 64}) for one in folder.records()]


def quality(**settings: object) -> Quality:
    return dataclasses.replace(Quality((), False, 3, (), None), **settings)  # type: ignore[arg-type]


def test_some_fakes_of_each_manipulation_are_measured_once(
    folder: DatasetFolder, records: list[ClipRecord], tmp_path: Path
):
    run = CommandLine()
    faces = tmp_path / "faces"
    files, notes = measured_quality(run, folder, records, tmp_path / "b", quality(faces=(faces,)), CONFIG)
    (line,) = run.lines
    assert line[:2] == ["forge", "quality"]
    assert sum(word.endswith(".mp4") for word in line) == 3
    assert line[line.index("--faces") + 1] == str(faces)
    assert [path.parent.name for path in files] == ["quality"]
    assert files[0].name.startswith("stripes-")
    assert notes == []
    again = CommandLine(1)
    assert measured_quality(again, folder, records, tmp_path / "b", quality(faces=(faces,)), CONFIG) == (files, [])
    assert again.lines == []
    other, _ = measured_quality(run, folder, records, tmp_path / "b", quality(clips=2, faces=(faces,)), CONFIG)
    assert other != files  # another choice of fakes is another file


def test_facesets_are_known_by_what_they_hold(
    folder: DatasetFolder, records: list[ClipRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Extracted again in place, a faceset asks for new measurements; moved, it does not."""
    digests = {"faces": "1" * 64, "moved": "1" * 64}
    monkeypatch.setattr(Faceset, "open", lambda path: SimpleNamespace(digest=lambda: digests[path.name]))
    run = CommandLine()
    first, _ = measured_quality(run, folder, records, tmp_path, quality(faces=(tmp_path / "faces",)), CONFIG)
    moved, _ = measured_quality(run, folder, records, tmp_path, quality(faces=(tmp_path / "moved",)), CONFIG)
    assert (moved, len(run.lines)) == (first, 1)
    digests["faces"] = "2" * 64
    other, _ = measured_quality(run, folder, records, tmp_path, quality(faces=(tmp_path / "faces",)), CONFIG)
    assert other != first


def test_what_cannot_be_measured_is_said(folder: DatasetFolder, records: list[ClipRecord], tmp_path: Path):
    files, notes = measured_quality(CommandLine(1), folder, records, tmp_path, quality(), CONFIG)
    assert files == []
    assert "stripes could not be measured" in notes[0]
    plain = folder.records()
    run = CommandLine()
    files, notes = measured_quality(run, folder, plain, tmp_path, quality(), CONFIG)
    assert (files, run.lines) == ([], [])
    assert "without a recorded target" in notes[0]


def test_an_interrupt_while_measuring_ends_the_command(
    folder: DatasetFolder, records: list[ClipRecord], tmp_path: Path
):
    with pytest.raises(KeyboardInterrupt):
        measured_quality(CommandLine(130), folder, records, tmp_path, quality(), CONFIG)
