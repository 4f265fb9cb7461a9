"""The command that measures engines of speech and sets of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.app import Save, app, command_line, show
from benchmarks.schema import new_result


@app.command("speech-sets")
def speech_sets(
    media: Annotated[
        Path | None, typer.Option(help="Folder with speech/ten/READER.", show_default="$ASSAY_MEDIA/media")
    ] = None,
    texts: Annotated[int, typer.Option(help="Sentences that each engine reads.", min=1)] = 5,
    per_speaker: Annotated[int, typer.Option(help="Utterances of each reader.", min=1)] = 4,
    readers: Annotated[int, typer.Option(help="Readers, at most.", min=4)] = 8,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    save: Save = None,
) -> None:
    """Speed of engines, whether vocoded twins keep their times, and which shortcuts are left in a set of speech."""
    from benchmarks.speech_sets import measurements

    root = media or (Path(os.environ["ASSAY_MEDIA"]) / "media" if "ASSAY_MEDIA" in os.environ else None)
    folder = root / "speech" / "ten" if root is not None and (root / "speech" / "ten").is_dir() else None
    settings = {"texts": texts, "per_speaker": per_speaker, "readers": readers, "seed": seed,
                "recordings": folder is not None}  # fmt: skip
    found = measurements(folder, texts=texts, per_speaker=per_speaker, most=readers, seed=seed)
    show(new_result("speech-sets", command_line(), found, settings=settings), save)
