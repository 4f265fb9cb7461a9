from __future__ import annotations

import numpy as np
import pyarrow as pa

from shared.faces.facesets.layout import SCHEMA, FaceRow
from shared.faces.facesets.selection import KeepRule
from tests.factories import face_row

ANN, BOB = np.array([1.0, 0.0], np.float32), np.array([0.0, 1.0], np.float32)


def row(track: int, *, clip: int = 0, width: float = 100, sharp: float = 200, who: np.ndarray | None = None) -> FaceRow:
    box = np.array([0, 0, width, width], np.float32)
    return face_row(np.zeros((68, 2)), clip=clip, track=track, box=box, sharpness=sharp, embedding=who)


def verdicts(rule: KeepRule, rows: list[FaceRow]) -> list[str]:
    for one in rows:
        rule.note(one)
    return rule.set_aside_reasons(pa.RecordBatch.from_pylist([one.to_mapping() for one in rows], schema=SCHEMA))


def test_everything_is_kept_when_nothing_is_wrong():
    assert verdicts(KeepRule(min_face_px=48, min_sharpness=0.25), [row(0)] * 3) == ["", "", ""]


def test_small_and_blurred_faces_are_set_aside():
    rows = [row(0)] * 10 + [row(0, width=40), row(0, sharp=30), row(0, sharp=60)]
    assert verdicts(KeepRule(min_face_px=48, min_sharpness=0.25), rows)[10:] == ["small", "blurry", ""]


def test_sharpness_is_compared_with_the_median_of_the_clip():
    soft, sharp = [row(0, clip=0, sharp=20)] * 10, [row(1, clip=1, sharp=400)] * 10
    rule = KeepRule(min_sharpness=0.25, all_people=True)
    assert verdicts(rule, [*soft, *sharp, row(1, clip=1, sharp=20)]) == [""] * 20 + ["blurry"]


def test_the_main_person_is_there_longest_and_largest():
    passer_by, speaker = [row(0, width=60)] * 12, [row(1, width=100)] * 10
    assert verdicts(KeepRule(), [*passer_by, *speaker]) == ["other person"] * 12 + [""] * 10
    assert verdicts(KeepRule(all_people=True), [*passer_by, *speaker]) == [""] * 22


def test_without_embeddings_every_clip_has_its_main_track():
    rows = [*[row(0, clip=0)] * 5, *[row(1, clip=0)] * 3, *[row(2, clip=1)] * 2]
    rule = KeepRule()
    assert verdicts(rule, rows) == [""] * 5 + ["other person"] * 3 + [""] * 2
    assert rule.people_aside == 1


def test_with_embeddings_one_person_is_kept_through_all_tracks_and_clips():
    rows = [
        *[row(0, clip=0, who=ANN)] * 5,
        *[row(1, clip=0, who=BOB)] * 7,
        *[row(2, clip=0, who=ANN + 0.1)] * 4,
        *[row(3, clip=1, who=BOB)] * 3,
        *[row(4, clip=1, who=ANN)] * 2,
    ]
    wanted = [""] * 5 + ["other person"] * 7 + [""] * 4 + ["other person"] * 3 + [""] * 2
    assert verdicts(KeepRule(same_distance=0.6), rows) == wanted


def test_one_embedding_among_many_faces_is_enough():
    rows = [row(0, who=ANN), *[row(0)] * 9, row(1, who=BOB), *[row(1)] * 3, row(2, who=ANN), row(2)]
    assert verdicts(KeepRule(same_distance=0.6), rows) == [""] * 10 + ["other person"] * 4 + [""] * 2


def test_memory_does_not_grow_with_the_rows():
    rule = KeepRule(same_distance=0.6)
    for number in range(3000):
        rule.note(row(number % 2, sharp=number % 977, who=ANN))
    (first, second) = rule._tracks.values()  # a fact about memory cannot be seen from outside
    assert first.sharpness.shape == second.sharpness.shape == (100,)
    assert first.sharpness.sum() == 1500
