"""One score a file: by a trained or third-party detector, or by softness alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.outside.faces import FileFaces, FoundFace
from benchmarks.outside.forms import FORMS, Form, all_forms, matched_sides
from benchmarks.outside.softness import inner_detail, softness
from detect.calibration.files import detector_mark
from detect.calibration.maps import Calibration, misfit, read_calibration
from detect.config.scoring import AggregateConfig
from detect.exchange.keras import load_keras
from detect.models.checkpoint import DetectorFacts
from detect.models.external.settings import parse_reference
from detect.models.predictor import CropPredictor
from detect.scoring.aggregate import aggregate_clip, resolved
from detect.scoring.clip_fusion import need_one_detector
from detect.scoring.video import input_for, suspect_id
from shared.console import console
from shared.device import pick_device
from shared.errors import UsageError
from shared.results.scores import FrameScore

SOFTNESS = "softness alone"
SOFT_FACE = "soft face alone"
UNTRAINED = (SOFTNESS, SOFT_FACE)
"""Names of the statistics that need no training: of the face against a ring around it, and of the face."""


@dataclass(frozen=True, eq=False)
class FileScores:
    """The scores of all files by one detector.

    Attributes:
        name: of the detector.
        logits: (N,) by form; NaN for a file without a face.
        llrs: likewise log10 likelihood ratios as a report prints them; empty without a calibration that fits.
        learned_llrs: likewise those that hold among what was learned, without bounds.
        threshold: logit from which a file is called fake; None where there is none.
        notes: remarks for readers.
    """

    name: str
    logits: Mapping[Form, np.ndarray]
    llrs: Mapping[Form, np.ndarray] = field(default_factory=dict)
    learned_llrs: Mapping[Form, np.ndarray] = field(default_factory=dict)
    threshold: float | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Faces:
    """The faces of all files in every form, and what they are without a detector.

    Attributes:
        files: the faces as they were found.
        forms: of each file.
        detail: (N,) log detail inside the face in the form "matched"; NaN without a face.
    """

    files: Sequence[FileFaces]
    forms: Sequence[Mapping[Form, tuple[FoundFace, ...]]]
    detail: np.ndarray


def in_all_forms(found: Sequence[FileFaces]) -> Faces:
    """The faces of all files in every form.

    Raises:
        MediaError: an encoder is not built in.
    """
    sides = matched_sides(found)
    both = zip(found, sides, strict=True)
    forms = [all_forms(one, side) for one, side in console.track(both, "degrading", len(found), unit="file")]
    return Faces(found, forms, _array([inner_detail(each["matched"]) for each in forms]))


def untrained_scores(faces: Faces) -> list[FileScores]:
    """The scores of softness alone: larger means softer, than the surroundings of the face or as such."""

    def lacking(found: Sequence[FoundFace]) -> float | None:
        detail = inner_detail(found)
        return None if detail is None else -detail

    ways = ((SOFTNESS, softness), (SOFT_FACE, lacking))
    return [
        FileScores(name, {form: _array([way(each[form]) for each in faces.forms]) for form in FORMS})
        for name, way in ways
    ]


@dataclass(frozen=True, eq=False)
class Opened:
    """A detector ready to score, its calibration where one fits, and remarks."""

    name: str
    predictor: CropPredictor
    calibration: Calibration | None = None
    notes: tuple[str, ...] = ()


def open_detector(name: str, place: str, *, device: str = "auto") -> Opened:
    """The detector at ``place``: a run or detector folder, "onnx:FILE", or published Keras weights of MesoNet (.h5).

    Raises:
        CheckpointError: no detector there, or a damaged one.
        ConfigError: settings of a third-party network are missing or wrong.
        UsageError: it scores whole clips and not faces, or does not exist.
    """
    if place.lower().endswith(".h5"):
        path = Path(place)
        if not path.is_file():
            raise UsageError(f"{path} does not exist", hint="Keras weights of MesoNet, or a detector folder")
        model = load_keras(path)
        facts = DetectorFacts(model.spec, aggregate=AggregateConfig(method="mean"))
        return Opened(name, CropPredictor(model, pick_device(device), facts=facts))
    predictor = CropPredictor.load(place, device)
    need_one_detector(predictor, "this benchmark")
    calibration = read_calibration(place)
    if calibration is None:
        return Opened(name, predictor)
    mark = detector_mark(parse_reference(place), predictor.digest)
    wrong = misfit(calibration, mark, resolved(None, predictor.facts.aggregate))
    return Opened(name, predictor, calibration) if wrong is None else Opened(name, predictor, notes=(wrong,))


def detector_scores(opened: Opened, faces: Faces) -> FileScores:
    """The logit of each file in each form, and its llr where there is a calibration."""
    way = resolved(None, opened.predictor.facts.aggregate)
    both = list(zip(faces.files, faces.forms, strict=True))
    logits: dict[Form, np.ndarray] = {
        form: _array([_logit(opened.predictor, one, each[form], way) for one, each in both])
        for form in console.track(FORMS, opened.name, len(FORMS), unit="form")
    }
    llrs: dict[Form, np.ndarray] = {}
    learned: dict[Form, np.ndarray] = {}
    if opened.calibration is not None:
        for form, values in logits.items():
            known = np.isfinite(values)
            learned[form] = np.full(values.shape, np.nan)
            learned[form][known] = opened.calibration.likelihood.llr(values[known])
            llrs[form] = np.clip(learned[form], *opened.calibration.bounds)
    return FileScores(opened.name, logits, llrs, learned, opened.predictor.operating_point[0], opened.notes)


def _logit(predictor: CropPredictor, one: FileFaces, faces: Sequence[FoundFace], way: AggregateConfig) -> float | None:
    if not faces:
        return None
    crops = np.stack([input_for(predictor, face.image, face.landmarks) for face in faces])
    found = predictor.face_logits(crops, np.zeros(len(faces), np.int64), np.array([face.frame for face in faces]))
    clip = suspect_id(one.file.path)
    scores = [
        FrameScore(clip, face.frame, float(face.frame), 0, float(logit), tuple(map(float, face.box)))  # type: ignore[arg-type]
        for face, logit in zip(faces, found, strict=True)
    ]
    return aggregate_clip(scores, way)


def _array(values: Sequence[float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], np.float64)
