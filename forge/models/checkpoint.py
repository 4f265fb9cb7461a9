"""A trained swapper as a folder: ``model.safetensors`` with its weights, ``swapper.toml`` with its card.

A folder is written whole or not at all, and is not trusted when read: hash, names, shapes and sizes are checked before
a weight is used, and nothing in it is executed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from forge.models import Swapper, build_swapper
from forge.models.contract import Option, SwapSpec
from forge.models.population import stored_names, tie_identities
from forge.models.unfilled import unfilled
from shared import config as settings
from shared.errors import AssayError, CheckpointError
from shared.storage import replacing_folder, sha256_file
from shared.training.checkpoint import write_checkpoint
from shared.types import Framing, check_name

CARD_FILE = "swapper.toml"
WEIGHTS_FILE = "model.safetensors"
EXPORT_FOLDER = "swapper"
"""Folder of the export inside a run."""

_VERSION = 1
_MAX_IDENTITIES = 1_000
_MAX_WIDTH = 4.0
_MAX_WEIGHT_BYTES = 32 << 30
_TYPES = {torch.float32: "F32", torch.int64: "I64", torch.int32: "I32", torch.bool: "BOOL"}
"""Tensor types in a swapper's state, with safetensors' names: weights, and the counters and tables of some encoders."""


@dataclass(frozen=True)
class TrainingSource:
    """One faceset that a swapper was trained on: identity, rights, number of faces and digest."""

    identity: str
    rights: str
    faces: int
    digest: str


@dataclass(frozen=True)
class SwapperCard:
    """The contents of ``swapper.toml``.

    Convention:
        sha256: of the weights file, hex
        population: whether all identities are one: their parts are the first one's, and are stored once
        half: whether weights are stored in float16
        facesets: one for each identity, in order; empty for a swapper saved without training
        training: steps, seconds, loss and the like
    """

    version: int
    model: str
    width: float
    options: dict[str, Option]
    identities: tuple[str, ...]
    input_px: int
    output_px: int
    framing: Framing
    has_mask: bool
    parameters: int
    sha256: str
    population: bool = False
    half: bool = False
    facesets: tuple[TrainingSource, ...] = ()
    training: dict[str, Option] = field(default_factory=dict)


def save_swapper(
    swapper: Swapper,
    folder: Path,
    *,
    facesets: Sequence[TrainingSource] = (),
    training: Mapping[str, Option] | None = None,
    population: bool = False,
    half: bool = False,
) -> Path:
    """Writes ``swapper`` to ``folder``, replacing it atomically; returns ``folder``.

    ``population`` is that of the card. ``half`` stores weights in float16, for swappers that are shipped; they are
    float32 again when loaded.

    Raises:
        StorageError: writing failed.
    """
    state, spec = swapper.state_dict(), swapper.spec
    weights = {name: state[name] for name in stored_names(swapper)}
    if half:
        weights = {name: value.half() if value.is_floating_point() else value for name, value in weights.items()}
    with replacing_folder(folder) as draft:
        write_checkpoint(draft / WEIGHTS_FILE, weights, {"swapper": spec.name})
        card = SwapperCard(
            version=_VERSION,
            model=spec.name,
            width=spec.width,
            options=dict(spec.options),
            identities=spec.identities,
            input_px=spec.input_px,
            output_px=spec.output_px,
            framing=spec.framing,
            has_mask=spec.has_mask,
            parameters=sum(tensor.numel() for tensor in weights.values()),
            sha256=sha256_file(draft / WEIGHTS_FILE),
            population=population,
            half=half,
            facesets=tuple(facesets),
            training=dict(training or {}),
        )
        settings.write_toml(draft / CARD_FILE, card)
    return folder


def load_swapper(path: Path, device: torch.device | str = "cpu") -> Swapper:
    """The swapper in ``path`` (an exported folder, or a run that holds one), on ``device``, in evaluation mode.

    Raises:
        CheckpointError: there is none, it was changed after it was written, or its weights do not fit its card.
    """
    folder = find_swapper(path)
    card = read_card(folder)
    weights = folder / WEIGHTS_FILE
    _check_file(weights, card)
    with unfilled():
        swapper = _build(card, folder)
    _check_shapes(weights, swapper, card)
    try:
        with safe_open(weights, framework="pt", device=str(device)) as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{weights} cannot be read: {error}", hint="export it again from its run") from error
    state = {name: value.float() if value.dtype == torch.float16 else value for name, value in state.items()}
    if any(table.is_meta for name, table in swapper.named_buffers() if name not in state):
        # Buffers that a module computes when it is built, and does not save, are still to be computed.
        with torch.random.fork_rng([]), torch.device(device):
            swapper = _build(card, folder)
    swapper.load_state_dict(state, strict=not card.population, assign=True)
    return swapper.eval()


def read_card(path: Path) -> SwapperCard:
    """The card of the swapper in ``path``, an exported folder or a run.

    Raises:
        CheckpointError: missing, damaged, or of a version this release does not read.
    """
    folder = find_swapper(path)
    try:
        card = settings.load_toml(SwapperCard, folder / CARD_FILE)
    except AssayError as error:
        raise CheckpointError(f"{folder / CARD_FILE} is damaged: {error}", hint="export it again") from error
    if card.version != _VERSION:
        raise CheckpointError(
            f"{folder} is a swapper of version {card.version}, this release reads {_VERSION}", hint="update assay"
        )
    if not _is_sane(card):
        raise CheckpointError(f"{folder / CARD_FILE} is out of bounds", hint="export it again from its run")
    return card


def swapper_digest(path: Path) -> str:
    """SHA-256, hex, of the weights and the architecture of the swapper in ``path``, not of its training facts.

    Raises:
        CheckpointError: there is none, or it was changed.
    """
    folder = find_swapper(path)
    card = read_card(folder)
    _check_file(folder / WEIGHTS_FILE, card)
    return digest_of(card)


def digest_of(card: SwapperCard) -> str:
    """The digest that :func:`swapper_digest` gives, from a card that was checked already."""
    architecture = {"model": card.model, "width": card.width, "options": card.options, "identities": card.identities}
    return hashlib.sha256(f"{card.sha256}:{settings.digest(architecture)}".encode()).hexdigest()


def find_swapper(path: Path) -> Path:
    """The exported folder at ``path``, or inside it when ``path`` is a run.

    Raises:
        CheckpointError: neither.
    """
    for folder in (path, path / EXPORT_FOLDER):
        if (folder / CARD_FILE).is_file():
            return folder
    hint = "a run exports one when it saves; train a while longer" if (path / "run.json").exists() else "check the path"
    raise CheckpointError(f"{path} holds no exported swapper ({CARD_FILE})", hint=hint)


def _is_sane(card: SwapperCard) -> bool:
    """Whether sizes are within bounds and names are safe in a path."""
    try:
        names = [check_name(identity, "identity") for identity in card.identities]
    except ValueError:
        return False
    return 2 <= len(names) <= _MAX_IDENTITIES and 0 < card.width <= _MAX_WIDTH


def _build(card: SwapperCard, folder: Path) -> Swapper:
    try:
        swapper = build_swapper(card.model, card.identities, **{**card.options, "width": card.width})
    except (AssayError, ValueError) as error:
        raise CheckpointError(f"{folder / CARD_FILE} describes no swapper: {error}", hint="export it again") from error
    if card.population:
        tie_identities(swapper)
    spec: SwapSpec = swapper.spec
    stated = (card.input_px, card.output_px, card.framing, card.has_mask)
    if stated != (spec.input_px, spec.output_px, spec.framing, spec.has_mask):
        raise CheckpointError(f"{folder / CARD_FILE} contradicts the model {card.model}", hint="export it again")
    return swapper


def _check_file(weights: Path, card: SwapperCard) -> None:
    try:
        size = weights.stat().st_size
        found = sha256_file(weights) if size <= _MAX_WEIGHT_BYTES else ""
    except OSError as error:
        raise CheckpointError(f"{weights} cannot be read", hint="export it again from its run") from error
    if found != card.sha256:
        raise CheckpointError(
            f"{weights} is not the file that {CARD_FILE} describes: it was cut short or changed",
            hint="export it again from its run",
        )


def _check_shapes(weights: Path, swapper: Swapper, card: SwapperCard) -> None:
    """Compares names, shapes and types in the file's header with the model, before anything is read or allocated."""
    try:
        with safe_open(weights, framework="pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            found = {name: (tuple(part.get_shape()), part.get_dtype()) for name, part in slices.items()}
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{weights} is not a weights file: {error}", hint="export it again") from error
    state = swapper.state_dict()
    types = {**_TYPES, torch.float32: "F16"} if card.half else _TYPES
    wanted = {name: (tuple(state[name].shape), types[state[name].dtype]) for name in stored_names(swapper)}
    wrong = sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))
    if wrong:
        name = wrong[0]
        raise CheckpointError(
            f"{weights} does not fit {swapper.spec.name}: {len(wrong)} tensors differ, first {name}: "
            f"has {found.get(name, 'nothing')}, needs {wanted.get(name, 'nothing')}",
            hint="choose the folder that belongs to this swapper",
        )
