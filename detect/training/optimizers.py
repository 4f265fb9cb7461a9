"""Optimizers of detector training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from detect.config.training import TrainConfig

_MOMENTUM = 0.9


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW, or SGD with Nesterov's momentum (also under "sam"), on the trainable parameters."""
    groups = list(_groups(model, config.weight_decay))
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=config.lr)
    return torch.optim.SGD(groups, lr=config.lr, momentum=_MOMENTUM, nesterov=True)


@contextmanager
def climbed(model: nn.Module, rho: float) -> Iterator[None]:
    """Moves the weights by ``rho`` along their gradients for the block, and restores them after it.

    Foret et al., "Sharpness-aware minimization for efficiently improving generalization", ICLR 2021, eq. 2: the
    gradient computed in the block is that of the approximate worst loss nearby. Non-finite ones move nothing.
    """
    moved = [(parameter, parameter.grad) for parameter in model.parameters() if parameter.grad is not None]
    norm = torch.stack([grad.float().norm() for _, grad in moved]).norm()
    scale = torch.where(torch.isfinite(norm), rho / (norm + 1e-12), torch.zeros_like(norm))
    steps = [(parameter, grad * scale.to(grad.dtype)) for parameter, grad in moved]
    before = [parameter.detach().clone() for parameter, _ in steps]
    with torch.no_grad():
        for parameter, step in steps:
            parameter.add_(torch.nan_to_num(step))
    try:
        yield
    finally:
        with torch.no_grad():
            for (parameter, _), value in zip(steps, before, strict=True):
                parameter.copy_(value)


def _groups(model: nn.Module, weight_decay: float) -> Iterator[dict[str, Any]]:
    """Weight decay for matrices and kernels; none for biases and norms."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    yield {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay}
    yield {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0}
