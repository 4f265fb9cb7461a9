"""The inspection of a file that holds sound alone: provenance, marks, level, and a detector of synthetic speech."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import shared
from detect.cases.intake import FileState, file_statement, read_state
from detect.cases.log import Plain, StepLog
from detect.inspection.case_files import custody_facts, write_case
from detect.inspection.evidence.container import files_beside, sound_statements
from detect.inspection.evidence.found import Found
from detect.inspection.evidence.marks import mark_evidence
from detect.inspection.evidence.motion import sound_track
from detect.inspection.evidence.provenance import provenance_evidence
from detect.inspection.evidence.sound import sound_facts
from detect.inspection.hearing import Heard, hear
from detect.inspection.naming import not_called_real, says_fake, speaks_against_real
from detect.speech.checkpoint import SpeechModel
from detect.speech.score import NO_TRACE
from shared.audio.isolated import sound_file_facts
from shared.config import digest, replace
from shared.results.scores import ForensicReport, Verdict
from shared.storage import replacing_folder
from shared.video.child import Child, NoChild

if TYPE_CHECKING:
    from detect.inspection.inspect import InspectConfig

_NO_DETECTOR = "No detector for synthetic speech took part, so nothing was scored: name one with --speech-detector."
_NOT_ANALYSED = (
    "the room, noise of the line and of the microphone, and the mains hum in the recording",
    "who speaks, and whether what is said is true",
)


def inspect_sound(
    source: Child | NoChild,
    listener: SpeechModel | None,
    out: Path,
    intake: FileState,
    settings: Mapping[str, Plain],
    config: InspectConfig,
    log: StepLog,
) -> ForensicReport:
    """Inspects the sound file of ``source`` and writes the case folder ``out``.

    Args:
        source: decodes the file.
        listener: the detector of synthetic speech; None for an inspection without one.
        out: receives the case.
        intake: state of the file at the start.
        settings: for the log.
        config: of the inspection.
        log: steps so far.

    Raises:
        MediaError: the sound cannot be read.
        ProvenanceError: the case cannot be signed.
    """
    with log.step("container, streams and credentials"):
        stated = [
            *sound_statements(source.call(sound_file_facts)),
            sound_track(source.call(sound_facts)),
            provenance_evidence(source),
            *mark_evidence(source),
            *files_beside(source.path),
        ]
    with log.step("detector", **settings) as told:
        told |= {"name": "none: the file holds no pictures"}
    heard = hear(source, listener, log, seed=config.seed)
    with log.step("exit") as told:
        state = read_state(source.path)
        told |= {"sha256": state.sha256, "sha512": state.sha512, "unchanged": state.same_content(intake)}
    found = [Found(each) for each in stated]
    report = _report(source.path, (intake, state), found, heard, config)
    with replacing_folder(out) as draft:
        write_case(
            draft,
            report,
            ((), {}),
            ((), found, None, heard),
            threshold=0.0,
            states=(intake, state),
            custody=custody_facts(source, config.isolated),
            log=log,
        )
    return report


def _report(
    path: Path, states: tuple[FileState, FileState], found: list[Found], heard: Heard, config: InspectConfig
) -> ForensicReport:
    verdict: Verdict = "inconclusive"
    result, reason = heard.result, _NO_DETECTOR
    if result is not None:
        verdict, reason = result.verdict, result.reason
    elif heard.why and not heard.not_analysed[0].endswith("of this inspection"):
        reason = f"The sound could not be scored, because {heard.why}."
    evidence = tuple(each.evidence for each in found)
    if verdict == "real" and (cause := speaks_against_real(evidence, (), 0.0)):
        verdict, reason = "inconclusive", not_called_real(cause, reason, NO_TRACE)
    if told := says_fake(evidence):
        reason = f"{reason} {told}"
    detector = {"name": "none", "weights_sha256": ""}
    if result is not None:
        detector = {"name": result.name, "family": f"speech, {result.kind}", "weights_sha256": result.weights_sha256}
    return ForensicReport(
        **file_statement(path, *states),
        verdict=verdict,
        reason=reason,
        score=None,
        tracks=(),
        evidence=evidence,
        analysed=(
            *heard.analysed,
            "streams and tags of the file, and the level of its sound",
            "content credentials (C2PA)",
            "imperceptible mark of this program in the sound",
        ),
        not_analysed=(*heard.not_analysed, *_NOT_ANALYSED),
        detector=detector,
        tool={
            "assay": shared.__version__,
            "python": platform.python_version(),
            "torch": metadata.version("torch"),
            "settings": digest(replace(config, force=False)),
        },
        sound=result,
    )
