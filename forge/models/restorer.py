"""A small network that sharpens a face crop and doubles its side, as face restorers of public tools do.

Public fakes of today mostly carry a restorer's texture (GFPGAN, CodeFormer), whose weights may not be given away here.
This one is our own: half a million parameters, trained on free photographs by :mod:`forge.training.restoring`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from forge.models.blocks import RESIDUAL_SLOPE, Residual, Up
from shared.errors import CheckpointError
from shared.storage import sha256_file
from shared.training.checkpoint import read_checkpoint, write_checkpoint

RESTORER_FILE = Path(__file__).parent / "weights" / "restorer" / "model.safetensors"
"""Weights of the restorer in the package."""

FACTOR = 2
"""How many times larger the output's side is."""

_KIND = "assay-restorer-1"
_SHUFFLE = 2
_CHANNELS, _BLOCKS = 64, 6
_WIDE, _FINE = 32, 16


class Restorer(nn.Module):
    """(B, 3, S, S) in [0, 1] RGB -> (B, 3, 2 S, 2 S), S even: the bicubic enlargement and a learned correction.

    Most layers work at S / 2 (pixel unshuffle, Shi et al. 2016), which keeps it cheap on a CPU. Two sub-pixel
    convolutions follow, each with a plain one behind it that can even out their pattern.
    """

    def __init__(self, channels: int = _CHANNELS, blocks: int = _BLOCKS) -> None:
        super().__init__()
        self.enter = nn.Conv2d(3 * _SHUFFLE**2, channels, 3, padding=1)
        self.body = nn.Sequential(*(Residual(channels) for _ in range(blocks)))
        self.up = nn.Sequential(
            Up(channels, _WIDE, slope=RESIDUAL_SLOPE), Residual(_WIDE), Up(_WIDE, _FINE, slope=RESIDUAL_SLOPE)
        )
        self.out = nn.Conv2d(_FINE, 3, 3, padding=1)
        nn.init.zeros_(self.out.weight)
        if self.out.bias is not None:
            nn.init.zeros_(self.out.bias)

    @override
    def forward(self, faces: Tensor) -> Tensor:
        inner = self.enter(nn.functional.pixel_unshuffle(faces, _SHUFFLE))
        correction = self.out(self.up(inner + self.body(inner))).float()
        return nn.functional.interpolate(faces.float(), scale_factor=FACTOR, mode="bicubic") + correction


def save_restorer(restorer: Restorer, path: Path, facts: Mapping[str, Any]) -> Path:
    """Writes the weights in half precision, with ``facts`` of the training, to ``path``; returns it.

    Raises:
        StorageError: writing failed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    half = {name: value.half() for name, value in restorer.state_dict().items()}
    write_checkpoint(path, half, {"kind": _KIND, "facts": dict(facts)})
    return path


def load_restorer(path: Path = RESTORER_FILE, device: torch.device | str = "cpu") -> Restorer:
    """The restorer whose weights are in ``path``, in evaluation mode.

    Raises:
        CheckpointError: the file is missing, damaged, or of something else.
    """
    _need_file(path)
    tensors, document = read_checkpoint(path, device=str(device))
    if document.get("kind") != _KIND:
        raise CheckpointError(f"{path} holds no restorer", hint="choose a file that a restorer's training wrote")
    with torch.device(device):
        restorer = Restorer()
    try:
        restorer.load_state_dict({name: value.float() for name, value in tensors.items()})
    except RuntimeError as error:
        raise CheckpointError(f"{path} does not fit the restorer: {error}", hint="it is of another release") from error
    return restorer.to(memory_format=torch.channels_last).eval()


def restorer_digest() -> str:
    """SHA-256, hex, of the weights in the package, for the record of a fake.

    Raises:
        CheckpointError: there are none.
    """
    _need_file(RESTORER_FILE)
    return sha256_file(RESTORER_FILE)


def _need_file(path: Path) -> None:
    if not path.is_file():
        raise CheckpointError(
            f"{path} cannot be read: there is no such file",
            hint="install the package again; in a checkout: python -m benchmarks restorer FOLDER --out FILE",
        )


@torch.inference_mode()
def restored(restorer: Restorer, crop: np.ndarray) -> np.ndarray:
    """``crop``, (S, S, 3) uint8 RGB with S even, restored: (2 S, 2 S, 3) uint8."""
    device = next(restorer.parameters()).device
    faces = torch.from_numpy(crop).to(device).permute(2, 0, 1)[None].float() / 255
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type != "cpu"):
        found = restorer(faces.contiguous(memory_format=torch.channels_last))
    return found[0].clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).cpu().numpy()
