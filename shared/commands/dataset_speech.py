"""``assay dataset audit-speech`` and ``assay dataset verify-speech``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from shared.console import console, counted
from shared.errors import ManifestError

_Set = Annotated[Path, typer.Argument(metavar="SET", help="Folder of a set of speech.", show_default=False)]
_SHOWN = 20


def audit_speech(folder: _Set) -> None:
    """Probes a set of speech for shortcuts: silence, digital zeros, level, rate history, length, bits.

    Each probe gets an area under the ROC curve with an interval over speakers: .5 is chance. Ends with 1 when a probe
    shows a shortcut.

    Example: assay dataset audit-speech sets/speech
    """
    from shared.speechsets.audit import LIMIT
    from shared.speechsets.audit import audit_speech as audited
    from shared.speechsets.folder import read_speech_set

    opened = read_speech_set(folder)
    with console.progress("probing", len(opened.records), unit="recording") as tick:
        found = audited(opened, tick=tick)
    console.table(
        f"shortcuts in {folder}",
        ["what", "AUC", "95 % over speakers", "largest, of"],
        [
            (one.title, _number(one.area), f"{_number(one.low)} to {_number(one.high)}", _largest(one.by_manipulation))
            for one in found
        ],
    )
    shortcuts = [one for one in found if one.shortcut]
    console.result({"path": str(folder), "limit": LIMIT, "probes": [dataclasses.asdict(one) for one in found]})
    if shortcuts:
        raise ManifestError(
            f"{folder} has shortcuts: {', '.join(one.title.lower() for one in shortcuts)}", hint=shortcuts[0].advice
        )
    console.print(f"No probe is above {LIMIT} with an interval above .5.")


def verify_speech(folder: _Set) -> None:
    """Verifies a set of speech: the seal, every file's hash and signature, and that labels and signatures agree.

    Example: assay dataset verify-speech sets/speech
    """
    from shared.speechsets.folder import read_speech_set, verify

    count = len(read_speech_set(folder).records)
    with console.progress("verifying", count, unit="recording") as tick:
        problems = verify(folder, tick=tick)
    console.result({"path": str(folder), "recordings": count, "problems": problems})
    for problem in problems[:_SHOWN]:
        console.warn(problem)
    if problems:
        raise ManifestError(
            f"{folder} differs from its seal in {counted(len(problems), 'place')}", hint="restore it from a copy"
        )
    console.print(f"{folder}: {counted(count, 'recording')}, as sealed")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _largest(areas: dict[str, float]) -> str:
    if not areas:
        return ""
    name = max(areas, key=lambda each: areas[each])
    return f"{areas[name]:.3f} {name}"
