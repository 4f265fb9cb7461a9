from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from forge.training.coverage import Coverage, Gap, compare, coverage_plot, person, write_coverage


def test_a_pose_is_counted_in_its_bin_and_far_ones_at_the_rim():
    one = person("ann", np.array([3.0, -3.0, 200.0]), np.array([12.0, -12.0, 0.0]))
    assert one.counts.sum() == 3
    assert one.counts[10, 9] == 1  # pitch 10 to 20, yaw 0 to 10
    assert one.counts[7, 8] == 1
    assert one.counts[9, 17] == 1


def test_what_the_source_lacks_is_named_with_the_largest_first():
    source = person("ann", np.zeros(10) + 1, np.zeros(10) + 1)
    yaw = np.array([5.0] * 6 + [15.0] * 2 + [35.0] * 5 + [-45.0] * 3)
    target = person("bob", yaw, np.zeros(16) + 1)
    pair = compare(source, target)
    # Yaw 15 is one bin beside; 35 and -45 are not.
    assert pair.covered == pytest.approx(8 / 16)
    assert pair.gaps == (Gap(35.0, 5.0, 5), Gap(-45.0, 5.0, 3))
    assert pair.overlap == pytest.approx(6 / 16)


def test_the_same_poses_cover_each_other_and_the_other_way_may_differ():
    rng = np.random.default_rng(0)
    wide, narrow = (person(name, rng.normal(0, s, 500), rng.normal(0, 5, 500)) for name, s in (("w", 25), ("n", 3)))
    assert compare(wide, wide).covered == 1
    assert compare(wide, wide).overlap == pytest.approx(1)
    assert compare(wide, wide).gaps == ()
    assert compare(wide, narrow).covered == 1
    assert compare(narrow, wide).covered < 0.8


def test_the_report_is_written_and_drawn(tmp_path):
    one, two = (person(name, np.full(20, yaw), np.zeros(20)) for name, yaw in (("ann", 0.0), ("bob", 40.0)))
    report = Coverage((one, two), (compare(one, two), compare(two, one)))
    assert "lacking most: 20 faces at yaw +45, pitch +5" in report.short()
    write_coverage(report, tmp_path)
    told = json.loads((tmp_path / "coverage.json").read_text())
    assert told["pairs"][0]["covered"] == 0
    assert told["pairs"][0]["gaps"] == [{"yaw_degrees": 45.0, "pitch_degrees": 5.0, "faces": 20}]
    picture = cv2.imdecode(np.frombuffer(coverage_plot(report), np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape[:2] == (300, 600)
