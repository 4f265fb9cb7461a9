from __future__ import annotations

import numpy as np
import pytest

from detect.config.scoring import FaceConfig
from detect.data.crops import CropRequest, find_faces
from detect.evaluation.error_card import (
    ITA_GROUPS,
    binned,
    error_card,
    ita_degrees,
    ita_group,
    measure_clips,
    measure_labels,
    record_factors,
)
from detect.scoring.samples import ScoredClip
from shared.bootstrap import BootstrapSettings
from shared.dataset import DatasetFolder
from shared.faces.align import mean_in_crop
from shared.faces.finders.finder import make_finder
from shared.types import ClipId, FrameLabel
from tests.factories import scored_as

DRAWS = BootstrapSettings(replicates=50)


def cards(clips: list[ScoredClip], clusters: list[int]) -> dict:
    return {(row.factor, row.value): row for row in error_card(clips, np.array(clusters), 0.0, bootstrap=DRAWS)}


@pytest.fixture(scope="module")
def clips() -> list[ScoredClip]:
    return [
        scored_as("ann", -1.0), scored_as("bob", 2.0), scored_as("cid", None),
        scored_as("ann", 1.0, "dfl", paste="alpha"), scored_as("bob", 3.0, "dfl", paste="poisson"),
        scored_as("ann", -2.0, "fomm", paste="alpha"), scored_as("bob", -0.5, "fomm", paste="poisson"),
        scored_as("cid", None, "fomm", paste="alpha"),
    ]  # fmt: skip


OWNERS = [0, 1, 2, 0, 1, 0, 1, 2]


def test_rates_by_hand(clips: list[ScoredClip]):
    rows = cards(clips, OWNERS)
    everything = rows["all", "all"]
    assert (everything.fakes, everything.missed, everything.reals, everything.alarms) == (4, 2, 2, 1)
    assert (everything.miss_rate.value, everything.alarm_rate.value, everything.no_face) == (0.5, 0.5, 2)
    assert rows["manipulation", "dfl"].miss_rate.value == 0.0
    assert rows["manipulation", "fomm"].miss_rate.value == 1.0
    assert rows["manipulation", "fomm"].alarm_rate is None  # real clips have no manipulation
    assert (rows["paste", "alpha"].fakes, rows["paste", "alpha"].missed, rows["paste", "alpha"].no_face) == (2, 1, 1)
    assert (rows["all", "all"].alarm_rate.low, rows["all", "all"].alarm_rate.high) == (0.0, 1.0)
    assert all(row.small for row in rows.values())
    assert ("codec", "h264") not in rows  # one value groups nothing


def test_the_order_of_clips_changes_no_rate(clips: list[ScoredClip]):
    """Rates by class must not rely on real clips standing first."""
    rng = np.random.default_rng(0)
    order = rng.permutation(len(clips))
    shuffled = cards([clips[n] for n in order], [OWNERS[n] for n in order])
    for key, row in cards(clips, OWNERS).items():
        other = shuffled[key]
        assert (row.missed, row.alarms, row.fakes, row.reals) == (other.missed, other.alarms, other.fakes, other.reals)


def test_the_most_missed_come_first_and_large_groups_are_not_flagged():
    many = [scored_as(f"r{n}", -1.0) for n in range(10)]
    many += [scored_as(f"f{n}", 1.0 if n % 2 else -1.0, "dfl") for n in range(10)]
    many += [scored_as(f"g{n}", 1.0, "fomm") for n in range(3)]
    found = error_card(many, np.arange(23), 0.0, bootstrap=DRAWS)
    made = [row for row in found if row.factor == "manipulation"]
    assert [(row.value, row.small) for row in made] == [("dfl", False), ("fomm", True)]
    assert made[0].miss_rate.low < 0.5 < made[0].miss_rate.high
    assert error_card([], np.array([], int), 0.0) == ()


def test_a_rate_of_zero_has_an_interval_above_zero():
    """Every replicate of a bootstrap would be zero; the exact bound of n draws without an error is 1 - 0.025^(1/n)."""
    clips = [scored_as(f"f{n}", 1.0, "dfl") for n in range(8)]
    row = error_card(clips, np.repeat(np.arange(4), 2), 0.0, bootstrap=DRAWS)[0]
    assert (row.miss_rate.value, row.miss_rate.low) == (0.0, 0.0)
    assert row.miss_rate.high == pytest.approx(1 - 0.025**0.25)
    row = error_card(clips, np.repeat(np.arange(4), 2), 2.0, bootstrap=DRAWS)[0]
    assert (row.miss_rate.value, row.miss_rate.high) == (1.0, 1.0)
    assert row.miss_rate.low == pytest.approx(0.025**0.25)
    assert error_card(clips, np.zeros(8, int), 0.0, bootstrap=DRAWS)[0].miss_rate.high is None


def test_face_widths_come_from_labels_where_no_face_was_found_for_us():
    clip = ClipId("set", None, "ann")
    labels = [FrameLabel(clip, n, n, n / 25, "real", 0, (0.0, 0.0, 90.0 + 10 * n, 99.0)) for n in range(3)]
    blind = FrameLabel(ClipId("set", None, "bob"), 0, 0, 0.0, "real")
    assert measure_labels([*labels, blind]) == {clip: {"face width": "96 to 128 px"}}


def test_digests_and_measurements_form_no_groups():
    clips = [scored_as(f"f{n}", 1.0, "dfl", recipe="0123456789abcdef", gain=f"{n / 7:.3f}") for n in range(30)]
    assert {row.factor for row in error_card(clips, np.arange(30), 0.0, bootstrap=DRAWS)} == {"all"}
    assert "recipe" not in record_factors(clips[0].record)


def test_bins_name_their_edges():
    edges = (64, 96)
    assert [binned(v, edges, "px") for v in (63.9, 64, 95, 96)] == [
        "below 64 px", "64 to 96 px", "64 to 96 px", "96 px and more"]  # fmt: skip


@pytest.mark.parametrize(
    ("rgb", "wanted"), [((240, 220, 200), "above 55"), ((190, 140, 105), "10 to 28"), ((60, 40, 30), "below -30")]
)
def test_ita_is_the_angle_of_the_cheeks(rgb: tuple[int, int, int], wanted: str):
    crop = np.zeros((128, 128, 3), np.uint8)
    crop[:] = rgb
    points = mean_in_crop(128, "whole")
    assert ita_group(ita_degrees(crop, points)) == wanted
    eyes = crop.copy()
    eyes[:40] = 0  # what lies outside of the cheeks does not count
    assert ita_degrees(eyes, points) == ita_degrees(crop, points)
    assert ita_degrees(crop, points - 900) is None


def test_ita_by_its_formula():
    # sRGB (188, 143, 110): CIELAB L 62.6, a 13.1, b 24.5
    crop = np.full((64, 64, 3), (188, 143, 110), np.uint8)
    assert ita_degrees(crop, mean_in_crop(64, "whole")) == pytest.approx(np.degrees(np.arctan2(12.6, 24.5)), abs=1.5)
    assert [ita_group(v) for v in (-31, -30, 55, 56)] == [ITA_GROUPS[0], ITA_GROUPS[1], ITA_GROUPS[5], ITA_GROUPS[5]]


def test_pictures_are_measured_and_a_fake_has_the_tone_of_the_filmed_person(toy_set):
    folder = DatasetFolder.open(toy_set)
    request = CropRequest(64, "whole", 3, FaceConfig(finder="toy", min_face_px=8))
    clips = find_faces(folder, folder.records(split="test"), request, lambda: make_finder("toy"))
    found = measure_clips(clips)
    real, fake = found[ClipId("toy", None, "gus")], found[ClipId("toy", "stripes", "gus-faked")]
    assert real == fake
    assert real["face width"] == "below 64 px"
    assert real["yaw"].endswith("degrees")
    assert real["skin tone (ITA)"] in ITA_GROUPS
    only_fakes = measure_clips([clip for clip in clips if clip.record.label == "fake"])
    assert only_fakes[ClipId("toy", "stripes", "gus-faked")]["skin tone (ITA)"] == "not measured"
