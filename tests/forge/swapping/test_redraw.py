from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from forge.models import build_swapper
from forge.models.checkpoint import save_swapper
from forge.swapping.redraw import put_back, redraw
from shared.cli import run
from shared.errors import FacesetError, UsageError
from shared.faces.align import mean_in_crop
from shared.faces.facesets.reader import Faceset
from shared.types import SwappedFace
from tests.factories import face_row, write_faceset

PX = 96


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("redraw") / "ann"
    rng = np.random.default_rng(0)
    points = mean_in_crop(PX, "whole").astype(np.float32)
    faces = []
    for number in range(12):
        row = face_row(
            points,
            frame=number,
            pts=number,
            seconds=number / 25,
            box=np.array([8, 8, 80, 80], np.float32),
            kept=number != 3,
            embedding=np.ones(4, np.float32) if number == 0 else None,
        )
        faces.append((row, rng.integers(60, 200, (PX, PX, 3), np.uint8)))
    return write_faceset(path, "ann", faces)


@pytest.fixture(scope="module")
def swapper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("swapper") / "swapper"
    save_swapper(build_swapper("lightweight", ["ann", "bob"], width=0.05), folder)
    return folder


def test_rows_stay_and_pixels_are_the_decoders(faces: Path, swapper: Path, tmp_path: Path):
    info = redraw(faces, tmp_path / "twins", swapper=swapper, source="bob", device="cpu")
    before, after = Faceset.open(faces), Faceset.open(tmp_path / "twins")
    assert info.drawn_by.startswith("lightweight as bob ")
    assert (info.identity, info.rights, info.faces) == ("ann", "synthetic", 11)  # the face set aside is left out
    assert after.table.column("frame").to_pylist() == [0, 1, 2, *range(4, 12)]
    assert np.array_equal(after.landmarks(), before.landmarks()[[0, 1, 2, *range(4, 12)]])
    assert after.table.column("embedding").to_pylist()[0] == [1, 1, 1, 1]
    difference = np.abs(after.crop(0).astype(int) - before.crop(0)).mean(2)
    assert difference[40:70, 30:66].mean() > 10  # noise became a smooth picture
    assert max(difference[0].max(), difference[:, 0].max()) == 0  # and the crop's own edge is left


def test_at_most_so_many(faces: Path, swapper: Path, tmp_path: Path):
    assert redraw(faces, tmp_path / "twins", swapper=swapper, max_faces=2, device="cpu").faces == 2


def test_a_picture_put_back_where_it_was_changes_nothing_but_its_border():
    rng = np.random.default_rng(1)
    crop = rng.integers(0, 255, (64, 64, 3), np.uint8)
    same = SwappedFace((crop / 255).astype(np.float32), None, np.eye(2, 3))
    assert np.abs(put_back(crop, same).astype(int) - crop).max() <= 1


def test_a_tinted_picture_takes_the_crops_colours():
    rng = np.random.default_rng(2)
    crop = rng.integers(50, 150, (64, 64, 3), np.uint8)
    tinted = SwappedFace((crop / 255 * 0.5 + np.array([0.4, 0.0, 0.2])).astype(np.float32), None, np.eye(2, 3))
    assert np.abs(put_back(crop, tinted).astype(int) - crop).max() <= 2


def test_what_cannot_be_redrawn_is_refused(faces: Path, swapper: Path, tmp_path: Path):
    with pytest.raises(UsageError, match="knows no identity 'carol'"):
        redraw(faces, tmp_path / "a", swapper=swapper, source="carol")
    redraw(faces, tmp_path / "twins", swapper=swapper, max_faces=1, device="cpu")
    with pytest.raises(FacesetError, match="is redrawn by a swapper itself"):
        redraw(tmp_path / "twins", tmp_path / "b", swapper=swapper)
    with pytest.raises(UsageError, match="there already"):
        redraw(faces, tmp_path / "twins", swapper=swapper)


def test_no_swapper_learns_from_drawn_faces(faces: Path, swapper: Path, tmp_path: Path):
    from forge.training.train import open_facesets

    redraw(faces, tmp_path / "twins", swapper=swapper, device="cpu")
    with pytest.raises(FacesetError, match="drawn by"):
        open_facesets([faces, tmp_path / "twins"])


def test_command(faces: Path, swapper: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    words = ["forge", "redraw", str(faces), "--run", str(swapper), "--out", str(tmp_path / "t"), "--device", "cpu"]
    assert run(words) == 0
    assert "11 faces, drawn by lightweight as ann" in " ".join(capsys.readouterr().out.split())
    assert run([*words, "--source", "nobody", "--force"]) == 2
