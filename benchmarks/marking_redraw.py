"""An attack on the mark by regeneration: pictures are redrawn by a small autoencoder, trained on the spot.

Three strided convolutions leave 16 numbers of each 8 x 8 pixels (a twelfth of what the picture has), three upsampling
steps draw it again. It is trained on crops of portraits that carry no mark, for the mean absolute error alone: it knows
nothing of the mark and is not trained against its reader.
"""

from __future__ import annotations

import math
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.marking import Survival, clips, read_frames
from benchmarks.marking_cases import Clip
from benchmarks.schema import Measurement
from shared.device import seed_everything
from shared.marking.embed import MarkWriter
from shared.marking.payload import Payload
from shared.video.images import is_picture, read_picture

CASE = "limit: redrawn by an autoencoder of our own"
_PAYLOAD = Payload.of("swap", "5eed15")
_STRIDE, _LATENT, _WIDTH = 8, 16, 48
_STEPS, _BATCH, _CROP = 500, 8, 64
_FRAMES, _EVERY = 10, 3
_PICTURES = 80


class Redrawer(nn.Module):
    """A convolutional autoencoder for pictures of any size whose sides are multiples of 8."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, _WIDTH, 4, 2, 1), nn.LeakyReLU(0.1),
            nn.Conv2d(_WIDTH, _WIDTH, 4, 2, 1), nn.LeakyReLU(0.1),
            nn.Conv2d(_WIDTH, _WIDTH, 4, 2, 1), nn.LeakyReLU(0.1),
            nn.Conv2d(_WIDTH, _LATENT, 1),
        )  # fmt: skip
        self.decoder = nn.Sequential(
            nn.Conv2d(_LATENT, 4 * _WIDTH, 3, 1, 1), nn.PixelShuffle(2), nn.LeakyReLU(0.1),
            nn.Conv2d(_WIDTH, 4 * _WIDTH, 3, 1, 1), nn.PixelShuffle(2), nn.LeakyReLU(0.1),
            nn.Conv2d(_WIDTH, 12, 3, 1, 1), nn.PixelShuffle(2),
        )  # fmt: skip

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> the same, redrawn."""
        return self.decoder(self.encoder(pictures - 0.5)) + 0.5


def redrawn(media: Path | None, *, most: int, minutes: float, side_px: int, steps: int = _STEPS) -> list[Measurement]:
    """The share of marks read after every third clip's first ten frames were redrawn, and how like they still are."""
    if media is None:
        return []
    model = _trained(media, steps)
    table, likeness = Survival(), []
    ends = time.monotonic() + 60 * minutes
    for place, (_, clip) in enumerate(clips(media, most, side_px)):
        if time.monotonic() > ends:
            break
        if place % _EVERY:
            continue
        writer = MarkWriter(_PAYLOAD)
        marked = [writer.mark(image) for image in clip[:_FRAMES]]
        again = _redraw(model, marked)
        table.take(CASE, read_frames(again))
        likeness.append(_psnr(marked, again))
    if not likeness:
        return []
    return [*table.measurements(), Measurement.of("PSNR of redrawn pictures to the marked ones", "dB", likeness)]


def _trained(media: Path, steps: int) -> Redrawer:
    seed_everything(15)
    rng = np.random.default_rng(15)
    paths = sorted(path for path in (media / "real_faces").iterdir() if is_picture(path))
    pictures = [_small(read_picture(path)) for path in paths[:: max(1, len(paths) // _PICTURES)]]
    model = Redrawer()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for _ in range(steps):
        crops = []
        for _ in range(_BATCH):
            image = pictures[rng.integers(len(pictures))]
            top, left = (rng.integers(side - _CROP + 1) for side in image.shape[:2])
            crops.append(image[top : top + _CROP, left : left + _CROP])
        batch = _tensor(crops)
        loss = (model(batch) - batch).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval()


def _small(image: np.ndarray) -> np.ndarray:
    scale = min(1.0, 288 / min(image.shape[:2]))
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def _tensor(images: list[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(images).transpose(0, 3, 1, 2).astype(np.float32) / 255)


@torch.inference_mode()
def _redraw(model: Redrawer, clip: Clip) -> Clip:
    height, width = (side // _STRIDE * _STRIDE for side in clip[0].shape[:2])
    found: Clip = []
    for image in clip:
        drawn = model(_tensor([image[:height, :width]]))[0].clamp(0, 1).numpy().transpose(1, 2, 0)
        found.append(np.round(drawn * 255).astype(np.uint8))
    return found


def _psnr(clip: Clip, again: Clip) -> float:
    height, width = again[0].shape[:2]
    pairs = [(one[:height, :width].astype(np.float32), two) for one, two in zip(clip, again, strict=True)]
    errors = [np.mean((one - two) ** 2) for one, two in pairs]
    return 10 * math.log10(255.0**2 / max(float(np.mean(errors)), 1e-9))
