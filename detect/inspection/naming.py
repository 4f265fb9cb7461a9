"""Sentences that stand beside a verdict: what the file says of itself, which face stands out, and when."""

from __future__ import annotations

from collections.abc import Sequence

from detect.inspection.evidence.found import SAYS_FAKE
from detect.inspection.evidence.stretches import INSIDE
from detect.inspection.evidence.stretches import NAME as STRETCHES
from shared.results.scores import Evidence, FrameScore, TrackScore

_MOST_NAMED = 8
_LEAST_SCORED = 8
"""Scores of a face, at least, so that it alone can keep a file from being called real."""


def named(
    evidence: Sequence[Evidence], tracks: Sequence[TrackScore], scores: Sequence[FrameScore], threshold: float
) -> str:
    """The sentences for one file, joined; empty where there is nothing to say.

    Args:
        evidence: the findings.
        tracks: scores of the faces.
        scores: of every scored frame.
        threshold: logit from which a face is above.
    """
    return " ".join(filter(None, (faces_above(tracks, scores, threshold), _stretch(evidence), says_fake(evidence))))


def speaks_against_real(evidence: Sequence[Evidence], tracks: Sequence[TrackScore], threshold: float) -> str:
    """Why a file may not be called real, as words after a colon; empty if nothing speaks against it.

    A clip's score is over all of its frames, so that a forged part, or a forged face that is seen for a short time, can
    be lost in it. Credentials in a file beside it count for nothing: anybody may have put them there.
    """
    found = next((each for each in evidence if each.name == STRETCHES), None)
    inside = [] if found is None else [value for name, value in found.details.items() if name.endswith(INSIDE)]
    faces = [each.track for each in tracks if each.frames >= _LEAST_SCORED and each.logit >= threshold]
    more = f" and {len(faces) - _MOST_NAMED} more" if len(faces) > _MOST_NAMED else ""
    causes = (
        f"face {', '.join(map(str, faces[:_MOST_NAMED]))}{more} scores above the threshold" if faces else "",
        "a part of the timeline scores above the threshold"
        if any(isinstance(value, float) and value >= threshold for value in inside)
        else "",
        "the file calls itself a fake" if _saying(evidence, beside=False) else "",
    )
    return ", and ".join(filter(None, causes))


def not_called_real(cause: str, reason: str, no_trace: str) -> str:
    """The reason of a verdict "real" that is not given: the cause first, and without its clause ``no_trace``."""
    return f"Not called real although the whole scores below: {cause}. {reason.replace(no_trace, '')}"


def says_fake(evidence: Sequence[Evidence]) -> str:
    """A sentence on valid credentials and marks that call the file a fake; empty without any.

    Of credentials that are broken nothing is repeated: anybody can have written them.
    """
    words = []
    if saying := _saying(evidence, beside=False):
        names = ", ".join(each.name for each in saying)
        words.append(f"Whatever the score, what the file carries ({names}) says that a model had a hand in it.")
        if any(each.details.get("signer is known here") is False for each in saying):
            words.append("Who signed that is not known here.")
    if apart := _saying(evidence, beside=True):
        names = ", ".join(each.name for each in apart)
        words.append(
            f"A file beside it ({names}) says that a model had a hand in it; anybody may have put it there, so it does "
            "not change the verdict."
        )
    return " ".join(words)


def _saying(evidence: Sequence[Evidence], *, beside: bool) -> list[Evidence]:
    """What says that a model had a hand in the file and is not broken: in the file, or ``beside`` it."""
    return [
        each
        for each in evidence
        if each.details.get(SAYS_FAKE)
        and each.details.get("valid", True)
        and (each.details.get("in the file") is False) == beside
    ]


def faces_above(tracks: Sequence[TrackScore], scores: Sequence[FrameScore], threshold: float) -> str:
    """A sentence on which of several faces lie above the threshold, with the times at which they are seen."""
    if len(tracks) < 2:
        return ""
    above = sorted((track for track in tracks if track.logit >= threshold), key=lambda track: -track.logit)
    if not above:
        return f"None of the {len(tracks)} faces lies above the threshold."
    words = []
    for track in above[:_MOST_NAMED]:
        seconds = [score.seconds for score in scores if score.track == track.track]
        times = f", {min(seconds):.1f} to {max(seconds):.1f} s" if seconds else ""
        words.append(f"face {track.track} (score {track.logit:+.2f}{times})")
    more = f" and {len(above) - _MOST_NAMED} more" if len(above) > _MOST_NAMED else ""
    return f"Of {len(tracks)} faces {len(above)} {'lies' if len(above) == 1 else 'lie'} above the threshold: " + (
        f"{', '.join(words)}{more}."
    )


def _stretch(evidence: Sequence[Evidence]) -> str:
    found = next((each for each in evidence if each.name == STRETCHES and each.odd), None)
    return "" if found is None else f"A part of the timeline stands out: {found.finding}."
