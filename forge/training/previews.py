"""Training previews: a sheet of faces and swaps, and a plot of the losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from forge.models import Swapper
from forge.training.data import FaceBank
from forge.training.losses import sharpness, ssim
from shared.device import Device
from shared.plots import figure, png
from shared.sampling import evenly_spaced

_CELL_PX = 128
_LABEL_PX = 18
_FACES = 6
_MOST_IDENTITIES = 4
_MOST_DIRECTIONS = 12
_SMALL_CELL_PX = 96
_SPACE = (24, 24, 24)
_INK = (235, 235, 235)


class Measured(NamedTuple):
    """Reconstruction quality of one identity, inside the face.

    ``ssim`` is the mean structural similarity (11x11), ``sharpness`` the median ratio of the Laplacian variances of
    the reconstructed and the true face, ``faces`` the number measured.
    """

    ssim: float
    sharpness: float
    faces: int


def preview(swapper: Swapper, banks: Sequence[FaceBank], device: Device, *, faces: int = _FACES) -> np.ndarray:
    """(H, W, 3) uint8 RGB: for each identity a block of rows, one column per face.

    Rows: the face itself, its own reconstruction, then its swap into every other identity; pixels outside
    the learned mask are darkened. At most the first four identities are shown.
    """
    shown = banks[:_MOST_IDENTITIES]
    names = [bank.identity for bank in shown]
    rows = []
    for bank in shown:
        others = [name for name in names if name != bank.identity]
        still = bank.still(evenly_spaced(len(bank), faces), swapper.spec)
        decoded = decode_all(swapper, still.input, [bank.identity, *others], device)
        rows.append(_row(still.target, None, bank.identity))
        for name, (rgb, mask) in decoded.items():
            label = f"{bank.identity} again" if name == bank.identity else f"{bank.identity} as {name}"
            rows.append(_row(rgb, mask, label))
    return np.concatenate([_pad_to(row, max(row.shape[1] for row in rows)) for row in rows])


def direction_sheet(swapper: Swapper, banks: Sequence[FaceBank], device: Device) -> np.ndarray:
    """(H, W, 3) uint8 RGB: all swap directions, one row per face, one column per decoder; the faces are on the left.

    The diagonal holds reconstructions. Of more than twelve identities twelve are shown, evenly spaced.
    """
    shown = [banks[place] for place in evenly_spaced(len(banks), _MOST_DIRECTIONS)]
    names = [bank.identity for bank in shown]
    rows = []
    for bank in shown:
        still = bank.still([len(bank) // 2], swapper.spec)
        decoded = decode_all(swapper, still.input, names, device)
        faces = torch.cat([still.target, *(rgb for rgb, _ in decoded.values())])
        rows.append(_row(faces, None, f"{bank.identity}, then as {', '.join(names)}", cell_px=_SMALL_CELL_PX))
    return np.concatenate(rows)


def decode_all(
    swapper: Swapper, faces: Tensor, identities: Sequence[str], device: Device
) -> Mapping[str, tuple[Tensor, Tensor | None]]:
    """``faces`` (B, 3, S, S) decoded as each of ``identities``: colour and mask, float32. Keeps the module's mode."""
    was_training = swapper.training
    swapper.eval()
    with torch.no_grad(), device.autocast():
        latent = swapper.encode(faces.contiguous(memory_format=torch.channels_last))
        decoded = {name: swapper.decode(latent, name) for name in identities}
    swapper.train(was_training)
    return {name: (one.rgb.float(), None if one.mask is None else one.mask.float()) for name, one in decoded.items()}


def measure(swapper: Swapper, bank: FaceBank, device: Device, *, faces: int = 64) -> Measured:
    """Reconstruction quality of ``swapper`` on the faces of ``bank``."""
    chosen = evenly_spaced(len(bank), faces)
    still = bank.still(chosen, swapper.spec)
    rgb, _ = decode_all(swapper, still.input, [bank.identity], device)[bank.identity]
    ratio = sharpness(rgb, still.mask) / sharpness(still.target, still.mask).clamp_min(1e-6)
    return Measured(float(ssim(rgb, still.target, still.mask)), float(ratio.median()), len(chosen))


def loss_plot(metrics: Sequence[Mapping[str, float]]) -> bytes:
    """A PNG of every ``loss*`` in ``metrics`` (the lines of ``metrics.jsonl``) over the steps, logarithmic."""
    with figure(8, 4, dpi=110, style={}) as plot:
        axes = plot.add_subplot()
        for name in sorted({name for line in metrics for name in line if name.startswith("loss")}):
            points = [(line["step"], line[name]) for line in metrics if line.get(name, 0) > 0]
            axes.plot(*zip(*points, strict=True), label=name, linewidth=1) if points else None
        axes.set(xlabel="step", ylabel="loss", yscale="log")
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend()
        return png(plot)


def _row(faces: Tensor, masks: Tensor | None, label: str, *, cell_px: int = _CELL_PX) -> np.ndarray:
    """One row of cells with its label above."""
    images = faces if masks is None else faces * (0.35 + 0.65 * masks)
    cells = strip(images, cell_px)
    head = np.full((_LABEL_PX, cells.shape[1], 3), _SPACE, np.uint8)
    text = label.encode("ascii", "replace").decode()
    cv2.putText(head, text, (4, _LABEL_PX - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.42, _INK, 1, cv2.LINE_AA)
    return np.concatenate([head, cells])


def strip(images: Tensor, cell_px: int) -> np.ndarray:
    """``images`` (B, 3, S, S) in 0 to 1 side by side, as cells of side ``cell_px``: (H, W, 3) uint8."""
    pixels = (images.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    return np.hstack([cv2.resize(cell, (cell_px, cell_px), interpolation=cv2.INTER_CUBIC) for cell in pixels])


def _pad_to(row: np.ndarray, width: int) -> np.ndarray:
    padded = np.full((row.shape[0], width, 3), _SPACE, np.uint8)
    padded[:, : row.shape[1]] = row
    return padded
