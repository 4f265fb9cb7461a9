"""Training state and step: the model, discriminators, optimizers and random generators."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from forge.models import Swap, Swapper
from forge.models.parts import freeze_parts
from forge.models.population import stored_names, tie_identities
from forge.training.adversarial import Adversary, LatentDiscriminator
from forge.training.config import TrainConfig
from forge.training.data import Batch, FaceBank
from forge.training.losses.objective import Losses, Objective
from forge.training.optimizers import OptimizerStep
from forge.training.recipe import all_settings, settings_at
from forge.training.schedule import learning_rate, warp_strength
from forge.training.timing import DataTimer
from shared.device import Device
from shared.errors import CheckpointError
from shared.training.processes import Processes
from shared.training.state import pack_rng, state_under, unpack_rng

_STREAM = 1_000_003


class StepOutputs(NamedTuple):
    """Outputs of a step's forward pass: latents and swaps, one per identity, and swaps by another's decoder."""

    latents: list[Tensor]
    swaps: list[Swap]
    crossed: list[Swap]


class _ForwardPass(nn.Module):
    """The forward pass of a step as one module, for gradient averaging between processes."""

    def __init__(self, swapper: Swapper) -> None:
        super().__init__()
        self.swapper = swapper

    def forward(self, faces: Tensor, identities: Sequence[str], crossed: bool) -> StepOutputs:
        """Encodes all faces as one batch; each decoder decodes its own, and another's if ``crossed``."""
        latents = list(self.swapper.encode(faces).chunk(len(identities)))
        swaps = [self.swapper.decode(part, name) for part, name in zip(latents, identities, strict=True)]
        if not crossed:
            return StepOutputs(latents, swaps, [])
        others = [*latents[1:], latents[0]]
        return StepOutputs(
            latents,
            swaps,
            [self.swapper.decode(part.detach(), name) for part, name in zip(others, identities, strict=True)],
        )


class SwapTrainer:
    """Trains ``swapper`` on ``banks``, one :class:`FaceBank` for each of its identities in their order.

    :meth:`state` holds all state for exact resumption; on a CPU of the same type with as many threads a restored
    trainer continues bit for bit as if it had never stopped. Nothing in a step synchronises a GPU.

    Raises:
        UsageError: settings that this swapper does not support (an unknown part, a loss of an output it lacks).
        WeightsError: the weights of a loss's network are missing.
    """

    def __init__(
        self,
        swapper: Swapper,
        banks: Sequence[FaceBank],
        device: Device,
        config: TrainConfig,
        *,
        processes: Processes | None = None,
    ) -> None:
        if config.population:
            tie_identities(swapper)
        self.swapper = swapper.to(device.torch_device).to(memory_format=torch.channels_last).train()
        self.banks = list(banks)
        self.device = device
        self.config = config
        self.processes = Processes() if processes is None else processes
        self.step = 0
        self.faces_seen = 0
        self.rate_scale = 1.0
        self.data_timer = DataTimer(device)
        self.generator = torch.Generator().manual_seed(config.seed)
        phases = all_settings(config)
        self.objective = Objective(
            config.loss, swapper.spec, device.torch_device, later=[phase.loss for phase in phases]
        )
        self._parameters = list(self.swapper.parameters())
        self._average = [parameter.detach().clone() for parameter in self._parameters] if config.ema else []
        self._optimizer_steps = {"mover": OptimizerStep("mover", self._parameters, config, device)}
        self._adversary = self._with_optimizer("adversary", self._new_adversary())
        wants_latent = any(phase.loss.true_face > 0 for phase in phases)
        self._latent_discriminator = self._with_optimizer("codes", self._new_latents() if wants_latent else None)
        self._frozen = config.freeze
        freeze_parts(self.swapper, config.freeze)
        if config.compile:
            for part in self.swapper.parts().values():
                part.compile()
        self._forward = self.processes.wrapped(_ForwardPass(self.swapper))

    @staticmethod
    def check(swapper: Swapper, device: Device, config: TrainConfig) -> None:
        """Refuses settings, of any phase, that this swapper does not support.

        Raises:
            UsageError, WeightsError: as the class.
        """
        phases = all_settings(config)
        for phase in phases:
            freeze_parts(swapper, phase.freeze)
        freeze_parts(swapper, "")
        Objective(config.loss, swapper.spec, device.torch_device, later=[phase.loss for phase in phases])
        if config.loss.adversarial.kind != "none":
            Adversary(config.loss.adversarial, swapper.spec, swapper.spec.identities)

    @property
    def faces_per_step(self) -> int:
        """Faces in one step, over all processes."""
        config = self.config
        identities = min(len(self.banks), config.identities_per_step)
        return config.batch * identities * config.accumulate * self.processes.count

    def train_step(self, fraction: float) -> dict[str, Losses]:
        """One optimizer step at ``fraction`` of the schedule. Returns the losses by identity."""
        settings = settings_at(self.config, self.step, fraction)
        if settings.freeze != self._frozen:
            self._frozen = settings.freeze
            freeze_parts(self.swapper, settings.freeze)
        self._own_stream()
        found: list[dict[str, Losses]] = []
        for number in range(settings.accumulate):
            last = number == settings.accumulate - 1
            with nullcontext() if last else self.processes.unsynced(self._forward):
                found.append(self._learn(settings, warp_strength(fraction, settings)))
        self._move(settings, learning_rate(self.step, fraction, settings) * self.rate_scale)
        self.step += 1
        self._move_average()
        return found[0] if len(found) == 1 else _mean_losses(found)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All state for exact resumption, as named tensors and JSON."""
        state = self.swapper.state_dict()
        tensors = {f"model.{name}": state[name] for name in stored_names(self.swapper)}
        for name, module in self._discriminators():
            tensors |= {f"{name}.{key}": value for key, value in module.state_dict().items()}
        step_states: dict[str, Any] = {}
        for name, optimizer_step in self._optimizer_steps.items():
            moved, step_states[name] = optimizer_step.state()
            tensors |= moved
        random, random_meta = pack_rng(self._generators())
        average = {f"average.{number}": value for number, value in enumerate(self._average)}
        meta = {
            "movers": step_states,
            "rng": random_meta,
            "step": self.step,
            "faces_seen": self.faces_seen,
            "rate_scale": self.rate_scale,
        }
        return {**tensors, **random, **average}, meta

    def restore(self, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
        """Restores what :meth:`state` returned.

        Raises:
            CheckpointError: it is the state of another model or training.
        """
        try:
            self.swapper.load_state_dict(state_under("model", tensors), strict=not self.config.population)
            for name, module in self._discriminators():
                module.load_state_dict(state_under(name, tensors))
            for number, average in enumerate(self._average):
                average.copy_(tensors[f"average.{number}"])
            self.step = int(meta["step"])
            self.faces_seen = int(meta["faces_seen"])
            self.rate_scale = float(meta["rate_scale"])
            for name, optimizer_step in self._optimizer_steps.items():
                optimizer_step.restore(tensors, meta["movers"][name])
            unpack_rng(self._generators(), tensors, meta["rng"])
        except (KeyError, RuntimeError) as error:
            raise CheckpointError(
                f"the checkpoint does not fit {self.swapper.spec.name}: {error}", hint="start a new run"
            ) from error

    def slow_down(self, rate_scale: float, returns: int) -> None:
        """After a return: ``rate_scale`` times the learning rate from here on, and a new random stream of faces."""
        self.rate_scale = rate_scale
        self.generator.manual_seed(self.config.seed + _STREAM * returns)

    def all_finite(self) -> bool:
        """Whether all weights are finite."""
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

    def snapshot(self) -> Swapper:
        """A copy of :meth:`shipped`, in evaluation mode, which later steps leave as it is."""
        with self.shipped() as swapper:
            return copy.deepcopy(swapper).eval().requires_grad_(False)

    @torch.no_grad()
    def _put_weights(self, values: Sequence[Tensor]) -> None:
        for parameter, value in zip(self._parameters, values, strict=False):
            parameter.copy_(value)

    def _new_adversary(self) -> Adversary | None:
        loss = self.config.loss.adversarial
        if loss.kind == "none":
            return None
        names = [bank.identity for bank in self.banks]
        return Adversary(loss, self.swapper.spec, names[:1] if self.config.population else names)

    @torch.no_grad()
    def _new_latents(self) -> LatentDiscriminator:
        px = self.swapper.spec.input_px
        latent = self.swapper.eval().encode(torch.zeros(1, 3, px, px, device=self.device.torch_device))
        self.swapper.train()
        return LatentDiscriminator(tuple(latent.shape[1:]), [bank.identity for bank in self.banks])

    def _with_optimizer(self, name: str, module: Any) -> Any:
        """``module`` on the device, with its own optimizer; None stays None."""
        if module is None:
            return None
        module.to(self.device.torch_device)
        self._optimizer_steps[name] = OptimizerStep(f"{name}_mover", module.parameters(), self.config, self.device)
        return module

    def _discriminators(self) -> Iterator[tuple[str, nn.Module]]:
        """The discriminators in use, by name in the state."""
        for name, module in (("adversary", self._adversary), ("codes", self._latent_discriminator)):
            if module is not None:
                yield name, module

    def _generators(self) -> dict[str, torch.Generator]:
        generators = {"data": self.generator, "torch": torch.default_generator}
        if self.device.kind == "cuda":
            index = self.device.torch_device.index or 0
            generators["cuda"] = torch.cuda.default_generators[index]
        return generators

    def _own_stream(self) -> None:
        """Seeds all processes but the first, whose stream is saved, by rank and step."""
        if self.processes.rank:
            seed = self.config.seed + _STREAM * (self.step * self.processes.count + self.processes.rank)
            self.generator.manual_seed(seed)
            torch.manual_seed(seed)

    def _learn(self, settings: TrainConfig, warp: float) -> dict[str, Losses]:
        """Computes the gradients of one batch, for the swapper and its discriminators."""
        banks = self._banks_in_turn(settings)
        with self.data_timer.making():
            batches = [self._batch(bank, settings, warp) for bank in banks]
        names = [bank.identity for bank in banks]
        if settings.population:
            names, batches = [self.swapper.spec.identities[0]], [Batch(*map(torch.cat, zip(*batches, strict=True)))]
        outputs, losses = self._losses(names, batches, settings)
        share = 1 / (len(names) * settings.accumulate)
        (torch.stack([loss.total for loss in losses.values()]).sum() * share).backward()
        self._train_discriminators(outputs, names, batches, settings, losses)
        self.faces_seen += sum(len(batch.target) for batch in batches) * self.processes.count
        return {
            name: Losses(loss.total.detach(), {term: value.detach() for term, value in loss.terms.items()})
            for name, loss in losses.items()
        }

    def _banks_in_turn(self, settings: TrainConfig) -> list[FaceBank]:
        """The banks of this step: all, or a window that moves on by its own length every step.

        The banks of a population are sampled by their number of faces, so that every face counts alike.
        """
        count = min(len(self.banks), settings.identities_per_step)
        if settings.population:
            faces = torch.tensor([float(len(bank)) for bank in self.banks])
            chosen = torch.multinomial(faces, count, replacement=True, generator=self.generator)
            return [self.banks[int(number)] for number in chosen]
        start = self.step * count
        return [self.banks[(start + number) % len(self.banks)] for number in range(count)]

    @torch.no_grad()
    def _batch(self, bank: FaceBank, settings: TrainConfig, warp: float) -> Batch:
        augment = settings.augment
        other = None
        if augment.warp_kind == "landmarks" or augment.color_transfer > 0:
            others = [each for each in self.banks if each is not bank]
            other = others[int(torch.randint(len(others), (), generator=self.generator))]
        return bank.batch(settings.batch, self.swapper.spec, augment, self.generator, warp=warp, other=other)

    def _losses(
        self, names: Sequence[str], batches: Sequence[Batch], settings: TrainConfig
    ) -> tuple[StepOutputs, dict[str, Losses]]:
        loss = settings.loss
        faces = torch.cat([batch.input for batch in batches]).contiguous(memory_format=torch.channels_last)
        with self.device.autocast():
            outputs = self._forward(faces, names, self.objective.wants_crossed(loss))
        found = [self.objective(swap, batch, config=loss) for swap, batch in zip(outputs.swaps, batches, strict=True)]
        for place, swap in enumerate(outputs.crossed):
            found[place] = _plus(
                found[place], self.objective.crossed(swap, batches[(place + 1) % len(batches)], config=loss)
            )
        if self._adversary is not None and loss.adversarial.active:
            for place, name in enumerate(names):
                with self.device.autocast():
                    value = self._adversary.generator_loss(outputs.swaps[place], batches[place], name)
                found[place] = _plus(found[place], Losses(loss.adversarial.weight * value, {"adversary": value}))
        if self._latent_discriminator is not None and loss.true_face > 0:
            value = self._latent_discriminator.generator_loss(dict(zip(names, outputs.latents, strict=True)))
            found = [_plus(each, Losses(loss.true_face * value, {"true_face": value})) for each in found]
        return outputs, dict(zip(names, found, strict=True))

    def _train_discriminators(
        self,
        outputs: StepOutputs,
        names: Sequence[str],
        batches: Sequence[Batch],
        settings: TrainConfig,
        losses: dict[str, Losses],
    ) -> None:
        loss, share = settings.loss, 1 / settings.accumulate
        if self._adversary is not None and loss.adversarial.active:
            values = []
            for name, swap, batch in zip(names, outputs.swaps, batches, strict=True):
                with self.device.autocast():
                    value = self._adversary.discriminator_loss(
                        swap, batch, name, config=loss.adversarial, generator=self.generator
                    )
                values.append(value)
                losses[name] = losses[name]._replace(terms={**losses[name].terms, "critic": value})
            (torch.stack(values).mean() * share).backward()
        if self._latent_discriminator is not None and loss.true_face > 0:
            latents = dict(zip(names, outputs.latents, strict=True))
            (self._latent_discriminator.discriminator_loss(latents) * share).backward()

    def _move(self, settings: TrainConfig, rate: float) -> None:
        for name, optimizer_step in self._optimizer_steps.items():
            if name == "mover":
                optimizer_step.step(rate, settings)
                continue
            self.processes.average_gradients(optimizer_step.parameters)
            optimizer_step.step(rate * settings.loss.adversarial.rate_factor, settings)

    @torch.no_grad()
    def _move_average(self) -> None:
        if self._average:
            # A new average follows faster, so that a short run does not export its first steps.
            decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
            torch._foreach_lerp_(self._average, self._parameters, 1 - decay)  # type: ignore[attr-defined]


def _plus(one: Losses, other: Losses) -> Losses:
    return Losses(one.total + other.total, {**one.terms, **other.terms})


def _mean_losses(found: Sequence[dict[str, Losses]]) -> dict[str, Losses]:
    """Mean over several batches, by identity and term."""
    merged: dict[str, Losses] = {}
    for name in {name: None for each in found for name in each}:
        own = [each[name] for each in found if name in each]
        terms = {term: torch.stack([each.terms[term] for each in own]).mean() for term in own[0].terms}
        merged[name] = Losses(torch.stack([each.total for each in own]).mean(), terms)
    return merged
