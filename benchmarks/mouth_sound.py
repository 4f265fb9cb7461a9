"""Can mouth and sound be told in step from moved by some frames, and from the sound of another sentence?

Every clip with sound gives one score with its own sound, one for each shift of it, and one with the sound of each of
some other clips. The score is the strength of the relation near lag 0 less that at other lags; nothing is trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.real_clips import clips_under
from benchmarks.schema import Measurement
from detect.inspection.evidence.mouth_sound import MOVES, MouthTrack, Sync, synchrony
from detect.inspection.evidence.sound import SoundFacts, sound_facts
from detect.metrics.bootstrap import intervals
from detect.metrics.classification import MetricSettings, auc
from shared.bootstrap import BootstrapSettings
from shared.console import console
from shared.errors import UsageError
from shared.faces.finders.finder import FaceFinder, make_finder
from shared.faces.stream import FollowConfig, follow
from shared.video.reader import VideoReader

SHIFTS = (0.16, 0.32)
_FRAMES, _LEAST_FRAMES = 250, 50
_OTHERS = 4
_SPEECH_DB, _VOICED = 6.0, 0.05


@dataclass(frozen=True)
class SpokenClip:
    """A clip with sound: its name, its folder's name, the mouth of its main face, its sound."""

    name: str
    folder: str
    mouth: MouthTrack
    sound: SoundFacts

    @property
    def speaks(self) -> bool:
        """Whether the mouth moves and the sound is like speech: it changes, and some of it has a pitch."""
        levels = np.array(self.sound.level_db)
        changes = float(np.quantile(levels, 0.9) - np.quantile(levels, 0.3)) >= _SPEECH_DB
        voiced = float(np.mean(self.sound.voiced)) >= _VOICED
        return changes and voiced and float(self.mouth.opening.std()) >= MOVES


def spoken_clips(folders: Sequence[Path], finder: str) -> tuple[list[SpokenClip], int]:
    """The clips with a face in 50 frames and with sound, and the number of all clips.

    Raises:
        UsageError: there is no clip, or fewer than three have both.
    """
    paths, made = clips_under(folders), make_finder(finder, device="cpu")
    found = []
    for path in console.track(paths, "following mouths", len(paths), unit="clip"):
        sound = sound_facts(path)
        mouth = mouth_in(path, made) if sound.present else None
        if mouth is not None:
            found.append(SpokenClip(path.name, path.parent.name, mouth, sound))
    if len(found) < 3:
        raise UsageError("fewer than three clips have sound and a face", hint="name folders of clips with speech")
    return found, len(paths)


def mouth_in(path: Path, finder: FaceFinder) -> MouthTrack | None:
    """The mouth of the main face in the first 250 frames of a clip; None if it is in fewer than 50."""
    points: dict[int, list[tuple[float, np.ndarray]]] = {}
    with VideoReader(path) as reader:
        for frame, faces in follow(reader.frames(stop=_FRAMES), finder, FollowConfig(max_faces=4)):
            for face in faces:
                if face.track is not None:
                    points.setdefault(face.track, []).append((frame.time.seconds, face.landmarks))
    best = max(points.values(), key=len, default=[])
    if len(best) < _LEAST_FRAMES:
        return None
    landmarks = np.stack([each[1] for each in best]).astype(np.float64)
    return MouthTrack.of(0, np.array([each[0] for each in best]), landmarks)


def measure(
    clips: Sequence[SpokenClip], settings: BootstrapSettings
) -> tuple[list[Measurement], dict[str, dict[str, float]]]:
    """AUC of each comparison with its interval over clips, lags and p-values; and the numbers of each clip."""
    speaking = [clip for clip in clips if clip.speaks]
    own = [synchrony(clip.mouth, clip.sound) for clip in speaking]
    pairs = [(clip, sync) for clip, sync in zip(speaking, own, strict=True) if sync is not None]
    numbers = {clip.name: _numbers(sync) for clip, sync in pairs}
    found = [Measurement.of("clips that speak", "clips", [float(len(pairs))], note=f"of {len(clips)} with sound")]
    in_step = [sync.margin for _, sync in pairs]
    wrong = {f"moved by {shift:g} s, either way": _moved(pairs, shift) for shift in SHIFTS}
    wrong["sound of another clip"] = _exchanged(pairs)
    for name, scores in wrong.items():
        found += _auc(f"AUC, in step against {name}", in_step, scores, settings)
    found += [
        Measurement.of("lag of the sound, in step", "s", [sync.lag for _, sync in pairs], better="lower"),
        Measurement.of("p, in step", "share", [sync.p for _, sync in pairs], better="lower"),
        Measurement.of("closed lips in voiced sound", "share", _shares(pairs, voiced=True), better="lower"),
        Measurement.of("closed lips in other sound", "share", _shares(pairs, voiced=False)),
    ]
    return found, numbers


def _numbers(sync: Sync) -> dict[str, float]:
    values = {"strength": sync.strength, "lag_seconds": sync.lag, "p": sync.p, "margin": sync.margin}
    return {name: round(value, 3) for name, value in values.items()}


def _moved(pairs: Sequence[tuple[SpokenClip, Sync]], shift: float) -> list[tuple[int, float]]:
    """Number of the clip and margin, for its sound moved later and earlier."""
    found = []
    for place, (clip, _) in enumerate(pairs):
        for late in (shift, -shift):
            sync = synchrony(clip.mouth, clip.sound, late=late)
            if sync is not None:
                found.append((place, sync.margin))
    return found


def _exchanged(pairs: Sequence[tuple[SpokenClip, Sync]]) -> list[tuple[int, float]]:
    """Number of the clip of the mouth and margin, with the sounds of the next clips from its first frame on."""
    found = []
    for place, (clip, _) in enumerate(pairs):
        for step in range(1, min(_OTHERS, len(pairs) - 1) + 1):
            other = pairs[(place + step) % len(pairs)][0].sound
            sync = synchrony(clip.mouth, other, late=float(clip.mouth.seconds[0]) - other.start_seconds)
            if sync is not None:
                found.append((place, sync.margin))
    return found


def _auc(
    name: str, in_step: Sequence[float], wrong: Sequence[tuple[int, float]], settings: BootstrapSettings
) -> list[Measurement]:
    scores = np.array([*in_step, *(score for _, score in wrong)])
    labels = np.arange(len(scores)) < len(in_step)
    clips = np.array([*range(len(in_step)), *(place for place, _ in wrong)])
    value = auc(labels, scores)
    bounds = intervals(labels, scores, clips, MetricSettings(), settings).get("auc")
    if value is None:
        return []
    told = "no interval" if bounds is None else f"95 % interval {bounds[0]:.2f} to {bounds[1]:.2f} over clips"
    return [Measurement.of(name, "AUC", [value], note=f"{told}; {len(in_step)} against {len(wrong)}")]


def _shares(pairs: Sequence[tuple[SpokenClip, Sync]], *, voiced: bool) -> list[float]:
    both = [sync.closed_voiced if voiced else sync.closed_unvoiced for _, sync in pairs]
    return [share for share in both if share is not None]
