"""The measurement from folder to figures, its tables, and its measurements in the schema of all benchmarks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

from benchmarks.outside.faces import find_faces
from benchmarks.outside.forms import FORMS, MOST_SIDE_PX, QUALITY
from benchmarks.outside.index import OutsideFile, groups, read_index
from benchmarks.outside.measure import ALL, FAMILIES_IN, Figure, Files, figures
from benchmarks.outside.scores import (
    UNTRAINED,
    FileScores,
    detector_scores,
    in_all_forms,
    open_detector,
    untrained_scores,
)
from benchmarks.schema import Measurement
from shared.bootstrap import BootstrapSettings
from shared.errors import UsageError
from shared.faces.finders.finder import make_finder

TARGETS: Mapping[tuple[str, str], float] = {
    ("swap", "AUC"): 0.80,
    ("swap", "paired accuracy"): 0.85,
    (ALL, "Cllr"): 1.0,
    (ALL, "reals with strong support for fake"): 0.0,
}
"""What is aimed at, by part and figure, in the form "matched"."""

_LOWER = ("Cllr", "reals ", "standard deviation")
_KEYS = ("AUC", "paired accuracy")


@dataclass(frozen=True)
class Outside:
    """The result of one run.

    Attributes:
        figures: of every detector, in the order given; several of one name are trainings of one recipe.
        settings: what was measured, without names of files.
        notes: remarks for readers.
    """

    figures: tuple[Figure, ...]
    settings: dict[str, Any]
    notes: tuple[str, ...]


def named_detectors(texts: Sequence[str]) -> list[tuple[str, str]]:
    """(name, place) of each NAME=PATH; a name may come several times, for several trainings of one recipe.

    Raises:
        UsageError: a text has another form, or a name is taken.
    """
    found: list[tuple[str, str]] = []
    for text in texts:
        name, equals, place = text.partition("=")
        if not (name.strip() and equals and place):
            raise UsageError(f"{text!r} is not NAME=PATH", hint="for example ours=runs/det or meso=MesoInception_DF.h5")
        if name in UNTRAINED:
            raise UsageError(f"{name!r} is always measured", hint="give the detector another name")
        found.append((name, place))
    return found


def measure(
    folder: Path, detectors: Sequence[tuple[str, str]], work: Path, *, frames: int, finder: str, device: str,
    bootstrap: BootstrapSettings | None = None,
) -> Outside:  # fmt: skip
    """Scores every file of ``folder`` with every detector, and with softness alone.

    Raises:
        ManifestError: the folder is damaged, see :func:`benchmarks.outside.index.read_index`.
        MediaError: a file cannot be read.
        AssayError: a detector cannot be loaded, see :func:`benchmarks.outside.scores.open_detector`.
    """
    bootstrap = bootstrap or BootstrapSettings()
    listed = read_index(folder)
    opened = [open_detector(name, place, device=device) for name, place in detectors]
    found = find_faces(listed, make_finder(finder), work, frames=frames)
    faces = in_all_forms(found)
    files = Files.of(listed)
    scored: list[FileScores] = [*untrained_scores(faces), *(detector_scores(one, faces) for one in opened)]
    without = sum(not one.faces for one in found)
    notes = [f"{one.name}: {note}" for one in scored for note in one.notes]
    if without:
        notes.append(f"In {without} of {len(found)} files no face was found; they have no score.")
    settings = {
        "frames_per_clip": frames, "finder": finder, "jpeg_quality": QUALITY, "most_side_px": MOST_SIDE_PX,
        "confidence": bootstrap.confidence, "replicates": bootstrap.replicates, **facts(listed),
    }  # fmt: skip
    each = (figure for one in scored for figure in figures(files, one, faces.detail, bootstrap))
    return Outside(tuple(each), settings, tuple(notes))


def facts(files: Sequence[OutsideFile]) -> dict[str, Any]:
    """Counts of files, groups, kinds and families."""
    fakes = [file for file in files if file.label == "fake"]
    return {
        "fakes": len(fakes),
        "reals": len(files) - len(fakes),
        "groups": len(set(groups(files).tolist())),
        "kinds": dict(Counter(file.kind for file in fakes)),
        "families": dict(sorted(Counter(file.family for file in fakes).items())),
    }


def measurements(result: Outside) -> list[Measurement]:
    """One for each detector, form, part and figure; trainings of one recipe give a value each.

    Low and high are the lower and upper bound of the 95 % interval, of several trainings the outermost.
    """
    by_name: dict[tuple[str, ...], list[Figure]] = {}
    for figure in result.figures:
        by_name.setdefault((figure.detector, figure.form, figure.part, figure.what), []).append(figure)
    listed = []
    for (detector, form, part, what), found in by_name.items():
        values = [round(one.value, 4) for one in found]
        lows = [one.low for one in found if one.low is not None]
        highs = [one.high for one in found if one.high is not None]
        target = TARGETS.get((part, what)) if form == "matched" and detector not in UNTRAINED else None
        counts = f"{found[0].fake} fakes, {found[0].real} reals"
        note = f"{counts}; 95 % over pairs and people" if lows else f"{counts}; no interval"
        listed.append(
            Measurement(
                f"{detector}, {form}, {part}: {what}", found[0].unit, tuple(values), round(median(values), 4),
                round(min([*lows, *values]), 4), round(max([*highs, *values]), 4),
                better="lower" if what.startswith(_LOWER) else "higher", target=target, note=note,
            )
        )  # fmt: skip
    return listed


def main_table(result: Outside) -> tuple[list[str], list[list[str]]]:
    """Columns and rows: a row for each detector and form, areas and paired accuracies with their intervals."""
    wanted = [
        ("AUC", ALL, "AUC"), ("AUC, swaps", "swap", "AUC"), ("paired", ALL, "paired accuracy"),
        ("paired, swaps", "swap", "paired accuracy"),
    ]  # fmt: skip
    return _by_form(result, wanted, with_interval=True)


def spread_table(result: Outside) -> tuple[list[str], list[list[str]]]:
    """Columns and rows: a row for each detector and form, how reals differ and how far a fake lies above its own."""
    wanted = [
        ("reals called fake", ALL, "reals called fake"), ("SD of reals", ALL, "standard deviation of reals"),
        ("fake above own real", ALL, "fake above own real"), ("rho with detail", ALL, "Spearman of reals with detail"),
        ("Cllr", ALL, "Cllr"), ("learned", ALL, "Cllr among what was learned"),
    ]  # fmt: skip
    return _by_form(result, wanted, with_interval=False)


def _by_form(
    result: Outside, wanted: Sequence[tuple[str, str, str]], *, with_interval: bool
) -> tuple[list[str], list[list[str]]]:
    rows = [
        [name, form, *(_cell(result, name, form, part, what, with_interval) for _, part, what in wanted)]
        for name in _names(result)
        for form in FORMS
    ]
    return ["detector", "form", *(title for title, _, _ in wanted)], rows


def parts_table(result: Outside) -> tuple[list[str], list[list[str]]]:
    """Columns and rows: a row for each kind and family, AUC and paired accuracy of each detector."""
    names = _names(result)
    own = [one for one in result.figures if one.form == FAMILIES_IN and one.what in _KEYS]
    parts = list(dict.fromkeys(one.part for one in own if one.what == "AUC"))
    rows = []
    for part in parts:
        fakes = next(one.fake for one in own if one.part == part and one.what == "AUC")
        cells = [_cell(result, name, FAMILIES_IN, part, what) for name in names for what in _KEYS]
        rows.append([part, str(fakes), *cells])
    return ["fakes", "n", *(f"{name}: {what.split()[0]}" for name in names for what in _KEYS)], rows


def _names(result: Outside) -> list[str]:
    return list(dict.fromkeys(one.detector for one in result.figures))


def _cell(result: Outside, name: str, form: str, part: str, what: str, with_interval: bool = True) -> str:
    found = [
        one for one in result.figures if (one.detector, one.form, one.part, one.what) == (name, form, part, what)
    ]  # fmt: skip
    if not found:
        return ""
    text = f"{mean(one.value for one in found):.3f}"
    lows = [one.low for one in found if one.low is not None]
    highs = [one.high for one in found if one.high is not None]
    return f"{text} ({min(lows):.2f} to {max(highs):.2f})" if lows and highs and with_interval else text
