from __future__ import annotations

import pytest

from benchmarks.cross_set import cut_to, make_set, parse_runs
from benchmarks.toy_set import film
from shared.errors import UsageError
from shared.video import VideoReader, probe


def test_runs_are_a_name_a_folder_and_a_person():
    assert parse_runs(["gan=runs/a:b/gan:ann"]) == {"gan": ("runs/a:b/gan", "ann")}


@pytest.mark.parametrize("text", ["gan", "gan=runs/gan", "=runs/gan:ann", "gan=:ann", "gan=runs/gan:"])
def test_what_is_not_a_run_is_refused(text):
    with pytest.raises(UsageError, match="is not NAME=RUN:PERSON"):
        parse_runs([text])


def test_a_clip_is_cut_without_loss_and_shrunk_to_even_sides(tmp_path):
    film(tmp_path / "two.mp4", 6, 0, people=2)
    cut_to(tmp_path / "two.mp4", tmp_path / "cut" / "two.mkv", frames=4, max_side=100)
    found = probe(tmp_path / "cut" / "two.mkv")
    assert (found.width, found.height, found.codec) == (100, 50, "ffv1")
    assert len(list(VideoReader(tmp_path / "cut" / "two.mkv"))) == 4


def test_two_clips_of_one_name_are_refused(tmp_path):
    clips = [tmp_path / "a" / "ann.mp4", tmp_path / "b" / "Ann.mp4"]
    with pytest.raises(UsageError, match="two clips are called ann"):
        make_set(clips, {}, tmp_path / "out", work=tmp_path, rights="CC0", frames=8, crf=23, finder="sidecar")
