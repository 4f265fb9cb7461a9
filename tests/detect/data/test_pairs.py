from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pytest

from detect.config.data import SelfBlendConfig
from detect.data.pairs import BalancedSampler, BlendedPairs, ForgedPairs, partners_of, smaller
from detect.data.real_faces import FaceStack, RealFaces
from shared.dataset.excerpts import TARGET_FRAMES
from shared.errors import ManifestError
from shared.faces.align import mean_in_crop
from shared.types import ClipId, ClipRecord
from tests.factories import clip_record


@dataclass(frozen=True, eq=False)
class Clip:
    identity: str
    truth: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int8))


def clip(identity: str, *truth: int) -> Clip:
    return Clip(identity, np.array(truth, np.int8))


CLIPS = [
    clip("ann", *[0] * 90),  # a person with many frames, one with few
    clip("ann", 0, 0),
    clip("bob", 0),
    clip("ann", 1, 1, 0, -1),  # partly forged, one face unknown
    clip("cid", *[1] * 50),
]


def draw(count: int, **settings: float) -> list:
    """(face, label) of ``count`` faces."""
    rng, sampler = np.random.default_rng(3), BalancedSampler(CLIPS, **settings)  # type: ignore[arg-type]
    return [labelled for _ in range(count // 2) for labelled in zip(sampler.sample(rng), (1, 0), strict=True)]


def test_classes_people_and_clips_are_drawn_evenly():
    drawn = draw(8000, paired=0.0)
    labels = Counter(label for _, label in drawn)
    assert labels[0] == labels[1]
    real_people = Counter(CLIPS[key[0]].identity for key, label in drawn if label == 0)
    assert real_people["ann"] / real_people["bob"] == pytest.approx(1, abs=0.1)
    anns = Counter(key[0] for key, label in drawn if label == 0 and CLIPS[key[0]].identity == "ann")
    assert set(anns) == {0, 1, 3}  # the untouched frame of the fake clip is drawn as real
    assert max(anns.values()) / min(anns.values()) < 1.2


def test_faces_are_drawn_with_their_own_label_and_never_unknown():
    for (place, face), label in draw(4000):
        assert CLIPS[place].truth[face] == label


def test_pairs_share_the_person_where_both_are_there():
    drawn = draw(4000, paired=1.0)
    for (fake, _), (real, _) in zip(drawn[::2], drawn[1::2], strict=True):
        if CLIPS[fake[0]].identity == "ann":
            assert CLIPS[real[0]].identity == "ann"


@pytest.mark.parametrize("truth", [0, 1, -1])
def test_one_class_alone_cannot_be_learned_from(truth: int):
    with pytest.raises(ManifestError, match="there is no"):
        BalancedSampler([clip("ann", truth, truth)])


@dataclass(frozen=True, eq=False)
class Framed:
    record: ClipRecord
    truth: np.ndarray
    frames: np.ndarray

    @property
    def identity(self) -> str:
        return self.record.target_identity


def framed(
    name: str, label: str, frames: list[int], *, parent: str = "", rendition: str = "c23", of_target: str = ""
) -> Framed:
    fake = label == "fake"
    record = clip_record(
        "ann",
        "m" if fake else None,
        name=name,
        source="bob",
        width=8,
        height=8,
        rendition=rendition,
        faked=((0, 10),) if fake else (),
        parent=ClipId("set", None, parent) if parent else None,
        factors={TARGET_FRAMES: of_target} if of_target else {},
    )
    return Framed(record, np.full(len(frames), int(fake), np.int8), np.array(frames, np.int32))


def test_a_fake_finds_the_frame_it_was_made_from_in_its_own_rendition():
    clips = [
        framed("r", "real", [0, 4, 8], rendition="c0"),
        framed("r-c23", "real", [0, 4], parent="r"),
        framed("f-c23", "fake", [0, 4, 8, 9], parent="r"),
        framed("other", "real", [0, 4, 8], rendition="c0"),
    ]
    assert partners_of(clips) == {(2, 0): (1, 0), (2, 1): (1, 1), (2, 2): (0, 2)}


def test_a_fake_of_a_part_of_its_target_finds_the_frame_there():
    clips = [framed("r", "real", [0, 4, 8]), framed("f", "fake", [0, 1, 4], parent="r", of_target="4-10")]
    assert partners_of(clips) == {(1, 0): (0, 1), (1, 2): (0, 2)}


def test_frames_with_two_real_faces_have_no_partner():
    clips = [framed("r", "real", [0, 0, 4]), framed("f", "fake", [0, 4], parent="r")]
    assert partners_of(clips) == {(1, 1): (0, 2)}


def test_partners_are_drawn_together():
    sampler = BalancedSampler(CLIPS, paired=1.0, partners={(4, face): (2, 0) for face in range(50)})
    rng = np.random.default_rng(0)
    drawn = [sampler.sample(rng) for _ in range(200)]
    assert {real for fake, real in drawn if fake[0] == 4} == {(2, 0)}
    assert {sampler.one_face(fake, real) for fake, real in drawn if fake[0] == 4} == {True}
    assert not sampler.one_face((4, 0), (2, 1))


def test_forged_pairs_bring_masks_and_the_real_half_an_empty_one():
    forged = ForgedPairs(
        BalancedSampler(CLIPS),
        lambda key: np.full((4, 4, 3), key[0], np.uint8),
        lambda key: np.full((2, 2), 0.5, np.float32) if key[0] == 4 else None,
    )
    rng = np.random.default_rng(0)
    for _ in range(30):
        fake, real, _ = forged.sample(rng)
        assert (fake.label, real.label) == (1, 0)
        if fake.crop[0, 0, 0] == 4:
            assert (fake.mask.min(), real.mask.max()) == (0.5, 0.0)  # type: ignore[union-attr]
        else:
            assert fake.mask is real.mask is None


def stack(count: int, *, twins: bool = False, groups: int = 1) -> FaceStack:
    rng = np.random.default_rng(count)
    crops = np.repeat(rng.integers(60, 200, (count, 1, 1, 3), np.uint8), 64, 1).repeat(64, 2)
    landmarks = np.repeat(mean_in_crop(64, "whole")[None].astype(np.float32), count, 0)
    own = tuple((crop // 2,) for crop in crops) if twins else ()
    return FaceStack("s", crops, landmarks, (np.arange(count) % groups).astype(np.int32), own)


def test_blended_pairs_are_made_of_one_face_and_masked():
    pairs = BlendedPairs(RealFaces([stack(3)]), SelfBlendConfig(), mask_px=16)
    fake, real, one_face = pairs.sample(np.random.default_rng(1))
    assert one_face
    assert fake.mask is not None
    assert fake.mask.shape == (16, 16)
    assert 0 < fake.mask.max() <= 1
    changed = np.abs(fake.crop.astype(int) - real.crop).max(2)
    assert changed[:4].max() == 0  # the mask ends inside the crop
    again = pairs.sample(np.random.default_rng(1))
    assert np.array_equal(again.fake.crop, fake.crop)


def test_twins_are_what_is_blended_in():
    """Faces of one grey and twins half as bright: inside the mask the fake of a twin is far darker."""
    darker = {}
    for twins in (0.0, 1.0):
        pairs = BlendedPairs(RealFaces([stack(4, twins=True)]), SelfBlendConfig(), twins=twins)
        rng = np.random.default_rng(2)
        drawn = [pairs.sample(rng) for _ in range(20)]
        darker[twins] = np.mean([real.crop[32, 32].mean() - fake.crop[32, 32].mean() for fake, real, _ in drawn])
    assert darker[1.0] > darker[0.0] + 20


def test_real_faces_are_drawn_evenly_over_groups_and_by_share():
    faces = RealFaces([stack(9, groups=3), stack(0), stack(1)])
    rng = np.random.default_rng(0)
    by_stack = Counter(faces.sample(rng)[0] for _ in range(4000))
    assert by_stack[0] / by_stack[1] == pytest.approx(3, rel=0.15)  # three groups against one
    chosen = RealFaces([stack(9, groups=3), stack(1)], shares=[0.5, 0.5])
    by_stack = Counter(chosen.sample(rng)[0] for _ in range(4000))
    assert by_stack[0] / by_stack[1] == pytest.approx(1, rel=0.15)
    assert len(faces) == 10


def test_masks_get_smaller_by_averaging():
    mask = np.zeros((8, 8), np.float32)
    mask[:4, :2] = 1
    assert smaller(mask, 2).tolist() == [[0.5, 0.0], [0.0, 0.0]]
    assert np.array_equal(smaller(mask, 8), mask)
