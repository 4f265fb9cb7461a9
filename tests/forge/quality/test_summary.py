from __future__ import annotations

import numpy as np
import pytest

from forge.image_metrics import Spread
from forge.quality.features import FeatureBank
from forge.quality.result import SwapQuality
from forge.quality.summary import summarise, summarise_features


def quality(**values: object) -> SwapQuality:
    facts = {"clip": "a", "target": "b", "start": 0, "stop": 9, "px": 64, "framing": "full"}
    whole = {"frames_with_face": 10, "frames_found": 5, "same_frames": True, "same_times": True, "same_sound": True}
    return SwapQuality(**{**facts, **whole, **values})


def by_name(results, clusters):
    return {one.metric: one for one in summarise(results, clusters)}


def test_frames_count_alike_and_clips_count_alike():
    long = quality(pose_error=Spread.of([2.0] * 30), blink_correlation=0.5)
    short = quality(pose_error=Spread.of([6.0] * 10), blink_correlation=1.0)
    found = by_name([long, short], [0, 1])
    pose, blink = found["pose_error"], found["blink_correlation"]
    assert (pose.value, pose.level, pose.num_fake, pose.num_real, pose.clusters) == (3.0, "frame", 40, 40, 2)
    assert (pose.low, pose.high) == (2.0, 6.0)
    assert (blink.value, blink.level, blink.num_fake) == (0.75, "clip", 2)
    assert found["frames_found"].value == 0.5
    assert "seam_ratio" not in found


def test_shares_are_of_the_frames_with_an_embedding():
    one = quality(top1=1.0, identity_to_source=Spread.of([0.1] * 3))
    other = quality(top1=0.0, identity_to_source=Spread.of([0.1]))
    assert by_name([one, other], [0, 1])["top1"].value == pytest.approx(0.75)


def test_one_cluster_has_no_interval():
    clips = [quality(pose_error=Spread.of([1.0, 2.0]))] * 3
    pose = by_name(clips, [4, 4, 4])["pose_error"]
    assert (pose.low, pose.high, pose.clusters) == (None, None, 1)


def test_the_distance_of_features_says_how_many_faces_and_of_what(rng):
    bank = FeatureBank()
    for name in "ab":
        clip = bank.of(name)
        clip.target += list(rng.normal(0, 1, (6, 4)))
        clip.fake += [vector + 3 for vector in clip.target]
    found, note = summarise_features(bank, {"a": 0, "b": 1}, "some_net")
    assert found.metric == "frechet_some_net"
    assert (found.num_fake, found.num_real, found.clusters, found.level) == (12, 12, 2, "frame")
    assert found.value == pytest.approx(4 * 3**2)
    assert "12 fake faces" in note
    assert "too large" in note
    assert summarise_features(FeatureBank(), {}, "some_net") is None
    assert np.isfinite([found.low, found.high]).all()
