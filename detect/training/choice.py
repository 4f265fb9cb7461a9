"""The choice of the step to keep, by validation that a detector cannot solve at once.

The fakes of one set are often told from real faces perfectly after a few hundred steps; which step is "best" by them
is then an accident. So there are grades beside the set's own fakes (see :mod:`detect.data.grades`), from strong to
faint forgeries:

1. As long as the set's own fakes are unsolved, their clip-level AUC decides, then the log loss.
2. Fakes are solved when their AUC is 1 within its interval at two looks in a row. Then the mean AUC of the unsolved
   grades decides.
3. Where every grade is solved, or every unsolved one is at chance within its interval, validation cannot tell steps
   apart: the averaged last weights are kept.

A look is one evaluation on validation data. A look that falls off on solved fakes is compared by them again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

OWN = "own fakes"
"""Name of the grade of the set's own fakes."""
PERFECT_FROM = 0.95
"""AUC from which an interval that reaches 1 counts. With few people an interval reaches 1 from far below."""

ChosenBy = Literal["own", "grades", "solved", "chance"]


@dataclass(frozen=True)
class GradeScore:
    """How fakes of one grade are told from real faces.

    Attributes:
        name: of the grade.
        auc: of faces; of clips for the set's own fakes.
        low, high: its interval over people; None where there are fewer than two.
        paired: share of the fakes that score above their own real face, ties count half; None where no own real face
            is known.
        shift: mean logit of a fake minus that of its own real face; None likewise.
        fakes, people: counts.
    """

    name: str
    auc: float
    low: float | None = None
    high: float | None = None
    paired: float | None = None
    shift: float | None = None
    fakes: int = 0
    people: int = 0

    @property
    def is_perfect(self) -> bool:
        """Whether the AUC is 1 within its interval."""
        return self.auc >= PERFECT_FROM and (self.auc if self.high is None else self.high) >= 1.0

    @property
    def is_chance(self) -> bool:
        """Whether the AUC is 0.5 within its interval; without an interval this cannot be excluded."""
        return self.low is None or self.high is None or self.low <= 0.5 <= self.high


@dataclass(frozen=True)
class ValScore:
    """Score of the averaged weights on validation data at one step: one look.

    Attributes:
        step: of the training.
        auc: of the clips of the val split; None with one class.
        log_loss: of these clips.
        own: the set's own fakes as a grade; None with one class.
        grades: the others; empty where none could be made.
    """

    step: int
    auc: float | None
    log_loss: float
    own: GradeScore | None = None
    grades: tuple[GradeScore, ...] = ()

    def better_than(self, other: ValScore | None) -> bool:
        """Whether this score is better than ``other`` on the set's own clips: by AUC, where that is equal by log loss.

        By log loss too where an AUC is undefined.
        """
        if other is None:
            return True
        if self.auc is not None and other.auc is not None and self.auc != other.auc:
            return self.auc > other.auc
        return self.log_loss < other.log_loss

    @property
    def all_grades(self) -> tuple[GradeScore, ...]:
        """The set's own fakes, if defined, and the other grades."""
        return self.grades if self.own is None else (self.own, *self.grades)

    def grade(self, name: str) -> GradeScore | None:
        """The grade of that name."""
        return next((grade for grade in self.all_grades if grade.name == name), None)

    def mean_auc(self, names: set[str]) -> float | None:
        """Mean AUC over the grades of ``names``; None if one of them is missing."""
        found = [grade.auc for grade in self.grades if grade.name in names]
        return float(np.mean(found)) if found and len(found) == len(names) else None


@dataclass
class StepChoice:
    """The step to keep, look by look; see the module for the rule.

    Attributes:
        kept: the look whose weights are kept.
        latest: the last look.
        stale: number of looks since the last that was kept; a training ends by it.
        solved: name of each solved grade, with the step at which it was solved.
        chosen_by: what decided at the last look.
    """

    kept: ValScore | None = None
    latest: ValScore | None = None
    stale: int = 0
    solved: dict[str, int] = field(default_factory=dict)
    chosen_by: ChosenBy = "own"

    def look(self, score: ValScore) -> bool:
        """Takes the next look in; returns whether its weights are to be kept in place of those before."""
        self._note_solved(score)
        self.chosen_by, keep = self._compare(score)
        self.latest = score
        self.stale = 0 if keep else self.stale + 1
        if keep:
            self.kept = score
        return keep

    @property
    def solved_at(self) -> int | None:
        """The step at which every grade was solved; None if one is not, or there is none but the set's own fakes."""
        if self.latest is None or not self.latest.grades:
            return None
        names = [grade.name for grade in self.latest.all_grades]
        return max(self.solved[name] for name in names) if all(name in self.solved for name in names) else None

    def _note_solved(self, score: ValScore) -> None:
        for grade in score.all_grades:
            before = None if self.latest is None else self.latest.grade(grade.name)
            if grade.is_perfect and before is not None and before.is_perfect:
                self.solved.setdefault(grade.name, score.step)

    def _compare(self, score: ValScore) -> tuple[ChosenBy, bool]:
        """What decides, and whether ``score`` is the one to keep."""
        own_decides = score.own is not None and not self._is_solved(score.own)
        if own_decides or not score.grades:
            return "own", score.better_than(self.kept)
        unsolved = {grade.name for grade in score.grades if not self._is_solved(grade)}
        if not unsolved:
            return "solved", True
        if all(self._is_chance(look, unsolved) for look in (score, self.kept)):
            return "chance", True
        mine = score.mean_auc(unsolved)
        theirs = None if self.kept is None else self.kept.mean_auc(unsolved)
        if mine is None or theirs is None:
            return "grades", True
        if mine != theirs or self.kept is None:
            return "grades", mine > theirs
        return "grades", score.log_loss < self.kept.log_loss

    def _is_solved(self, grade: GradeScore) -> bool:
        return grade.name in self.solved and grade.is_perfect

    @staticmethod
    def _is_chance(look: ValScore | None, names: set[str]) -> bool:
        return look is None or all(grade.is_chance for grade in look.grades if grade.name in names)


def chosen_text(choice: StepChoice) -> str:
    """What chose the kept step, for the model card, after "kept: step 300, by"."""
    kept, latest = choice.kept, choice.latest
    assert kept is not None
    assert latest is not None
    if choice.chosen_by == "solved":
        return f"being the last: validation was solved at step {choice.solved_at}, every grade of it"
    if choice.chosen_by == "chance":
        return "being the last: no unsolved grade of validation is told apart better than by chance"
    if choice.chosen_by == "grades":
        unsolved = [grade.name for grade in latest.grades if grade.name not in choice.solved]
        mean = kept.mean_auc(set(unsolved))
        value = "" if mean is None else f" of {mean:.3f}"
        return f"the mean AUC{value} over {len(unsolved)} unsolved grades of validation"
    return "clip log loss" if kept.auc is None else f"clip AUC {kept.auc:.3f}"


def as_plain(choice: StepChoice) -> dict[str, Any]:
    """The choice as JSON values, for a checkpoint."""
    return {
        "best": _plain_score(choice.kept),
        "latest": _plain_score(choice.latest),
        "stale": choice.stale,
        "solved": dict(choice.solved),
        "chosen_by": choice.chosen_by,
    }


def from_plain(plain: Mapping[str, Any]) -> StepChoice:
    """The inverse of :func:`as_plain`; checkpoints from before there were grades are read as well."""
    solved = {str(name): int(step) for name, step in dict(plain.get("solved", {})).items()}
    return StepChoice(
        _score(plain.get("best")),
        _score(plain.get("latest")),
        int(plain.get("stale", 0)),
        solved,
        plain.get("chosen_by", "own"),
    )


def _plain_score(score: ValScore | None) -> dict[str, Any] | None:
    if score is None:
        return None
    own = None if score.own is None else vars(score.own)
    grades = [vars(grade) for grade in score.grades]
    return {"step": score.step, "auc": score.auc, "log_loss": score.log_loss, "own": own, "grades": grades}


def _score(plain: Mapping[str, Any] | None) -> ValScore | None:
    if plain is None:
        return None
    own = plain.get("own")
    return ValScore(
        int(plain["step"]),
        plain["auc"],
        float(plain["log_loss"]),
        None if own is None else GradeScore(**own),
        tuple(GradeScore(**grade) for grade in plain.get("grades", ())),
    )
