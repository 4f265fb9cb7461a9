"""``reenact-latent``: the driver's face encoded, and decoded as the target.

A swapper that knows the target turns the driver's expression into the target's face without any further training: a
swap with the roles of the clips exchanged. The decoded face is laid over the target's own by one similarity, in the
target's colours, and pasted in the region alone. The head's turn is the driver's, so both have to look the same way.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, nullcontext

import cv2
import numpy as np

from forge.models.predictor import SwapPredictor
from forge.reenacting.families import Stage
from forge.reenacting.transfer import DrivenFrame
from forge.swapping.blend import warp_reach
from forge.swapping.color import AFFINE, fit_color
from forge.swapping.render import composite
from forge.swapping.stages import CompositedFrame, DecodedFace, SwappedFrame
from forge.swapping.temporal import stabilize_color
from shared.device import pick_device
from shared.errors import MediaError, UsageError
from shared.faces.align import cut, frame_to_crop, map_points, resized
from shared.faces.mask import erode, feather, hull_mask
from shared.pipeline import in_batches
from shared.types import AlignedFace, Frame, SwappedFace

_MOUTH = (*range(48, 60), *range(6, 11), 31, 33, 35)
_MOUTH_MARGIN = 1.12
_FEATHER = 0.03
_LEAST = 0.04
"""Share of the decoded face below which nothing of it shows, so that the soft edge ends."""

_MOST_HELD = 64


def decoded_frames(stage: Stage, frames: Iterable[Frame], depth: int) -> Generator[CompositedFrame, None, None]:
    """Every frame with the driver's face decoded as the target in it, in order.

    Raises:
        CheckpointError: the swapper cannot be read, or gives values that are not numbers.
        MediaError: the driver cannot be read to its end.
    """
    del depth
    if stage.swapper is None or stage.driver is None:
        raise UsageError("reenact-latent needs a swapper", hint="give one that was trained on the target")
    config = stage.config
    predictor = SwapPredictor.load(stage.swapper, pick_device(config.device, config.precision))
    faces = _faces(stage, frames, predictor)
    yield from composite(stabilize_color(faces, config.temporal), config.finding)


def _faces(stage: Stage, frames: Iterable[Frame], predictor: SwapPredictor) -> Iterator[SwappedFrame]:
    plan = stage.drive.frames
    with _Driver(stage, predictor) as driver:
        for batch in in_batches(
            frames, lambda frame: frame.index in stage.drive.frames, stage.config.batch, _MOST_HELD
        ):
            driven = [plan.get(frame.index) for frame in batch]
            crops = [driver.crop(one) for one in driven if one is not None]
            decoded = iter(zip(crops, predictor.swap(crops, stage.person) if crops else [], strict=True))
            for frame, one in zip(batch, driven, strict=True):
                faces = () if one is None else (_placed(stage, frame, one, *next(decoded), predictor),)
                yield SwappedFrame(frame, faces)


class _Driver:
    """The aligned faces of the driver, asked for in order of their frames; a context manager."""

    def __init__(self, stage: Stage, predictor: SwapPredictor) -> None:
        assert stage.driver is not None  # see decoded_frames
        self._performance, self._spec = stage.driver, predictor.spec
        self._frames = iter(stage.read_driver())
        self._last: Frame | None = None

    def __enter__(self) -> _Driver:
        return self

    def __exit__(self, *_error: object) -> None:
        close = getattr(self._frames, "close", None)
        with closing(self._frames) if callable(close) else nullcontext():  # type: ignore[type-var]
            pass

    def crop(self, driven: DrivenFrame) -> AlignedFace:
        """The face of the driver that drives ``driven``.

        Raises:
            MediaError: the driver ends before.
        """
        place = int(np.argmin(np.abs(self._performance.frames - driven.driver)))
        index = int(self._performance.frames[place])
        while self._last is None or self._last.index < index:
            self._last = next(self._frames, None)
            if self._last is None:
                raise MediaError("the driver gave fewer frames when read again", hint="the file is being written to")
        landmarks = self._performance.landmarks[place].astype(np.float32)
        matrix = frame_to_crop(landmarks, px=self._spec.input_px, framing=self._spec.framing)
        return AlignedFace(cut(self._last.image, matrix, self._spec.input_px), landmarks, matrix, index)


def _placed(
    stage: Stage,
    frame: Frame,
    driven: DrivenFrame,
    driver: AlignedFace,
    decoded: SwappedFace,
    predictor: SwapPredictor,
) -> DecodedFace:
    """The decoded face over the target's, with its region, its soft edge and its colours."""
    spec, px = predictor.spec, decoded.crop.shape[0]
    matrix = frame_to_crop(driven.source, px=spec.input_px, framing=spec.framing)
    target = cut(frame.image, resized(matrix, spec.input_px, px), px).astype(np.float32) / 255
    placed = SwappedFace(decoded.crop, None, resized(matrix, spec.input_px, px))
    outline = _outline(map_points(placed.frame_to_crop, driven.source), px, stage.config.regions)
    # Where the driver's head is turned a little differently, what is beside it was decoded too: that is no face.
    turned = map_points(resized(driver.frame_to_crop, spec.input_px, px), driver.landmarks)
    outline = np.minimum(outline, hull_mask(turned, px, "components"))
    soft, region = _soft_and_region(outline, warp_reach(placed.frame_to_crop))
    soft *= driven.weight
    method = stage.config.color.method
    hull = hull_mask(map_points(placed.frame_to_crop, driven.source), px, "components")
    color = fit_color(method, placed.crop, target, hull) if method in AFFINE else None
    return DecodedFace(driven.track, placed, soft, region, driven.source, color)


def _soft_and_region(outline: np.ndarray, reach_px: float) -> tuple[np.ndarray, np.ndarray]:
    """What shows of a crop, and the region, wider by ``reach_px``: over that the warp into the frame mixes.

    Both (S, S) float32.
    """
    soft = feather(cv2.erode(outline, np.ones((3, 3), np.uint8)), _FEATHER * len(outline))
    soft = np.clip((soft - _LEAST) / (1 - _LEAST), 0, 1).astype(np.float32)
    reach = math.ceil(reach_px)
    for edge in (soft[:reach], soft[-reach:], soft[:, :reach], soft[:, -reach:]):
        edge[:] = 0
    return soft, erode((soft > 0).astype(np.float32), -reach)


def _outline(landmarks: np.ndarray, px: int, regions: Sequence[str]) -> np.ndarray:
    """(px, px) float32: the whole face, or the mouth with the chin."""
    if len(regions) > 1:
        return hull_mask(landmarks, px, "components")
    points = landmarks[list(_MOUTH)]
    centre = points.mean(0)
    outline = cv2.convexHull((centre + _MOUTH_MARGIN * (points - centre)).astype(np.float32))
    canvas = np.zeros((4 * px, 4 * px), np.uint8)
    cv2.fillConvexPoly(canvas, np.rint((outline + 0.5) * 4 - 0.5).astype(np.int32), 255)
    return cv2.resize(canvas, (px, px), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
