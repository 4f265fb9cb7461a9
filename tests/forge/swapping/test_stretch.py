"""Swaps of a part of their target."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import pytest

from forge.quality.dataset import find_cases, measure_cases
from forge.quality.measure import Instruments
from forge.quality.result import Failure
from forge.swapping.clip import swap_clip
from forge.swapping.images import swap_images
from shared.cli import run
from shared.dataset import DatasetFolder
from shared.dataset.excerpts import TARGET_FRAMES, first_target_frame, target_frames
from shared.errors import UsageError
from shared.faces.finders.finder import make_finder
from shared.provenance.read import read_provenance
from shared.video import VideoReader, audio_digest, frame_times, read_mask_frames
from shared.video.excerpt import ClipRange, Excerpt, excerpt_sound
from tests.factories import clip_record
from tests.forge.conftest import TICKS, files_in


@pytest.fixture
def order(swapper, config, tmp_path):
    return {"swapper": swapper, "source": "ann", "dataset": tmp_path / "set", "config": config, "rights": "consent"}


def test_only_these_frames_are_swapped_and_written_with_their_sound(target, order, tmp_path):
    whole = swap_clip(target, **order)
    record = swap_clip(target, **order, stretch="3-9")
    folder = DatasetFolder.open(tmp_path / "set")
    assert folder.verify(deep=True) == []
    assert record.id.name == "bob-at-home+ann@3-9"
    # Frames 4 and 5 of the target show no face; its labels are those of these frames.
    assert (record.frames, record.faked) == (6, ((0, 1), (3, 6)))
    assert (record.factors[TARGET_FRAMES], target_frames(record), first_target_frame(record)) == ("3-9", (3, 9), 3)
    clip = folder.media_path(record)
    assert [time.exact_seconds for time in frame_times(clip)] == [Fraction(tick - TICKS[3], 50) for tick in TICKS[3:9]]
    with excerpt_sound(target, Excerpt.of(target, ClipRange.parse("3-9"))) as sound:
        assert sound is not None
        assert audio_digest(clip) == audio_digest(sound) is not None
    assert audio_digest(clip) != audio_digest(target)
    masks = folder.mask_paths(record)
    assert [bool(mask.any()) for mask in read_mask_frames(masks["changed"])] == [True, False, False, True, True, True]
    with VideoReader(folder.media_path(whole)) as longer, VideoReader(clip) as shorter:
        pairs = zip(list(longer)[4:6], list(shorter)[1:3], strict=True)
        assert all(abs(one.image.astype(int) - other.image).mean() < 3 for one, other in pairs)


def test_the_signature_says_which_frames(target, order, tmp_path):
    record = swap_clip(target, **order, stretch="3-9")
    provenance = read_provenance(tmp_path / "set" / record.path)
    assert provenance is not None
    action = next(one for one in provenance.actions if one.name == "c2pa.edited")
    assert action.parameters[TARGET_FRAMES] == "3-9"
    assert "frames 3 to 8 of the target" in action.description


def test_a_range_of_times_is_the_frames_that_begin_in_it_and_made_once(target, order):
    record = swap_clip(target, **order, stretch="0.18s-0.41s")
    assert record.factors[TARGET_FRAMES] == "3-9"
    assert swap_clip(target, **order, stretch="3-9") == record
    with pytest.raises(UsageError, match="made with other settings"):
        swap_clip(target, **order, stretch="3-8", name=record.id.name)


def test_without_sound_none_is_cut(target, order, tmp_path):
    record = swap_clip(target, **order, stretch="3-9", audio=False)
    assert audio_digest(tmp_path / "set" / record.path) is None


def test_its_quality_is_measured_against_that_part(target, order, tmp_path):
    swap_clip(target, **order, stretch="6-12")
    finder = order["config"].finder
    (case,) = find_cases([tmp_path / "set"], [target])
    ((_case, result),) = measure_cases([case], Instruments(make_finder(finder)), {})
    assert not isinstance(result, Failure), result.reason
    assert (result.start, result.stop, result.same_frames, result.same_times, result.same_sound) == (
        6,
        12,
        True,
        True,
        True,
    )


def test_a_range_of_pictures(target, order, tmp_path):
    order = {key: value for key, value in order.items() if key != "dataset"}
    made = swap_images(target, **order, out=tmp_path / "frames", stretch=ClipRange.parse("6-8"))
    assert (made.frames, made.faked, made.factors[TARGET_FRAMES]) == (2, ((0, 2),), "6-8")
    assert [name for name in files_in(tmp_path / "frames") if name.startswith("frames/")] == [
        "frames/00000000.png",
        "frames/00000001.png",
    ]


def test_a_range_beside_segments_is_refused(target, order, tmp_path):
    order["config"] = dataclasses.replace(order["config"], segments=((0, 4),))
    with pytest.raises(UsageError, match="both choose frames"):
        swap_clip(target, **order, stretch="3-9")
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("5-2", "empty"),
        ("a", "not a range"),
        ("90-", "has no frame in 90-"),
        ("\x1b[31m-2", "\\x1b"),
        ("1s-5", "mixes"),
    ],
)
def test_the_command_refuses_other_ranges_as_wrong_usage(target, order, tmp_path, capsys, value, said):
    words = ["--run", str(order["swapper"]), "--source", "ann", "--out", str(tmp_path / "set"), f"--range={value}"]
    assert run(["forge", "swap", str(target), *words]) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert said in error
    assert "\x1b[31m" not in error
    assert not (tmp_path / "set").exists()


def test_a_record_without_a_readable_range_holds_its_target_from_the_begin():
    for text in ("", "x", "3", "3-", "-4", "1e9-2"):
        record = clip_record("bob", "original", factors={TARGET_FRAMES: text})
        assert (target_frames(record), first_target_frame(record)) == (None, 0)
