from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from detect.batches import BalancedSampler, batches
from detect.config import AugmentConfig
from shared.errors import ManifestError

PLAIN = AugmentConfig(
    p_flip=0.0, p_affine=0.0, p_color=0.0, p_blur=0.0, p_downscale=0.0, p_noise=0.0, p_jpeg=0.0,
    p_video=0.0, p_reupload=0.0,
)  # fmt: skip


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
    return BalancedSampler(CLIPS, **settings).draw(count, np.random.default_rng(3))


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


def make(steps: range, *, workers: int = 2, seed: int = 0, config: AugmentConfig = PLAIN) -> list:
    def read(key: tuple[int, int]) -> np.ndarray:
        return np.full((16, 16, 3), 10 * key[0] + key[1] % 10, np.uint8)

    return list(
        batches(BalancedSampler(CLIPS), read, steps=steps, batch=8, seed=seed, augment_config=config, workers=workers)
    )


def test_a_batch_depends_on_seed_and_step_alone():
    whole = make(range(10), config=AugmentConfig())
    resumed = make(range(6, 10), workers=3, config=AugmentConfig())
    assert [batch.step for batch in whole] == list(range(10))
    for one, other in zip(whole[6:], resumed, strict=True):
        np.testing.assert_array_equal(one.crops, other.crops)
        np.testing.assert_array_equal(one.labels, other.labels)
    assert not np.array_equal(whole[0].crops, whole[1].crops)
    assert not np.array_equal(whole[0].crops, make(range(1), seed=1, config=AugmentConfig())[0].crops)


def test_labels_belong_to_their_crops():
    for batch in make(range(5)):
        assert batch.crops.shape == (8, 16, 16, 3)
        assert batch.labels.tolist() == [1, 0] * 4
        for crop, label in zip(batch.crops, batch.labels, strict=True):
            place = int(crop[0, 0, 0]) // 10
            assert label in CLIPS[place].truth


def test_a_crop_that_cannot_be_read_stops_the_training():
    def read(_key: tuple[int, int]) -> np.ndarray:
        raise OSError("gone")

    stream = batches(BalancedSampler(CLIPS), read, steps=range(4), batch=4, seed=0, augment_config=PLAIN, workers=2)
    with pytest.raises(OSError, match="gone"):
        next(stream)


def test_stopping_early_leaves_no_thread_behind():
    stream = batches(
        BalancedSampler(CLIPS),
        lambda key: np.zeros((8, 8, 3), np.uint8),
        steps=range(1000),
        batch=4,
        seed=0,
        augment_config=replace(PLAIN, p_flip=0.5),
        workers=2,
    )
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("assay-batch")]
