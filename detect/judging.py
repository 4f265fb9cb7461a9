"""A dataset's clips judged by any detector, Assay's own or another maker's: the same values for every one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from detect.aggregate import resolved
from detect.clip_judges import ClipJudge, make_judge
from detect.config import EvaluateConfig
from detect.data import ClipFaces, CropRequest, find_faces
from detect.external import parse_reference
from detect.learned import Learned, read_learned
from detect.predictor import Predictor
from detect.scored import ScoredClip, score_clips
from shared.console import console
from shared.dataset import DatasetFolder
from shared.faces.finder import FaceFinder, make_finder
from shared.scores import ClipScore
from shared.types import ClipRecord


@dataclass(frozen=True, eq=False)
class Judged:
    """What a detector said of clips.

    Attributes:
        clips: scored, in the order of the records.
        detector: name, digest and the like, for the record.
        operating_point: the logit from which a clip is called fake, and what it was chosen on.
        notes: what a reader must know.
        learned: what the detector has learned from, as far as it says.
        faces: that were judged, a value a clip; empty for a detector of whole clips.
        predictor: what judged them; None for a detector of whole clips.
    """

    clips: list[ScoredClip]
    detector: dict[str, str]
    operating_point: tuple[float, str]
    notes: tuple[str, ...]
    learned: Learned
    faces: Sequence[ClipFaces] = ()
    predictor: Predictor | None = None


def judge(detector: str | Path, folder: DatasetFolder, records: Sequence[ClipRecord], config: EvaluateConfig) -> Judged:
    """Scores ``records`` with the detector in a run or folder, or with the one that a reference names.

    References: ``onnx:FILE``, ``local-dir:FOLDER``, ``python:FILE``, ``csv:FILE``; see :mod:`detect.external`.

    Raises:
        CheckpointError: no detector there, or a damaged one.
        ConfigError: an external detector's settings are missing or wrong.
        UsageError: a reference leads nowhere.
        ManifestError: a clip is not the file the manifest means.
    """
    reference = parse_reference(detector)
    outside = None if reference is None else make_judge(reference)
    if outside is not None:
        return _by_clip(outside, folder, records)
    predictor = Predictor.load(Path(detector), config.device, precision=config.precision)
    facts = predictor.facts
    clips, notes = faces_of(folder, records, predictor, config)
    with console.progress("scoring", len(clips), unit="clip") as tick:
        scored = score_clips(
            clips, predictor, resolved(config.aggregate, facts.aggregate), batch=config.batch, tick=tick
        )
    return Judged(
        clips=scored,
        detector={
            "name": facts.spec.name,
            "weights_sha256": predictor.digest,
            "device": predictor.device.describe(),
            **({"reference": str(reference)} if reference else {}),
        },
        operating_point=predictor.operating_point,
        notes=notes,
        learned=Learned() if reference else read_learned(Path(detector)),
        faces=clips,
        predictor=predictor,
    )


def _by_clip(outside: ClipJudge, folder: DatasetFolder, records: Sequence[ClipRecord]) -> Judged:
    with console.progress("scoring", len(records), unit="clip") as tick:
        found = outside.judge([(record, folder.media_path(record)) for record in records], tick)
    return Judged(
        clips=[_whole_clip(record, logit) for record, logit in zip(records, found.logits, strict=True)],
        detector={"name": outside.name, "sha256": outside.digest, "judges": "whole clips"},
        operating_point=(0.0, "nothing: the score 0.5"),
        notes=found.notes,
        learned=Learned(),
    )


def _whole_clip(record: ClipRecord, logit: float | None) -> ScoredClip:
    """A clip that was judged as a whole: which of its frames and faces were looked at is not known."""
    seen = 0 if logit is None else record.frames
    score = ClipScore(record.id, record.label, logit, seen, seen, seen, tracks=0, aggregation="its own")
    return ScoredClip(record, score, (), (), (), ())


def faces_of(
    folder: DatasetFolder, records: Sequence[ClipRecord], predictor: Predictor, config: EvaluateConfig
) -> tuple[list[ClipFaces], tuple[str, ...]]:
    """The faces of the clips, by the detector's own finder unless told, and a note where that makes a difference."""
    facts = predictor.facts
    name = config.finder or facts.finder.get("name") or facts.faces.finder
    made: list[FaceFinder] = []

    def make() -> FaceFinder:
        made.append(make_finder(name, device=str(predictor.device.torch_device)))
        return made[-1]

    request = CropRequest(facts.spec.input_px, facts.spec.framing, config.frames_per_clip, facts.faces)
    clips = find_faces(folder, records, request, make, workers=max(1, min(4, config.workers // 2)))
    if facts.finder and made[0].describe() != facts.finder:
        trained = facts.finder.get("name", "another finder")
        return clips, (f"Faces were found by {made[0].name}; the detector was trained on those of {trained}.",)
    return clips, ()
