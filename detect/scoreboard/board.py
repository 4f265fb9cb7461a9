"""Makes the scoreboard: quality and detectability of each manipulation.

Several detectors, Assay's or third-party, are evaluated on the same clips; every number has an interval by bootstrap
over people. Quality comes from a file written by ``assay forge quality``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from detect.calibration.files import detector_mark
from detect.calibration.maps import Calibration, misfit, read_calibration
from detect.config.scoring import EvaluateConfig
from detect.data.crops import dataset_digest
from detect.data.protocols import only, parse_only, seen_in_training
from detect.metrics.bootstrap import evaluate_samples
from detect.metrics.compare import ClipLogit, compare_clips
from detect.metrics.spread import llr_spread
from detect.scoreboard.picture import plot_scoreboard
from detect.scoreboard.scores import Scores, Wanted, scores_of
from shared.bootstrap import BootstrapSettings, share_interval
from shared.dataset import DatasetFolder
from shared.dataset.splits import clustering
from shared.errors import UsageError
from shared.results.quality import QualityReport, mean_quality
from shared.results.scoreboard import (
    SCOREBOARD_NAME,
    AucDifference,
    Detectability,
    LlrSpread,
    Row,
    RowKind,
    Scoreboard,
    ScoredDetector,
    write_scoreboard,
)
from shared.results.scores import Evaluation
from shared.storage import need_own_folder, write_bytes
from shared.types import ClipRecord

METRICS = ("auc", "ap", "eer", "tpr@fpr1%", "tpr@fpr5%")
"""Metrics of each detector and row; the others of ``detect.metrics.classification`` need a calibration or threshold."""

FAVOURITES = ("cosine_to_source", "mask_ssim", "expression_error", "landmark_distance", "seam_ratio")
"""Quality metrics in order of preference for the one that is shown; ``--measure`` chooses another."""

PICTURE_NAME = "scoreboard.png"
CACHE_NAME = "scores"


@dataclass(frozen=True, eq=False)
class _Board:
    """Data that all rows share.

    Attributes:
        records: of all clips.
        fake: (N,) bool.
        clusters: (N,) int.
        logits: by detector, (N,) float64, NaN without a score.
        llrs: likewise, for detectors whose calibration fits.
    """

    records: Sequence[ClipRecord]
    fake: np.ndarray
    clusters: np.ndarray
    logits: dict[str, np.ndarray]
    llrs: dict[str, np.ndarray]
    quality: QualityReport
    settings: BootstrapSettings


def records_to_score(folder: DatasetFolder, config: EvaluateConfig) -> list[ClipRecord]:
    """The clips to score: those of ``config.split`` that match ``config.only``.

    Raises:
        ManifestError: there is none.
        UsageError: ``only`` matches nothing; or a protocol is given, which depends on the detector.
    """
    if config.protocol != "in-set":
        raise UsageError(
            f"a scoreboard has no protocol {config.protocol!r}: all detectors are scored on the same clips",
            hint="assay detect evaluate follows protocols; --only chooses clips for all detectors",
        )
    found = folder.records(split=None if config.split == "all" else config.split)
    if not found:
        raise folder.without_clips(config.split, "choose another --split, or --split all")
    return only(found, parse_only(config.only))


def check_board_folder(out: Path) -> Path:
    """Returns ``out`` if a scoreboard may be written there.

    Raises:
        UsageError: it is a file, or a folder that holds something else.
    """
    return need_own_folder(out, "scoreboard", marks=(SCOREBOARD_NAME, CACHE_NAME))


def score_dataset(
    folder: DatasetFolder,
    records: Sequence[ClipRecord],
    detectors: Sequence[Wanted],
    config: EvaluateConfig,
    out: Path,
    *,
    fresh: bool = False,
) -> list[Scores]:
    """The scores of ``records`` by each detector, cached in ``out``; see ``detect.scoreboard.scores``.

    Raises:
        AssayError: see :func:`detect.scoreboard.scores.scores_of`.
    """
    return [scores_of(one, folder, records, config, out / CACHE_NAME, fresh=fresh) for one in detectors]


def make_scoreboard(
    records: Sequence[ClipRecord],
    scores: Sequence[Scores],
    quality: QualityReport,
    config: EvaluateConfig,
    *,
    dataset: dict[str, str],
    measure: str | None = None,
    notes: Sequence[str] = (),
) -> Scoreboard:
    """The scoreboard of ``records``: rows, intervals, and differences between detectors.

    Args:
        records: all clips, real and fake.
        scores: of each detector, one logit per record.
        quality: quality of the fakes; may be empty.
        config: split, bootstrap.
        dataset: name and digest of the dataset.
        measure: quality metric shown in tables and picture; default the first of :data:`FAVOURITES` that is available.
        notes: further remarks for readers.

    Raises:
        UsageError: no fake has the ``measure``.
    """
    clustered = clustering(records, config.cluster_by)
    settings = BootstrapSettings(replicates=config.replicates, seed=config.seed, cluster_by=clustered.by)
    detectors, llrs = _detectors(records, scores)
    board = _Board(
        records=records,
        fake=np.array([record.label == "fake" for record in records], bool),
        clusters=clustered.of(records),
        logits={one.wanted.name: _array(one.logits) for one in scores},
        llrs=llrs,
        quality=quality,
        settings=settings,
    )
    rows = tuple(_row(board, by, name, places) for by, name, places in _parts(records))
    return Scoreboard(
        dataset=dataset,
        split=config.split,
        only=config.only,
        detectors=detectors,
        rows=rows,
        measure=_shown_measure(rows, measure),
        units=quality.units,
        better=quality.better,
        differences=tuple(
            one for pair in combinations(board.logits, 2) if (one := _difference(board, *pair)) is not None
        ),
        clusters=clustered.count,
        cluster_by=clustered.by,
        notes=(*notes, *_notes(board, rows, clustered.note)),
    )


def dataset_facts(folder: DatasetFolder) -> dict[str, str]:
    """Name and digest of a dataset."""
    return {"name": folder.name, "manifest_sha256": dataset_digest(folder)}


def save_scoreboard(out: Path, board: Scoreboard) -> tuple[Path, Path]:
    """Writes ``scoreboard.json`` and ``scoreboard.png`` into ``out``; returns their paths.

    Raises:
        StorageError: writing failed.
    """
    picture = out / PICTURE_NAME
    write_bytes(picture, plot_scoreboard(board))
    return write_scoreboard(out, board), picture


def _detectors(
    records: Sequence[ClipRecord], scores: Sequence[Scores]
) -> tuple[tuple[ScoredDetector, ...], dict[str, np.ndarray]]:
    """Facts of each detector, and the llrs of those whose calibration applies."""
    detectors, llrs = [], {}
    for one in scores:
        calibration, said = _calibration_of(one)
        if calibration is not None:
            logits = _array(one.logits)
            scored = np.isfinite(logits)
            logits[scored] = calibration.likelihood.llr(logits[scored])
            llrs[one.wanted.name] = logits
        notes = (*one.notes, *seen_in_training(records, one.learned))
        detectors.append(ScoredDetector(one.wanted.name, one.facts, said, notes))
    return tuple(detectors), llrs


def _calibration_of(scores: Scores) -> tuple[Calibration | None, str]:
    """The calibration that applies to these scores, and a note on it; empty if there is none to make."""
    wanted = scores.wanted
    found = read_calibration(wanted.detector)
    if found is None:
        return None, ""
    weights = scores.facts.get("weights_sha256") or scores.facts.get("sha256") or ""
    wrong = misfit(found, detector_mark(wanted.reference, weights), scores.aggregate)
    if wrong is not None:
        return None, wrong
    return found, f"Likelihood ratios hold for clips like those of {found.population.dataset}."


def _parts(records: Sequence[ClipRecord]) -> list[tuple[RowKind, str, np.ndarray]]:
    """The rows with the indices of their clips: all, each manipulation against all real clips, each rendition."""
    manipulation = np.array([record.id.manipulation or "" for record in records])
    rendition = np.array([record.rendition for record in records])
    found: list[tuple[RowKind, str, np.ndarray]] = [("total", "all fakes", np.arange(len(records)))]
    for name in np.unique(manipulation[manipulation != ""]):
        found.append(("manipulation", str(name), np.flatnonzero((manipulation == name) | (manipulation == ""))))
    kinds = np.unique(rendition)
    if kinds.size > 1:
        for name in kinds:
            found.append(("rendition", str(name), np.flatnonzero(rendition == name)))
    return found


def _row(board: _Board, by: RowKind, name: str, places: np.ndarray) -> Row:
    fakes = places[board.fake[places]]
    ids = {str(board.records[place].id): int(board.clusters[place]) for place in fakes}
    return Row(
        by=by,
        name=name,
        num_real=int(places.size - fakes.size),
        num_fake=int(fakes.size),
        quality=mean_quality(board.quality, ids, board.settings),
        detectors=tuple(_cell(board, detector, places, fakes) for detector in board.logits if fakes.size),
    )


def _cell(board: _Board, detector: str, places: np.ndarray, fakes: np.ndarray) -> Detectability:
    logits = board.logits[detector]
    used = places[np.isfinite(logits[places])]
    found = evaluate_samples(
        board.fake[used], logits[used], board.clusters[used], level="clip", bootstrap=board.settings
    )
    return Detectability(
        detector=detector,
        evaluations=tuple(one for one in found if one.metric in METRICS),
        scored=_share_scored(board, np.isfinite(logits[fakes]), fakes),
        llr=_spread(board, detector, fakes),
    )


def _share_scored(board: _Board, scored: np.ndarray, fakes: np.ndarray) -> Evaluation:
    clusters = board.clusters[fakes]
    low, high = share_interval(scored, clusters, board.settings) or (None, None)
    return Evaluation(
        "scored", float(scored.mean()), "clip", num_real=0, num_fake=int(fakes.size), low=low, high=high,
        clusters=int(np.unique(clusters).size), confidence=board.settings.confidence,
    )  # fmt: skip


def _spread(board: _Board, detector: str, fakes: np.ndarray) -> LlrSpread | None:
    if detector not in board.llrs:
        return None
    known = fakes[np.isfinite(board.llrs[detector][fakes])]
    return llr_spread(board.llrs[detector][known], board.clusters[known], board.settings)


def _difference(board: _Board, first: str, second: str) -> AucDifference | None:
    """Difference of the AUCs of two detectors; None if a class is missing."""
    sides = [
        [
            ClipLogit(str(record.id), record.label, None if np.isnan(logit) else float(logit), int(cluster))
            for record, logit, cluster in zip(board.records, board.logits[name], board.clusters, strict=True)
        ]
        for name in (first, second)
    ]
    found = compare_clips(sides[0], sides[1], names=(first, second), bootstrap=board.settings)
    auc = next((one for one in found.differences if one.metric == "auc"), None)
    if auc is None:
        return None
    return AucDifference(
        first=first,
        second=second,
        difference=auc.difference,
        clips=found.num_real + found.num_fake,
        low=auc.low,
        high=auc.high,
        p=auc.p,
        delong_p=None if found.delong is None else found.delong.p,
    )


def _shown_measure(rows: Sequence[Row], wanted: str | None) -> str | None:
    there = {one.metric for row in rows for one in row.quality}
    if wanted is not None and wanted not in there:
        known = ", ".join(sorted(there)) or "nothing was measured"
        raise UsageError(f"no fake has the measure {wanted!r}", hint=f"there are: {known}")
    return wanted or next((name for name in FAVOURITES if name in there), min(there, default=None))


def _notes(board: _Board, rows: Sequence[Row], clusters: str) -> list[str]:
    notes = list(board.quality.notes)
    measured = sum(str(record.id) in board.quality.clips for record in board.records)
    fakes = int(board.fake.sum())
    if 0 < measured < fakes:
        notes.append(f"Quality is of {measured} of {fakes} fakes.")
    if fakes in (0, len(board.records)):
        notes.append("Only one class is here, so there is no AUC and no TPR.")
    elif clusters:
        notes.append(clusters)
    thin = [row.name for row in rows if row.by == "manipulation" and row.num_fake < 10]
    if thin:
        notes.append(f"Fewer than ten fakes: {', '.join(thin)}.")
    reals = next((row.num_real for row in rows if row.by == "total"), 0)
    if 0 < reals < 100:
        notes.append(f"With {reals} real clips, a false positive rate of 1 % means no false alarm at all.")
    return notes


def _array(logits: Sequence[float | None]) -> np.ndarray:
    """(N,) float64, NaN for None."""
    return np.array([np.nan if logit is None else logit for logit in logits], np.float64)
