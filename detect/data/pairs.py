"""Sources of training pairs: a fake face and a real one, sampled together.

Two kinds. **Forged** pairs are faces of a dataset's fakes, beside real faces of the same person or clip. **Blended**
pairs are made on the fly from one real face (see :mod:`detect.data.selfblend`), its copy taken from the face itself or
from a twin that a swapper's decoder generated. A detector trained on both halves of a pair is less likely to learn the
identity, the camera or the codec (Yermakov et al., "Deepfake Detection that Generalizes Across Benchmarks", 2025, on
paired real and fake faces; Shiohara and Yamasaki, CVPR 2022, on batches of images with their own fakes).

Convention:
    crop: (S, S, 3) uint8 RGB
    mask: (M, M) float32 in [0, 1] over the crop's square, forged share of each pixel; zeros for a real face; None
        where unknown
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import cv2
import numpy as np

from detect.config.data import SelfBlendConfig
from detect.data.crossblend import other_face
from detect.data.mouthblend import mouth_blend
from detect.data.real_faces import RealFaces
from detect.data.selfblend import self_blend
from detect.data.strength import mixed_at
from shared.dataset.excerpts import first_target_frame
from shared.errors import ManifestError
from shared.types import ClipId, ClipRecord

FaceKey = tuple[int, int]
"""Index of a clip, and of a face in it."""


class TrainingFace(NamedTuple):
    """One training face; ``label`` is 1 for fake. See the module's convention."""

    crop: np.ndarray
    label: int
    mask: np.ndarray | None


class Pair(NamedTuple):
    """A fake and a real face for the same batch; ``one_face``: of the same face in the same frame, as far as known."""

    fake: TrainingFace
    real: TrainingFace
    one_face: bool = False


class PairSource(Protocol):
    """A source of pairs. Called from several threads, so sampling must not change its state."""

    def sample(self, rng: np.random.Generator) -> Pair:
        """A random pair."""
        ...


class LabelledClip(Protocol):
    """The data of a clip that sampling needs."""

    @property
    def identity(self) -> str:
        """The identity filmed in the clip."""
        ...

    @property
    def truth(self) -> np.ndarray:
        """(N,) int8, label of each face: 1 fake, 0 real, -1 unknown."""
        ...


class FramedClip(LabelledClip, Protocol):
    """A clip whose faces have frame numbers, so that a fake can be paired with the frame it was made from."""

    @property
    def record(self) -> ClipRecord:
        """The clip's manifest record."""
        ...

    @property
    def frames(self) -> np.ndarray:
        """(N,) int32, the frame of each face."""
        ...


class BalancedSampler:
    """Samples faces of clips, half of them fake: uniform over people per class, then their clips, then faces.

    A share ``paired`` of the fake faces is paired with a real face of the same person, if there is one: of the same
    frame of the clip it was made from, if ``partners`` has it. Faces with unknown labels are never sampled.

    Raises:
        ManifestError: there is no real or no fake face.
    """

    def __init__(
        self,
        clips: Sequence[LabelledClip],
        *,
        paired: float = 0.5,
        partners: Mapping[FaceKey, FaceKey] | None = None,
    ) -> None:
        self._paired = paired
        self._partners = partners or {}
        self._people = [_by_person(clips, label) for label in (0, 1)]
        for name, people in zip(("real", "fake"), self._people, strict=True):
            if not people:
                raise ManifestError(
                    f"there is no {name} face to train on",
                    hint="add such clips to the train split, or check its faces",
                )
        self._names = [sorted(people) for people in self._people]

    def sample(self, rng: np.random.Generator) -> tuple[FaceKey, FaceKey]:
        """A fake face and a real one."""
        name = _pick(self._names[1], rng)
        fake = _pick_face(self._people[1][name], rng)
        together = rng.random() < self._paired
        if together and fake in self._partners:
            return fake, self._partners[fake]
        if not (together and name in self._people[0]):
            name = _pick(self._names[0], rng)
        return fake, _pick_face(self._people[0][name], rng)

    def one_face(self, fake: FaceKey, real: FaceKey) -> bool:
        """Whether ``real`` is the face that ``fake`` was made from."""
        return self._partners.get(fake) == real


class ForgedPairs:
    """Pairs from a dataset's clips.

    Args:
        sampler: chooses the faces.
        read: returns the crop of a face.
        mask: returns the forged region of a fake face; None where unknown.
        ratios: strengths to sample from; below 1 a fake is mixed with the real face of its frame.
        offset: returns the (2, 3) map from the pixels of a fake crop to those of a real crop of the same frame; None
            where they are not of one frame. Without it all fakes have full strength.
    """

    def __init__(
        self,
        sampler: BalancedSampler,
        read: Callable[[FaceKey], np.ndarray],
        mask: Callable[[FaceKey], np.ndarray | None] | None = None,
        *,
        ratios: Sequence[float] = (1.0,),
        offset: Callable[[FaceKey, FaceKey], np.ndarray | None] | None = None,
    ) -> None:
        self._sampler = sampler
        self._read = read
        self._mask = mask
        self._ratios = () if set(ratios) == {1.0} else tuple(ratios)
        self._offset = offset

    def sample(self, rng: np.random.Generator) -> Pair:
        """A forged face and a real one."""
        fake, real = self._sampler.sample(rng)
        mask = None if self._mask is None else self._mask(fake)
        forged, plain = self._read(fake), self._read(real)
        one_face = self._sampler.one_face(fake, real)
        ratio = float(rng.choice(self._ratios)) if self._ratios else 1.0
        offset = self._offset(fake, real) if self._offset is not None and one_face and ratio < 1 else None
        if offset is not None:
            forged, plain, mask = mixed_at(forged, plain, mask, offset, ratio)
        clean = None if mask is None else np.zeros_like(mask)
        return Pair(TrainingFace(forged, 1, mask), TrainingFace(plain, 0, clean), one_face)


class BlendedPairs:
    """Pairs made from single real faces.

    Args:
        faces: the real faces, and their twins.
        config: settings of blending.
        twins: share of the pairs whose blended copy is a twin, of faces that have one.
        others: share of the remaining pairs whose copy is another person's face, see :mod:`detect.data.crossblend`.
        mouths: share of all pairs in which only the mouth is changed, see :mod:`detect.data.mouthblend`.
        mask_px: side of the masks.
    """

    def __init__(
        self,
        faces: RealFaces,
        config: SelfBlendConfig,
        *,
        twins: float = 0.5,
        others: float = 0.0,
        mouths: float = 0.0,
        mask_px: int = 56,
    ) -> None:
        self._faces = faces
        self._config = config
        self._twins = twins
        self._others = others
        self._mouths = mouths
        self._mask_px = mask_px

    def sample(self, rng: np.random.Generator) -> Pair:
        """A real face, and the fake made from it."""
        face = self._faces.sample(rng)
        copy = self._faces.twin(face, rng) if rng.random() < self._twins else None
        if self._mouths and rng.random() < self._mouths:
            crop = self._faces.crop(face)
            fake, region = mouth_blend(crop, self._faces.landmarks(face), rng, copy=copy)
            return self._pair(fake, crop, region)
        if copy is None and self._others and rng.random() < self._others:
            copy = self._other(face, rng)
        made = self_blend(self._faces.crop(face), self._faces.landmarks(face), rng, self._config, copy=copy)
        return self._pair(made.fake, made.real, made.mask)

    def _pair(self, fake: np.ndarray, real: np.ndarray, region: np.ndarray) -> Pair:
        mask = smaller(region, self._mask_px)
        return Pair(TrainingFace(fake, 1, mask), TrainingFace(real, 0, np.zeros_like(mask)), True)

    def _other(self, face: tuple[int, int], rng: np.random.Generator) -> np.ndarray | None:
        found = self._faces.other(face, rng)
        if found is None:
            return None
        return other_face(self._faces.crop(face), self._faces.landmarks(face), *found, rng)


def partners_of(clips: Sequence[FramedClip]) -> dict[FaceKey, FaceKey]:
    """For each fake face the real one it was made from: same footage and frame, if possible same rendition.

    Footage is identified by the end of the chain of parents. Frames with more than one real face are left out: it is
    unknown which of them was forged.
    """
    records = {clip.record.id: clip.record for clip in clips}
    real: dict[tuple[ClipId, int], dict[str, list[FaceKey]]] = defaultdict(lambda: defaultdict(list))
    for place, clip in enumerate(clips):
        if clip.record.label == "real":
            footage, first = _footage(clip.record, records)
            for face in np.flatnonzero(clip.truth == 0):
                real[footage, first + int(clip.frames[face])][clip.record.rendition].append((place, int(face)))
    found: dict[FaceKey, FaceKey] = {}
    for place, clip in enumerate(clips):
        footage, first = _footage(clip.record, records)
        for face in np.flatnonzero(clip.truth == 1):
            by_rendition = real.get((footage, first + int(clip.frames[face])), {})
            same = by_rendition.get(clip.record.rendition) or next(iter(by_rendition.values()), [])
            if len(same) == 1:
                found[place, int(face)] = same[0]
    return found


def _footage(record: ClipRecord, records: Mapping[ClipId, ClipRecord]) -> tuple[ClipId, int]:
    """The clip that the chain of parents ends at, as far as it is known, and its frame that is the record's frame 0."""
    seen = {record.id}
    first = first_target_frame(record)
    while record.parent is not None and record.parent not in seen:
        seen.add(record.parent)
        if record.parent not in records:
            return record.parent, first
        record = records[record.parent]
        first += first_target_frame(record)
    return record.id, first


def smaller(mask: np.ndarray, px: int) -> np.ndarray:
    """(S, S) mask as (``px``, ``px``) float32, area-averaged."""
    if mask.shape[0] == px:
        return mask.astype(np.float32)
    return cv2.resize(mask.astype(np.float32), (px, px), interpolation=cv2.INTER_AREA)


def _by_person(clips: Sequence[LabelledClip], label: int) -> dict[str, list[tuple[int, np.ndarray]]]:
    """Person to (clip, faces of it with that label), without people and clips that have no such face."""
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
