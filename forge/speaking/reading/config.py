"""Settings of the training of a text encoder. Imports no torch: the command line reads its defaults from here."""

from __future__ import annotations

from dataclasses import dataclass

from shared.config import need

MOST_SENTENCES = 20_000
"""All of them are held in memory, half a megabyte each for the longest: 10 GB."""

KIND = "text encoder"
"""Kind of its runs."""

FOLDER_IN_RUN = "text"
"""Folder of its run in the run of the voice model."""

WHILE_RUNNING = ("steps", "minutes", "device", "log_every", "save_every", "keep")
"""Settings that may differ when a run is resumed."""


@dataclass(frozen=True)
class TextConfig:
    """Settings of a training.

    Attributes:
        engine: that reads the sentences, and whose phones and times are those of a text; it must tell them.
        voices: of the engine, those that are learned from, the first one the default of a text; empty for all of
            them that tell the times of phones.
        sentences: how many are read, each by one of the voices in turn; at most 20,000.
        width: channels of the network.
        steps: how long to train. minutes: stop after this much training time, whichever comes first; the schedule
            follows whichever is further on.
        batch: sentences in a step.
        learning_rate: highest; it rises over ``warmup_steps`` and falls over the second half.
        tempo: largest factor by which a sentence is slowed down or sped up.
        decoded: weight of the difference after the decoder of the voice model, beside that of the code.
        dropout: share of channels that are left out in a step.
        seed: of all random numbers.
        device: auto, cpu, cuda, cuda:N or mps.
        log_every, save_every: in steps; keep: checkpoints kept.
    """

    engine: str = "flite"
    voices: tuple[str, ...] = ()
    sentences: int = 1_200
    width: int = 128
    steps: int = 4_000
    minutes: float | None = None
    batch: int = 6
    learning_rate: float = 1e-3
    warmup_steps: int = 100
    tempo: float = 1.15
    decoded: float = 1.0
    dropout: float = 0.15
    seed: int = 0
    device: str = "auto"
    log_every: int = 20
    save_every: int = 250
    keep: int = 2

    def __post_init__(self) -> None:
        need(bool(self.engine), "engine is empty", "flite or espeak")
        need(
            2 <= self.sentences <= MOST_SENTENCES,
            f"sentences are 2 to {MOST_SENTENCES:,}, got {self.sentences}",
            "1,200 is the default; all of them are held in memory",
        )
        need(8 <= self.width <= 1024, f"width is 8 to 1024, got {self.width}", "128 is the default")
        need(self.steps >= 1, f"steps are 1 or more, got {self.steps}")
        need(self.minutes is None or self.minutes > 0, f"minutes must be positive, got {self.minutes}", "leave it out")
        need(1 <= self.batch <= 1024, f"batch is 1 to 1024, got {self.batch}", "6 is the default")
        need(0 < self.learning_rate <= 0.1, f"learning_rate is above 0 and at most 0.1, got {self.learning_rate}")
        need(self.warmup_steps >= 0, f"warmup_steps is negative, {self.warmup_steps}")
        need(1 <= self.tempo <= 2, f"tempo is a factor of 1 to 2, got {self.tempo}", "1 turns it off")
        need(0 <= self.dropout < 1, f"dropout is a share from 0 to below 1, got {self.dropout}")
        need(0 <= self.decoded <= 100, f"decoded is 0 to 100, got {self.decoded}", "0 leaves the decoder out")
        for name in ("log_every", "save_every", "keep"):
            need(getattr(self, name) >= 1, f"{name} is 1 or more, got {getattr(self, name)}")
