"""Optimizers, gradient clipping and partial updates.

Nothing here synchronises the device; the state for exact resumption is in :meth:`OptimizerStep.state`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from forge.training.config import OptimizerName, TrainConfig
from shared.device import Device
from shared.errors import CheckpointError
from shared.training.state import pack_optimizer, pack_rng, unpack_optimizer, unpack_rng

_multi: Any = torch  # kernels over lists of tensors, which torch's type hints leave out
_HISTORY = 10_000
_TINY = 1e-6


_BETA2: Mapping[OptimizerName, float] = {
    "adam": 0.999,
    "adamw": 0.999,
    "adabelief": 0.999,
    "lion": 0.99,
    "rmsprop": 0.9,
}


def build_optimizer(parameters: Sequence[Tensor], config: TrainConfig, device: Device) -> torch.optim.Optimizer:
    """The optimizer that ``config`` names, over ``parameters``; fused into one kernel where torch has one.

    RMSprop is without momentum, with an average of 0.9 (Tieleman and Hinton 2012; DeepFaceLab's default). AdaBelief is
    algorithm 2 of Zhuang et al., NeurIPS 2020, without rectification and weight decay. Lion (Chen et al., NeurIPS 2023)
    moves all weights by the same amount: use a third to a tenth of Adam's rate.
    """
    name, rate = config.optimizer, config.learning_rate
    second = config.beta2 if config.beta2 is not None else _BETA2[name]
    betas = (config.beta1, second)
    fused = device.kind in ("cpu", "cuda")
    if name == "adam":
        return torch.optim.Adam(parameters, lr=rate, betas=betas, fused=fused)
    if name == "adamw":
        return torch.optim.AdamW(parameters, lr=rate, betas=betas, weight_decay=config.weight_decay, fused=fused)
    if name == "adabelief":
        from timm.optim.adabelief import AdaBelief  # timm takes seconds to import

        return AdaBelief(parameters, lr=rate, betas=betas, rectify=False)
    if name == "lion":
        from timm.optim.lion import Lion

        return Lion(parameters, lr=rate, betas=betas, weight_decay=config.weight_decay)
    return torch.optim.RMSprop(parameters, lr=rate, alpha=second, foreach=True)


def _current(name: str) -> str:
    """A tensor's name as timm has it, from a state written when AdaBelief and Lion were assay's own."""
    return name.replace(".mean", ".exp_avg").replace(".belief", ".exp_avg_var")


class AutoClip:
    """Clips gradients to a percentile of their past norms.

    Seetharaman et al., "AutoClip: Adaptive Gradient Clipping for Source Separation Networks", MLSP 2020, whose
    percentile is 10. The last 10,000 norms count.
    """

    def __init__(self, device: torch.device) -> None:
        self.norms = torch.zeros(_HISTORY, device=device)
        self.seen = 0

    def limit(self, norm: Tensor, percentile: float) -> Tensor:
        """The maximum norm for this step, with ``norm`` added to the history; a scalar on its device."""
        self.norms[self.seen % _HISTORY] = norm
        self.seen += 1
        return torch.quantile(self.norms[: min(self.seen, _HISTORY)], percentile / 100)


class OptimizerStep:
    """An optimizer with gradient clipping and partial updates.

    Args:
        name: prefix of its tensors in a checkpoint.
        parameters: those it updates.
        config: settings of the training.
        device: where the parameters are.
    """

    def __init__(self, name: str, parameters: Iterable[nn.Parameter], config: TrainConfig, device: Device) -> None:
        self.name = name
        self.parameters = list(parameters)
        self.optimizer = build_optimizer(self.parameters, config, device)
        self.clip = AutoClip(device.torch_device) if config.autoclip else None
        self._chance = torch.Generator(device.torch_device).manual_seed(config.seed)

    def step(self, rate: float, config: TrainConfig) -> None:
        """Updates the weights with learning rate ``rate`` and the settings ``config``, and clears the gradients."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        moved = [each for each in self.parameters if each.grad is not None]
        self._clip(moved, config)
        if config.lr_dropout < 1:
            self._step_some(moved, config.lr_dropout)
        else:
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The state for exact resumption except the weights, as named tensors and JSON."""
        tensors, meta = pack_optimizer(self.optimizer)
        random, random_meta = pack_rng({"lr_dropout": self._chance})
        clip = {} if self.clip is None else {"clip.norms": self.clip.norms[: min(self.clip.seen, _HISTORY)]}
        tensors = {f"{self.name}.{key}": value for key, value in {**tensors, **random, **clip}.items()}
        return tensors, {**meta, "rng": random_meta, "seen": 0 if self.clip is None else self.clip.seen}

    def restore(self, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
        """Restores what :meth:`state` returned.

        Raises:
            CheckpointError: it is the state of other parameters or of another optimizer.
            KeyError: a part is missing.
        """
        prefix = f"{self.name}."
        own = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
        own = {_current(name): value for name, value in own.items()}
        unpack_optimizer(self.optimizer, own, meta)
        unpack_rng({"lr_dropout": self._chance}, own, meta["rng"])
        if self.clip is not None:
            norms = own["clip.norms"]
            if norms.ndim != 1 or len(norms) > _HISTORY:
                raise CheckpointError("the history of gradient norms is damaged", hint="start a new run")
            self.clip.norms[: len(norms)] = norms.to(self.clip.norms.device)
            self.clip.seen = int(meta["seen"])

    def _clip(self, moved: Sequence[nn.Parameter], config: TrainConfig) -> None:
        if not moved or not (config.clip_norm or self.clip):
            return
        gradients = [each.grad for each in moved if each.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        limit = torch.full_like(norm, config.clip_norm) if self.clip is None else self.clip.limit(norm, config.autoclip)
        _multi._foreach_mul_(gradients, (limit / (norm + _TINY)).clamp_max(1.0))

    @torch.no_grad()
    def _step_some(self, moved: Sequence[nn.Parameter], share: float) -> None:
        """One step in which each weight is updated with probability ``share`` (DeepFaceLab's lr_dropout)."""
        before = [each.detach().clone() for each in moved]
        self.optimizer.step()
        for each, old in zip(moved, before, strict=True):
            stays = torch.rand(each.shape, generator=self._chance, device=each.device) >= share
            each.copy_(torch.where(stays, old, each))
