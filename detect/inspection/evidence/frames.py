"""Evidence from how a video's frames are coded: groups of pictures, quantisers, repeats, periods of a former coding."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence

import numpy as np

from detect.inspection.evidence.coding import CodingFacts, cuts, read_coding
from detect.inspection.evidence.found import Details, Found, Material, Picture, found, rounded
from shared.console import counted
from shared.plots import FAKE_COLOR, INK, REAL_COLOR, figure, png
from shared.results.scores import Evidence

_LEAST_GROUPS, _REGULAR_SHARE = 3, 0.7
_QP_FRAMES, _QP_STEP = 12, 8.0
_STILL, _STILL_SHARE, _MOVING = 0.05, 0.06, 0.4
_PERIODS = range(6, 61)
_LEAST_FRAMES = 72
_ODD_P = 0.005
_COLOURS = {"I": FAKE_COLOR, "P": REAL_COLOR, "B": "#8b96a2", "?": INK}


def frame_evidence(material: Material) -> list[Found]:
    """Evidence from one decoding of the video's frames."""
    facts = material.source.call(read_coding)
    at_cuts = cuts(facts)
    picture = Picture("coding", _alt(facts), coding_plot(facts, at_cuts))
    return [
        found(groups_of_pictures(facts, at_cuts), picture),
        Found(quantiser_steps(facts, at_cuts)),
        Found(repeated_frames(facts)),
        Found(former_coding(facts, at_cuts, rounds=material.config.rounds, seed=material.seed)),
        Found(abrupt_changes(facts, at_cuts)),
    ]


def groups_of_pictures(facts: CodingFacts, at_cuts: Sequence[int]) -> Evidence:
    """Evidence from the distances of intra-coded frames: groups that break where the picture does not change."""
    starts = [at for at, letter in enumerate(facts.types) if letter == "I"]
    lengths = [after - before for before, after in itertools.pairwise(starts)]
    counts = Counter(facts.types)
    details: Details = {
        "frames by type": ", ".join(f"{counts[name]} {name}" for name in "IPB?" if counts[name]),
        "first 60 frames": facts.types[:60],
        "lengths of groups": ", ".join(map(str, lengths[:40])) or "one group",
    }
    limits = (
        "Joining two recordings without coding them again leaves such a break, and so does an encoder that was asked "
        "for a keyframe, as streams and editors ask. After a new coding nothing of it is left."
    )
    name, reference = "regularity of groups", "groups of one length, apart from those that a change of scene ends"
    usual, share = (0, 0.0)
    if len(lengths) >= _LEAST_GROUPS:
        usual, number = Counter(lengths).most_common(1)[0]
        share = number / len(lengths)
    if share < _REGULAR_SHARE or usual < 2:
        told = f"{counted(len(lengths), 'whole group')}, of no regular length: nothing to compare"
        return Evidence(name, told, details, limits=limits, reference=reference)
    breaks = [
        starts[place + 1]
        for place, length in enumerate(lengths)
        if length != usual and not _near(starts[place + 1], at_cuts)
    ]
    for number, at in enumerate(breaks[:20], 1):
        details[f"break {number}"] = _place(facts, at)
    told = f"groups of {usual} frames, {'without a break' if not breaks else _breaks(facts, breaks)}"
    return Evidence(name, told, details, limits=limits, value=float(len(breaks)), reference=reference, odd=bool(breaks))


def _breaks(facts: CodingFacts, breaks: Sequence[int]) -> str:
    number = "a break" if len(breaks) == 1 else f"{len(breaks)} breaks"
    return f"with {number} where the picture does not change, first at {_place(facts, breaks[0])}"


def quantiser_steps(facts: CodingFacts, at_cuts: Sequence[int]) -> Evidence:
    """Evidence from the quantiser over time: the largest lasting step away from a change of scene."""
    places, track = _qp_track(facts)
    limits = (
        "Rate control moves the quantiser with the content, most at the beginning and after changes of scene. A step "
        "says that the encoder worked differently from there on, not why."
    )
    name = "quantiser over time"
    if len(track) < 2 * _QP_FRAMES:
        told = "the decoder tells no quantisers" if not len(track) else "too few frames to compare"
        return Evidence(name, told, {}, limits=limits)
    steps = np.zeros(len(track))
    for at in range(_QP_FRAMES, len(track) - _QP_FRAMES + 1):
        if not _near(places[at], at_cuts, within=_QP_FRAMES):
            steps[at] = abs(float(np.median(track[at : at + _QP_FRAMES]) - np.median(track[at - _QP_FRAMES : at])))
    at = int(np.argmax(steps))
    step = float(steps[at])
    details: Details = {
        "median": rounded(float(np.median(track)), 1),
        "5 % to 95 %": f"{np.quantile(track, 0.05):.1f} to {np.quantile(track, 0.95):.1f}",
        "frames compared": f"{_QP_FRAMES} before and {_QP_FRAMES} after each, of one type",
        "largest step": f"{step:.1f} at {_place(facts, places[at])}",
    }
    told = f"median {np.median(track):.1f}; the largest step is {step:.1f}" + (
        f", at {_place(facts, places[at])}" if step >= 1 else ""
    )
    reference = f"steps of less than {_QP_STEP:g} where the scene does not change"
    return Evidence(
        name, told, details, limits=limits, value=rounded(step, 2), reference=reference, odd=step >= _QP_STEP
    )


def _qp_track(facts: CodingFacts) -> tuple[list[int], np.ndarray]:
    """Places and quantisers of the frames of the type that is most frequent among P, I and the others."""
    for letter in "PIB":
        places = [at for at, name in enumerate(facts.types) if name == letter and facts.qp[at] is not None]
        if len(places) >= 2 * _QP_FRAMES:
            return places, np.array([facts.qp[at] for at in places], np.float64)
    return [], np.zeros(0)


def repeated_frames(facts: CodingFacts) -> Evidence:
    """Evidence from frames that repeat the one before, and from gaps in the times of frames."""
    change = np.array(facts.change)
    usual = float(np.median(change[1:])) if len(change) > 1 else 0.0
    least = max(_STILL, _STILL_SHARE * usual)
    repeats = [int(at) for at in np.flatnonzero(change[1:] <= least) + 1] if usual >= _MOVING else []
    times = [second for second in facts.seconds if second is not None]
    steps = np.diff(times) if len(times) > 2 else np.zeros(0)
    tick = float(np.median(steps)) if len(steps) else 0.0
    gaps = [int(at) + 1 for at in np.flatnonzero(steps > 1.5 * tick)] if tick > 0 else []
    same = int((steps <= 0).sum())
    details: Details = {
        "usual change (grey levels)": rounded(usual),
        "frames that repeat the one before": len(repeats),
        "gaps between frames": len(gaps),
        "frames at the time of the one before": same,
    }
    for number, at in enumerate(repeats[:20], 1):
        details[f"repeat {number}"] = _place(facts, at)
    for number, at in enumerate(gaps[:20], 1):
        details[f"gap {number}"] = f"{_place(facts, at)}, {steps[at - 1]:.3f} s after the one before"
    if usual < _MOVING:
        told = "the picture hardly moves, so repeats cannot be told from stillness"
    else:
        told = f"{counted(len(repeats), 'frame')} of {len(change)} repeat the one before"
        told += f", first at {_place(facts, repeats[0])}" if repeats else ""
    told += f"; {counted(len(gaps), 'gap')} between frames" + (f", first at {_place(facts, gaps[0])}" if gaps else "")
    share = (len(repeats) + len(gaps) + same) / max(1, len(change))
    return Evidence(
        "repeats and gaps",
        told,
        details,
        limits=(
            "Conversion between frame rates, screen recorders, calls and phones in the dark repeat and drop frames as "
            "a matter of course. Frames that were cut out and closed up again leave neither."
        ),
        value=rounded(share, 4),
        reference="every frame new, one interval apart",
        odd=bool(repeats or gaps or same),
    )


def former_coding(facts: CodingFacts, at_cuts: Sequence[int], *, rounds: int, seed: int) -> Evidence:
    """Evidence of an earlier coding: prediction residues that rise periodically, where its keyframes were.

    A frame that was intra-coded before predicts its neighbours badly and is badly predicted by them (Wang and Farid,
    "Exposing digital forgeries in video by detecting double MPEG compression", 2006). The size of predicted frames
    stands for the residue. The p-value is that of the strongest period among 6 to 60 frames under random shuffles.
    """
    limits = (
        "Nearly every clip from the network was coded more than once, so a period is expected there and is no sign of "
        "forgery; camera originals should have none. Regular motion can make one too."
    )
    name, reference = "period of a former coding", "shuffled frames of the same clip"
    places, residue = _residues(facts, at_cuts)
    if len(places) < _LEAST_FRAMES:
        return Evidence(name, "too few predicted frames", {}, limits=limits, reference=reference)
    own = Counter(np.diff([at for at, letter in enumerate(facts.types) if letter == "I"]).tolist())
    skip = own.most_common(1)[0][0] if own else 0
    periods = [each for each in _PERIODS if each <= len(facts.types) // 5 and not (skip and _related(each, skip))]
    generator = np.random.default_rng(seed)
    strength, period, phase = strongest_period(places, residue, periods)
    chance = [strongest_period(places, generator.permutation(residue), periods)[0] for _ in range(rounds)]
    p = (1 + sum(each >= strength for each in chance)) / (1 + rounds)
    details: Details = {
        "strongest period (frames)": period,
        "first frame of it": phase,
        "strength (standard errors)": rounded(strength, 2),
        "p": rounded(p, 4),
        "own period of keyframes": skip or "none",
        "predicted frames": len(places),
    }
    odd = p <= _ODD_P
    told = (
        f"the sizes of predicted frames rise every {period} frames (p {p:.3f}): an earlier coding had keyframes there"
        if odd
        else f"no period stands out (p {p:.3f} for {period} frames)"
    )
    return Evidence(name, told, details, limits=limits, value=rounded(p, 4), reference=reference, odd=odd)


def _residues(facts: CodingFacts, at_cuts: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Places of P frames and the log of their size over the median of their neighbours."""
    near = {each + step for each in at_cuts for step in (0, 1)}
    places = np.array(
        [at for at, name in enumerate(facts.types) if name == "P" and facts.sizes[at] and at not in near], np.int64
    )
    logs = np.log([float(facts.sizes[at] or 1) for at in places]) if len(places) else np.zeros(0)
    usual = np.array([np.median(logs[max(0, at - 4) : at + 5]) for at in range(len(logs))])
    return places, np.clip(logs - usual, -1.5, 1.5) if len(logs) else logs


def _related(period: int, own: int) -> bool:
    return period % own == 0 or own % period == 0


def strongest_period(places: np.ndarray, values: np.ndarray, periods: Sequence[int]) -> tuple[float, int, int]:
    """The period and phase at which ``values`` are highest: standard errors above the mean, period, phase.

    Args:
        places: (N,) int64, frame numbers.
        values: (N,) float64 at these.
        periods: to try; at least four values must fall on a phase.
    """
    spread, mean = float(values.std()) or 1.0, float(values.mean())
    best = (0.0, 0, 0)
    for period in periods:
        phases = places % period
        counts = np.bincount(phases, minlength=period)
        sums = np.bincount(phases, values - mean, minlength=period)
        scores = np.where(counts >= 4, sums / (spread * np.sqrt(np.maximum(counts, 1))), 0.0)
        at = int(np.argmax(scores))
        if scores[at] > best[0]:
            best = (float(scores[at]), period, at)
    return best


def abrupt_changes(facts: CodingFacts, at_cuts: Sequence[int]) -> Evidence:
    """Evidence of abrupt changes of the whole picture."""
    details: Details = {f"change {number}": _place(facts, at) for number, at in enumerate(at_cuts[:40], 1)}
    if facts.stopped:
        details["reading"] = facts.stopped
    told = f"{counted(len(at_cuts), 'abrupt change')} of the picture"
    told += f", first at {_place(facts, at_cuts[0])}" if at_cuts else ""
    limits = "Edited recordings have cuts; a recording from one camera that is said to be unedited should have none."
    return Evidence("abrupt changes", told, details, limits=limits, value=float(len(at_cuts)))


def _near(at: int, places: Sequence[int], within: int = 1) -> bool:
    return any(abs(at - each) <= within for each in places)


def _place(facts: CodingFacts, at: int) -> str:
    seconds = facts.seconds[at]
    return f"frame {at}" if seconds is None else f"frame {at} ({seconds:.3f} s)"


def _alt(facts: CodingFacts) -> str:
    return f"Size, quantiser and change of each of {len(facts.types)} frames over time, by frame type"


def coding_plot(facts: CodingFacts, at_cuts: Sequence[int]) -> bytes:
    """PNG: sizes by frame type, quantisers, and change from frame to frame; abrupt changes dotted."""
    frames = np.arange(len(facts.types))
    sizes = np.array([np.nan if each is None else each / 1000 for each in facts.sizes])
    quantisers = np.array([np.nan if each is None else each for each in facts.qp])
    with figure(9.2, 4.2) as plot:
        top, middle, bottom = plot.subplots(3, 1, sharex=True)
        for letter in sorted(set(facts.types)):
            chosen = np.array([name == letter for name in facts.types])
            top.vlines(frames[chosen], 0, sizes[chosen], color=_COLOURS[letter], linewidth=1, label=f"{letter} frames")
            middle.plot(frames[chosen], quantisers[chosen], ".", color=_COLOURS[letter], markersize=2.5)
        bottom.plot(frames, facts.change, color=INK, linewidth=0.9)
        for at in at_cuts[:200]:
            bottom.axvline(at, color=FAKE_COLOR, linestyle=":", linewidth=0.9)
        top.set_ylim(bottom=0)
        top.legend(loc="upper right", ncols=4)
        top.set_ylabel("size (kB)")
        middle.set_ylabel("quantiser")
        bottom.set_ylabel("change (grey)")
        bottom.set_xlabel("frame")
        return png(plot)
