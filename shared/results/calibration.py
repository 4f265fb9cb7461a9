"""Values of calibrations that reports show: shares over people, prediction sets, bounds from tools not learned from."""

from __future__ import annotations

from dataclasses import dataclass

from shared.types import Label


@dataclass(frozen=True, slots=True)
class Share:
    """A share with its 95 % interval, over people: each person has the same weight, divided among their clips.

    ``low`` and ``high`` are the Clopper-Pearson interval for ``people`` people.
    """

    value: float
    low: float
    high: float
    people: int

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.value <= self.high <= 1:
            raise ValueError(f"a share lies in its interval and in 0 to 1, got {self.low}, {self.value}, {self.high}")

    def __str__(self) -> str:
        return f"{100 * self.value:.1f} % ({100 * self.low:.0f} to {100 * self.high:.0f}; {self.people} people)"


@dataclass(frozen=True, slots=True)
class PredictionSet:
    """The conformal prediction set of one score.

    Attributes:
        labels: the classes that the score fits: one, both, or none.
        words: the same for readers.
        miscoverage_real, miscoverage_fake: promised share of the clips of a class whose set lacks their class, at most.
        people_real, people_fake: number of people that the thresholds come from.
    """

    labels: tuple[Label, ...]
    words: str
    miscoverage_real: float
    miscoverage_fake: float
    people_real: int
    people_fake: int


@dataclass(frozen=True, slots=True)
class OutsideBound:
    """How likelihood ratios held on tools that were not learned from, and the bounds that follow.

    Attributes:
        name: of the scored set; ``sha256``: of its manifest or scores.
        tools: the fakes' manipulations.
        real, fake: number of clips with a score; ``groups_real`` and ``groups_fake``: of groups of people in them.
        without_face: number of clips without a score.
        cllr: cost of the ratios there, in bits.
        misled_real: share of the real clips whose ratio supports "forged"; ``misled_fake``: of the fakes, "not forged".
        covered_real, covered_fake: share of the clips whose prediction set holds their class; None without such sets.
        lower_bound, upper_bound: of the log10 likelihood ratio.
    """

    name: str
    sha256: str
    tools: tuple[str, ...]
    real: int
    fake: int
    groups_real: int
    groups_fake: int
    without_face: int
    cllr: float
    misled_real: Share
    misled_fake: Share
    covered_real: Share | None
    covered_fake: Share | None
    lower_bound: float
    upper_bound: float

    def __post_init__(self) -> None:
        if not -99 <= self.lower_bound <= 0 <= self.upper_bound <= 99:
            raise ValueError(f"bounds must hold 0 between them, got {self.lower_bound} and {self.upper_bound}")

    def __str__(self) -> str:
        return (
            f"{self.real} real and {self.fake} fake clips of {self.name}; {self.groups_real} and {self.groups_fake} "
            f"groups of people; {len(self.tools)} {'tool' if len(self.tools) == 1 else 'tools'}"
        )
