"""The folder of a trained lip-sync model: ``lipsync.json``, ``model.safetensors``, ``README.md``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from forge.reenacting.lipsync.network import LipsyncSpec, MouthNetwork
from shared.errors import CheckpointError
from shared.weights.folder import WEIGHTS_NAME, ModelLayout, damaged, read_model, write_model

FACTS_NAME, INNER_NAME = "lipsync.json", "lipsync-model"
SHIPPED = Path(__file__).parent / "weights"
"""The model that comes with the package; ``python -m benchmarks lipsync-model`` makes it."""

_FORMAT = 1


@dataclass(frozen=True)
class Material:
    """A part of what a model was trained on: its name, the basis of its use, SHA-256, and seconds."""

    name: str
    rights: str
    sha256: str
    seconds: float


@dataclass(frozen=True)
class LipsyncFacts:
    """What is known of a model.

    Attributes:
        spec: its size.
        steps, seed: of the training.
        materials: what it was trained on.
        numbers: what was measured of it, by name.
        format: of this file.
    """

    spec: LipsyncSpec
    steps: int
    seed: int
    materials: tuple[Material, ...]
    numbers: Mapping[str, float] = field(default_factory=dict)
    format: int = _FORMAT


_LAYOUT = ModelLayout("lip-sync model", LipsyncFacts, FACTS_NAME, INNER_NAME, _FORMAT)


@dataclass(frozen=True, eq=False)
class LipsyncModel:
    """A trained model with its facts and the SHA-256 of its weights."""

    network: MouthNetwork
    facts: LipsyncFacts
    weights_sha256: str


def save_lipsync_model(folder: Path, network: MouthNetwork, facts: LipsyncFacts) -> Path:
    """Writes the folder, completely or not at all; an earlier one is replaced.

    Raises:
        UsageError: something else is there.
        StorageError: writing failed.
    """
    return write_model(folder, _LAYOUT, network.state_dict(), facts, card=card_of(facts, network.parameters_count))


def load_lipsync_model(place: Path = SHIPPED) -> LipsyncModel:
    """The model in a folder, or in the run there.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    stored = read_model(place, _LAYOUT)
    path = stored.folder / WEIGHTS_NAME
    try:
        _need_shapes(stored.facts.spec, stored.tensors)
        network = MouthNetwork(stored.facts.spec)
        network.load_state_dict(stored.tensors)
    except (RuntimeError, ValueError) as error:
        raise damaged(path, error) from error
    if not all(bool(torch.isfinite(each).all()) for each in network.state_dict().values()):
        raise CheckpointError(f"{path} holds weights that are no numbers", hint="train it again")
    return LipsyncModel(network.eval(), stored.facts, stored.weights_sha256)


def _need_shapes(spec: LipsyncSpec, tensors: Mapping[str, Tensor]) -> None:
    """Compares names and shapes with those of ``spec``, before memory is taken for a network of that size."""
    with torch.device("meta"):
        wanted = {name: each.shape for name, each in MouthNetwork(spec).state_dict().items()}
    if wanted != {name: each.shape for name, each in tensors.items()}:
        raise ValueError(f"its weights are not of the size that {FACTS_NAME} says")


def card_of(facts: LipsyncFacts, parameters: int) -> str:
    """The card of a model: what it is, what it was trained on, and what was measured."""
    rows = [f"| {one.name} | {one.rights} | {one.seconds:.0f} | `{one.sha256[:16]}` |" for one in facts.materials]
    numbers = [f"| {name} | {value:g} |" for name, value in facts.numbers.items()]
    measured = ["| measured | |", "|---|---|", *numbers, ""] if numbers else []
    return "\n".join(
        [
            "# Lip-sync model",
            "",
            "From speech to opening, width and jaw of a mouth, for `assay forge reenact --family lipsync`. It is meant",
            "for making labelled fakes to train and test detectors with; every clip is labelled, marked and signed.",
            "",
            f"{parameters:,} parameters; {facts.steps} steps with seed {facts.seed}.",
            "",
            "| material | rights | seconds | SHA-256 |",
            "|---|---|---|---|",
            *rows,
            "",
            *measured,
        ]
    )
