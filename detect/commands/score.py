"""``assay score``."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from detect.commands.options import (
    DatasetArgument,
    FinderOption,
    OnlyOption,
    SplitOption,
    frames_option,
    replicates_option,
)
from detect.commands.show import plain
from detect.config.scoring import EvaluateConfig
from shared.bootstrap import ClusterBy
from shared.commands.completion import values
from shared.commands.options import DeviceOption, PrecisionOption, SeedOption, SettingsOption, choices, resolve
from shared.console import console, counted

if TYPE_CHECKING:
    from shared.dataset import DatasetFolder
    from shared.results.scoreboard import Detectability, Row, Scoreboard
    from shared.types import ClipRecord

_EVALUATE = EvaluateConfig()
_LIMIT = 12
_INTERRUPTED = 130

CommandLine = Callable[[list[str]], int]

DetectorsOption = Annotated[
    list[str],
    typer.Option(
        help="Run or detector folder, or assay; or onnx:FILE, local-dir:FOLDER, python:FILE, csv:FILE; "
        "NAME=... names it; repeatable.",
        show_default=False,
    ),
]
OutOption = Annotated[Path, typer.Option(help="Folder for the scoreboard; a second run continues it.")]
QualityOption = Annotated[
    list[Path] | None, typer.Option(help="JSON of assay forge quality; repeatable.", show_default="measured here")
]
NoQualityOption = Annotated[bool, typer.Option("--no-quality", help="Measure no quality.")]
QualityClipsOption = Annotated[
    int, typer.Option(help="Fakes of each manipulation whose quality is measured, evenly spaced.", min=1)
]
FacesOption = Annotated[
    list[Path] | None,
    typer.Option(help="Faceset of a person, to measure identity; repeatable.", show_default=False),
]
MeasureOption = Annotated[
    str | None, typer.Option(help="Metric of quality to show.", show_default="identity, or mask_ssim")
]
ClustersOption = Annotated[
    str | None,
    typer.Option(
        help=f"Unit of the bootstrap: {choices(ClusterBy)}.",
        show_default=_EVALUATE.cluster_by,
        autocompletion=values(ClusterBy),
    ),
]
FreshOption = Annotated[bool, typer.Option("--fresh", help="Score all clips again.")]


@dataclass(frozen=True)
class Quality:
    """Source of quality: existing files, or measuring some fakes of each manipulation."""

    files: tuple[Path, ...]
    none: bool
    clips: int
    faces: tuple[Path, ...]
    measure: str | None


def score_command(run: CommandLine) -> Callable[..., None]:
    """The Typer command, given what runs one command line: quality is measured by ``assay forge quality``."""

    def score(
        dataset: DatasetArgument,
        detector: DetectorsOption,
        out: OutOption,
        split: SplitOption = None,
        only: OnlyOption = None,
        quality: QualityOption = None,
        no_quality: NoQualityOption = False,
        quality_clips: QualityClipsOption = _LIMIT,
        faces: FacesOption = None,
        measure: MeasureOption = None,
        frames: Annotated[int | None, frames_option(_EVALUATE.frames_per_clip)] = None,
        clusters: ClustersOption = None,
        replicates: Annotated[int | None, replicates_option(_EVALUATE.replicates)] = None,
        finder: FinderOption = None,
        fresh: FreshOption = False,
        device: DeviceOption = None,
        precision: PrecisionOption = None,
        seed: SeedOption = None,
        config: SettingsOption = None,
    ) -> None:
        """Makes the scoreboard: quality of fakes and their detection, by manipulation.

        Example: assay score set/ --detector runs/a --detector meso=onnx:meso.onnx --out board/

        Example: assay score set/ --detector runs/a --detector them=csv:scores.csv --faces faces/ann --out board/

        After a stop the same command continues; a second run reuses scores. From scoreboard.json, assay forge suggest
        writes the settings of the next set.
        """
        flags = {
            "split": split,
            "only": only or None,
            "frames_per_clip": frames,
            "cluster_by": clusters,
            "replicates": replicates,
            "finder": finder,
            "device": device,
            "precision": precision,
            "seed": seed,
        }
        settings = resolve(EvaluateConfig, config, flags)
        asked = Quality(tuple(quality or ()), no_quality, quality_clips, tuple(faces or ()), measure)
        _score(run, dataset, detector, out, settings, asked, fresh=fresh)

    return score


def _score(
    run: CommandLine,
    dataset: Path,
    detectors: Sequence[str],
    out: Path,
    settings: EvaluateConfig,
    quality: Quality,
    *,
    fresh: bool,
) -> None:
    from detect.scoreboard import board as boards
    from detect.scoreboard.scores import wanted_detectors
    from shared.dataset import DatasetFolder
    from shared.results.quality import read_quality

    wanted = wanted_detectors(detectors)
    folder = DatasetFolder.open(dataset)
    records = boards.records_to_score(folder, settings)
    boards.check_board_folder(out)
    given = read_quality(quality.files)
    scores = boards.score_dataset(folder, records, wanted, settings, out, fresh=fresh)
    notes: list[str] = []
    if not quality.files and not quality.none:
        files, notes = measured_quality(run, folder, records, out, quality, settings)
        given = read_quality(files)
    board = boards.make_scoreboard(
        records,
        scores,
        given,
        settings,
        dataset=boards.dataset_facts(folder),
        measure=quality.measure,
        notes=notes,
    )
    document, picture = boards.save_scoreboard(out, board)
    show_scoreboard(board)
    console.print(f"scoreboard: {document}\npicture:    {picture}")
    console.result({"out": out, "scored_now": {one.wanted.name: one.fresh for one in scores}, **plain(board)})


def measured_quality(
    run: CommandLine,
    folder: DatasetFolder,
    records: Sequence[ClipRecord],
    out: Path,
    quality: Quality,
    settings: EvaluateConfig,
) -> tuple[list[Path], list[str]]:
    """Measures some fakes of each manipulation, unless done before; the files, and the failed manipulations.

    Raises:
        KeyboardInterrupt: it was stopped.
    """
    from shared.sampling import evenly_spaced

    by_name: dict[str, list[ClipRecord]] = {}
    for record in records:
        if record.kind == "swap" and "target_sha256" in record.factors:
            by_name.setdefault(str(record.id.manipulation), []).append(record)
    files: list[Path] = []
    failed: list[str] = []
    quiet = ["--quiet"] if console.quiet else []
    for name, fakes in sorted(by_name.items()):
        chosen = [fakes[place] for place in evenly_spaced(len(fakes), quality.clips)]
        path = out / "quality" / f"{name}-{_key(chosen, quality.faces)}.json"
        if not path.is_file():
            console.print(f"quality of {name}: {len(chosen)} of {len(fakes)} fakes")
            line = [str(folder.media_path(record)) for record in chosen]
            line += [word for faceset in quality.faces for word in ("--faces", str(faceset))]
            with console.bars_only():
                code = run([*quiet, "forge", "quality", *line, "--out", str(path), "--device", settings.device])
            if code == _INTERRUPTED:
                raise KeyboardInterrupt
        if path.is_file():
            files.append(path)
        else:
            failed.append(name)
    notes = [f"The quality of {', '.join(failed)} could not be measured."] if failed else []
    without = sum(record.kind == "swap" and "target_sha256" not in record.factors for record in records)
    if without:
        notes.append(f"The quality of {counted(without, 'fake')} without a recorded target is not measured.")
    return files, notes


def _key(records: Sequence[ClipRecord], faces: Sequence[Path]) -> str:
    """A short hash of the measured fakes and facesets."""
    text = "\n".join([*(record.sha256 for record in records), *map(_faceset_key, faces)])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _faceset_key(path: Path) -> str:
    """Digest of the faceset; of an unreadable one its path, as measuring will report the error."""
    from shared.errors import FacesetError
    from shared.faces.facesets.reader import Faceset

    try:
        return Faceset.open(path).digest()
    except FacesetError:
        return str(path.resolve())


def show_scoreboard(board: Scoreboard) -> None:
    """A table a metric, a row a manipulation, a column a detector; then differences and notes."""
    console.print(f"{board.clusters}; every interval covers 95 %")
    names = [detector.name for detector in board.detectors]
    cells = [one for row in board.rows for one in row.detectors]
    columns = ["", "real", "fake", *([board.measure] if board.measure else []), *names]
    console.table("Clip AUC", columns, [_line(row, board, names) for row in board.rows])
    tables: list[tuple[str, Callable[[Detectability], str]]] = [
        ("Fakes caught at 1 % false alarms", lambda one: _interval(one.find("tpr@fpr1%")))
    ]
    if all(one.scored.value == 1.0 for one in cells):
        console.print("Every fake has a score of every detector.")
    else:
        tables.append(("Share of fakes with a score", lambda one: _interval(one.scored)))
    if any(one.llr for one in cells):
        tables.append(("Likelihood ratio of the fakes (log10): median, 5th to 95th percentile, misleading", _llr))
    for title, cell in tables:
        console.table(title, ["", *names], [[_name(row), *_cells(row, names, cell)] for row in board.rows])
    for one in board.differences:
        bounds = "" if one.low is None or one.high is None else f" ({one.low:+.3f} to {one.high:+.3f})"
        chance = "" if one.p is None else f", p {one.p:.3g}"
        console.print(f"AUC of {one.first} minus {one.second}: {one.difference:+.3f}{bounds}{chance}")
    for detector in board.detectors:
        for note in (detector.calibrated, *detector.notes):
            if note:
                console.print(f"note on {detector.name}: {note}")
    for note in board.notes:
        console.print(f"note: {note}")


def _line(row: Row, board: Scoreboard, names: Sequence[str]) -> list[str]:
    quality = [_interval(row.measure(board.measure))] if board.measure else []
    aucs = _cells(row, names, lambda one: _interval(one.find("auc")))
    return [_name(row), str(row.num_real), str(row.num_fake), *quality, *aucs]


def _name(row: Row) -> str:
    return row.name if row.by != "rendition" else f"{row.name} (rendition)"


def _cells(row: Row, names: Sequence[str], show: Callable[[Detectability], str]) -> list[str]:
    found = [row.cell(name) for name in names]
    return ["" if one is None else show(one) for one in found]


def _interval(found: Any) -> str:
    if found is None:
        return ""
    if found.low is None or found.high is None:
        return f"{found.value:.3f}"
    return f"{found.value:.3f} ({found.low:.2f} to {found.high:.2f})"


def _llr(one: Detectability) -> str:
    if one.llr is None:
        return ""
    found = one.llr
    return f"{found.median:+.2f}, {found.low:+.2f} to {found.high:+.2f}, {100 * found.misleading:.0f} %"
