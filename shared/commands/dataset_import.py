"""``assay dataset import``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shared.commands.completion import offered, words
from shared.console import console, counted
from shared.errors import ManifestError, UsageError

if TYPE_CHECKING:
    from shared.dataset.formats.importing import ImportReport, SplitChoice
    from shared.types import Label

_SHOWN = 30


def _layouts() -> list[str]:
    from shared.dataset import formats as layouts

    return layouts.IMPORTERS.names()


def import_(
    layout: Annotated[
        str,
        typer.Argument(
            help="Layout of the set: faceforensics, celeb-df, dfdc, csv, ...",
            autocompletion=offered(lambda: _layouts()),
        ),
    ],
    source: Annotated[Path, typer.Argument(help="The set's folder; it is only read.", show_default=False)],
    out: Annotated[Path, typer.Argument(help="Folder for the dataset.", show_default=False)],
    rights: Annotated[str, typer.Option(help="Basis of use, as the set's licence says.")],
    name: Annotated[str, typer.Option(help="Name of the dataset; by default the folder's.")] = "",
    license_name: Annotated[str, typer.Option("--license", help="SPDX identifier, where it has one.")] = "",
    link: Annotated[bool, typer.Option("--link", help="Use hard links instead of copies.")] = False,
    splits: Annotated[
        str,
        typer.Option(
            help="official (unchanged, leaks included), identity (new, by person) or none.",
            autocompletion=words("official", "identity", "none"),
        ),
    ] = "official",
    seed: Annotated[int, typer.Option(help="Seed of new splits.")] = 0,
    rendition: Annotated[list[str] | None, typer.Option(help="Only this compression (c23); can be repeated.")] = None,
    label: Annotated[
        list[str] | None, typer.Option(help="Meaning of a label: 1=fake, FF-XX=fake; can be repeated.")
    ] = None,
    lists: Annotated[
        Path | None, typer.Option(help="Folder or file of the set's lists, if they are elsewhere.")
    ] = None,
    jobs: Annotated[int, typer.Option(help="Clips read at a time; 0: one per core.")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only report what is there and what is missing.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="End with 1 when anything is missing or damaged.")] = False,
) -> None:
    """Imports a third-party dataset: clips unchanged, with its splits; faults are counted and listed.

    Example: assay dataset import faceforensics FF++ sets/ff --rights "FaceForensics++ terms of use" --rendition c23

    Example: assay dataset import celeb-df Celeb-DF-v2 sets/cdf --rights "Celeb-DF terms of use" --link --dry-run

    Layouts: celeb-df (v1, v2, ++), csv, deeperforensics, deepfakebench, df40, dfdc, dfdc-preview, faceforensics (with
    DeepFakeDetection), ffiw, folders (real/ and fake/), uadfv, wilddeepfake.
    """
    from shared.dataset import formats as layouts
    from shared.dataset.formats.found import ScanOptions
    from shared.dataset.formats.importing import ImportConfig, import_set, plan_import
    from shared.engine.local import LocalEngine

    layouts.IMPORTERS.get(layout)
    config = ImportConfig(
        rights=rights,
        name=name,
        license=license_name,
        splits=_splits(splits),
        seed=seed,
        link=link,
        scan=ScanOptions(tuple(rendition or ()), _labels(label or []), lists),
    )
    if dry_run:
        report = plan_import(layout, source, config)
    else:
        engine = LocalEngine(jobs or None)
        report = import_set(layout, source, out, config, engine=engine, progress=partial(console.progress, unit="clip"))
    _show(report, out, dry_run=dry_run)
    console.result(report.as_document())
    if strict and (report.issues or report.leaks):
        raise ManifestError(
            f"{source}: {counted(len(report.issues), 'fault')} and {counted(len(report.leaks), 'leak')}",
            hint="leave --strict out to import what can be used",
        )


def _show(report: ImportReport, out: Path, *, dry_run: bool) -> None:
    rows = [(*key, count) for key, count in sorted(report.counts.items())]
    console.table("Clips", ["split", "label", "manipulation", "rendition", "clips"], rows[:_SHOWN])
    if report.issues:
        shown = [(issue.fault, issue.where, issue.message) for issue in report.issues[:_SHOWN]]
        console.table(f"{counted(len(report.issues), 'fault')}", ["", "where", "what"], shown)
        if len(report.issues) > _SHOWN:
            console.print(f"and {len(report.issues) - _SHOWN} more; --json lists all")
    for note in report.notes:
        console.print(f"note: {note}")
    if report.leaks:
        console.warn(f"the splits leak in {counted(len(report.leaks), 'place')}, the first: {report.leaks[0]}")
    if dry_run:
        console.print(f"{report.clips} of {counted(report.named, 'clip')} would be imported; nothing was written")
    else:
        console.print(f"{out} holds {report.listed} of {counted(report.named, 'clip')}, {report.linked} by hard link")


def _labels(options: list[str]) -> dict[str, Label]:
    """``word=fake`` options as a mapping."""
    words: dict[str, Label] = {}
    for option in options:
        word, equals, meaning = option.rpartition("=")
        if not equals or not word or meaning not in ("real", "fake"):
            raise UsageError(f"--label {option!r} is not understood", hint="--label 1=fake")
        words[word] = "real" if meaning == "real" else "fake"
    return words


def _splits(word: str) -> SplitChoice:
    known: dict[str, SplitChoice] = {"official": "official", "identity": "identity", "none": "none"}
    if word not in known:
        raise UsageError(f"--splits {word!r} is not known", hint=", ".join(known))
    return known[word]
