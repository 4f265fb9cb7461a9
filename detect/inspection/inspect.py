"""Inspects one suspect file and writes a case folder: hashes, container facts, scores over time, faces, a verdict.

The file, a video or a still picture, is decoded in a separate process (:mod:`shared.video.child`).

The case folder holds ``report.json`` (no date: equal input gives equal bytes), ``report.html`` (self-contained),
``frames.parquet`` (every score with its face's landmarks), ``custody.json`` (date and duration), ``log.jsonl`` (every
step, hash-chained), ``case.json`` (the signed list of all files) and ``evidence/`` (pictures of findings, the sampled
faces as they were scored, and their heat maps, as PNG).
"""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import shared
from detect.calibration.facts import file_facts
from detect.calibration.interpret import Interpretation, interpret
from detect.cases.intake import FileState, file_statement, read_state
from detect.cases.log import Plain, Step, StepLog
from detect.config.scoring import ScoreConfig
from detect.inspection.case_files import custody_facts, write_case
from detect.inspection.evidence.collect import collect
from detect.inspection.evidence.container import container_evidence, files_beside, still_evidence
from detect.inspection.evidence.found import EvidenceConfig, Found, Material
from detect.inspection.evidence.marks import layers_read, mark_evidence
from detect.inspection.evidence.provenance import provenance_evidence
from detect.inspection.exhibits import exhibited_quality, sample_faces
from detect.inspection.hearing import NOT_HEARD, Heard, hear
from detect.inspection.naming import named, not_called_real, speaks_against_real
from detect.inspection.others import agreement_words, need_distinct, other_results
from detect.inspection.report import plot_timeline
from detect.inspection.sound_file import inspect_sound
from detect.inspection.verdict import NO_TRACE, block_interval, decide, validation_words
from detect.models.checkpoint import detector_title
from detect.models.predictor import CropPredictor
from detect.scoring.aggregate import resolved
from detect.scoring.video import Predictor, VideoScores
from detect.speech.checkpoint import load_speech
from shared.audio.isolated import holds_only_sound
from shared.config import configured, digest, to_mapping
from shared.console import console, counted, visible
from shared.errors import RunError
from shared.faces.finders.finder import FaceFinder
from shared.plots import Plot
from shared.results.scores import ClipScore, Evidence, ForensicReport
from shared.storage import need_replaceable, replacing_folder
from shared.types import VideoInfo
from shared.video.child import Child, ChildLimits, NoChild
from shared.video.container import need_file
from shared.video.images import is_still, picture_info

_SOUND_IS_FAKE = "the detector of speech calls the sound fake"
_MOTION = "motion over time: the detector judges single frames"
NOT_ANALYSED = (
    "lighting, shadows, geometry and the scene around the faces",
    "sensor noise (PRNU) and the camera's identity",
    "who the people are, and whether what they say is true",
)
"""What no inspection of pictures looks at."""


@dataclass(frozen=True)
class InspectConfig:
    """How one file is inspected."""

    finder: str = "auto"
    """Face finder by name; "auto" is the one that the detector was trained with."""
    faces_shown: int = 6
    """Sampled faces with heat maps in the report, at most."""
    block_seconds: float = 1.0
    """Length, in seconds, of the blocks that the bootstrap of the clip score resamples."""
    seed: int = 0
    """Seed of that bootstrap."""
    force: bool = False
    """Replace a case folder that exists."""
    isolated: bool = True
    """Decode in a separate process; off only for files that you made yourself."""
    limits: ChildLimits = field(default_factory=ChildLimits)
    """Limits of that process."""
    evidence: EvidenceConfig = field(default_factory=EvidenceConfig)
    """How much of the file the methods without training look at."""


def inspect_file(
    path: str | Path,
    detector: str | Path,
    out: str | Path,
    config: InspectConfig | None = None,
    *,
    others: Sequence[str | Path] = (),
    speech: str | Path | None = None,
    device: str = "auto",
    before: Sequence[Step] = (),
    **settings: Any,
) -> ForensicReport:
    """Inspects ``path`` with a trained detector and writes the case folder ``out``.

    ``others`` are further detectors, whose results stand beside that of ``detector``; ``speech`` is a detector of
    synthetic speech for the sound. A file of sound alone is inspected by that one only. ``before`` are steps that the
    log begins with. ``settings`` are those of :class:`InspectConfig`, in place of ``config``'s own.

    Raises:
        ConfigError: a setting is unknown, of the wrong type or out of range.
        MediaError: not a readable video, picture or sound.
        RunError: ``out`` exists and ``config.force`` is off.
        UsageError: ``out`` holds something other than a case, or the inspected file; a detector is named twice.
        CheckpointError: the detector cannot be read.
        ProvenanceError: the case cannot be signed.
    """
    path, detector, out = Path(path), Path(detector), Path(out)
    config = configured(InspectConfig, config, settings)
    need_distinct(detector, others)
    log, listener = StepLog(before), None if speech is None else load_speech(speech)
    _need_place(path, out, (path, detector), force=config.force)
    with log.step("intake", file=visible(str(path.absolute()))) as told:
        intake = read_state(path)
        told.update(dataclasses.asdict(intake))
    with Child(path, config.limits) if config.isolated else NoChild(path) as source:
        if source.call(holds_only_sound):
            return inspect_sound(source, listener, out, intake, logged_settings(config, device), config, log)
        with log.step("container, streams and credentials"):
            still, info, stated = _stated(source)
        with log.step("detector", **logged_settings(config, device)) as told:
            whole = Predictor(CropPredictor.load(detector, device), config.finder)
            predictor, finder = whole.crops, whole.finder
            told |= {"name": predictor.spec.name, "weights_sha256": predictor.digest, "finder": finder.name}
            told |= {"device used": str(predictor.device.torch_device), "threshold": predictor.operating_point[0]}
            with console.progress("searching and scoring", info.frames_counted, unit="frame") as tick:
                scores = whole.score(path, reader=lambda _: source.reader(still=still), tick=tick, regions=True)
        material = Material(
            path, source, still, info, tuple(scores.frames), finder, config.evidence, config.seed, scores.facts.stopped
        )
        found = [*(Found(each) for each in stated), *collect(material, log)]
        with log.step("exhibits"):
            shown = source.reader(still=still) if scores.frames else None
            exhibits = sample_faces(shown, scores.frames, predictor, count=config.faces_shown) if shown else []
        results, second_scores = other_results(
            others, material, scores, predictor.operating_point[0], config, device=device, log=log
        )
        heard = NOT_HEARD if still else hear(source, listener, log, seed=config.seed)
    crops = exhibited_quality(exhibits, scores.frames, predictor)
    facts = file_facts(info, intake.size_bytes, scores.frames, finder=finder.name, crops=crops)
    interpretation = interpret(detector, predictor, scores.clip.logit, facts, finder.name)
    with log.step("exit") as told:
        state = read_state(path)
        told |= {"sha256": state.sha256, "sha512": state.sha512, "unchanged": state.same_content(intake)}
    report = _report(path, (intake, state), still, found, scores, predictor, finder, config, interpretation,
                     detector_title(detector, predictor.spec), heard)  # fmt: skip
    report = dataclasses.replace(
        report, others=results, agreement=agreement_words(report.verdict, results), sound=heard.result,
        parts=scores.parts,
    )  # fmt: skip
    with replacing_folder(out) as draft:
        write_case(
            draft,
            report,
            (scores.frames, second_scores),
            (exhibits, found, _timeline(info, scores, predictor, still=still), heard),
            threshold=predictor.operating_point[0], states=(intake, state), log=log, regions=scores.regions,
            custody=custody_facts(source, config.isolated),
        )  # fmt: skip
    return report


def _need_place(path: Path, out: Path, sources: Sequence[Path], *, force: bool) -> None:
    """Refuses a file that cannot be read, and an output folder that may not be written."""
    need_file(path)
    if out.exists() and not force:
        raise RunError(f"{out} exists already", hint="choose another folder, or replace it with --force")
    need_replaceable(out, "case", marks=("report.json", "custody.json"), sources=sources)


def _stated(source: Child | NoChild) -> tuple[bool, VideoInfo, list[Evidence]]:
    """Whether the file is a still picture, its facts, and the evidence from what it states of itself."""
    still = source.call(is_still)
    if still:
        info, stated = source.call(picture_info), source.call(still_evidence)
    else:
        info, stated = container_evidence(source, source.reader())
    return still, info, [*stated, provenance_evidence(source), *mark_evidence(source), *files_beside(source.path)]


def logged_settings(config: InspectConfig, device: str) -> dict[str, Plain]:
    """All settings for the log: ``setting NAME`` each, those of a group as ``setting GROUP.NAME``."""
    flat: dict[str, Plain] = {"tool": f"assay {shared.__version__}", "device asked for": device}
    for name, value in to_mapping(config).items():
        inner = value.items() if isinstance(value, dict) else [("", value)]
        flat |= {f"setting {name}.{key}".rstrip("."): plain for key, plain in inner}
    return flat


def _analysed(clip: ClipScore, searched: int, declared: int, still: bool, marks: Sequence[str]) -> tuple[str, ...]:
    """What was looked at, in words.

    ``searched`` frames of those read, ``declared`` by the file; ``marks`` are the layers that could be read for one.
    """
    read = f"; {clip.frames_read} of {declared} declared frames could be read" if declared > clip.frames_read else ""
    return (
        f"{searched} of {clip.frames_read} frames were searched for faces and {clip.frames_scored} were scored{read}",
        f"{counted(clip.tracks, 'face')} followed through the clip",
        "format, EXIF and XMP" if still else "container, streams, timing and packet structure",
        "content credentials (C2PA)",
        *((f"imperceptible marks of this program, in the {' and the '.join(marks)}",) if marks else ()),
    )


def _report(
    path: Path,
    states: tuple[FileState, FileState],
    still: bool,
    found: Sequence[Found],
    scores: VideoScores,
    predictor: CropPredictor,
    finder: FaceFinder,
    config: InspectConfig,
    interpretation: Interpretation,
    name: str,
    heard: Heard,
) -> ForensicReport:
    clip, evidence = _with_interpretation(scores.clip, interpretation), tuple(each.evidence for each in found)
    threshold, threshold_from = predictor.operating_point
    how = resolved(None, predictor.facts.aggregate)
    interval = block_interval(scores.frames, how, block_seconds=config.block_seconds, seed=config.seed)
    verdict, reason = decide(clip.logit, interval, threshold, interpretation, predictor.facts.validation)
    cause = speaks_against_real(evidence, scores.tracks, threshold) or (_SOUND_IS_FAKE if heard.called_fake else "")
    if verdict == "real" and cause:
        verdict, reason = "inconclusive", not_called_real(cause, reason, NO_TRACE)
    elif heard.called_fake:
        reason += f" That is about the faces: {_SOUND_IS_FAKE}."
    reason = " ".join(filter(None, (reason, named(evidence, scores.tracks, scores.frames, threshold))))
    if scores.facts.stopped:
        reason += f" All of this is about the first {counted(clip.frames_read, 'frame')}: the rest could not be read."
    facts = scores.facts
    declared = facts.frames_declared or clip.frames_read
    missing = max(declared - clip.frames_read, 0)
    left_out = (
        (missing, "frames that the file declares and that could not be read"),
        (facts.frames_read - facts.frames_searched, "frames between those that were searched for faces"),
        (facts.frames_searched - facts.frames_with_face, "searched frames in which no usable face was found"),
        (facts.faces_too_small, "faces that are too small to judge"),
        (facts.decode_failures, "places in the stream that could not be decoded"),
    )
    not_analysed = (
        *((f"what comes behind frame {clip.frames_read}: {facts.stopped}",) if facts.stopped else ()),
        *(f"{number} {what}" for number, what in left_out if number),
        *((_MOTION,) if _frames_alone(predictor) and not still else ()),
        *(() if still else heard.not_analysed),
        *NOT_ANALYSED,
    )
    return ForensicReport(
        **file_statement(path, *states),
        verdict=verdict,
        reason=reason,
        score=clip,
        tracks=tuple(scores.tracks),
        evidence=evidence,
        analysed=(
            *_analysed(clip, facts.frames_searched, declared, still, layers_read(evidence)),
            *heard.analysed,
        ),
        not_analysed=not_analysed,
        detector={
            "name": name,
            "network": predictor.spec.name,
            "family": predictor.spec.family,
            "weights_sha256": predictor.digest,
            "input": f"{predictor.spec.input_px} px, framing {predictor.spec.framing}",
            "threshold_from": threshold_from,
        },
        validation=predictor.facts.validation,
        tool={
            "assay": shared.__version__,
            "python": platform.python_version(),
            "torch": metadata.version("torch"),
            "finder": finder.name,
            "settings": digest(dataclasses.replace(config, force=False)),
        },
        low=None if interval is None else interval[0],
        high=None if interval is None else interval[1],
        calibrated=interpretation.calibrated,
        calibration=interpretation.note,
        outside=interpretation.outside,
        domain=interpretation.domain,
        limits=_limits(clip, still, predictor),
    )


def _frames_alone(predictor: CropPredictor) -> bool:
    """Whether no detector here looks at more than one frame at a time."""
    return all(facts.spec.level == "frame" for facts in predictor.facts.members or (predictor.facts,))


def _limits(clip: ClipScore, still: bool, predictor: CropPredictor) -> tuple[str, ...]:
    """Ways in which the score differs from those that threshold and calibration were fitted on."""
    if clip.logit is None:
        return ()
    if still:
        return ("The file is a single picture; the detector's threshold and calibration come from frames of videos.",)
    pixels = predictor.spec.reads == "pixels"
    rate = f"one in {ScoreConfig().every}" if pixels else "every n-th, so that they are near 25 a second"
    where = "spread over" if pixels else "in succession about the middle of"
    return (
        f"{clip.frames_scored} frames of this file were scored, {rate}; threshold and calibration come from a set "
        f"number of frames {where} each clip. Where the two numbers differ much, more "
        "than twice or less than half, the largest of many scores, or the mean of few, can lie elsewhere than there.",
    )


def _with_interpretation(clip: ClipScore, interpretation: Interpretation) -> ClipScore:
    """The clip's score, with probability and llr if the calibration holds for the file."""
    if interpretation.calibrated is None or not interpretation.calibrated.holds:
        return clip
    calibrated = interpretation.calibrated
    return dataclasses.replace(clip, probability=calibrated.probability, llr=calibrated.llr)


def _timeline(info: VideoInfo, scores: VideoScores, predictor: CropPredictor, *, still: bool) -> Plot | None:
    if still or not scores.frames:
        return None
    duration = info.duration_seconds or scores.frames[-1].seconds
    threshold, _ = predictor.operating_point
    return plot_timeline(scores.frames, threshold=threshold, duration_seconds=duration, gaps=scores.gaps_seconds)


def show(report: ForensicReport, out: Path) -> None:
    """Prints the outcome and the path of the report."""
    console.print(f"{report.path_name}: {report.verdict}")
    console.print(report.reason)
    if report.score is not None:
        console.print(validation_words(report.validation))
        if report.sound is not None:
            console.print(f"sound, {report.sound.name}: {report.sound.verdict}. {report.sound.reason}")
    if report.sound is not None and report.sound.segments:
        parts = [f"{each.start:.2f} to {each.stop:.2f} s" for each in report.sound.segments]
        more = f" and {len(parts) - 8} more" if len(parts) > 8 else ""
        console.print(f"segments above the threshold: {', '.join(parts[:8])}{more}")
    for other in report.others:
        logit = "not scored" if other.logit is None else f"score {other.logit:+.2f}, threshold {other.threshold:+.2f}"
        console.print(f"detector {other.name}: {other.verdict} ({logit})")
    if report.agreement:
        console.print(report.agreement)
    _show_parts(report)
    odd = [each.name for each in report.evidence if each.odd]
    if odd:
        console.print(f"evidence that differs from its reference: {', '.join(odd)}")
    if report.calibrated is not None:
        ratio = report.calibrated
        held = "" if ratio.holds else " (does not hold for this file)"
        console.print(
            f"log10 likelihood ratio {ratio.llr:+.2f} ({ratio.low:+.2f} to {ratio.high:+.2f}), probability "
            f"{ratio.probability:.2f} at a prior of {ratio.prior:g}{held}"
        )
    elif report.calibration:
        console.print(report.calibration)
    for line in report.not_analysed:
        console.print(f"  not analysed: {line}")
    console.print(f"report: {out / 'report.html'}")


def _show_parts(report: ForensicReport) -> None:
    """Prints what each of several fused detectors adds to the score, if anything was scored."""
    if report.score is None or report.score.logit is None:
        return
    for part in report.parts:
        own = "not scored" if part.logit is None else f"own score {part.logit:+.2f}"
        console.print(f"  {part.name}: {part.part:+.2f} of the fused score ({own})")
