"""Loads third-party detectors of crops, as ONNX files and as timm folders.

A reference names one: ``onnx:FILE`` or ``local-dir:FOLDER`` (``python:FILE`` and ``csv:FILE`` score whole clips, see
:mod:`detect.scoring.clip_scorers`). The network's input is described by settings: beside the file
(``FILE.toml`` or ``FILE.json``), in the file itself where Assay wrote it, or in the reference:
``onnx:net.onnx?px=256&fake=0``.

No code of a network's folder is run; only tensors and plain values are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from detect.models.backbone import model_names, unknown_model
from detect.models.checkpoint import CONFIG_NAME, WEIGHTS_NAME, DetectorFacts, load_detector, read_facts, weights_digest
from detect.models.contract import Detection, Detector, DetectorSpec
from detect.models.external.onnx_file import load_onnx
from detect.models.external.settings import (
    OTHERS,
    ExternalConfig,
    Reference,
    facts_of,
    read_description,
    resolve_settings,
    settings_beside,
    settings_of,
    to_logits,
)
from shared.device import Device
from shared.errors import CheckpointError, UsageError
from shared.storage import sha256_file

_MAX_FILE_BYTES = 4 << 30
_FAKE_WORDS = ("fake", "forged", "manipulated", "synthetic", "spoof", "altered")


def load_external(reference: Reference, device: Device) -> tuple[Detector, DetectorFacts, str]:
    """Loads the network that ``reference`` names: the network, its facts, and the SHA-256 of its weights.

    Raises:
        UsageError: it scores whole clips, not crops.
        ConfigError: settings are missing, unknown or out of range.
        CheckpointError: it is damaged, or of a form that cannot be read safely.
    """
    if reference.kind == "onnx":
        return load_onnx(reference, device)
    if reference.kind == "local-dir":
        return _load_local_dir(reference)
    raise UsageError(
        f"{reference} gives one score per clip and does not score faces",
        hint="use it with assay detect evaluate",
    )


class TimmDetector(Detector):
    """A timm classifier with one or two outputs."""

    def __init__(self, net: nn.Module, spec: DetectorSpec, config: ExternalConfig) -> None:
        super().__init__()
        self.net = net
        self.spec = spec
        self.config = config
        self.initial_weights = OTHERS

    def forward(self, x: Tensor) -> Detection:
        """(B, 3, S, S) normalised -> logits (B,), no mask."""
        return Detection(to_logits(self.net(x.flip(1) if self.config.channels == "bgr" else x), self.config), None)


def _load_local_dir(reference: Reference) -> tuple[Detector, DetectorFacts, str]:
    folder = reference.path
    document = read_description(folder / CONFIG_NAME)
    if "assay" in document and not reference.options:
        detector, facts = load_detector(folder)
        return detector, facts, weights_digest(folder)
    known = document.get("pretrained_cfg") or {}
    architecture, classes = _architecture(folder, document)
    labels = [str(label).lower() for label in document.get("label_names") or []]
    fake = [place for place, label in enumerate(labels) if any(word in label for word in _FAKE_WORDS)]
    given = {
        "px": (known.get("input_size") or [None])[-1],
        "mean": known.get("mean"),
        "std": known.get("std"),
        "fake": fake[0] if classes == 2 and len(fake) == 1 else None,
    }
    if "assay" in document:
        given |= settings_of(read_facts(folder))
    stated = {key: value for key, value in given.items() if value is not None}
    config = resolve_settings(reference, stated | settings_beside(folder) | dict(reference.options))
    facts = facts_of(reference, config)
    net = _timm_model(folder, architecture, classes, document.get("model_args") or {})
    return TimmDetector(net, facts.spec, config), facts, sha256_file(folder / WEIGHTS_NAME)


def _architecture(folder: Path, document: Mapping[str, Any]) -> tuple[str, int]:
    name, classes = document.get("architecture"), document.get("num_classes")
    if not isinstance(name, str):
        raise CheckpointError(
            f"{folder / CONFIG_NAME} is not of a timm model",
            hint="models of other libraries go through ONNX or python:FILE",
        )
    name = name.partition(".")[0]
    if name not in model_names():
        raise unknown_model(name, model_names())
    if classes not in (1, 2):
        raise CheckpointError(f"{folder} has {classes} classes", hint="a detector has one output, or two classes")
    return name, classes


def _timm_model(folder: Path, architecture: str, classes: int, arguments: Mapping[str, Any]) -> nn.Module:
    """The model with its weights. Only arguments that cannot make timm read other files are accepted."""
    unknown = sorted(set(arguments) - {"img_size", "global_pool"})
    size, pool = arguments.get("img_size"), arguments.get("global_pool")
    if unknown or not (size is None or (isinstance(size, int) and 16 <= size <= 1024)):
        raise CheckpointError(
            f"{folder} asks for {unknown or {'img_size': size}}", hint="img_size and global_pool only"
        )
    plain: dict[str, Any] = {}
    if size is not None:
        plain["img_size"] = size
    if pool is not None:
        plain["global_pool"] = str(pool)
    weights = folder / WEIGHTS_NAME
    if not weights.is_file():
        raise CheckpointError(
            f"{folder} has no {WEIGHTS_NAME}", hint="pickled weights can run code: convert them to safetensors"
        )
    if weights.stat().st_size > _MAX_FILE_BYTES:
        raise CheckpointError(f"{weights} is larger than 4 GiB", hint="this is not a detector")
    try:
        net = timm.create_model(architecture, pretrained=False, num_classes=classes, **plain)
        net.load_state_dict(load_file(weights))
    except (RuntimeError, TypeError, ValueError, OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{weights} does not fit {architecture}: {str(error)[:300]}", hint="config and weights belong together"
        ) from error
    return net
