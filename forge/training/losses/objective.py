"""The loss of swapper training: the weighted sum of the terms of a :class:`LossConfig`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from forge.models.contract import Swap, SwapSpec
from forge.training.loss_config import CROSSED, ON_MASK, LossConfig
from forge.training.losses.frequency import focal_frequency
from forge.training.losses.identity import identity, identity_net
from forge.training.losses.perceptual import perceptual_net
from forge.training.losses.pixel import edge, laplacian, log_cosh, mae, mse, pixel_weight, total_variation
from forge.training.losses.structure import dfl_dssim, dssim, gms, gmsd, ms_ssim
from forge.training.losses.style import background_style, face_style
from forge.training.losses.texture import detail, grid
from shared.errors import UsageError

if TYPE_CHECKING:
    from forge.training.data import Batch


class Losses(NamedTuple):
    """Losses of one identity's batch: ``total`` is minimised, ``terms`` are its unweighted parts; all scalars."""

    total: Tensor
    terms: dict[str, Tensor]


class Faces(NamedTuple):
    """The inputs of a term: float32, see :mod:`forge.training.losses.pixel`."""

    generated: Tensor
    target: Tensor
    weight: Tensor
    batch: Batch
    swap: Swap
    spec: SwapSpec


Term = Callable[[Faces, LossConfig], Tensor]


class Objective:
    """The reconstruction loss of a training; adversarial losses are in :mod:`forge.training.adversarial`.

    Terms of weight 0 are not computed. Frozen networks are built once and shared. It never synchronises the device.
    Safe under autocast: every term is computed in float32, except inside frozen networks.
    """

    def __init__(
        self, config: LossConfig, spec: SwapSpec, device: torch.device, *, later: Iterable[LossConfig] = ()
    ) -> None:
        """Prepares for ``config`` and for those of ``later`` phases.

        Raises:
            UsageError: a mask term for a model without a mask, or an unknown network.
            WeightsError: a frozen network's weights are missing; the hint says how to get them.
        """
        self.config = config
        self.spec = spec
        self.device = device
        for each in (config, *later):
            check_losses(each, spec, device)

    def __call__(self, swap: Swap, batch: Batch, *, config: LossConfig | None = None) -> Losses:
        """The loss of faces decoded by their own decoder against their targets.

        Args:
            swap: the model's output.
            batch: its targets.
            config: the weights of the recipe's phase; default the objective's own.
        """
        config = self.config if config is None else config
        weight = pixel_weight(batch.mask, batch.eyes, batch.mouth, config)
        faces = Faces(swap.rgb.float(), batch.target.float(), weight, batch, swap, self.spec)
        return _summed(TERMS, faces, config)

    def wants_crossed(self, config: LossConfig | None = None) -> bool:
        """Whether a term of :meth:`crossed` has a weight in ``config``."""
        config = self.config if config is None else config
        return any(getattr(config, name) > 0 for name in CROSSED)

    def crossed(self, swap: Swap, batch: Batch, *, config: LossConfig | None = None) -> Losses:
        """The loss of ``batch``'s faces decoded by another identity's decoder: DeepFaceLab's style powers.

        Decode from a detached latent, so that only the decoder is trained by it, and add the total to that of the
        decoder's identity. Check :meth:`wants_crossed` first to save the decoding.
        """
        config = self.config if config is None else config
        faces = Faces(swap.rgb.float(), batch.target.float(), batch.mask, batch, swap, self.spec)
        return _summed(CROSSED_TERMS, faces, config)


def check_losses(config: LossConfig, spec: SwapSpec, device: torch.device) -> None:
    """Refuses terms that ``spec`` or this machine does not allow, and builds the frozen networks of the others.

    Raises:
        UsageError: a term about the mask for a model without one, or an unknown network.
        WeightsError: a frozen network's weights are missing.
    """
    if not spec.has_mask:
        asked = [name for name in ON_MASK if getattr(config, name) > 0]
        if config.mask not in (0, LossConfig.mask):
            asked.insert(0, "mask")
        if asked:
            raise UsageError(
                f"loss.{asked[0]} is about a learned mask, and {spec.name} learns none",
                hint="train the family with its mask (see assay forge models), or leave the setting out",
            )
    if config.perceptual > 0:
        perceptual_net(config.perceptual_net, device)
    if config.identity > 0:
        identity_net(device)


def _summed(table: dict[str, Term], faces: Faces, config: LossConfig) -> Losses:
    terms = {name: term(faces, config) for name, term in table.items() if _counts(name, faces, config)}
    weighed = [getattr(config, name) * value for name, value in terms.items()]
    return Losses(torch.stack(weighed).sum() if weighed else faces.generated.new_zeros(()), terms)


def _counts(name: str, faces: Faces, config: LossConfig) -> bool:
    if getattr(config, name) <= 0:
        return False
    if name == "smaller":
        return bool(faces.swap.smaller)
    return faces.swap.mask is not None if name == "mask" or name in ON_MASK else True


def _compared(measure: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Term:
    """The term that is ``measure`` of output, target and pixel weights."""
    return lambda faces, config: _scale(faces, config) * measure(faces.generated, faces.target, faces.weight)


def _scale(faces: Faces, config: LossConfig) -> Tensor | float:
    """What makes a mean over weights one over the whole picture, if ``config`` asks for that: the mean weight."""
    return faces.weight.mean() if config.mean == "picture" else 1.0


def _dssim(faces: Faces, config: LossConfig) -> Tensor:
    if config.dssim_window == "dfl":
        return dfl_dssim(faces.generated, faces.target, faces.weight, whole=config.mean == "picture")
    return _compared(dssim)(faces, config)


def _perceptual(faces: Faces, config: LossConfig) -> Tensor:
    return _compared(perceptual_net(config.perceptual_net, faces.generated.device))(faces, config)


def _learned(faces: Faces) -> Tensor:
    assert faces.swap.mask is not None
    return faces.swap.mask.float()


def _eyes_mouth(faces: Faces, _config: LossConfig) -> Tensor:
    regions = torch.maximum(faces.batch.eyes, faces.batch.mouth)
    return ((faces.generated - faces.target).abs() * regions).mean()


def _everywhere(faces: Faces, _config: LossConfig) -> Tensor:
    alike = torch.ones_like(faces.weight)
    return dssim(faces.generated, faces.target, alike) + mse(faces.generated, faces.target, alike)


def _smaller(faces: Faces, config: LossConfig) -> Tensor:
    """Mean over the coarser outputs of the absolute difference to the area-resized target, masks included."""
    parts: list[Tensor] = []
    for swap in faces.swap.smaller:
        size = swap.rgb.shape[-2:]
        target, weight, mask = (
            F.interpolate(each, size=size, mode="area") for each in (faces.target, faces.weight, faces.batch.mask)
        )
        part = _scale(faces, config) * mae(swap.rgb.float(), target, weight)
        parts.append(part if swap.mask is None else part + ((swap.mask.float() - mask) ** 2).mean())
    return torch.stack(parts).mean()


TERMS: dict[str, Term] = {
    "dssim": _dssim,
    "mae": _compared(mae),
    "mse": _compared(mse),
    "log_cosh": _compared(log_cosh),
    "ms_ssim": _compared(ms_ssim),
    "gmsd": _compared(gmsd),
    "gms": _compared(gms),
    "edge": _compared(edge),
    "laplacian": _compared(laplacian),
    "focal_frequency": _compared(focal_frequency),
    "perceptual": _perceptual,
    "identity": lambda faces, _config: identity(faces.generated, faces.target, faces.spec.framing),
    "total_variation": lambda faces, _config: total_variation(faces.generated),
    "detail": _compared(detail),
    "grid": _compared(grid),
    "eyes_mouth": _eyes_mouth,
    "background_power": _everywhere,
    "smaller": _smaller,
    "mask": lambda faces, _config: ((_learned(faces) - faces.batch.mask) ** 2).mean(),
    "mask_size": lambda faces, _config: _learned(faces).mean(),
    "mask_variation": lambda faces, _config: total_variation(_learned(faces)),
}
"""Terms of a face decoded by its own decoder, by name in the settings and in the order of the logs."""

CROSSED_TERMS: dict[str, Term] = {
    "face_style": lambda faces, _config: face_style(faces.generated, faces.target, faces.batch.mask),
    "background_style": lambda faces, _config: background_style(faces.generated, faces.target, faces.batch.mask),
}
"""Terms of a face decoded by another identity's decoder."""
