"""Runs the detectors of :mod:`benchmarks.detectors` and makes the report: result, table, plot."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.detectors import Scores, counted, load_settings, make_jobs, run_jobs, score_baseline
from benchmarks.detectors_table import calibration_cells, cells, markdown, measurements, plot_cells, region_cells
from benchmarks.schema import Result, new_result
from shared.dataset import DatasetFolder
from shared.faces.facesets.reader import Faceset


def report(
    dataset: Path,
    faces: Sequence[Path],
    twins: Sequence[Path],
    baselines: Mapping[str, str],
    others: Sequence[Path],
    only: Sequence[str],
    config: Path,
    work: Path,
    *,
    command: str = " ".join(sys.argv[1:]),
) -> tuple[Result, str, bytes]:
    """Trains and scores all rows and baselines: result, table (Markdown), plot (PNG).

    Raises:
        AssayError: invalid settings, or a training or a scoring failed.
    """
    settings = load_settings(config)
    jobs = make_jobs(settings, faces, twins, only)
    frames = int(settings.train.get("frames_per_clip", 8))
    scores: list[Scores] = [
        score_baseline(name, detector, dataset, others, work, frames) for name, detector in baselines.items()
    ]
    scores += run_jobs(jobs, dataset, others, work)
    folder = DatasetFolder.open(dataset)
    test, val = (counted(list(folder.records(split=split)), ()) for split in ("test", "val"))
    further = {}
    for path in others:
        other = DatasetFolder.open(path)
        further[other.name] = counted(list(other.records()), ())
    found = cells(scores, test, folder.name, settings.folds, further)
    calibrated = calibration_cells(scores, test, val, folder.name)
    regions = region_cells(scores, test)
    facts = {
        "seeds": list(settings.seeds),
        "folds": [list(fold) for fold in settings.folds],
        "train": settings.train,
        "rows": settings.rows,
        "faces": {path.name: Faceset.open(path).digest() for path in faces},
        "twins": {path.name: Faceset.open(path).info.drawn_by for path in twins},
        "sets": {folder.name: len(test), **{name: len(records) for name, records in further.items()}},
    }
    result = new_result("detectors", command, measurements([*found, *calibrated, *regions]), settings=facts)
    title = f"Trained without a manipulation, asked about it ({len({r.target_identity for r in test})} people)"
    main = [cell for cell in found if not cell.what.startswith("unseen ") or " at " in cell.what]
    return result, markdown(main) + "\n" + markdown([*calibrated, *regions]), plot_cells(found, title)
