"""Inference: swapped faces from aligned faces.

The one place that handles evaluation mode, inference mode, precision, memory layout and batching of a swapper.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from forge.models.checkpoint import load_swapper
from forge.models.contract import Swap, Swapper, SwapSpec
from shared.device import Device, Precision, pick_device
from shared.errors import CheckpointError, UsageError
from shared.faces.align import resized
from shared.types import AlignedFace, SwappedFace


class SwapPredictor:
    """Swaps faces to another identity.

    Changes the module in place: it is moved, put in evaluation mode, and its convolutions and dense layers are cast
    to the device's autocast type once, which spares a cast of all weights in every batch and computes the same.

    Attributes:
        spec: inputs, outputs and options of the swapper.
        device: the device it runs on.
    """

    def __init__(self, swapper: Swapper, device: Device | None = None, *, batch: int = 16) -> None:
        if batch < 1:
            raise UsageError(f"batch must be 1 or more, got {batch}", hint="16 is a good size")
        self.device = device or pick_device()
        self.spec: SwapSpec = swapper.spec
        self._batch = batch
        self._swapper = _ready(swapper, self.device)

    @classmethod
    def load(cls, path: str | Path, device: str | Device = "auto", *, precision: Precision = "auto") -> SwapPredictor:
        """The predictor of an exported swapper, or of the newest state of a training run.

        Raises:
            CheckpointError: ``path`` holds no readable swapper.
            UsageError: no such device.
        """
        place = pick_device(device, precision) if isinstance(device, str) else device
        return cls(load_swapper(Path(path), place.torch_device), place)

    def swap(
        self, faces: Sequence[AlignedFace], source: str, *, target: str | None = None, morph: float = 1.0
    ) -> list[SwappedFace]:
        """The ``faces`` swapped to ``source``, in order; crops of ``spec.output_px``, see :class:`SwappedFace`.

        Args:
            faces: aligned as ``spec`` asks.
            source: the identity to swap to.
            target: the identity of ``faces``; required for a morph, and then one of ``spec.identities``.
            morph: share of ``source`` in the result, the rest is ``target``; 1 is a plain swap.

        Raises:
            UsageError: the swapper knows no ``source``, or a crop is not of ``spec.input_px``; or the morph is not 1
                and the swapper cannot morph, no known ``target`` is named, or it is no share from 0 to 1.
            CheckpointError: the swapper gave a value that is not finite.
        """
        self._swapper.check_identity(source)
        between = None if morph == 1 else (self._checked_target(target), morph)
        for face in faces:
            if face.crop.shape[0] != self.spec.input_px:
                raise UsageError(
                    f"{self.spec.name} takes crops of {self.spec.input_px} px, got {face.crop.shape[0]} px",
                    hint="align with the size and framing of the swapper's spec",
                )
        return [result for group in self._groups(faces) for result in self._swap_group(group, source, between)]

    def _checked_target(self, target: str | None) -> str:
        if target is None:
            raise UsageError(
                "a morph needs the identity of the faces",
                hint=f"name the target, one of {', '.join(self.spec.identities)}",
            )
        return target

    def _groups(self, faces: Sequence[AlignedFace]) -> Iterator[Sequence[AlignedFace]]:
        for start in range(0, len(faces), self._batch):
            yield faces[start : start + self._batch]

    def _decode(self, pixels: Tensor, source: str, between: tuple[str, float] | None) -> Swap:
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        with torch.inference_mode(), self.device.autocast():
            if between is None:
                return self._swapper(pixels, source)
            return self._swapper.decode_between(self._swapper.encode(pixels), source, *between)

    def _swap_group(
        self, faces: Sequence[AlignedFace], source: str, between: tuple[str, float] | None
    ) -> list[SwappedFace]:
        stacked = torch.from_numpy(np.stack([face.crop for face in faces]))
        pixels = stacked.to(self.device.torch_device).permute(0, 3, 1, 2).float() / 255
        swap = self._decode(pixels, source, between)
        crops = self._checked(swap.rgb).permute(0, 2, 3, 1).contiguous().numpy()
        masks = None if swap.mask is None else self._checked(swap.mask)[:, 0].contiguous().numpy()
        return [
            SwappedFace(
                crop=crops[i],
                mask=None if masks is None else masks[i],
                frame_to_crop=resized(face.frame_to_crop, self.spec.input_px, self.spec.output_px),
            )
            for i, face in enumerate(faces)
        ]

    def _checked(self, values: Tensor) -> Tensor:
        values = values.float().cpu()
        if not torch.isfinite(values).all():
            raise CheckpointError(
                f"the swapper {self.spec.name} gives values that are not numbers",
                hint="its training diverged or its file is damaged; use an earlier checkpoint",
            )
        return values.clamp(0.0, 1.0)


def _ready(swapper: Swapper, device: Device) -> Swapper:
    swapper = swapper.to(device.torch_device).eval().requires_grad_(False)
    if device.autocast_dtype is not None:
        for module in swapper.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                module.to(device.autocast_dtype)
    return swapper.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
