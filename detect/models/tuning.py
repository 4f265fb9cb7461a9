"""Fine-tuning modes of a backbone: all weights, norms only, a low-rank residual of attention, or the head only.

Large pretrained transformers lose generality when all weights are trained on one kind of fake. Training few weights
avoids this: LayerNorms only (Yermakov et al., "Deepfake Detection that Generalizes Across Benchmarks", 2025: GenD), or
the weakest singular directions of the attention weights (Yan et al., "Orthogonal Subspace Decomposition", ICML 2025:
Effort, with n - 1 of n directions frozen).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from detect.config.training import Tuning
from shared.errors import ConfigError

_ATTENTION = ("attn", "attention", "self_attn")


def tune(net: nn.Module, mode: Tuning, *, rank: int = 1) -> int:
    """Freezes the weights of a timm backbone that ``mode`` does not train, in place; returns the number left to train.

    The classifier is always trained. Modules of a detector outside its backbone are not changed.

    Raises:
        ConfigError: the backbone has no norm with weights, or no attention, or one narrower than ``rank``.
    """
    if mode != "full":
        net.requires_grad_(False)
        classifier_of(net).requires_grad_(True)
    if mode == "norm":
        norms = [module for module in net.modules() if _is_norm(module)]
        if not norms:
            raise ConfigError("this model has no normalisation with weights", hint="choose another --tuning")
        for module in norms:
            module.requires_grad_(True)
    if mode == "low-rank":
        places = list(_attention_layers(net))
        if not places:
            raise ConfigError("low-rank tuning needs attention, and this model has none", hint="try norm or full")
        for parent, name, layer in places:
            setattr(parent, name, ResidualLinear(layer, rank))
    return sum(parameter.numel() for parameter in net.parameters() if parameter.requires_grad)


class ResidualLinear(nn.Module):
    """A dense layer whose weight W = U S V' is frozen except for its ``rank`` smallest singular directions.

    Initially equal to the layer it replaces, up to rounding.
    """

    main: Tensor

    def __init__(self, layer: nn.Linear, rank: int) -> None:
        super().__init__()
        small = min(layer.in_features, layer.out_features)
        if not 1 <= rank < small:
            raise ConfigError(f"rank {rank} does not lie in 1 to {small - 1}", hint="1 is usual")
        u, s, v = torch.linalg.svd(layer.weight.detach().float(), full_matrices=False)
        keep = small - rank
        self.register_buffer("main", (u[:, :keep] * s[:keep]) @ v[:keep])
        self.left = nn.Parameter(u[:, keep:].clone())
        self.scale = nn.Parameter(s[keep:].clone())
        self.right = nn.Parameter(v[keep:].clone())
        self.bias = None if layer.bias is None else nn.Parameter(layer.bias.detach().clone(), requires_grad=False)

    @property
    def weight(self) -> Tensor:
        """(out, in): the full weight."""
        return self.main + (self.left * self.scale) @ self.right

    def forward(self, x: Tensor) -> Tensor:
        """As ``nn.Linear``."""
        return F.linear(x, self.weight.to(x.dtype), self.bias)


def plain_state(net: nn.Module) -> dict[str, Tensor]:
    """The state of ``net`` with the names it had before :func:`tune`, residual layers as weights and biases."""
    state = dict(net.state_dict())
    for name, module in net.named_modules():
        if isinstance(module, ResidualLinear):
            prefix = f"{name}."
            for key in ("main", "left", "scale", "right"):
                state.pop(f"{prefix}{key}")
            state[f"{prefix}weight"] = module.weight.detach()
    return state


def classifier_of(net: nn.Module) -> nn.ModuleList:
    """The classifier of a timm model; distilled models have two."""
    found = net.get_classifier()  # type: ignore[operator]
    return nn.ModuleList([found] if isinstance(found, nn.Module) else found)


def _is_norm(module: nn.Module) -> bool:
    own = list(module.parameters(recurse=False))
    return "norm" in type(module).__name__.lower() and bool(own)


def _attention_layers(net: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Linear]]:
    """Each dense layer directly in an attention module, as (parent, name, layer)."""
    for name, module in net.named_modules():
        if name.rsplit(".", 1)[-1] in _ATTENTION:
            yield from ((module, key, child) for key, child in module.named_children() if isinstance(child, nn.Linear))
