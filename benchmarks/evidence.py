"""How often the evidence without training differs from its reference, on real files and on fakes; and that reference.

The faces of files in the table itself are compared with the table without that file.
"""

from __future__ import annotations

import csv
import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.schema import Measurement
from detect.inspection.evidence.collect import METHODS
from detect.inspection.evidence.container import container_evidence, still_evidence
from detect.inspection.evidence.faces import NAMES, MeasuredTrack, compare, face_evidence, measure_tracks, medians
from detect.inspection.evidence.found import EvidenceConfig, Material
from detect.inspection.evidence.measures import MEASURES, FaceMeasures
from detect.inspection.evidence.provenance import provenance_evidence
from detect.inspection.evidence.reference import Reference, Spread
from detect.scoring.video import suspect_id
from shared.console import console
from shared.errors import AssayError, MediaError, UsageError
from shared.faces.finders.finder import FaceFinder, make_finder
from shared.faces.stream import FollowConfig, follow
from shared.results.scores import Evidence, FrameScore
from shared.sampling import evenly_spaced
from shared.storage import read_json, write_bytes
from shared.video.child import NoChild
from shared.video.container import VIDEO_SUFFIXES
from shared.video.images import SUFFIXES, is_still, picture_info

_MIN_PX = 48.0
_FRAMES = 12
_CONFIG = EvidenceConfig(faces=_FRAMES, landmark_frames=100, rounds=200)
TABLE = {
    "video_grid": "video_grid/*",
    "video_portrait": "video_portrait/*",
    "video_more": "video_more/*",
    "london": "real_faces/**/london_*",
    "canada": "real_faces/**/canada_*",
    "congress": "real_faces/**/uscongress118_*",
}
"""Material of the table: clips, and photographs of signed consent or in the public domain."""
REAL, OTHER_REAL, OTHER_FAKE, OWN_FAKE, CASES = (
    "real, in the table", "other real", "fakes of others", "fakes by Assay", "odd files",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """What was found in one file.

    Attributes:
        file: its name.
        group: of files that are counted together.
        still: whether it is a picture.
        odd: for each finding, whether it differs from its reference; None where there is nothing to compare.
        tracks: measures of the faces by track.
        error: why the file could not be read; empty if it could.
    """

    file: str
    group: str
    still: bool = False
    odd: dict[str, bool | None] = field(default_factory=dict)
    tracks: dict[str, tuple[FaceMeasures, ...]] = field(default_factory=dict)
    error: str = ""

    @property
    def kind(self) -> str:
        """Kind of file in the reference."""
        return "still" if self.still else "video"

    def measured(self) -> dict[int, MeasuredTrack]:
        """The measured tracks, without their spectra."""
        return {int(name): MeasuredTrack(faces, np.zeros(1)) for name, faces in self.tracks.items()}


def table_files(media: Path, each: int) -> list[tuple[str, Path]]:
    """Set and path of the material of the table, with at most ``each`` files of a set, evenly spaced.

    Raises:
        UsageError: there is none.
    """
    found: list[tuple[str, Path]] = []
    for name, pattern in TABLE.items():
        files = sorted(path for path in media.glob(pattern) if path.suffix.lower() in (*VIDEO_SUFFIXES, *SUFFIXES))
        found += [(name, path) for path in spread_over(files, each)]
    if not found:
        raise UsageError(f"{media} has none of {', '.join(TABLE)}", hint="name the folder of real material")
    return found


def spread_over(files: Sequence[Path], most: int) -> list[Path]:
    """At most ``most`` of ``files``, evenly spaced."""
    return [files[place] for place in sorted(set(evenly_spaced(len(files), min(most, len(files)))))] if files else []


def examined(
    files: Sequence[tuple[str, Path]], *, finder: str, cache: Path | None, faces_only: bool = False
) -> list[Row]:
    """A row for each file of a group; rows in the file ``cache`` (numbers only) are used again and added to.

    Sets take turns, so that a run that is stopped has a part of each. With ``faces_only`` only faces are measured.
    """
    known: dict[str, Row] = {}
    if cache is not None and cache.is_file():
        known = read_json(cache, dict[str, Row], error=UsageError, hint="remove it")
    made = make_finder(finder, device="cpu")
    keys = [f"{group}/{path.parent.name}/{path.name}{' (faces)' * faces_only}" for group, path in files]
    turns: dict[str, int] = defaultdict(int)
    places: list[tuple[int, int]] = []
    for place, (group, _) in enumerate(files):
        places.append((turns[group], place))
        turns[group] += 1
    for _, place in console.track(sorted(places), "examining", len(places), unit="file"):
        group, path = files[place]
        if keys[place] not in known:
            known[keys[place]] = _row(path, group, made, faces_only=faces_only)
            if cache is not None:
                write_bytes(cache, msgspec.json.encode(known))
    return [known[key] for key in keys]


def _row(path: Path, group: str, finder: FaceFinder, *, faces_only: bool) -> Row:
    name = f"{path.parent.name}/{path.name}"
    try:
        with NoChild(path) as source:
            still = source.call(is_still)
            if still:
                info, stated = source.call(picture_info), source.call(still_evidence)
            elif faces_only:
                info, stated = source.reader().info, []
            else:
                info, stated = container_evidence(source, source.reader())
            frames = info.frames_counted or info.frames_declared or 250
            scores = _faces(source, still, frames, finder, path)
            material = Material(path, source, still, info, scores, finder, _CONFIG)
            tracks = measure_tracks(material)
            stated += [] if faces_only else [provenance_evidence(source), *_found(material)]
    except AssayError as error:
        return Row(name, group, error=str(error)[:200])
    return Row(
        name,
        group,
        still,
        {each.name: each.odd for each in stated},
        {str(track): each.faces for track, each in tracks.items()},
    )


def _found(material: Material) -> list[Evidence]:
    """The findings of all methods but those on faces, which are compared later."""
    found: list[Evidence] = []
    for method in METHODS:
        if method.run is face_evidence or not (method.still if material.still else method.video):
            continue
        try:
            found += [each.evidence for each in method.run(material)]
        except MediaError:
            continue
    return found


def _faces(source: NoChild, still: bool, frames: int, finder: FaceFinder, path: Path) -> tuple[FrameScore, ...]:
    """The faces of at most about 12 frames, evenly spaced, as scores without a detector."""
    step = max(1, frames // _FRAMES)
    scores: list[FrameScore] = []
    with source.reader(still=still) as reader:
        settings = FollowConfig(detect_every=1, min_face_px=_MIN_PX, max_faces=8)
        for frame, faces in follow(reader.frames(step=step), finder, settings):
            for face in faces:
                x0, y0, x1, y1 = (float(side) for side in face.box)
                track = -1 if face.track is None else face.track
                place = (frame.index, frame.time.seconds, track)
                scores.append(FrameScore(suspect_id(path), *place, 0.0, (x0, y0, x1, y1), face.landmarks))
    return tuple(scores)


def reference_of(rows: Sequence[Row]) -> Reference:
    """The table of real material: for each kind of file and measure the spread of the medians of files."""
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        tracks = list(row.measured().values())
        for name in MEASURES if tracks else ():
            values[row.kind][name].append(medians(tracks, name))
    counts = {name: sum(row.group == name and bool(row.tracks) for row in rows) for name in TABLE}
    spreads = {
        kind: {name: Spread.of(each) for name, each in named.items() if len(each) >= 2}
        for kind, named in values.items()
    }
    return Reference(counts, spreads)


def with_faces(rows: Sequence[Row], table: Sequence[Row]) -> list[Row]:
    """The rows with the findings on faces, each compared with the table without its own file."""
    whole = reference_of(table)
    own = {id(row) for row in table}
    done = []
    for row in rows:
        spreads = reference_of([each for each in table if each is not row]) if id(row) in own else whole
        tracks = row.measured()
        faces = {
            NAMES[name]: compare(name, tracks, spreads.of(row.kind, name), still=row.still).odd
            for name in (MEASURES if tracks else ())
        }
        done.append(dataclasses.replace(row, odd=row.odd | faces))
    return done


def rates(rows: Sequence[Row]) -> dict[str, dict[str, tuple[int, int]]]:
    """For each finding and group: number of files that differ, and of files that could be compared."""
    counts: dict[str, dict[str, tuple[int, int]]] = defaultdict(dict)
    for row in rows:
        for name, odd in row.odd.items():
            if odd is not None:
                seen, number = counts[name].get(row.group, (0, 0))
                counts[name][row.group] = (seen + int(odd), number + 1)
    return dict(counts)


def measurements(counts: Mapping[str, Mapping[str, tuple[int, int]]]) -> list[Measurement]:
    """The share of files that differ, for each finding and group."""
    return [
        Measurement.of(f"{name}: {group}", "share", [odd / number], better="lower", note=f"{odd} of {number}")
        for name, groups in counts.items()
        for group, (odd, number) in groups.items()
        if number
    ]


def other_files(media: Path, fakes: Sequence[Path], each: int) -> list[tuple[str, Path]]:
    """Group and path of files that are not in the table: ``outside/`` by its index, ``cases/``, and fakes by Assay.

    At most ``each`` files of a group, evenly spaced.
    """
    found: list[tuple[str, Path]] = []
    index = media / "outside" / "index.csv"
    if index.is_file():
        with index.open(encoding="utf-8", newline="") as file:
            for line in csv.DictReader(file):
                group = OTHER_REAL if line["label"] == "real" else OTHER_FAKE
                found.append((group, media / "outside" / line["path"]))
    for group, folders in ((CASES, [media / "cases"]), (OWN_FAKE, fakes)):
        for folder in folders:
            paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (*VIDEO_SUFFIXES, *SUFFIXES))
            found += [(group, path) for path in paths]
    groups: dict[str, list[Path]] = defaultdict(list)
    for group, path in found:
        if path.is_file():
            groups[group].append(path)
    return [(group, path) for group, paths in groups.items() for path in spread_over(paths, each)]


def grouped(rows: Sequence[Row]) -> list[Row]:
    """The rows with groups that say the kind of file too; the sets of the table are one group."""
    return [
        dataclasses.replace(
            row, group=f"{'pictures' if row.still else 'clips'}, {REAL if row.group in TABLE else row.group}"
        )
        for row in rows
    ]
