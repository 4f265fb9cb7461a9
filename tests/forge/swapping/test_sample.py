"""A preview: a few frames of a swap as a picture."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from forge.swapping.config import BlendConfig
from forge.swapping.sample import sample_swap
from shared.cli import run
from shared.errors import NoFaceError, UsageError
from shared.provenance.read import read_provenance
from shared.video import VideoReader
from shared.video.excerpt import ClipRange
from shared.video.images import encode_png, read_picture
from tests.factories import write_landmarks
from tests.forge.conftest import HEIGHT, WIDTH, landmarks_in

STRIP, GAP = 24, 6


@pytest.fixture
def order(swapper, config):
    return {"swapper": swapper, "source": "ann", "config": config, "rights": "consent", "mark": False}


def _pairs(picture: np.ndarray, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Target and swap of every row of a sheet of one block."""
    rows = picture[2 * STRIP :].reshape(count, STRIP + HEIGHT + GAP, -1, 3)[:, STRIP : STRIP + HEIGHT]
    return [(row[:, :WIDTH], row[:, WIDTH : 2 * WIDTH]) for row in rows]


def test_frames_are_spread_over_the_clip_beside_their_targets(target, order, tmp_path):
    out = tmp_path / "look.png"
    made = sample_swap(target, **order, out=out, count=3)
    assert made.factors["preview_frames"] == "0,7,13"
    # Frame 13 shows no face.
    assert (made.frames, made.faked, made.rendition) == (3, ((0, 2),), "preview")
    pairs = _pairs(read_picture(out), 3)
    assert [bool((one != other).any()) for one, other in pairs] == [True, True, False]
    assert [path.name for path in tmp_path.iterdir()] == ["look.png"]


def test_they_are_spread_over_a_range_or_over_the_segments(target, order, tmp_path):
    made = sample_swap(target, **order, out=tmp_path / "a.jpg", count=2, stretch=ClipRange.parse("6-10"))
    assert made.factors["preview_frames"] == "6,9"
    order["config"] = dataclasses.replace(order["config"], segments=((0, 2), (10, 13)))
    made = sample_swap(target, **order, out=tmp_path / "b.jpg", count=5)
    assert made.factors["preview_frames"] == "0,1,10,11,12"


def test_the_picture_is_signed_as_synthetic_and_says_so_to_the_eye(target, order, tmp_path):
    for name in ("look.jpg", "look.png"):
        sample_swap(target, **order, out=tmp_path / name, count=2)
        provenance = read_provenance(tmp_path / name)
        assert provenance is not None
        assert provenance.valid
        assert provenance.says_fake
        assert provenance.record is not None
        assert (provenance.record["label"], provenance.record["source_identity"]) == ("fake", "ann")
    title = read_picture(tmp_path / "look.png")[:STRIP]
    assert (title.max(axis=2) > 150).sum() > 50


def test_settings_show_in_it(target, order, tmp_path):
    sample_swap(target, **order, out=tmp_path / "plain.png", count=1)
    order["config"] = dataclasses.replace(order["config"], blend=BlendConfig(scale=0.6))
    sample_swap(target, **order, out=tmp_path / "small.png", count=1)
    plain, small = (_pairs(read_picture(tmp_path / f"{name}.png"), 1)[0] for name in ("plain", "small"))
    changed = [(one != other).any(axis=2).sum() for one, other in (plain, small)]
    assert changed[0] > 1.5 * changed[1] > 0


def test_pictures_of_a_folder_are_previewed_by_name(target, order, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    with VideoReader(target) as reader:
        for frame in reader.picked(range(6, 11)):
            cut = frame.image[: HEIGHT - 4 * (frame.index - 6)]
            (folder / f"{frame.index}.png").write_bytes(encode_png(cut))
    places = {index: landmarks_in(index + 6) for index in range(5)}
    order["config"] = dataclasses.replace(
        order["config"], finder=f"sidecar:{write_landmarks(tmp_path / 'some.parquet', places)}"
    )
    made = sample_swap(folder, **order, out=tmp_path / "look.png", count=2, stretch=ClipRange.parse("1-"))
    assert (made.factors["preview_frames"], made.faked) == ("1,4", ((0, 2),))
    none = write_landmarks(tmp_path / "none.parquet", {})
    order["config"] = dataclasses.replace(order["config"], finder=f"sidecar:{none}")
    with pytest.raises(NoFaceError):
        sample_swap(folder, **order, out=tmp_path / "other.png", count=2)
    assert not (tmp_path / "other.png").exists()


def test_an_earlier_preview_is_replaced_and_nothing_else(target, order, tmp_path):
    out = tmp_path / "look.png"
    sample_swap(target, **order, out=out, count=1)
    sample_swap(target, **order, out=out, count=2)
    picture = encode_png(np.zeros((8, 8, 3), np.uint8))
    out.write_bytes(picture)
    with pytest.raises(UsageError, match="no preview of a swap"):
        sample_swap(target, **order, out=out, count=2)
    assert out.read_bytes() == picture


def _words(target: Path, order, out: Path, *more: str) -> list[str]:
    return ["forge", "swap", str(target), "--run", str(order["swapper"]), "--source", "ann", "--out", str(out), *more]


@pytest.mark.parametrize(
    ("name", "more", "said"),
    [
        ("look.png", ["--preview", "0"], "1 to 48 frames, not 0"),
        ("look.png", ["--preview", "49"], "not 49"),
        ("look.png", ["--preview", "x"], "valid integer"),
        ("set", ["--preview", "3"], "not the name of a picture"),
        ("look.png", ["--preview", "3", "--range", "99-"], "has no frame in 99-"),
        ("look.png", ["--preview", "3", "--frames"], "--frames does not go with it"),
        ("look.png", ["--preview", "3", "--gif"], "--gif does not go with it"),
    ],
)
def test_what_cannot_be_is_wrong_usage(target, order, tmp_path, capsys, name, more, said):
    assert run(_words(target, order, tmp_path / name, *more)) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_the_sheet(target, order, tmp_path, capsys):
    words = _words(target, order, tmp_path / "look.jpg", "--preview", "2", "--range", "6-9", "--rights", "consent")
    settings = tmp_path / "swap.toml"
    settings.write_text(f'finder = "{order["config"].finder}"\nmin_face_px = 16\ndevice = "cpu"\n')
    assert run([*words, "--config", str(settings)]) == 0
    assert "2 of 2 frames hold ann's face" in " ".join(capsys.readouterr().out.split())
