"""Sentences that stand beside a verdict: what the file says of itself, which face stands out, and when."""

from __future__ import annotations

from collections.abc import Sequence

from detect.inspection.evidence.found import SAYS_FAKE
from detect.inspection.evidence.stretches import INSIDE
from detect.inspection.evidence.stretches import NAME as STRETCHES
from shared.results.scores import Evidence, FrameScore, TrackScore

_MOST_NAMED = 8


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


def speaks_against_real(evidence: Sequence[Evidence], threshold: float) -> bool:
    """Whether a file may not be called real: it calls itself a fake, or a part that stands out lies above.

    A clip's score is over all of its frames, so that a forged part can be lost in it.
    """
    found = next((each for each in evidence if each.name == STRETCHES), None)
    inside = [] if found is None else [value for name, value in found.details.items() if name.endswith(INSIDE)]
    return bool(says_fake(evidence)) or any(isinstance(value, float) and value >= threshold for value in inside)


def says_fake(evidence: Sequence[Evidence]) -> str:
    """A sentence on valid credentials and marks that call the file a fake; empty without any.

    Of credentials that are broken nothing is repeated: anybody can have written them.
    """
    saying = [each.name for each in evidence if each.details.get(SAYS_FAKE) and each.details.get("valid", True)]
    if not saying:
        return ""
    return f"Whatever the score, what the file carries ({', '.join(saying)}) says that a model had a hand in it."


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
