"""Evidence from landmarks over time: eyes, mouth, and the mouth against the energy of the sound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detect.inspection.evidence.found import Details, Found, Material, Picture, found, rounded
from detect.inspection.evidence.measures import eye_opening, mouth_opening
from detect.inspection.evidence.sound import STEP_SECONDS, SoundFacts, read_sound
from shared.faces.stream import FollowConfig, follow
from shared.plots import FAKE_COLOR, INK, REAL_COLOR, figure, png
from shared.results.scores import Evidence
from shared.sampling import evenly_spaced

_CLOSED = 0.55
_LEAST_FRAMES = 50
_BLINK_SECONDS, _BLINK_SAMPLES = 20.0, 100
_LAGS = np.arange(-25, 26) * STEP_SECONDS
_MOVES, _SPEECH_DB = 0.02, 6.0
_EARLY, _LATE, _SURE = -0.16, 0.24, 0.01
_STEP = 8


@dataclass(frozen=True)
class FollowedFace:
    """Landmarks of one face in successive frames: times (N,) in seconds, and landmarks (N, 68, 2)."""

    track: int
    seconds: np.ndarray
    landmarks: np.ndarray


def motion_evidence(material: Material) -> list[Found]:
    """Evidence from eyes, mouth and sound; of a still picture none."""
    sound = material.source.call(read_sound)
    results = [Found(sound_track(sound))]
    faces = followed_faces(material)
    results += [Found(blinks(material, faces)), Found(mouth(faces))] if faces else []
    if faces and sound.present:
        best = max(faces, key=lambda each: len(each.seconds))
        results.append(mouth_and_sound(best, sound, rounds=material.config.rounds, seed=material.seed))
    return results


def followed_faces(material: Material) -> list[FollowedFace]:
    """The faces that are seen in at least 50 of the successive frames in which most scored faces lie."""
    frames = np.array(sorted(score.frame for score in material.scores))
    most = material.config.landmark_frames
    if material.finder is None or len(frames) < 2 or most < _LEAST_FRAMES:
        return []
    inside = np.searchsorted(frames, frames + most) - np.arange(len(frames))
    start = int(frames[int(np.argmax(inside))])
    points: dict[int, list[tuple[float, np.ndarray]]] = {}
    with material.source.reader() as reader:
        settings = FollowConfig(detect_every=_STEP, max_faces=4)
        for frame, faces in follow(reader.frames(start=start, stop=start + most), material.finder, settings):
            for face in faces:
                if face.track is not None:
                    points.setdefault(face.track, []).append((frame.time.seconds, face.landmarks))
    return [
        FollowedFace(
            track, np.array([each[0] for each in rows]), np.stack([each[1] for each in rows]).astype(np.float64)
        )
        for track, rows in sorted(points.items())
        if len(rows) >= _LEAST_FRAMES
    ]


def blinks(material: Material, faces: list[FollowedFace]) -> Evidence:
    """Evidence from the eyes: how often and for which share of the time they are closed."""
    details: Details = {}
    for face in faces:
        closed = closed_eyes(eye_opening(face.landmarks))
        count = int((np.diff(closed.astype(int), prepend=0) == 1).sum())
        length = float(np.ptp(face.seconds))
        details[f"face {face.track}, successive frames"] = f"closed {count} times in {length:.1f} s"
    rows = [score for score in material.scores if score.landmarks is not None]
    tracks = {score.track for score in rows}
    longest = max(sorted(tracks), key=lambda track: sum(score.track == track for score in rows))
    mine = sorted((score for score in rows if score.track == longest), key=lambda score: score.frame)
    closed = closed_eyes(eye_opening(np.stack([score.landmarks for score in mine if score.landmarks is not None])))
    length, share = mine[-1].seconds - mine[0].seconds, float(closed.mean())
    details[f"face {longest}, over the file"] = f"closed in {closed.sum()} of {len(closed)} frames, {length:.1f} s"
    enough = length >= _BLINK_SECONDS and len(closed) >= _BLINK_SAMPLES
    return Evidence(
        "eyes",
        f"the eyes of face {longest} are closed in {100 * share:.1f} % of {len(closed)} frames"
        + ("" if enough else "; too short to compare"),
        details,
        limits=(
            "People blink from twice to forty times a minute, less when they read or look at a screen; glasses, small "
            "faces and looking down spoil the landmarks, and forgers know of blinks."
        ),
        value=rounded(share),
        reference=f"closed at least once in {_BLINK_SECONDS:g} s, and open for half of the time",
        odd=(share == 0 or share > 0.5) if enough else None,
    )


def closed_eyes(opening: np.ndarray) -> np.ndarray:
    """(N,) bool: whether the eyes are closed: their opening is below 55 % of its 90th percentile."""
    return opening < _CLOSED * np.quantile(opening, 0.9)


def mouth(faces: list[FollowedFace]) -> Evidence:
    """Evidence from the mouth: how much it moves."""
    details: Details = {}
    spreads = []
    for face in faces:
        opening = mouth_opening(face.landmarks)
        spreads.append(float(opening.std()))
        low, high = np.quantile(opening, (0.05, 0.95))
        details[f"face {face.track}"] = f"opening {low:.2f} to {high:.2f} of the eyes' distance, {len(opening)} frames"
    value = max(spreads)
    return Evidence(
        "mouth",
        f"the mouth {'moves' if value >= _MOVES else 'hardly moves'} (spread {value:.3f} of the eyes' distance)",
        details,
        limits="Landmarks jitter by about a pixel, and a beard or a hand hides the lips.",
        value=rounded(value),
    )


def sound_track(sound: SoundFacts) -> Evidence:
    """Evidence that there is sound, and how loud it is."""
    name = "sound"
    limits = "Sound can be removed or replaced without a trace in the pictures; absent sound says nothing."
    if not sound.present:
        return Evidence(
            name, "there is no sound that can be decoded", {"reading": sound.stopped or None}, limits=limits
        )
    levels = np.array(sound.level_db) if sound.level_db else np.full(1, -90.0)
    details: Details = {
        "rate (Hz)": sound.rate,
        "channels": sound.channels,
        "begins at (s)": rounded(sound.start_seconds),
        "seconds": rounded(len(levels) * STEP_SECONDS, 2),
        "level, 10 % to 90 % (dB)": f"{np.quantile(levels, 0.1):.0f} to {np.quantile(levels, 0.9):.0f}",
        "wholly silent": rounded(float((levels <= -89).mean())),
        "reading": sound.stopped or "to its end",
    }
    told = f"{len(levels) * STEP_SECONDS:.1f} s of sound, median level {np.median(levels):.0f} dB"
    return Evidence(name, told, details, limits=limits, value=rounded(float(np.median(levels)), 1))


def mouth_and_sound(face: FollowedFace, sound: SoundFacts, *, rounds: int, seed: int) -> Found:
    """Evidence from the opening of the mouth against the energy of the sound: best lag, correlation, p-value.

    The p-value is the share of circular shifts of the sound by more than a second whose best correlation, over the same
    lags, is as high.
    """
    name = "mouth against sound"
    opening = mouth_opening(face.landmarks)
    times, energy = face.seconds, np.array(sound.level_db)
    clock = sound.start_seconds + (np.arange(len(energy)) + 0.5) * STEP_SECONDS
    heard = energy[(clock >= times[0]) & (clock <= times[-1])]
    limits = (
        "Music, other voices, off-screen speech, dubbing and noise leave a mouth without its sound in honest files; a "
        "lag of a few frames is common after conversion. Many sounds are made with a closed mouth."
    )
    reference = f"{rounds} circular shifts of the same sound; in step from {_EARLY:g} to {_LATE:g} s"
    if len(heard) < 2 / STEP_SECONDS or np.ptp(times) < 2:
        return Found(Evidence(name, "too short to compare", {}, limits=limits, reference=reference))
    curve = lag_curve(times, opening, clock, energy)
    best = int(np.argmax(curve))
    correlation, lag = float(curve[best]), float(_LAGS[best])
    p = _shifted_p(times, opening, clock, energy, correlation, rounds=rounds, seed=seed)
    spread, dynamic = float(opening.std()), float(np.quantile(heard, 0.9) - np.quantile(heard, 0.3))
    details: Details = {
        "face": face.track,
        "frames": len(times),
        "correlation": rounded(correlation),
        "lag of the sound (s)": rounded(lag, 2),
        "p": rounded(p, 4),
        "spread of the mouth": rounded(spread),
        "range of the sound (dB)": rounded(dynamic, 1),
    }
    comparable = spread >= _MOVES and dynamic >= _SPEECH_DB
    in_step = p <= _SURE and _EARLY <= lag <= _LATE
    shifted = p <= _SURE and not in_step
    if not comparable:
        told = "the mouth or the sound hardly changes: nothing to compare"
    elif in_step:
        told = f"mouth and sound go together (correlation {correlation:.2f}, lag {lag:+.2f} s, p {p:.3f})"
    elif shifted:
        told = f"the sound follows the mouth at a lag of {lag:+.2f} s (correlation {correlation:.2f}, p {p:.3f})"
    else:
        told = f"no relation between mouth and sound shows (correlation {correlation:.2f}, p {p:.3f})"
    evidence = Evidence(
        name, told, details, limits=limits, value=rounded(correlation), reference=reference,
        odd=shifted if comparable else None,
    )  # fmt: skip
    plotted = Picture("mouth-and-sound", "Opening of the mouth and level of the sound over time, correlation by lag",
                      sync_plot(times, opening, clock, energy, curve))  # fmt: skip
    return found(evidence, plotted)


def lag_curve(times: np.ndarray, opening: np.ndarray, clock: np.ndarray, energy: np.ndarray) -> np.ndarray:
    """(51,) correlation of mouth and sound, the sound read 0.5 s earlier to 0.5 s later; slow changes removed."""
    mouth_part = _without_slow(opening)
    found_at = []
    for lag in _LAGS:
        sound_part = _without_slow(np.interp(times + lag, clock, energy))
        scale = float(mouth_part.std() * sound_part.std())
        found_at.append(float((mouth_part * sound_part).mean()) / scale if scale > 1e-12 else 0.0)
    return np.array(found_at)


def _without_slow(values: np.ndarray, width: int = 51) -> np.ndarray:
    width = min(width, len(values) // 2 * 2 - 1)
    smooth = np.convolve(np.pad(values, width // 2, mode="reflect"), np.ones(width) / width, mode="valid")
    return values - smooth - float((values - smooth).mean())


def _shifted_p(
    times: np.ndarray,
    opening: np.ndarray,
    clock: np.ndarray,
    energy: np.ndarray,
    seen: float,
    *,
    rounds: int,
    seed: int,
) -> float:
    """The share of circular shifts of the sound whose best correlation is at least ``seen``."""
    margin = float(_LAGS[-1])
    first, last = np.searchsorted(clock, (times[0] - margin, times[-1] + margin))
    part, its_clock = energy[first:last], clock[first:last]
    least = int(1 / STEP_SECONDS)
    if len(part) < 3 * least:
        return 1.0
    possible = len(part) - 2 * least
    count = min(rounds, possible)
    offset = int(np.random.default_rng(seed).integers(0, max(1, possible // count)))
    shifts = [least + offset + place for place in evenly_spaced(possible, count)]
    higher = sum(float(lag_curve(times, opening, its_clock, np.roll(part, shift)).max()) >= seen for shift in shifts)
    return (1 + higher) / (1 + len(shifts))


def sync_plot(
    times: np.ndarray, opening: np.ndarray, clock: np.ndarray, energy: np.ndarray, curve: np.ndarray
) -> bytes:
    """PNG: mouth and sound over time, and their correlation over lag."""
    inside = (clock >= times[0]) & (clock <= times[-1])
    with figure(9.2, 2.7) as plot:
        left, right = plot.subplots(1, 2, width_ratios=(3, 1))
        left.plot(times, opening, color=REAL_COLOR, linewidth=1.1)
        left.set_ylabel("opening of the mouth", color=REAL_COLOR)
        left.set_xlabel("seconds")
        other = left.twinx()
        other.plot(clock[inside], energy[inside], color=FAKE_COLOR, linewidth=0.8)
        other.set_ylabel("level of the sound (dB)", color=FAKE_COLOR)
        other.grid(visible=False)
        right.plot(_LAGS, curve, color=INK, linewidth=1.1)
        right.axvspan(_EARLY, _LATE, color="#eceff2", linewidth=0)
        right.set_xlabel("lag of the sound (s)")
        right.set_title("correlation")
        return png(plot)
