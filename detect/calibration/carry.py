"""A detector's calibration and validated domain go with it into another form that gives the same logits."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from detect.calibration.files import VALIDATED_NAME, beside, detector_mark
from detect.calibration.maps import read_calibration, write_calibration
from detect.export import weights_digest
from detect.external.settings import parse_reference
from shared.storage import sha256_file, write_bytes


def carry_calibration(detector: Path, onnx: Path) -> tuple[Path, ...]:
    """Writes the calibration and the validated domain of ``detector`` beside ``onnx``, an export of it.

    Returns:
        The files written; none where the detector has no calibration, or one of other weights.

    Raises:
        CheckpointError: no detector there, or its calibration is damaged.
        StorageError: the disk refused.
    """
    calibration = read_calibration(detector)
    if calibration is None or calibration.weights_sha256 != weights_digest(detector):
        return ()
    reference = f"onnx:{onnx}"
    mark = detector_mark(parse_reference(reference), sha256_file(onnx))
    written = [write_calibration(reference, dataclasses.replace(calibration, weights_sha256=mark))]
    validated = beside(detector, VALIDATED_NAME)
    if validated.is_file():
        written.append(beside(reference, VALIDATED_NAME))
        write_bytes(written[-1], validated.read_bytes())
    return tuple(written)
