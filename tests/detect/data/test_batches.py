from __future__ import annotations

import threading
from dataclasses import dataclass, replace

import numpy as np
import pytest

from detect.config.data import AugmentConfig
from detect.data.batches import Mixture, batches
from detect.data.pairs import Pair, TrainingFace
from shared.errors import ConfigError

PLAIN = AugmentConfig(
    p_flip=0.0, p_affine=0.0, p_color=0.0, p_blur=0.0, p_downscale=0.0, p_noise=0.0, p_jpeg=0.0,
    p_video=0.0, p_reupload=0.0,
)  # fmt: skip


@dataclass(frozen=True)
class Source:
    """Fakes of 100 plus a number below ten, reals of as many below: a crop tells its label and its draw."""

    base: int = 100
    mask: bool = False
    one_face: bool = False

    def sample(self, rng: np.random.Generator) -> Pair:
        number = int(rng.integers(10))
        mask = np.full((4, 4), number / 10, np.float32) if self.mask else None
        return Pair(
            TrainingFace(np.full((16, 16, 3), self.base + number, np.uint8), 1, mask),
            TrainingFace(
                np.full((16, 16, 3), self.base - 50 + number, np.uint8), 0, None if mask is None else 0 * mask
            ),
            self.one_face,
        )


class Broken:
    def sample(self, rng: np.random.Generator) -> Pair:
        raise OSError("gone")


def mixture(*sources: object, shares: tuple[float, ...] = ()) -> Mixture:
    return Mixture(sources, shares or (1.0,) * len(sources))  # type: ignore[arg-type]


def make(steps: range, *, workers: int = 2, seed: int = 0, config: AugmentConfig = PLAIN) -> list:
    return list(batches(mixture(Source()), steps=steps, batch=8, seed=seed, augment_config=config, workers=workers))


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
            assert label == (crop[0, 0, 0] >= 100)


def test_masks_stay_with_their_crops_and_unknown_ones_are_marked():
    mixed = mixture(Source(mask=True), Source(base=200))
    for batch in batches(mixed, steps=range(4), batch=8, seed=0, augment_config=PLAIN, workers=1):
        assert batch.masks is not None
        assert batch.masks.shape == (8, 4, 4)
        for crop, label, mask in zip(batch.crops, batch.labels, batch.masks, strict=True):
            number = int(crop[0, 0, 0])
            if number >= 150:  # the source without masks
                assert np.isnan(mask).all()
            else:
                assert mask[0, 0] == pytest.approx((number - 100) / 10 if label else 0.0)


def test_sources_are_drawn_by_their_shares():
    mixed = mixture(Source(), Source(base=200), shares=(3.0, 1.0))
    fakes = [int(crop[0, 0, 0]) for batch in batches(
        mixed, steps=range(100), batch=8, seed=0, augment_config=PLAIN, workers=1
    ) for crop in batch.crops[::2]]  # fmt: skip
    assert np.mean([fake >= 200 for fake in fakes]) == pytest.approx(0.25, abs=0.06)


@pytest.mark.parametrize("shares", [(), (0.0,), (1.0, 1.0)])
def test_a_mixture_without_a_chance_is_refused(shares: tuple[float, ...]):
    with pytest.raises(ConfigError, match="positive shares"):
        Mixture([Source()], shares)


def test_halves_of_a_pair_are_often_changed_alike():
    config = replace(PLAIN, p_color=1.0, brightness=0.2, contrast=0.0, saturation=0.0, hue_degrees=0.0)
    steps = [
        int(batch.crops[place, 0, 0, 0]) - int(batch.crops[place + 1, 0, 0, 0])
        for batch in batches(mixture(Source()), steps=range(50), batch=8, seed=0, augment_config=config, workers=1)
        for place in range(0, 8, 2)
    ]
    assert np.mean([abs(step - 50) <= 1 for step in steps]) == pytest.approx(0.5, abs=0.12)


@pytest.mark.parametrize(("share", "alike"), [(0.0, 0.0), (1.0, 1.0)])
def test_the_share_of_pairs_changed_alike_is_a_setting(share: float, alike: float):
    config = replace(PLAIN, p_color=1.0, brightness=0.2, contrast=0.0, saturation=0.0, hue_degrees=0.0, p_alike=share)
    made = make(range(10), config=config)
    steps = [np.diff(batch.crops[:, 0, 0, 0].reshape(-1, 2).astype(int)) for batch in made]
    assert np.mean(np.abs(np.concatenate(steps) + 50) <= 1) == pytest.approx(alike, abs=0.15)


def test_a_batch_knows_which_pairs_are_of_one_face():
    """Also in its parts; the second source, of fakes from 200 on, says so, and the first does not."""
    mixed = mixture(Source(), Source(base=200, one_face=True))
    for part in ((0, 1), (0, 2), (1, 2)):
        for batch in batches(mixed, steps=range(4), batch=8, seed=0, augment_config=PLAIN, workers=1, part=part):
            assert batch.one_face is not None
            assert batch.one_face.tolist() == (batch.crops[::2, 0, 0, 0] >= 200).tolist()


def test_a_crop_that_cannot_be_read_stops_the_training():
    stream = batches(mixture(Broken()), steps=range(4), batch=4, seed=0, augment_config=PLAIN, workers=2)
    with pytest.raises(OSError, match="gone"):
        next(stream)


def test_stopping_early_leaves_no_thread_behind():
    stream = batches(
        mixture(Source()),
        steps=range(1000),
        batch=4,
        seed=0,
        augment_config=replace(PLAIN, p_flip=0.5),
        workers=2,
    )
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("assay-batch")]


@pytest.mark.parametrize("count", [2, 4])
def test_processes_share_a_batch_and_draw_nothing_twice(count: int):
    whole = make(range(3), config=AugmentConfig())
    parts = [
        list(
            batches(
                mixture(Source()), steps=range(3), batch=8, seed=0, augment_config=AugmentConfig(), workers=1,
                part=(number, count),
            )
        )
        for number in range(count)
    ]  # fmt: skip
    for step, batch in enumerate(whole):
        pairs = batch.crops.reshape(4, 2, 16, 16, 3)
        for number in range(count):
            np.testing.assert_array_equal(parts[number][step].crops.reshape(-1, 2, 16, 16, 3), pairs[number::count])
            assert parts[number][step].labels.tolist() == [1, 0] * (4 // count)


def test_a_batch_is_dealt_out_in_whole_pairs():
    with pytest.raises(ConfigError, match="8 cannot be divided among 3 processes"):
        next(batches(mixture(Source()), steps=range(1), batch=8, seed=0, augment_config=PLAIN, workers=1, part=(0, 3)))
