"""Training batches: drawn evenly over classes, people and clips, read and augmented in threads ahead of the trainer.

A batch is a function of the seed and the step alone, whatever thread makes it. So a run that is stopped and resumed
draws the batches it would have drawn.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from detect.augment import augment
from detect.config import AugmentConfig
from shared.errors import ManifestError

FaceKey = tuple[int, int]
"""Position of a clip, and of a face in it."""


class LabelledClip(Protocol):
    """What the sampler needs to know of a clip."""

    @property
    def identity(self) -> str:
        """The person whose video it is."""
        ...

    @property
    def truth(self) -> np.ndarray:
        """(N,) int8, one entry a face: 1 fake, 0 real, -1 not known."""
        ...


@dataclass(frozen=True, eq=False)
class Batch:
    """``crops`` (B, S, S, 3) uint8 RGB, augmented; ``labels`` (B,) float32, 1 for fake."""

    step: int
    crops: np.ndarray
    labels: np.ndarray


class BalancedSampler:
    """Draws faces: half of them fake; people alike within a class, clips alike within a person, faces within a clip.

    Of the fake faces a share ``paired`` brings a real face of the same person: a detector that sees both has less
    reason to learn the person (Yermakov et al., "Deepfake Detection that Generalizes Across Benchmarks", 2025).

    Faces whose truth is not known are never drawn.

    Raises:
        ManifestError: there is no real or no fake face.
    """

    def __init__(self, clips: Sequence[LabelledClip], *, paired: float = 0.5) -> None:
        self._paired = paired
        self._people = [_by_person(clips, label) for label in (0, 1)]
        for name, people in zip(("real", "fake"), self._people, strict=True):
            if not people:
                raise ManifestError(
                    f"there is no {name} face to learn from",
                    hint="add such clips to the train split, or check its faces",
                )
        self._names = [sorted(people) for people in self._people]

    def draw(self, count: int, rng: np.random.Generator) -> list[tuple[FaceKey, int]]:
        """``count`` faces with their labels (1 fake, 0 real), fake and real in turn."""
        drawn: list[tuple[FaceKey, int]] = []
        for _ in range(count // 2):
            fake_name = _pick(self._names[1], rng)
            same = rng.random() < self._paired and fake_name in self._people[0]
            real_name = fake_name if same else _pick(self._names[0], rng)
            drawn.append((_pick_face(self._people[1][fake_name], rng), 1))
            drawn.append((_pick_face(self._people[0][real_name], rng), 0))
        return drawn


def batches(
    sampler: BalancedSampler,
    read: Callable[[FaceKey], np.ndarray],
    *,
    steps: range,
    batch: int,
    seed: int,
    augment_config: AugmentConfig,
    workers: int,
) -> Iterator[Batch]:
    """The batches of ``steps``, in order, made by ``workers`` threads a few batches ahead.

    ``read`` gives the crop (S, S, 3) uint8 of a face; it is called from several threads.

    Raises:
        Whatever ``read`` raises, here.
    """

    def make(step: int) -> Batch:
        rng = np.random.default_rng((seed, step))
        drawn = sampler.draw(batch, rng)
        generators = rng.spawn(len(drawn))
        crops = [augment(read(key), own, augment_config) for (key, _), own in zip(drawn, generators, strict=True)]
        return Batch(step, np.stack(crops), np.array([label for _, label in drawn], np.float32))

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


def _by_person(clips: Sequence[LabelledClip], label: int) -> dict[str, list[tuple[int, np.ndarray]]]:
    """Person to (clip, faces of it with that label), people and clips without such a face left out."""
    found: dict[str, list[tuple[int, np.ndarray]]] = defaultdict(list)
    for place, clip in enumerate(clips):
        faces = np.flatnonzero(clip.truth == label)
        if faces.size:
            found[clip.identity].append((place, faces))
    return dict(found)


def _pick(names: list[str], rng: np.random.Generator) -> str:
    return names[int(rng.integers(len(names)))]


def _pick_face(clips: list[tuple[int, np.ndarray]], rng: np.random.Generator) -> FaceKey:
    place, faces = clips[int(rng.integers(len(clips)))]
    return place, int(faces[int(rng.integers(faces.size))])
