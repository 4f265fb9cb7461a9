"""Evidence from the mouth against the sound: do the lips open with the sound, and at which lag?

Nothing is trained. The opening of the inner lips is correlated with the energy of seven bands of the sound; the mean
over the bands is the strength at each lag. Its p-value comes from the clip itself: the sound is shifted around in a
circle against the mouth by every step of 20 ms, and the share of shifts whose best strength, over the same lags, is as
high, is the p-value. Speech and mouth keep their own rhythm under such shifts, only their relation is lost.

Beside it stands how often the lips are closed while the sound has a pitch: that is so for "m" and for humming, and for
voices that do not come from this mouth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detect.inspection.evidence.found import Details, Found, Picture, found, rounded
from detect.inspection.evidence.measures import mouth_opening
from detect.inspection.evidence.sound import STEP_SECONDS, SoundFacts
from shared.plots import FAKE_COLOR, INK, REAL_COLOR, figure, png
from shared.results.scores import Evidence

MOVES = 0.02
"""Spread of the opening of the lips, in distances of the outer eye corners, from which a mouth moves."""

NAME = "mouth against sound"
_REACH = 25
_SPEECH_DB = 6.0
_RANGE_DB = 45.0
_SLOW_SECONDS = 2.0
_LEAST_SECONDS = 2.0
_EARLY, _LATE = -0.09, 0.185
_NEAR = (-0.06, 0.08)
_SURE, _LIKELY = 0.01, 0.05
_CLOSED = 0.02
_LIMITS = (
    "Music, other voices, off-screen speech, dubbing and noise leave a mouth without its sound in honest files; "
    "conversion can move the sound by some frames. Many sounds are made with closed lips. A forger who makes a mouth "
    "for a sound makes the two agree, so agreement is no sign that either is authentic."
)


@dataclass(frozen=True)
class MouthTrack:
    """The opening of one mouth: ``seconds`` (N,), rising, and ``opening`` (N,) in distances of the eyes' corners."""

    track: int
    seconds: np.ndarray
    opening: np.ndarray

    @classmethod
    def of(cls, track: int, seconds: np.ndarray, landmarks: np.ndarray) -> MouthTrack:
        """That of (N, 68, 2) landmarks."""
        return cls(track, seconds, mouth_opening(landmarks))


@dataclass(frozen=True)
class Sync:
    """The relation of a mouth and a sound.

    Attributes:
        curve: (51,) strength at lags of -0.5 to 0.5 s in steps of 20 ms; a positive lag is a sound that comes late.
        p: of the highest strength, by circular shifts.
        shifts: their number.
        closed_voiced, closed_unvoiced: share of steps with closed lips among voiced and among other steps; None
            without such steps.
    """

    curve: np.ndarray
    p: float
    shifts: int
    closed_voiced: float | None
    closed_unvoiced: float | None

    @property
    def strength(self) -> float:
        """The highest strength."""
        return float(self.curve.max())

    @property
    def lag(self) -> float:
        """Its lag in seconds."""
        return float(LAGS[int(self.curve.argmax())])

    @property
    def margin(self) -> float:
        """The highest strength near lag 0 less the highest at other lags: positive where mouth and sound agree."""
        near = (_NEAR[0] - 1e-9 <= LAGS) & (_NEAR[1] + 1e-9 >= LAGS)
        return float(self.curve[near].max() - self.curve[~near].max())


LAGS = np.arange(-_REACH, _REACH + 1) * STEP_SECONDS
"""(51,) the lags, in seconds, that are compared."""


def synchrony(mouth: MouthTrack, sound: SoundFacts, *, late: float = 0.0) -> Sync | None:
    """How the sound goes with the mouth; None if they share less than two seconds.

    Args:
        mouth: of one face.
        sound: of the same file.
        late: seconds by which the sound is moved later first, to measure what a shift does.
    """
    clock = sound.start_seconds + late + (np.arange(len(sound.level_db)) + 0.5) * STEP_SECONDS
    inside = (clock >= mouth.seconds[0]) & (clock <= mouth.seconds[-1])
    if inside.sum() < _LEAST_SECONDS / STEP_SECONDS or not sound.bands_db:
        return None
    opening = np.interp(clock[inside], mouth.seconds, mouth.opening)
    bands = np.array(sound.bands_db, np.float64)[:, inside]
    bands = np.maximum(bands, bands.max(1, keepdims=True) - _RANGE_DB)
    circle = np.mean([_circular(opening, band) for band in bands], axis=0)
    curve = circle[np.arange(-_REACH, _REACH + 1)]
    p, shifts = _shift_p(circle, float(curve.max()))
    closed, voiced = opening < _CLOSED, np.array(sound.voiced, bool)[inside]
    return Sync(curve, p, shifts, _share(closed[voiced]), _share(closed[~voiced]))


def _circular(opening: np.ndarray, band: np.ndarray) -> np.ndarray:
    """(N,) correlation of the two series, without slow changes, for each circular shift of the second."""
    one, other = _without_slow(opening), _without_slow(band)
    scale = float(one.std() * other.std()) * len(one)
    if scale < 1e-9:
        return np.zeros(len(one))
    product = np.fft.irfft(np.conj(np.fft.rfft(one)) * np.fft.rfft(other), len(one))
    return product / scale


def _without_slow(values: np.ndarray) -> np.ndarray:
    width = min(round(_SLOW_SECONDS / STEP_SECONDS), len(values)) // 2 * 2 - 1
    smooth = np.convolve(np.pad(values, width // 2, mode="reflect"), np.ones(width) / width, mode="valid")
    return values - smooth - float((values - smooth).mean())


def _shift_p(circle: np.ndarray, seen: float) -> tuple[float, int]:
    """p-value of ``seen``, and the number of shifts, each so far that its lags are apart from those of no shift."""
    count = len(circle)
    least = 2 * _REACH + 1
    shifts = range(least, count - least + 1) if count >= 2 * least else range(0)
    lags = np.arange(-_REACH, _REACH + 1)
    higher = sum(float(circle[(shift + lags) % count].max()) >= seen for shift in shifts)
    return (1 + higher) / (1 + len(shifts)), len(shifts)


def _share(chosen: np.ndarray) -> float | None:
    return float(chosen.mean()) if len(chosen) else None


def mouth_and_sound(mouth: MouthTrack, sound: SoundFacts) -> Found:
    """Evidence from one mouth and the sound: best lag, strength, p-value, closed lips, and a picture."""
    reference = f"circular shifts of the same sound; in step from {_EARLY:g} to {_LATE:g} s (ITU-R BT.1359)"
    sync = synchrony(mouth, sound)
    if sync is None:
        return Found(Evidence(NAME, "too short to compare", {}, limits=_LIMITS, reference=reference))
    levels = np.array(sound.level_db)
    spread, dynamic = float(mouth.opening.std()), float(np.quantile(levels, 0.9) - np.quantile(levels, 0.3))
    comparable = spread >= MOVES and dynamic >= _SPEECH_DB
    in_step = sync.p <= _LIKELY and _EARLY <= sync.lag <= _LATE
    shifted = sync.p <= _SURE and not in_step
    evidence = Evidence(
        NAME,
        _told(sync, comparable=comparable, in_step=in_step, shifted=shifted),
        _details(mouth, sync, spread, dynamic),
        limits=_LIMITS,
        value=rounded(sync.strength),
        reference=reference,
        odd=shifted if comparable else None,
    )
    alt = "Opening of the mouth and level of the sound over time, strength of their relation by lag"
    return found(evidence, Picture("mouth-and-sound", alt, sync_plot(mouth, sound, sync)))


def _told(sync: Sync, *, comparable: bool, in_step: bool, shifted: bool) -> str:
    numbers = f"strength {sync.strength:.2f}, lag {sync.lag:+.2f} s, p {sync.p:.3f}"
    if not comparable:
        return "the mouth or the sound hardly changes: nothing to compare"
    if in_step:
        told = f"mouth and sound go together ({numbers})"
    elif shifted:
        told = f"the sound goes with the mouth at another time ({numbers})"
    else:
        told = f"no relation between mouth and sound shows ({numbers})"
    if sync.closed_voiced is None:
        return told
    return f"{told}; the lips are closed in {100 * sync.closed_voiced:.0f} % of the voiced sound"


def _details(mouth: MouthTrack, sync: Sync, spread: float, dynamic: float) -> Details:
    return {
        "face": mouth.track,
        "frames": len(mouth.seconds),
        "strength (mean correlation of seven bands)": rounded(sync.strength),
        "lag of the sound (s)": rounded(sync.lag, 2),
        "p": rounded(sync.p, 4),
        "circular shifts": sync.shifts,
        "strength near lag 0 less that elsewhere": rounded(sync.margin),
        "closed lips, share of voiced sound": rounded(sync.closed_voiced),
        "closed lips, share of other sound": rounded(sync.closed_unvoiced),
        "spread of the mouth": rounded(spread),
        "range of the sound (dB)": rounded(dynamic, 1),
    }


def sync_plot(mouth: MouthTrack, sound: SoundFacts, sync: Sync) -> bytes:
    """PNG: mouth and sound over time, voiced sound with closed lips marked, and the strength over lag."""
    levels = np.array(sound.level_db)
    clock = sound.start_seconds + (np.arange(len(levels)) + 0.5) * STEP_SECONDS
    inside = (clock >= mouth.seconds[0]) & (clock <= mouth.seconds[-1])
    closed = np.interp(clock, mouth.seconds, mouth.opening) < _CLOSED
    odd = clock[inside & closed & np.array(sound.voiced, bool)]
    with figure(9.2, 2.7) as plot:
        left, right = plot.subplots(1, 2, width_ratios=(3, 1))
        left.plot(mouth.seconds, mouth.opening, color=REAL_COLOR, linewidth=1.1)
        left.plot(odd, np.full(len(odd), float(mouth.opening.min())), "|", color=INK, markersize=6)
        left.set_ylabel("opening of the mouth", color=REAL_COLOR)
        left.set_xlabel("seconds (ticks: voiced, lips closed)")
        other = left.twinx()
        other.plot(clock[inside], levels[inside], color=FAKE_COLOR, linewidth=0.8)
        other.set_ylabel("level of the sound (dB)", color=FAKE_COLOR)
        other.grid(visible=False)
        right.axvspan(_EARLY, _LATE, color="#eceff2", linewidth=0)
        right.plot(LAGS, sync.curve, color=INK, linewidth=1.1)
        right.set_xlabel("lag of the sound (s)")
        right.set_title("strength")
        return png(plot)
