"""``assay inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from detect.commands.show import plain
from shared.commands.completion import finders
from shared.commands.options import DeviceOption, SettingsOption, resolve
from shared.console import console


def inspect(
    suspect: Annotated[Path, typer.Argument(help="The video or picture in question.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Case folder that receives the report.")],
    detector: Annotated[
        Path | None, typer.Option(help="Run or detector folder.", show_default="assay, the one in the package")
    ] = None,
    finder: Annotated[
        str | None, typer.Option(help="Face finder.", show_default="auto", autocompletion=finders)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing case folder.")] = False,
    device: DeviceOption = None,
    config: SettingsOption = None,
) -> None:
    """Inspects a suspect video or picture: hashes, container, provenance, score over time, verdict.

    Example: assay inspect suspect.mp4 --out case/

    Example: assay inspect suspect.mp4 --detector runs/det --out case/
    """
    from detect.inspection.inspect import InspectConfig, inspect_file, show
    from detect.models.shipped import default_detector

    detector = default_detector() if detector is None else detector
    settings = resolve(InspectConfig, config, {"finder": finder, "force": force or None})
    report = inspect_file(suspect, detector, out, settings, device=device or "auto")
    show(report, out)
    console.result(plain(report))
