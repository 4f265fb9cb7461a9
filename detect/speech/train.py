"""Trains a detector of speech on the train split of a list, calibrates it on the val split, and exports it.

The val split is used for thresholds and the likelihood map alone: no step is chosen by it. The test split is not read.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np

from detect.speech.augment import AugmentConfig, augmented
from detect.speech.backbone import Backbone, need_backbone
from detect.speech.card import speech_card
from detect.speech.checkpoint import FOLDER_NAME, SpeechFacts, load_speech, save_speech
from detect.speech.contract import RATE, NetworkOptions, SpeechDetector
from detect.speech.fitted import fitted_facts
from detect.speech.gmm import features, fit_gmm
from detect.speech.kinds import SPEECH_DETECTORS
from detect.speech.network import NetworkDetector
from detect.speech.network_training import NetworkTraining
from detect.speech.raw import Raw
from detect.speech.store import SampleStore
from detect.speech.utterances import SpeechList, Utterance, need_apart, read_speech
from shared.config import configured, need
from shared.console import console, counted
from shared.device import seed_everything
from shared.errors import ManifestError
from shared.training.run import Run

KIND = "detector of speech"


@dataclass(frozen=True)
class SpeechTrainConfig:
    """Settings of a training.

    Attributes:
        model: "spectral", "raw" or "timm", networks, or "lfcc-gmm", the mixtures.
        network: how the network is built, where its kind leaves a choice.
        steps: of the network.
        batch: sounds of a step, half of them fake.
        crop_seconds: length of the sounds of a step.
        paired: share of fakes that come with their own recording, where the list names it.
        lr: highest learning rate; it rises over a tenth of the steps and falls to 0.
        components: Gaussians of each mixture.
        most_frames: frames of each class that a mixture is fitted to, at most.
        leave_out: engines whose fakes are not learned from; patterns with "*" and "?".
        augment: changes of the sounds.
        seed: of all random numbers.
        device: auto, cpu, cuda, cuda:N or mps; for the network.
        checkpoint_steps: steps between two checkpoints.
    """

    model: str = "spectral"
    network: NetworkOptions = field(default_factory=NetworkOptions)
    steps: int = 600
    batch: int = 16
    crop_seconds: float = 2.0
    paired: float = 0.75
    lr: float = 2e-3
    components: int = 64
    most_frames: int = 100_000
    leave_out: tuple[str, ...] = ()
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    seed: int = 0
    device: str = "auto"
    checkpoint_steps: int = 100

    def __post_init__(self) -> None:
        SPEECH_DETECTORS.get(self.model)
        _need_options(self.model, self.network)
        need(self.steps >= 1, f"steps are 1 or more, got {self.steps}")
        need(2 <= self.batch <= 4096 and self.batch % 2 == 0, f"batch is even and 2 to 4096, got {self.batch}")
        need(0.5 <= self.crop_seconds <= 30, f"crop_seconds are 0.5 to 30, got {self.crop_seconds}")
        need(0 <= self.paired <= 1, f"paired is a share from 0 to 1, got {self.paired}")
        need(0 < self.lr <= 1, f"lr is above 0 and at most 1, got {self.lr}")
        need(1 <= self.components <= 4096, f"components are 1 to 4096, got {self.components}")
        need(self.most_frames >= 100, f"most_frames are 100 or more, got {self.most_frames}")
        need(self.checkpoint_steps >= 1, f"checkpoint_steps are 1 or more, got {self.checkpoint_steps}")


@dataclass(frozen=True)
class SpeechTrainResult:
    """Result of a training: folders of the run and the detector, seconds of this call, and the detector's facts."""

    run: Path
    detector: Path
    seconds: float
    facts: SpeechFacts


def train_speech(
    place: str | Path, run: str | Path, config: SpeechTrainConfig | None = None, **settings: Any
) -> SpeechTrainResult:
    """Trains in the folder ``run``, or goes on there, and exports ``run/detector``.

    Ctrl-C saves a checkpoint; the same call goes on from it, to the same weights on the CPU.

    Raises:
        ManifestError: there is no list, a split or a class is missing, or a recording cannot be read.
        LeakError: the splits share a speaker.
        ConfigError, UnknownNameError: a setting is unknown or out of range.
        RunError: the folder is in use, or holds another training.
        StorageError: writing failed.
    """
    began = time.monotonic()
    config = configured(SpeechTrainConfig, config, settings)
    speech, run = read_speech(Path(place)), Path(run)
    train, val = _splits(speech, config)
    seed_everything(config.seed)
    inputs = {speech.name: speech.digest}
    with Run.open_or_create(run, config, seed=config.seed, inputs=inputs, kind=KIND, may_change=("device",)) as opened:
        store = SampleStore()
        detector = trained(train, config, store, opened)
        facts = fitted_facts(detector, val, store, f"the val split of {speech.name}", seed=config.seed)
        facts = with_origin(facts, train, f"{speech.name} ({speech.digest[:16]})")
        folder = save_speech(run / FOLDER_NAME, detector, facts, card=speech_card(facts, config.augment))
    load_speech(folder)
    return SpeechTrainResult(run, folder, time.monotonic() - began, facts)


def trained(
    utterances: Sequence[Utterance], config: SpeechTrainConfig, store: SampleStore, run: Run | None = None
) -> SpeechDetector:
    """A detector trained on all ``utterances``; the network's checkpoints go into ``run``.

    Raises:
        MediaError: a recording cannot be read.
        TrainingDivergedError: the loss became infinite or not a number.
    """
    kind = SPEECH_DETECTORS.get(config.model)
    if isinstance(kind, type) and issubclass(kind, NetworkDetector):
        return NetworkTraining(kind, utterances, config, store).train(run)
    return _fitted_gmm(utterances, config, store)


def with_origin(facts: SpeechFacts, train: Sequence[Utterance], name: str) -> SpeechFacts:
    """``facts`` with the engines and recordings that were learned from, of the set ``name``."""
    fakes = [each for each in train if each.fake]
    trained_on = {
        "set": name,
        "real": counted(len(train) - len(fakes), "recording"),
        "fake": counted(len(fakes), "recording"),
        "speakers": str(len({each.speaker for each in train})),
    }
    engines = tuple(sorted({each.engine or "unknown" for each in fakes}))
    return dataclasses.replace(facts, engines=engines, trained_on=trained_on)


def _need_options(model: str, options: NetworkOptions) -> None:
    """Refuses options that the model has no use for, and a backbone that it cannot be built with."""
    need(not options.residual or model == Raw.kind, f"residual is an option of {Raw.kind}, not of {model}")
    for name in ("backbone", "pretrained"):
        need(not getattr(options, name) or model == Backbone.kind, f"{name} is an option of timm, not of {model}")
    if options.backbone:
        need_backbone(options.backbone)


def _splits(speech: SpeechList, config: SpeechTrainConfig) -> tuple[list[Utterance], list[Utterance]]:
    train, val = speech.part("train"), speech.part("val")
    need_apart(train, val, f"the train and val splits of {speech.name}")
    test = [each for each in speech.utterances if each.split == "test"]
    need_apart(train, test, f"the train and test splits of {speech.name}")

    def kept(part: Sequence[Utterance], what: str) -> list[Utterance]:
        found = [each for each in part if not any(fnmatch(each.engine, name) for name in config.leave_out)]
        if not any(each.fake for each in found):
            raise ManifestError(
                f"leave_out leaves no fake in the {what} split of {speech.name}", hint="leave out fewer"
            )
        return found

    return kept(train, "train"), kept(val, "val")


def _fitted_gmm(utterances: Sequence[Utterance], config: SpeechTrainConfig, store: SampleStore) -> SpeechDetector:
    """The mixtures, on one changed copy of each recording; of fakes in part only the fake parts count as fake."""
    rng = np.random.default_rng(config.seed)
    real: list[np.ndarray] = []
    fake: list[np.ndarray] = []
    for each in console.track(utterances, "reading", len(utterances), unit="recording"):
        samples = store.get(each.path)
        frames = features(augmented(samples, config.augment, rng))
        if not each.spans:
            (fake if each.fake else real).append(frames)
            continue
        for first, stop in each.spans:
            fake.append(frames[int(first * RATE / 160) : int(stop * RATE / 160)])
    with console.progress("fitting two mixtures", None, unit="step"):
        return fit_gmm(real, fake, components=config.components, most_frames=config.most_frames, seed=config.seed)
