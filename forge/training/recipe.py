"""Recipes: settings of a training that change from phase to phase, as data. Imports no torch.

A recipe is a TOML file::

    name = "example"
    description = "What it is for."
    source = "Where its numbers come from."

    [settings]                       # any settings of a training, as in a --config file
    model = "original"
    [settings.loss]
    dssim = 1.0

    [[phases]]
    until = 0.8                      # up to 1 a fraction of the schedule, above 1 a count of steps
    [[phases]]
    until = 1.0
    set = { "augment.warp" = 0.0, "loss.adversarial.weight" = 0.1 }

What a phase sets stays set until a later phase sets it again, and beyond the last phase's end.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from shared.config import from_mapping, need, read_toml, to_mapping
from shared.errors import ConfigError, UnknownNameError
from shared.registry import near_matches

if TYPE_CHECKING:
    from forge.training.config import TrainConfig

Scalar = str | int | float | bool
T = TypeVar("T")

_FOLDER = "recipes"
_SUFFIX = ".toml"

FIXED = (
    "model",
    "width",
    "model_options",
    "optimizer",
    "beta1",
    "beta2",
    "weight_decay",
    "ema",
    "autoclip",
    "population",
    "start_from",
    "load_parts",
    "steps",
    "minutes",
    "seed",
    "device",
    "precision",
    "compile",
    "holdout",
    "max_faces",
    "log_every",
    "preview_every",
    "save_every",
    "snapshot_every",
    "keep",
    "phases",
    "loss.adversarial.kind",
    "loss.adversarial.net",
    "loss.adversarial.patch",
    "loss.adversarial.channels",
)
"""Settings that are fixed for a whole training, which no phase may change."""


@dataclass(frozen=True)
class Phase:
    """A period of a training with its own settings.

    Attributes:
        until: where it ends: up to 1 a fraction of the schedule, above 1 a count of steps.
        set: dotted names of settings and their values, for example ``{"loss.dssim": 0.5, "augment.warp": 0.0}``;
            they stay until a later phase sets them again.
    """

    until: float
    set: dict[str, Scalar] = field(default_factory=dict)

    def __post_init__(self) -> None:
        need(math.isfinite(self.until) and self.until > 0, f"a phase ends at {self.until}", "a fraction or a step")
        need(
            self.until <= 1 or float(self.until).is_integer(),
            f"a phase ends at {self.until}, which is neither a fraction up to 1 nor a count of steps",
            "1.0 is the end of the schedule, 2000 is step 2000",
        )

    def over(self, step: int, fraction: float) -> bool:
        """Whether it has ended by ``step`` and ``fraction`` of the schedule."""
        return fraction >= self.until if self.until <= 1 else step >= self.until


@dataclass(frozen=True)
class Recipe:
    """A named set of training settings and phases, with its source.

    Attributes:
        settings: of the training, as in a settings file.
        phases: see :class:`Phase`.
    """

    name: str
    description: str
    source: str
    settings: dict[str, Any] = field(default_factory=dict)
    phases: tuple[Phase, ...] = ()

    def mapping(self) -> dict[str, Any]:
        """The settings with the phases among them, for :func:`shared.config.from_mapping`."""
        phases = [to_mapping(phase) for phase in self.phases]
        return {**self.settings, **({"phases": phases} if phases else {})}


def recipe_names() -> list[str]:
    """The recipes that come with Assay."""
    return sorted(path.name.removesuffix(_SUFFIX) for path in _folder().iterdir() if path.name.endswith(_SUFFIX))


def load_recipe(name_or_path: str | Path) -> dict[str, Any]:
    """The settings of a recipe, overridden by a settings file and flags; see :func:`read_recipe`."""
    return read_recipe(name_or_path).mapping()


def read_recipe(name_or_path: str | Path) -> Recipe:
    """The recipe of that name, or in that file (a path ends in ``.toml``).

    Raises:
        UnknownNameError: no recipe has that name.
        ConfigError: the file is missing or is no recipe.
    """
    text = str(name_or_path)
    if text.endswith(_SUFFIX):
        path = Path(text)
    else:
        if text not in recipe_names():
            raise UnknownNameError(f"no recipe is named {text!r}", hint=near_matches(text, recipe_names()))
        path = Path(str(_folder() / f"{text}{_SUFFIX}"))
    raw = read_toml(path)
    phases = raw.get("phases", [])
    if isinstance(phases, list):
        raw["phases"] = [_flat_phase(phase) for phase in phases]
    return from_mapping(Recipe, raw, where=path.name)


def settings_at(config: TrainConfig, step: int, fraction: float) -> TrainConfig:
    """The settings in force at ``step`` with ``fraction`` of the schedule done, without phases. Cached.

    Raises:
        ConfigError: see :func:`check_phases`.
    """
    if not config.phases:
        return config
    number = next(
        (i for i, phase in enumerate(config.phases) if not phase.over(step, fraction)), len(config.phases) - 1
    )
    return all_settings(config)[number]


def all_settings(config: TrainConfig) -> tuple[TrainConfig, ...]:
    """The settings of every phase in turn, or ``config`` alone when it has none. Cached for each config.

    Raises:
        ConfigError: see :func:`check_phases`.
    """
    return _resolved(_Same(config))


def check_phases(config: TrainConfig) -> None:
    """Refuses invalid phases before training.

    Raises:
        ConfigError: an unknown setting (with the nearest names), a value it does not take, one that is fixed for a
            whole training, a phase past the end, or phases out of order.
    """
    before = 0.0
    for number, phase in enumerate(config.phases, start=1):
        end = phase.until * config.steps if phase.until <= 1 else phase.until
        need(
            end <= config.steps,
            f"phase {number} ends at step {end:g}, past the training's {config.steps}",
            f"end it by step {config.steps}, or as a fraction up to 1, or train longer",
        )
        need(
            end > before,
            f"phase {number} ends at step {end:g}, not after the one before it ({before:g})",
            "put phases in the order of their ends",
        )
        before = end
    all_settings(config)


def with_settings(config: T, changes: Mapping[str, Scalar], *, where: str = "settings") -> T:
    """``config`` with dotted settings changed, checked as strictly as a settings file.

    Raises:
        ConfigError: an unknown setting, or a value it does not take.
    """
    for name, value in changes.items():
        config = _changed(config, name.split("."), value, name, where)
    return config


class _Same:
    """A config as a cache key by object identity: configs hold mappings and are not hashable."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config

    def __hash__(self) -> int:
        return id(self.config)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.config is self.config


@functools.lru_cache(maxsize=8)
def _resolved(same: _Same) -> tuple[TrainConfig, ...]:
    if not same.config.phases:
        return (same.config,)
    current = dataclasses.replace(same.config, phases=())
    found: list[TrainConfig] = []
    for number, phase in enumerate(same.config.phases, start=1):
        for name in phase.set:
            need(
                not any(name == fixed or name.startswith(f"{fixed}.") for fixed in FIXED),
                f"phase {number} sets {name}, which is fixed for a whole training",
                "set it for the whole recipe; an adversary pauses while loss.adversarial.weight is 0",
            )
        current = with_settings(current, phase.set, where=f"phase {number}")
        found.append(current)
    return tuple(found)


def _changed(config: Any, path: list[str], value: Scalar, whole: str, where: str) -> Any:
    known = [each.name for each in dataclasses.fields(config)]
    name = path[0]
    if name not in known:
        prefix = whole.removesuffix(".".join(path))
        hint = near_matches(name, known)
        raise ConfigError(
            f"{where}: unknown setting {whole!r}", hint=f"of {prefix.rstrip('.')}, {hint}" if prefix else hint
        )
    inner = getattr(config, name)
    if len(path) > 1:
        if not dataclasses.is_dataclass(inner):
            raise ConfigError(f"{where}: {whole!r} goes deeper than there are settings", hint=f"{name} is one value")
        return dataclasses.replace(config, **{name: _changed(inner, path[1:], value, whole, where)})
    if dataclasses.is_dataclass(inner):
        names = [f"{whole}.{each.name}" for each in dataclasses.fields(inner)]
        raise ConfigError(f"{where}: {whole!r} is a group of settings", hint=f"set one of {', '.join(names)}")
    checked = from_mapping(type(config), {**to_mapping(config), name: value}, where=f"{where}, {whole}")
    return dataclasses.replace(config, **{name: getattr(checked, name)})


def _flat_phase(phase: Any) -> Any:
    """A phase whose unquoted dotted names TOML has read as tables, with dotted names again."""
    if not isinstance(phase, Mapping) or not isinstance(phase.get("set"), Mapping):
        return phase
    return {**phase, "set": _flat(phase["set"])}


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat.update(_flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value})
    return flat


def _folder() -> Any:
    return resources.files("forge.training") / _FOLDER
