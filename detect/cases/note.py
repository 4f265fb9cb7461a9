"""Notes of the people who work on a case, as steps of its log."""

from __future__ import annotations

from pathlib import Path

from detect.cases.log import Plain, Step, now
from detect.cases.seal import append_steps
from shared.console import visible
from shared.errors import CaseError, UsageError

NOTE = "note"
MAX_NOTE_CHARACTERS = 4000
_MAX_NAME_CHARACTERS = 200


def add_note(case: Path, text: str, *, frame: int | None = None, by: str = "") -> Step:
    """Adds a note to the log of the case folder ``case`` and signs the case anew; the step that was added.

    Args:
        case: the folder.
        text: of the note, 4,000 characters at most; control characters are shown as escapes.
        frame: of the file that it is about; None for the whole file.
        by: who writes it.

    Raises:
        UsageError: the note is empty or too long.
        CaseError: there is no case folder, or it was changed.
        ProvenanceError: the signing identity cannot be used.
        StorageError: writing failed.
    """
    text, by = text.strip(), by.strip()
    if not text or len(text) > MAX_NOTE_CHARACTERS:
        raise UsageError(f"a note has 1 to {MAX_NOTE_CHARACTERS} characters, not {len(text)}", hint="write several")
    if len(by) > _MAX_NAME_CHARACTERS:
        raise UsageError(f"a name has at most {_MAX_NAME_CHARACTERS} characters", hint="shorten it")
    if not case.is_dir():
        raise CaseError(f"{case} is no case folder", hint="name the folder that assay inspect wrote")
    details: dict[str, Plain] = {"text": visible(text)}
    if frame is not None:
        details["frame"] = frame
    if by:
        details["by"] = visible(by)
    moment = now()
    step = Step(NOTE, moment, moment, details)
    append_steps(case, [step])
    return step
