"""A detector of synthetic speech on the sound of an inspected file: its result, timeline and scores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from detect.cases.log import StepLog
from detect.speech.checkpoint import SpeechModel
from detect.speech.contract import StepScores
from detect.speech.score import ScoredSound, score_sound
from shared.audio.isolated import isolated_samples
from shared.console import visible
from shared.errors import MediaError
from shared.plots import FAKE_COLOR, GRID, INK, Plot, both, figure
from shared.results.scores import SoundResult
from shared.storage import replacing
from shared.video.child import Child, ChildError, NoChild

MOST_SECONDS = 600
"""Seconds of the sound that are scored."""

PLOT_NAME, SCORES_NAME = "sound-timeline.png", "sound.parquet"


@dataclass(frozen=True, eq=False)
class Heard:
    """What a detector of speech made of a file.

    Attributes:
        result: None if there is no sound that can be read, and ``why`` then says why not.
        scores: of its steps; ``timeline`` shows them. None if nothing was scored.
    """

    result: SoundResult | None
    scores: StepScores | None = None
    timeline: Plot | None = None
    why: str = ""

    @property
    def analysed(self) -> tuple[str, ...]:
        """What was listened to, in words, for a report."""
        if self.result is None or self.scores is None:
            return ()
        return (f"{self.result.seconds:.1f} s of sound, scored every 20 ms by {self.result.name}",)

    @property
    def not_analysed(self) -> tuple[str, ...]:
        """What was not, likewise."""
        if self.result is None:
            return (f"the sound track: {self.why}",)
        if self.scores is None:
            return (f"the sound track: {self.result.reason[0].lower()}{self.result.reason[1:].rstrip('.')}",)
        return (f"{self.result.read} of the sound track",) if self.result.read else ()

    @property
    def called_fake(self) -> bool:
        """Whether the sound is called fake."""
        return self.result is not None and self.result.verdict == "fake"

    def write(self, folder: Path) -> None:
        """Writes the timeline and the scores into a case folder.

        Raises:
            StorageError: writing failed.
        """
        if self.scores is None or self.timeline is None:
            return
        with replacing(folder / "evidence" / PLOT_NAME) as draft:
            draft.write_bytes(self.timeline.png)
        seconds = self.scores.seconds + (self.result.begins if self.result is not None else 0.0)
        table = pa.table({"seconds": seconds, "logit": self.scores.values, "weight": self.scores.weights})
        with replacing(folder / SCORES_NAME) as draft:
            pq.write_table(table, draft)


NOT_HEARD = Heard(None, why="no detector for synthetic speech is part of this inspection")
"""Without a detector."""


def hear(source: Child | NoChild, model: SpeechModel | None, log: StepLog, *, seed: int) -> Heard:
    """The result of ``model`` on the sound of a file; :data:`NOT_HEARD` without one."""
    if model is None:
        return NOT_HEARD
    with log.step("detector of speech", folder=model.name, weights_sha256=model.weights_sha256) as told:
        try:
            head, samples = isolated_samples(source, MOST_SECONDS)
        except MediaError as error:
            cause = error.cause if isinstance(error, ChildError) else str(error)
            told["scored"] = False
            return Heard(None, why=visible(cause.replace(str(source.path), "the file")))
        scored = score_sound(model, samples, begins=head.begins, read=head.rest, seed=seed)
        told["scored"] = scored.scores is not None
    return Heard(scored.result, scored.scores, None if scored.scores is None else plot_sound(scored))


def plot_sound(scored: ScoredSound) -> Plot:
    """Plots the logit of the sound over time: its segments shaded, their threshold dashed, quiet steps left out."""
    assert scored.scores is not None
    result, scores = scored.result, scored.scores
    seconds = scores.seconds + result.begins
    values = np.where(scores.weights > 0.05 * scores.weights.max(), scores.values, np.nan)
    with figure(9.2, 2.4, style={}) as plot:
        axis = plot.subplots()
        for segment in result.segments:
            axis.axvspan(segment.start, segment.stop, color="#f6dcd0", linewidth=0)
        axis.plot(seconds, values, color=FAKE_COLOR, linewidth=1.0)
        axis.axhline(result.step_threshold, color=INK, linestyle="--", linewidth=0.9)
        axis.text(1.005, result.step_threshold, "threshold", transform=axis.get_yaxis_transform(), fontsize=7.5,
                  va="center", color=INK)  # fmt: skip
        axis.set_xlim(min(0.0, result.begins), max(result.begins + result.seconds, 0.04))
        axis.set_xlabel("seconds", color=INK)
        axis.set_ylabel("logit (up: synthetic)", color=INK)
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(axis="y", color=GRID, linewidth=0.8)
        plot.set_layout_engine("tight")
        return both(plot, "Score of the sound over time")
