"""``assay inspect``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from detect.commands.show import plain
from shared.commands.completion import finders
from shared.commands.options import DeviceOption, SettingsOption, resolve
from shared.console import console, counted
from shared.errors import UsageError

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


def inspect(
    suspect: Annotated[
        Path, typer.Argument(help="The video, picture or sound in question, or a folder of them.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="Case folder that receives the report; for a folder, one of cases.")],
    detector: Annotated[
        list[Path] | None,
        typer.Option(
            help="Run or detector folder; repeatable: the first one's result stands first.",
            show_default="assay, the one in the package",
        ),
    ] = None,
    speech_detector: Annotated[
        Path | None,
        typer.Option(
            help="Run or folder of a detector of synthetic speech, for the sound; none: without one.",
            show_default="assay, the one in the package",
        ),
    ] = None,
    workers: Annotated[int, typer.Option(help="Files of a folder that are inspected at once.", min=1)] = 1,
    finder: Annotated[
        str | None, typer.Option(help="Face finder.", show_default="auto", autocompletion=finders)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing case folder.")] = False,
    device: DeviceOption = None,
    config: SettingsOption = None,
) -> None:
    """Inspects a suspect video, picture or sound: hashes, container, provenance, score over time, verdict.

    Example: assay inspect suspect.mp4 --out case/

    Example: assay inspect suspect.mp4 --detector runs/det --out case/

    Example: assay inspect folder/ --detector runs/det --out cases/ --workers 4

    Example: assay inspect call.mp3 --speech-detector runs/hear --out case/

    A folder gives a case for each file, index.html and index.csv; the same command continues after an interruption.
    """
    if not suspect.exists() and _ADDRESS.match(str(suspect)):
        raise UsageError(
            f"{suspect} is an address, and nothing is opened on the network",
            hint="download the file, note where it came from, and name the file",
        )
    from detect.inspection.inspect import InspectConfig, inspect_file, show
    from detect.models.shipped import default_detector
    from detect.speech.shipped import default_speech

    speech = default_speech(speech_detector)
    settings = resolve(InspectConfig, config, {"finder": finder, "force": force or None})
    first, *others = detector or [default_detector()]
    if suspect.is_dir():
        from detect.inspection.batch import inspect_folder

        rows = inspect_folder(suspect, first, out, settings, others=others, speech=speech,
                              device=device or "auto", workers=workers)  # fmt: skip
        failed = [row for row in rows if row.error]
        for row in failed:
            console.warn(f"{row.file}: {row.error}")
        console.print(f"{counted(len(rows) - len(failed), 'file')} inspected: {out / 'index.html'}")
        console.result({"index": str(out / "index.html"), "files": [plain(row) for row in rows]})
        return
    report = inspect_file(suspect, first, out, settings, others=others, speech=speech, device=device or "auto")
    show(report, out)
    console.result(plain(report))
