"""Suggestion of the next set from a scoreboard: more of the manipulations that detectors miss, with new random choices.

The inputs are the scoreboard and the settings of the scored set. Each manipulation gets a share of the fakes that grows
with the share of them that is missed, above a floor, so that none disappears: detectors forget what they are no longer
trained on. Equal files give equal settings, with the reason for each choice as a comment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from forge.building.pieces import Shot, models_of, shots_of, splits_of
from forge.building.plan_parts import SELF
from forge.building.sampling import seed_for
from forge.building.spec import ManipulationConfig, SetSpec, load_spec
from forge.building.spec_text import set_text
from forge.building.suggest_fit import FakeCounts, fitted, reached, shares_of
from shared.config import from_mapping, need, read_toml, to_mapping
from shared.errors import UsageError
from shared.registry import near_matches
from shared.results.scoreboard import Row, Scoreboard, read_scoreboard
from shared.storage import sha256_file, write_text
from shared.types import SPLITS

FEWEST_CLIPS = 20
"""Fakes, and real clips, from which a missed share counts: from 20 of them its 95 % interval is up to 22 points wide to
each side (1.96 sqrt(0.25 / n)), from 4 up to 49, which would be advice from chance."""

_METRICS = ("tpr@fpr1%", "tpr@fpr5%")
_SEEDS = 1 << 31
_PLACED = ("/", "$")


@dataclass(frozen=True)
class SuggestConfig:
    """Settings of the suggestion.

    Attributes:
        floor: part of the fakes that is divided equally; the rest is divided by missed shares.
        grow: fakes of the next set, as a multiple of this one's.
        metric: missed means not detected at this false positive rate, or without a score.
        detectors: those that are used; empty for all. Of several, the mean is used.
        keep_swappers: keep the seeds of the swappers, so that a build reuses them from its work folder.
    """

    floor: float = 0.4
    grow: float = 1.0
    metric: str = "tpr@fpr1%"
    detectors: tuple[str, ...] = ()
    keep_swappers: bool = False

    def __post_init__(self) -> None:
        need(0 < self.floor <= 1, f"floor must lie in (0, 1], got {self.floor}", "0.4 divides two fifths equally")
        need(0.1 <= self.grow <= 100, f"grow must lie in [0.1, 100], got {self.grow}", "1 keeps the size")
        need(self.metric in _METRICS, f"missed is not measured by {self.metric!r}", f"one of {', '.join(_METRICS)}")


@dataclass(frozen=True)
class Choice:
    """The choice for one manipulation.

    Attributes:
        missed: share of its fakes that is missed, mean over detectors; None if not on the scoreboard, or with fewer
            than :data:`FEWEST_CLIPS` clips of a class.
        said: that share by detector.
        scored: number of fakes on the scoreboard.
        share, share_before: of the set's fakes, without self-swaps and renditions.
        fakes, fakes_before: planned numbers, likewise.
        wanted: number that would match the share.
        changes: of settings, as text.
    """

    name: str
    missed: float | None
    said: tuple[tuple[str, float], ...]
    scored: int
    share: float
    share_before: float
    fakes: int
    fakes_before: int
    wanted: float
    changes: tuple[str, ...]


@dataclass(frozen=True)
class Suggestion:
    """The next set: its settings as text, and the choices."""

    text: str
    name: str
    seed: int
    choices: tuple[Choice, ...]
    notes: tuple[str, ...]


def suggest(scoreboard: Path, settings: Path, out: Path, config: SuggestConfig | None = None) -> Suggestion:
    """The settings of the next set, to be written to ``out``; nothing is written.

    Args:
        scoreboard: ``scoreboard.json`` of ``assay score``, or its folder.
        settings: the ``set.toml`` of the set that was scored.
        out: path of the next settings: paths in them are relative to it.
        config: settings of the suggestion.

    Raises:
        UsageError: no scoreboard; it is of another set, or of too few clips; a detector is not on it.
        ConfigError: the settings cannot be read.
        MediaError: a clip of the set cannot be read.
    """
    config = config or SuggestConfig()
    board, spec = read_scoreboard(scoreboard), load_spec(settings)
    file = scoreboard / "scoreboard.json" if scoreboard.is_dir() else scoreboard
    mark = sha256_file(file)
    seed = seed_for(spec.set.seed, "suggest", mark) % _SEEDS
    shots = shots_of(spec, Path())
    splits = splits_of(spec, shots)
    cast = FakeCounts(tuple(models_of(spec, splits)), _pieces(spec, shots))
    rows = _rows_of(board, spec)
    choices, changed = _chosen(rows, spec, cast, seed, _detectors(board, config.detectors), config)
    mapping = _next_mapping(read_toml(settings), spec, changed, seed, out, config)
    mapping["splits"] = {split: [n for n in cast.shots if splits[n] == split] for split in SPLITS}
    mapping["splits"] = {split: people for split, people in mapping["splits"].items() if people}
    notes = _notes(board, spec)
    text = set_text(mapping, _comments(board, spec, choices, notes, config, mark))
    name = str(mapping["set"]["name"])
    return Suggestion(text, name, seed, tuple(choices), tuple(notes))


def write_suggestion(out: Path, suggestion: Suggestion, *, force: bool = False) -> Path:
    """Writes the settings to ``out``.

    Raises:
        UsageError: ``out`` exists, and ``force`` is off.
        StorageError: writing failed.
    """
    if out.exists() and not force:
        raise UsageError(f"{out} exists", hint="choose another --out, or use --force")
    write_text(out, suggestion.text)
    return out


def _pieces(spec: SetSpec, shots: Sequence[Shot]) -> dict[str, int]:
    """The number of pieces of each person, in the order of the settings."""
    return {one.name: sum(shot.person == one.name and not shot.still for shot in shots) for one in spec.identity}


def _rows_of(board: Scoreboard, spec: SetSpec) -> dict[str, Row]:
    """The scoreboard's row of each manipulation of the set.

    Raises:
        UsageError: it has none of them.
    """
    known = [one.name for one in spec.manipulation]
    rows = {row.name: row for row in board.part("manipulation") if row.name in known}
    if not rows:
        texts = ", ".join(row.name for row in board.part("manipulation")) or "none"
        raise UsageError(
            f"the scoreboard has none of the set's manipulations, but {texts}",
            hint="give the settings of the set that was scored with --set",
        )
    most = max(rows.values(), key=_fewer)
    if not _enough(most):
        raise UsageError(
            f"the scoreboard has at most {most.num_fake} fakes of a manipulation and {most.num_real} real clips, too "
            f"few for advice: a missed share needs {FEWEST_CLIPS} of each, since from {max(1, _fewer(most))} it may "
            f"be off by {98 / max(1, _fewer(most)) ** 0.5:.0f} points of 100",
            hint="build a larger set, or score a larger part of it",
        )
    return rows


def _fewer(row: Row) -> int:
    return min(row.num_fake, row.num_real)


def _enough(row: Row | None) -> bool:
    return row is not None and _fewer(row) >= FEWEST_CLIPS


def _detectors(board: Scoreboard, wanted: Sequence[str]) -> list[str]:
    names = [detector.name for detector in board.detectors]
    for name in wanted:
        if name not in names:
            raise UsageError(f"no detector on the scoreboard is called {name!r}", hint=near_matches(name, names))
    return list(wanted) or names


def _missed(row: Row | None, detectors: Sequence[str], metric: str) -> tuple[tuple[str, float], ...]:
    cells = [(name, None if row is None else row.cell(name)) for name in detectors]
    found = [(name, None if cell is None else cell.missed(metric)) for name, cell in cells]
    return tuple((name, share) for name, share in found if share is not None)


def _chosen(
    rows: Mapping[str, Row],
    spec: SetSpec,
    cast: FakeCounts,
    seed: int,
    detectors: Sequence[str],
    config: SuggestConfig,
) -> tuple[list[Choice], list[ManipulationConfig]]:
    """The choice for each manipulation, and the resulting manipulations."""
    said = [
        _missed(row if _enough(row := rows.get(one.name)) else None, detectors, config.metric)
        for one in spec.manipulation
    ]
    known = [float(np.mean([share for _, share in shares])) for shares in said if shares]
    if not known:
        raise UsageError(f"the scoreboard has no {config.metric} of any manipulation", hint="score real and fake clips")
    middle = float(np.mean(known))
    missed = [float(np.mean([share for _, share in shares])) if shares else None for shares in said]
    shares = shares_of([middle if one is None else one for one in missed], config.floor)
    before = [cast.count(one, spec.set.seed) for one in spec.manipulation]
    total = sum(before)
    choices: list[Choice] = []
    changed: list[ManipulationConfig] = []
    for place, one in enumerate(spec.manipulation):
        wanted = shares[place] * total * config.grow
        most_clips = max(cast.shots.values(), default=1)
        new = fitted(one, wanted, cast.most_pairs(one), most_clips, lambda m: cast.count(m, seed))
        row = rows.get(one.name)
        choices.append(
            Choice(
                name=one.name, missed=missed[place], said=said[place], scored=0 if row is None else row.num_fake,
                share=shares[place], share_before=before[place] / max(1, total), fakes=cast.count(new, seed),
                fakes_before=before[place], wanted=wanted, changes=_changes(one, new),
            )
        )  # fmt: skip
        changed.append(new)
    return choices, changed


def _changes(before: ManipulationConfig, after: ManipulationConfig) -> tuple[str, ...]:
    texts = []
    for name in ("pairs", "combine", "clips"):
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            texts.append(f"{name} {new} (was {'all' if old is None else old})")
    return tuple(texts)


def _next_mapping(
    raw: dict[str, Any],
    spec: SetSpec,
    changed: Sequence[ManipulationConfig],
    seed: int,
    out: Path,
    config: SuggestConfig,
) -> dict[str, Any]:
    """The settings of the next set as plain values: those of this one, with the choices."""
    given = dict(raw["set"])
    given |= {"name": next_name(spec.set.name), "seed": seed, "media": _placed(spec.set.media or ".", spec, out)}
    swappers = []
    for entry in raw.get("swapper", ()):
        one = dict(entry)
        if "run" in one:
            one["run"] = _placed(one["run"], spec, out)
        elif not config.keep_swappers:
            fresh = seed_for(seed, "swapper", str(one.get("name"))) % _SEEDS
            one["settings"] = {**one.get("settings", {}), "seed": fresh}
        swappers.append(one)
    manipulations = []
    for entry, new in zip(raw.get("manipulation", ()), changed, strict=True):
        values = to_mapping(new)
        one = dict(entry)
        for name in ("pairs", "combine", "clips"):
            if name in one or getattr(new, name) != ManipulationConfig.__dataclass_fields__[name].default:
                one[name] = values[name]
        manipulations.append(one)
    found = {**raw, "set": given, "swapper": swappers, "manipulation": manipulations}
    for kind in ("reenactment", "generation"):
        entries = [_with_placed_run(entry, spec, out) for entry in raw.get(kind, ())]
        found |= {kind: entries} if entries else {}
    # Checked here, so that errors show before a build.
    from_mapping(SetSpec, {**found, "folder": str(out.resolve().parent)}, where=out.name)
    return found


def next_name(name: str) -> str:
    """``faces`` becomes ``faces-2``, ``faces-2`` becomes ``faces-3``."""
    match = re.fullmatch(r"(.+)-(\d{1,6})", name)
    return f"{match[1]}-{int(match[2]) + 1}" if match else f"{name}-2"


def _with_placed_run(entry: Mapping[str, Any], spec: SetSpec, out: Path) -> dict[str, Any]:
    """``entry`` with its run, if it names one, relative to the new settings."""
    return {**entry, **({"run": _placed(entry["run"], spec, out)} if entry.get("run") else {})}


def _placed(path: str, spec: SetSpec, out: Path) -> str:
    """``path``, relative to the old settings, made relative to the new ones."""
    if path.startswith(_PLACED) or Path(path).is_absolute():
        return path
    return Path(os.path.relpath(spec.folder / path, out.resolve().parent)).as_posix()


def _notes(board: Scoreboard, spec: SetSpec) -> list[str]:
    known = {one.name for one in (*spec.manipulation, *spec.reenactment, *spec.generation)}
    others = [row.name for row in board.part("manipulation") if row.name not in known and not row.name.endswith(SELF)]
    notes = []
    if others:
        notes.append(f"On the scoreboard but not in this set: {', '.join(others)}.")
    if board.dataset.get("name") != spec.set.name:
        notes.append(f"The scoreboard is of {board.dataset.get('name')}, the settings are of {spec.set.name}.")
    return notes


def _comments(
    board: Scoreboard,
    spec: SetSpec,
    choices: Sequence[Choice],
    notes: Sequence[str],
    config: SuggestConfig,
    mark: str,
) -> dict[str, list[str]]:
    """Comments with the reasons of the settings, by table."""
    detectors = ", ".join(_detectors(board, config.detectors))
    rate = config.metric.removeprefix("tpr@fpr")
    found = {
        "": [
            f"The set after {spec.set.name}, from the fakes of it that {detectors} missed (scoreboard {mark[:12]}).",
            "",
            f"Missed: not called fake where {rate.removesuffix('%')} % of the real clips are, or without a score.",
            f"Shares: {100 * config.floor:.0f} % of the fakes equally, the rest by what is missed.",
            "Counts are of fakes before renditions, self-swaps left out.",
            *(f"{note}" for note in notes),
            "",
            "  assay forge build THIS --out OUT --dry-run",
        ],
        "set": ["Another seed, so that pairs, factors and segments are sampled again."],
        "splits": ["The same splits as before: no detector may be tested on people it was trained on."],
    }
    if not config.keep_swappers:
        for one in spec.swapper:
            if one.run is None:
                found[f"swapper/{one.name}"] = ["Trained again with another seed: other decoders, other traces."]
    for choice in choices:
        found[f"manipulation/{choice.name}"] = _reason(choice)
    return found


def _reason(choice: Choice) -> list[str]:
    if choice.missed is None:
        few = 0 < choice.scored < FEWEST_CLIPS
        why = f"{choice.scored} fakes scored, fewer than {FEWEST_CLIPS}" if few else "not on the scoreboard"
        first = f"{choice.name}: {why}; assumed to be missed as often as the others on average."
    else:
        each = ", ".join(f"{name} {100 * share:.0f} %" for name, share in choice.said)
        first = f"{choice.name}: {100 * choice.missed:.0f} % missed ({each}) of {choice.scored} fakes scored."
    sign = "more" if choice.share > choice.share_before + 0.005 else "less"
    word = "as much" if abs(choice.share - choice.share_before) <= 0.005 else sign
    share = f"{100 * choice.share:.0f} % of the fakes, before {100 * choice.share_before:.0f} %"
    lines = [
        first,
        f"So {word}: {share}; {choice.fakes} planned, {choice.fakes_before} before.",
    ]
    if choice.changes:
        lines.append("; ".join(choice.changes))
    if not reached(choice.fakes, choice.wanted):
        lines.append(
            f"{choice.wanted:.0f} would match the share, which its pairs, factors and clips cannot give. Add people, "
            "clips or factors."
        )
    return lines
