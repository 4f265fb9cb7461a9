"""Training pairs for detectors that score sequences of a track: a forged sequence of a face and a real one.

Forged sequences are paired with the frames they were made from, where known. Blended ones are made from a real sequence
with one set of parameters for all frames, so that only the temporal jitter of the blend differs.

Convention:
    crop of a TrainingFace: (T, S, S, 3) uint8 RGB, a face in temporal order, or landmarks (T, 68, 2) float32; no masks
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import cv2
import numpy as np

from detect.config.data import SelfBlendConfig
from detect.data.crops import ClipFaces
from detect.data.pairs import BalancedSampler, FaceKey, Pair, TrainingFace
from detect.data.real_faces import RealFaces
from detect.data.selfblend import self_blend
from detect.models.windows import window

STRIDES = (1, 2, 3)
"""Steps between the faces of a sequence in training."""
_HAND = 0.004
_HAND_REACH = 0.03
_WOBBLE = 0.006


class ForgedSequences:
    """Pairs of sequences from a dataset's clips.

    Args:
        clips: of the train split.
        sampler: chooses their middle faces.
        read: returns the crop of a face.
        partners: for each fake face the real one it was made from.
        frames: number of faces in a sequence.
        strides: steps between the faces of a sequence to choose from.
    """

    def __init__(
        self,
        clips: Sequence[ClipFaces],
        sampler: BalancedSampler,
        read: Callable[[FaceKey], np.ndarray],
        partners: Mapping[FaceKey, FaceKey],
        *,
        frames: int,
        strides: Sequence[int] = STRIDES,
    ) -> None:
        self._clips = clips
        self._strides = tuple(strides)
        self._sampler = sampler
        self._read = read
        self._partners = partners
        self._frames = frames
        self._tracks = [clip.tracks for clip in clips]
        self._numbers = [clip.frames for clip in clips]

    def sample(self, rng: np.random.Generator) -> Pair:
        """A forged sequence and a real one with the same frame spacing."""
        fake, real = self._sampler.sample(rng)
        stride = int(rng.choice(self._strides))
        forged = self._around(fake, stride)
        together = self._partners.get(fake) == real
        plain = self._counterparts(forged, real) if together else self._around(real, stride)
        return Pair(self._example(forged, 1), self._example(plain, 0), together)

    def _around(self, key: FaceKey, stride: int) -> list[FaceKey]:
        """Faces of the same track and label around ``key``."""
        place, face = key
        tracks, truth = self._tracks[place], self._clips[place].truth
        own = np.array([face])
        if tracks[face] >= 0:
            own = np.flatnonzero((tracks == tracks[face]) & (truth == truth[face]))
        chosen = own[window(len(own), int(np.searchsorted(own, face)), self._frames, stride)]
        return [(place, int(row)) for row in chosen]

    def _counterparts(self, forged: Sequence[FaceKey], real: FaceKey) -> list[FaceKey]:
        """The real face of each forged one; where unknown, the nearest in time of ``real``'s track."""
        place, face = real
        own = np.flatnonzero((self._tracks[place] == self._tracks[place][face]) & (self._clips[place].truth == 0))
        numbers = self._numbers[place][own]
        found: list[FaceKey] = []
        for key in forged:
            partner = self._partners.get(key)
            if partner is None or partner[0] != place:
                partner = place, int(own[np.abs(numbers - self._numbers[key[0]][key[1]]).argmin()])
            found.append(partner)
        return found

    def _example(self, keys: Sequence[FaceKey], label: int) -> TrainingFace:
        return TrainingFace(np.stack([self._read(key) for key in keys]), label, None)


class RealTracks:
    """Samples tracks of real clips: uniform over clips, then a clip's tracks, then a track's faces.

    Args:
        clips: fakes are ignored, including their unmodified frames.
        read: returns the crop of a face.
    """

    def __init__(self, clips: Sequence[ClipFaces], read: Callable[[FaceKey], np.ndarray]) -> None:
        self._read = read
        self._tracks: list[tuple[int, list[np.ndarray]]] = []
        self._landmarks: dict[int, np.ndarray] = {}
        for place, clip in enumerate(clips):
            if clip.faceset is None or clip.record.label != "real":
                continue
            tracks = clip.tracks
            own = [np.flatnonzero((tracks == track) & (clip.truth == 0)) for track in np.unique(tracks[tracks >= 0])]
            own = [rows for rows in own if rows.size]
            if own:
                self._tracks.append((place, own))
                self._landmarks[place] = clip.faceset.landmarks_in_crop()

    def __len__(self) -> int:
        return len(self._tracks)

    def sample(self, rng: np.random.Generator, frames: int) -> tuple[np.ndarray, np.ndarray]:
        """Crops (T, S, S, 3) uint8 of a sequence, and landmarks (T, 68, 2) float32 in them."""
        place, tracks = self._tracks[int(rng.integers(len(self._tracks)))]
        own = tracks[int(rng.integers(len(tracks)))]
        chosen = own[window(len(own), int(rng.integers(len(own))), frames, int(rng.choice(STRIDES)))]
        return np.stack([self._read((place, int(row))) for row in chosen]), self._landmarks[place][chosen]


class BlendedSequences:
    """Pairs made from a real sequence, or from a photograph with simulated camera shake.

    Args:
        tracks: real clips.
        stills: photographs, with their twins; None for none.
        config: settings of blending.
        frames: number of faces in a sequence.
        twins: share of the pairs whose blended copy is a twin, among photographs that have one.
        video_share: share of sequences from clips; by their numbers when None.

    Raises:
        FacesetError: there is neither.
    """

    def __init__(
        self,
        tracks: RealTracks,
        stills: RealFaces | None,
        config: SelfBlendConfig,
        *,
        frames: int,
        twins: float = 0.5,
        video_share: float | None = None,
    ) -> None:
        if not len(tracks) and stills is None:
            stills = RealFaces(())  # raises the error about missing faces
        self._tracks = tracks
        self._stills = stills
        self._config = config
        self._frames = frames
        self._twins = twins
        self._share = _share(len(tracks), 0 if stills is None else len(stills), video_share)

    def sample(self, rng: np.random.Generator) -> Pair:
        """A real sequence, and the fake made from it."""
        moving = self._stills is None or rng.random() < self._share
        crops, landmarks, copies = self._moving(rng) if moving else self._still(rng)
        seed = int(rng.integers(2**63))
        wobble = rng.normal(0, _WOBBLE * rng.random() * crops.shape[1], (self._frames, 1, 2))
        real: list[np.ndarray] = []
        fake: list[np.ndarray] = []
        for place, (crop, points) in enumerate(zip(crops, landmarks + wobble, strict=True)):
            same = np.random.default_rng(seed)  # equal parameters for all frames of the sequence
            copy = None if copies is None else copies[place]
            made = self_blend(crop, points.astype(np.float32), same, self._config, copy=copy)
            real.append(made.real)
            fake.append(made.fake)
        return Pair(TrainingFace(np.stack(fake), 1, None), TrainingFace(np.stack(real), 0, None), True)

    def _moving(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        crops, landmarks = self._tracks.sample(rng, self._frames)
        return crops, landmarks, None

    def _still(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        assert self._stills is not None
        face = self._stills.sample(rng)
        twin = self._stills.twin(face, rng) if rng.random() < self._twins else None
        moves = hand_held(self._frames, rng) * self._stills.crop(face).shape[0]
        crops = shifted(self._stills.crop(face), moves)
        landmarks = self._stills.landmarks(face)[None] + moves[:, None]
        return crops, landmarks, None if twin is None else shifted(twin, moves)


def hand_held(frames: int, rng: np.random.Generator) -> np.ndarray:
    """(``frames``, 2) shifts in x and y, as shares of the side: a random walk that stays within three per cent."""
    steps = rng.normal(0, _HAND, (frames, 2))
    return np.clip(np.cumsum(steps, 0), -_HAND_REACH, _HAND_REACH)


def shifted(crop: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """(T, S, S, 3): ``crop`` (S, S, 3) once for each of the ``moves`` (T, 2), x and y in pixels, borders reflected."""
    side = crop.shape[0]
    made = []
    for x, y in moves:
        matrix = np.array([[1.0, 0, x], [0, 1.0, y]])
        made.append(cv2.warpAffine(crop, matrix, (side, side), borderMode=cv2.BORDER_REFLECT_101))
    return np.stack(made)


def _share(clips: int, stills: int, video_share: float | None) -> float:
    """The share of sequences from clips."""
    if not clips or not stills:
        return 1.0 if clips else 0.0
    return clips / (clips + stills) if video_share is None else video_share
