from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from shared.console import console
from shared.faces.align import MEAN_FACE
from shared.faces.facesets.reader import Faceset
from tests.factories import write_clip, write_landmarks


@pytest.fixture
def assay():
    """Runs one command line of ``assay faces`` the way ``assay`` does, and gives its exit code."""
    import typer

    from shared.commands import faces
    from shared.errors import AssayError

    def run(*arguments: str) -> int:
        try:
            typer.main.get_command(faces.app).main(args=list(arguments), standalone_mode=False)
        except AssayError as error:
            console.fail(str(error), error.hint)
            return error.exit_code
        return 0

    yield run
    console.configure()


@pytest.fixture
def clip(tmp_path, rng) -> Path:
    """A clip of noise with landmarks beside it."""
    path = write_clip(tmp_path / "ann.mp4", [rng.integers(0, 255, (96, 128, 3), dtype=np.uint8)] * 12)
    write_landmarks(tmp_path / "ann.landmarks.parquet", dict.fromkeys(range(10), (MEAN_FACE - 0.5) * 40 + [64, 48]))
    return path


def extract(assay, clip: Path, out: Path, *more: str) -> int:
    common = ["--identity", "ann", "--rights", "consent", "--finder", "sidecar", "--px", "48", "--min-face-px", "20"]
    return assay("extract", str(clip), "--out", str(out), *common, *more)


def test_extract_then_show_with_a_sheet(assay, clip, tmp_path, capsys):
    assert extract(assay, clip, tmp_path / "faces") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "10 faces of ann kept" in said
    assert "12 frames read, 2 of them without a face" in said
    assert assay("show", str(tmp_path / "faces"), "--sheet", str(tmp_path / "sheet.png"), "--deep", "--landmarks") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "10 faces in 1 track, 10 kept, set aside: none" in said
    assert "sharpness" in said
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")


def test_json_is_one_document(assay, clip, tmp_path, capsys):
    console.configure(quiet=True, json_mode=True)
    assert extract(assay, clip, tmp_path / "faces") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["faces"], document["identity"], document["px"]) == (10, "ann", 48)
    assert assay("show", str(tmp_path / "faces")) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["summary"]["kept"] == 10
    assert document["digest"] == Faceset.open(tmp_path / "faces").digest()


def test_a_second_time_needs_force(assay, clip, tmp_path, capsys):
    assert extract(assay, clip, tmp_path / "faces") == 0
    assert extract(assay, clip, tmp_path / "faces") == 2
    assert "--force" in capsys.readouterr().err
    assert extract(assay, clip, tmp_path / "faces", "--force", "--framing", "full") == 0
    assert Faceset.open(tmp_path / "faces").info.framing == "full"


@pytest.mark.parametrize(
    ("more", "code", "says"),
    [
        (["--px", "3"], 2, "px"),
        (["--framing", "enormous"], 2, "framing"),
        (["--finder", "dilb"], 2, "dlib"),
        (["--identity", "a/b"], 2, "identity"),
        (["--every", "0"], 2, "every"),
    ],
)
def test_bad_usage_ends_with_a_hint_and_code_2(assay, clip, tmp_path, capsys, more, code, says):
    assert extract(assay, clip, tmp_path / "faces", *more) == code
    assert says in capsys.readouterr().err
    assert not (tmp_path / "faces").exists()


def test_failures_end_with_code_1(assay, clip, tmp_path, capsys):
    assert extract(assay, tmp_path / "nobody.mp4", tmp_path / "faces") == 1
    assert "nobody.mp4" in capsys.readouterr().err
    assert assay("show", str(tmp_path)) == 1
    assert "not a faceset" in capsys.readouterr().err


def test_a_sheet_with_a_bad_name_is_refused_before_anything_is_read(assay, tmp_path, capsys):
    assert assay("show", str(tmp_path / "nothing"), "--sheet", "sheet.txt") == 2
    assert "picture" in capsys.readouterr().err


def test_each_clip_of_a_folder_becomes_a_faceset(assay, clip, tmp_path, capsys):
    console.configure(json_mode=True)
    common = ["--rights", "consent", "--finder", "sidecar", "--px", "48", "--min-face-px", "20"]
    out = tmp_path / "faces"
    assert assay("extract", str(clip), "--each", "--jobs", "1", "--out", str(out), *common) == 0
    document = json.loads(capsys.readouterr().out)
    expected = {"identity": "ann", "kept": 10, "why": "", "was_there": False, "clips": 1, "unread": {}}
    assert document["facesets"] == [expected]
    assert Faceset.open(out / "ann").info.identity == "ann"
    for wrong in (
        ["--each", "--identity", "ann"],
        [],
        ["--identity", "ann", "--jobs", "2"],
        ["--each", "--engine", "cloud"],
        ["--each", "--address", "host:1"],
    ):
        assert assay("extract", str(clip), "--out", str(tmp_path / "other"), *common, *wrong) == 2
    assert not (tmp_path / "other").exists()
