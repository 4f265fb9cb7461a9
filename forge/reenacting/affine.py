"""``reenact-affine``: the target's own pixels, moved piece by piece to where the driven landmarks are. No network."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from functools import partial

import numpy as np

from forge.reenacting.interior import Layer, OpenMouth, eyeballs, mouth_inside
from forge.reenacting.mesh import RING, Moved, moved_pixels, places_in, sampled, vertices_of
from forge.reenacting.transfer import DrivenFrame, DrivePlan, tilted
from forge.swapping.blend import Patch, paste
from forge.swapping.masks import frame_masks
from forge.swapping.stages import CompositedFrame, FaceOutline
from shared.types import Frame

_SMOOTH = 0.012
"""Face units over which the creases between triangles are smoothed."""


def warped_picture(image: np.ndarray, driven: DrivenFrame, donor: OpenMouth | None) -> np.ndarray | None:
    """(H, W, 3) uint8: ``image`` with the face driven; None where nothing moves."""
    patch = warped_patch(image, driven, donor)
    return None if patch is None else paste(image, patch)


def warped_frames(
    frames: Iterable[Frame], plan: DrivePlan, donor: OpenMouth | None
) -> Generator[CompositedFrame, None, None]:
    """Every frame with its planned face driven, in order; ``donor`` as in :func:`mouth_inside`."""
    return composited(frames, plan, partial(warped_patch, donor=donor))


def composited(
    frames: Iterable[Frame], plan: DrivePlan, make: Callable[[np.ndarray, DrivenFrame], Patch | None]
) -> Generator[CompositedFrame, None, None]:
    """Every frame with what ``make`` makes of its picture and its planned face laid over it, in order."""
    for frame in frames:
        driven = plan.frames.get(frame.index)
        patch = None if driven is None else make(frame.image, driven)
        if driven is None or patch is None:
            yield CompositedFrame(frame, frame.image, frame_masks(frame.image, frame.image, []))
            continue
        image = paste(frame.image, patch)
        masks = frame_masks(frame.image, image, [patch])
        yield CompositedFrame(frame, image, masks, outlines=(FaceOutline(driven.track, driven.source),))


def warped_patch(image: np.ndarray, driven: DrivenFrame, donor: OpenMouth | None) -> Patch | None:
    """The driven part of ``image`` (H, W, 3) uint8; None where nothing moves."""
    height, width = image.shape[:2]
    before = vertices_of(driven.source)
    after = before.copy()
    after[:68] = driven.aim
    if driven.tilt_degrees:
        # The outline of the head turns with the face; the outer ring holds the background.
        inner = slice(68, 68 + RING)
        after[inner] = tilted(before[inner], driven.placement, driven.tilt_degrees)
    smooth_px = _SMOOTH / driven.placement.units_per_px
    moved = moved_pixels(before, after, width=width, height=height, smooth_px=smooth_px)
    if moved is None:
        return None
    places = places_in(moved.bounds)
    rgb = sampled(image, places + moved.shift)
    alpha = moved.alpha
    if np.abs(driven.aim[36:48] - driven.source[36:48]).max() > 0:
        for layer in eyeballs(image, driven.source, driven.aim, moved.bounds):
            _lay(rgb, alpha, layer, moved.bounds)
    if np.abs(driven.aim[48:] - driven.source[48:]).max() > 0:
        inside = mouth_inside(image, driven.source, driven.aim, driven.placement, moved.bounds, donor)
        if inside is not None:
            _lay(rgb, alpha, inside, moved.bounds)
    return _patch(moved, rgb, alpha)


def _lay(rgb: np.ndarray, alpha: np.ndarray, layer: Layer, bounds: tuple[int, int, int, int]) -> None:
    """Lays ``layer`` over ``rgb`` and ``alpha``, which are of ``bounds``, in place."""
    x0, y0, x1, y1 = layer.bounds
    part = (slice(y0 - bounds[1], y1 - bounds[1]), slice(x0 - bounds[0], x1 - bounds[0]))
    rgb[part] += layer.cover[..., None] * (layer.levels - rgb[part])
    alpha[part] = np.maximum(alpha[part], layer.cover)


def _patch(moved: Moved, rgb: np.ndarray, alpha: np.ndarray) -> Patch:
    alpha = np.where(moved.support, alpha, 0).astype(np.float32)
    return Patch(moved.bounds, np.clip(rgb, 0, 255).astype(np.float32), alpha, moved.support.astype(np.float32))
