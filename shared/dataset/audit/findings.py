"""What an audit found, as values that go into ``audit.json`` as they are."""

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
    """How well one probe parts the classes in one part of the set.

    Attributes:
        probe, title: which; the face among them.
        part: ``"all clips"``, a rendition, or ``"self-swaps"``.
        area: under the ROC curve; None where it could not be measured.
        low, high: 95 % interval over groups of people.
        num_real, num_fake, groups: what it rests on: tested clips and groups.
        verdict: "shortcut" (the interval lies above the limit), "none found" (it reaches down to 0.5, or the area is
            within the limit), "undecided" (between the two: more people are needed), "too few to judge",
            "not measured"; "signal" for the face, which is meant to tell.
        telling: facts that part the classes by themselves.
        advice: what to do about a shortcut; else empty.
        note: why it was not measured, or how many clips showed nothing.
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
    """Two clips of different splits with pictures that look alike."""

    first: str
    second: str
    pictures: int
    bits: int
    splits: tuple[str, str]


@dataclass(frozen=True)
class AuditReport:
    """All that was found.

    Attributes:
        method: how the probes were trained and tested.
        faces: where the boxes of faces come from.
        findings: every probe on all clips, then on each rendition, then on self-swaps.
        shortcuts: in words, each with its area; empty is what one hopes for.
        leaks: what lies in two splits, in words, one for each pair of clips: a person, a file or a parent by the
            manifest, a picture by how alike it looks.
        questions: in words, one for each two people whose faces are alike: are they one person?
        unread: clips that could not be read, with the reason.
        settings: of the audit.
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

    @property
    def clean(self) -> bool:
        """Whether no shortcut and no leak was named."""
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
    """Scores behind a finding on all clips: what its ROC curve is drawn from.

    Convention:
        labels: (N,) bool; ranks: (N,) share of the clips of the same fold that score lower, ties counting half
    """

    probe: str
    title: str
    labels: np.ndarray
    ranks: np.ndarray


def verdict_for(estimate: AreaEstimate | None, *, is_face: bool, limit: float, min_groups: int) -> Verdict:
    """The word for an area and its interval; see :class:`ProbeFinding`."""
    if estimate is None:
        return "not measured"
    if estimate.low is None or estimate.clusters < min_groups:
        return "too few to judge"
    if is_face:
        return "signal"
    if estimate.low > limit:
        return "shortcut"
    return "none found" if estimate.low <= 0.5 or estimate.value <= limit else "undecided"
