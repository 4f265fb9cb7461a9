"""The second pass of a swap: from frames and planned faces to frames with those faces swapped, and their masks.

Each step is a generator, so a clip flows through with a bounded number of frames held: :func:`aligned` cuts the faces,
:func:`drawn` swaps them in batches, :func:`steadied` settles each track's colours over time, :func:`pasted` puts the
faces back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from forge.blend import can_clone, face_region, paste, place, sharpened, soften
from forge.color import AFFINE, ColorMap, fit_color, mean_map, transfer_color
from forge.masks import FrameMasks, frame_masks
from forge.models.contract import SwapSpec
from forge.plan import SwapPlan
from forge.stages import in_batches
from forge.swap import SwapPredictor
from forge.swap_config import SwapConfig
from shared.faces.align import align
from shared.types import AlignedFace, Frame, SwappedFace

_HELD_BYTES = 256 << 20
# Two sigma, and a hair for the rounding of times, so that the window is as long ahead as back.
_WINDOW_SIGMAS = 2.0 + 1e-6


@dataclass(frozen=True, eq=False)
class Job:
    """A frame with the faces to swap, cut out, and the track of each."""

    frame: Frame
    tracks: tuple[int, ...]
    faces: tuple[AlignedFace, ...]


@dataclass(frozen=True, eq=False)
class DrawnFace:
    """A swapped face before it is pasted.

    Convention:
        alpha, region: (S, S) float32 in [0, 1], in the crop
        color: the map still to be applied, None for none
    """

    track: int
    swapped: SwappedFace
    alpha: np.ndarray
    region: np.ndarray
    color: ColorMap | None


@dataclass(frozen=True, eq=False)
class Drawn:
    """A frame with its swapped faces."""

    frame: Frame
    faces: tuple[DrawnFace, ...]


@dataclass(frozen=True, eq=False)
class Rendered:
    """A finished frame.

    Attributes:
        frame: the target's, untouched.
        image: (H, W, 3) uint8, the same object's bytes where nothing was pasted.
        masks: what was done to it.
        alpha_instead: faces that were to be blended by Poisson and were too small for it.
    """

    frame: Frame
    image: np.ndarray
    masks: FrameMasks
    alpha_instead: int = 0


def aligned(frames: Iterable[Frame], plan: SwapPlan, spec: SwapSpec) -> Iterator[Job]:
    """Every frame with its chosen faces cut as ``spec`` asks."""
    for frame in frames:
        faces = plan.to_swap(frame.index)
        crops = tuple(
            align(frame.image, face, px=spec.input_px, framing=spec.framing, frame=frame.index) for face in faces
        )
        yield Job(frame, tuple(face.track or 0 for face in faces), crops)


def drawn(jobs: Iterable[Job], predictor: SwapPredictor, source: str, config: SwapConfig) -> Iterator[Drawn]:
    """The jobs with their faces swapped, in order.

    Faces of successive frames are swapped together, ``config.batch`` at a time or as many as 256 MiB of frames hold.
    """
    for batch in _batches(jobs, config.batch):
        swapped = iter(predictor.swap([face for job in batch for face in job.faces], source))
        for job in batch:
            pairs = zip(job.tracks, job.faces, strict=True)
            yield Drawn(job.frame, tuple(_draw(track, face, next(swapped), config) for track, face in pairs))


def _batches(jobs: Iterable[Job], size: int) -> Iterator[list[Job]]:
    jobs = iter(jobs)
    first = next(jobs, None)
    if first is None:
        return
    most = max(1, min(2 * size, _HELD_BYTES // first.frame.image.nbytes))
    yield from in_batches(_chain(first, jobs), lambda job: len(job.faces), size, most)


def _chain(first: Job, rest: Iterator[Job]) -> Iterator[Job]:
    yield first
    yield from rest


def _draw(track: int, face: AlignedFace, swapped: SwappedFace, config: SwapConfig) -> DrawnFace:
    swapped = replace(swapped, crop=sharpened(swapped.crop, config.sharpen))
    region = face_region(swapped, face.landmarks, choice=config.mask, hull=config.hull)
    alpha = soften(region, erode=config.erode, feather=config.feather, border=config.border)
    if config.color == "none":
        return DrawnFace(track, swapped, alpha, region, None)
    px = swapped.crop.shape[0]
    shrinking = px < face.crop.shape[0]
    target = cv2.resize(face.crop, (px, px), interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC)
    target = target.astype(np.float32) / 255
    if config.color in AFFINE:
        return DrawnFace(track, swapped, alpha, region, fit_color(config.color, swapped.crop, target, region))
    # The same directions for every frame: others would make the colours flicker.
    rng = np.random.default_rng(config.seed)
    matched = transfer_color(config.color, swapped.crop, target, region, rng=rng)
    return DrawnFace(track, replace(swapped, crop=matched), alpha, region, None)


def steadied(frames: Iterable[Drawn], seconds: float) -> Iterator[Drawn]:
    """The same frames, each face's colour map replaced by the mean of its track's maps around it.

    Gaussian weights of sigma ``seconds``, as far ahead as back (two sigma), so that a change of light is not followed
    late. Holds the frames of four sigma, or 512 MiB of them where those are more. 0 changes nothing.
    """
    if seconds == 0:
        yield from frames
        return
    past: deque[Drawn] = deque()
    ahead: deque[Drawn] = deque()
    for one in frames:
        ahead.append(one)
        most = max(2, _HELD_BYTES // one.frame.image.nbytes)
        while _gap(ahead[0], one) > _WINDOW_SIGMAS * seconds or len(ahead) > most:
            yield _next_steady(past, ahead, seconds, most)
    while ahead:
        yield _next_steady(past, ahead, seconds, len(ahead))


def _next_steady(past: deque[Drawn], ahead: deque[Drawn], seconds: float, most: int) -> Drawn:
    """The first of ``ahead``, steadied; it moves to ``past``, which forgets what is too old to count for the next."""
    current = ahead[0]
    steady = _steady(current, (*past, *ahead), seconds)
    past.append(ahead.popleft())
    upcoming = ahead[0] if ahead else current
    while past and (_gap(past[0], upcoming) > _WINDOW_SIGMAS * seconds or len(past) > most):
        past.popleft()
    return steady


def _gap(earlier: Drawn, later: Drawn) -> float:
    return later.frame.time.seconds - earlier.frame.time.seconds


def _steady(one: Drawn, window: Iterable[Drawn], seconds: float) -> Drawn:
    return replace(one, faces=tuple(_steady_face(face, one, window, seconds) for face in one.faces))


def _steady_face(face: DrawnFace, one: Drawn, window: Iterable[Drawn], seconds: float) -> DrawnFace:
    if face.color is None:
        return face
    maps: list[ColorMap] = []
    weights: list[float] = []
    for other in window:
        away = abs(_gap(other, one)) / seconds
        if away > _WINDOW_SIGMAS:
            continue
        for neighbour in other.faces:
            if neighbour.track == face.track and neighbour.color is not None:
                maps.append(neighbour.color)
                weights.append(float(np.exp(-0.5 * away**2)))
    return replace(face, color=mean_map(maps, weights))


def pasted(frames: Iterable[Drawn], config: SwapConfig) -> Iterator[Rendered]:
    """The finished frames. One without a face to swap keeps its bytes and has empty masks."""
    for one in frames:
        image, patches, alpha_instead = one.frame.image, [], 0
        height, width = image.shape[:2]
        for face in one.faces:
            crop = face.swapped.crop if face.color is None else face.color.apply(face.swapped.crop)
            swapped = replace(face.swapped, crop=crop)
            patch = place(swapped, face.alpha, face.region, width=width, height=height)
            if patch is None:
                continue
            alpha_instead += config.blend == "poisson" and not can_clone(patch)
            image = paste(image, patch, config.blend)
            patches.append(patch)
        yield Rendered(one.frame, image, frame_masks(one.frame.image, image, patches), alpha_instead)
