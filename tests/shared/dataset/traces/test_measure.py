from __future__ import annotations

import dataclasses
import json
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from shared.cli import run
from shared.dataset import DatasetFolder
from shared.dataset.excerpts import excerpt_factor
from shared.dataset.traces.features import LEAST_SPREAD, STATISTICS
from shared.dataset.traces.measure import MOST_COSINE, compared_directions, measure_traces, traces_of
from shared.dataset.traces.report import plot_traces
from shared.storage import sha256_file
from shared.types import ClipId, ClipRecord, FrameLabel, Masks, Timestamp
from shared.video import Encoding, VideoWriter

SIDE, FRAMES = 128, 4
RATE = Fraction(1, 25)
DIM = len(STATISTICS)


def _pair(shift: np.ndarray, level: float = 0.0) -> np.ndarray:
    """(2, 2, 18): two faces whose real statistics are ``level`` and ``level`` + 2, moved by ``shift``."""
    real = np.stack([np.full(DIM, level), np.full(DIM, level + 2)])
    return np.stack([real + shift, real], axis=1)


def _along(place: int, amount: float = 1.0) -> np.ndarray:
    return np.eye(DIM)[place] * amount


def test_a_shift_is_counted_in_standard_deviations_of_real_faces():
    found = traces_of("set", {"blur": [_pair(_along(0, -3.0)), _pair(_along(0, -5.0))]})
    # Real faces are 0, 2, 0, 2: their standard deviation is one. Clips moved by -3 and -5 are moved by -4.
    assert found.manipulations[0].shift == pytest.approx(_along(0, -4.0).tolist())
    assert (found.manipulations[0].clips, found.manipulations[0].faces) == (2, 4)
    assert found.manipulations[0].strength["face"] == pytest.approx(4 / np.sqrt(5))
    assert found.manipulations[0].strength["surroundings"] == 0
    assert (found.median_cosine, found.first_share, found.warnings) == (None, None, ())


def test_real_faces_that_are_all_alike_do_not_make_shifts_infinite():
    pair = np.stack([np.full((2, DIM), 0.1), np.zeros((2, DIM))], axis=1)
    assert traces_of("set", {"any": [pair]}).manipulations[0].shift == pytest.approx((0.1 / LEAST_SPREAD).tolist())


def test_manipulations_at_right_angles_have_no_cosine_and_no_warning():
    found = traces_of("set", {name: [_pair(_along(place))] for place, name in enumerate("abc")})
    assert np.array(found.cosines) == pytest.approx(np.eye(3))
    assert (found.median_cosine, found.first_share) == pytest.approx((0, 1 / 3))
    assert found.warnings == ()


def test_opposite_manipulations_are_one_direction_with_a_cosine_of_minus_one():
    cosines, median, share = compared_directions(np.stack([_along(0), _along(0, -2.0), _along(0, 0.5)]))
    assert cosines[0].tolist() == pytest.approx([1, -1, 1])
    assert (median, share) == pytest.approx((-1, 1))


def test_a_manipulation_that_moves_nothing_has_no_direction():
    cosines, median, _share = compared_directions(np.stack([np.zeros(DIM), _along(1)]))
    assert cosines.tolist() == pytest.approx(np.array([[0, 0], [0, 1]]))
    assert median == 0


def test_one_direction_is_warned_of():
    nearly = [_along(0) + _along(place, 0.1) for place in (1, 2, 3)]
    found = traces_of("set", {name: [_pair(shift)] for name, shift in zip("abc", nearly, strict=True)})
    assert found.median_cosine == pytest.approx(1 / 1.01)
    assert found.median_cosine > MOST_COSINE
    assert len(found.warnings) == 2


def test_a_picture_of_many_manipulations_and_of_one_can_be_made():
    for count in (1, 12):
        shifts = {f"manipulation-{n}": [_pair(_along(n % DIM))] for n in range(count)}
        assert plot_traces(traces_of("set", shifts)).startswith(b"\x89PNG")


def _write(path: Path, images: list[np.ndarray], encoding: Encoding) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, width=SIDE, height=SIDE, time_base=RATE, frame_rate=1 / RATE, encoding=encoding) as writer:
        for index, image in enumerate(images):
            writer.write(image, Timestamp(index, RATE))
    return path


@pytest.fixture
def dataset(tmp_path, rng) -> Path:
    """Two people; of each a fake with a blurred face, one with a lighter face, and one without its masks."""
    folder = DatasetFolder.init(tmp_path / "set", "set")
    region = cv2.circle(np.zeros((SIDE, SIDE), np.uint8), (64, 64), 30, 255, -1)
    face = region[..., None] > 0
    for person in ("ann", "bob"):
        real = [np.repeat(rng.integers(90, 160, (SIDE, SIDE, 1), dtype=np.uint8), 3, axis=2) for _ in range(FRAMES)]
        ways = {
            None: real,
            "blur": [np.where(face, cv2.GaussianBlur(image, (0, 0), 2.0), image) for image in real],
            "light": [np.where(face, image + np.uint8(40), image) for image in real],
        }
        for way, images in ways.items():
            _add(folder, person, way, images, region)
    return folder.path


def _add(
    folder: DatasetFolder, person: str, way: str | None, images: list[np.ndarray], region: np.ndarray, first: int = 0
) -> None:
    """Adds a clip, or with ``first`` a fake of a stretch of one, from that frame on."""
    clip = ClipId("set", way, f"{person}@{first}" if first else person)
    lossless = dataclasses.replace(Encoding(crf=1), pixel_format="yuv444p")
    path = folder.media_for(clip)
    file = _write(folder.path / path, images, lossless)
    masks = None
    if way is not None:
        masks = folder.masks_for(clip)
        for mask in masks.paths.values():
            _write(folder.path / mask, [region] * len(images), Encoding.lossless_mask())
        digests = [sha256_file(folder.path / mask) for mask in masks.paths.values()]
        masks = dataclasses.replace(masks, sha256=(digests[0], digests[1], digests[2]))
    labels = [FrameLabel(clip, index, index, index / 25, "fake" if way else "real") for index in range(len(images))]
    record = _record(clip, person, way, path, file, masks)
    if first:
        stretch = excerpt_factor(first, first + len(images))
        record = dataclasses.replace(record, frames=len(images), faked=((0, len(images)),), factors=stretch)
    folder.add(record, labels)


def _record(clip: ClipId, person: str, way: str | None, path: str, file: Path, masks: Masks | None) -> ClipRecord:
    fake = {
        "source_identity": "carl", "faked": ((0, FRAMES),), "masks": masks, "parent": ClipId("set", None, person),
    }  # fmt: skip
    return ClipRecord(
        id=clip, kind="swap" if way else "real", label="fake" if way else "real", path=path, sha256=sha256_file(file),
        target_identity=person, rights="synthetic", frames=FRAMES, width=SIDE, height=SIDE, codec="h264",
        **(fake if way else {}),
    )  # fmt: skip


def test_fakes_of_a_set_are_compared_with_their_real_clips(dataset):
    found = measure_traces(dataset, frames=2, workers=1)
    assert [(one.name, one.clips, one.faces) for one in found.manipulations] == [("blur", 2, 4), ("light", 2, 4)]
    blur, light = (dict(zip(STATISTICS, one.shift, strict=True)) for one in found.manipulations)
    assert blur["face, band 1"] < -5
    assert abs(light["face, band 1"]) < 2
    assert light["step, lightness"] > 5
    assert abs(blur["step, lightness"]) < 5
    assert abs(found.cosines[0][1]) < 0.6
    assert found.left_out == {}


def test_fakes_of_a_stretch_are_compared_with_its_frames(tmp_path, rng):
    """Real pictures get lighter frame by frame; the fake's are those of its stretch, but for a blurred face."""
    folder = DatasetFolder.init(tmp_path / "set", "set")
    region = cv2.circle(np.zeros((SIDE, SIDE), np.uint8), (64, 64), 30, 255, -1)
    face = region[..., None] > 0
    for person in ("ann", "bob"):
        real = [
            np.repeat(rng.integers(60, 100, (SIDE, SIDE, 1), dtype=np.uint8) + np.uint8(30 * n), 3, axis=2)
            for n in range(FRAMES)
        ]
        _add(folder, person, None, real, region)
        fake = [np.where(face, cv2.GaussianBlur(image, (0, 0), 2.0), image) for image in real[2:]]
        _add(folder, person, "blur", fake, region, first=2)
    found = measure_traces(folder.path, frames=2, workers=1)
    assert (found.left_out, found.manipulations[0].clips) == ({}, 2)
    shift = dict(zip(STATISTICS, found.manipulations[0].shift, strict=True))
    assert shift["face, band 1"] < -5
    assert abs(shift["surroundings, band 1"]) < 1


def test_the_command_writes_both_files_and_says_what_it_left_out(dataset, tmp_path, capsys):
    assert run(["dataset", "traces", str(dataset), "--out", str(tmp_path / "traces"), "--frames", "1"]) == 0
    document = json.loads((tmp_path / "traces" / "traces.json").read_text())
    assert [one["name"] for one in document["manipulations"]] == ["blur", "light"]
    assert (tmp_path / "traces" / "traces.png").is_file()
    assert "median cosine" in capsys.readouterr().out


def test_a_set_without_fakes_that_can_be_compared_is_refused(dataset, tmp_path, capsys):
    empty = DatasetFolder.init(tmp_path / "empty", "empty")
    assert run(["dataset", "traces", str(empty.path), "--out", str(tmp_path / "traces")]) == 1
    assert "it holds no fake" in " ".join(capsys.readouterr().err.split())
    folder = DatasetFolder.open(dataset)
    folder.remove([record.id for record in folder.records() if record.target_identity == "bob"])
    assert run(["dataset", "traces", str(dataset), "--out", str(tmp_path / "traces")]) == 1
    assert not (tmp_path / "traces").exists()
