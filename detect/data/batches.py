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
from detect.data.pairs import PairSource, TrainingFace
from shared.errors import ConfigError


@dataclass(frozen=True, eq=False)
class Batch:
    """The batch of one step.

    Convention:
        crops: (B, S, S, 3) uint8 RGB, augmented; fake and real alternating; (B, T, S, S, 3) for sequences
        labels: (B,) float32, 1 for fake
        masks: (B, M, M) float32, forged share of each pixel; all NaN where unknown; None where no source gives masks
    """

    step: int
    crops: np.ndarray
    labels: np.ndarray
    masks: np.ndarray | None = None


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

    def sample(self, rng: np.random.Generator) -> tuple[TrainingFace, TrainingFace]:
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
) -> Iterator[Batch]:
    """The batches of ``steps``, in order, made by ``workers`` threads a few batches ahead.

    Both halves of a pair get the same augmentation with probability one half: then they differ only by the forgery.

    Args:
        mixture: the sources of the pairs.
        steps: step numbers.
        batch: crops in a whole batch, over all processes.
        seed: with the step it determines the batch.
        augment_config: augmentation of the crops.
        workers: threads.
        part: (number, count): takes every ``count``-th pair of a batch. All parts together are the batch.

    Raises:
        ConfigError: the pairs of a batch cannot be divided evenly.
        Any error of a source.
    """
    number, count = part
    need_whole_pairs(batch, count)

    def make(step: int) -> Batch:
        rng = np.random.default_rng((seed, step))
        generators = rng.spawn(batch // 2)[number::count]
        examples = [example for own in generators for example in _pair(mixture, own, augment_config)]
        return _stacked(step, examples)

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


def _pair(mixture: Mixture, rng: np.random.Generator, config: AugmentConfig) -> list[TrainingFace]:
    pair = mixture.sample(rng)
    alike = rng.random() < 0.5
    seeds = rng.integers(0, 2**63, 2)
    made: list[TrainingFace] = []
    for place, example in enumerate(pair):
        own_seed = seeds[0 if alike else place]
        made.append(_changed(example, int(own_seed), config))
    return made


def _changed(example: TrainingFace, seed: int, config: AugmentConfig) -> TrainingFace:
    """The example after augmentation; all frames of a sequence get the same one."""
    if example.crop.ndim == 3:
        crop, mask = augment_with_mask(example.crop, example.mask, np.random.default_rng(seed), config)
        return TrainingFace(crop, example.label, mask)
    frames = [augment_with_mask(frame, None, np.random.default_rng(seed), config)[0] for frame in example.crop]
    return TrainingFace(np.stack(frames), example.label, None)


def _stacked(step: int, examples: Sequence[TrainingFace]) -> Batch:
    labels = np.array([example.label for example in examples], np.float32)
    crops = np.stack([example.crop for example in examples])
    known = next((example.mask for example in examples if example.mask is not None), None)
    if known is None:
        return Batch(step, crops, labels)
    unknown = np.full_like(known, np.nan, np.float32)
    masks = [unknown if example.mask is None else example.mask for example in examples]
    return Batch(step, crops, labels, np.stack(masks).astype(np.float32))
