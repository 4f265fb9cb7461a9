"""Landmarks set by hand stand in the table beside the clip, one face a frame, filled between two frames on request."""

from __future__ import annotations

import json

import numpy as np
import pytest

from shared.cli import run
from shared.errors import MediaError, UsageError
from shared.faces.align import mean_in_crop
from shared.faces.annotate import parse_points, read_landmarks, set_landmarks
from shared.faces.finders.sidecar import sidecar_of
from tests.factories import write_landmarks

FACE = mean_in_crop(64, "whole").astype(np.float32)


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"any")
    return path


def test_one_frame_is_set_and_others_stay(clip):
    write_landmarks(sidecar_of(clip), {2: FACE, 7: FACE + 1})
    assert set_landmarks(clip, 2, FACE + 5) == [2]
    found = read_landmarks(clip)
    assert sorted(found) == [2, 7]
    np.testing.assert_allclose(found[2], [FACE + 5])
    np.testing.assert_allclose(found[7], [FACE + 1])


def test_frames_between_two_are_interpolated_in_both_directions(clip):
    set_landmarks(clip, 10, FACE)
    assert set_landmarks(clip, 14, FACE + 8, since=10) == [11, 12, 13, 14]
    assert set_landmarks(clip, 8, FACE - 4, since=10) == [8, 9]
    shifts = {frame: float((faces[0] - FACE).mean()) for frame, faces in read_landmarks(clip).items()}
    assert shifts == pytest.approx({8: -4, 9: -2, 10: 0, 11: 2, 12: 4, 13: 6, 14: 8}, abs=1e-4)


def test_a_frame_can_have_no_face_and_an_empty_table_goes(clip):
    set_landmarks(clip, 1, FACE)
    set_landmarks(clip, 1, None)
    assert read_landmarks(clip) == {}
    assert not sidecar_of(clip).exists()


def test_what_is_no_start_or_no_frame_or_no_clip_is_refused(clip, tmp_path):
    set_landmarks(clip, 1, FACE)
    for since, points in ((5, FACE), (9, FACE), (1, None), (1 + 6000, FACE)):
        with pytest.raises(UsageError, match="no start"):
            set_landmarks(clip, 9, points, since=since)
    with pytest.raises(UsageError, match="no frame"):
        set_landmarks(clip, -1, FACE)
    with pytest.raises(MediaError):
        set_landmarks(tmp_path / "none.mp4", 1, FACE)
    assert list(read_landmarks(clip)) == [1]


def test_points_are_68_pairs(clip):
    text = " ".join(f"{x},{y}" for x, y in FACE)
    np.testing.assert_allclose(parse_points(text), FACE)
    for wrong in ("", "1,2", text + " 1,2", text.replace(",", ";"), "nan,1 " * 68, "1e9,1 " * 68):
        with pytest.raises(UsageError, match="68 pairs"):
            parse_points(wrong)


def test_the_command_sets_them(clip, capsys):
    text = " ".join(f"{x:.2f},{y:.2f}" for x, y in FACE)
    assert run(["--json", "faces", "landmarks", str(clip), "--frame", "3", "--points", text]) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == [3]
    assert run(["faces", "landmarks", str(clip), "--frame", "3", "--points", "1,2"]) == 2
