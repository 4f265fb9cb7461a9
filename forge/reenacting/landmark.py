"""``reenact-landmark``: the driven region of the target's own face, filled in by a trained network.

What is driven is as for ``reenact-affine``: the same plan, and the same correction by what the finder sees. The network
gets the crop without the region, maps of where the landmarks are to be, and two frames of the target: the one at rest
and the one with the widest open mouth. See :mod:`forge.reenacting.networks.landmark`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from forge.reenacting.affine import composited
from forge.reenacting.correction import can_correct, corrected, correction_facts
from forge.reenacting.families import Stage, picture_at
from forge.reenacting.networks.checkpoint import load_reenactor
from forge.reenacting.networks.landmark import MARGIN, LandmarkReenactor, erased, soft_edge
from forge.reenacting.networks.maps import EYE_PARTS, MOUTH_PART, drive_maps, region_masks
from forge.reenacting.transfer import DrivenFrame
from forge.swapping.blend import Patch, paste, place
from forge.swapping.stages import CompositedFrame
from shared.device import Device, pick_device
from shared.errors import CheckpointError, UsageError
from shared.faces.align import cut, map_points
from shared.types import Frame, SwappedFace

_STILL_PX = 0.02
_LEAST_REGION = 1 / 255


def filled_frames(stage: Stage, frames: Iterable[Frame]) -> Generator[CompositedFrame, None, None]:
    """Every frame with the driven region of its planned face filled in, in order.

    Raises:
        CheckpointError: the network cannot be read, is of another family, or gives values that are not numbers.
        MediaError: the target cannot be read to its end.
    """
    filler = Filler.of(stage)
    plan = stage.drive
    if stage.finder is not None and can_correct(stage.finder):
        plan, left = corrected(plan, stage.read_target, filler.picture, stage.finder, stage.config)
        stage.facts.update(correction_facts(left))
    return composited(frames, plan, filler.patch)


class Filler:
    """Fills in driven regions; made by :meth:`of`."""

    def __init__(self, net: LandmarkReenactor, looks: Sequence[Tensor], regions: Sequence[str], device: Device) -> None:
        self._net, self._looks, self._device = net, looks, device
        self._parts = [MOUTH_PART] if "mouth" in regions else []
        self._parts += EYE_PARTS if {"brows", "eyes"} & set(regions) else []
        self._points = sorted({point for part in self._parts for point in part} | set(range(60, 68)))

    @classmethod
    def of(cls, stage: Stage) -> Filler:
        """For the target of ``stage``, with what the target looks like.

        Raises:
            CheckpointError: the network cannot be read, or is of another family.
        """
        device = pick_device(stage.config.device, stage.config.precision)
        if stage.network is None:
            raise UsageError("reenact-landmark needs a network", hint="give --run: one of assay forge train-reenactor")
        loaded = load_reenactor(stage.network, device.torch_device)
        if not isinstance(loaded.net, LandmarkReenactor):
            raise CheckpointError(f"{stage.network} is of family {loaded.card.family}", hint="name it as --family")
        net, target = loaded.net, stage.target
        places = [target.place_of(stage.drive.target_neutral), target.widest_mouth()]
        shown = [int(target.frames[place]) for place in places]
        stage.facts["source_frames"] = ",".join(map(str, shown))
        stage.facts["network_knows_target"] = "yes" if loaded.card.knows(stage.person) else "no"
        crops = [_cropped(picture_at(stage.read_target, frame), net, target.landmarks[place])
                 for frame, place in zip(shown, places, strict=True)]  # fmt: skip
        sources, points = torch.stack([one for one, _ in crops]), torch.stack([one for _, one in crops])
        maps = drive_maps(points, net.spec.px)
        with torch.inference_mode(), device.autocast():
            looks = net.looks(sources[None].to(device.torch_device), maps[None].to(device.torch_device))
        return cls(net, looks, stage.config.regions, device)

    def picture(self, image: np.ndarray, driven: DrivenFrame) -> np.ndarray | None:
        """(H, W, 3) uint8: ``image`` with the face driven; None where nothing moves."""
        patch = self.patch(image, driven)
        return None if patch is None else paste(image, patch)

    def patch(self, image: np.ndarray, driven: DrivenFrame) -> Patch | None:
        """The driven part of ``image`` (H, W, 3) uint8; None where nothing moves.

        Raises:
            CheckpointError: the network gave values that are not numbers.
        """
        if np.abs(driven.aim - driven.source)[self._points].max() < _STILL_PX:
            return None
        px, place_ = self._net.spec.px, self._device.torch_device
        matrix = self._net.spec.frame_to_crop(driven.source)
        crop, source = _cropped(image, self._net, driven.source)
        aim = torch.from_numpy(map_points(matrix, driven.aim)).float()[None]
        region = region_masks([source[None], aim], px, self._parts, [MARGIN])
        with torch.inference_mode(), self._device.autocast():
            seen = erased(crop[None], region).to(place_)
            made = self._net.filled(seen, drive_maps(aim, px).to(place_), self._looks)
        pixels = made[0].permute(1, 2, 0).float().cpu().numpy()
        if not np.isfinite(pixels).all():
            raise CheckpointError("the network gave values that are not numbers", hint="train it again")
        alpha = soft_edge(region)[0, 0].numpy() * driven.weight
        height, width = image.shape[:2]
        face = SwappedFace(pixels, None, matrix)
        patch = place(face, alpha.astype(np.float32), region[0, 0].numpy(), width=width, height=height, prefilter=True)
        # Interpolated apart from each other, the two end at different pixels.
        return patch and replace(patch, alpha=np.where(patch.region < _LEAST_REGION, 0, patch.alpha))


def _cropped(image: np.ndarray, net: LandmarkReenactor, landmarks: np.ndarray) -> tuple[Tensor, Tensor]:
    """The crop (3, S, S) in [0, 1] of a face with ``landmarks`` (68, 2), and where they are in it, (68, 2)."""
    matrix = net.spec.frame_to_crop(landmarks)
    crop = torch.from_numpy(cut(image, matrix, net.spec.px)).permute(2, 0, 1).float() / 255
    return crop, torch.from_numpy(map_points(matrix, landmarks)).float()
