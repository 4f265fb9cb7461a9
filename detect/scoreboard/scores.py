"""Clip scores of one detector, cached on disk in blocks, so that an interrupted scoreboard can be resumed.

The folder of a detector's scores is named by a digest of all they depend on: weights and settings of the detector,
frames, finder, aggregation, precision. A block is a file that is whole or absent. A clip is identified by its id and
the SHA-256 of its file, so a changed clip is scored again. Failures (out of time or memory) are not cached: these clips
are scored again next time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from detect.config.scoring import AggregateConfig, EvaluateConfig
from detect.models.checkpoint import CONFIG_NAME, WEIGHTS_NAME, detector_folder
from detect.models.external.settings import Reference, parse_reference
from detect.models.training_record import TrainingRecord, read_training_record
from detect.scoring.aggregate import resolved
from detect.scoring.clip_scorers import no_score_notes
from detect.scoring.dataset import DatasetScores, score_dataset
from shared.config import digest, from_mapping, load_json, to_mapping
from shared.console import console
from shared.dataset import DatasetFolder
from shared.device import pick_device
from shared.errors import CheckpointError, UsageError
from shared.storage import sha256_file, write_text
from shared.types import ClipRecord

_BLOCK = 256
_VERSION = 2
_MOST_NOTES = 8
_NAMED = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.+-]*)=(.+)")

ScoreFunction = Callable[[str | Path, DatasetFolder, Sequence[ClipRecord], EvaluateConfig], DatasetScores]


@dataclass(frozen=True)
class Wanted:
    """A requested detector: its name on the scoreboard, and its folder or reference."""

    name: str
    detector: str

    @property
    def reference(self) -> Reference | None:
        """The reference, of a third-party detector; else None."""
        return parse_reference(self.detector)


@dataclass(frozen=True)
class Scores:
    """The scores of clips by one detector.

    Attributes:
        wanted: the detector.
        logits: one per record, None without a score.
        facts: name, digest and the like.
        aggregate: the aggregation of face logits; None for a detector of whole clips.
        notes: remarks for readers.
        learned: the detector's training record, if it has one.
        fresh: number of clips scored now; the others come from the cache.
    """

    wanted: Wanted
    logits: tuple[float | None, ...]
    facts: dict[str, str]
    aggregate: AggregateConfig | None
    notes: tuple[str, ...]
    learned: TrainingRecord
    fresh: int


@dataclass(frozen=True)
class _Line:
    """A clip in a block."""

    clip: str
    sha256: str
    logit: float | None


@dataclass(frozen=True)
class _Block:
    """A file of the cache: facts of the detector, and its scores."""

    facts: dict[str, str]
    aggregate: dict[str, Any] | None
    notes: tuple[str, ...]
    scores: tuple[_Line, ...]


@dataclass(frozen=True)
class _Outcome:
    """Result of scoring some clips: the block of those with a result, and notes that are not cached."""

    block: _Block
    passing: tuple[str, ...] = ()


def wanted_detectors(texts: Sequence[str]) -> list[Wanted]:
    """The detectors in ``texts``, each ``DETECTOR`` or ``NAME=DETECTOR``, with unique names.

    The default name is that of the run's folder or the file, with more of the path where two are equal.

    Raises:
        UsageError: a name is given twice, or there is no detector.
    """
    if not texts:
        raise UsageError("no detector to score with", hint="--detector RUN, or onnx:FILE, csv:FILE, python:FILE")
    parts = [_split(text) for text in texts]
    given = [name for name, _ in parts if name]
    if len(set(given)) < len(given):
        raise UsageError(f"two detectors are called {max(given, key=given.count)}", hint="NAME=DETECTOR, names differ")
    found: list[Wanted] = []
    for name, detector in parts:
        taken = {one.name for one in found} | set(given)
        found.append(Wanted(name or _free_name(detector, taken), detector))
    return found


def scores_of(
    wanted: Wanted,
    folder: DatasetFolder,
    records: Sequence[ClipRecord],
    config: EvaluateConfig,
    cache: Path,
    *,
    fresh: bool = False,
    block: int = _BLOCK,
    scorer: ScoreFunction = score_dataset,
) -> Scores:
    """The detector's score of each of ``records``: from ``cache`` if there, else made now.

    Args:
        wanted: the detector.
        folder: the dataset.
        records: its clips.
        config: frames, finder, aggregation, device.
        cache: folder of the scores of all detectors.
        fresh: score everything again.
        block: number of clips that are scored before they are written.
        scorer: function that scores them.

    Raises:
        CheckpointError: no detector there, or it fails on every clip.
        UsageError: the reference does not exist; the cache is damaged.
        ManifestError: a clip's file does not match the manifest.
    """
    place = _place(cache, scores_key(wanted, config))
    before = sorted(place.glob("*.json"))
    blocks = [] if fresh else [_read(path) for path in before]
    known = {(line.clip, line.sha256): line.logit for one in blocks for line in one.scores}
    missing = [record for record in records if (str(record.id), record.sha256) not in known]
    passing: list[str] = []
    # A table is read in one block: a block without any of its clips would be refused as the wrong table.
    size = len(missing) if _is_table(wanted) else block
    if missing:
        console.print(f"{wanted.name}: {len(missing)} of {len(records)} clips to score")
    for one in _score_blocks(wanted, folder, missing, config, max(1, size), scorer, known):
        passing += one.passing
        if one.block.scores:
            _write(place / f"{_next(place):06d}.json", one.block)
            blocks.append(one.block)
            known.update({(line.clip, line.sha256): line.logit for line in one.block.scores})
    if fresh:
        _retire(before, missing)
    last = next((one for one in reversed(blocks) if one.facts), _Block({}, None, (), ()))
    notes = list(dict.fromkeys([*passing, *(note for one in blocks for note in one.notes)]))
    return Scores(
        wanted=wanted,
        logits=tuple(known.get((str(record.id), record.sha256)) for record in records),
        facts=last.facts,
        aggregate=None if last.aggregate is None else from_mapping(AggregateConfig, last.aggregate),
        notes=tuple(notes[:_MOST_NOTES]),
        learned=TrainingRecord() if wanted.reference is not None else read_training_record(Path(wanted.detector)),
        fresh=len(missing),
    )


def scores_key(wanted: Wanted, config: EvaluateConfig) -> str:
    """The key of a detector's scores with ``config``: its name and a digest of all they depend on.

    Raises:
        CheckpointError: no detector there.
        UsageError: the reference does not exist.
    """
    reference = wanted.reference
    device = pick_device(config.device, config.precision)
    facts = {
        "version": _VERSION,
        "files": _file_digests(wanted, reference),
        "options": {} if reference is None else dict(reference.options),
        "frames": config.frames_per_clip,
        "finder": config.finder or "",
        "aggregate": {} if config.aggregate is None else to_mapping(config.aggregate),
        "device": f"{device.kind} {device.autocast_dtype}",
        "batch": config.batch,
    }
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", wanted.name)[:60]
    return f"{name}-{digest(facts)[:16]}"


def _place(cache: Path, key: str) -> Path:
    """Folder of the scores; found by the digest, so that a renamed detector keeps its scores."""
    return min(cache.glob(f"*-{key.rpartition('-')[2]}"), default=cache / key)


def _file_digests(wanted: Wanted, reference: Reference | None) -> dict[str, str]:
    if reference is None:
        files = [detector_folder(Path(wanted.detector)) / name for name in (CONFIG_NAME, WEIGHTS_NAME)]
    elif reference.path.is_dir():
        files = sorted(path for path in reference.path.iterdir() if path.suffix in (".json", ".toml", ".safetensors"))
    else:
        path = reference.path
        beside = [path.with_name(f"{path.name}{ending}") for ending in (".toml", ".json")]
        files = [path, *beside, path.with_suffix(".toml"), path.with_suffix(".json")]
    return {path.name: sha256_file(path) for path in dict.fromkeys(files) if path.is_file()}


def _score_blocks(
    wanted: Wanted,
    folder: DatasetFolder,
    records: Sequence[ClipRecord],
    config: EvaluateConfig,
    size: int,
    scorer: ScoreFunction,
    known: dict[tuple[str, str], float | None],
) -> Iterator[_Outcome]:
    """Scores the ``records`` in blocks of ``size``."""
    detector = wanted.detector if wanted.reference is not None else Path(wanted.detector)
    for first in range(0, len(records), size):
        part = records[first : first + size]
        try:
            found = scorer(detector, folder, part, config)
        except CheckpointError as error:
            # A user's function may fail on all clips of a block: this is no error once it has scored others.
            if wanted.reference is None or wanted.reference.kind != "python" or not _any_score(known):
                raise
            yield _Outcome(_Block({}, None, (), ()), (str(error),))
            continue
        yield _outcome(wanted, found, config)


def _outcome(wanted: Wanted, found: DatasetScores, config: EvaluateConfig) -> _Outcome:
    predictor = found.predictor
    aggregate = None if predictor is None else to_mapping(resolved(config.aggregate, predictor.facts.aggregate))
    answered = [clip for clip in found.clips if clip.record.id not in found.failed]
    lines = tuple(_Line(str(clip.record.id), clip.record.sha256, clip.score.logit) for clip in answered)
    block = _Block(found.detector, aggregate, found.notes, lines)
    if not found.failed:
        return _Outcome(block)
    lasting = no_score_notes(wanted.detector, [line.logit for line in lines])
    return _Outcome(replace(block, notes=lasting), found.notes)


def _any_score(known: dict[tuple[str, str], float | None]) -> bool:
    return any(logit is not None for logit in known.values())


def _read(path: Path) -> _Block:
    return load_json(_Block, path, error=UsageError, hint="remove it, or score with --fresh")


def _write(path: Path, block: _Block) -> None:
    write_text(path, json.dumps(msgspec.to_builtins(block)) + "\n")


def _retire(paths: Sequence[Path], again: Sequence[ClipRecord]) -> None:
    """Removes clips that were scored again, and notes, from old blocks; deletes blocks that are then empty."""
    scored = {(str(record.id), record.sha256) for record in again}
    for path in paths:
        try:
            old = _read(path)
        except UsageError:  # damaged: replaced, because everything was scored again
            old = _Block({}, None, (), ())
        others = tuple(line for line in old.scores if (line.clip, line.sha256) not in scored)
        if others:
            _write(path, replace(old, notes=(), scores=others))
        else:
            path.unlink()


def _next(place: Path) -> int:
    return max((int(path.stem) for path in place.glob("*.json") if path.stem.isdecimal()), default=-1) + 1


def _is_table(wanted: Wanted) -> bool:
    return wanted.reference is not None and wanted.reference.kind == "csv"


def _split(text: str) -> tuple[str, str]:
    """Name and detector; an equals sign in a path or a reference does not separate a name."""
    match = _NAMED.fullmatch(text)
    if match is None or Path(text).exists():
        return "", text
    return match[1], match[2]


def _free_name(detector: str, taken: set[str]) -> str:
    """The shortest end of the detector's path that is not in ``taken``."""
    reference = parse_reference(detector)
    path = Path(detector) if reference is None else reference.path
    parts = [part for part in path.resolve().parts if part not in ("/", "detector")]
    for count in range(1, len(parts) + 1):
        name = "/".join(parts[-count:])
        if name not in taken:
            return name
    return f"{'/'.join(parts)} {len(taken) + 1}"
