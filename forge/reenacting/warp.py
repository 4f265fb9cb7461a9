"""``reenact-warp``: the pixels of the target's own frame, moved by local motions that a trained network mixes.

What is driven is as for ``reenact-affine``: the same plan, the same region, and the same correction by what the finder
sees. The network needs one picture, the frame itself, and no training on the person. Its flow is applied to the frame
at the frame's size; only what it paints between lips and lids has the size of its crop. Towards the edge of the region
both fade to nothing, so that no seam is left. See :mod:`forge.reenacting.networks.warp`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable

import cv2
import numpy as np
import torch

from forge.reenacting.affine import composited
from forge.reenacting.correction import can_correct, corrected, correction_facts
from forge.reenacting.families import Stage
from forge.reenacting.mesh import Moved, moved_pixels, places_in, sampled, vertices_of
from forge.reenacting.networks.checkpoint import load_reenactor
from forge.reenacting.networks.warp import WarpReenactor
from forge.reenacting.shape import EYES
from forge.reenacting.transfer import LIPS, DrivenFrame
from forge.swapping.blend import Patch, paste
from forge.swapping.stages import CompositedFrame
from shared.device import Device, pick_device
from shared.errors import CheckpointError, UsageError
from shared.faces.align import cut, map_points
from shared.types import Frame

_FADE = 0.06
"""Face units over which motion and painting set in from the edge of the region."""

_LEAST_FADE_PX = 4.0

_PAINT_FROM = 0.02
"""Face units that lips or lids have to move for all of what is painted to show: at rest the picture is the target's."""

_OPAQUE = 0.1
_NOSE_BASE = 33


def moved_frames(stage: Stage, frames: Iterable[Frame]) -> Generator[CompositedFrame, None, None]:
    """Every frame with its planned face driven, in order.

    Raises:
        CheckpointError: the network cannot be read, is of another family, or gives values that are not numbers.
        MediaError: the target cannot be read to its end.
    """
    driver = FlowDriver.of(stage)
    plan = stage.drive
    if stage.finder is not None and can_correct(stage.finder):
        plan, left = corrected(plan, stage.read_target, driver.picture, stage.finder, stage.config)
        stage.facts.update(correction_facts(left))
    return composited(frames, plan, driver.patch)


class FlowDriver:
    """Drives faces by a network; made by :meth:`of`."""

    def __init__(self, net: WarpReenactor, device: Device) -> None:
        self._net, self._device = net, device

    @classmethod
    def of(cls, stage: Stage) -> FlowDriver:
        """With the network of ``stage``.

        Raises:
            CheckpointError: the network cannot be read, or is of another family.
        """
        device = pick_device(stage.config.device, stage.config.precision)
        if stage.network is None:
            raise UsageError("reenact-warp needs a network", hint="give --run: one of assay forge train-reenactor")
        loaded = load_reenactor(stage.network, device.torch_device)
        if not isinstance(loaded.net, WarpReenactor):
            raise CheckpointError(f"{stage.network} is of family {loaded.card.family}", hint="name it as --family")
        stage.facts["network_knows_target"] = "yes" if loaded.card.knows(stage.person) else "no"
        if "mouth" in stage.config.regions:
            stage.facts["mouth_inside"] = "painted by the network"
        return cls(loaded.net, device)

    def picture(self, image: np.ndarray, driven: DrivenFrame) -> np.ndarray | None:
        """(H, W, 3) uint8: ``image`` with the face driven; None where nothing moves."""
        patch = self.patch(image, driven)
        return None if patch is None else paste(image, patch)

    def patch(self, image: np.ndarray, driven: DrivenFrame) -> Patch | None:
        """The driven part of ``image`` (H, W, 3) uint8; None where nothing moves.

        Raises:
            CheckpointError: the network gave values that are not numbers.
        """
        height, width = image.shape[:2]
        before = vertices_of(driven.source)
        after = before.copy()
        after[:68] = driven.aim
        moved = moved_pixels(before, after, width=width, height=height)
        if moved is None:
            return None
        fade = _fade(moved, _FADE / driven.placement.units_per_px)
        matrix = self._net.spec.frame_to_crop(driven.source)
        flow, painted, share = self._made(image, matrix, driven)
        places = places_in(moved.bounds)
        there = map_points(matrix, places.reshape(-1, 2).astype(np.float64)).reshape(places.shape).astype(np.float32)
        shift = _at(flow, there) @ np.linalg.inv(matrix[:, :2]).T.astype(np.float32)
        rgb = sampled(image, places + fade[..., None] * shift)
        cover = (fade * np.clip(_at(share, there), 0, 1))[..., None]
        rgb += cover * (_at(painted, there) - rgb)
        alpha = np.where(moved.support, np.clip(fade / _OPAQUE, 0, 1), 0).astype(np.float32)
        return Patch(moved.bounds, np.clip(rgb, 0, 255).astype(np.float32), alpha, moved.support.astype(np.float32))

    def _made(
        self, image: np.ndarray, matrix: np.ndarray, driven: DrivenFrame
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Over the crop: flow (S, S, 2) in its pixels, levels (S, S, 3) that are painted, the share (S, S) that shows.

        Where lips or lids rest, nothing that is painted shows.
        """
        device = self._device.torch_device
        crop = torch.from_numpy(cut(image, matrix, self._net.spec.px)).permute(2, 0, 1)[None].float() / 255
        source, aim = map_points(matrix, driven.source), map_points(matrix, driven.aim)
        here, there = (torch.from_numpy(one).float()[None].to(device) for one in (source, aim))
        with torch.inference_mode(), self._device.autocast():
            made = self._net(crop.to(device), here, there)
        flow = made.flow[0].float().cpu().numpy()
        painted = made.painted[0].permute(1, 2, 0).float().cpu().numpy() * 255
        share = made.share[0, 0].float().cpu().numpy()
        if not all(np.isfinite(one).all() for one in (flow, painted, share)):
            raise CheckpointError("the network gave values that are not numbers", hint="train it again")
        way = np.linalg.norm(driven.aim - driven.source, axis=1) * driven.placement.units_per_px
        eyes, lips = (float(np.clip(way[list(part)].max() / _PAINT_FROM, 0, 1)) for part in (sum(EYES, ()), LIPS))
        rows = np.arange(len(share))[:, None]
        return flow, painted, share * np.where(rows < aim[_NOSE_BASE, 1], eyes, lips).astype(np.float32)


def _fade(moved: Moved, reach_px: float) -> np.ndarray:
    """(h, w) float32: 0 at the edge of the region and beyond, 1 from ``reach_px`` inside on."""
    inside = cv2.distanceTransform(np.pad(moved.support.astype(np.uint8), 1), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    share = np.clip(inside[1:-1, 1:-1] / max(reach_px, _LEAST_FADE_PX), 0, 1)
    return (share * share * (3 - 2 * share)).astype(np.float32)


def _at(values: np.ndarray, there: np.ndarray) -> np.ndarray:
    """``values`` (S, S, ...) of a crop at places (h, w, 2) of it, by cubic interpolation."""
    return cv2.remap(values, there, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
