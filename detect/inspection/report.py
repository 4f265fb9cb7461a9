"""A forensic report as JSON and as one self-contained HTML page."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from detect.calibration.card import CALIBRATION_WORDS
from detect.calibration.interpret import ratio_words
from detect.inspection.verdict import validation_words
from detect.speech.card import WORDS
from shared.console import visible_json
from shared.pages import page_environment
from shared.plots import GRID, INK, Plot, both, figure
from shared.results.scores import ForensicReport, FrameScore
from shared.storage import write_text

TEMPLATES = Path(__file__).parent / "templates"

_MOST_MARKED = 2000
"""With at most this many faces the timeline has dots; with more only lines."""
_TRACK_COLOURS = ("#1f5fa8", "#b3541e", "#2c7a4b", "#7a3e93", "#8a6d1d", "#a02c4a")


@dataclass(frozen=True)
class FaceExhibit:
    """One sampled face of the report.

    ``crop_png`` and ``heat_png`` are PNG bytes of the same square crop, without and with the heat map.
    """

    frame: int
    seconds: float
    track: int
    logit: float
    why: str
    crop_png: bytes
    heat_png: bytes | None


def write_json(path: Path, report: ForensicReport) -> None:
    """Writes the report as JSON: keys in a fixed order and no times of day, so that a second run gives equal bytes.

    Raises:
        StorageError: writing failed.
    """
    text = msgspec.json.format(msgspec.json.encode(report, enc_hook=str), indent=2).decode()
    write_text(path, visible_json(text) + "\n")


def write_html(
    path: Path,
    report: ForensicReport,
    *,
    timeline: Plot | None,
    exhibits: Sequence[FaceExhibit],
    threshold: float,
    pictures: Mapping[str, bytes] | None = None,
    sound_timeline: Plot | None = None,
) -> str:
    """Writes the report as one HTML file with all pictures embedded and all text from the file escaped; returns it.

    ``pictures`` are PNG bytes by the file names that the evidence gives; ``sound_timeline`` is that of the sound.

    Raises:
        StorageError: writing failed.
    """
    environment = page_environment(TEMPLATES)
    environment.filters["data_uri"] = _data_uri
    environment.filters["ratio"] = ratio_words
    environment.filters["signed"] = lambda value: "not scored" if value is None else f"{value:+.2f}"
    page = environment.get_template("report.html.j2").render(
        report=report,
        timeline=timeline and timeline.svg,
        sound_timeline=sound_timeline and sound_timeline.svg,
        sound_words=WORDS,
        exhibits=exhibits,
        threshold=threshold,
        pictures=pictures or {},
        validation_words=validation_words(report.validation),
        calibration_words=CALIBRATION_WORDS,
    )
    write_text(path, page)
    return page


def plot_timeline(
    scores: Sequence[FrameScore], *, threshold: float, duration_seconds: float, gaps: Sequence[tuple[float, float]]
) -> Plot:
    """Plots logits over time, a line a track; grey where no face was found, the threshold dashed."""
    marked = len(scores) <= _MOST_MARKED
    with figure(9.2, 2.9, style={}) as plot:
        axis = plot.subplots()
        for start, stop in gaps:
            axis.axvspan(start, stop, color="#d9dde2", linewidth=0)
        for place, track in enumerate(sorted({score.track for score in scores})):
            mine = sorted((score for score in scores if score.track == track), key=lambda score: score.frame)
            axis.plot(
                [score.seconds for score in mine],
                [score.logit for score in mine],
                color=_TRACK_COLOURS[place % len(_TRACK_COLOURS)],
                linewidth=1.3,
                marker="o" if marked else None,
                markersize=2.2,
                label=f"face {track}",
            )
        axis.axhline(threshold, color=INK, linestyle="--", linewidth=0.9)
        axis.text(
            1.005, threshold, "threshold", transform=axis.get_yaxis_transform(), fontsize=7.5, va="center", color=INK
        )
        axis.set_xlim(0, max(duration_seconds, 0.04))
        axis.set_xlabel("seconds", color=INK)
        axis.set_ylabel("logit (up: fake)", color=INK)
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(axis="y", color=GRID, linewidth=0.8)
        if scores:
            axis.legend(loc="lower left", bbox_to_anchor=(0, 1), fontsize=7.5, frameon=False, ncols=6)  # above the plot
        plot.set_layout_engine("tight")
        return both(plot, "Score of every face over time")


def _data_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()
