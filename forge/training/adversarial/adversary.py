"""The adversary of a training: one critic a person, trained beside the swapper and on its faces alone."""

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
from forge.training.adversarial.networks import PatchCritic, UNetCritic
from forge.training.adversarial.objectives import OBJECTIVES, mixed_critic
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
    """Critics, one a person, that tell the person's real faces from those the swapper draws.

    It only ever sees the faces of the training it belongs to, and is made anew with it. A swapper is never trained
    against a detector: there is no way to hand one in, the networks are built here from random weights, and a state
    is taken back only if it is that of the same adversary of the same people (see :meth:`load_state_dict`).

    What a critic sees is the drawn face in the target's own surroundings (blended by the training mask), beside the
    target itself, so that it judges what will be pasted and not a background that nobody asked for. The patch net is
    shown the swapper's input beside it, as faceswap-GAN does.
    """

    origin: Tensor

    def __init__(self, config: AdversarialConfig, spec: SwapSpec, identities: Sequence[str]) -> None:
        """Builds the critics, from torch's own random state.

        Raises:
            UsageError: there is no adversary in ``config``, or the pictures are too small for one.
        """
        super().__init__()
        if config.kind == "none":
            raise UsageError("the settings name no adversary", hint=f"loss.adversarial.kind: {', '.join(OBJECTIVES)}")
        if spec.output_px < _SMALLEST:
            raise UsageError(
                f"an adversary needs pictures of {_SMALLEST} px or more, {spec.name} draws {spec.output_px}",
                hint="train without one",
            )
        self.config = config
        self.identities = tuple(identities)
        self.nets = nn.ModuleList(_net(config, spec) for _ in identities)
        self.register_buffer("origin", torch.tensor(_origin(config, spec, self.identities)))

    def generator_loss(self, swap: Swap, batch: Batch, identity: str) -> Tensor:
        """How well the critic of ``identity`` sees through ``swap``, unweighted: what the swapper makes small.

        Gradients reach the swapper alone.
        """
        net = self._net(identity)
        still = {name: value.detach() for name, value in net.state_dict(keep_vars=True).items()}
        drawn, real, beside = self._shown(swap, batch)
        verdicts = functional_call(net, still, (self._pair(drawn, beside),))
        with torch.no_grad():
            on_real = net(self._pair(real, beside)) if self.config.kind == "relativistic" else verdicts
        game = OBJECTIVES[self.config.kind]
        return _mean([game.swapper(r.float(), d.float()) for r, d in zip(on_real, verdicts, strict=True)])

    def critic_loss(
        self,
        swap: Swap,
        batch: Batch,
        identity: str,
        *,
        config: AdversarialConfig | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """How badly the critic of ``identity`` tells ``swap`` from ``batch``: what the critic makes small.

        Gradients reach the critic alone, whether ``swap`` is detached or not. ``generator``, on the CPU, draws mixup's
        shares; torch's own without. ``config`` is the recipe's phase's, for its mixup.
        """
        config = self.config if config is None else config
        net = self._net(identity)
        drawn, real, beside = (part.detach() for part in self._shown(swap, batch))
        if self.config.kind == "lsgan" and config.mixup:
            share = _shares(len(real), generator).to(real)
            verdicts = net(self._pair(share * real + (1 - share) * drawn, beside))
            return _mean([mixed_critic(verdict.float(), share) for verdict in verdicts])
        both = net(torch.cat([self._pair(real, beside), self._pair(drawn, beside)]))
        game = OBJECTIVES[self.config.kind]
        return _mean([game.critic(*verdict.float().chunk(2)) for verdict in both])

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Takes back the state of this very adversary.

        Raises:
            CheckpointError: it is the state of anything else: other people, another kind or size, another network.
        """
        origin = state_dict.get("origin")
        if not isinstance(origin, Tensor) or origin.numel() != 1 or int(origin) != int(self.origin):
            raise CheckpointError(
                "the state is not that of this training's adversary",
                hint="an adversary begins with its training and takes no weights from elsewhere",
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
        """What was drawn in its surroundings, what should have been, and the swapper's input as large."""
        real = batch.target.float()
        drawn = torch.lerp(real, swap.rgb.float(), batch.mask.expand_as(real))
        beside = batch.input.float()
        if beside.shape[-2:] != real.shape[-2:]:
            beside = F.interpolate(beside, size=real.shape[-2:], mode="bilinear", antialias=True)
        return drawn, real, beside

    def _pair(self, pictures: Tensor, beside: Tensor) -> Tensor:
        shown = torch.cat([pictures, beside], 1) if self.config.net == "patch" else pictures
        return 2 * shown - 1


def _net(config: AdversarialConfig, spec: SwapSpec) -> nn.Module:
    channels = config.channels or _CHANNELS[config.net]
    if config.net == "patch":
        return PatchCritic(spec.output_px, 6, channels)
    return UNetCritic(config.patch or max(3, spec.output_px // _PATCHES), 3, channels)


def _origin(config: AdversarialConfig, spec: SwapSpec, identities: Sequence[str]) -> int:
    """A number that two adversaries share only if they are of one kind and of the same people."""
    parts = [config.kind, config.net, str(config.patch), str(config.channels), spec.name, str(spec.output_px)]
    digest = hashlib.sha256("\0".join(["assay adversary", *parts, *identities]).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _shares(count: int, generator: torch.Generator | None) -> Tensor:
    """(count, 1, 1, 1) drawn from Beta(0.2, 0.2), by the inverse of its distribution function."""
    even = torch.rand(count, 1, 1, 1, generator=generator, dtype=torch.float64)
    return torch.from_numpy(beta.ppf(even.numpy(), _MIXUP, _MIXUP))


def _mean(parts: list[Tensor]) -> Tensor:
    return torch.stack(parts).mean()
