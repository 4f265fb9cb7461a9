"""What a swapper is trained to make small: the terms of a :class:`LossConfig`, weighed and summed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from forge.loss_config import LossConfig
from forge.losses.pixel import mae, pixel_weight
from forge.losses.structure import dssim
from forge.losses.texture import detail
from forge.models.contract import Swap, SwapSpec

if TYPE_CHECKING:
    from forge.data import Batch


class Losses(NamedTuple):
    """Of one identity's batch: ``total`` is what is minimised, ``terms`` its parts before weighting, scalars all."""

    total: Tensor
    terms: dict[str, Tensor]


class Faces(NamedTuple):
    """What a term compares: float32, see :mod:`forge.losses.pixel`; ``learned`` is the model's own mask or None."""

    drawn: Tensor
    target: Tensor
    weight: Tensor
    batch: Batch
    learned: Tensor | None


Term = Callable[[Faces, LossConfig], Tensor]


class Objective:
    """The reconstruction loss of a training. An adversary's part comes on top, from :mod:`forge.critics`.

    Terms of weight 0 are not computed. Frozen networks are built when first needed and shared. Nothing waits for
    the device. Safe under autocast: every term is computed in float32, but for frozen networks.
    """

    def __init__(
        self, config: LossConfig, spec: SwapSpec, device: torch.device, *, later: Iterable[LossConfig] = ()
    ) -> None:
        """Prepares for ``config`` and for those of ``later`` phases.

        Raises:
            UsageError: one of them cannot be had: a mask asked of a model without one, an unknown network.
            WeightsError: a frozen network's weights are not here.
        """
        self.config = config
        self.spec = spec
        self.device = device

    def __call__(self, swap: Swap, batch: Batch, *, config: LossConfig | None = None) -> Losses:
        """The loss of faces drawn by their own decoder against what they should be.

        Args:
            swap: what the model drew.
            batch: what it should have drawn.
            config: the weights of the recipe's phase; the objective's own without.
        """
        config = self.config if config is None else config
        faces = Faces(
            swap.rgb.float(),
            batch.target.float(),
            pixel_weight(batch.mask, batch.eyes, batch.mouth, config),
            batch,
            swap.mask,
        )
        terms = {name: term(faces, config) for name, term in TERMS.items() if _counts(name, faces, config)}
        total = torch.stack([getattr(config, name) * value for name, value in terms.items()]).sum()
        return Losses(total, terms)

    def wants_crossed(self, config: LossConfig | None = None) -> bool:
        """Whether :meth:`crossed` has anything to say under ``config``."""
        config = self.config if config is None else config
        return config.face_style > 0 or config.background_style > 0

    def crossed(self, swap: Swap, batch: Batch, *, config: LossConfig | None = None) -> Losses:
        """The loss of ``batch``'s faces drawn by another person's decoder: DeepFaceLab's style powers.

        The decoder is to be given a detached latent, and the sum is to be added to the total of the identity that
        drew; ask :meth:`wants_crossed` first, for it costs a decoding.
        """
        zero = swap.rgb.float().sum() * 0
        return Losses(zero, {})


TERMS: dict[str, Term] = {
    "dssim": lambda faces, config: dssim(faces.drawn, faces.target, faces.weight),
    "mae": lambda faces, config: mae(faces.drawn, faces.target, faces.weight),
    "detail": lambda faces, config: detail(faces.drawn, faces.target, faces.weight),
    "mask": lambda faces, config: _mask(faces),
}


def _counts(name: str, faces: Faces, config: LossConfig) -> bool:
    return getattr(config, name) > 0 and (name != "mask" or faces.learned is not None)


def _mask(faces: Faces) -> Tensor:
    assert faces.learned is not None
    return ((faces.learned.float() - faces.batch.mask) ** 2).mean()
