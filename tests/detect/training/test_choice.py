from __future__ import annotations

import json

import pytest

from detect.training.choice import OWN, GradeScore, StepChoice, ValScore, as_plain, from_plain


def grade(name: str, auc: float, low: float | None = None, high: float | None = None) -> GradeScore:
    """A grade whose interval is given, or 0.1 to each side but not beyond 0.999 unless the AUC is 1."""
    top = 1.0 if auc == 1 else 0.999
    return GradeScore(name, auc, auc - 0.1 if low is None else low, min(top, auc + 0.1) if high is None else high)


def look(step: int, own: float, loss: float = 0.5, **grades: float) -> ValScore:
    return ValScore(step, own, loss, grade(OWN, own), tuple(grade(name, auc) for name, auc in grades.items()))


def run(*looks: ValScore) -> StepChoice:
    choice = StepChoice()
    for one in looks:
        choice.look(one)
    return choice


def kept(choice: StepChoice) -> int:
    assert choice.kept is not None
    return choice.kept.step


def test_the_own_fakes_decide_until_they_are_solved():
    choice = run(look(1, 0.8, strong=0.9), look(2, 0.9, strong=0.6), look(3, 0.85, strong=0.99))
    assert (kept(choice), choice.chosen_by, choice.stale) == (2, "own", 1)


def test_perfect_once_is_not_solved():
    choice = run(look(1, 0.9), look(2, 1.0, strong=0.9), look(3, 0.97, strong=0.95), look(4, 1.0, 0.7, strong=0.97))
    assert OWN not in choice.solved
    assert kept(choice) == 2  # equal AUC, better log loss


def test_solved_twice_the_grades_decide():
    looks = [look(1, 1.0, strong=0.9, faint=0.7), look(2, 1.0, strong=0.8, faint=0.7)]
    choice = run(*looks)
    assert (choice.solved, choice.chosen_by, kept(choice)) == ({OWN: 2}, "grades", 1)
    assert not choice.look(look(3, 1.0, strong=0.9, faint=0.69))  # mean .795 against .8
    assert choice.look(look(4, 1.0, strong=0.8, faint=0.81))  # mean .805
    assert choice.stale == 0


def test_a_solved_grade_gives_way_to_the_next():
    """The strong grade is solved at step 3: from there only the faint one counts."""
    choice = run(
        look(1, 1.0, strong=0.99, faint=0.7),
        look(2, 1.0, strong=1.0, faint=0.72),
        look(3, 1.0, strong=1.0, faint=0.71),
    )
    assert choice.solved == {OWN: 2, "strong": 3}
    assert kept(choice) == 2
    assert choice.look(look(4, 1.0, strong=1.0, faint=0.73))
    assert choice.solved_at is None


def test_all_solved_keeps_the_last_and_says_when():
    perfect = {"strong": 1.0, "faint": 1.0}
    choice = run(*(look(step, 1.0, loss=step, **perfect) for step in (1, 2, 3, 4)))
    assert (choice.solved_at, choice.chosen_by, kept(choice), choice.stale) == (2, "solved", 4, 0)


def test_a_look_that_falls_off_on_what_was_solved_is_not_kept():
    perfect = {"strong": 1.0, "faint": 1.0}
    choice = run(*(look(step, 1.0, **perfect) for step in (1, 2, 3)))
    assert not choice.look(look(4, 1.0, strong=1.0, faint=0.9))
    assert not choice.look(look(5, 0.9, **perfect))
    assert (kept(choice), choice.chosen_by, choice.stale) == (3, "own", 2)
    assert choice.look(look(6, 1.0, **perfect))


def test_where_every_grade_is_at_chance_the_last_is_kept():
    looks = [look(step, 1.0, loss=step, strong=auc, faint=0.5) for step, auc in ((1, 0.55), (2, 0.45), (3, 0.5))]
    choice = run(*looks)
    assert (kept(choice), choice.chosen_by, choice.solved_at) == (3, "chance", None)
    assert choice.look(look(4, 1.0, strong=0.8, faint=0.5))
    assert choice.chosen_by == "grades"
    assert not choice.look(look(5, 1.0, strong=0.5, faint=0.55))  # it fell back to chance, the kept one had not


def test_few_people_do_not_solve_it():
    """With three people an interval reaches 1 from an AUC of .8."""
    wide = GradeScore(OWN, 0.8, 0.3, 1.0)
    assert not wide.is_perfect
    assert wide.is_chance
    assert GradeScore(OWN, 0.97, 0.93, 1.0).is_perfect
    assert not GradeScore(OWN, 0.97, 0.93, 0.995).is_perfect
    assert GradeScore(OWN, 1.0).is_perfect
    assert not GradeScore(OWN, 0.99).is_perfect  # no interval: only 1 is 1
    assert GradeScore(OWN, 0.99).is_chance


def test_without_grades_all_is_as_it_was():
    choice = run(look(1, 1.0, 0.5), look(2, 1.0, 0.4), look(3, 1.0, 0.45))
    assert (kept(choice), choice.chosen_by, choice.solved_at, choice.stale) == (2, "own", None, 1)


def test_without_a_fake_in_the_val_split_the_grades_decide():
    one_class = [ValScore(step, None, loss, None, (grade("strong", auc),)) for step, loss, auc in
                 ((1, 0.2, 0.7), (2, 0.3, 0.8), (3, 0.1, 0.75))]  # fmt: skip
    assert kept(run(*one_class)) == 2
    plain = [ValScore(score.step, None, score.log_loss) for score in one_class]
    assert kept(run(*plain)) == 3


@pytest.mark.parametrize("stop", [1, 2, 3, 4, 5])
def test_a_choice_goes_on_from_a_checkpoint(stop: int):
    looks = [
        look(1, 0.9, strong=0.6), look(2, 1.0, strong=0.9), look(3, 1.0, strong=0.95),
        look(4, 1.0, strong=1.0), look(5, 1.0, strong=1.0), look(6, 1.0, strong=1.0),
    ]  # fmt: skip
    half = from_plain(json.loads(json.dumps(as_plain(run(*looks[:stop])))))
    for one in looks[stop:]:
        half.look(one)
    assert half == run(*looks)
    assert half.solved_at == 5


def test_checkpoints_from_before_the_grades_are_read():
    old = {"best": {"step": 3, "auc": 0.9, "log_loss": 0.4}, "latest": {"step": 4, "auc": 0.8, "log_loss": 0.5}}
    choice = from_plain({**old, "stale": 1, "ended": False, "seconds": 3.0})
    assert (choice.kept, choice.stale) == (ValScore(3, 0.9, 0.4), 1)
    assert not choice.look(look(5, 0.85, strong=0.9))
    assert from_plain({}) == StepChoice()
