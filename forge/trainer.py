"""One training in memory: the model, its optimizer, its random stream, and the step that moves them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from forge.config import TrainConfig
from forge.data import Batch, FaceBank
from forge.losses import Losses, pixel_weight, swap_loss
from forge.models import Swapper
from forge.schedule import learning_rate, warp_strength
from shared.device import Device
from shared.errors import CheckpointError
from shared.runs import pack_optimizer, pack_rng, unpack_optimizer, unpack_rng

_BETAS = (0.9, 0.999)


class SwapTrainer:
    """Trains ``swapper`` on ``banks``, one :class:`FaceBank` for each of its identities in their order.

    Everything that the next step depends on is in :meth:`state`, so a trainer that is restored from it goes on as
    if it had never stopped; on a CPU bit for bit.
    """

    def __init__(self, swapper: Swapper, banks: Sequence[FaceBank], device: Device, config: TrainConfig) -> None:
        self.swapper = swapper.to(device.torch_device).to(memory_format=torch.channels_last).train()
        self.banks = list(banks)
        self.device = device
        self.config = config
        self.step = 0
        self.generator = torch.Generator().manual_seed(config.seed)
        self._parameters = list(self.swapper.parameters())
        self._optimizer = torch.optim.Adam(
            self._parameters, lr=config.learning_rate, betas=_BETAS, fused=device.kind in ("cpu", "cuda")
        )
        self._average = [parameter.detach().clone() for parameter in self._parameters] if config.ema else []
        if config.compile:
            _compile_parts(self.swapper)

    @property
    def faces_per_step(self) -> int:
        """Faces that one step learns from."""
        return self.config.batch * min(len(self.banks), self.config.identities_per_step)

    def train_step(self, fraction: float) -> dict[str, Losses]:
        """One step of the optimizer; ``fraction`` of the schedule lies behind. Gives the losses by identity.

        The encoder sees the faces of all identities as one batch; each decoder draws its own.
        """
        rate = learning_rate(self.step, fraction, self.config)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        banks = self._banks_in_turn()
        warp = warp_strength(fraction, self.config)
        batches = [self._batch(bank, warp) for bank in banks]
        losses = self._losses(banks, batches)
        total = torch.stack([loss.total for loss in losses]).mean()
        self._optimizer.zero_grad(set_to_none=True)
        total.backward()
        self._optimizer.step()
        self.step += 1
        self._move_average()
        names = [bank.identity for bank in banks]
        return {name: Losses(*(part.detach() for part in loss)) for name, loss in zip(names, losses, strict=True)}

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All that the next step depends on, as named tensors and JSON."""
        tensors = {f"model.{name}": value for name, value in self.swapper.state_dict().items()}
        optimizer, optimizer_meta = pack_optimizer(self._optimizer)
        random, random_meta = pack_rng(self._generators())
        average = {f"average.{number}": value for number, value in enumerate(self._average)}
        meta = {"optimizer": optimizer_meta, "rng": random_meta, "step": self.step}
        return {**tensors, **optimizer, **random, **average}, meta

    def restore(self, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
        """Goes back to what :meth:`state` gave.

        Raises:
            CheckpointError: it is the state of another model or training.
        """
        model = {name.removeprefix("model."): value for name, value in tensors.items() if name.startswith("model.")}
        try:
            self.swapper.load_state_dict(model)
            for number, average in enumerate(self._average):
                average.copy_(tensors[f"average.{number}"])
            self.step = int(meta["step"])
            unpack_optimizer(self._optimizer, tensors, meta["optimizer"])
            unpack_rng(self._generators(), tensors, meta["rng"])
        except (KeyError, RuntimeError) as error:
            raise CheckpointError(
                f"the checkpoint does not fit {self.swapper.spec.name}: {error}", hint="start a new run"
            ) from error

    def all_finite(self) -> bool:
        """Whether every weight is a number."""
        return all(bool(torch.isfinite(parameter).all()) for parameter in self._parameters)

    @contextmanager
    def shipped(self) -> Iterator[Swapper]:
        """The swapper with the weights that are exported (averaged, where the settings ask for it) during the block."""
        kept = [parameter.detach().clone() for parameter in self._parameters] if self._average else []
        self._put_weights(self._average)
        try:
            yield self.swapper
        finally:
            self._put_weights(kept)

    @torch.no_grad()
    def _put_weights(self, values: Sequence[Tensor]) -> None:
        for parameter, value in zip(self._parameters, values, strict=False):
            parameter.copy_(value)

    def _generators(self) -> dict[str, torch.Generator]:
        generators = {"data": self.generator, "torch": torch.default_generator}
        if self.device.kind == "cuda":
            index = self.device.torch_device.index or 0
            generators["cuda"] = torch.cuda.default_generators[index]
        return generators

    def _banks_in_turn(self) -> list[FaceBank]:
        """All identities, or a window of them that moves on by its own length every step."""
        count = min(len(self.banks), self.config.identities_per_step)
        start = self.step * count
        return [self.banks[(start + number) % len(self.banks)] for number in range(count)]

    def _batch(self, bank: FaceBank, warp: float) -> Batch:
        with torch.no_grad():
            return bank.batch(self.config.batch, self.swapper.spec, self.config.augment, self.generator, warp=warp)

    def _losses(self, banks: Sequence[FaceBank], batches: Sequence[Batch]) -> list[Losses]:
        faces = torch.cat([batch.input for batch in batches]).contiguous(memory_format=torch.channels_last)
        with self.device.autocast():
            latents = self.swapper.encode(faces).chunk(len(banks))
            swaps = [self.swapper.decode(part, bank.identity) for part, bank in zip(latents, banks, strict=True)]
        config = self.config.loss
        return [
            swap_loss(swap, batch.target, batch.mask, pixel_weight(batch.mask, batch.eyes, batch.mouth, config), config)
            for swap, batch in zip(swaps, batches, strict=True)
        ]

    @torch.no_grad()
    def _move_average(self) -> None:
        if self._average:
            # Young averages follow faster, so that a short run does not export its first steps.
            decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
            for average, parameter in zip(self._average, self._parameters, strict=True):
                average.lerp_(parameter, 1 - decay)


def _compile_parts(swapper: nn.Module) -> None:
    """Compiles the encoder and each decoder in place; names in the state stay as they are."""
    for child in swapper.children():
        for part in child if isinstance(child, nn.ModuleList) else [child]:
            part.compile()
