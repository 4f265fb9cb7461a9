"""Training previews: a sheet of faces and swaps, and a plot of the losses."""

from __future__ import annotations

import unicodedata
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

_COLUMNS = 8
_CELL_PX = 128
_SMALL_PX = 64
_MOST_SMALL = 48
_LABEL_PX = 18
_NAMES_PX = 120
_FONT, _FONT_SIZE = cv2.FONT_HERSHEY_SIMPLEX, 0.42
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


def preview_sheet(
    swapper: Swapper, banks: Sequence[FaceBank], device: Device, title: str = "", *, one_decoder: bool = False
) -> np.ndarray:
    """(H, W, 3) uint8 RGB of bounded size: faces of the people, and what each decoder makes of them.

    A column for each face, with its person's name; of more than eight people eight are shown, evenly spaced, and of
    fewer several faces. The first row holds the faces; then each shown person has a row of all faces as that person. A
    white frame marks a face as its own person, the reconstruction; pixels outside the learned mask are darkened. With
    ``one_decoder``, of a population, the only row is "again".

    Of more than eight people a face and its reconstruction of up to 48 follow, in small.
    """
    shown = [banks[place] for place in evenly_spaced(len(banks), _COLUMNS)]
    stills = [bank.still(evenly_spaced(len(bank), max(1, _COLUMNS // len(shown))), swapper.spec) for bank in shown]
    owners = [number for number, still in enumerate(stills) for _ in still.target]
    names = [bank.identity for bank in shown][: 1 if one_decoder else None]
    decoded = decode_all(swapper, torch.cat([still.input for still in stills]), names, device)
    heads = [_named(bank.identity, len(still.target) * _CELL_PX) for bank, still in zip(shown, stills, strict=True)]
    rows = [np.hstack([_named("", _NAMES_PX), *heads]), _row("face", torch.cat([still.target for still in stills]))]
    for number, (name, (rgb, mask)) in enumerate(decoded.items()):
        row = _row("again" if one_decoder else f"as {name}", rgb if mask is None else rgb * (0.35 + 0.65 * mask))
        for place, owner in enumerate(owners):
            if owner == number and not one_decoder:
                left = _NAMES_PX + place * _CELL_PX
                cv2.rectangle(row, (left, 0), (left + _CELL_PX - 1, _CELL_PX - 1), _INK, 2)
        rows.append(row)
    said = f"{title}, {len(shown)} of them shown" if len(shown) < len(banks) else title
    rows.insert(0, _named(said, rows[0].shape[1]))
    return np.concatenate([*rows, *(_everyone(swapper, banks, device) if len(shown) < len(banks) else [])])


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
        names = sorted({name for line in metrics for name in line if name.startswith("loss")})
        for name in names if len(names) <= _COLUMNS + 1 else ["loss"]:
            points = [(line["step"], line[name]) for line in metrics if line.get(name, 0) > 0]
            axes.plot(*zip(*points, strict=True), label=name, linewidth=1) if points else None
        axes.set(xlabel="step", ylabel="loss", yscale="log")
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend()
        return png(plot)


def strip(images: Tensor, cell_px: int) -> np.ndarray:
    """``images`` (B, 3, S, S) in 0 to 1 side by side, as cells of side ``cell_px``: (H, W, 3) uint8."""
    pixels = (images.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    return np.hstack([cv2.resize(cell, (cell_px, cell_px), interpolation=cv2.INTER_CUBIC) for cell in pixels])


def _everyone(swapper: Swapper, banks: Sequence[FaceBank], device: Device) -> list[np.ndarray]:
    """Rows of pairs, a face and its reconstruction, of up to 48 people, as wide as a sheet of eight columns."""
    shown = [banks[place] for place in evenly_spaced(len(banks), _MOST_SMALL)]
    width, block = _NAMES_PX + _COLUMNS * _CELL_PX, (_NAMES_PX + _COLUMNS * _CELL_PX) // _COLUMNS
    blocks = []
    for bank in shown:
        still = bank.still([len(bank) // 2], swapper.spec)
        rgb, _ = decode_all(swapper, still.input, [bank.identity], device)[bank.identity]
        pair = _padded(strip(torch.cat([still.target, rgb]), _SMALL_PX), block)
        blocks.append(np.concatenate([_named(bank.identity, block), pair]))
    rows = [np.hstack(blocks[first : first + _COLUMNS]) for first in range(0, len(blocks), _COLUMNS)]
    said = "a face of each and its reconstruction" if len(shown) == len(banks) else f"{len(shown)} of {len(banks)}"
    return [_named("", width), _named(said, width), *(_padded(row, width) for row in rows)]


def _row(label: str, images: Tensor) -> np.ndarray:
    """A row of cells with its label on the left."""
    side = np.full((_CELL_PX, _NAMES_PX, 3), _SPACE, np.uint8)
    above = (_CELL_PX - _LABEL_PX) // 2
    side[above : above + _LABEL_PX] = _named(label, _NAMES_PX)
    return np.hstack([side, strip(images, _CELL_PX)])


def _named(text: str, width: int) -> np.ndarray:
    """(18, width, 3) uint8: ``text`` in Latin letters without accents, cut short where it is too long."""
    shown = np.full((_LABEL_PX, width, 3), _SPACE, np.uint8)
    plain = "".join(each for each in unicodedata.normalize("NFKD", text) if not unicodedata.combining(each))
    plain = whole = plain.encode("ascii", "replace").decode()
    while plain and cv2.getTextSize(plain, _FONT, _FONT_SIZE, 1)[0][0] > width - 8:
        whole = whole[:-1]
        plain = f"{whole}.." if whole else ""
    cv2.putText(shown, plain, (4, _LABEL_PX - 5), _FONT, _FONT_SIZE, _INK, 1, cv2.LINE_AA)
    return shown


def _padded(row: np.ndarray, width: int) -> np.ndarray:
    padded = np.full((row.shape[0], width, 3), _SPACE, np.uint8)
    padded[:, : row.shape[1]] = row
    return padded
