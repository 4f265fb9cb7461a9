"""What stands beside a verdict: faces above the threshold, the part that stands out, what the file says of itself."""

from __future__ import annotations

from detect.inspection.evidence.found import SAYS_FAKE
from detect.inspection.evidence.stretches import INSIDE, NAME
from detect.inspection.naming import faces_above, named, not_called_real, says_fake, speaks_against_real
from detect.inspection.verdict import NO_TRACE
from shared.results.scores import Evidence, FrameScore, TrackScore
from shared.types import ClipId

CLIP = ClipId("suspect", "unknown", "clip")


def track(number: int, logit: float) -> TrackScore:
    return TrackScore(CLIP, number, logit, 2)


def seen(number: int, *seconds: float) -> list[FrameScore]:
    return [FrameScore(CLIP, place, second, number, 0.0, (0, 0, 9, 9)) for place, second in enumerate(seconds)]


def test_one_face_needs_no_name_and_of_several_the_highest_comes_first():
    assert faces_above([track(0, 9.0)], seen(0, 1.0), 0.5) == ""
    three = [track(0, 1.0), track(1, -1.0), track(2, 4.0)]
    told = faces_above(three, [*seen(0, 1.0, 2.5), *seen(2, 0.2, 8.0)], 0.5)
    assert told == (
        "Of 3 faces 2 lie above the threshold: face 2 (score +4.00, 0.2 to 8.0 s), face 0 (score +1.00, 1.0 to 2.5 s)."
    )
    assert faces_above(three, [], 5.0) == "None of the 3 faces lies above the threshold."
    assert "Of 2 faces 1 lies above" in faces_above(three[1:], [], 0.5)


def test_of_a_crowd_the_first_eight_are_named():
    told = faces_above([track(number, 10.0 - number) for number in range(11)], [], 0.0)
    assert told.startswith("Of 11 faces 11 lie")
    assert "face 7 (score +3.00) and 3 more." in told
    assert "face 8" not in told


def test_valid_credentials_and_marks_speak_and_broken_ones_do_not():
    valid = Evidence("credentials", "", {SAYS_FAKE: True, "valid": True})
    broken = Evidence("credentials", "", {SAYS_FAKE: True, "valid": False})
    own, mark = Evidence("mark", "", {SAYS_FAKE: False}), Evidence("mark", "", {SAYS_FAKE: True})
    assert says_fake([broken, own, Evidence("sound", "")]) == ""
    assert "(credentials) says that a model had a hand in it" in says_fake([valid, own])
    assert "(credentials, mark) says that" in says_fake([valid, mark])


def test_the_part_that_stands_out_is_told_between_faces_and_credentials():
    part = Evidence(NAME, "face 1 from 3.0 to 6.0 s: more", odd=True)
    told = named([Evidence("mark", "", {SAYS_FAKE: True}), part], [track(0, 0.0), track(1, 2.0)], [], 1.0)
    assert told.index("Of 2 faces") < told.index("stands out: face 1 from 3.0 to 6.0 s: more.") < told.index("Whatever")
    assert named([Evidence(NAME, "none in 1 face", odd=False)], [track(0, 0.0)], [], 1.0) == ""


def test_a_forged_part_and_the_file_itself_speak_against_real():
    forged, dip = ({f"1: {INSIDE}": 1.5}, {f"1: {INSIDE}": -4.0})
    assert speaks_against_real([Evidence(NAME, "", forged, odd=True)], [], 1.0)
    assert not speaks_against_real([Evidence(NAME, "", forged, odd=True)], [], 2.0)
    assert not speaks_against_real([Evidence(NAME, "", dip, odd=True), Evidence("mark", "")], [], 1.0)
    assert speaks_against_real([Evidence("mark", "", {SAYS_FAKE: True})], [], 1.0) == "the file calls itself a fake"


def test_a_face_above_that_is_scored_often_enough_speaks_against_real():
    whole = TrackScore(CLIP, 0, -4.0, 480)
    assert speaks_against_real([], [whole, TrackScore(CLIP, 1, 5.0, 40)], 1.0) == "face 1 scores above the threshold"
    assert not speaks_against_real([], [whole, TrackScore(CLIP, 1, 5.0, 7)], 1.0)
    assert not speaks_against_real([], [whole, TrackScore(CLIP, 1, 0.9, 40)], 1.0)


def test_credentials_beside_the_file_are_told_and_change_nothing():
    apart = Evidence("credentials", "", {SAYS_FAKE: True, "valid": True, "in the file": False})
    assert not speaks_against_real([apart], [], 0.0)
    assert says_fake([apart]).startswith("A file beside it (credentials) says")
    stranger = Evidence("credentials", "", {SAYS_FAKE: True, "in the file": True, "signer is known here": False})
    assert says_fake([stranger]).endswith("Who signed that is not known here.")


def test_a_verdict_that_is_not_given_names_its_cause_first_and_drops_the_clause():
    told = not_called_real("face 1 scores above the threshold", f"It scores -4.00{NO_TRACE}. The sets agree.", NO_TRACE)
    assert told == (
        "Not called real although the whole scores below: face 1 scores above the threshold. It scores -4.00. "
        "The sets agree."
    )
