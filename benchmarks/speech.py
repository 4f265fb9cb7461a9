"""Detectors of synthetic speech on readers, engines, codecs and rooms that they were not trained on.

In family: trained on all engines and vocoders of a set. Left out: trained without one of them, tested on it. All kinds
of detectors stand beside each other in the same run, and with several of them their *fusion*: the mean of their
calibrated likelihood ratios. Every trained detector is kept in the work folder, so that a run that was stopped goes on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.schema import Measurement
from detect.metrics.classification import auc
from detect.speech.checkpoint import SpeechModel, load_speech
from detect.speech.contract import StepScores
from detect.speech.domain import figures_of
from detect.speech.evaluate import ScoredUtterance, segment_metrics, speech_metrics
from detect.speech.robustness import CHANGES, UNCHANGED, Change, score_changed
from detect.speech.store import SampleStore
from detect.speech.train import SpeechTrainConfig, train_speech
from detect.speech.utterances import Utterance, read_speech
from shared.audio.loudness import active_level
from shared.audio.rooms import in_room
from shared.audio.sound import Sound, limited
from shared.bootstrap import BootstrapSettings
from shared.console import console
from shared.results.scores import Evaluation

CODECS = ("mp3-32k", "opus-16k", "g711-mulaw")
_RATE = 16_000
_IN_PART = "-in-part"
_AIMS = {"family": 0.05, "left out": 0.15, "codec and room": 0.20, "cllr": 0.5, "f1": 0.7, "probe": 0.55}


@dataclass(frozen=True)
class SpeechPlan:
    """Settings of the trainings: steps in family and with an engine left out, batch, seconds of a sound, mixtures.

    ``kinds`` are those of the detectors; ``left_out`` the engines that are left out in turn, none for all of the set.
    """

    kinds: tuple[str, ...] = ("lfcc-gmm", "spectral")
    left_out: tuple[str, ...] = ()
    steps: int = 600
    steps_left_out: int = 300
    batch: int = 16
    crop_seconds: float = 2.0
    components: int = 64
    most_frames: int = 60_000
    seed: int = 0

    def config(self, model: str, left_out: str | None) -> SpeechTrainConfig:
        """The settings of one training; partial fakes by an engine are left out with it."""
        return SpeechTrainConfig(
            model=model,
            steps=self.steps if left_out is None else self.steps_left_out,
            batch=self.batch,
            crop_seconds=self.crop_seconds,
            components=self.components,
            most_frames=self.most_frames,
            leave_out=() if left_out is None else (left_out, f"{left_out}{_IN_PART}"),
            seed=self.seed,
            device="cpu",
        )


def measure(place: Path, work: Path, plan: SpeechPlan) -> list[Measurement]:
    """All measurements on the set in ``place``; detectors and their runs are in ``work``.

    Raises:
        ManifestError: the set has no test split, or lacks a class in a split.
    """
    speech = read_speech(place)
    store, settings = SampleStore(), BootstrapSettings(replicates=400, seed=plan.seed)
    test = speech.part("test")
    engines = sorted({each.engine for each in test if each.fake and not each.spans})
    left_out = engines if len(engines) > 1 and not plan.left_out else list(plan.left_out)
    found = probes(test, store)
    whole = [each for each in test if not each.spans]
    inside = {kind: _trained(place, work, kind, None, plan) for kind in plan.kinds}
    for kind, model in inside.items():
        found += _in_family(kind, model, test, store, settings)
    for name, change in {UNCHANGED: CHANGES[UNCHANGED], **changes()}.items() if len(inside) > 1 else ():
        scored = fused(list(inside.values()), whole, store, change)
        title = "fusion, in family" + ("" if name == UNCHANGED else f", then {name}")
        found += _shown(title, scored, None, settings, ("eer",), "family" if name == UNCHANGED else None)
    for engine in left_out:
        outside = {kind: _trained(place, work, kind, engine, plan) for kind in plan.kinds}
        chosen = [each for each in test if not each.fake or each.engine == engine]
        for kind, model in outside.items():
            scored = _scored(model, chosen, store)
            found += _shown(f"{kind}, {engine} left out", scored, model, settings, ("eer", "cllr"), "left out")
            for grade, mine in _by_chain(scored):
                found += _shown(f"{kind}, {engine} left out, {grade} chains", mine, model, settings, ("eer",), None)
        if len(outside) > 1:
            scored = fused(list(outside.values()), chosen, store)
            found += _shown(f"fusion, {engine} left out", scored, None, settings, ("eer",), "left out")
    return found


def fused(
    models: Sequence[SpeechModel],
    utterances: Sequence[Utterance],
    store: SampleStore,
    change: Change = CHANGES[UNCHANGED],
) -> list[ScoredUtterance]:
    """The recordings with the mean of the models' calibrated likelihood ratios as their only score.

    Models without a calibration have no part in it.
    """
    known = [model for model in models if model.facts.likelihood is not None]
    columns = [_scored(model, utterances, store, change) for model in known]
    together: list[ScoredUtterance] = []
    for row in zip(*columns, strict=True):
        ratios = [
            float(model.facts.likelihood.llr(np.array([each.scores.logit]))[0])
            for model, each in zip(known, row, strict=True)
            if model.facts.likelihood is not None
        ]
        scores = StepScores(np.array([np.mean(ratios)], np.float32), np.ones(1, np.float32))
        together.append(dataclasses.replace(row[0], scores=scores))
    return together


def _trained(place: Path, work: Path, model: str, left_out: str | None, plan: SpeechPlan) -> SpeechModel:
    run = work / f"{model}-{left_out or 'all'}"
    console.print(f"{model}, {left_out or 'nothing'} left out")
    if not (run / "detector").is_dir():
        train_speech(place, run, plan.config(model, left_out))
    return load_speech(run)


def _in_family(
    model: str,
    inside: SpeechModel,
    test: Sequence[Utterance],
    store: SampleStore,
    settings: BootstrapSettings,
) -> list[Measurement]:
    whole = [each for each in test if not each.spans]
    plain = _scored(inside, whole, store)
    found = _shown(f"{model}, in family", plain, inside, settings, ("eer", "min_dcf", "act_dcf", "cllr"), "family")
    for grade, mine in _by_chain(plain):
        found += _shown(f"{model}, in family, {grade} chains", mine, inside, settings, ("eer", "cllr"), "family")
    for engine in sorted({each.utterance.engine for each in plain} - {""}):
        mine = [each for each in plain if each.utterance.engine in ("", engine)]
        found += _shown(f"{model}, in family, {engine}", mine, inside, settings, ("eer",), "family")
    for codec in sorted({each.utterance.codec for each in plain}):
        mine = [each for each in plain if each.utterance.codec == codec]
        found += _shown(f"{model}, in family, those of codec {codec or 'none'}", mine, inside, settings, ("eer",), None)
    parts = _scored(inside, [each for each in test if each.spans or not each.fake], store)
    for metric in segment_metrics(parts, inside.facts.step_threshold, settings):
        aim = _AIMS["f1"] if metric.metric.endswith("160ms") else None
        found.append(_measurement(f"{model}, fakes in part: {metric.metric}", metric, aim, "higher"))
    for name, change in changes().items():
        changed = _scored(inside, whole, store, change)
        aim = "codec and room" if name == "opus-16k and room" else None
        found += _shown(f"{model}, in family, then {name}", changed, inside, settings, ("eer", "cllr"), aim)
    return found


def _by_chain(scored: Sequence[ScoredUtterance]) -> list[tuple[str, list[ScoredUtterance]]]:
    """The recordings by how much they went through, where the list says so."""
    grades = sorted({each.utterance.chain for each in scored} - {""})
    return [(grade, [each for each in scored if each.utterance.chain == grade]) for grade in grades]


def changes() -> Mapping[str, Change]:
    """Changes of test recordings, by name: codecs, a room, and both."""
    return {**{name: CHANGES[name] for name in CODECS}, "a room": _room, "opus-16k and room": _room_and_opus}


def _room(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    seconds, direct_db = float(rng.uniform(0.25, 0.6)), float(rng.uniform(0, 6))
    return in_room(Sound(limited(samples), _RATE), seconds, direct_db, rng).samples


def _room_and_opus(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return CHANGES["opus-16k"](_room(samples, rng), rng)


def _scored(
    model: SpeechModel, utterances: Sequence[Utterance], store: SampleStore, change: Change = CHANGES[UNCHANGED]
) -> list[ScoredUtterance]:
    return score_changed(model, utterances, store, change, what="scoring")


def _shown(
    name: str,
    scored: Sequence[ScoredUtterance],
    model: SpeechModel | None,
    settings: BootstrapSettings,
    metrics: Sequence[str],
    aim: str | None,
) -> list[Measurement]:
    found = []
    for each in speech_metrics(scored, None if model is None else model.facts.likelihood, settings):
        if each.metric in metrics:
            target = None
            if aim is not None and each.metric == "eer":
                target = _AIMS[aim]
            if aim == "family" and each.metric == "cllr":
                target = _AIMS["cllr"]
            found.append(_measurement(f"{name}: {each.metric}", each, target, "lower"))
    return found


def _measurement(name: str, found: Evaluation, target: float | None, better: str) -> Measurement:
    bounds = "no interval" if found.low is None or found.high is None else f"{found.low:.3f} to {found.high:.3f}"
    note = f"95 % interval over {found.clusters} speakers {bounds}; {found.num_real} real, {found.num_fake} fake"
    return Measurement.of(name, "", [found.value], target=target, better=better, note=note)


def probes(test: Sequence[Utterance], store: SampleStore) -> list[Measurement]:
    """AUC of properties that say nothing of synthesis, alone, either way round."""
    whole = [each for each in test if not each.spans]
    labels = np.array([each.fake for each in whole])
    values: dict[str, list[float]] = {}
    for each in whole:
        samples = store.get(each.path)
        for name, value in properties(samples).items():
            values.setdefault(name, []).append(value)
    found = []
    for name, column in values.items():
        area = auc(labels, np.array(column))
        area = 0.5 if area is None else area
        found.append(
            Measurement.of(f"probe: {name}", "AUC", [max(area, 1 - area)], target=_AIMS["probe"], better="lower")
        )
    return found


def properties(samples: np.ndarray) -> dict[str, float]:
    """Properties of (N,) samples at 16 kHz that say nothing of synthesis, by name."""
    figures = dataclasses.asdict(figures_of(samples))
    step = _RATE // 100
    power = (samples[: len(samples) // step * step].reshape(-1, step).astype(np.float64) ** 2).mean(1)
    leading = int(np.flatnonzero(power >= power.max() * 1e-2)[0]) / 100
    return {
        "leading silence": leading,
        "loudness": active_level(samples, _RATE) or -99.0,
        "length": figures["seconds"],
        "highest frequency": figures["band_hz"],
        "noise floor": figures["floor_db"],
    }
