"""References and settings of third-party detectors: input, and meaning of the outputs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl

from torch import Tensor

from detect.config.scoring import AggregateConfig, Aggregation, FaceConfig
from detect.models.checkpoint import MAX_CONFIG_BYTES, DetectorFacts
from detect.models.contract import DetectorSpec
from shared.config import from_mapping, parse_toml, read_toml
from shared.errors import CheckpointError, ConfigError, UsageError
from shared.storage import read_json
from shared.types import Framing

KINDS = ("onnx", "local-dir", "python", "csv")
OTHERS = "another maker's"
"""Source of the weights of a third-party network in its facts."""

_SMALLEST_SHARE = 1e-7


@dataclass(frozen=True)
class Reference:
    """A third-party detector: its kind, its path, and the settings in the reference."""

    kind: str
    path: Path
    options: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.kind}:{self.path.name}"


@dataclass(frozen=True)
class ExternalConfig:
    """Input and output of a third-party network."""

    px: int | None = None
    """Side of its input; default that of the file, if fixed."""
    mean: tuple[float, float, float] | None = None
    """Of R, G and B, for values from 0 to 1."""
    std: tuple[float, float, float] | None = None
    framing: Framing = "whole"
    """How much of the head its crops show."""
    output: Literal["logit", "probability"] = "logit"
    fake: Literal[0, 1] = 1
    """The index of the fake class. A single output is that of class 1, so 0 means that it scores realness."""
    channels: Literal["rgb", "bgr"] = "rgb"
    """Order of the colour channels."""
    finder: str = "auto"
    min_face_px: float = FaceConfig.min_face_px
    aggregate: Aggregation = "mean"
    name: str = ""
    """Its name in tables; default the file's name."""

    def __post_init__(self) -> None:
        if self.px is not None and not 16 <= self.px <= 1024:
            raise ConfigError(f"px must lie between 16 and 1024, got {self.px}", hint="224 is usual")
        if self.std is not None and min(self.std) <= 0:
            raise ConfigError(f"std must be positive, got {self.std}", hint="1,1,1 leaves the values alone")


def parse_reference(text: str | Path) -> Reference | None:
    """The third-party detector that ``text`` names; None if it is a path of one of Assay's.

    Raises:
        UsageError: the file or folder does not exist.
    """
    kind, colon, rest = str(text).partition(":")
    if not colon or kind not in KINDS:
        return None
    name, _, query = (rest, "", "") if Path(rest).exists() else rest.rpartition("?") if "?" in rest else (rest, "", "")
    path = Path(name)
    if not (path.is_dir() if kind == "local-dir" else path.is_file()):
        what = "folder" if kind == "local-dir" else "file"
        raise UsageError(f"{text}: there is no {what} {path}", hint=f"{kind}:PATH, settings after it as ?name=value")
    return Reference(kind, path, {key: _value(value) for key, value in parse_qsl(query, keep_blank_values=True)})


def to_logits(output: Tensor, config: ExternalConfig) -> Tensor:
    """(B, 1) or (B, 2) outputs -> (B,) logits, positive for fake.

    Raises:
        CheckpointError: more than two classes, or probabilities outside [0, 1].
    """
    columns = output.float().reshape(output.shape[0], -1)
    if columns.shape[1] not in (1, 2):
        raise CheckpointError(
            f"the detector gives {columns.shape[1]} numbers per face", hint="one logit, or one for each of two classes"
        )
    if config.output == "probability":
        if bool((columns < 0).any() | (columns > 1).any()):
            raise CheckpointError("the detector's outputs are no probabilities", hint="say output=logit")
        columns = columns.clamp(_SMALLEST_SHARE, 1 - _SMALLEST_SHARE)
        columns = columns.log() if columns.shape[1] == 2 else columns.logit()
    if columns.shape[1] == 2:
        return columns[:, config.fake] - columns[:, 1 - config.fake]
    return columns[:, 0] if config.fake == 1 else -columns[:, 0]


def probability_to_logit(probability: float) -> float:
    """The logit of a probability, clipped to that of one in ten million."""
    share = min(max(probability, _SMALLEST_SHARE), 1 - _SMALLEST_SHARE)
    return math.log(share) - math.log1p(-share)


def resolve_settings(reference: Reference, given: Mapping[str, Any]) -> ExternalConfig:
    """The settings of a third-party network from the reference, the file beside it and those ``given``.

    Raises:
        ConfigError: one is unknown, out of range, or missing.
    """
    config = from_mapping(ExternalConfig, given, where=str(reference))
    missing = [name for name in ("px", "mean", "std") if getattr(config, name) is None]
    if missing:
        raise ConfigError(
            f"{reference} does not say its {', '.join(missing)}",
            hint=f"write them into {reference.path.name}.toml, or behind it: ?px=224&mean=0.5,0.5,0.5&std=0.5,0.5,0.5",
        )
    return config


def facts_of(reference: Reference, config: ExternalConfig) -> DetectorFacts:
    """The facts of a third-party network."""
    assert config.px is not None
    assert config.mean is not None
    assert config.std is not None
    name = config.name or reference.path.name
    spec = DetectorSpec(name, config.px, config.mean, config.std, config.framing, family="external")
    return DetectorFacts(
        spec,
        faces=FaceConfig(finder=config.finder, min_face_px=config.min_face_px),
        aggregate=AggregateConfig(method=config.aggregate),
        initial_weights=OTHERS,
    )


def settings_of(facts: DetectorFacts) -> dict[str, Any]:
    """The settings that describe one of Assay's detectors."""
    spec = facts.spec
    return {
        "px": spec.input_px,
        "mean": spec.mean,
        "std": spec.std,
        "framing": spec.framing,
        "finder": facts.finder.get("name", "auto"),
        "min_face_px": facts.faces.min_face_px,
        "aggregate": facts.aggregate.method,
        "name": spec.name,
    }


def settings_beside(path: Path) -> dict[str, Any]:
    """Settings in ``PATH.toml`` or ``PATH.json``; empty without such a file.

    Raises:
        ConfigError, CheckpointError: it cannot be read.
    """
    for name in dict.fromkeys((f"{path.name}.toml", f"{path.stem}.toml")):
        if (path.parent / name).is_file():
            return read_toml(path.parent / name)
    for name in dict.fromkeys((f"{path.name}.json", f"{path.stem}.json")):
        if (path.parent / name).is_file():
            return read_description(path.parent / name)
    return {}


def read_description(path: Path) -> dict[str, Any]:
    """The JSON object that describes a network.

    Raises:
        CheckpointError: missing, larger than 1 MiB, or not a JSON object.
    """
    return read_json(path, dict, MAX_CONFIG_BYTES, error=CheckpointError, hint="it should hold a JSON object")


def _value(text: str) -> Any:
    """The value of a setting in a reference: a number, a list of numbers separated by commas, or the text itself."""
    try:
        return parse_toml(f"v = [{text}]" if "," in text else f"v = {text}")["v"]
    except ValueError:
        return text
