"""Detectors of every kind of fake, one by one and fused, with a generator and a re-enactment left out or not.

One set holds swaps, driven mouths, lip-sync and generated stills, with nobody in two splits. Four detectors of unlike
inputs learn from it: faces, motion over time, and two that look at how pixels of stills follow each other. They are
fused clip by clip on the people of the val split.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.schema import Measurement
from detect.config.data import AugmentConfig
from detect.config.scoring import AggregateConfig, EvaluateConfig, FaceConfig
from detect.config.training import MixConfig, TrainConfig
from detect.metrics.bootstrap import evaluate_samples
from detect.models.checkpoint import CONFIG_NAME, FOLDER_NAME
from detect.scoring.dataset import score_dataset
from detect.training.fuse_clips import fuse_clips
from detect.training.train import train_detector
from forge.building.build import build_set, work_folder
from forge.building.generations import GenerationConfig
from forge.building.spec import IdentityConfig, SetSpec, load_spec
from shared.bootstrap import BootstrapSettings
from shared.console import console
from shared.dataset import DatasetFolder
from shared.dataset.splits import clustering
from shared.engine.local import LocalEngine
from shared.errors import UsageError
from shared.types import ClipRecord

_SHARES = {"train": 0.5, "val": 0.2, "test": 0.3}
_FRAMES = 32


@dataclass(frozen=True)
class Effort:
    """How long the detectors learn: ``face_steps`` of 32 faces, ``motion_steps`` of 32 windows, ``still_steps``."""

    face_steps: int = 150
    motion_steps: int = 300
    still_steps: int = 200


@dataclass(frozen=True, eq=False)
class Scored:
    """The test clips and their logits by detector; NaN where one scored nothing."""

    records: Sequence[ClipRecord]
    logits: Mapping[str, np.ndarray]


def set_of(base: SetSpec, photographs: Sequence[Path], rights: str, generators: Mapping[str, Path]) -> SetSpec:
    """``base`` with a still of each photograph, and in each split as many faces of each generator.

    Raises:
        UsageError: too few photographs.
    """
    if len(photographs) < 30:
        raise UsageError(f"{len(photographs)} photographs are too few", hint="at least 30, each of another person")
    parts: dict[str, list[str]] = {split: [] for split in _SHARES}
    people: list[IdentityConfig] = []
    edges = np.cumsum([round(share * len(photographs)) for share in _SHARES.values()])
    for number, path in enumerate(photographs):
        name = f"photograph-{number:04d}"
        parts[tuple(_SHARES)[int(np.searchsorted(edges[:-1], number, side="right"))]].append(name)
        people.append(IdentityConfig(name, rights, (str(path.resolve()),)))
    faces = {split: len(names) for split, names in parts.items()}
    made = tuple(
        GenerationConfig(name, str(run.resolve()), faces=faces, renditions=("jpg90",), autoencoded=False)
        for name, run in generators.items()
    )
    named = {split: (*getattr(base.splits, split), *names) for split, names in parts.items()}
    return replace(base, identity=(*base.identity, *people), generation=made, splits=replace(base.splits, **named))


def built(settings: Path, out: Path, photographs: Sequence[Path], rights: str, generators: Mapping[str, Path]) -> Path:
    """The set in ``out``, built as far as it is not there yet.

    Raises:
        AssayError: a clip is missing, or the build failed.
    """
    spec = set_of(load_spec(settings), photographs, rights, generators)
    build_set(spec, out, work=work_folder(out, None), engine=LocalEngine(1))
    return out


def configurations(effort: Effort) -> dict[str, TrainConfig]:
    """The settings of the detectors by name."""
    common = TrainConfig(
        input_px=128, batch=32, frames_per_clip=8, workers=1, device="cpu", precision="float32", self_swaps="leave-out",
        faces=FaceConfig(finder="dlib"), aggregate=AggregateConfig(method="mean"), patience=1000, warmup_steps=10,
    )  # fmt: skip

    def of(family: str, model: str, steps: int, lr: float, **more: object) -> TrainConfig:
        return replace(
            common, family=family, model=model, steps=steps, lr=lr, save_every=steps, evaluate_every=max(steps // 6, 1),
            **more,  # type: ignore[arg-type]
        )  # fmt: skip

    return {
        "faces": of("frame", "tf_efficientnet_lite0", effort.face_steps, 5e-4, mix=MixConfig(forged=1.0, paired=0.5)),
        "motion": of("motion", "motion", effort.motion_steps, 1e-3, frames_per_clip=_FRAMES, drop_rate=0.3,
                     augment=AugmentConfig(p_noise=0.5)),
        "spectrum": of("spectrum", "spectrum-mlp", effort.still_steps, 3e-3),
        "upsampling": of("upsampling", "upsampling", effort.still_steps, 1e-3),
    }  # fmt: skip


def trained(dataset: Path, work: Path, effort: Effort, leave_out: Sequence[str], seed: int) -> dict[str, Path]:
    """The detectors and their fusion by name, trained without the manipulations of ``leave_out``; kept in ``work``."""
    work.mkdir(parents=True, exist_ok=True)
    runs: dict[str, Path] = {}
    for name, config in configurations(effort).items():
        left = tuple(f"manipulation={each}" for each in leave_out)
        run = work / name
        if not (run / FOLDER_NAME / CONFIG_NAME).is_file():
            train_detector(dataset, run, replace(config, leave_out=left, seed=seed))
        runs[name] = run
    fused = work / "fused"
    if not (fused / CONFIG_NAME).is_file():
        known = {
            str(record.id.manipulation) for record in DatasetFolder.open(dataset).records() if record.label == "fake"
        }
        kept = ",".join(sorted(known - set(leave_out)))
        fuse_clips(list(runs.values()), dataset, fused, evaluation(only=(f"manipulation={kept}",)))
    return runs | {"fused": fused}


def evaluation(*, only: tuple[str, ...] = ()) -> EvaluateConfig:
    """How clips are scored."""
    return EvaluateConfig(frames_per_clip=_FRAMES, device="cpu", precision="float32", workers=2, only=only)


def scored(dataset: Path, detectors: Mapping[str, Path]) -> Scored:
    """The clips of the test split, by every detector."""
    folder = DatasetFolder.open(dataset)
    records = folder.records(split="test")
    logits: dict[str, np.ndarray] = {}
    for name, place in detectors.items():
        clips = score_dataset(place, folder, records, evaluation()).clips
        found = {clip.record.id: clip.score.logit for clip in clips}
        values = [found[record.id] for record in records]
        logits[name] = np.array([np.nan if value is None else value for value in values], np.float64)
    return Scored(records, logits)


def areas(found: Scored, title: str, *, replicates: int = 500) -> Iterator[Measurement]:
    """AUC of every detector on every kind of fake in every rendition: its fakes against the reals of that rendition.

    The interval, over linked people, is in the note.
    """
    kinds = sorted({str(record.id.manipulation) for record in found.records if record.label == "fake"})
    ladder = sorted({record.rendition for record in found.records})
    for kind in kinds:
        for rendition in ladder:
            places = [
                place for place, record in enumerate(found.records)
                if record.rendition == rendition and (record.label == "real" or record.id.manipulation == kind)
            ]  # fmt: skip
            if not any(found.records[place].label == "fake" for place in places):
                continue
            for name, logits in found.logits.items():
                one = _area(found.records, places, logits, replicates)
                if one is not None:
                    value, note = one
                    yield Measurement.of(f"{title}: {name}, {kind}, {rendition}", "AUC", [value], note=note)


def _area(
    records: Sequence[ClipRecord], places: Sequence[int], logits: np.ndarray, replicates: int
) -> tuple[float, str] | None:
    """The AUC at ``places`` where there is a score, and its interval in words; None if a class has no score."""
    known = [place for place in places if np.isfinite(logits[place])]
    chosen = [records[place] for place in known]
    labels = np.array([record.label == "fake" for record in chosen], bool)
    if labels.all() or not labels.any():
        return None
    clustered = clustering(chosen, "target")
    result = evaluate_samples(
        labels, logits[known], clustered.of(chosen), level="clip",
        bootstrap=BootstrapSettings(replicates, seed=0, cluster_by=clustered.by),
    )  # fmt: skip
    one = next(each for each in result if each.metric == "auc")
    interval = "no interval" if one.low is None or one.high is None else f"95 % {one.low:.3f} to {one.high:.3f}"
    return one.value, f"{interval}; {int(labels.sum())} fakes, {int((~labels).sum())} reals"


def measured(
    dataset: Path, work: Path, effort: Effort, leave_out: Sequence[str], seed: int
) -> Iterator[list[Measurement]]:
    """The areas with everything learned from, then those with ``leave_out`` left out, too."""
    made: list[Measurement] = []
    for title, left in (("all kinds learned", ()), (f"without {' and '.join(leave_out)}", tuple(leave_out))):
        console.print(title)
        detectors = trained(dataset, work / ("all" if not left else "-".join(left)), effort, left, seed)
        made += areas(scored(dataset, detectors), title)
        yield made
        if not leave_out:
            return
