"""Evidence from statements of a file that contradict one another, or its content."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from detect.inspection.evidence.found import Details, Found, Material
from detect.inspection.evidence.tree import read_tree
from shared.results.scores import Evidence
from shared.types import VideoInfo
from shared.video.picture_facts import picture_tags

_DATES = ("creationdate", "creation_time", "date", "datetimeoriginal", "datetimedigitized", "datetime")
_DATE = re.compile(r"(\d{4})[:-](\d{2})[:-](\d{2})[ T](\d{2}):(\d{2}):(\d{2})")
_PROGRAMS = re.compile(r"x26[45]|lav[fc]|handbrake|photoshop|premiere|gimp|capcut|after effects|davinci", re.IGNORECASE)
_APART = timedelta(hours=36)
_DURATION_SECONDS, _DURATION_SHARE = 0.5, 0.05
_LIMITS = (
    "Editors, messengers and conversions leave contradictions in honest files, and a forger can write fields that "
    "agree. A contradiction asks for an explanation, and no contradiction proves nothing."
)


def contradiction_evidence(material: Material) -> list[Found]:
    """Evidence from tags, the names of programs, sizes, dates and lengths."""
    tags = dict(material.source.call(picture_tags)) if material.still else tags_of(material.info)
    programs = material.source.call(read_tree).strings
    problems = contradictions(tags, material.info, programs, still=material.still)
    details: Details = {f"contradiction {number}": text for number, text in enumerate(problems, 1)}
    evidence = Evidence(
        "contradictions in its statements",
        "; ".join(problems) if problems else "none among camera, programs, dates, sizes and lengths",
        details,
        limits=_LIMITS,
        value=float(len(problems)),
        reference="statements that agree",
        odd=bool(problems),
    )
    return [Found(evidence)]


def tags_of(info: VideoInfo) -> dict[str, str]:
    """The tags of a video, those of the container before those of its streams, by name in lower case."""
    tags = {name.lower(): text for stream in reversed(info.streams) for name, text in stream.tags}
    return tags | {name.lower(): text for name, text in info.tags}


def contradictions(tags: Mapping[str, str], info: VideoInfo, programs: tuple[str, ...], *, still: bool) -> list[str]:
    """Statements that contradict one another, a sentence each."""
    found = [*_camera_and_program(tags, programs), *_dates_apart(tags)]
    return [*found, *(_stated_size(tags, info) if still else _length(info))]


def _camera_and_program(tags: Mapping[str, str], programs: tuple[str, ...]) -> list[str]:
    camera = next((text for name, text in tags.items() if name.rpartition(".")[2] == "model" and text.strip()), None)
    stated = [text for name, text in tags.items() if name.rpartition(".")[2] in ("software", "encoder", "handler_name")]
    program = next((text for text in (*stated, *programs) if _PROGRAMS.search(text)), None)
    return [f"it names the camera {camera}, but was written by {program}"] if camera and program else []


def _dates_apart(tags: Mapping[str, str]) -> list[str]:
    dates: dict[str, datetime] = {}
    for name, text in tags.items():
        match = _DATE.search(text) if name.rpartition(".")[2] in _DATES else None
        if match is None:
            continue
        try:
            year, month, day, *clock = (int(part) for part in match.groups())
            moment = datetime(year, month, day, clock[0], clock[1], clock[2])
        except ValueError:
            continue
        if moment.year > 1970:  # unset clocks
            dates[name] = moment
    if len(dates) < 2:
        return []
    first, last = min(dates, key=lambda name: dates[name]), max(dates, key=lambda name: dates[name])
    if dates[last] - dates[first] <= _APART:
        return []
    return [f"{first} says {dates[first]:%Y-%m-%d %H:%M}, {last} says {dates[last]:%Y-%m-%d %H:%M}"]


def _stated_size(tags: Mapping[str, str], info: VideoInfo) -> list[str]:
    sides = (tags.get("exif.exifimagewidth", ""), tags.get("exif.exifimageheight", ""))
    if not all(side.isascii() and side.isdigit() and len(side) < 7 for side in sides):
        return []
    stated = {int(side) for side in sides}
    if stated == {info.width, info.height} or not all(stated):
        return []
    return [f"EXIF states {sides[0]}x{sides[1]}, the picture has {info.width}x{info.height}"]


def _length(info: VideoInfo) -> list[str]:
    if not (info.duration_seconds and info.frame_rate and info.frames_counted):
        return []
    counted = info.frames_counted / float(info.frame_rate)
    apart = abs(counted - info.duration_seconds)
    if apart <= max(_DURATION_SECONDS, _DURATION_SHARE * info.duration_seconds):
        return []
    return [f"{info.duration_seconds:.2f} s are stated, and its {info.frames_counted} frames last {counted:.2f} s"]
