"""Evidence from the imperceptible marks of a file, in the picture and in the sound."""

from __future__ import annotations

from collections.abc import Sequence

from detect.inspection.evidence.found import SAYS_FAKE
from shared.errors import MediaError
from shared.marking.files import read_marks
from shared.marking.payload import FAKE_KINDS
from shared.marking.reading import FALSE_ALARM_RATE, MarkReading
from shared.results.scores import Evidence
from shared.video.child import Child, ChildError, NoChild

_LIMITS = (
    "A mark that is not read proves nothing: most media never had one, and strong compression or somebody's effort "
    "removes it. Only marks of this program are looked for. Their key is public, so a mark can be put on any picture: "
    "it says that the program, or somebody who imitates it, handled the file."
)


def mark_evidence(source: Child | NoChild) -> list[Evidence]:
    """Evidence from the picture mark, and from the sound mark if there is sound."""
    try:
        found = source.call(read_marks)
    except MediaError as error:
        cause = error.cause if isinstance(error, ChildError) else str(error)
        return [Evidence(_name("picture"), f"could not be read, because {cause}", {"read": None}, limits=_LIMITS)]
    layers = (("picture", found.picture), ("sound", found.sound))
    return [_evidence(name, reading) for name, reading in layers if reading is not None]


def layers_read(evidence: Sequence[Evidence]) -> list[str]:
    """The layers, "picture" or "sound", that could be looked at for a mark."""
    looked = {each.name for each in evidence if each.details.get("read") is not None}
    return [layer for layer in ("picture", "sound") if _name(layer) in looked]


def _evidence(name: str, reading: MarkReading) -> Evidence:
    details: dict[str, str | int | float | bool | None] = {
        "read": reading.found,
        "statistic": round(reading.statistic, 2),
        "threshold": round(reading.threshold, 2),
        "false alarms at that threshold, at most": FALSE_ALARM_RATE,
    }
    if reading.payload is None:
        return Evidence(_name(name), "none was read", details, limits=_LIMITS)
    fake = reading.payload.kind in FAKE_KINDS
    details |= {
        SAYS_FAKE: fake,
        "payload": reading.payload.text,
        "kind": reading.payload.kind,
        "record": reading.payload.record,
        "bits corrected": f"{100 * (reading.bit_error_rate or 0):.1f} %",
        "scale": None if reading.scale is None else round(reading.scale, 3),
        "mirrored": reading.mirrored,
    }
    told = f"marked as {reading.payload.kind}{': it says that a model had a hand in the file' if fake else ''}"
    return Evidence(_name(name), told, details, limits=_LIMITS, reference="no mark of a fake", odd=fake)


def _name(layer: str) -> str:
    return f"imperceptible mark ({layer})"
