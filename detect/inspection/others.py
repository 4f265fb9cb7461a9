"""Further detectors on the same file, beside the first."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from detect.calibration.crop_quality import CropQuality
from detect.calibration.facts import file_facts
from detect.calibration.interpret import interpret
from detect.cases.log import StepLog
from detect.inspection.evidence.found import Material
from detect.inspection.exhibits import exhibited_quality, sample_faces
from detect.inspection.verdict import block_interval, decide
from detect.models.predictor import CropPredictor
from detect.scoring.aggregate import resolved
from detect.scoring.video import Predictor, VideoScores
from shared.console import console, counted
from shared.dataset.names import safe_name
from shared.errors import UsageError
from shared.faces.boxes import overlap
from shared.results.scores import DetectorResult, FrameScore

if TYPE_CHECKING:
    from detect.inspection.inspect import InspectConfig

_SAME_FACE = 0.5


def need_distinct(first: str | Path, others: Sequence[str | Path]) -> None:
    """Refuses a detector that is named twice.

    Raises:
        UsageError: one is.
    """
    known: set[Path] = set()
    for each in map(Path, (first, *others)):
        if each.resolve() in known:
            raise UsageError(f"the detector {each} is named twice", hint="name each detector once")
        known.add(each.resolve())


def other_results(
    detectors: Sequence[str | Path],
    material: Material,
    first: VideoScores,
    first_threshold: float,
    config: InspectConfig,
    *,
    device: str,
    log: StepLog,
) -> tuple[tuple[DetectorResult, ...], dict[str, tuple[FrameScore, ...]]]:
    """The results of further detectors, and the scores of faces by the name of the file that holds them.

    Raises:
        CheckpointError: a detector cannot be read.
    """
    results: list[DetectorResult] = []
    scores: dict[str, tuple[FrameScore, ...]] = {}
    for place in map(Path, detectors):
        name = safe_name(f"{place.resolve().parent.name}-{place.name}" if place.name == "detector" else place.name)
        name = f"{name}-{len(scores) + 2}" if name in scores else name
        with log.step("another detector", folder=name, seed=config.seed, device=device) as told:
            both = Predictor(CropPredictor.load(place, device), config.finder)
            with console.progress(f"scoring with {name}", material.info.frames_counted, unit="frame") as tick:
                found = both.score(
                    material.path, reader=lambda _: material.source.reader(still=material.still), tick=tick
                )
            shown = material.source.reader(still=material.still) if found.frames else None
            faces = sample_faces(shown, found.frames, both.crops, count=config.faces_shown) if shown else []
            quality = exhibited_quality(faces, found.frames, both.crops)
            result = _result(place, name, both, found, quality, material, config)
            same, common = same_side(first.frames, first_threshold, found.frames, result.threshold)
            told |= {"name": result.name, "weights_sha256": result.weights_sha256, "finder": result.finder}
        results.append(_with_sides(result, same, common))
        scores[name] = found.frames
    return tuple(results), scores


def _result(
    place: Path,
    name: str,
    both: Predictor,
    found: VideoScores,
    quality: CropQuality | None,
    material: Material,
    config: InspectConfig,
) -> DetectorResult:
    predictor = both.crops
    aggregate = resolved(None, predictor.facts.aggregate)
    interval = block_interval(found.frames, aggregate, block_seconds=config.block_seconds, seed=config.seed)
    facts = file_facts(
        material.info, material.path.stat().st_size, found.frames, finder=both.finder.name, crops=quality
    )
    logit = found.clip.logit
    interpretation = interpret(place, predictor, logit, facts, both.finder.name)
    threshold = predictor.operating_point[0]
    verdict, reason = decide(logit, interval, threshold, interpretation, predictor.facts.validation)
    calibrated = interpretation.calibrated
    return DetectorResult(
        name=name,
        weights_sha256=predictor.digest,
        finder=both.finder.name,
        verdict=verdict,
        reason=reason,
        logit=logit,
        low=None if interval is None else interval[0],
        high=None if interval is None else interval[1],
        threshold=threshold,
        llr=calibrated.llr if calibrated is not None and calibrated.holds else None,
    )


def _with_sides(result: DetectorResult, same: float | None, common: int) -> DetectorResult:
    return dataclasses.replace(result, same_side=same, faces_in_common=common)


def same_side(
    first: Sequence[FrameScore], first_threshold: float, second: Sequence[FrameScore], second_threshold: float
) -> tuple[float | None, int]:
    """Share of the faces scored by both that lie on the same side of both thresholds, and the number of such faces.

    Faces are the same where their boxes in one frame overlap by half.
    """
    frames: dict[int, list[FrameScore]] = {}
    for score in second:
        frames.setdefault(score.frame, []).append(score)
    pairs = []
    for score in first:
        near = [(_overlap(score, other), other) for other in frames.get(score.frame, ())]
        best = max(near, key=lambda each: each[0], default=None)
        if best is not None and best[0] >= _SAME_FACE:
            pairs.append((score.logit >= first_threshold) == (best[1].logit >= second_threshold))
    return (round(sum(pairs) / len(pairs), 4), len(pairs)) if pairs else (None, 0)


def _overlap(one: FrameScore, other: FrameScore) -> float:
    return float(overlap(np.array(one.box, np.float32), np.array(other.box, np.float32)))


def agreement_words(verdict: str, others: Sequence[DetectorResult]) -> str:
    """Whether the detectors agree, in one or two sentences; empty with one detector."""
    if not others:
        return ""
    verdicts = [verdict, *(other.verdict for other in others)]
    counts = Counter(verdicts)
    if len(counts) == 1:
        words = f"All {len(verdicts)} detectors say {verdict}."
    else:
        words = f"The detectors differ: {', '.join(f'{number} say {name}' for name, number in sorted(counts.items()))}."
        if {"real", "fake"} <= counts.keys():
            words += " Where detectors contradict one another, none of their results should be relied on alone."
    shares = [
        f"{100 * other.same_side:.0f} % of {counted(other.faces_in_common, 'face')} with {other.name}"
        for other in others
        if other.same_side is not None
    ]
    return words + (f" Same side of both thresholds as the first: {', '.join(shares)}." if shares else "")
