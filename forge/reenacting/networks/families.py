"""The families of networks, and how each is built for a training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from forge.models.contract import Option
from forge.reenacting.networks import landmark, warp
from forge.reenacting.networks.config import NetworkName, ReenactorConfig
from forge.reenacting.networks.contract import Reenactor, reenactors
from forge.reenacting.networks.landmark import LandmarkTrainer
from forge.reenacting.networks.material import Material
from forge.reenacting.networks.trainer import ReenactorTrainer
from forge.reenacting.networks.warp import WarpTrainer
from shared.device import Device
from shared.errors import ConfigError

_TRAINERS: dict[str, type[ReenactorTrainer[Any]]] = {landmark.NAME: LandmarkTrainer, warp.NAME: WarpTrainer}
_STEPS = {landmark.NAME: 20_000, warp.NAME: 10_000}

TINY: dict[NetworkName, dict[str, Option]] = {
    "reenact-landmark": {"px": 64, "channels": 4},
    "reenact-warp": {"px": 64, "channels": 4},
}
"""Options of the smallest useful network of each family, for tests."""


def untrained(family: str, options: Mapping[str, Option]) -> Reenactor:
    """A network with random weights from torch's global generator.

    Raises:
        ConfigError: the family has no such option, or not with that value.
        UnknownNameError: there is no such family.
    """
    try:
        return reenactors.create(family, **options)
    except TypeError as error:
        raise ConfigError(
            f"{family} cannot be built with {dict(options)}: {error}",
            hint="see assay forge train-reenactor --help: --option name=value",
        ) from error


def trainer_of(net: Reenactor, material: Material, config: ReenactorConfig, device: Device) -> ReenactorTrainer[Any]:
    """The trainer of a network on ``material``."""
    return _TRAINERS[net.spec.name](net, untrained(config.family, config.options), material, config, device)


def usual_steps(config: ReenactorConfig) -> int:
    """How long to train: the setting, or the family's own."""
    return config.steps or _STEPS[config.family]
