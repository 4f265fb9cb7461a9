"""Summary of the scores of :mod:`benchmarks.detectors`: AUC with intervals over people, calibration, plot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from benchmarks.detectors import Scores, left_out
from benchmarks.schema import Measurement
from detect.calibration.fit import fit_probability, person_weights
from detect.calibration.likelihood import fit_likelihood, probability_metrics, ratio_metrics
from shared.bootstrap import sample_clusters
from shared.plots import INK, figure, png
from shared.types import ClipRecord

_REPLICATES = 2000
_CONFIDENCE = (2.5, 97.5)
_COLOURS = ("#8b98a5", "#b8c0c9", "#b3541e", "#1f5fa8", "#2c7a4b", "#6b4f9e", "#a08a1f")


@dataclass(frozen=True, eq=False)
class Case:
    """Test clips of one detector: (N,) bool labels, (N,) logits, and the filmed person of each."""

    labels: np.ndarray
    logits: np.ndarray
    people: tuple[str, ...]


@dataclass(frozen=True)
class Cell:
    """One number of a row: value, interval over people, and the values of each seed."""

    row: str
    what: str
    value: float
    low: float
    high: float
    seeds: tuple[float, ...]
    people: int


def case_of(scores: Scores, records: Iterable[ClipRecord], name: str, fold: Sequence[str] | None) -> Case:
    """The clips of ``records`` that have a score under ``name``; of the fakes those of ``fold``, None for all."""
    said = scores.logits.get(name, {})
    kept = [
        record for record in records
        if str(record.id) in said and (fold is None or record.label == "real" or left_out(record, fold))
    ]  # fmt: skip
    return Case(
        np.array([record.label == "fake" for record in kept], bool),
        np.array([said[str(record.id)] for record in kept]),
        tuple(record.target_identity for record in kept),
    )


def area(case: Case, weights: np.ndarray) -> np.ndarray:
    """(R, N) weights of the clips -> (R,) weighted area under the ROC curve; NaN where a class has no weight."""
    fake, real = case.logits[case.labels], case.logits[~case.labels]
    wins = (fake[:, None] > real[None]) + 0.5 * (fake[:, None] == real[None])
    w_fake, w_real = weights[:, case.labels], weights[:, ~case.labels]
    total = w_fake.sum(1) * w_real.sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(total > 0, np.einsum("rf,fr->r", w_fake, wins @ w_real.T) / total, np.nan)


def mean_area(
    cases: Sequence[tuple[int, Case]], *, seed: int = 0
) -> tuple[float, float, float, tuple[float, ...], int]:
    """Mean area over (training seed, case), its interval over people, the mean of each seed, and the number of people.

    All cases have the same people in a replicate, so common variation does not average out.
    """
    everybody = sorted({person for _, case in cases for person in case.people})
    number = {person: place for place, person in enumerate(everybody)}
    times = sample_clusters(len(everybody), _REPLICATES, np.random.default_rng(seed))
    areas, plain = [], []
    for _, case in cases:
        owners = np.array([number[person] for person in case.people])
        areas.append(area(case, times[:, owners]))
        plain.append(float(area(case, np.ones((1, owners.size)))[0]))
    seeds = sorted({one for one, _ in cases})
    each = tuple(float(np.mean([v for v, (s, _) in zip(plain, cases, strict=True) if s == one])) for one in seeds)
    low, high = np.nanpercentile(np.nanmean(np.stack(areas), axis=0), _CONFIDENCE)
    return float(np.mean(plain)), float(low), float(high), each, len(everybody)


def cells(
    scores: Sequence[Scores],
    test: Sequence[ClipRecord],
    name: str,
    folds: Sequence[tuple[str, ...]],
    others: dict[str, Sequence[ClipRecord]],
) -> list[Cell]:
    """All numbers of all rows: unseen and seen manipulations, each rendition, each fold, each other set.

    Args:
        scores: of all detectors.
        test: the counted test clips of the main set.
        name: of the main set.
        folds: manipulations left out in turn.
        others: the counted clips of further sets, by name.
    """
    found: list[Cell] = []
    for row in dict.fromkeys(one.row for one in scores):
        mine = [one for one in scores if one.row == row]
        # A row trained on no forgery has not seen any fold: its one detector is tested on all of them.
        asked = [(one, fold) for one in mine for fold in ([one.fold] if one.fold else folds)]
        parts: dict[str, list[tuple[int, Case]]] = {"unseen": [(o.seed, case_of(o, test, name, f)) for o, f in asked]}
        seen = [(o.seed, case_of(o, _without(test, o.fold), name, None)) for o in mine if o.fold]
        parts |= {"seen": seen} if seen else {}
        for rendition in dict.fromkeys(record.rendition for record in test):
            part = [record for record in test if record.rendition == rendition]
            parts[f"unseen at {rendition}"] = [(o.seed, case_of(o, part, name, f)) for o, f in asked]
        for fold in folds:
            parts[f"unseen {fold[0].strip('*-')}"] = [
                (o.seed, case_of(o, test, name, f)) for o, f in asked if f == fold
            ]
        for other, records in others.items():
            parts[f"set {other}"] = [(o.seed, case_of(o, records, other, None)) for o in mine]
        for what, cases in parts.items():
            usable = [(seed, case) for seed, case in cases if case.labels.any() and not case.labels.all()]
            found += [Cell(row, what, *mean_area(usable))] if usable else []
    return found


def _without(records: Sequence[ClipRecord], fold: Sequence[str]) -> list[ClipRecord]:
    return [record for record in records if not left_out(record, fold)]


def calibration_cells(
    scores: Sequence[Scores], test: Sequence[ClipRecord], val: Sequence[ClipRecord], name: str
) -> list[Cell]:
    """Cllr and ECE on the test people, seen and unseen manipulations, of calibrations fitted on the validation people.

    The spread is the lowest and highest of the trainings.
    """
    found: list[Cell] = []
    for row in dict.fromkeys(one.row for one in scores):
        values: dict[str, list[tuple[int, float]]] = {}
        for one in (one for one in scores if one.row == row):
            fitted = case_of(one, val, f"{name}:val", None)
            if not fitted.labels.any() or fitted.labels.all():
                continue
            parts = {"seen": case_of(one, _without(test, one.fold), name, None)} if one.fold else {}
            parts["unseen"] = case_of(one, test, name, one.fold or None)
            for part, case in parts.items():
                for metric, value in _calibrated(fitted, case).items():
                    values.setdefault(f"{metric}, {part}", []).append((one.seed, value))
        for what, each in values.items():
            numbers = [value for _, value in each]
            seeds = tuple(float(np.mean([v for s, v in each if s == one])) for one in sorted({s for s, _ in each}))
            people = len({record.target_identity for record in test})
            found.append(Cell(row, what, float(np.mean(numbers)), min(numbers), max(numbers), seeds, people))
    return found


def _calibrated(fitted: Case, case: Case) -> dict[str, float]:
    """Metrics of the test clips with calibrations of equal weight per person, and ("by clip") per clip.

    Weighting by person is the default of ``detect calibrate``. It is cautious: four people classified without error
    support odds of at most five to one, so its calibration error cannot be below a sixth.
    """
    numbers = {person: place for place, person in enumerate(sorted({*fitted.people, *case.people}))}
    who, asked = (np.array([numbers[person] for person in one.people]) for one in (fitted, case))
    weights = person_weights(case.labels, asked)
    found: dict[str, float] = {}
    for name, counted in (("", who), (" by clip", np.arange(who.size))):
        likelihood = fit_likelihood(fitted.labels, fitted.logits, counted, "logistic", replicates=0)
        probability = fit_probability(fitted.labels, fitted.logits, counted, "platt")
        ratios = ratio_metrics(case.labels, likelihood.llr(case.logits), weights)
        calibrated = expit(probability.log_odds(case.logits))
        found[f"Cllr{name}"] = ratios["cllr"]
        found[f"ECE{name}"] = probability_metrics(case.labels, calibrated, weights, 0.5)["ece"]
        found["Cllr_min"] = ratios["cllr_min"]
    return found


def region_cells(scores: Sequence[Scores], test: Sequence[ClipRecord]) -> list[Cell]:
    """Mean IoU of the predicted regions over clips, of rows with a mask output, with intervals over people."""
    found: list[Cell] = []
    fakes = [record for record in test if record.label == "fake"]
    for row in dict.fromkeys(one.row for one in scores if one.ious):
        mine = [one for one in scores if one.row == row]
        for what in ("seen", "unseen"):
            listed = [
                (one.seed, record.target_identity, one.ious[str(record.id)])
                for one in mine for record in fakes
                if str(record.id) in one.ious and left_out(record, one.fold) == (what == "unseen")
            ]  # fmt: skip
            if listed:
                found.append(_mean_cell(row, f"IoU, {what}", listed))
    return found


def _mean_cell(row: str, what: str, listed: Sequence[tuple[int, str, float]]) -> Cell:
    people = sorted({person for _, person, _ in listed})
    values = np.array([value for _, _, value in listed])
    owners = np.array([people.index(person) for _, person, _ in listed])
    times = sample_clusters(len(people), _REPLICATES, np.random.default_rng(0))[:, owners]
    low, high = np.percentile((times @ values) / np.maximum(times.sum(1), 1), _CONFIDENCE)
    seeds = tuple(float(np.mean([v for s, _, v in listed if s == one])) for one in sorted({s for s, _, _ in listed}))
    return Cell(row, what, float(values.mean()), float(low), float(high), seeds, len(people))


TARGETS: dict[str, tuple[float, str]] = {
    "unseen": (0.95, "higher"),
    "unseen at c40": (0.85, "higher"),
    "Cllr, seen": (0.5, "lower"),
    "Cllr by clip, seen": (0.5, "lower"),
    "ECE, seen": (0.05, "lower"),
    "ECE by clip, seen": (0.05, "lower"),
    "IoU, seen": (0.6, "higher"),
}
"""Targets of the rows that are trained on both."""


def measurements(found: Sequence[Cell]) -> list[Measurement]:
    """Cells as measurements: one value per seed; low and high are the interval."""
    listed = []
    for cell in found:
        aim = TARGETS.get(cell.what) if cell.row in ("both", "multitask") else None
        lower = cell.what.startswith(("Cllr", "ECE"))
        how = "lowest and highest training" if lower else f"95 % over {cell.people} filmed people"
        values = tuple(round(value, 4) for value in cell.seeds)
        listed.append(
            Measurement(
                f"{cell.row}: {cell.what}", "bits" if "Cllr" in cell.what else "share" if lower else "AUC"
                if not cell.what.startswith("IoU") else "IoU",
                values, round(cell.value, 4), round(cell.low, 4), round(cell.high, 4),
                better="lower" if lower else "higher", target=aim[0] if aim else None,
                note=f"mean; {how}; a value a seed",
            )
        )  # fmt: skip
    return listed


def markdown(found: Sequence[Cell]) -> str:
    """A Markdown table with one line per row and one column per number."""
    rows = list(dict.fromkeys(cell.row for cell in found))
    columns = list(dict.fromkeys(cell.what for cell in found))
    by = {(cell.row, cell.what): cell for cell in found}
    lines = [f"| row | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    for row in rows:
        shown = [_shown(by.get((row, what))) for what in columns]
        lines.append(f"| {row} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


def _shown(cell: Cell | None) -> str:
    return "" if cell is None else f"{cell.value:.3f} [{cell.low:.3f}, {cell.high:.3f}]"


def plot_cells(found: Sequence[Cell], title: str) -> bytes:
    """A PNG of AUCs with intervals: one group per condition, one colour per row, one dot per seed."""
    shown = [cell for cell in found if cell.what.startswith(("unseen", "seen", "set "))]
    rows, columns = (list(dict.fromkeys(getattr(cell, key) for cell in shown)) for key in ("row", "what"))
    with figure(9.6, 0.62 + 0.13 * len(columns) * (len(rows) + 1.2), dpi=110) as plot:
        axes = plot.subplots()
        for place, row in enumerate(rows):
            mine = [cell for cell in shown if cell.row == row]
            heights = [columns.index(cell.what) + (place - (len(rows) - 1) / 2) * 0.8 / len(rows) for cell in mine]
            values = np.array([cell.value for cell in mine])
            bounds = np.abs(np.array([[c.low for c in mine], [c.high for c in mine]]) - values)
            colour = _COLOURS[place % len(_COLOURS)]
            axes.errorbar(values, heights, xerr=bounds, fmt="o", color=colour, ms=4, lw=1.4, label=row)
            for cell, height in zip(mine, heights, strict=True):
                axes.plot(cell.seeds, [height] * len(cell.seeds), "|", color=colour, ms=5)
        axes.axvline(0.5, color=INK, lw=0.8)
        axes.set(yticks=range(len(columns)), yticklabels=columns, xlabel="AUC of clips", title=title, xlim=(0.2, 1.005))
        axes.invert_yaxis()
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        return png(plot)
