"""Evidence from landmarks over time: eyes and mouth; and the sound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detect.inspection.evidence.found import Details, Found, Material, rounded
from detect.inspection.evidence.measures import eye_opening, mouth_opening
from detect.inspection.evidence.mouth_sound import MOVES, MouthTrack, mouth_and_sound
from detect.inspection.evidence.sound import STEP_SECONDS, SoundFacts, sound_facts
from shared.faces.stream import FollowConfig, follow
from shared.results.scores import Evidence

_CLOSED = 0.55
_LEAST_FRAMES = 50
_BLINK_SECONDS, _BLINK_SAMPLES = 20.0, 100
_STEP = 8


@dataclass(frozen=True)
class FollowedFace:
    """Landmarks of one face in successive frames: times (N,) in seconds, and landmarks (N, 68, 2)."""

    track: int
    seconds: np.ndarray
    landmarks: np.ndarray


def motion_evidence(material: Material) -> list[Found]:
    """Evidence from eyes, mouth and sound."""
    sound = material.source.call(sound_facts)
    results = [Found(sound_track(sound))]
    faces = followed_faces(material)
    results += [Found(blinks(material, faces)), Found(mouth(faces))] if faces else []
    if faces and sound.present:
        best = max(faces, key=lambda each: len(each.seconds))
        results.append(mouth_and_sound(MouthTrack.of(best.track, best.seconds, best.landmarks), sound))
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
        f"the mouth {'moves' if value >= MOVES else 'hardly moves'} (spread {value:.3f} of the eyes' distance)",
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
