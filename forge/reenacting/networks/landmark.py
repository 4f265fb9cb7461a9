"""``reenact-landmark``: a face whose driven region is erased is filled in as eight landmark maps say.

The network sees the target's own crop without the driven region, the maps of where landmarks are to be, and two other
moments of the same person as sources, the mean of whose features is taken, so that their order does not matter. The
maps come in again at every scale of the decoder. What it makes is laid over the crop by a soft edge inside the region,
so everything else is the target's own.

The training fills in real moments: the maps are the moment's own, the erased region also covers the landmarks of a
source, as it does in use, where it covers both the target's and the driven ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from forge.models.blocks import Residual, initialise, leaky
from forge.models.checks import need_between, need_size
from forge.reenacting.networks.contract import Pairs, Reenactor, ReenactorSpec, reenactors
from forge.reenacting.networks.maps import EYE_PARTS, INNER_LIPS, MAPS, MOUTH_PART, OUTER_LIPS, drive_maps, region_masks
from forge.reenacting.networks.trainer import ReenactorTrainer
from forge.reenacting.shape import EYES
from forge.training.losses.pixel import edge, mae
from forge.training.losses.structure import dssim

NAME = "reenact-landmark"
MARGIN = 1.12
_RATIO, _UP = 1.75, -0.12
_SLOPE = 0.1
_FIRST_OUT = 0.1
"""Scale of the last weights at first: a flat picture rather than noise."""

_SCALES = 4
_CHANNELS = (1, 2, 4, 6)
_MARGINS = (1.05, 1.25)
_SHADE, _SHIFT = 0.1, 0.03
_DETAIL_WEIGHT = 3.0
_OUTSIDE_WEIGHT = 0.05
_DSSIM, _EDGE = 1.0, 1.0


def erased(crops: Tensor, region: Tensor) -> Tensor:
    """``crops`` (B, 3, S, S) with grey in ``region`` (B, 1, S, S), and the region as a fourth channel."""
    return torch.cat([crops * (1 - region) + 0.5 * region, region], 1)


def soft_edge(region: Tensor) -> Tensor:
    """(B, 1, S, S): 1 well inside ``region``, falling to 0 at its edge and 0 outside, over a 16th of the side."""
    reach = max(1, region.shape[-1] // 32)
    inner = -F.max_pool2d(-F.pad(region, (reach,) * 4), 2 * reach + 1, 1)
    return F.avg_pool2d(F.pad(inner, (reach,) * 4), 2 * reach + 1, 1) * region


class LandmarkReenactor(Reenactor):
    """Crops without the driven region, maps and sources -> the whole crop, (B, 3, px, px) in [0, 1]."""

    def __init__(self, spec: ReenactorSpec, channels: int) -> None:
        super().__init__()
        self.spec = spec
        wide = [factor * channels for factor in _CHANNELS]
        self.crop = _Pyramid(4 + MAPS, wide)
        self.source = _Pyramid(3 + MAPS, wide)
        self.middle = nn.Sequential(_conv(2 * wide[-1] + MAPS, wide[-1]), Residual(wide[-1]), Residual(wide[-1]))
        before, ups = wide[-1], []
        for width in reversed(wide[:-1]):
            ups.append(_Fuse(before, 2 * width + MAPS, width))
            before = width
        self.ups = nn.ModuleList(ups)
        self.out = nn.Conv2d(before, 3 * 4, 3, padding=1)
        initialise(self)
        with torch.no_grad():
            self.out.weight.mul_(_FIRST_OUT)

    @override
    def forward(self, crops: Tensor, maps: Tensor, sources: Tensor, source_maps: Tensor) -> Tensor:
        """The whole crop.

        Args:
            crops: (B, 4, S, S), of :func:`erased`.
            maps: (B, 8, S, S), of :func:`forge.reenacting.networks.maps.drive_maps`.
            sources: (B, K, 3, S, S).
            source_maps: (B, K, 8, S, S).
        """
        return self.filled(crops, maps, self.looks(sources, source_maps))

    def looks(self, sources: Tensor, source_maps: Tensor) -> list[Tensor]:
        """What the person looks like, by the sources: features (B, C, s, s), the finest first."""
        batch, count = sources.shape[:2]
        seen = torch.cat([sources, source_maps], 2).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        return [each.unflatten(0, (batch, count)).mean(1) for each in self.source(seen)]

    def filled(self, crops: Tensor, maps: Tensor, looks: Sequence[Tensor]) -> Tensor:
        """The whole crop, of a person with these ``looks``."""
        seen = torch.cat([crops, maps], 1).contiguous(memory_format=torch.channels_last)
        skips = self.crop(seen)
        smaller = [F.avg_pool2d(maps, 2 ** (scale + 1)) for scale in range(_SCALES)]
        x = self.middle(torch.cat([skips[-1], looks[-1], smaller[-1]], 1))
        for scale, up in zip(reversed(range(_SCALES - 1)), self.ups, strict=True):
            x = up(x, torch.cat([skips[scale], looks[scale], smaller[scale]], 1))
        return torch.sigmoid(F.pixel_shuffle(self.out(x).float(), 2))


def _conv(before: int, after: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, stride, 1), nn.LeakyReLU(_SLOPE))


class _Pyramid(nn.Module):
    """(B, C, S, S) -> features of half the side, a quarter, and so on."""

    def __init__(self, channels: int, wide: Sequence[int]) -> None:
        super().__init__()
        befores = (channels, *wide[:-1])
        self.stages = nn.ModuleList(
            nn.Sequential(_conv(before, after, 2), *([_conv(after, after)] if scale else []))
            for scale, (before, after) in enumerate(zip(befores, wide, strict=True))
        )

    @override
    def forward(self, x: Tensor) -> list[Tensor]:
        found: list[Tensor] = []
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return found


class _Fuse(nn.Module):
    """Doubles the side, and takes in what else is known at that scale."""

    def __init__(self, before: int, beside: int, after: int) -> None:
        super().__init__()
        self.up = nn.Conv2d(before, after, 3, padding=1)
        self.fuse = _conv(after + beside, after)
        self.rest = Residual(after)

    @override
    def forward(self, x: Tensor, beside: Tensor) -> Tensor:
        x = leaky(self.up(F.interpolate(x, scale_factor=2.0, mode="nearest")), _SLOPE)
        return self.rest(self.fuse(torch.cat([x, beside], 1)))


@reenactors.register(NAME)
def reenact_landmark(*, px: int = 128, channels: int = 24) -> Reenactor:
    """Eight landmark maps over the person's own face.

    Args:
        px: side of the crops; 64, 128, 192 or 256.
        channels: of the finest features.
    """
    need_size("px", px, (64, 128, 192, 256))
    need_between("channels", channels, 4, 128)
    options = (("px", px), ("channels", channels))
    return LandmarkReenactor(ReenactorSpec(NAME, px, _RATIO, _UP, 2, options), channels)


class LandmarkTrainer(ReenactorTrainer[LandmarkReenactor]):
    """L1, structural dissimilarity and differences of neighbours, most in the region, lips and eyes."""

    @override
    def losses(self, pairs: Pairs) -> dict[str, Tensor]:
        count = len(pairs.driving)
        margins = torch.rand(count, generator=self.generator) * (_MARGINS[1] - _MARGINS[0]) + _MARGINS[0]
        all_parts = torch.rand(count, generator=self.generator) < 0.5
        shades = self._shades(count)
        region = self._region(pairs, margins.tolist(), all_parts.tolist())
        wanted = (pairs.driving * shades[0] + shades[1]).clamp(0, 1)
        sources = (pairs.sources * shades[2][:, None] + shades[3][:, None]).clamp(0, 1)
        made = self._made(self.net, pairs, wanted, sources, region)
        weight = self._weight(pairs, region)
        laid = soft_edge(region) * (made - wanted) + wanted
        l1, structure, edges = mae(made, wanted, weight), dssim(laid, wanted, weight), edge(made, wanted, weight)
        return {
            "loss": l1 + _DSSIM * structure + _EDGE * edges, "l1": l1, "dssim": structure, "edge": edges,
        }  # fmt: skip

    @override
    def shown(self, pairs: Pairs) -> list[Tensor]:
        count = len(pairs.driving)
        region = self._region(pairs, [MARGIN] * count, [row % 2 == 1 for row in range(count)])
        made = self._made(self.average, pairs, pairs.driving, pairs.sources, region).to(pairs.driving.dtype)
        laid = torch.lerp(pairs.driving, made, soft_edge(region))
        return [
            pairs.sources[:, 0],
            pairs.sources[:, 1],
            erased(pairs.driving, region)[:, :3],
            made,
            laid,
            pairs.driving,
        ]

    def _made(self, net: LandmarkReenactor, pairs: Pairs, crops: Tensor, sources: Tensor, region: Tensor) -> Tensor:
        place, px = crops.device, net.spec.px
        maps = drive_maps(pairs.driving_landmarks.cpu(), px).to(place)
        source_maps = drive_maps(pairs.source_landmarks.flatten(0, 1).cpu(), px).to(place)
        return net(erased(crops, region), maps, sources, source_maps.unflatten(0, sources.shape[:2]))

    def _region(self, pairs: Pairs, margins: Sequence[float], all_parts: Sequence[bool]) -> Tensor:
        """(B, 1, S, S): the mouth, and the eyes and brows of those of ``all_parts``, of the moment and a source."""
        points = [pairs.driving_landmarks.cpu(), pairs.source_landmarks[:, 0].cpu()]
        px = self.net.spec.px
        mouth = region_masks(points, px, [MOUTH_PART], margins)
        eyes = region_masks(points, px, EYE_PARTS, margins)
        with_eyes = torch.tensor(all_parts).float()[:, None, None, None]
        return torch.maximum(mouth, eyes * with_eyes).to(pairs.driving.device)

    def _weight(self, pairs: Pairs, region: Tensor) -> Tensor:
        """(B, 1, S, S): little outside, more in lips and eyes than elsewhere in the region."""
        points, count = [pairs.driving_landmarks.cpu()], len(region)
        parts = [OUTER_LIPS, INNER_LIPS, *EYES]
        detail = region_masks(points, region.shape[-1], parts, [1.2] * count).to(region.device)
        return _OUTSIDE_WEIGHT + region * (1 + (_DETAIL_WEIGHT - 1) * detail)

    def _shades(self, count: int) -> list[Tensor]:
        """Gain and shift (B, 3, 1, 1) of the colours of the crops, which differ from those of the sources."""
        gains = 1 + _SHADE * (2 * torch.rand(2, count, 3, 1, 1, generator=self.generator) - 1)
        shifts = _SHIFT * (2 * torch.rand(2, count, 3, 1, 1, generator=self.generator) - 1)
        place = self.device.torch_device
        return [each.to(place) for each in (gains[0], shifts[0], gains[1], shifts[1])]
