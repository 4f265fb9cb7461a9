"""Measures a detector of speech on recordings that were changed: codecs, rates, noise, rooms, cuts.

Both classes go through the same change, and the level below which an equal error rate is chance is .5. Random parts of
a change (noise, a room's tail) follow from the seed and the place of the recording, so that a fake and its recording
are not changed by the same noise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from detect.speech.checkpoint import SpeechModel, load_speech
from detect.speech.contract import RATE
from detect.speech.evaluate import ScoredUtterance, speech_metrics
from detect.speech.store import SampleStore
from detect.speech.utterances import Utterance, read_speech
from shared.audio.codecs import CODECS, through_codec, with_rate_history
from shared.audio.rooms import in_room
from shared.audio.sound import Sound, limited
from shared.bootstrap import BootstrapSettings
from shared.config import need
from shared.console import console
from shared.errors import UsageError
from shared.registry import near_matches
from shared.results.scores import Evaluation
from shared.sampling import evenly_spaced
from shared.storage import write_bytes

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]
"""(N,) float32 samples at 16 kHz and chance -> (M,) float32 samples."""

UNCHANGED = "unchanged"


def _codec(name: str) -> Change:
    return lambda samples, _: through_codec(Sound(limited(samples), RATE), name).samples


def _rate(hertz: int) -> Change:
    return lambda samples, _: with_rate_history(Sound(limited(samples), RATE), hertz).samples


def _noise(below_db: float) -> Change:
    """White noise ``below_db`` below the root mean square of the sound."""

    def changed(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        level = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) * 10 ** (-below_db / 20)
        return limited(samples + rng.normal(0, 1, len(samples)) * level)

    return changed


def _room(seconds: float, direct_db: float) -> Change:
    return lambda samples, rng: in_room(Sound(limited(samples), RATE), seconds, direct_db, rng).samples


def _cut(seconds: float) -> Change:
    """A part of that length, anywhere; a shorter sound stays as it is."""

    def changed(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        length = round(seconds * RATE)
        first = int(rng.integers(0, max(1, len(samples) - length + 1)))
        return samples[first : first + length]

    return changed


def _both(first: Change, second: Change) -> Change:
    return lambda samples, rng: second(first(samples, rng), rng)


CHANGES: Mapping[str, Change] = {
    UNCHANGED: lambda samples, _: samples,
    **{name: _codec(name) for name in CODECS if name != "none"},
    "rate-11k": _rate(11_025),
    "rate-8k": _rate(8_000),
    "noise-30db": _noise(30),
    "noise-20db": _noise(20),
    "noise-10db": _noise(10),
    "room-0.3s": _room(0.3, 3),
    "room-0.6s": _room(0.6, 0),
    "room-and-opus": _both(_room(0.4, 3), _codec("opus-16k")),
    "cut-2s": _cut(2),
    "cut-1s": _cut(1),
}
"""The changes by name. A room is its reverberation time; the direct sound lies 3, 0 and 3 dB above its tail."""


@dataclass(frozen=True)
class SpeechCell:
    """The metrics of one change; see :func:`detect.speech.evaluate.speech_metrics`."""

    change: str
    metrics: tuple[Evaluation, ...]

    def find(self, metric: str) -> Evaluation | None:
        """The metric of that name; None if it is undefined here."""
        return next((each for each in self.metrics if each.metric == metric), None)


@dataclass(frozen=True)
class SpeechRobustness:
    """The result of a sweep: ``detector`` and ``dataset`` name what was measured on what."""

    detector: dict[str, str]
    dataset: dict[str, str]
    cells: tuple[SpeechCell, ...]


def measure_robustness(
    place: str | Path,
    detector: str | Path,
    *,
    split: str = "test",
    changes: Sequence[str] = (),
    most: int = 200,
    out: Path | None = None,
    seed: int = 0,
) -> SpeechRobustness:
    """Metrics of ``detector`` on recordings of a split that are synthetic as a whole or real, after each change.

    Args:
        place: set of speech.
        detector: run or folder of a detector of speech, or assay.
        split: of the set.
        changes: names of :data:`CHANGES`; all by default. "unchanged" is always among them.
        most: recordings at most, evenly spaced in the list.
        out: receives the result as JSON.
        seed: of the changes and the intervals.

    Raises:
        UsageError: no such change, or ``out`` is a folder.
        ManifestError: there is no list, or the split lacks a class.
        MediaError: a recording cannot be read.
        CheckpointError: the detector cannot be read.
        StorageError: writing failed.
    """
    need(seed >= 0, f"a seed is 0 or more, got {seed}")
    need(most >= 2, f"at least two recordings, got {most}")
    for name in changes:
        if name not in CHANGES:
            raise UsageError(f"no change is named {name!r}", hint=near_matches(name, list(CHANGES)))
    if out is not None and out.is_dir():
        raise UsageError(f"{out} is a folder", hint="name a file, such as robustness.json")
    speech, model = read_speech(Path(place)), load_speech(detector)
    whole = [each for each in speech.part(split) if not each.spans]  # type: ignore[arg-type]
    chosen = [whole[number] for number in evenly_spaced(len(whole), min(most, len(whole)))]
    store, bootstrap = SampleStore(), BootstrapSettings(replicates=400, seed=seed)
    cells = []
    for name in [UNCHANGED, *(name for name in changes or CHANGES if name != UNCHANGED)]:
        scored = score_changed(model, chosen, store, CHANGES[name], what=name, seed=seed)
        cells.append(SpeechCell(name, tuple(speech_metrics(scored, model.facts.likelihood, bootstrap))))
    result = SpeechRobustness(
        {"name": model.name, "kind": model.facts.kind, "weights_sha256": model.weights_sha256},
        {"name": speech.name, "sha256": speech.digest, "split": split},
        tuple(cells),
    )
    if out is not None:
        write_bytes(out, msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n")
    return result


def score_changed(
    model: SpeechModel, utterances: Sequence[Utterance], store: SampleStore, change: Change, *, what: str, seed: int = 0
) -> list[ScoredUtterance]:
    """The recordings, each changed with chance of its own, scored.

    Raises:
        MediaError: a recording cannot be read.
    """
    found = []
    for place, each in enumerate(console.track(utterances, what, len(utterances), unit="recording")):
        samples = change(store.get(each.path), np.random.default_rng((seed, place))).astype(np.float32)
        found.append(ScoredUtterance(each, len(samples) / RATE, model.detector.steps(samples)))
    return found
