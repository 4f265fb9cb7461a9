"""``reenact-warp``: one picture of a face, its pixels moved by local motions that a network mixes.

Only lips and eyes, and what opens between them, are painted anew.

A small first-order motion model (Siarohin et al., NeurIPS 2019). The motions are those of groups of landmarks
(:mod:`forge.reenacting.networks.motion`). An hourglass at a quarter of the side sees the source under each of them and
says which counts where, how the mix is to be mended, and what the source does not show. Features of the source are
moved likewise, and a decoder paints lips and eyes with them. The picture is the source's own pixels, moved, under what
is painted; so in use the flow is applied to the frame at its own size.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from forge.models.blocks import Residual, initialise, leaky
from forge.models.checks import need_between, need_size
from forge.reenacting.networks.contract import Pairs, Reenactor, ReenactorSpec, reenactors
from forge.reenacting.networks.maps import MAPS, OUTER_LIPS, drive_maps, region_masks
from forge.reenacting.networks.motion import GROUPS, local_motions, moved_places, nearness, places, sampled
from forge.reenacting.networks.trainer import ReenactorTrainer
from forge.reenacting.shape import EYES
from forge.training.losses.pixel import edge, mae, weighted_mean
from forge.training.losses.structure import dssim

NAME = "reenact-warp"
_RATIO, _UP = 1.75, -0.12
_SLOPE = 0.1
_MENDED = 0.04
"""Share of the side by which the mix of motions may be mended, at most."""

_SOFT_PX = 5
"""Side of the mean of the moved pixels that what is painted starts from."""

_MOST_LOGIT = 4.0
_FIRST_OUT, _FIRST_SHARE = 0.1, -0.5
_FACE = (*range(17), *range(17, 27))
_PAINT_MARGIN = 1.25
_OUTSIDE_WEIGHT, _DETAIL_WEIGHT = 0.1, 3.0
_DSSIM, _EDGE, _WARPED, _PAINT_COST = 1.0, 1.0, 0.5, 0.005
_SHADE, _SHIFT = 0.1, 0.03


@dataclass(frozen=True, eq=False)
class Warped:
    """What the network makes of a source.

    Convention:
        flow: (B, S, S, 2) float32, see :mod:`forge.reenacting.networks.motion`
        moved: (B, 3, S, S) the source's pixels under it
        painted: (B, 3, S, S) in [0, 1]; share: (B, 1, S, S), how much of it shows, 0 beyond lips and eyes
    """

    flow: Tensor
    moved: Tensor
    painted: Tensor
    share: Tensor

    @property
    def picture(self) -> Tensor:
        """(B, 3, S, S) in [0, 1]."""
        return torch.lerp(self.moved, self.painted, self.share)


def paintable(driving: Tensor, px: int) -> Tensor:
    """(B, 1, px, px): lips and eyes of ``driving`` (B, 68, 2) with a soft edge, where may be painted; on the CPU."""
    margins = [_PAINT_MARGIN] * len(driving)
    hulls = region_masks([driving], px, [OUTER_LIPS, *EYES], margins)
    side = 2 * (px // 64) + 1
    return F.avg_pool2d(hulls, side, 1, side // 2, count_include_pad=False)


class WarpReenactor(Reenactor):
    """A source and where its landmarks are to be -> :class:`Warped`."""

    one_shot = True

    def __init__(self, spec: ReenactorSpec, channels: int) -> None:
        super().__init__()
        self.spec = spec
        first, second, third = channels, 2 * channels, 4 * channels
        self.mixer = _Mixer(channels)
        self.in1 = _conv(12 + MAPS, first)
        self.in2 = _conv(first, second, 2)
        self.in3 = _conv(second, third, 2)
        self.middle = nn.Sequential(_conv(third + MAPS, third), Residual(third), Residual(third), Residual(third))
        self.up2 = _Fuse(third, second + MAPS, second)
        self.up1 = _Fuse(second, first + MAPS, first)
        self.out = nn.Conv2d(first, 4 * 4, 3, padding=1)
        initialise(self)
        with torch.no_grad():
            self.out.weight.mul_(_FIRST_OUT)
            self.out.bias[-4:] = _FIRST_SHARE  # type: ignore[index]
            self.mixer.out.weight.zero_()

    @override
    def forward(self, source: Tensor, source_points: Tensor, points: Tensor) -> Warped:
        """What becomes of ``source`` (B, 3, S, S) with landmarks (B, 68, 2) when they are to be ``points``."""
        px, device = self.spec.px, source.device
        maps = drive_maps(points.cpu(), px).to(device)
        source_maps = drive_maps(source_points.cpu(), px).to(device)
        flow, seen = self._flow(source, source_points, points, maps)
        full = F.interpolate(flow.permute(0, 3, 1, 2), scale_factor=2.0, mode="bilinear").permute(0, 2, 3, 1)
        at = places(px, 1, device) + full
        look = torch.cat([F.pixel_unshuffle(source, 2), F.avg_pool2d(source_maps, 2)], 1)
        one = self.in1(look.contiguous(memory_format=torch.channels_last))
        two = self.in2(one)
        three = self.in3(two)
        ones, twos, threes = (_moved(each, flow, px) for each in (one, two, three))
        small = [F.avg_pool2d(maps, 2**scale) for scale in (1, 2, 3)]
        x = self.middle(torch.cat([threes * F.avg_pool2d(seen, 2), small[2]], 1))
        x = self.up2(x, torch.cat([twos * seen, small[1]], 1))
        x = self.up1(x, torch.cat([ones * F.interpolate(seen, scale_factor=2.0, mode="bilinear"), small[0]], 1))
        made = F.pixel_shuffle(self.out(x).float(), 2)
        allowed = paintable(points.cpu(), px).to(device)
        moved = sampled(source, at, px)
        painted = F.avg_pool2d(moved, _SOFT_PX, 1, _SOFT_PX // 2, count_include_pad=False) + torch.tanh(made[:, :3])
        # Bounded, so that a network that painted badly at first can still learn to.
        share = torch.sigmoid(_MOST_LOGIT * torch.tanh(made[:, 3:])) * allowed
        return Warped(full, moved, painted.clamp(0, 1), share)

    def _flow(self, source: Tensor, source_points: Tensor, points: Tensor, maps: Tensor) -> tuple[Tensor, Tensor]:
        """The flow (B, S/2, S/2, 2), and how well the source shows what is wanted, (B, 1, S/4, S/4)."""
        px, device = self.spec.px, source.device
        motions = local_motions(points.float(), source_points.float(), px)
        coarse, fine = places(px, 4, device), places(px, 2, device)
        there = moved_places(motions, coarse)
        batch, count = there.shape[:2]
        small = F.avg_pool2d(source, 4).repeat_interleave(count, 0)
        under_each = sampled(small, there.flatten(0, 1), px).unflatten(0, (batch, count)).flatten(1, 2)
        near = nearness(points.float(), coarse, px)
        logits, mend, seen = self.mixer(torch.cat([under_each, near.exp(), F.avg_pool2d(maps, 4)], 1))
        larger = F.interpolate(torch.cat([logits, mend], 1), scale_factor=2.0, mode="bilinear")
        shares = torch.softmax(larger[:, :count] + nearness(points.float(), fine, px), 1)
        flows = moved_places(motions, fine) - fine
        mixed = (shares[..., None] * flows).sum(1)
        return mixed + _MENDED * px * torch.tanh(larger[:, count:]).permute(0, 2, 3, 1), torch.sigmoid(seen)


class _Mixer(nn.Module):
    """An hourglass at a quarter of the side: logits of motions (B, 1 + G, s, s), mend (B, 2, ...), seen (B, 1, ...)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        count, wide = len(GROUPS) + 1, 2 * channels
        self.first = _conv(4 * count + MAPS, wide)
        self.down1, self.down2 = _conv(wide, wide, 2), _conv(wide, 2 * wide, 2)
        self.deep = Residual(2 * wide)
        self.up2, self.up1 = _Fuse(2 * wide, wide, wide), _Fuse(wide, wide, wide)
        self.out = nn.Conv2d(wide, count + 3, 3, padding=1)

    @override
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        one = self.first(x.contiguous(memory_format=torch.channels_last))
        two = self.down1(one)
        x = self.up1(self.up2(self.deep(self.down2(two)), two), one)
        found = self.out(x).float()
        return found[:, :-3], found[:, -3:-1], found[:, -1:] + 2.0


class _Fuse(nn.Module):
    """Doubles the side, and takes in what else is known at that scale."""

    def __init__(self, before: int, beside: int, after: int) -> None:
        super().__init__()
        self.up = nn.Conv2d(before, after, 3, padding=1)
        self.fuse = _conv(after + beside, after)

    @override
    def forward(self, x: Tensor, beside: Tensor) -> Tensor:
        x = F.interpolate(leaky(self.up(x), _SLOPE), scale_factor=2.0, mode="nearest")
        return self.fuse(torch.cat([x, beside], 1))


def _conv(before: int, after: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, stride, 1), nn.LeakyReLU(_SLOPE))


def _moved(features: Tensor, flow: Tensor, px: int) -> Tensor:
    """``features`` (B, C, s, s) under ``flow`` (B, S/2, S/2, 2)."""
    step = px // features.shape[-1]
    small = flow if step == 2 else F.avg_pool2d(flow.permute(0, 3, 1, 2), step // 2).permute(0, 2, 3, 1)
    return sampled(features, places(px, step, features.device) + small, px).to(features.dtype)


@reenactors.register(NAME)
def reenact_warp(*, px: int = 128, channels: int = 24) -> Reenactor:
    """Local motions of landmark groups, mixed by a network; lips and eyes painted.

    Args:
        px: side of the crops; 64, 128, 192 or 256.
        channels: of the finest features.
    """
    need_size("px", px, (64, 128, 192, 256))
    need_between("channels", channels, 4, 128)
    return WarpReenactor(ReenactorSpec(NAME, px, _RATIO, _UP, 1, (("px", px), ("channels", channels))), channels)


class WarpTrainer(ReenactorTrainer[WarpReenactor]):
    """L1, structural dissimilarity and differences of neighbours, most in lips and eyes.

    The moved pixels alone are compared as well, and painting costs a little.
    """

    @override
    def losses(self, pairs: Pairs) -> dict[str, Tensor]:
        wanted, source = self._shaded(pairs)
        made = self.net(source, pairs.source_landmarks[:, 0], pairs.driving_landmarks)
        weight = self._weight(pairs)
        picture = made.picture
        l1, structure, edges = (
            mae(picture, wanted, weight),
            dssim(picture, wanted, weight),
            edge(picture, wanted, weight),
        )
        warped, paint = mae(made.moved, wanted, weight), weighted_mean(made.share, weight)
        return {
            "loss": l1 + _DSSIM * structure + _EDGE * edges + _WARPED * warped + _PAINT_COST * paint,
            "l1": l1, "dssim": structure, "edge": edges, "warped": warped, "painted": paint,
        }  # fmt: skip

    @override
    def shown(self, pairs: Pairs) -> list[Tensor]:
        source = pairs.sources[:, 0]
        made = self.average(source, pairs.source_landmarks[:, 0], pairs.driving_landmarks)
        share = made.share.expand(-1, 3, -1, -1)
        return [source, made.moved, made.painted, share, made.picture, pairs.driving]

    def _shaded(self, pairs: Pairs) -> tuple[Tensor, Tensor]:
        """Driving picture and source with the same random gain and shift of their colours."""
        count = len(pairs.driving)
        gain = 1 + _SHADE * (2 * torch.rand(count, 3, 1, 1, generator=self.generator) - 1)
        shift = _SHIFT * (2 * torch.rand(count, 3, 1, 1, generator=self.generator) - 1)
        gain, shift = gain.to(pairs.driving.device), shift.to(pairs.driving.device)
        driving, source = (one * gain + shift for one in (pairs.driving, pairs.sources[:, 0]))
        return driving.clamp(0, 1), source.clamp(0, 1)

    def _weight(self, pairs: Pairs) -> Tensor:
        """(B, 1, S, S): little outside the face, more in lips and eyes."""
        px, ones = self.net.spec.px, [1.0] * len(pairs.driving)
        points = [pairs.driving_landmarks.cpu()]
        face = region_masks(points, px, [_FACE], ones)
        detail = region_masks(points, px, [OUTER_LIPS, *EYES], [_PAINT_MARGIN] * len(ones))
        weight = _OUTSIDE_WEIGHT + face + (_DETAIL_WEIGHT - 1) * detail
        return weight.to(pairs.driving.device)
