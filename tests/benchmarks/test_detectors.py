from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.app import SETTINGS
from benchmarks.detectors import Scores, counted, left_out, load_settings, make_jobs
from benchmarks.detectors_table import (
    Case,
    area,
    calibration_cells,
    cells,
    markdown,
    mean_area,
    measurements,
    plot_cells,
    region_cells,
)
from detect.metrics.classification import auc
from shared.errors import UsageError
from shared.types import ClipRecord
from tests.factories import clip_record

FOLDS = (("light-*",), ("h64-*",))


def _record(person: str, manipulation: str | None, rendition: str = "c23", split: str = "test") -> ClipRecord:
    self_swap = manipulation is not None and manipulation.endswith("-self")
    source = person if self_swap else "other"
    facts = {"rendition": rendition, "split": split}
    return clip_record(person, manipulation, name=f"{person}@{rendition}", source=source, **facts)


def _set(split: str = "test") -> list[ClipRecord]:
    return [
        _record(f"{split}-{person}", made, rendition, split)
        for person in ("ann", "bob", "cleo", "dan")
        for made in (None, "light-a", "h64-a")
        for rendition in ("c23", "c40")
    ]


def _scores(row: str, fold: tuple[str, ...], seed: int, *, seen: float, unseen: float) -> Scores:
    """Fakes of seen manipulations lie ``seen`` above the real clips, unseen ones ``unseen``."""
    logits: dict[str, dict[str, float]] = {}
    for split, name in (("test", "set"), ("val", "set:val")):
        logits[name] = {
            str(record.id): place * 0.01 + (0 if record.label == "real" else unseen if left_out(record, fold) else seen)
            for place, record in enumerate(_set(split))
            if split == "test" or not left_out(record, fold)
        }
    return Scores(row, fold, seed, logits)


def test_the_jobs_of_the_committed_settings_leave_each_fold_out_with_every_seed(tmp_path):
    settings = load_settings(SETTINGS / "detectors.toml")
    jobs = make_jobs(settings, [tmp_path / "crowd"], [tmp_path / "twins"], ())
    assert len(jobs) == len({job.name for job in jobs}) == len(settings.seeds) * (3 * len(settings.folds) + 1)
    blends = [job for job in jobs if job.row == "self-blend"]
    assert all(job.fold == () and job.config.mix.forged == 0 and not job.config.mix.twin_faces for job in blends)
    both = next(job for job in jobs if job.row == "both" and job.fold == ("light-*",))
    assert both.config.leave_out == ("manipulation=light-*",)
    assert both.config.mix.twin_faces == (str(tmp_path / "twins"),)
    assert {job.config.family for job in jobs if job.row == "multitask"} == {"multitask"}


def test_rows_that_do_not_exist_or_lack_faces_are_refused(tmp_path):
    settings = load_settings(SETTINGS / "detectors.toml")
    with pytest.raises(UsageError, match="no row is called 'bth'"):
        make_jobs(settings, [tmp_path], [], ["bth"])
    with pytest.raises(UsageError, match="blends real faces"):
        make_jobs(settings, [], [], ["both"])
    assert {job.row for job in make_jobs(settings, [], [], ["forged"])} == {"forged"}


def test_self_swaps_are_not_counted_and_a_fold_is_a_pattern():
    records = [_record("ann", None), _record("ann", "light-a"), _record("ann", "light-a-self"), _record("ann", "h64-a")]
    assert [record.id.manipulation for record in counted(records, ())] == [None, "light-a", "h64-a"]
    assert [record.id.manipulation for record in counted(records, ("light-*",))] == [None, "h64-a"]


def test_the_weighted_area_is_the_area_of_clips_repeated_as_often_as_they_weigh():
    labels = np.array([True, True, False, False, False])
    logits = np.array([0.4, 2.0, 0.1, 0.4, 3.0])
    times = np.array([2, 1, 3, 1, 2])
    repeated = auc(np.repeat(labels, times), np.repeat(logits, times))
    found = area(Case(labels, logits, ("a",) * 5), np.stack([times, np.ones(5), labels]).astype(float))
    assert found[0] == pytest.approx(repeated)
    # By hand: 0.4 beats 0.1 and ties with 0.4, 2.0 beats both: 3.5 of 6 pairs.
    assert found[1] == pytest.approx(3.5 / 6)
    assert np.isnan(found[2])


def test_intervals_are_over_people_and_seeds_are_separate():
    def case(wrong: str) -> Case:
        people = tuple(person for person in "abcd" for _ in range(2))
        labels = np.array([False, True] * 4)
        logits = np.array([0.0, 1.0] * 4)
        logits[[people.index(wrong), people.index(wrong) + 1]] = (1.0, 0.0)
        return Case(labels, logits, people)

    value, low, high, seeds, people = mean_area([(0, case("a")), (1, case("b"))])
    assert people == 4
    assert low < value < high
    assert value == pytest.approx(np.mean(seeds))
    assert seeds[0] == seeds[1]


def test_seen_and_unseen_manipulations_are_kept_apart_and_folds_are_asked_of_rows_that_saw_none():
    scores = [_scores("forged", fold, seed, seen=1.0, unseen=0.0) for fold in FOLDS for seed in (0, 1)]
    scores.append(_scores("blend", (), 0, seen=1.0, unseen=1.0))
    found = {(cell.row, cell.what): cell for cell in cells(scores, _set(), "set", FOLDS, {})}
    assert found["forged", "seen"].value == 1.0
    # Fakes without an offset stand among the real clips of the same people, a little later in the list.
    assert 0.4 < found["forged", "unseen"].value < 0.7
    assert found["blend", "unseen"].value == 1.0
    assert ("blend", "seen") not in found
    assert {what for row, what in found if row == "forged"} == {
        "seen", "unseen", "unseen at c23", "unseen at c40", "unseen h64", "unseen light",
    }  # fmt: skip


def test_calibrations_are_fitted_on_validation_people_and_suffer_from_what_is_unseen():
    scores = [_scores("forged", fold, 0, seen=3.0, unseen=0.0) for fold in FOLDS]
    found = {cell.what: cell.value for cell in calibration_cells(scores, _set(), _set("val"), "set")}
    assert found["Cllr, seen"] < 0.7 < found["Cllr, unseen"]
    assert found["ECE by clip, seen"] < found["ECE, seen"]
    names = ("Cllr", "Cllr_min", "ECE", "Cllr by clip", "ECE by clip")
    assert set(found) == {f"{name}, {part}" for name in names for part in ("seen", "unseen")}


def test_regions_are_means_over_clips_with_intervals_over_people():
    records = _set()
    fakes = [record for record in records if record.label == "fake"]
    ious = {str(record.id): 0.8 if left_out(record, ("h64-*",)) else 0.4 for record in fakes}
    one = Scores("multitask", ("light-*",), 0, {}, ious)
    found = {cell.what: cell for cell in region_cells([one], records)}
    assert found["IoU, seen"].value == pytest.approx(0.8)
    assert found["IoU, unseen"].value == pytest.approx(0.4)
    assert found["IoU, seen"].people == 4


def test_a_table_a_plot_and_values_with_targets_come_of_the_cells():
    scores = [_scores("both", fold, seed, seen=1.0, unseen=0.05) for fold in FOLDS for seed in (0, 1)]
    found = cells(scores, _set(), "set", FOLDS, {})
    lines = markdown(found).splitlines()
    assert lines[0].startswith("| row | unseen | seen |")
    assert len({line.count("|") for line in lines}) == 1
    aimed = {one.name: one.target for one in measurements(found) if one.target is not None}
    assert aimed == {"both: unseen": 0.95, "both: unseen at c40": 0.85}
    assert plot_cells(found, "title").startswith(b"\x89PNG")


def test_what_is_stored_is_read_back_only_under_the_same_mark(tmp_path):
    from benchmarks.detectors import _stored
    from shared.config import to_mapping

    scores = _scores("forged", FOLDS[0], 1, seen=1, unseen=0)
    path = tmp_path / "scores.json"
    path.write_text(json.dumps({"mark": "m", **to_mapping(scores)}))
    assert _stored(path, "m") == scores
    assert _stored(path, "other") is None
    path.write_text("{")
    assert _stored(path, "m") is None


def test_a_row_that_saw_no_forgery_is_measured_alone_and_a_part_without_one_class_is_left_out():
    records = [record for record in _set() if record.rendition == "c23" or record.label == "real"]
    found = {cell.what for cell in cells([_scores("blend", (), 0, seen=1, unseen=1)], records, "set", FOLDS, {})}
    assert found == {"unseen", "unseen at c23", "unseen h64", "unseen light"}
