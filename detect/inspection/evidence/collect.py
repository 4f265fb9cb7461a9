"""The methods of evidence that need no training, and their run on one file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from detect.cases.log import StepLog
from detect.inspection.evidence.contradictions import contradiction_evidence
from detect.inspection.evidence.faces import face_evidence
from detect.inspection.evidence.found import Found, Material
from detect.inspection.evidence.frames import frame_evidence
from detect.inspection.evidence.motion import motion_evidence
from detect.inspection.evidence.stills import still_traces
from detect.inspection.evidence.stretches import stretch_evidence
from detect.inspection.evidence.tree import tree_evidence
from shared.errors import MediaError
from shared.results.scores import Evidence
from shared.video.child import ChildError


@dataclass(frozen=True)
class Method:
    """A group of findings that come from one pass over a file.

    Attributes:
        name: in the log.
        run: gives the findings; raises :class:`MediaError` where the file cannot be read that far.
        video, still: the kinds of files that it is for.
        decodes: whether it decodes the whole file anew, which is not tried after a decoder that died or hung.
    """

    name: str
    run: Callable[[Material], list[Found]]
    video: bool = True
    still: bool = True
    decodes: bool = False


METHODS: tuple[Method, ...] = (
    Method("structure of the file", tree_evidence),
    Method("contradictions in its statements", contradiction_evidence),
    Method("coding of the frames", frame_evidence, still=False, decodes=True),
    Method("traces of JPEG", still_traces, video=False),
    Method("faces against their surroundings", face_evidence),
    Method("stretches of the score", stretch_evidence, still=False),
    Method("eyes, mouth and sound", motion_evidence, still=False, decodes=True),
)


def collect(material: Material, log: StepLog) -> list[Found]:
    """The findings of all methods for this kind of file, in their order; a method that fails says so in a finding."""
    results: list[Found] = []
    for method in METHODS:
        if not (method.still if material.still else method.video):
            continue
        if method.decodes and material.stopped:
            told_why = f"not tried, because {material.stopped}"
            results.append(Found(Evidence(method.name, told_why, limits=_UNREAD)))
            continue
        with log.step(f"evidence: {method.name}") as told:
            try:
                new = method.run(material)
            except MediaError as error:
                cause = error.cause if isinstance(error, ChildError) else str(error)
                new = [Found(Evidence(method.name, f"could not be read, because {cause}", limits=_UNREAD))]
            told["findings"], told["odd"] = len(new), sum(bool(each.evidence.odd) for each in new)
        results += new
    return results


_UNREAD = "Damage and attack look alike here."
