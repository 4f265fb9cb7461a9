"""Training batches: pairs sampled from their sources, read and augmented in threads ahead of the trainer.

A batch is a function of the seed and the step only, whatever thread makes it. So a resumed run gets the same batches as
an uninterrupted one, and several processes share a batch's pairs without duplicates.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from detect.config.data import AugmentConfig
from detect.data.augment import augment_with_mask
from detect.data.landmark_augment import augment_landmarks
from detect.data.pairs import Pair, PairSource, TrainingFace
from shared.errors import ConfigError
from shared.types import Framing


@dataclass(frozen=True, eq=False)
class Batch:
    """The batch of one step.

    Convention:
        crops: (B, S, S, 3) uint8 RGB, augmented; fake and real alternating; (B, T, S, S, 3) for sequences;
            (B, T, 68, 2) float32 for sequences of landmarks
        labels: (B,) float32, 1 for fake
        masks: (B, M, M) float32, forged share of each pixel; all NaN where unknown; None where no source gives masks
        one_face: (B / 2,) bool, for each pair whether both crops are of one face in one frame; None where not said
    """

    step: int
    crops: np.ndarray
    labels: np.ndarray
    masks: np.ndarray | None = None
    one_face: np.ndarray | None = None


@dataclass(frozen=True)
class Mixture:
    """Pair sources and the share of each.

    Raises:
        ConfigError: no source, or shares that are not positive.
    """

    sources: Sequence[PairSource]
    shares: Sequence[float]

    def __post_init__(self) -> None:
        if len(self.sources) != len(self.shares) or not self.sources or min(self.shares) <= 0:
            raise ConfigError("a mixture needs sources with positive shares", hint="this is a defect; please report it")

    def sample(self, rng: np.random.Generator) -> Pair:
        """A fake and a real face from one of the sources, chosen by share."""
        shares = np.array(self.shares, np.float64)
        which = int(rng.choice(len(self.sources), p=shares / shares.sum())) if len(self.sources) > 1 else 0
        return self.sources[which].sample(rng)


def batches(
    mixture: Mixture,
    *,
    steps: range,
    batch: int,
    seed: int,
    augment_config: AugmentConfig,
    workers: int,
    part: tuple[int, int] = (0, 1),
    framing: Framing = "whole",
) -> Iterator[Batch]:
    """The batches of ``steps``, in order, made by ``workers`` threads a few batches ahead.

    Both halves of a pair get the same augmentation with probability ``p_alike``: then they differ only by the forgery.

    Args:
        mixture: the sources of the pairs.
        steps: step numbers.
        batch: crops in a whole batch, over all processes.
        seed: with the step it determines the batch.
        augment_config: augmentation of the crops.
        workers: threads.
        part: (number, count): takes every ``count``-th pair of a batch. All parts together are the batch.
        framing: how much of the head the crops show.

    Raises:
        ConfigError: the pairs of a batch cannot be divided evenly.
        Any error of a source.
    """
    number, count = part
    need_whole_pairs(batch, count)

    def make(step: int) -> Batch:
        rng = np.random.default_rng((seed, step))
        generators = rng.spawn(batch // 2)[number::count]
        return _stacked(step, [_pair(mixture, own, augment_config, framing) for own in generators])

    waiting: deque[Future[Batch]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="assay-batch") as pool:
        try:
            for step in steps:
                waiting.append(pool.submit(make, step))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def need_whole_pairs(batch: int, processes: int) -> None:
    """Checks that ``batch`` crops can be divided among ``processes`` in whole pairs.

    Raises:
        ConfigError: they cannot.
    """
    if batch % (2 * processes):
        raise ConfigError(
            f"a batch of {batch} cannot be divided among {processes} processes in whole pairs",
            hint=f"take a multiple of {2 * processes}",
        )


def _pair(mixture: Mixture, rng: np.random.Generator, config: AugmentConfig, framing: Framing) -> Pair:
    fake, real, one_face = mixture.sample(rng)
    alike = rng.random() < config.p_alike
    first, second = (int(seed) for seed in rng.integers(0, 2**63, 2))
    return Pair(
        _changed(fake, first, config, framing), _changed(real, first if alike else second, config, framing), one_face
    )


def _changed(example: TrainingFace, seed: int, config: AugmentConfig, framing: Framing) -> TrainingFace:
    """The example after augmentation; all frames of a sequence get the same one."""

    def augmented(crop: np.ndarray, mask: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
        return augment_with_mask(crop, mask, np.random.default_rng(seed), config, framing=framing)

    if example.crop.dtype == np.float32:
        track = augment_landmarks(example.crop, np.random.default_rng(seed), config)
        return TrainingFace(track, example.label, None)
    if example.crop.ndim == 3:
        crop, mask = augmented(example.crop, example.mask)
        return TrainingFace(crop, example.label, mask)
    return TrainingFace(np.stack([augmented(frame, None)[0] for frame in example.crop]), example.label, None)


def _stacked(step: int, pairs: Sequence[Pair]) -> Batch:
    examples = [example for pair in pairs for example in (pair.fake, pair.real)]
    one_face = np.array([pair.one_face for pair in pairs], bool)
    labels = np.array([example.label for example in examples], np.float32)
    crops = np.stack([example.crop for example in examples])
    known = next((example.mask for example in examples if example.mask is not None), None)
    if known is None:
        return Batch(step, crops, labels, None, one_face)
    unknown = np.full_like(known, np.nan, np.float32)
    masks = [unknown if example.mask is None else example.mask for example in examples]
    return Batch(step, crops, labels, np.stack(masks).astype(np.float32), one_face)
