"""Transfer of calibration and validated domain to an export of a detector with the same logits."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from detect.calibration.domain import read_domain, write_domain
from detect.calibration.files import CALIBRATION_NAME, VALIDATED_NAME, beside, detector_mark
from detect.calibration.maps import read_calibration, write_calibration
from detect.models.checkpoint import weights_digest
from detect.models.external.settings import parse_reference
from shared.storage import sha256_file


def transfer_calibration(detector: Path, onnx: Path) -> tuple[Path, ...]:
    """Writes the calibration and the validated domain of ``detector`` beside ``onnx``, an export of it.

    Those of an earlier export are removed first, even if there is nothing to write.

    Returns:
        The files written; none if the detector has no calibration, or one of other weights.

    Raises:
        CheckpointError: no detector there, or its calibration is damaged.
        StorageError: writing failed.
    """
    reference = f"onnx:{onnx}"
    for name in (CALIBRATION_NAME, VALIDATED_NAME):
        beside(reference, name).unlink(missing_ok=True)
    calibration, own = read_calibration(detector), weights_digest(detector)
    if calibration is None or calibration.weights_sha256 != own:
        return ()
    mark = detector_mark(parse_reference(reference), sha256_file(onnx))
    domain, written = read_domain(detector, own), []
    if domain is not None:
        written.append(write_domain(reference, dataclasses.replace(domain, weights_sha256=mark)))
    return (write_calibration(reference, dataclasses.replace(calibration, weights_sha256=mark)), *written)
