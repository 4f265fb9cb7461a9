"""Detector folders: weights, description, model card.

The layout is timm's ``local-dir:``, so a frame detector also loads without Assay::

    timm.create_model("local-dir:runs/det/detector", pretrained=True)

``config.json`` has an additional entry, ``assay``: the detector's input and faces, and the threshold chosen on the
validation split.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from detect.config.scoring import AggregateConfig, AggregationChoice, FaceConfig
from detect.models import Detector, DetectorSpec, build_detector
from detect.models.shipped import is_shipped, shipped_folder
from shared.errors import AssayError, CheckpointError, StorageError
from shared.results.scores import Evaluation
from shared.storage import need_replaceable, read_json, replacing_folder, sha256_file

CONFIG_NAME = "config.json"
WEIGHTS_NAME = "model.safetensors"
CARD_NAME = "README.md"
FOLDER_NAME = "detector"

_FORMAT = 1
MAX_CONFIG_BYTES = 1 << 20
_MAX_WEIGHTS_BYTES = 16 << 30


@dataclass(frozen=True)
class OperatingPoint:
    """The logit threshold from which a clip is called fake, and what it was chosen on."""

    logit: float = 0.0
    chosen_on: str = "nothing: the score 0.5"


@dataclass(frozen=True)
class DetectorFacts:
    """Facts of an exported detector: the ``assay`` entry of ``config.json``.

    Attributes:
        spec: its input and output.
        faces: choice of faces in training, used in scoring too.
        finder: the finder's own description (detector, landmarks, hashes of their weights).
        aggregate: aggregation of face scores.
        aggregation: how it was chosen.
        operating_point: threshold.
        initial_weights: the weights that training started from.
        validation: clip AUC and false alarms at the threshold on the validation clips; empty where not measured.
        members: of detectors that are fused clip by clip, those of each member, the lead first.
        format: of this entry.
    """

    spec: DetectorSpec
    faces: FaceConfig = field(default_factory=FaceConfig)
    finder: dict[str, str] = field(default_factory=dict)
    aggregate: AggregateConfig = field(default_factory=AggregateConfig)
    aggregation: AggregationChoice = field(default_factory=AggregationChoice)
    operating_point: OperatingPoint = field(default_factory=OperatingPoint)
    initial_weights: str = "random"
    validation: tuple[Evaluation, ...] = ()
    members: tuple[DetectorFacts, ...] = ()
    format: int = _FORMAT

    @property
    def finder_name(self) -> str:
        """The name of the face finder it was trained with."""
        return self.finder.get("name") or self.faces.finder


def save_detector(
    detector: Detector,
    folder: Path,
    facts: DetectorFacts,
    *,
    card: str,
    extra: Mapping[str, object] | None = None,
    half: bool = False,
) -> Path:
    """Writes ``detector`` as ``folder``, completely or not at all.

    Args:
        detector: written as float32, from any device.
        folder: replaced if it exists.
        facts: the ``assay`` entry.
        card: the model card, Markdown.
        extra: further JSON documents by file name, such as ``validated.json``.
        half: write tensors of two or more dimensions as float16; they are computed with in float32 again. Statistics
            and biases stay float32.

    Returns:
        ``folder``.

    Raises:
        CheckpointError: a weight does not fit ``half``.
        StorageError: writing failed.
    """
    config = {**detector.exported_config(), "assay": msgspec.to_builtins(facts)}
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in detector.exported_state().items()}
    if half:
        state = {name: _halved(tensor, name) for name, tensor in state.items()}
    with replacing_folder(folder) as draft:
        _write_weights(state, draft / WEIGHTS_NAME)
        (draft / CONFIG_NAME).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        (draft / CARD_NAME).write_text(card, encoding="utf-8")
        for name, document in (extra or {}).items():
            (draft / name).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return folder


def need_detector_place(out: Path, *sources: Path) -> None:
    """Refuses ``out`` as a detector folder if something other than an earlier detector would be replaced.

    Args:
        out: the output folder.
        sources: paths that the detector is made from.

    Raises:
        UsageError: it holds something else, such as a run, or a source.
    """
    need_replaceable(out, "detector", marks=(CONFIG_NAME, WEIGHTS_NAME), never=("run.json",), sources=sources)


def detector_folder(path: Path) -> Path:
    """The detector folder in ``path``, which is that folder or a run; for ``assay`` that of the one in the package.

    Raises:
        CheckpointError: neither holds a detector, or the package has none.
    """
    if is_shipped(path):
        return shipped_folder()
    for folder in (path, path / FOLDER_NAME):
        if (folder / CONFIG_NAME).is_file() and (folder / WEIGHTS_NAME).is_file():
            return folder
    if (path / "run.json").is_file():
        raise CheckpointError(f"the run {path} has no finished detector yet", hint="let its training end first")
    raise CheckpointError(
        f"{path} holds no detector: {CONFIG_NAME} or {WEIGHTS_NAME} is missing",
        hint="name a run of assay detect train, or its detector folder",
    )


def detector_title(path: str | Path, spec: DetectorSpec) -> str:
    """Name of a detector for readers: run or file, family and network, such as "both (multitask, resnet18)".

    Detectors of one network are many, and its name alone does not tell which of them scored. Of the path only the last
    part is named; of the folder that a run holds its detector in, the run's.
    """
    text = str(path)
    shown = Path(text.partition("?")[0].rpartition(":")[2] if ":" in text else text)
    name = shown.resolve().parent.name if shown.name in (FOLDER_NAME, "", ".") else shown.name
    network = spec.name if spec.name.startswith(spec.family) else f"{spec.family}, {spec.name}"
    return f"{name} ({network})"


def read_facts(folder: Path) -> DetectorFacts:
    """The ``assay`` entry of a detector folder.

    Raises:
        CheckpointError: missing, damaged, or not written by Assay.
    """
    path = folder / CONFIG_NAME
    again = "export the detector again"
    entry = read_json(path, dict, MAX_CONFIG_BYTES, error=CheckpointError, hint=again).get("assay")
    if entry is None:
        raise CheckpointError(f"{path} is not of a detector of Assay", hint="train one with assay detect train")
    try:
        facts = msgspec.convert(entry, DetectorFacts)
    except msgspec.ValidationError as error:
        raise CheckpointError(f"{path} is damaged: {error}", hint=again) from error
    if facts.format != _FORMAT:
        raise CheckpointError(f"{path} has format {facts.format}, not {_FORMAT}", hint="update assay")
    return facts


def load_detector(path: Path) -> tuple[Detector, DetectorFacts]:
    """Loads the detector of a run or detector folder, on the CPU, in evaluation mode.

    Only tensors and plain values are read; no code or pickle is run.

    Raises:
        CheckpointError: no detector, a damaged one, or weights that do not match the description.
    """
    folder = detector_folder(path)
    facts = read_facts(folder)
    spec = facts.spec
    try:
        detector = build_detector(spec.name, family=spec.family, input_px=spec.input_px, framing=spec.framing)
    except AssayError as error:
        raise CheckpointError(f"{folder / CONFIG_NAME} describes no known model: {error}", hint=error.hint) from error
    if (spec.level, spec.frames_per_clip) != (detector.spec.level, detector.spec.frames_per_clip):
        raise CheckpointError(
            f"{folder / CONFIG_NAME} says that {spec.name} scores {spec.frames_per_clip} frames together",
            hint="the description was changed; export the detector again",
        )
    try:
        detector.load_exported_state(_read_weights(folder / WEIGHTS_NAME))
    except RuntimeError as error:
        raise CheckpointError(
            f"{folder / WEIGHTS_NAME} does not fit {spec.name}", hint="the folder's files belong to different detectors"
        ) from error
    detector.spec = spec
    detector.initial_weights = facts.initial_weights
    return detector.eval(), facts


def weights_digest(path: Path) -> str:
    """SHA-256 of the weights of the detector in a run or detector folder.

    Raises:
        CheckpointError: no detector there.
    """
    return sha256_file(detector_folder(path) / WEIGHTS_NAME)


def _halved(tensor: Tensor, name: str) -> Tensor:
    if tensor.ndim < 2 or tensor.dtype != torch.float32:
        return tensor
    half = tensor.half()
    if not bool(half.isfinite().all()):
        raise CheckpointError(f"{name} has values beyond the range of float16", hint="write it in full precision")
    return half


def _write_weights(state: Mapping[str, Tensor], path: Path) -> None:
    try:
        save_file(dict(state), path, metadata={"format": "pt"})
    except SafetensorError as error:  # the library wraps errors of the operating system
        raise StorageError(f"cannot write {path}: {error}", hint="check the disk's space and permissions") from error


def _read_weights(path: Path) -> dict[str, Tensor]:
    try:
        if path.stat().st_size > _MAX_WEIGHTS_BYTES:
            raise CheckpointError(f"{path} is larger than 16 GiB", hint="this is not a detector")
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} is damaged: {error}", hint="export the detector again") from error
