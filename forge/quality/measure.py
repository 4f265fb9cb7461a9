"""Measures the quality of a fake against its target clip.

Every value has its number of frames and quartiles. Use frames that the swapper was not trained on (:func:`holdout`).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from itertools import islice, repeat
from pathlib import Path
from typing import Any

import numpy as np

from forge.image_metrics import Spread
from forge.models.predictor import SwapPredictor
from forge.quality.features import FeatureBank, FeatureNet, Lpips
from forge.quality.metrics import (
    CropMetric,
    FeatureMetric,
    FrameMetric,
    HeadMetric,
    IdentityMetric,
    LandmarkMetric,
    MotionMetric,
    Person,
    Sample,
    SeamMetric,
    SelfMetric,
)
from forge.quality.result import SPREADS, SwapQuality
from forge.swapping.plan import SwapPlan, plan_swap, smooth_tracks
from shared.errors import FacesetError, MediaError, UsageError
from shared.faces.boxes import box_around, overlap
from shared.faces.facesets.reader import Faceset
from shared.faces.finders.finder import FaceFinder
from shared.faces.identity import IdentityEmbedder
from shared.faces.stream import FollowConfig, follow
from shared.sampling import evenly_spaced
from shared.types import Face, Frame, Framing, Timestamp
from shared.video import VideoReader, audio_digest, frame_times, read_mask_frames
from shared.video.excerpt import Excerpt, excerpt_sound

_SAME_FACE = 0.3
_DEFAULT_PX = 128
_DEFAULT_FRAMING: Framing = "full"
_REFERENCE_FACES = 64
_LEAST_FACE_PX = 16.0
_PICKED = 16
_SINGLE = (
    "nearer_to_source",
    "top1",
    *(f"{part}_{name}" for part in ("blink", "mouth") for name in ("correlation", "swing", "swing_ratio")),
)


@dataclass(frozen=True, eq=False)
class Instruments:
    """Models and settings of a measurement.

    Attributes:
        finder: finds faces in both clips.
        embedder: for identity metrics; None for none.
        people: source and target person; None for no identity metrics.
        cast: all people that a face is compared with, by name, including these two.
        embedder_in_loss: whether the swapper was trained with this embedder, see :mod:`forge.quality.leakage`.
        predictor: the swapper, for self-reconstruction; None for none.
        target_identity: the identity of the self-reconstruction; None for none.
        features: network for feature distances; None for none. bank: store of feature vectors.
        lpips: if its weights are installed.
        px, framing: of the compared crops; default those of the swapper's output.
    """

    finder: FaceFinder
    embedder: IdentityEmbedder | None = None
    people: tuple[Person, Person] | None = None
    cast: Mapping[str, Person] = field(default_factory=dict)
    embedder_in_loss: bool | None = None
    predictor: SwapPredictor | None = None
    target_identity: str | None = None
    features: FeatureNet | None = None
    lpips: Lpips | None = None
    bank: FeatureBank = field(default_factory=FeatureBank)
    px: int | None = None
    framing: Framing | None = None

    @property
    def crop_px(self) -> int:
        """Side of the compared crops."""
        return self.px or (self.predictor.spec.output_px if self.predictor else _DEFAULT_PX)

    @property
    def crop_framing(self) -> Framing:
        """Framing of the compared crops."""
        return self.framing or (self.predictor.spec.framing if self.predictor else _DEFAULT_FRAMING)

    def metrics(self, clip: str = "") -> list[FrameMetric]:
        """New metrics for one clip; the bank stores its features by this name."""
        metrics: list[FrameMetric] = [LandmarkMetric(), MotionMetric(), SeamMetric(), HeadMetric()]
        metrics.append(CropMetric(self.crop_px, self.crop_framing))
        if self.embedder is not None and self.people is not None:
            metrics.append(IdentityMetric(self.embedder, *self.people, self.cast))
        if self.predictor is not None and self.target_identity is not None:
            metrics.append(SelfMetric(self.predictor, self.target_identity))
        if self.features is not None:
            metrics.append(FeatureMetric(self.features, self.bank.of(clip), self.lpips))
        return metrics

    def identity_facts(self) -> dict[str, Any]:
        """Identities, number of compared people and embedder: fields of :class:`SwapQuality`."""
        if self.embedder is None or self.people is None:
            return {"target_identity": self.target_identity}
        source, target = (person.name for person in self.people)
        return {
            "source_identity": source,
            "target_identity": target,
            "cast": len({*self.cast, source, target}),
            "embedder": self.embedder.name,
            "embedder_in_loss": self.embedder_in_loss,
        }


def holdout(frames: int, fraction: float = 0.2) -> tuple[int, int]:
    """The last ``fraction`` of ``frames`` frames, half-open: ``holdout(100) == (80, 100)``; at least one.

    Raises:
        UsageError: the fraction is not above 0 and at most 1.
    """
    if not 0 < fraction <= 1:
        raise UsageError(f"the fraction must be above 0 and at most 1, got {fraction}", hint="0.2 is the last fifth")
    return frames - max(1, round(frames * fraction)), frames


def person_from(faceset: Path, embedder: IdentityEmbedder, *, most: int = _REFERENCE_FACES) -> Person:
    """The person of a faceset: mean embedding over up to ``most`` of its kept faces, evenly spaced.

    Raises:
        FacesetError: the faceset is damaged or empty.
    """
    opened = Faceset.open(faceset)
    kept = opened.rows(kept_only=True)
    if not kept:
        raise FacesetError(f"{faceset} holds no kept face", hint="extract it again")
    rows = [kept[place] for place in evenly_spaced(len(kept), most)]
    landmarks = opened.landmarks_in_crop()
    faces = [Face(box_around(landmarks[row]), landmarks[row], 1.0) for row in rows]
    embeddings = [embedder.embed(opened.crop(row), [face])[0] for row, face in zip(rows, faces, strict=True)]
    return Person(opened.info.identity, np.mean(embeddings, axis=0))


def measure_swap(
    fake: Path,
    target: Path,
    instruments: Instruments,
    *,
    frames: tuple[int, int] | None = None,
    alpha: Path | None = None,
    beside: Sequence[FrameMetric] = (),
    excerpt: Excerpt | None = None,
) -> SwapQuality:
    """Measures ``fake`` against ``target`` on ``frames`` (half-open), or on all of them.

    The face is the target's main one in these frames. ``alpha`` is the fake's alpha mask video, for metrics at and
    outside its border. ``beside`` are further metrics that get the same frames, such as a picture sheet.
    ``excerpt`` are the frames of the target that the fake was made of, None for all; ``frames`` lie in it, and are
    counted in the target.

    Raises:
        MediaError: a clip cannot be read, or ``frames`` lies outside the target.
        NoFaceError: no face in the target's frames.
        UsageError: the swapper does not know the target's identity.
    """
    times, fake_times = frame_times(target), frame_times(fake)
    offset = excerpt.start if excerpt else 0
    start, stop = frames or (offset, excerpt.stop if excerpt else len(times))
    if not offset <= start < stop <= len(times):
        raise MediaError(f"{target} has {len(times)} frames, not {start} to {stop}", hint="choose frames inside it")
    followed = _every_frame(target, instruments.finder, start, stop)
    wanted = plan_swap(followed, smooth=False, embedder=instruments.embedder, what=str(target))
    again = _found_again(fake, instruments.finder, wanted, (start, stop), offset)
    metrics = [*instruments.metrics(str(fake)), *beside]
    values = _gather(_samples(fake, target, alpha, wanted, again, (start, stop), offset), metrics)
    facts: dict[str, Any] = {
        "clip": fake.name,
        "target": target.name,
        "start": start,
        "stop": stop,
        "px": instruments.crop_px,
        "framing": instruments.crop_framing,
        "frames_with_face": len(wanted.swapped_frames),
        "frames_found": len(again),
    }
    facts |= _sameness(fake, target, times, fake_times, excerpt)
    return SwapQuality(**facts, **instruments.identity_facts(), **_summed(values))


def _sameness(
    fake: Path, target: Path, times: list[Timestamp], fake_times: list[Timestamp], excerpt: Excerpt | None
) -> dict[str, bool]:
    """Whether the whole clips agree in number and times of frames and in sound; of an excerpt, with that."""
    if excerpt is not None:
        times = [excerpt.moved(time) for time in times[excerpt.start : excerpt.stop]]
    with nullcontext(target) if excerpt is None else excerpt_sound(target, excerpt) as sound:
        its_sound = audio_digest(sound) if sound is not None else None
    return {
        "same_frames": len(times) == len(fake_times),
        "same_times": [time.exact_seconds for time in times] == [time.exact_seconds for time in fake_times],
        "same_sound": audio_digest(fake) == its_sound,
    }


def _summed(values: Mapping[str, list[float]]) -> dict[str, Any]:
    """Fields of :class:`SwapQuality`: spreads of frame values, means of shares, ratios of medians."""
    spreads = {name: Spread.of(values.get(name, ())) for name in SPREADS}
    single = {name: float(np.mean(values[name])) for name in _SINGLE if values.get(name)}
    ratios = {
        f"{name}_ratio": _ratio(spreads[name], spreads[f"{name}_target"]) for name in ("flicker", "flicker_compensated")
    }
    return {**spreads, **single, **ratios}


def _ratio(own: Spread | None, its: Spread | None) -> float | None:
    return own.median / its.median if own and its and its.median > 0 else None


def _gather(samples: Iterator[Sample], metrics: list[FrameMetric]) -> dict[str, list[float]]:
    values: dict[str, list[float]] = {}
    with closing(samples):  # type: ignore[type-var]
        for sample in samples:
            for metric in metrics:
                for name, value in metric.update(sample):
                    values.setdefault(name, []).append(value)
    for metric in metrics:
        for name, value in metric.compute():
            values.setdefault(name, []).append(value)
    return values


def _every_frame(clip: Path, finder: FaceFinder, start: int, stop: int) -> Iterator[tuple[Frame, list[Face]]]:
    """Frames of a range with their faces, detected in each frame without tracking, so that errors are independent."""
    config = FollowConfig(detect_every=1, min_face_px=_LEAST_FACE_PX)
    with VideoReader(clip) as reader, closing(follow(reader.frames(start=start, stop=stop), finder, config)) as found:  # type: ignore[type-var]
        yield from found


def _found_again(
    fake: Path, finder: FaceFinder, wanted: SwapPlan, frames: tuple[int, int], offset: int
) -> dict[int, Face]:
    """For each of the target's ``frames`` the face of the fake at the position of the target's, if there is one."""
    again: dict[int, Face] = {}
    for frame, found in _every_frame(fake, finder, frames[0] - offset, frames[1] - offset):
        index = frame.index + offset
        here = wanted.to_swap(index)
        if not here or not found:
            continue
        shared = overlap(here[0].box, np.stack([face.box for face in found]))
        best = int(np.argmax(shared))
        if shared[best] >= _SAME_FACE:
            again[index] = found[best]
    return again


def _samples(
    fake: Path,
    target: Path,
    alpha: Path | None,
    wanted: SwapPlan,
    again: dict[int, Face],
    frames: tuple[int, int],
    offset: int,
) -> Iterator[Sample]:
    """Samples of those of the target's ``frames`` that have the face in both clips."""
    start, stop = frames
    present = wanted.swapped_frames
    picked = {present[place] for place in evenly_spaced(len(present), _PICKED)}
    smoothed = smooth_tracks(wanted.faces, dict(zip(range(start, stop), wanted.times, strict=True)))
    with VideoReader(target) as ours, VideoReader(fake) as theirs, closing(_masks(alpha, start - offset)) as masks:
        beside = theirs.frames(start=start - offset, stop=stop - offset)
        pairs = zip(ours.frames(start=start, stop=stop), beside, masks, strict=False)
        for one, other, mask in pairs:
            faces = wanted.to_swap(one.index)
            if not faces:
                continue
            smooth = next(face for face in smoothed[one.index] if face.track == faces[0].track)
            found = again.get(one.index)
            yield Sample(one.index, one.image, other.image, faces[0], smooth, found, mask, picked=one.index in picked)


def _masks(alpha: Path | None, start: int) -> Generator[np.ndarray | None, None, None]:
    if alpha is None:
        yield from repeat(None)
    else:
        yield from islice(read_mask_frames(alpha), start, None)
