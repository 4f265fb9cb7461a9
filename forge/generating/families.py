"""The families of generators, and how each is built for a training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from forge.generating import flow, gan, prior  # noqa: F401 - each registers its family
from forge.generating.config import FamilyName, GeneratorConfig
from forge.generating.contract import Generator, generators
from forge.generating.flow import FlowGenerator
from forge.generating.gan import SkipGenerator
from forge.generating.prior import PriorGenerator
from forge.generating.trainers import FlowTrainer, GanTrainer, GeneratorTrainer, PriorTrainer
from forge.models import Swapper, shipped
from forge.models.checkpoint import load_swapper, read_card, swapper_digest
from forge.models.contract import Option
from shared.device import Device
from shared.errors import ConfigError, UsageError

_STEPS = {"generate-gan": 40_000, "generate-flow": 40_000}

TINY: dict[FamilyName, dict[str, Option]] = {
    "generate-prior": {"latent": 8},
    "generate-gan": {"channels": 4, "latent": 16},
    "generate-flow": {"px": 32, "channels": 8, "steps": 4},
}
"""Options of the smallest useful generator of each family, for tests."""


@dataclass(frozen=True, eq=False)
class Untrained:
    """A generator to train, and the swapper and the digest of what it starts from, if it does."""

    net: Generator
    swapper: Swapper | None = None
    start: str | None = None


def untrained(config: GeneratorConfig) -> Untrained:
    """The generator that ``config`` describes, with random weights from torch's global generator.

    Raises:
        ConfigError: the family has no such option, or not with that value.
        CheckpointError: the swapper to start from is missing or damaged.
        UsageError: it has no narrow layer, or is of single people and not of a population.
    """
    if config.family != "generate-prior":
        return Untrained(_created(config.family, config.options))
    folder = shipped.BASE_FOLDER if config.start_from == shipped.BASE else Path(config.start_from)
    if config.start_from != shipped.BASE and not read_card(folder).population:
        raise UsageError(
            f"{folder} is a swapper of single people, so its faces are theirs", hint="leave --from out for the base"
        )
    swapper = load_swapper(folder)
    known = {name: value for name, value in swapper.spec.options if name in ("resolution", "code", "framing")}
    of_swapper: dict[str, Option] = {"swapper": swapper.spec.name, "width": swapper.spec.width, **known}
    refused = sorted(set(config.options) & set(of_swapper))
    if refused:
        raise ConfigError(f"{refused[0]} is the swapper's own option", hint="choose another swapper with --from")
    prior.coding_parts(swapper)
    return Untrained(_created(config.family, {**of_swapper, **config.options}), swapper, swapper_digest(folder))


def trainer_of(begun: Untrained, faces: torch.Tensor, config: GeneratorConfig, device: Device) -> GeneratorTrainer:
    """The trainer of a generator on ``faces`` (N, 3, S, S) uint8."""
    net = begun.net
    if isinstance(net, PriorGenerator) and begun.swapper is not None:
        return PriorTrainer(net, begun.swapper, faces, config, device)
    again = generators.create(net.spec.name, **dict(net.spec.options))
    if isinstance(net, SkipGenerator) and isinstance(again, SkipGenerator):
        return GanTrainer(net, again, faces, config, device)
    assert isinstance(net, FlowGenerator)
    assert isinstance(again, FlowGenerator)
    return FlowTrainer(net, again, faces, config, device)


def usual_steps(config: GeneratorConfig, faces: int) -> int:
    """How long to train: the setting, or the family's own."""
    return config.steps or _STEPS.get(config.family) or PriorTrainer.steps_of_a_pass(faces, config.batch)


def _created(family: str, options: dict[str, Option]) -> Generator:
    try:
        return generators.create(family, **options)
    except TypeError as error:
        raise ConfigError(
            f"{family} cannot be built with {options}: {error}",
            hint="see assay forge train-generator --help: --option name=value",
        ) from error
