"""The detector of motion on mouths that are driven by us, and on lip-sync and re-enactment by others.

A set is built of speakers of the GRID corpus and procedural actors, each driven in the mouth by the next person of the
same split (``reenact-affine``), all written by one chain. So nobody is in two splits, neither as target nor as driver.
The others' clips only ever validate.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.outside.index import INDEX_NAME, OutsideFile, read_index
from benchmarks.schema import Measurement
from detect.config.data import AugmentConfig
from detect.config.scoring import AggregateConfig, EvaluateConfig, FaceConfig
from detect.config.training import TrainConfig
from detect.evaluation.evaluate import evaluate_detector
from detect.metrics.classification import auc
from detect.scoring.video import Predictor
from detect.training.train import train_detector
from forge.building.build import build_set, work_folder
from forge.building.spec import SetSpec
from shared.actors.actor import cast
from shared.actors.filming import film
from shared.config import from_mapping
from shared.engine.local import LocalEngine
from shared.errors import AssayError, UsageError
from shared.types import SPLITS

SAME_PERSON = ("id2_vcd_swwp2s",)
"""Clips of GRID whose speaker is in another one too."""

_SPLIT_AT = (0.5, 0.7)
_MOVING = ("lip-sync", "re-enactment")


def speakers(folder: Path) -> list[Path]:
    """The clips of GRID in ``folder``, one a speaker.

    Raises:
        UsageError: there are fewer than ten.
    """
    found = [path for path in sorted(folder.glob("*.mpg")) if path.stem not in SAME_PERSON]
    if len(found) < 10:
        raise UsageError(f"{folder} holds {len(found)} clips of GRID, not ten or more", hint="give --media")
    return found


def spec_of(clips: Sequence[Path], actors: Sequence[Path], *, frames: int, corrections: int) -> SetSpec:
    """The settings of the set: of either kind of people half to learn from, a fifth to choose by, the rest to test."""
    splits: dict[str, list[str]] = {split: [] for split in SPLITS}
    people = []
    for group, rights in ((clips, "GRID corpus, CC-BY-4.0"), (actors, "procedural")):
        cuts = [round(share * len(group)) for share in _SPLIT_AT]
        for number, path in enumerate(group):
            splits[SPLITS[sum(number >= cut for cut in cuts)]].append(path.stem)
            people.append({"name": path.stem, "rights": rights, "clips": [str(path)]})
    mapping = {
        "set": {"name": "driven-mouths", "license": "mixed", "finder": "dlib", "audio": False, "frames": frames,
                "keep_masters": False},
        "splits": splits,
        "identity": people,
        "renditions": ["c23"],
        "reenactment": [{"name": "mouths", "pairs": "ring", "self_drives": False,
                         "settings": {"regions": ["mouth"], "corrections": corrections, "max_pose_gap_degrees": 30.0}}],
    }  # fmt: skip
    return from_mapping(SetSpec, mapping, where="driven-mouths")


def make_set(media: Path, out: Path, *, actors: int, frames: int, corrections: int, jobs: int = 1) -> Path:
    """The set in ``out``, built where it is not there yet.

    Raises:
        AssayError: a clip is missing, or the build failed.
    """
    folder = out.with_name(f"{out.name}-actors")
    folder.mkdir(parents=True, exist_ok=True)
    filmed = [
        film(actor, folder / f"{actor.name}.mp4", seconds=frames / 25, px=288, seed=100 + number, audio=False)
        for number, actor in enumerate(cast(actors, 11))
    ]
    spec = spec_of(speakers(media / "video_grid"), filmed, frames=frames, corrections=corrections)
    build_set(spec, out, work=work_folder(out, None), engine=LocalEngine(jobs))
    return out


def train_config(*, frames: int, steps: int, seed: int) -> TrainConfig:
    """Settings of a training of the detector of motion."""
    return TrainConfig(
        family="motion", model="motion", frames_per_clip=frames, steps=steps, batch=32, lr=1e-3, warmup_steps=20,
        evaluate_every=25, patience=1000, save_every=steps, seed=seed, device="cpu", precision="float32", workers=2,
        drop_rate=0.3, faces=FaceConfig(finder="dlib"), augment=AugmentConfig(p_noise=0.5),
        aggregate=AggregateConfig(method="mean"),
    )  # fmt: skip


def measure(
    dataset: Path, runs: Path, *, frames: int, steps: int, seeds: int, outside: Path | None
) -> tuple[list[Measurement], list[str]]:
    """AUCs of ``seeds`` trainings on people that were not trained on and on others' clips, and remarks."""
    clips: list[float] = []
    faces: list[float] = []
    others: list[float] = []
    notes: list[str] = []
    for seed in range(seeds):
        run = runs / f"seed{seed}"
        train_detector(dataset, run, train_config(frames=frames, steps=steps, seed=seed))
        config = EvaluateConfig(split="test", frames_per_clip=frames, replicates=300, device="cpu", workers=2)
        result, _ = evaluate_detector(run, dataset, config)
        for level, found in (("clip", clips), ("frame", faces)):
            one = result.find("auc", level)
            if one is not None:
                found.append(one.value)
                notes.append(f"seed {seed}, {level}s: AUC {one.value:.3f} (95 % {_interval(one.low, one.high)})")
        notes.append(
            f"seed {seed}: {result.counts.real} real clips and {result.counts.fake} fakes of {result.clusters}"
        )
        if outside is not None and (outside / INDEX_NAME).is_file():
            value, lines = on_others(run, outside)
            others += [] if value is None else [value]
            notes += [f"seed {seed}: {line}" for line in lines]
    made = [
        Measurement.of(name, "AUC", values)
        for name, values in (
            ("driven mouths, people not trained on, clips", clips),
            ("driven mouths, people not trained on, windows", faces),
            ("lip-sync and re-enactment by others, clips", others),
        )
        if values
    ]
    return made, notes


def on_others(run: Path, folder: Path) -> tuple[float | None, list[str]]:
    """The AUC on videos of others, fakes of the mouth or face against the reals beside them; a line for each file."""
    predictor = Predictor.load(run, "cpu")
    files = moving_files(read_index(folder))
    labels: list[bool] = []
    logits: list[float] = []
    lines: list[str] = []
    for one in files:
        try:
            logit = predictor.score(one.path).clip.logit
        except AssayError as error:
            lines.append(f"{one.path.name}: {error}")
            continue
        lines.append(f"{one.family}, {one.label}: {'no face' if logit is None else f'{logit:+.2f}'}")
        if logit is not None:
            labels.append(one.label == "fake")
            logits.append(logit)
    return auc(np.array(labels, bool), np.array(logits, np.float64)), lines


def moving_files(files: Sequence[OutsideFile]) -> list[OutsideFile]:
    """The videos among ``files`` of kinds that move a face, with the reals of the same families."""
    videos = [one for one in files if one.path.suffix.lower() in (".mp4", ".mov", ".mkv", ".webm")]
    families = {one.family for one in videos if one.kind in _MOVING}
    return [one for one in videos if one.kind in _MOVING or (one.kind == "real" and one.family in families)]


def _interval(low: float | None, high: float | None) -> str:
    return "no interval: too few people" if low is None or high is None else f"{low:.3f} to {high:.3f}"
