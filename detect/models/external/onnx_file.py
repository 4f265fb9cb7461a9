"""Networks in ONNX files as detectors, run by ONNX Runtime, which executes a graph and no code of the file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from detect.models.checkpoint import DetectorFacts
from detect.models.contract import Detection, Detector, DetectorSpec
from detect.models.external.settings import (
    OTHERS,
    ExternalConfig,
    Reference,
    facts_of,
    resolve_settings,
    settings_beside,
    settings_of,
    to_logits,
)
from shared.device import Device
from shared.errors import CheckpointError
from shared.exchange.onnx import open_session
from shared.storage import decode_json, sha256_file

FACTS_KEY = "assay"
"""Key of the metadata of an ONNX file with the facts of a detector of Assay."""


class OnnxDetector(Detector):
    """A network run by ONNX Runtime. It has no gradients, and so no heat maps."""

    def __init__(self, session: Any, spec: DetectorSpec, config: ExternalConfig) -> None:
        super().__init__()
        self.spec = spec
        self.config = config
        self.initial_weights = OTHERS
        self._session = session
        feed = session.get_inputs()[0]
        self._input = feed.name
        self._fixed_batch = feed.shape[0] if isinstance(feed.shape[0], int) else None
        self._last = _channel_axis(feed.shape) == 3
        self._half = feed.type == "tensor(float16)"
        self._has_region = spec.has_mask and len(session.get_outputs()) > 1

    def forward(self, x: Tensor) -> Detection:
        """(B, 3, S, S) normalised, or (B, T, 3, S, S) of level "clip" -> logits (B,), and the region if predicted.

        Detectors of level "clip" score single faces as sequences of equal frames.
        """
        x = x.detach().float()
        if self.spec.level == "clip" and x.ndim == 4:
            x = x.unsqueeze(1).expand(-1, self.spec.frames_per_clip, -1, -1, -1)
        if self.config.channels == "bgr":
            x = x.flip(-3)
        if self._last:
            x = x.movedim(-3, -1)
        values = x.cpu().numpy().astype(np.float16 if self._half else np.float32)
        size = self._fixed_batch or len(values)
        parts = [self._run(values[first : first + size], size) for first in range(0, len(values), size)]
        logits, *region = (torch.from_numpy(np.concatenate(part)).to(x.device) for part in zip(*parts, strict=True))
        return Detection(to_logits(logits, self.config), region[0] if self._has_region else None)

    def _run(self, values: np.ndarray, size: int) -> tuple[np.ndarray, ...]:
        """Outputs for at most ``size`` inputs: logits, and the region if there is a mask output.

        A fixed batch is padded with zeros, whose outputs are dropped.
        """
        missing = size - len(values)
        padded = np.concatenate([values, np.zeros((missing, *values.shape[1:]), values.dtype)]) if missing else values
        try:
            outputs = self._session.run(None, {self._input: np.ascontiguousarray(padded)})
        except Exception as error:
            raise CheckpointError(f"the ONNX network failed: {error}", hint="check px, and the file") from error
        logits = np.asarray(outputs[0]).reshape(size, -1)[: len(values)]
        return (logits, np.asarray(outputs[1], np.float32)[: len(values)]) if self._has_region else (logits,)


def load_onnx(reference: Reference, device: Device) -> tuple[Detector, DetectorFacts, str]:
    """Loads an ONNX file: the network, its facts, and the SHA-256 of the file.

    Raises:
        CheckpointError: not a network, or one that does not take pictures.
        ConfigError: its settings are missing or wrong.
        UsageError: ONNX Runtime is not installed.
    """
    session = open_session(reference.path, device)
    feed = session.get_inputs()[0]
    axis = _channel_axis(feed.shape)
    if axis is None:
        raise CheckpointError(
            f"{reference.path} takes {feed.shape}, not pictures", hint="(n, 3, side, side) or (n, side, side, 3)"
        )
    own = _own_facts(session, reference.path)
    if list(feed.shape[1:-3]) != ([own.spec.frames_per_clip] if own is not None and own.spec.level == "clip" else []):
        raise CheckpointError(
            f"{reference.path} takes {feed.shape}, which does not match its description",
            hint="only networks written by assay detect export take sequences",
        )
    stated = feed.shape[-1 if axis == 1 else -2]
    given = settings_beside(reference.path) | dict(reference.options)
    if own is not None and not given:
        return OnnxDetector(session, own.spec, ExternalConfig()), own, sha256_file(reference.path)
    known = {} if own is None else settings_of(own)
    config = resolve_settings(reference, ({"px": stated} if isinstance(stated, int) else {}) | known | given)
    facts = facts_of(reference, config)
    if own is not None:  # set by the file, not by settings
        kept = {"level": own.spec.level, "frames_per_clip": own.spec.frames_per_clip, "has_mask": own.spec.has_mask}
        facts = replace(facts, spec=replace(facts.spec, **kept))
    return OnnxDetector(session, facts.spec, config), facts, sha256_file(reference.path)


def _own_facts(session: Any, path: Path) -> DetectorFacts | None:
    """The facts that Assay wrote into the file; None if there are none."""
    text = session.get_modelmeta().custom_metadata_map.get(FACTS_KEY)
    if text is None:
        return None
    where = f"the metadata of {path}"
    return decode_json(text, DetectorFacts, where, error=CheckpointError, hint="export it again")


def _channel_axis(shape: list[Any]) -> int | None:
    """Channel axis: 1 for (n, 3, h, w), 3 for (n, h, w, 3), also with a frame axis after n; None for other shapes."""
    if len(shape) not in (4, 5):
        return None
    single = [shape[0], *shape[-3:]]
    return next((axis for axis in (1, 3) if single[axis] == 3), None)
