"""The second pass of a swap: swaps the planned faces of each frame and makes the masks.

:func:`composited_frames` is the whole of it, for clips, folders of pictures and builds alike. Each step is a generator,
so a clip flows through with a bounded number of frames held: :func:`align_faces` cuts the faces, :func:`swap_faces`
swaps them in batches, :func:`forge.swapping.temporal.stabilize_color` smooths each track's colours over time,
:func:`composite` puts the faces back.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import TypeVar

import cv2
import numpy as np

from forge.models.contract import SwapSpec
from forge.models.predictor import SwapPredictor
from forge.swapping.blend import Clone, Patch, can_clone, clone_for, paste, place, scaled
from forge.swapping.color import AFFINE, ColorMap, adjusted, fit_color, transfer_color
from forge.swapping.config import SwapConfig
from forge.swapping.degrade import degraded, degraded_frame
from forge.swapping.masks import frame_masks
from forge.swapping.plan import SwapPlan
from forge.swapping.region import face_region, needs_target_mask
from forge.swapping.restore import make_restorer, with_restored
from forge.swapping.sharpen import motion_blurred, sharpened
from forge.swapping.squares import covered, fitted_config, in_square, resized_to, rewritten
from forge.swapping.stages import AlignedFrame, CompositedFrame, DecodedFace, SwappedFrame, TargetFace
from forge.swapping.super_resolution import Enlarge, enlarged, make_enlarge
from forge.swapping.temporal import stabilize_color
from shared.errors import UsageError
from shared.faces.align import align, cut, scale_of
from shared.faces.pastes.config import SquareConfig
from shared.faces.pastes.mask import soften
from shared.faces.pastes.square import redrawn, sampled
from shared.pipeline import ahead, in_batches
from shared.types import AlignedFace, Frame, SwappedFace

_HELD_BYTES = 256 << 20
_CLONE = 1
"""Random numbers of the place of a clone, apart from those of noise."""

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class OpenedSwap:
    """A loaded swapper with its source and, if the swapper knows that identity, its target.

    A square of ``config`` lies within the swapper's crop.
    """

    predictor: SwapPredictor
    config: SwapConfig
    source: str
    target: str | None = None
    enlarge: Enlarge | None = None

    @classmethod
    def of(cls, predictor: SwapPredictor, config: SwapConfig, source: str, target: str) -> OpenedSwap:
        """The face of ``source`` for ``target``, whom the swapper may know or not.

        Raises:
            UsageError: the swapper cannot morph and has to, or the file that enlarges crops cannot be used.
        """
        spec = predictor.spec
        if config.morph != 1 and not spec.can_morph:
            raise UsageError(f"{spec.name} cannot morph", hint="leave morph at 1, or train a family that can: amp")
        known = target if target in spec.identities else None
        return cls(predictor, fitted_config(config, spec.framing), source, known, make_enlarge(config.blend))


def composited_frames(
    frames: Iterable[Frame], plan: SwapPlan, swap: OpenedSwap, *, depth: int = 0
) -> Generator[CompositedFrame, None, None]:
    """Every frame with its planned faces swapped, in order.

    With a ``depth``, frames are read and aligned in one thread, swapped in another, and pasted in the caller's; between
    two of them that many frames wait.

    Raises:
        CheckpointError: the swapper gave a value that is not a number.
        UsageError: the function that enlarges crops failed.
    """
    aligned = align_faces(frames, plan, swap.predictor.spec, swap.config.square)
    with _staged(aligned, depth, "assay-align") as jobs:
        swapped = stabilize_color(swap_faces(jobs, swap), swap.config.temporal)
        # The network runs beside the compositor.
        with _staged(swapped, depth, "assay-swap") as faces:
            yield from composite(faces, swap.config)


def _staged(items: Iterable[T], depth: int, name: str) -> AbstractContextManager[Iterable[T]]:
    return closing(ahead(items, depth=depth, name=name)) if depth else nullcontext(items)


def align_faces(
    frames: Iterable[Frame], plan: SwapPlan, spec: SwapSpec, square: SquareConfig | None = None
) -> Iterator[AlignedFrame]:
    """Every frame with its chosen faces cut as ``spec`` asks, by the warp of ``square`` if there is one."""
    warp = cut if square is None else partial(sampled, config=square)
    for frame in frames:
        found: list[TargetFace] = []
        for face in plan.to_swap(frame.index):
            crop = align(frame.image, face, px=spec.input_px, framing=spec.framing, frame=frame.index, warp=warp)
            track = face.track or 0
            found.append(TargetFace(track, crop, plan.motion(frame.index, track)))
        yield AlignedFrame(frame, tuple(found))


def swap_faces(jobs: Iterable[AlignedFrame], swap: OpenedSwap) -> Iterator[SwappedFrame]:
    """The frames with their faces swapped, in order.

    Faces of successive frames are swapped together, ``config.batch`` at a time or as many as 256 MiB of frames hold.
    """
    for batch in _batches(jobs, swap.config.batch):
        swapped = iter(_decode([face.aligned for job in batch for face in job.faces], swap))
        for job in batch:
            yield SwappedFrame(job.frame, tuple(_processed(face, *next(swapped), swap) for face in job.faces))


def _decode(crops: Sequence[AlignedFace], swap: OpenedSwap) -> list[tuple[SwappedFace, np.ndarray | None]]:
    """Each face decoded as the source, with the mask of the target's decoder where the settings need it."""
    predictor, morph = swap.predictor, swap.config.morph
    if morph == 1:
        faces = predictor.swap(crops, swap.source)
    else:
        faces = predictor.swap(crops, swap.source, target=swap.target, morph=morph)
    if not needs_target_mask(swap.config.mask.kind) or swap.target is None:
        return [(face, None) for face in faces]
    own = predictor.swap(crops, swap.target)
    return [(face, itself.mask) for face, itself in zip(faces, own, strict=True)]


def _batches(jobs: Iterable[AlignedFrame], size: int) -> Iterator[list[AlignedFrame]]:
    jobs = iter(jobs)
    first = next(jobs, None)
    if first is None:
        return
    most = max(1, min(2 * size, _HELD_BYTES // first.frame.image.nbytes))
    yield from in_batches(chain([first], jobs), lambda job: len(job.faces), size, most)


def _processed(
    found: TargetFace, swapped: SwappedFace, target_mask: np.ndarray | None, swap: OpenedSwap
) -> DecodedFace:
    config, blend = swap.config, swap.config.blend
    swapped = enlarged(swapped, swap.enlarge)
    crop = sharpened(
        swapped.crop,
        blend.sharpen,
        kind=blend.sharpen_kind,
        radius=blend.sharpen_radius,
        threshold=blend.sharpen_threshold,
    )
    in_crop = swapped.frame_to_crop[:, :2] @ found.motion * blend.motion_blur
    swapped = replace(swapped, crop=motion_blurred(crop, in_crop))
    landmarks, cover = found.aligned.landmarks, 1.0
    if config.square is not None:
        whole, swapped = swapped, in_square(swapped, landmarks, config.square)
        cover = covered(whole, swapped, config.square)
        if target_mask is not None:
            target_mask = redrawn(target_mask, whole.frame_to_crop, swapped.frame_to_crop, config.square.px)
    px = swapped.crop.shape[0]
    if target_mask is not None and target_mask.shape[0] != px:
        target_mask = cv2.resize(target_mask, (px, px), interpolation=cv2.INTER_LINEAR)
    region = face_region(swapped, landmarks, config.mask, target_mask=target_mask) * cover
    swapped, color = _colored(swapped, found.aligned, region, config)
    swapped = replace(swapped, frame_to_crop=scaled(swapped.frame_to_crop, px, blend.scale))
    alpha = soften(region, config.mask, crop_per_frame=scale_of(swapped.frame_to_crop)) * cover
    return DecodedFace(found.track, swapped, alpha, region, landmarks, color)


def _colored(
    swapped: SwappedFace, face: AlignedFace, region: np.ndarray, config: SwapConfig
) -> tuple[SwappedFace, ColorMap | None]:
    """The swapped face in the target's colours, or the colour map to apply after smoothing over time."""
    method = config.color.method
    if method in ("none", "manual"):
        return swapped, None
    px = swapped.crop.shape[0]
    if config.square is None:
        target = resized_to(face.crop, px).astype(np.float32) / 255
    else:
        target = redrawn(face.crop.astype(np.float32) / 255, face.frame_to_crop, swapped.frame_to_crop, px)
    if method in AFFINE:
        zero_filled = bool(config.color.zero_filled)
        return swapped, fit_color(method, swapped.crop, target, region, zero_filled=zero_filled)
    # The same directions for every frame: others would make the colours flicker.
    rng = np.random.default_rng(config.seed)
    return replace(swapped, crop=transfer_color(method, swapped.crop, target, region, rng=rng)), None


def composite(frames: Iterable[SwappedFrame], config: SwapConfig) -> Iterator[CompositedFrame]:
    """The finished frames. One without a face to swap keeps its bytes and has empty masks."""
    paster = _Paster(config)
    for one in frames:
        image, patches, faces, alpha_instead = one.frame.image, list[Patch](), list[DecodedFace](), 0
        if one.faces and config.degrade.to == "background" and not config.degrade.is_none:
            image = degraded_frame(image, config.degrade, _noise(config, one.frame.index))
        for face in map(lambda face: _in_colour(face, config), one.faces):
            done = paster.paste(image, face, one.frame.index)
            if done is None:
                continue
            image, pasted, instead = done
            alpha_instead += instead
            patches += pasted
            faces.append(face)
        whole = bool(patches) and config.degrade.to != "face" and not config.degrade.is_none
        if whole and config.degrade.to == "frame":
            image = degraded_frame(image, config.degrade, _noise(config, one.frame.index))
        image = image if patches else one.frame.image
        masks = frame_masks(one.frame.image, image, patches, whole=whole)
        yield CompositedFrame(one.frame, image, masks, tuple(faces), alpha_instead)


class _Paster:
    """Pastes faces into frames by the settings of a swap."""

    def __init__(self, config: SwapConfig) -> None:
        self._config = config
        self._restorer = None if config.restore is None else make_restorer(config.restore)

    def paste(self, image: np.ndarray, face: DecodedFace, frame: int) -> tuple[np.ndarray, list[Patch], bool] | None:
        """A new frame, what was pasted, and whether by alpha instead of by Poisson; None for a face outside."""
        config, blend, square = self._config, self._config.blend, self._config.square
        opacity = blend.opacity or 1.0
        height, width = image.shape[:2]
        if square is not None and square.rewrite:
            face, opacity = rewritten(face, image, square, opacity), 1.0
        patch = place(
            face.swapped,
            face.alpha,
            face.region,
            width=width,
            height=height,
            square=square,
            mask=config.mask,
            whole=blend.method == "pyramid" or not config.degrade.is_none,
            prefilter=blend.prefilter,
        )
        if patch is None:
            return None
        patch = _degraded_patch(patch, config, frame, face.track)
        method, clone = blend.method, Clone()
        instead = method.startswith("poisson") and not can_clone(patch, blend.clone_above or 0.0)
        if instead:
            method = "alpha"
        elif method.startswith("poisson"):
            patch, clone = clone_for(patch, blend, _noise(config, frame, face.track, _CLONE))
        patch = patch if opacity == 1 else replace(patch, alpha=patch.alpha * opacity)
        image = paste(image, patch, method, levels=blend.levels, rounding=blend.rounding, clone=clone)
        if config.restore is None or self._restorer is None:
            return image, [patch], instead
        image, over = with_restored(image, face.landmarks, config.restore, self._restorer, blend.rounding)
        return image, [patch, over] if over is not None else [patch], instead


def _in_colour(face: DecodedFace, config: SwapConfig) -> DecodedFace:
    crop = face.swapped.crop if face.color is None else face.color.apply(face.swapped.crop)
    return replace(face, swapped=replace(face.swapped, crop=adjusted(crop, config.color)), color=None)


def _degraded_patch(patch: Patch, config: SwapConfig, frame: int, track: int) -> Patch:
    if config.degrade.to != "face" or config.degrade.is_none:
        return patch
    return replace(patch, rgb=degraded(patch.rgb, config.degrade, _noise(config, frame, track)))


def _noise(config: SwapConfig, frame: int, track: int | None = None, *more: int) -> np.random.Generator:
    """Noise that differs from frame to frame and face to face, and is the same whenever the clip is made again."""
    return np.random.default_rng((config.seed, frame, 0 if track is None else track + 1, *more))
