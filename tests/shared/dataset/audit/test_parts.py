"""The parts of an audit, on cases worked by hand."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from shared.dataset.audit.areas import AreaEstimate, estimate_area, weighted_areas
from shared.dataset.audit.config import AuditConfig
from shared.dataset.audit.faces import FaceBoxes, labelled_faces, looked_at
from shared.dataset.audit.facts import manifest_bytes, read_facts
from shared.dataset.audit.findings import verdict_for
from shared.dataset.audit.hashes import Thumbs, differing_bits, near_pairs, picture_hash, thumbnail
from shared.dataset.audit.probes import make_plan
from shared.dataset.audit.regions import (
    COLOUR_DIM,
    TEXTURE_DIM,
    RegionFeatures,
    background_region,
    border_region,
    face_region,
)
from shared.dataset.frame_table import FRAME_SCHEMA
from shared.errors import MediaError
from shared.provenance.identity import SigningIdentity
from shared.provenance.sign import sign_clip
from shared.provenance.types import CAPTURE
from shared.types import ClipRecord
from tests.factories import clip_record


def _record(name: str, target: str, source: str | None = None, **changes: object) -> ClipRecord:
    return clip_record(target, "swap" if source else None, name=name, source=source or "", dataset="toy", **changes)


def test_area_by_hand_with_a_tie_and_weights():
    labels = np.array([False, False, True, True])
    scores = np.array([0.1, 0.5, 0.5, 0.9])
    strata = np.zeros(4, int)
    # Pairs (fake, real): .5 > .1, .5 = .5, .9 > .1, .9 > .5: three and a half of four.
    weights = np.array([[1, 1, 1, 1], [0, 1, 1, 0], [1, 0, 2, 1], [0, 0, 1, 1]], float)
    areas = weighted_areas(labels, scores, strata, weights)
    assert areas[:3].tolist() == [0.875, 0.5, 1.0]
    assert np.isnan(areas[3])


def test_scores_of_two_models_are_compared_within_each_only():
    labels = np.array([False, True, False, True])
    scores = np.array([0.1, 0.2, 0.8, 0.9])
    pooled = weighted_areas(labels, scores, np.zeros(4, int), np.ones((1, 4)))[0]
    apart = weighted_areas(labels, scores, np.array([0, 0, 1, 1]), np.ones((1, 4)))[0]
    assert (pooled, apart) == (0.75, 1.0)


def test_an_interval_needs_two_groups_a_class_and_grows_when_groups_are_few(rng: np.random.Generator):
    labels = np.tile([False, True], 40)
    scores = rng.normal(labels * 0.5, 1.0)
    assert estimate_area(labels, scores, np.arange(80) == 0) is not None
    one = estimate_area(labels, scores, labels.astype(int))
    assert one is not None
    assert one.low is None
    few = estimate_area(labels, scores, np.arange(80) // 10)
    many = estimate_area(labels, scores, np.arange(80) // 2)
    assert few is not None
    assert many is not None
    assert few.low is not None
    assert few.high is not None
    assert few.low < few.value < few.high
    assert few.clusters == 8
    assert estimate_area(np.ones(4, bool), np.zeros(4), np.arange(4)) is None
    with pytest.raises(ValueError, match="go together"):
        estimate_area(labels, scores[:-1], np.arange(80))


def test_intervals_of_chance_hold_chance_nineteen_times_in_twenty(rng: np.random.Generator):
    held = 0
    for _ in range(100):
        labels = np.tile([False, True], 8)
        people = np.repeat(np.arange(8), 2)
        scores = rng.normal(size=8)[people] + 0.3 * rng.normal(size=16)
        found = estimate_area(labels, scores, people)
        assert found is not None
        held += (found.low or 0.0) <= 0.5 <= (found.high or 1.0)
    assert held >= 90


@pytest.mark.parametrize(
    ("value", "low", "clusters", "verdict"),
    [
        (0.9, 0.7, 8, "shortcut"),
        (0.9, 0.7, 5, "too few to judge"),
        (0.9, None, 8, "too few to judge"),
        (0.6, 0.45, 8, "none found"),
        (0.54, 0.52, 8, "none found"),
        (0.62, 0.53, 8, "undecided"),
    ],
)
def test_verdicts(value: float, low: float | None, clusters: int, verdict: str):
    estimate = AreaEstimate(value, low, 1.0, clusters)
    assert verdict_for(estimate, is_face=False, limit=0.55, min_groups=6) == verdict
    assert verdict_for(None, is_face=False, limit=0.55, min_groups=6) == "not measured"


def test_test_split_is_used_when_it_has_people_enough():
    pairs = [(f"a{i}", f"b{i}", "train" if i < 4 else "test") for i in range(11)]
    records = [
        record
        for one, two, split in pairs
        for record in (_record(f"{one}", one, split=split), _record(f"{one}+{two}", one, two, split=split))
    ]
    plan = make_plan(records, AuditConfig())
    assert (plan.mode, plan.grouped_by, int(plan.tested.sum())) == ("split", "component", 14)
    plan = make_plan(records, AuditConfig(min_groups=8))
    assert plan.mode == "cross"
    assert plan.tested.all()
    for train, test in plan.folds:
        assert not set(plan.groups[train]) & set(plan.groups[test])


def test_linked_people_fall_back_to_filmed_people():
    ring = [_record(f"r{i}", f"p{i}") for i in range(8)]
    ring += [_record(f"f{i}", f"p{i}", f"p{(i + 1) % 8}") for i in range(8)]
    plan = make_plan(ring, AuditConfig())
    assert (plan.grouped_by, np.unique(plan.groups).size) == ("target", 8)
    assert np.unique(make_plan(ring, AuditConfig(group_by="component")).groups).size == 1


def test_real_clips_are_looked_at_where_their_fakes_are_forged():
    records = [_record("r", "ann"), _record("f", "ann", "bob", faked=((2, 3), (5, 9))), _record("o", "bob")]
    assert looked_at(records) == {records[0].id: (5, 9), records[1].id: (5, 9), records[2].id: (0, 10)}


def test_the_forged_one_of_two_faces_is_looked_at():
    rows = {
        "clip": ["toy/swap/f"] * 3,
        "frame": [0, 0, 1],
        "pts": [0, 0, 1],
        "seconds": [0.0, 0.0, 0.04],
        "label": ["real", "fake", "real"],
        "track": [0, 1, None],
        "box": [[0, 0, 40, 40], [50, 0, 60, 10], None],
        "face_px": [40.0, 10.0, None],
    }
    faces = labelled_faces([pa.table(rows, schema=FRAME_SCHEMA)])["toy/swap/f"]
    boxes, chosen = faces.near(3)
    assert len(boxes) == 2
    assert chosen is not None
    assert chosen.tolist() == [50, 0, 60, 10]
    empty = FaceBoxes(np.zeros(0, int), np.zeros((0, 4)), np.zeros(0, bool))
    assert empty.near(0)[1] is None


def test_regions_are_apart():
    box = np.array([[80.0, 60.0, 120.0, 110.0]])
    face, background = face_region((200, 240), box[0]), background_region((200, 240), box)
    assert face.sum() == 40 * 50
    assert not (face & background).any()
    # 60 % of 40 px and 16 px to the side, so nothing right of x = 40 and left of x = 160 at the face's height.
    assert background[85, :40].all()
    assert not background[85, 40:160].any()
    border = border_region((200, 240), box)
    assert border[9].all()
    assert not border[10:-10, 10:-10].any()


def test_features_see_noise_and_colour_and_refuse_what_is_too_small(rng: np.random.Generator):
    smooth = np.full((96, 96, 3), 120, np.uint8)
    noisy = np.clip(smooth + rng.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)
    everywhere = np.ones((96, 96), bool)
    first, second = RegionFeatures(smooth), RegionFeatures(noisy)
    one, two = first.texture(everywhere), second.texture(everywhere)
    assert one is not None
    assert two is not None
    assert one.shape == (TEXTURE_DIM,)
    assert np.isfinite(two).all()
    assert one[3] == 1.0  # every residual of a flat picture is in the middle bin
    assert two[3] < 0.5
    colour = first.colour(everywhere)
    assert colour is not None
    assert colour.shape == (COLOUR_DIM,)
    assert colour[0] == pytest.approx(120 / 64, abs=0.02)
    tiny = np.zeros((96, 96), bool)
    tiny[:4, :4] = True
    assert first.texture(tiny) is None
    assert first.colour(tiny) is None


def test_hashes_hold_through_scaling_and_brightness_and_part_other_pictures(rng: np.random.Generator):
    picture = np.kron(rng.integers(0, 200, (8, 8, 3)), np.ones((16, 16, 1))).astype(np.uint8)
    other = np.kron(rng.integers(0, 200, (8, 8, 3)), np.ones((16, 16, 1))).astype(np.uint8)
    thumbs = [thumbnail(one) for one in (picture, picture[::2, ::2] + 20, other)]
    hashes = np.array([picture_hash(thumb) for thumb in thumbs], np.uint64)
    bits = differing_bits(hashes, hashes)
    assert bits[0, 1] <= 4
    assert bits[0, 2] > 15
    assert differing_bits(np.array([0b1011], np.uint64), np.array([0b0010], np.uint64)).tolist() == [[2]]
    found = near_pairs(Thumbs.of(np.stack(thumbs), np.arange(3)), ["train", "test", "test"], near_bits=6)
    assert [(pair.first, pair.second) for pair in found] in ([(0, 1)], [(1, 0)])
    assert near_pairs(Thumbs.of(np.stack(thumbs), np.arange(3)), ["train", "train", None], near_bits=6) == []


def test_what_a_closer_look_refuses_does_not_count_against_the_limit(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("shared.dataset.audit.hashes.MAX_PAIRS", 2)
    thumb = np.kron(rng.integers(0, 200, (8, 8)), np.ones((4, 4))).astype(np.uint8)
    thumbs, places = Thumbs.of(np.stack([thumb] * 8), np.repeat(np.arange(4), 2)), ["test", "train", "train", "train"]
    asked: list[tuple[int, int]] = []

    def agree(first: int, second: int) -> bool:
        asked.append((first, second))
        return second == 3

    found = near_pairs(thumbs, places, near_bits=6, agree=agree)
    assert [(pair.first, pair.second, pair.pictures) for pair in found] == [(0, 3, 4)]
    assert asked == [(0, 1), (0, 2), (0, 3)]  # each pair of clips once
    assert [(pair.first, pair.second) for pair in near_pairs(thumbs, places, near_bits=6)] == [(0, 1), (0, 2)]
    assert len(Thumbs.of(thumbs.pixels, thumbs.owners, most=3).pixels) == 3


def test_facts_leave_the_c2pa_manifest_out(make_clip, tmp_path: Path):
    plain = make_clip("plain.mp4")
    signed = tmp_path / "signed.mp4"
    shutil.copy(plain, signed)
    sign_clip(
        signed,
        SigningIdentity.load_or_create(),
        title="t",
        actions=[],
        ingredient=None,
        digital_source_type=CAPTURE,
        record={"note": "x" * 3000},
    )
    assert manifest_bytes(plain) == 0
    assert signed.stat().st_size - manifest_bytes(signed) - plain.stat().st_size < 200
    facts, bare = read_facts(signed), read_facts(plain)
    assert (facts.container["signed"], bare.container["signed"]) == (1.0, 0.0)
    assert facts.rate == bare.rate
    assert facts.size["frames"] == 12
    assert str(bare.container["encoder_note"]).startswith("x264 - core")
    assert facts.audio == {}


def test_sound_is_described(make_clip, make_sound):
    facts = read_facts(make_clip("voiced.mp4", audio_from=make_sound())).audio
    assert facts["codec"] == "aac"
    assert facts["rate"] == 44_100
    assert "band3_mean" in facts


def test_what_is_no_video_is_refused(tmp_path: Path):
    wrong = tmp_path / "wrong.mp4"
    wrong.write_bytes(b"text")
    with pytest.raises(MediaError):
        read_facts(wrong)
