"""Evidence from each face against its surroundings, other faces of the file, and a table of real material."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from detect.inspection.evidence.found import Details, Found, Material, Picture, found, rounded, tracks_of
from detect.inspection.evidence.measures import MEASURES, FaceMeasures, face_profile, measure_face
from detect.inspection.evidence.reference import LEAST_FILES, LIMIT, Reference, Spread, reference
from shared.plots import FAINT, GRID, INK, figure, png
from shared.results.scores import Evidence, FrameScore
from shared.sampling import evenly_spaced

NAMES = {
    "noise": "noise in the face",
    "sharpness": "sharpness of the face",
    "colour": "colour of cheeks and forehead",
    "spectrum": "spectrum of the face",
}
_LEAST_FACES = 5
_COLOURS = ("#1f5fa8", "#b3541e", "#2c7a4b", "#7a3e93", "#8a6d1d", "#a02c4a", "#6b7683", "#a3231f")
_WHAT = {
    "noise": ("log2 of the noise inside the face over that around it", "Beards, make-up, hair, focus and compression"),
    "sharpness": (
        "log2 of fine over coarse detail, inside minus around",
        "Focus on the face, a soft or busy background, beauty filters and compression",
    ),
    "colour": ("distance of cheeks and forehead in a and b of CIE Lab", "Make-up, coloured light, hair and sunburn"),
    "spectrum": ("slope of the log power spectrum over log frequency", "Focus, scaling, filters and compression"),
}


@dataclass(frozen=True)
class MeasuredTrack:
    """The measures of one track's faces, in order of time, and the mean spectrum of these faces."""

    faces: tuple[FaceMeasures, ...]
    profile: np.ndarray

    def values(self, name: str) -> np.ndarray:
        """(N,) float64: the measure of that name for each face."""
        return np.array([face.of(name) for face in self.faces], np.float64)


def face_evidence(material: Material) -> list[Found]:
    """Evidence from the measures of every track; empty without scored faces."""
    tracks = measure_tracks(material)
    if not tracks:
        return []
    kind = "still" if material.still else "video"
    table = reference()
    picture = Picture("face-measures", _alt(tracks), measures_plot(tracks, table, kind))
    results = [compare(name, tracks, table.of(kind, name), still=material.still) for name in MEASURES]
    return [found(results[0], picture), *(Found(each) for each in results[1:])]


def measure_tracks(material: Material) -> dict[int, MeasuredTrack]:
    """Measures of an even choice of each track's scored faces; tracks without a usable face are left out."""
    chosen: dict[int, list[FrameScore]] = {}
    for scores in tracks_of(material.scores, material.config.tracks).values():
        for place in sorted(set(evenly_spaced(len(scores), min(len(scores), material.config.faces)))):
            chosen.setdefault(scores[place].frame, []).append(scores[place])
    measured: dict[int, list[FaceMeasures]] = {}
    profiles: dict[int, list[np.ndarray]] = {}
    if not chosen:
        return {}
    with material.source.reader(still=material.still) as reader:
        for frame in reader.picked(chosen.keys()):
            luma = cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY)
            for score in chosen[frame.index]:
                if score.landmarks is None:
                    continue
                landmarks = score.landmarks.astype(np.float64)
                face = measure_face(frame.image, landmarks)
                if face is not None:
                    measured.setdefault(score.track, []).append(face)
                    profiles.setdefault(score.track, []).append(face_profile(luma, landmarks))
    return {
        track: MeasuredTrack(tuple(faces), np.mean(profiles[track], axis=0))
        for track, faces in sorted(measured.items())
    }


def compare(name: str, tracks: Mapping[int, MeasuredTrack], spread: Spread | None, *, still: bool) -> Evidence:
    """One measure of all tracks against real material, and of each track against the others of the file."""
    what, reasons = _WHAT[name]
    medians = {track: float(np.median(each.values(name))) for track, each in tracks.items()}
    details: Details = {}
    for track, each in tracks.items():
        values = each.values(name)
        low, high = np.quantile(values, (0.1, 0.9))
        details[f"face {track}"] = (
            f"median {medians[track]:+.2f}, 10 % to 90 % {low:+.2f} to {high:+.2f}, {len(values)} frames"
        )
    limits = f"{reasons} change it too; it says that a face differs, not why."
    if spread is None or spread.count < LEAST_FILES:
        reason = f"only {spread.count} real files were measured" if spread else "no real files were measured"
        return Evidence(NAMES[name], f"{what}: {reason}, too few to compare with", details, limits=limits)
    least = 1 if still else _LEAST_FACES
    usable = {track: median for track, median in medians.items() if len(tracks[track].faces) >= least}
    far = {track: spread.distance(median) for track, median in usable.items()}
    apart = _apart(usable, spread)
    odd = sorted({track for track, each in far.items() if abs(each) >= LIMIT} | apart.keys())
    for track, each in far.items():
        details[f"face {track} against real files"] = f"{each:+.1f} deviations"
    for track, each in apart.items():
        details[f"face {track} against the other faces"] = f"{each:+.1f} deviations"
    worst = max(far, key=lambda track: abs(far[track])) if far else None
    if worst is None:
        told = f"{what}: too few faces that are large enough"
    elif odd:
        told = f"{what}: face {', '.join(map(str, odd))} differs from {'real files' if not apart else 'the rest'}"
        told += f" ({medians[odd[0]]:+.2f})"
    else:
        told = f"{what}: {medians[worst]:+.2f}, as in real files"
    return Evidence(
        NAMES[name],
        told,
        details,
        limits=limits,
        value=None if worst is None else rounded(medians[odd[0] if odd else worst]),
        reference=f"{spread.words()}; odd from {LIMIT:g} deviations",
        odd=None if worst is None else bool(odd),
    )


def _apart(medians: Mapping[int, float], spread: Spread) -> dict[int, float]:
    """Tracks whose median lies :data:`LIMIT` deviations from that of the other tracks, with the distance.

    The difference of two faces has a deviation larger by the square root of two. With two faces both differ, so only
    the one that is farther from real material is named.
    """
    distances: dict[int, float] = {}
    for track, median in medians.items():
        others = [each for other, each in medians.items() if other != track]
        if others:
            distances[track] = (median - float(np.median(others))) / (spread.deviation * np.sqrt(2))
    odd = {track: each for track, each in distances.items() if abs(each) >= LIMIT}
    if len(medians) == 2 and len(odd) == 2:
        farther = max(odd, key=lambda track: abs(spread.distance(medians[track])))
        odd = {farther: odd[farther]}
    return odd


def _alt(tracks: Mapping[int, MeasuredTrack]) -> str:
    return (
        f"Noise, sharpness, colour and spectrum of {len(tracks)} faces: each dot is a frame, the grey band holds real "
        "material; last, the mean spectrum of each face"
    )


def measures_plot(tracks: Mapping[int, MeasuredTrack], table: Reference, kind: str) -> bytes:
    """PNG: one panel a measure with a dot a frame and the band of real material; last the mean spectra."""
    with figure(9.2, 2.7) as plot:
        panels = plot.subplots(1, len(MEASURES) + 1)
        for axis, name in zip(panels, MEASURES, strict=False):
            _plot_measure(axis, name, tracks, table.of(kind, name))
        for place, (track, each) in enumerate(tracks.items()):
            frequency = (np.arange(len(each.profile)) + 0.5) / (2 * len(each.profile))
            panels[-1].plot(frequency, each.profile, color=_colour(place), linewidth=1.1, label=f"face {track}")
        panels[-1].set_title("spectrum (log10)")
        panels[-1].set_xlabel("cycles a pixel")
        panels[-1].legend(loc="upper right")
        return png(plot)


def _plot_measure(axis, name: str, tracks: Mapping[int, MeasuredTrack], spread: Spread | None) -> None:  # noqa: ANN001
    if spread is not None and spread.count >= LEAST_FILES:
        reach = LIMIT * spread.deviation
        axis.axhspan(spread.median - reach, spread.median + reach, color=GRID, linewidth=0)
        axis.axhline(spread.median, color=FAINT, linewidth=0.9)
    for place, each in enumerate(tracks.values()):
        values = each.values(name)
        axis.plot(place + np.linspace(-0.3, 0.3, len(values)), values, ".", color=_colour(place), markersize=3)
        axis.plot([place - 0.32, place + 0.32], [np.median(values)] * 2, color=INK, linewidth=1.1)
    axis.set_xticks(range(len(tracks)), [f"face {track}" for track in tracks], rotation=45 if len(tracks) > 3 else 0)
    axis.set_xlim(-0.6, len(tracks) - 0.4)
    axis.set_title(name)


def _colour(place: int) -> str:
    return _COLOURS[place % len(_COLOURS)]


def medians(tracks: Sequence[MeasuredTrack], name: str) -> float:
    """The median of a measure over the faces of all tracks, for the table of real material."""
    return float(np.median(np.concatenate([each.values(name) for each in tracks])))
