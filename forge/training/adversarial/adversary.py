"""The image discriminators of a training: one for each identity, trained together with the swapper."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from scipy.stats import beta
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from forge.models.contract import Swap, SwapSpec
from forge.training.adversarial.networks import PatchDiscriminator, UNetDiscriminator
from forge.training.adversarial.objectives import OBJECTIVES, mixup_discriminator
from forge.training.loss_config import AdversarialConfig
from shared.errors import CheckpointError, UsageError
from shared.registry import near_matches

if TYPE_CHECKING:
    from forge.training.data import Batch

_MIXUP = 0.2
_CHANNELS = {"patch": 64, "unet": 16}
_PATCHES = 8
_SMALLEST = 32


class Adversary(nn.Module):
    """Discriminators, one for each identity, of the identity's real faces and those the swapper generates.

    It is trained only on the faces of its own training and starts from random weights. A swapper is never trained
    against a detector: no network can be passed in, and a state is loaded only if it is that of the same adversary
    for the same identities (see :meth:`load_state_dict`).

    A discriminator's inputs are the generated face blended into the target by the training mask, and the target
    itself, so that it classifies what will be pasted and not the background. The patch network also gets the
    swapper's input, as in faceswap-GAN.
    """

    origin: Tensor

    def __init__(self, config: AdversarialConfig, spec: SwapSpec, identities: Sequence[str]) -> None:
        """Builds the discriminators from torch's global random state.

        Raises:
            UsageError: there is no adversary in ``config``, or the images are too small for one.
        """
        super().__init__()
        if config.kind == "none":
            raise UsageError("the settings name no adversary", hint=f"loss.adversarial.kind: {', '.join(OBJECTIVES)}")
        if spec.output_px < _SMALLEST:
            raise UsageError(
                f"an adversary needs images of {_SMALLEST} px or more, {spec.name} gives {spec.output_px}",
                hint="train without one",
            )
        self.config = config
        self.identities = tuple(identities)
        self.nets = nn.ModuleList(_net(config, spec) for _ in identities)
        self.register_buffer("origin", torch.tensor(_origin(config, spec, self.identities)))

    def generator_loss(self, swap: Swap, batch: Batch, identity: str) -> Tensor:
        """The swapper's adversarial loss for ``swap`` against the discriminator of ``identity``, unweighted.

        Gradients reach only the swapper.
        """
        net = self._net(identity)
        still = {name: value.detach() for name, value in net.state_dict(keep_vars=True).items()}
        generated, real, beside = self._shown(swap, batch)
        logits = functional_call(net, still, (self._pair(generated, beside),))
        with torch.no_grad():
            on_real = net(self._pair(real, beside)) if self.config.kind == "relativistic" else logits
        objective = OBJECTIVES[self.config.kind]
        return _mean([objective.swapper(r.float(), d.float()) for r, d in zip(on_real, logits, strict=True)])

    def discriminator_loss(
        self,
        swap: Swap,
        batch: Batch,
        identity: str,
        *,
        config: AdversarialConfig | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The loss of the discriminator of ``identity`` on ``swap`` and ``batch``.

        Gradients reach only the discriminator, whether ``swap`` is detached or not. ``generator``, on the CPU, samples
        mixup's shares; default torch's global one. ``config`` is that of the recipe's phase, for its mixup.
        """
        config = self.config if config is None else config
        net = self._net(identity)
        generated, real, beside = (part.detach() for part in self._shown(swap, batch))
        if self.config.kind == "lsgan" and config.mixup:
            share = _shares(len(real), generator).to(real)
            logits = net(self._pair(share * real + (1 - share) * generated, beside))
            return _mean([mixup_discriminator(logit.float(), share) for logit in logits])
        both = net(torch.cat([self._pair(real, beside), self._pair(generated, beside)]))
        objective = OBJECTIVES[self.config.kind]
        return _mean([objective.discriminator(*logit.float().chunk(2)) for logit in both])

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Loads the state of this same adversary.

        Raises:
            CheckpointError: it belongs to other identities, another kind or size, or another network.
        """
        origin = state_dict.get("origin")
        if not isinstance(origin, Tensor) or origin.numel() != 1 or int(origin) != int(self.origin):
            raise CheckpointError(
                "the state is not that of this training's adversary",
                hint="an adversary starts with its training and loads no weights from elsewhere",
            )
        try:
            return super().load_state_dict(state_dict, strict=True, assign=assign)
        except RuntimeError as error:
            raise CheckpointError(f"the adversary's state is damaged: {error}", hint="start a new run") from error

    def _net(self, identity: str) -> nn.Module:
        if identity not in self.identities:
            raise UsageError(
                f"the adversary knows no identity {identity!r}", hint=near_matches(identity, list(self.identities))
            )
        return self.nets[self.identities.index(identity)]

    def _shown(self, swap: Swap, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """The generated face blended into the target, the target, and the swapper's input resized to it."""
        real = batch.target.float()
        generated = torch.lerp(real, swap.rgb.float(), batch.mask.expand_as(real))
        beside = batch.input.float()
        if beside.shape[-2:] != real.shape[-2:]:
            beside = F.interpolate(beside, size=real.shape[-2:], mode="bilinear", antialias=True)
        return generated, real, beside

    def _pair(self, images: Tensor, beside: Tensor) -> Tensor:
        shown = torch.cat([images, beside], 1) if self.config.net == "patch" else images
        return 2 * shown - 1


def _net(config: AdversarialConfig, spec: SwapSpec) -> nn.Module:
    channels = config.channels or _CHANNELS[config.net]
    if config.net == "patch":
        return PatchDiscriminator(spec.output_px, 6, channels)
    return UNetDiscriminator(config.patch or max(3, spec.output_px // _PATCHES), 3, channels)


def _origin(config: AdversarialConfig, spec: SwapSpec, identities: Sequence[str]) -> int:
    """A number that is equal for two adversaries only if they have the same settings and identities."""
    parts = [config.kind, config.net, str(config.patch), str(config.channels), spec.name, str(spec.output_px)]
    digest = hashlib.sha256("\0".join(["assay adversary", *parts, *identities]).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _shares(count: int, generator: torch.Generator | None) -> Tensor:
    """(count, 1, 1, 1) sampled from Beta(0.2, 0.2), by the inverse of its distribution function."""
    even = torch.rand(count, 1, 1, 1, generator=generator, dtype=torch.float64)
    return torch.from_numpy(beta.ppf(even.numpy(), _MIXUP, _MIXUP))


def _mean(parts: list[Tensor]) -> Tensor:
    return torch.stack(parts).mean()
