"""Whether anything but the forgery tells the classes of a set of speech apart: probes of single facts of a file.

Each probe is a few numbers of a recording that no detector should live on: silence at its ends, digital zeros, level,
the highest frequency, length, bits. A forest of extremely randomised trees (Geurts et al., Machine Learning 2006) is
trained on some speakers and scores the others; the area under the ROC curve has an interval over speakers. An area of
.5 says nothing is there to be learned. (Silence at the start alone: 85 % on ASVspoof, Mueller et al. 2021.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import welch
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import StratifiedGroupKFold

from shared.audio.loudness import active_level, loudness
from shared.audio.reading import read_sound
from shared.audio.sound import Sound
from shared.dataset.audit.areas import AreaEstimate, estimate_area
from shared.errors import UsageError
from shared.speechsets.chain import speech_bounds
from shared.speechsets.folder import SpeechSet

LIMIT = 0.55
"""A probe whose area is above this, with its interval above .5, shows a shortcut."""

_FOLDS = 4
_TREES = 200
_FEWEST_SPEAKERS = 4
_FLOOR = 1e-12
_CUTS_HZ = (3_400, 4_000, 5_512, 6_000, 7_000)
_NEAR_HZ, _GAP_HZ = 400.0, 150.0


@dataclass(frozen=True)
class SoundProbe:
    """A kind of fact that may reveal the label.

    Attributes:
        name: key in the report.
        title: for readers.
        advice: how a shortcut is removed.
        numbers: the facts of a sound.
    """

    name: str
    title: str
    advice: str
    numbers: Callable[[Sound], list[float]]


@dataclass(frozen=True)
class ProbeResult:
    """What a probe found.

    Attributes:
        name: of the probe.
        title: for readers.
        area: under the ROC curve of all fakes against all real recordings, None where it cannot be computed.
        low, high: its interval over speakers, None with too few.
        by_manipulation: the area of each manipulation alone.
        shortcut: whether it is above :data:`LIMIT`, with an interval above .5.
        advice: what to do then.
    """

    name: str
    title: str
    area: float | None
    low: float | None
    high: float | None
    by_manipulation: dict[str, float]
    shortcut: bool
    advice: str


def _silence(sound: Sound) -> list[float]:
    first, stop = speech_bounds(sound)
    ends = (sound.samples[:first], sound.samples[stop:])
    levels = [10 * np.log10(float(np.mean(end.astype(np.float64) ** 2)) + _FLOOR) if len(end) else -120 for end in ends]
    return [first / sound.rate, (len(sound) - stop) / sound.rate, *levels]


def _zeros(sound: Sound) -> list[float]:
    zero = sound.samples == 0
    edges = np.flatnonzero(np.diff(np.concatenate([[0], zero.astype(np.int8), [0]])))
    longest = int((edges[1::2] - edges[::2]).max()) if len(edges) else 0
    same = float(np.mean(np.diff(sound.samples) == 0)) if len(sound) > 1 else 0.0
    return [float(zero.mean()) if len(zero) else 0.0, longest / sound.rate, same]


def _level(sound: Sound) -> list[float]:
    value = active_level(sound.samples, sound.rate)
    return [-120.0 if value is None else value]


def _loudness(sound: Sound) -> list[float]:
    value = loudness(sound)
    return [-120.0 if value is None else value]


def _offset(sound: Sound) -> list[float]:
    return [float(sound.samples.mean()) if len(sound) else 0.0]


def _band(sound: Sound) -> list[float]:
    """The step of the spectrum, in dB, at each half rate: an edge that a resampler left, not the tilt of a voice."""
    hertz, power = welch(sound.samples.astype(np.float64), sound.rate, nperseg=min(512, max(8, len(sound))))

    def between(low: float, high: float) -> float:
        return 10 * np.log10(float(power[(hertz >= low) & (hertz < high)].sum()) + _FLOOR)

    return [between(cut - _NEAR_HZ, cut) - between(cut + _GAP_HZ, cut + _GAP_HZ + _NEAR_HZ) for cut in _CUTS_HZ]


def _length(sound: Sound) -> list[float]:
    return [sound.seconds]


def _bits(sound: Sound) -> list[float]:
    steps = np.round(sound.samples.astype(np.float64) * 32768).astype(np.int64)
    return [float(np.mean(steps % (1 << shift) == 0)) for shift in (1, 4, 8)]


PROBES: tuple[SoundProbe, ...] = (
    SoundProbe("silence", "Silence at the ends", "trim both classes to their speech and give both the same silence",
               _silence),
    SoundProbe("zeros", "Digital zeros", "lay the same noise under both classes", _zeros),
    SoundProbe("level", "Level of speech", "bring both classes to the same level", _level),
    SoundProbe("loudness", "Loudness (BS.1770)", "bring both classes to the same level", _loudness),
    SoundProbe("offset", "Constant offset", "take the mean of both classes away", _offset),
    SoundProbe("band", "Edges of the spectrum (rate history)", "send both classes through the same rates", _band),
    SoundProbe("length", "Length", "cut both classes to the same lengths", _length),
    SoundProbe("bits", "Bits of a sample", "write both classes with the same bits and dither", _bits),
)  # fmt: skip


def probe_numbers(sound: Sound) -> dict[str, list[float]]:
    """The facts of a sound by probe."""
    return {probe.name: probe.numbers(sound) for probe in PROBES}


def audit_speech(opened: SpeechSet, *, tick: Callable[[], object] | None = None, seed: int = 0) -> list[ProbeResult]:
    """All probes of a set, in order.

    Raises:
        UsageError: fewer than four speakers, or only one class.
        MediaError: a recording cannot be read.
    """
    found = []
    for record in opened.records:
        found.append(probe_numbers(read_sound(opened.file(record), most_seconds=600)))
        if tick is not None:
            tick()
    return audit_numbers(
        found,
        [record.manipulation for record in opened.records],
        [record.speaker for record in opened.records],
        seed=seed,
    )


def audit_numbers(
    numbers: Sequence[dict[str, list[float]]],
    manipulations: Sequence[str | None],
    speakers: Sequence[str],
    *,
    seed: int = 0,
) -> list[ProbeResult]:
    """All probes of recordings whose facts are known.

    Args:
        numbers: of each recording, as :func:`probe_numbers` gives them.
        manipulations: how each was made, None for a real one.
        speakers: of each.
        seed: of the forests and the intervals.

    Raises:
        UsageError: fewer than four speakers, or only one class.
    """
    labels = np.array([each is not None for each in manipulations])
    names, groups = np.unique(np.asarray(speakers), return_inverse=True)
    if len(names) < _FEWEST_SPEAKERS or labels.all() or not labels.any():
        raise UsageError(
            f"an audit needs both classes and at least {_FEWEST_SPEAKERS} speakers, got {len(names)}",
            hint="build a larger set",
        )
    return [_result(probe, numbers, np.asarray(manipulations, object), labels, groups, seed) for probe in PROBES]


def _result(
    probe: SoundProbe,
    numbers: Sequence[dict[str, list[float]]],
    manipulations: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    seed: int,
) -> ProbeResult:
    table = np.nan_to_num(np.array([each[probe.name] for each in numbers], np.float64))
    scores, strata = _held_out_scores(table, labels, groups, seed)
    whole = estimate_area(labels, scores, groups, strata=strata)
    parts: dict[str, float] = {}
    for name in sorted({str(each) for each in manipulations if each is not None}):
        chosen = ~labels | (manipulations == name)
        part = estimate_area(labels[chosen], scores[chosen], groups[chosen], strata=strata[chosen])
        if part is not None:
            parts[name] = round(part.value, 4)
    return ProbeResult(
        probe.name,
        probe.title,
        None if whole is None else whole.value,
        None if whole is None else whole.low,
        None if whole is None else whole.high,
        parts,
        _is_shortcut(whole),
        probe.advice,
    )


def _is_shortcut(area: AreaEstimate | None) -> bool:
    return area is not None and area.value > LIMIT and (area.low is None or area.low > 0.5)


def _held_out_scores(
    table: np.ndarray, labels: np.ndarray, groups: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of every recording by a forest that saw none of its speaker, and the number of that forest."""
    scores, strata = np.zeros(len(labels)), np.zeros(len(labels), np.int64)
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=seed)
    for number, (train, test) in enumerate(folds.split(table, labels, groups)):
        strata[test] = number
        if labels[train].all() or not labels[train].any():
            continue
        forest = ExtraTreesClassifier(
            _TREES, min_samples_leaf=3, class_weight="balanced", random_state=seed, n_jobs=1
        ).fit(table[train], labels[train])
        scores[test] = forest.predict_proba(table[test])[:, 1]
    return scores, strata
