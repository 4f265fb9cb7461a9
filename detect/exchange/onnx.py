"""Exports detectors as an ONNX file with their settings as metadata, or as a folder that plain timm loads.

Each export is compared with the detector, on batches of other sizes than the traced one.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import timm
import torch
from torch import Tensor, nn

from detect.models import Detector
from detect.models.checkpoint import DetectorFacts, detector_folder, load_detector, need_detector_place
from detect.models.external.onnx_file import FACTS_KEY
from shared.errors import CheckpointError, UsageError
from shared.exchange.onnx import OPSET, describe_network, need_exportable, open_session, write_network
from shared.storage import replacing, replacing_folder

TOLERANCE = 1e-4
"""Maximum difference of logits, relative for logits above 1, between a valid export and the detector."""

_TRACED = 2
_CHECKED = (1, 3)


@dataclass(frozen=True)
class Exported:
    """Result of an export.

    Attributes:
        path: the file or folder.
        name, family: of the detector.
        opset: of an ONNX file; None for a folder.
        inputs: shape of the input, ``n`` for the batch.
        outputs: names of the outputs.
        largest_difference: of logits between the export and the detector, on random inputs; relative for logits above
            1.
    """

    path: Path
    name: str
    family: str
    opset: int | None
    inputs: tuple[int | str, ...]
    outputs: tuple[str, ...]
    largest_difference: float


class _Outputs(nn.Module):
    """A detector that returns a tuple: the logit, and the region's logits if it has a mask output."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector
        self.eval()

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(B, ...) normalised input -> (B,) logits, and (B, 1, h, w) or nothing."""
        found = self.detector(x)
        return (found.logit,) if found.mask is None else (found.logit, found.mask)


def export_onnx(path: Path, out: Path, *, opset: int = OPSET) -> Exported:
    """Writes the detector of a run or detector folder as the ONNX file ``out``, and compares the two.

    The input is normalised as in the detector's spec, (n, 3, S, S) or (n, T, 3, S, S), with any batch size. The spec is
    in the file's metadata under ``assay``, so that ``onnx:FILE`` needs no settings.

    Raises:
        CheckpointError: no detector there, or the file gives other logits.
        UsageError: the detector reads no pictures, onnx or onnxruntime is not installed, an opset outside 17 to 20, or
            ``out`` is another kind of file.
        StorageError: writing failed.
    """
    need_exportable(out, opset)
    detector, facts = load_detector(path)
    if facts.spec.reads == "landmarks":
        raise UsageError(
            f"a {facts.spec.family} detector reads landmarks, which other programs do not feed to a network",
            hint="copy its detector folder instead",
        )
    if facts.members:
        raise UsageError("detectors that are fused clip by clip are no single network", hint="export each member")
    with replacing(out) as draft:
        names = _trace(detector, draft, opset)
        _describe(draft, facts)
        difference = _difference(detector, draft)
        if not difference <= TOLERANCE:
            raise CheckpointError(
                f"the ONNX network gives logits up to {difference:.2g} away from {facts.spec.name}'s",
                hint="try another --opset; this backbone may not be exportable",
            )
    shape: tuple[int | str, ...] = ("n", *_input_shape(detector, 1)[1:])
    return Exported(out, facts.spec.name, facts.spec.family, opset, shape, names, difference)


def export_folder(path: Path, out: Path) -> Exported:
    """Copies the detector folder at ``path`` to ``out``, after a test that plain timm loads it.

    Raises:
        CheckpointError: no detector there, or timm's model gives other logits.
        UsageError: the detector is more than a timm model, or ``out`` holds it or something other than a detector.
        StorageError: writing failed.
    """
    folder = detector_folder(path)
    detector, facts = load_detector(folder)
    if facts.spec.family != "frame":
        raise UsageError(
            f"a {facts.spec.family} detector is more than a timm model, so timm alone cannot load it",
            hint="--format onnx runs anywhere",
        )
    need_detector_place(out, folder)
    with replacing_folder(out) as draft:
        for file in sorted(folder.iterdir()):
            if file.is_file():
                shutil.copyfile(file, draft / file.name)
        difference = _timm_difference(detector, draft)
        if not difference <= TOLERANCE:
            raise CheckpointError(f"timm's model gives logits {difference:.2g} away", hint="this is a defect")
    shape: tuple[int | str, ...] = ("n", *_input_shape(detector, 1)[1:])
    return Exported(out, facts.spec.name, facts.spec.family, None, shape, ("logit",), difference)


def _trace(detector: Detector, out: Path, opset: int) -> tuple[str, ...]:
    names = ("logit", "region") if detector.spec.has_mask else ("logit",)
    network, example = _Outputs(detector), _input(detector, _TRACED)
    write_network(network, example, out, input_name="input", outputs=names, opset=opset, what=detector.spec.name)
    return names


def _describe(path: Path, facts: DetectorFacts) -> None:
    """Adds the detector's spec to the file's metadata."""
    text = f"{facts.spec.name}, a face forgery detector of Assay: a logit a face, positive for fake"
    describe_network(path, {FACTS_KEY: msgspec.json.encode(facts).decode()}, text)


def _difference(detector: Detector, path: Path) -> float:
    """Largest difference of logits over batches of sizes other than the traced one."""
    session = open_session(path)
    worst = 0.0
    for size in _CHECKED:
        x = _input(detector, size)
        found = np.asarray(session.run(None, {"input": x.numpy()})[0]).ravel()
        worst = max(worst, _apart(found, _logits(detector, x)))
    return worst


def _timm_difference(detector: Detector, folder: Path) -> float:
    plain: Any = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    x = _input(detector, _CHECKED[-1])
    with torch.inference_mode():
        return _apart(plain(x).squeeze(1).numpy(), _logits(detector, x))


def _apart(found: np.ndarray, expected: np.ndarray) -> float:
    return float((np.abs(found - expected) / np.maximum(1, np.abs(expected))).max())


@torch.inference_mode()
def _logits(detector: Detector, x: Tensor) -> np.ndarray:
    return detector(x).logit.float().numpy()


def _input(detector: Detector, count: int) -> Tensor:
    """Random normalised input for the detector; the same for equal counts."""
    generator = torch.Generator().manual_seed(count)
    pixels = torch.rand(_input_shape(detector, count), generator=generator)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (detector.spec.mean, detector.spec.std))
    return (pixels - mean) / std


def _input_shape(detector: Detector, count: int) -> tuple[int, ...]:
    spec = detector.spec
    frames = (spec.frames_per_clip,) if spec.level == "clip" else ()
    return (count, *frames, 3, spec.input_px, spec.input_px)
