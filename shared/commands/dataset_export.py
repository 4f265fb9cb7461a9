"""``assay dataset export``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from shared.commands.completion import offered
from shared.console import console, counted


def _layouts() -> list[str]:
    from shared.dataset import formats as layouts

    return layouts.EXPORTERS.names()


def export(
    path: Annotated[Path, typer.Argument(help="The dataset's folder.", show_default=False)],
    layout: Annotated[
        str,
        typer.Argument(
            help="faceforensics, deepfakebench, huggingface or webdataset.", autocompletion=offered(lambda: _layouts())
        ),
    ],
    out: Annotated[Path, typer.Argument(help="A new folder.", show_default=False)],
    link: Annotated[bool, typer.Option("--link", help="Use hard links instead of copies.")] = False,
    frames: Annotated[int, typer.Option(help="Pictures per clip, for deepfakebench; 0: all.")] = 32,
    shard_mb: Annotated[int, typer.Option(help="Largest shard in MB, for webdataset.")] = 1000,
) -> None:
    """Writes a dataset in another form; clips keep their sealed bytes; manifest and seal are included.

    Example: assay dataset export sets/portraits faceforensics exports/portraits-ff

    Example: assay dataset export sets/portraits webdataset exports/shards --shard-mb 500
    """
    from shared.dataset import formats as layouts
    from shared.dataset.formats.exporting import ExportConfig, export_dataset

    layouts.EXPORTERS.get(layout)
    config = ExportConfig(link=link, frames=frames, shard_bytes=shard_mb * 1_000_000)
    report = export_dataset(layout, path, out, config, progress=partial(console.progress, unit="clip"))
    for note in report.notes:
        console.print(f"note: {note}")
    console.print(f"{out} holds {counted(report.clips, 'clip')} in the form of {report.layout}")
    console.result({"layout": report.layout, "clips": report.clips, "files": report.files, "notes": report.notes})
