"""Results of an audit, as written to ``audit.json``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from shared.dataset.audit.areas import AreaEstimate
from shared.dataset.audit.identities import IdentityFindings

Verdict = Literal["shortcut", "none found", "undecided", "too few to judge", "not measured", "signal"]

WHOLE = "all clips"


@dataclass(frozen=True)
class ProbeFinding:
    """How well one probe separates the classes in one part of the set.

    Attributes:
        probe, title: name of the probe, and its title.
        part: ``"all clips"``, a rendition, or ``"self-swaps"``.
        area: under the ROC curve; None where it could not be measured.
        low, high: 95 % interval over groups of people.
        num_real, num_fake, groups: number of tested clips and groups.
        verdict: "shortcut" (the interval is above the limit), "none found" (it includes 0.5, or the area is within the
            limit), "undecided" (between the two: more people are needed), "too few to judge", "not measured"; "signal"
            for the face, which should separate them.
        telling: features that separate the classes on their own.
        advice: how to remove a shortcut; else empty.
        note: why it was not measured, or how many clips lack the feature.
    """

    probe: str
    title: str
    part: str
    area: float | None
    low: float | None
    high: float | None
    num_real: int
    num_fake: int
    groups: int
    verdict: Verdict
    telling: tuple[str, ...] = ()
    advice: str = ""
    note: str = ""


@dataclass(frozen=True)
class DuplicatePair:
    """Two clips of different splits with similar pictures."""

    first: str
    second: str
    pictures: int
    bits: int
    splits: tuple[str, str]


@dataclass(frozen=True)
class AuditReport:
    """The result of an audit.

    Attributes:
        method: how the probes were trained and tested.
        faces: origin of the face boxes.
        findings: each probe on all clips, then on each rendition, then on self-swaps.
        shortcuts: a sentence for each, with its area.
        leaks: a sentence for each pair of clips that puts a person, file, parent (by the manifest) or picture (by its
            similarity) into two splits.
        questions: a sentence for each two people with similar faces, who may be one person.
        unread: clips that could not be read, with the reason.
        settings: of the audit.
        manifest_sha256: of the set's manifest when the audit began; "" in older reports.
    """

    dataset: str
    clips: int
    method: str
    faces: str
    findings: tuple[ProbeFinding, ...]
    identities: IdentityFindings
    duplicates: tuple[DuplicatePair, ...]
    shortcuts: tuple[str, ...]
    leaks: tuple[str, ...]
    questions: tuple[str, ...] = ()
    unread: dict[str, str] = field(default_factory=dict)
    settings: dict[str, object] = field(default_factory=dict)
    tool_version: str = ""
    manifest_sha256: str = ""

    @property
    def clean(self) -> bool:
        """Whether there is no shortcut and no leak."""
        return not self.shortcuts and not self.leaks

    def of(self, probe: str, part: str = WHOLE) -> ProbeFinding:
        """The finding of one probe.

        Raises:
            KeyError: there is none.
        """
        for finding in self.findings:
            if (finding.probe, finding.part) == (probe, part):
                return finding
        raise KeyError(f"{probe}, {part}")


@dataclass(frozen=True, eq=False)
class Curve:
    """Scores of a finding on all clips, for its ROC curve.

    Convention:
        labels: (N,) bool; ranks: (N,) share of the clips of the same fold with a lower score, ties count half
    """

    probe: str
    title: str
    labels: np.ndarray
    ranks: np.ndarray


def verdict_for(estimate: AreaEstimate | None, *, is_face: bool, limit: float, min_groups: int) -> Verdict:
    """The verdict for an area and its interval; see :class:`ProbeFinding`."""
    if estimate is None:
        return "not measured"
    if estimate.low is None or estimate.clusters < min_groups:
        return "too few to judge"
    if is_face:
        return "signal"
    if estimate.low > limit:
        return "shortcut"
    return "none found" if estimate.low <= 0.5 or estimate.value <= limit else "undecided"
