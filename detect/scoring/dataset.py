"""Scores a dataset's clips with any detector, Assay's or third-party."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detect.config.scoring import AggregateConfig, EvaluateConfig
from detect.data.crops import ClipFaces, CropRequest, stream_faces
from detect.models.checkpoint import detector_title
from detect.models.external.settings import parse_reference
from detect.models.predictor import CropPredictor
from detect.models.training_record import TrainingRecord, read_training_record
from detect.scoring.aggregate import resolved
from detect.scoring.clip_fusion import fit_of, further_members, member_logit, need_one_detector, raise_of, raised
from detect.scoring.clip_scorers import ClipScorer, make_scorer
from detect.scoring.samples import ScoredClip, score_clips, scored_clip
from detect.scoring.tasks import ScoringJob, run_scoring_tasks
from shared.console import console
from shared.dataset import DatasetFolder
from shared.engine.tasks import Engine
from shared.errors import UsageError
from shared.faces.finders.finder import FaceFinder, make_finder
from shared.results.scores import ClipScore
from shared.types import ClipId, ClipRecord


@dataclass(frozen=True, eq=False)
class DatasetScores:
    """The scores of clips by one detector.

    Attributes:
        clips: the scored clips, in the order of the records.
        detector: name, digest and the like.
        operating_point: the logit threshold, and what it was chosen on.
        notes: remarks for readers.
        learned: the detector's training record, if it has one.
        faces: the faces of each clip; empty for a detector of whole clips.
        predictor: the detector; None for a detector of whole clips.
        finder: name of the face finder; empty for a detector of whole clips.
        failed: clips on which scoring failed and may be tried again (no face found is not a failure).
    """

    clips: list[ScoredClip]
    detector: dict[str, str]
    operating_point: tuple[float, str]
    notes: tuple[str, ...]
    learned: TrainingRecord
    faces: Sequence[ClipFaces] = ()
    predictor: CropPredictor | None = None
    finder: str = ""
    failed: frozenset[ClipId] = frozenset()


def score_dataset(
    detector: str | Path,
    folder: DatasetFolder,
    records: Sequence[ClipRecord],
    config: EvaluateConfig,
    *,
    engine: Engine | None = None,
) -> DatasetScores:
    """Scores ``records`` with the detector in a run or folder, or with the one that a reference names.

    References: ``onnx:FILE``, ``local-dir:FOLDER``, ``python:FILE``, ``csv:FILE``; see
    :mod:`detect.models.external.reference`. With an ``engine`` each clip is a task; without, clips are scored one by
    one in this process.

    Raises:
        CheckpointError: no detector there, or a damaged one.
        ConfigError: an external detector's settings are missing or wrong.
        UsageError: the reference does not exist, or an engine is given for a detector of whole clips.
        ManifestError: a clip's file does not match the manifest.
    """
    reference = parse_reference(detector)
    outside = None if reference is None else make_scorer(reference)
    if outside is not None:
        if engine is not None:
            raise UsageError(f"{outside.name} scores all clips in one process", hint="leave out --engine and --jobs")
        return _by_clip(outside, folder, records)
    predictor = CropPredictor.load(Path(detector), config.device, precision=config.precision)
    facts = predictor.facts
    if engine is not None:
        need_one_detector(predictor, "an engine")
    search = _Search(folder, records, predictor, config)
    aggregate = resolved(config.aggregate, facts.aggregate)
    with console.progress("finding faces and scoring", len(records), unit="clip") as tick:
        if engine is None:
            scored = score_clips(search.stream(), predictor, aggregate, batch=config.batch, tick=tick)
        else:
            logits = search.logits_on(engine, detector, predictor, tick)
            scored = [_scored(clip, logits[clip.record.id], aggregate) for clip in search.stream()]
    scored = _with_members(scored, predictor, folder, config, aggregate)
    return DatasetScores(
        clips=scored,
        detector={
            "name": detector_title(detector, facts.spec),
            "network": facts.spec.name,
            "weights_sha256": predictor.digest,
            "device": predictor.device.describe(),
            **({"reference": str(reference)} if reference else {}),
        },
        operating_point=predictor.operating_point,
        notes=search.notes(),
        learned=TrainingRecord() if reference else read_training_record(Path(detector)),
        faces=search.found,
        predictor=predictor,
        finder=search.finder,
    )


def _with_members(
    clips: list[ScoredClip],
    predictor: CropPredictor,
    folder: DatasetFolder,
    config: EvaluateConfig,
    aggregate: AggregateConfig,
) -> list[ScoredClip]:
    """The clips with what the members beside the lead add, of detectors that are fused clip by clip."""
    fit, members = fit_of(predictor), further_members(predictor)
    if fit is None or not members:
        return clips
    records = [clip.record for clip in clips]
    columns: list[list[float | None]] = []
    for member in members:
        search = _Search(folder, records, member, config)
        with console.progress(f"scoring with {member.spec.name}", len(records), unit="clip") as tick:
            own = score_clips(search.stream(), member, member.facts.aggregate, batch=config.batch, tick=tick)
        columns.append([member_logit(member, clip.score) for clip in own])
    added = [raise_of(fit, logits) for logits in zip((clip.score.logit for clip in clips), *columns, strict=True)]
    return [
        scored_clip(
            clip.record, raised(clip.frames, by), clip.frame_labels, frames_read=clip.score.frames_read,
            config=aggregate,
        )
        for clip, by in zip(clips, added, strict=True)
    ]  # fmt: skip


def _scored(clip: ClipFaces, logits: np.ndarray, config: AggregateConfig) -> ScoredClip:
    return scored_clip(clip.record, clip.scores(logits), clip.labels(), frames_read=clip.frames_searched, config=config)


def _by_clip(outside: ClipScorer, folder: DatasetFolder, records: Sequence[ClipRecord]) -> DatasetScores:
    with console.progress("scoring", len(records), unit="clip") as tick:
        found = outside.score([(record, folder.media_path(record)) for record in records], tick)
    return DatasetScores(
        clips=[_whole_clip(record, logit) for record, logit in zip(records, found.logits, strict=True)],
        detector={"name": outside.name, "sha256": outside.digest, "judges": "whole clips"},
        operating_point=(0.0, "nothing: the score 0.5"),
        notes=found.notes,
        learned=TrainingRecord(),
        failed=frozenset(records[place].id for place in found.failed),
    )


def _whole_clip(record: ClipRecord, logit: float | None) -> ScoredClip:
    """A clip that was scored as a whole: the frames and faces used are unknown."""
    seen = 0 if logit is None else record.frames
    score = ClipScore(record.id, record.label, logit, seen, seen, seen, tracks=0, aggregation="its own")
    return ScoredClip(record, score, (), (), (), ())


def faces_of(
    folder: DatasetFolder, records: Sequence[ClipRecord], predictor: CropPredictor, config: EvaluateConfig
) -> tuple[list[ClipFaces], tuple[str, ...]]:
    """The faces of the clips, and a note if the finder is not the detector's.

    The finder is that of ``config``, by default the detector's own.
    """
    search = _Search(folder, records, predictor, config)
    return list(console.track(search.stream(), "finding faces", len(records), unit="clip")), search.notes()


class _Search:
    """Finds the faces of clips, by the finder of ``config`` or by default the detector's own."""

    def __init__(
        self, folder: DatasetFolder, records: Sequence[ClipRecord], predictor: CropPredictor, config: EvaluateConfig
    ) -> None:
        self.found: list[ClipFaces] = []
        self._folder, self._records, self._config = folder, records, config
        self._facts, self._device = predictor.facts, str(predictor.device.torch_device)
        facts = predictor.facts
        self._request = CropRequest.of(facts.spec, config.frames_per_clip, facts.faces)
        self._name = config.finder or facts.finder_name
        self._made: list[FaceFinder] = []

    def stream(self) -> Iterator[ClipFaces]:
        """Yields each clip when its faces are found, while the next are searched; also kept in :attr:`found`."""
        workers = max(1, min(4, self._config.workers // 2))
        found = stream_faces(self._folder, self._records, self._request, self._make, workers=workers)
        with closing(found) as clips:
            for clip in clips:
                self.found.append(clip)
                yield clip

    def logits_on(
        self, engine: Engine, detector: str | Path, predictor: CropPredictor, tick: Callable[[], object]
    ) -> dict[ClipId, np.ndarray]:
        """The logits of each clip's faces, found and scored by tasks, which leave the faces in the cache."""
        who = ScoringJob.of(detector, predictor, self._make(), name=self._name, config=self._config)
        return run_scoring_tasks(engine, who, self._folder, self._records, self._request, tick=tick)

    @property
    def finder(self) -> str:
        """The name of the finder; valid once the search has begun."""
        return next((used.describe().get("name", used.name) for used in self._made), "")

    def notes(self) -> tuple[str, ...]:
        """Notes on the finder for readers; valid once the search has begun."""
        trained, used = self._facts.finder, next(iter(self._made), None)
        if used is None or not trained or used.describe() == trained:
            return ()
        name = trained.get("name", "another finder")
        return (f"Faces were found by {used.name}; the detector was trained on those of {name}.",)

    def _make(self) -> FaceFinder:
        self._made.append(make_finder(self._name, device=self._device))
        return self._made[-1]
